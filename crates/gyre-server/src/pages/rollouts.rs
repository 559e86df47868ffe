use std::collections::BTreeSet;

use gyre_types::InvalidReason;
use maud::html;

use super::chart::count;
use super::layout::Page;
use super::parts::{choice, export, field, pages, rollout_table};
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::filters::find_rollouts;

/// Rollouts by what they were, became and said.
pub(crate) fn list(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let (page, searched) = find_rollouts(app, run, params)?;
    let figures = app.figures(run)?;
    let families: BTreeSet<_> = figures.cells.iter().map(|cell| cell.family.clone()).collect();
    let families: Vec<_> = families.into_iter().collect();
    let checkpoints: BTreeSet<_> = figures
        .cells
        .iter()
        .filter_map(|cell| Some(cell.checkpoint.as_ref()?.to_string()))
        .collect();
    let checkpoints: Vec<_> = checkpoints.into_iter().collect();
    let rounds: Vec<_> = figures.rounds.iter().map(|round| round.round.to_string()).collect();
    let verdicts = ["pass", "fail", "invalid", "pending"].map(str::to_owned);
    let reasons: Vec<_> = InvalidReason::KINDS.iter().map(|&kind| kind.to_owned()).collect();
    let purposes = ["train", "gate", "test"].map(str::to_owned);
    let body = html! {
        h1 { "Rollouts" }
        form.filters method="get" {
            (choice("verdict", "Verdict", &verdicts, params))
            (choice("reason", "Invalid because", &reasons, params))
            (choice("family", "Family", &families, params))
            (choice("round", "Round", &rounds, params))
            (choice("purpose", "Made for", &purposes, params))
            (choice("checkpoint", "Policy", &checkpoints, params))
            (field("score_min", "Score from", "number", params))
            (field("score_max", "Score to", "number", params))
            (field("task", "Task id", "search", params))
            (field("q", "Words of the task", "search", params))
            (field("answer", "Text of the answer", "search", params))
            button type="submit" { "Show" }
        }
        @if let Some(searched) = searched {
            p.quiet {
                (count(searched.into())) " answers were looked through"
                @if page.next.is_some() { "; the next page goes on from there" }
                "."
            }
        }
        (rollout_table(run, "By round and id", &page.rows))
        (pages(params, page.next.as_ref()))
        (export(params))
    };
    let title = format!("{} rollouts", run.id);
    Ok(Page { title, run: Some(run.id.clone()), section: "rollouts", body })
}
