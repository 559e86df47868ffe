//! Judging by a declared verifier: observe first, then verify what was seen.

use gyre_types::{GuestOutcome, Judgement, SandboxJob, SandboxReport};

use crate::batch::{deduplicate, undecided};
use crate::judge::{infrastructure, judge_fault, require_complete, verifier_fault};
use crate::{
    CaseOutcome, Cost, ExternalVerifier, Outcome, PythonVerifier, Report, Submission, Verifier,
    VerifierFault, judge_report, judge_unrun, judging_seed, plan_observation,
};

/// Runs jobs: one result for each, in order. Faults are texts by here.
type Execute<'a> = dyn Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, String>> + 'a;

/// Longest traceback of a verifier that is kept, in bytes.
const TRACEBACK_BYTES_MAX: usize = 1_000;

/// What was seen of one submission, and what that cost.
struct Observed {
    at: usize,
    outcome: Outcome,
    cost: Cost,
}

pub(crate) fn judge_observed(
    verifier: &Verifier,
    submissions: &[Submission<'_>],
    execute: &Execute<'_>,
) -> Vec<Judgement> {
    let (distinct, index) = deduplicate(submissions);
    let mut judgements: Vec<Option<Judgement>> =
        distinct.iter().map(|s| judge_unrun(s.task, s.key, s.answer)).collect();
    let open = undecided(&judgements);
    let observed = observe(&distinct, &open, &mut judgements, execute);
    for (at, judgement) in verify(verifier, &distinct, observed, execute) {
        judgements[at] = Some(judgement);
    }
    let judged = |at: usize| {
        judgements[at].clone().unwrap_or_else(|| judge_fault("never judged".to_owned()))
    };
    index.into_iter().map(judged).collect()
}

/// Runs each answer on each of its hidden cases. What cannot be observed for a
/// fault of ours is decided at once, as invalid.
fn observe(
    distinct: &[Submission<'_>],
    open: &[usize],
    judgements: &mut [Option<Judgement>],
    execute: &Execute<'_>,
) -> Vec<Observed> {
    let plan = |&at: &usize| {
        let Submission { task, key, answer } = distinct[at];
        plan_observation(task, key, answer, judging_seed(task, answer))
    };
    let jobs: Vec<SandboxJob> = open.iter().flat_map(plan).collect();
    if jobs.is_empty() {
        return Vec::new();
    }
    let mut reports = execute(jobs).into_iter();
    let mut observed = Vec::new();
    for &at in open {
        let own: Vec<_> = reports.by_ref().take(distinct[at].key.hidden.len()).collect();
        match look(&distinct[at], &own) {
            Ok((outcome, cost)) => observed.push(Observed { at, outcome, cost }),
            Err((detail, cost)) => judgements[at] = Some(infrastructure(detail, cost)),
        }
    }
    observed
}

fn look(
    submission: &Submission<'_>,
    reports: &[Result<SandboxReport, String>],
) -> Result<(Outcome, Cost), (String, Cost)> {
    let Submission { task, key, answer } = *submission;
    let fuel = reports.iter().flatten().fold(0_u64, |sum, r| sum.saturating_add(r.fuel));
    let cost = Cost { fuel, guests: u32::try_from(reports.len()).unwrap_or(u32::MAX) };
    if reports.len() != key.hidden.len() {
        let (got, want) = (reports.len(), key.hidden.len());
        return Err((format!("{got} reports came for {want} cases"), cost));
    }
    let case = |(at, (case, report)): (usize, (_, &Result<SandboxReport, String>))| {
        let seen = report.as_ref().map_err(Clone::clone);
        seen.and_then(|report| CaseOutcome::of(at, case, task.interface, report))
            .map_err(|why| (format!("hidden[{at}]: {why}"), cost))
    };
    let cases = key.hidden.iter().zip(reports).enumerate().map(case);
    Ok((Outcome::of(task, answer, cases.collect::<Result<_, _>>()?), cost))
}

fn verify(
    verifier: &Verifier,
    distinct: &[Submission<'_>],
    observed: Vec<Observed>,
    execute: &Execute<'_>,
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
        Verifier::Python(python) => by_python(python, distinct, &observed, execute),
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
    distinct: &[Submission<'_>],
    observed: &[Observed],
    execute: &Execute<'_>,
) -> Vec<(usize, Judgement)> {
    let plan = |seen: &Observed| {
        let Submission { task, answer, .. } = distinct[seen.at];
        python.plan(&seen.outcome, judging_seed(task, answer))
    };
    let mut reports = execute(observed.iter().map(plan).collect()).into_iter();
    let judged = |seen: &Observed| {
        let cost = Cost { guests: seen.cost.guests.saturating_add(1), ..seen.cost };
        let judgement = match reports.next() {
            Some(Ok(report)) => judge_python(&report, cost),
            Some(Err(fault)) => infrastructure(format!("verify.py: {fault}"), cost),
            None => infrastructure("verify.py: the sandbox gave no report".to_owned(), cost),
        };
        (seen.at, judgement)
    };
    observed.iter().map(judged).collect()
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
