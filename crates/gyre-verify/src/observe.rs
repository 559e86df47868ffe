//! Judging by a declared verifier: observe first, then verify what was seen.

use std::cell::RefCell;

use gyre_types::{Executor, GuestOutcome, Judgement, SandboxReport};

use crate::batch::{deduplicate, undecided};
use crate::judge::{
    FuelMeter, NO_REPORT, infrastructure, judge_fault, require_complete, verifier_fault,
};
use crate::outcome::{CASE_BYTES_MAX, OUTCOME_BYTES_MAX};
use crate::plan::plan_observation_case;
use crate::{
    CaseOutcome, Cost, ExternalVerifier, Outcome, ProgramOutcome, ProgramSubmission,
    PythonVerifier, Report, Submission, Verifier, VerifierFault, judge_report, judge_unrun,
};

/// Longest traceback of a verifier that is kept, in bytes.
const TRACEBACK_BYTES_MAX: usize = 1_000;

/// What was seen of one submission, and what that cost.
struct Observed {
    at: usize,
    outcome: Outcome,
    cost: Cost,
}

/// Answers that are observed before they are verified: what they showed is held
/// meanwhile, and a verifier may be shown a mebibyte of each.
const OBSERVED_MAX: usize = 16;

pub(crate) fn judge_observed(
    verifier: &Verifier,
    submissions: &[Submission<'_>],
    executor: &dyn Executor,
) -> Vec<Judgement> {
    let (distinct, index) = deduplicate(submissions);
    let mut judgements: Vec<Option<Judgement>> = distinct.iter().map(judge_unrun).collect();
    for open in undecided(&judgements).chunks(OBSERVED_MAX) {
        let observed = observe(&distinct, open, &mut judgements, executor);
        for (at, judgement) in verify(verifier, &distinct, observed, executor) {
            judgements[at] = Some(judgement);
        }
    }
    let judged =
        |at: usize| judgements[at].clone().unwrap_or_else(|| judge_fault(NO_REPORT.to_owned()));
    index.into_iter().map(judged).collect()
}

/// Runs each answer on each of its hidden cases. What cannot be observed for a
/// fault of ours is decided at once, as invalid.
fn observe(
    distinct: &[ProgramSubmission<'_>],
    open: &[usize],
    judgements: &mut [Option<Judgement>],
    executor: &dyn Executor,
) -> Vec<Observed> {
    let observations =
        RefCell::new(open.iter().map(|&at| Observation::new(distinct[at])).collect::<Vec<_>>());
    let planned = RefCell::new(Vec::new());
    let cases = open
        .iter()
        .enumerate()
        .flat_map(|(nth, &at)| (0..distinct[at].key.hidden.len()).map(move |case| (nth, case)));
    let mut jobs =
        cases.filter(|(nth, _)| !observations.borrow()[*nth].meter.is_spent()).map(|(nth, at)| {
            planned.borrow_mut().push((nth, at));
            let of = &distinct[open[nth]];
            plan_observation_case(of, of.seed(), at)
        });
    executor.execute_each(&mut jobs, &mut |job, report| {
        let Some((nth, case)) = planned.borrow().get(job).copied() else { return };
        observations.borrow_mut()[nth].take(case, report);
    });
    let mut observed = Vec::new();
    for (&at, observation) in open.iter().zip(observations.into_inner()) {
        match observation.finish() {
            Ok((outcome, cost)) => observed.push(Observed { at, outcome, cost }),
            Err((detail, cost)) => judgements[at] = Some(infrastructure(detail, cost)),
        }
    }
    observed
}

/// What is seen of one answer, case by case as reports arrive. What comes of it
/// does not depend on their order.
struct Observation<'a> {
    submission: ProgramSubmission<'a>,
    meter: FuelMeter,
    cases: Vec<Option<Result<Seen, String>>>,
}

/// A case, and the bytes that the answer put into it before it was bounded.
struct Seen {
    case: CaseOutcome,
    bytes: usize,
}

impl<'a> Observation<'a> {
    fn new(submission: ProgramSubmission<'a>) -> Self {
        let cases = submission.key.hidden.len();
        let meter = FuelMeter::new(submission.task, cases);
        Self { submission, meter, cases: (0..cases).map(|_| None).collect() }
    }

    fn take(&mut self, at: usize, report: Result<SandboxReport, String>) {
        let ProgramSubmission { spec, key, .. } = self.submission;
        self.meter.burn(at, report.as_ref().map_or(0, |report| report.fuel));
        let seen = report.and_then(|report| {
            let mut case = CaseOutcome::of(at, &key.hidden[at], spec.interface, &report)?;
            let bytes = case.bytes();
            case.bound(bytes);
            Ok(Seen { case, bytes })
        });
        self.cases[at] = Some(seen);
        self.bound();
    }

    /// Lets go of what the outcome will not hold: what comes after the case with
    /// which those that are there exceed it. Cases still to come can only add.
    fn bound(&mut self) {
        let mut left = Some(OUTCOME_BYTES_MAX);
        for seen in self.cases.iter_mut().flatten().flatten() {
            if seen.bytes > CASE_BYTES_MAX {
                continue;
            }
            left = left.and_then(|left| left.checked_sub(seen.bytes));
            if left.is_none() && seen.bytes > 0 {
                seen.case.exceed();
            }
        }
    }

    /// The outcome, or what of the infrastructure failed.
    fn finish(self) -> Result<(Outcome, Cost), (String, Cost)> {
        let key = self.submission.key;
        let within = self.meter.cases_within();
        let guests = u32::try_from(within).unwrap_or(u32::MAX);
        let cost = Cost { fuel: self.meter.burnt(within), guests };
        let case = |(at, seen): (usize, Option<Result<Seen, String>>)| match seen {
            _ if at >= within => {
                Ok(CaseOutcome::unrun(at, &key.hidden[at], self.meter.why_unrun()))
            }
            Some(Ok(seen)) => Ok(seen.case),
            Some(Err(why)) => Err((format!("hidden[{at}]: {why}"), cost)),
            None => Err((format!("hidden[{at}]: {NO_REPORT}"), cost)),
        };
        let cases = self.cases.into_iter().enumerate().map(case).collect::<Result<_, _>>()?;
        Ok((Outcome::Program(ProgramOutcome::of(&self.submission, cases)), cost))
    }
}

fn verify(
    verifier: &Verifier,
    distinct: &[ProgramSubmission<'_>],
    observed: Vec<Observed>,
    executor: &dyn Executor,
) -> Vec<(usize, Judgement)> {
    if observed.is_empty() {
        return Vec::new();
    }
    match verifier {
        // The built-in comparison screens first; it never comes here.
        Verifier::Cases => each(&observed, |_, cost| {
            infrastructure("the built-in verifier observes by itself".to_owned(), cost)
        }),
        Verifier::Checks { checks, .. } => {
            each(&observed, |outcome, cost| checks.judge(outcome, cost))
        }
        Verifier::Python(python) => by_python(python, distinct, &observed, executor),
        Verifier::External(external) => by_external(external, &observed),
        Verifier::Unresolved { kind, name } => each(&observed, |_, cost| {
            let kind = kind.as_str();
            verifier_fault(format!("the {kind} {name:?} is not available here"), cost)
        }),
    }
}

fn each(
    observed: &[Observed],
    judge: impl Fn(&Outcome, Cost) -> Judgement,
) -> Vec<(usize, Judgement)> {
    observed.iter().map(|seen| (seen.at, judge(&seen.outcome, seen.cost))).collect()
}

fn by_python(
    python: &PythonVerifier,
    distinct: &[ProgramSubmission<'_>],
    observed: &[Observed],
    executor: &dyn Executor,
) -> Vec<(usize, Judgement)> {
    let cost = |seen: &Observed| Cost { guests: seen.cost.guests.saturating_add(1), ..seen.cost };
    let mut jobs = observed.iter().map(|seen| python.plan(&seen.outcome, distinct[seen.at].seed()));
    let mut judged: Vec<_> = observed
        .iter()
        .map(|seen| (seen.at, infrastructure(format!("verify.py: {NO_REPORT}"), cost(seen))))
        .collect();
    executor.execute_each(&mut jobs, &mut |nth, report| {
        let (Some(seen), Some(judged)) = (observed.get(nth), judged.get_mut(nth)) else { return };
        judged.1 = match report {
            Ok(report) => judge_python(&report, cost(seen)),
            Err(fault) => infrastructure(format!("verify.py: {fault}"), cost(seen)),
        };
    });
    judged
}

/// Judges the report of [`PythonVerifier::plan`]'s job.
fn judge_python(report: &SandboxReport, cost: Cost) -> Judgement {
    let cost = Cost { fuel: cost.fuel.saturating_add(report.fuel), ..cost };
    if let Err(why) = require_complete(report, 2) {
        return infrastructure(format!("verify.py: {why}"), cost);
    }
    let stopped = report.steps.iter().find(|step| step.outcome.value().is_none());
    match (stopped, report.steps.get(1).and_then(|step| step.outcome.value())) {
        (Some(step), _) => verifier_fault(format!("verify.py {}", explain(&step.outcome)), cost),
        (None, Some(value)) => judge_report(Report::of_value(value), cost),
        (None, None) => infrastructure("verify.py: its call was not run".to_owned(), cost),
    }
}

/// What a verifier did, with its own lines named as its file.
fn explain(outcome: &GuestOutcome) -> String {
    match outcome {
        GuestOutcome::Exception(exception) if !exception.traceback.is_empty() => {
            let trace = exception.traceback.trim_end().replace("<turn 1>", "verify.py");
            let from = trace.ceil_char_boundary(trace.len().saturating_sub(TRACEBACK_BYTES_MAX));
            format!("{}\n{}", outcome.describe(), &trace[from..])
        }
        other => other.describe(),
    }
}

fn by_external(external: &ExternalVerifier, observed: &[Observed]) -> Vec<(usize, Judgement)> {
    let outcomes: Vec<String> = observed.iter().map(|seen| seen.outcome.to_json()).collect();
    let mut replies = (external.verify)(&outcomes).into_iter();
    let name = &external.name;
    let judged = |seen: &Observed| {
        let judgement = match replies.next() {
            Some(Ok(reply)) => {
                let fuel = seen.cost.fuel.saturating_add(reply.fuel);
                judge_report(Report::parse(&reply.report), Cost { fuel, ..seen.cost })
            }
            Some(Err(VerifierFault::Verifier(why))) => {
                verifier_fault(format!("{name} {why}"), seen.cost)
            }
            Some(Err(VerifierFault::Infrastructure(why))) => {
                infrastructure(format!("{name}: {why}"), seen.cost)
            }
            None => infrastructure(format!("{name}: it was not run"), seen.cost),
        };
        (seen.at, judgement)
    };
    observed.iter().map(judged).collect()
}
