//! A person's word on a candidate that passed the gate.

use gyre_lineage::{AnswerVia, ApprovalRow, HandoverRow};
use gyre_orchestrator::{
    Answered, Cancel, PersonAnswer, Project, answer, deliver_run, person, standing, waiting,
};
use serde_json::json;

use crate::args::{Global, PromoteArgs};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::{output, session};

/// Promotes a candidate that waits, or declines it, and hands a promotion over.
pub(crate) fn promote(global: &Global, args: &PromoteArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let cancel = Cancel::default();
    session::stop_on_signal(&runtime, &cancel);
    let said = PersonAnswer {
        approves: !args.decline,
        by: args.by.clone().unwrap_or_else(person),
        via: AnswerVia::Command,
        why: args.why.clone(),
    };
    said.check().map_err(|why| Failure::error(Failure::WRONG_USAGE, why))?;
    let asked = find(&project, &args.id)?;
    let answered = answer(&project, (&asked.run, asked.round), &said, now_ms)?;
    let mut attempts = Vec::new();
    if answered.is_promoted {
        let mut tell = |row: &HandoverRow| attempts.push(standing(row));
        deliver_run(&project, &answered.run, None, (now_ms, &cancel), &mut tell)?;
    }
    report(global, &answered, &said, &attempts)
}

/// The one candidate that waits and that an id names.
fn find(project: &Project, id: &str) -> anyhow::Result<ApprovalRow> {
    let mut waiting = waiting(project)?;
    let is_named =
        |row: &ApprovalRow| row.run.as_str() == id || row.candidate.as_str().starts_with(id);
    waiting.retain(is_named);
    match waiting.len() {
        1 => Ok(waiting.swap_remove(0)),
        0 => {
            let message = format!(
                "no candidate {id:?} waits for approval here; `gyre status` lists those that do"
            );
            Err(Failure::error(Failure::NOT_AWAITED, message))
        }
        n => {
            let message =
                format!("{id:?} is the start of {n} candidates that wait; give more of it");
            Err(Failure::error(Failure::NOT_AWAITED, message))
        }
    }
}

fn report(
    global: &Global,
    answered: &Answered,
    said: &PersonAnswer,
    attempts: &[String],
) -> anyhow::Result<()> {
    let Answered { run, round, candidate, is_promoted } = answered;
    if global.json {
        return output::json(&json!({
            "run": run, "round": round, "candidate": candidate, "promoted": is_promoted,
            "by": said.by, "why": said.why, "handovers": attempts,
        }));
    }
    let what = if *is_promoted { "is champion" } else { "was declined; the champion stays" };
    output::line(format!("round {round} of {run}: {candidate} {what} (by {})", said.by));
    for attempt in attempts {
        output::line(attempt);
    }
    output::line(format!("`gyre run --resume {run}` goes on with the run"));
    Ok(())
}
