use std::collections::HashMap;
use std::fmt::Display;

use gyre_types::{Digest, Judgement, SandboxJob, SandboxReport, Task};

use crate::judge::judge_fault;
use crate::{
    GradingKey, Screen, ScreenPassed, judge_confirm, judge_screen, judge_unrun, judging_seed,
    plan_confirm, plan_screen,
};

/// An answer to a task, with the key that decides.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its key.
    pub key: &'a GradingKey,
    /// The program to judge.
    pub answer: &'a str,
}

/// Judges answers with guests that `execute` runs: first one guest for each
/// answer, then one for each hidden case of those that came through.
///
/// Equal answers to equal tasks are judged once. Judgements come in the order
/// of the submissions. `execute` is called at most twice, and must give one
/// result for each job, in order; a result that is missing or an error makes
/// its answer invalid.
pub fn judge_batch<E: Display>(
    submissions: &[Submission<'_>],
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<Judgement> {
    let (distinct, index) = deduplicate(submissions);
    let mut judgements: Vec<Option<Judgement>> =
        distinct.iter().map(|s| judge_unrun(s.task, s.key, s.answer)).collect();

    let open = undecided(&judgements);
    let candidates = screen(&distinct, &open, &mut judgements, &execute);
    confirm(&distinct, candidates, &mut judgements, &execute);

    let judged = |at: usize| {
        // Every submission is decided by one of the three steps above.
        judgements[at].clone().unwrap_or_else(|| judge_fault("never judged".to_owned()))
    };
    index.into_iter().map(judged).collect()
}

/// The distinct submissions, and for each submission which of them it is.
pub(crate) fn deduplicate<'a>(submissions: &[Submission<'a>]) -> (Vec<Submission<'a>>, Vec<usize>) {
    let mut distinct = Vec::new();
    let mut seen = HashMap::<(Digest, Digest, &str), usize>::new();
    let mut at = |submission: &Submission<'a>| {
        let key = (submission.task.digest, submission.key.digest(), submission.answer);
        *seen.entry(key).or_insert_with(|| {
            distinct.push(*submission);
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

fn screen<E: Display>(
    distinct: &[Submission<'_>],
    open: &[usize],
    judgements: &mut [Option<Judgement>],
    execute: &impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<(usize, ScreenPassed)> {
    if open.is_empty() {
        return Vec::new();
    }
    let plan = |&at: &usize| {
        let Submission { task, key, answer } = distinct[at];
        plan_screen(task, key, answer, judging_seed(task, answer))
    };
    let mut reports = execute(open.iter().map(plan).collect()).into_iter();
    let mut candidates = Vec::new();
    for &at in open {
        match reports.next() {
            Some(Ok(report)) => match judge_screen(distinct[at].key, &report) {
                Screen::Decided(judgement) => judgements[at] = Some(judgement),
                Screen::Candidate(passed) => candidates.push((at, passed)),
            },
            Some(Err(fault)) => judgements[at] = Some(judge_fault(fault.to_string())),
            None => judgements[at] = Some(judge_fault("the sandbox gave no report".to_owned())),
        }
    }
    candidates
}

fn confirm<E: Display>(
    distinct: &[Submission<'_>],
    candidates: Vec<(usize, ScreenPassed)>,
    judgements: &mut [Option<Judgement>],
    execute: &impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) {
    if candidates.is_empty() {
        return;
    }
    let plan = |(at, _): &(usize, ScreenPassed)| {
        let Submission { task, key, answer } = distinct[*at];
        plan_confirm(task, key, answer, judging_seed(task, answer))
    };
    let mut reports = execute(candidates.iter().flat_map(plan).collect()).into_iter();
    for (at, passed) in candidates {
        let key = distinct[at].key;
        let own: Vec<_> = reports.by_ref().take(key.hidden.len()).collect();
        judgements[at] = Some(judge_confirm(key, &passed, &own));
    }
}
