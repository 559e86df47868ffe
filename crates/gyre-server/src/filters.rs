//! Which rows the query of a request asks for: the same for programs and people.

use gyre_lineage::{
    Page, RolloutFilter, RolloutWithVerdict, RunRow, ScoreBounds, TaskFilter, VerdictFilter,
};
use gyre_orchestrator::search_answers;
use gyre_types::{CheckpointId, Digest, Split, TaskId};

use crate::app::App;
use crate::failure::Failure;
use crate::params::Params;

pub(crate) const TASK_PARAMS: [&str; 5] = ["round", "family", "split", "difficulty", "q"];

/// Which tasks a query asks for.
pub(crate) fn task_filter(params: &Params) -> Result<TaskFilter, Failure> {
    Ok(TaskFilter {
        round: params.get("round")?,
        family: params.text("family").map(str::to_owned),
        split: params.get("split")?,
        difficulty: params.get("difficulty")?,
        text: params.text("q").map(str::to_owned),
    })
}

pub(crate) const ROLLOUT_PARAMS: [&str; 12] = [
    "round",
    "purpose",
    "task",
    "checkpoint",
    "verdict",
    "family",
    "reason",
    "score_min",
    "score_max",
    "policy",
    "q",
    "answer",
];

/// What the page of tasks takes: the same, and where it stands.
pub(crate) const TASK_PAGE_PARAMS: [&str; 7] = with_page(TASK_PARAMS);
/// What the page of rollouts takes: the same, and where it stands.
pub(crate) const ROLLOUT_PAGE_PARAMS: [&str; 14] = with_page(ROLLOUT_PARAMS);

const fn with_page<const N: usize, const M: usize>(own: [&'static str; N]) -> [&'static str; M] {
    let mut all = ["cursor"; M];
    let mut at = 0;
    while at < N {
        all[at] = own[at];
        at += 1;
    }
    all[M - 1] = "limit";
    all
}

/// Which rollouts a query asks for.
fn rollout_filter(params: &Params) -> Result<RolloutFilter, Failure> {
    let verdict = match params.text("verdict") {
        None => None,
        Some("pass") => Some(VerdictFilter::Pass),
        Some("fail") => Some(VerdictFilter::Fail),
        Some("invalid") => Some(VerdictFilter::Invalid),
        Some("pending") => Some(VerdictFilter::Pending),
        Some(_) => {
            let detail = "verdict is pass, fail, invalid or pending";
            return Err(Failure::bad("bad_parameter", detail));
        }
    };
    Ok(RolloutFilter {
        round: params.get("round")?,
        purpose: params.get::<Split>("purpose")?,
        task: params.get::<TaskId>("task")?,
        checkpoint: params.get::<CheckpointId>("checkpoint")?,
        verdict,
        family: params.text("family").map(str::to_owned),
        reason: params.text("reason").map(str::to_owned),
        policy: params.get::<Digest>("policy")?,
        score: ScoreBounds {
            at_least: params.share("score_min")?,
            at_most: params.share("score_max")?,
            ..ScoreBounds::default()
        },
        text: params.text("q").map(str::to_owned),
    })
}

/// The rollouts that a query asks for: by the lineage alone, or by what was
/// answered too. Gives how many answers were looked through, where any were.
pub(crate) fn find_rollouts(
    app: &App,
    run: &RunRow,
    params: &Params,
) -> Result<(Page<RolloutWithVerdict>, Option<u32>), Failure> {
    let filter = rollout_filter(params)?;
    let (cursor, limit) = params.page()?;
    let Some(text) = params.text("answer") else {
        let listed = app.project.store.rollouts_page(&run.id, &filter, cursor.as_ref(), limit);
        return Ok((app.project.wait(listed)?, None));
    };
    let found = search_answers(&app.project, &run.id, &filter, text, cursor.as_ref(), limit)?;
    Ok((found.page, Some(found.searched)))
}
