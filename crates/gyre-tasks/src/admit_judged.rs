//! Admission by a declared verifier: its word on the task's own programs.

use gyre_env::program::interface;
use gyre_types::{InvalidReason, Judgement, Verdict};
use gyre_verify::{Submission, Verifier};

use crate::admit::Draft;
use crate::guest::Execute;
use crate::{Reason, Refusal, TaskError};

/// Which programs without thought must fail, beside the failure cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stubs {
    /// One that does nothing.
    NoOp,
    /// That, and one that gives back what it is given.
    All,
}

/// What a program of a draft is there for.
#[derive(Clone, Copy)]
enum Role {
    Reference,
    Stub(&'static str),
    Failure(usize),
}

struct Program {
    draft: usize,
    role: Role,
    text: String,
}

/// Judges reference, stubs and failure cases of each draft as answers.
pub(crate) fn admit_judged(
    verifier: &Verifier,
    stubs: Stubs,
    drafts: &[Draft<'_>],
    execute: &Execute<'_>,
) -> Result<Vec<Result<(), Refusal>>, TaskError> {
    let of_draft = |(at, draft): (usize, &Draft<'_>)| programs(at, draft, stubs);
    let programs: Vec<Program> = drafts.iter().enumerate().flat_map(of_draft).collect();
    let submission = |program: &'_ Program| {
        let Draft { task, key } = drafts[program.draft];
        (task, key, program.text.clone())
    };
    let owned: Vec<_> = programs.iter().map(submission).collect();
    let submissions: Vec<_> =
        owned.iter().map(|(task, key, text)| Submission::of_program(task, key, text)).collect();
    let judgements = verifier.judge(&submissions, execute);
    let mut verdicts = vec![Ok(()); drafts.len()];
    for (program, judgement) in programs.iter().zip(&judgements) {
        let refused = refusal(program.role, judgement)?;
        if let (Some(refusal), Ok(())) = (refused, &verdicts[program.draft]) {
            verdicts[program.draft] = Err(refusal);
        }
    }
    Ok(verdicts)
}

fn programs(draft: usize, of: &Draft<'_>, stubs: Stubs) -> Vec<Program> {
    let program = |role: Role, text: String| Program { draft, role, text };
    let key = of.program_key();
    let mut programs = vec![program(Role::Reference, key.reference.clone())];
    let [no_op, echo] = interface::stubs(of.spec());
    programs.push(program(Role::Stub("a program that does nothing"), no_op));
    if stubs == Stubs::All {
        programs.push(program(Role::Stub("a program that gives back what it is given"), echo));
    }
    let failures = key.failures.iter().enumerate();
    programs.extend(failures.map(|(at, text)| program(Role::Failure(at), text.clone())));
    programs
}

/// Why a draft is refused for what was said of one of its programs.
fn refusal(role: Role, judgement: &Judgement) -> Result<Option<Refusal>, TaskError> {
    let refused = |reason: Reason, detail: String| Ok(Some(Refusal::new(reason, detail)));
    match (&judgement.verdict, role) {
        (Verdict::Invalid { reason: InvalidReason::Infrastructure { detail } }, _) => {
            Err(TaskError::Sandbox { detail: detail.clone() })
        }
        (Verdict::Invalid { reason }, _) => refused(Reason::VerifierFault, reason.to_string()),
        (Verdict::Pass, Role::Reference)
        | (Verdict::Fail { .. }, Role::Stub(_) | Role::Failure(_)) => Ok(None),
        (Verdict::Fail { .. }, Role::Reference) => {
            let failed = judgement.checks.iter().find(|check| !check.passed);
            let why = failed.map_or_else(String::new, |c| format!("{}: {}", c.name, c.detail));
            refused(Reason::ReferenceFails, why)
        }
        (Verdict::Pass, Role::Stub(what)) => refused(Reason::Trivial, format!("{what} passes")),
        (Verdict::Pass, Role::Failure(at)) => {
            refused(Reason::FailurePasses, format!("failures[{at}] passes"))
        }
    }
}
