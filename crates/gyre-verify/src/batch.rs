use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;

use gyre_types::{Digest, Executor, Judgement, SandboxJob, SandboxReport};

use crate::judge::{Confirmation, NO_REPORT, judge_fault};
use crate::plan::plan_confirm_case;
use crate::{
    ProgramSubmission, Screen, ScreenPassed, Submission, SubmissionKind, judge_screen, judge_unrun,
    plan_screen,
};

/// Judges answers with guests that `execute` runs: first one guest for each
/// answer, then one for each hidden case of those that came through.
///
/// Equal answers to equal tasks are judged once. Judgements come in the order
/// of the submissions. `execute` is called at most twice, and must give one
/// result for each job, in order; a result that is missing or an error makes
/// its answer invalid. It holds all reports together: [`judge_cases`] does not.
pub fn judge_batch<E: Display>(
    submissions: &[Submission<'_>],
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<Judgement> {
    judge_cases(submissions, &InBatches(execute))
}

/// Judges answers as [`judge_batch`] does, each report as it arrives.
pub fn judge_cases(submissions: &[Submission<'_>], executor: &dyn Executor) -> Vec<Judgement> {
    let (distinct, index) = deduplicate(submissions);
    let mut judgements: Vec<Option<Judgement>> = distinct.iter().map(judge_unrun).collect();

    let open = undecided(&judgements);
    let candidates = screen(&distinct, &open, &mut judgements, executor);
    confirm(&distinct, &candidates, &mut judgements, executor);

    let judged = |at: usize| {
        // Every submission is decided by one of the three steps above, unless
        // the executor left out its job.
        judgements[at].clone().unwrap_or_else(|| judge_fault(NO_REPORT.to_owned()))
    };
    index.into_iter().map(judged).collect()
}

/// Runs jobs by a function that takes and gives all of them at once.
pub(crate) struct InBatches<F>(pub(crate) F);

impl<F, E> Executor for InBatches<F>
where
    F: Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
    E: Display,
{
    fn execute_each(
        &self,
        jobs: &mut dyn Iterator<Item = SandboxJob>,
        each: &mut dyn FnMut(usize, Result<SandboxReport, String>),
    ) {
        let jobs: Vec<SandboxJob> = jobs.collect();
        if jobs.is_empty() {
            return;
        }
        let count = jobs.len();
        for (at, report) in (self.0)(jobs).into_iter().take(count).enumerate() {
            each(at, report.map_err(|error| error.to_string()));
        }
    }
}

/// The distinct submissions, and for each submission which of them it is.
pub(crate) fn deduplicate<'a>(
    submissions: &[Submission<'a>],
) -> (Vec<ProgramSubmission<'a>>, Vec<usize>) {
    let mut distinct = Vec::new();
    let mut seen = HashMap::<(Digest, Digest, &str), usize>::new();
    let mut at = |submission: &Submission<'a>| {
        let SubmissionKind::Program(of) = submission.kind();
        let key = (of.task.digest, of.key.digest(), of.program);
        *seen.entry(key).or_insert_with(|| {
            distinct.push(of);
            distinct.len() - 1
        })
    };
    let index = submissions.iter().map(&mut at).collect();
    (distinct, index)
}

pub(crate) fn undecided(judgements: &[Option<Judgement>]) -> Vec<usize> {
    let open = |(at, judgement): (usize, &Option<Judgement>)| judgement.is_none().then_some(at);
    judgements.iter().enumerate().filter_map(open).collect()
}

fn screen(
    distinct: &[ProgramSubmission<'_>],
    open: &[usize],
    judgements: &mut [Option<Judgement>],
    executor: &dyn Executor,
) -> Vec<(usize, ScreenPassed)> {
    let mut jobs = open.iter().map(|&at| plan_screen(&distinct[at], distinct[at].seed()));
    let mut candidates = Vec::new();
    executor.execute_each(&mut jobs, &mut |nth, report| {
        let Some(&at) = open.get(nth) else { return };
        match report {
            Ok(report) => match judge_screen(distinct[at].key, &report) {
                Screen::Decided(judgement) => judgements[at] = Some(judgement),
                Screen::Candidate(passed) => candidates.push((at, passed)),
            },
            Err(fault) => judgements[at] = Some(judge_fault(fault)),
        }
    });
    candidates.sort_by_key(|(at, _)| *at);
    candidates
}

fn confirm(
    distinct: &[ProgramSubmission<'_>],
    candidates: &[(usize, ScreenPassed)],
    judgements: &mut [Option<Judgement>],
    executor: &dyn Executor,
) {
    let begun = |(at, passed): &(usize, ScreenPassed)| Confirmation::new(&distinct[*at], passed);
    // Jobs are planned while earlier reports are judged: an answer that burnt
    // all that it may is run no more.
    let confirmations = RefCell::new(candidates.iter().map(begun).collect::<Vec<_>>());
    let planned = RefCell::new(Vec::new());
    let cases = candidates.iter().enumerate().flat_map(|(candidate, (at, _))| {
        (0..distinct[*at].key.hidden.len()).map(move |case| (candidate, case))
    });
    let mut jobs =
        cases.filter(|(c, _)| !confirmations.borrow()[*c].is_spent()).map(|(candidate, case)| {
            planned.borrow_mut().push((candidate, case));
            let of = &distinct[candidates[candidate].0];
            plan_confirm_case(of, of.seed(), case)
        });
    executor.execute_each(&mut jobs, &mut |nth, report| {
        let Some((candidate, case)) = planned.borrow().get(nth).copied() else { return };
        confirmations.borrow_mut()[candidate].take(case, report.as_ref().map_err(Clone::clone));
    });
    for ((at, _), confirmation) in candidates.iter().zip(confirmations.into_inner()) {
        judgements[*at] = Some(confirmation.judge());
    }
}
