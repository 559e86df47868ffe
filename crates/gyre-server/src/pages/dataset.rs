use std::collections::BTreeMap;

use gyre_dataset::{DatasetRow, Quantiles, Stats};
use gyre_lineage::RunRow;
use maud::{Markup, html};

use super::chart::{self, count};
use super::layout::Page;
use super::parts::{bytes, export, figure, link, verdict};
use super::text::{block, code, hostile};
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// Shards listed.
const SHARDS: u32 = 200;

/// The published dataset of a run.
pub(crate) fn page(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let shards = app.project.wait(app.project.store.shards_page(&run.id, None, SHARDS))?;
    let published = app.dataset(run)?;
    let figures = published.as_ref().map(|published| &published.stats);
    let rows = published.as_ref().map_or(&[][..], |published| &published.head);
    let body = html! {
        h1 { "Dataset" }
        @match figures {
            Some(figures) => (described(figures)),
            None => p.notice { "Nothing is published yet." },
        }
        @if figures.is_some() {
            p { a href=(format!("/api/v1/runs/{}/dataset/rows", run.id)) download { "Download all accepted rows as JSON Lines" } "; the shards below are Parquet." }
        }
        h2 { "Shards" }
        div.scroll tabindex="0" role="region" aria-label="Shards" { table {
            thead { tr { th scope="col" { "Shard" } th scope="col" { "Rows are" } th.n scope="col" { "Round" } th.n scope="col" { "Rows" } th.n scope="col" { "Size" } th scope="col" { "Parquet" } th scope="col" { "SHA-256" } } }
            tbody {
                @for shard in &shards.rows { tr {
                    th scope="row" { (link(&run.id, "lineage", shard.id.as_str())) @if shard.superseded { " " span.tag.invalid { "superseded" } } }
                    td { (shard.kind) }
                    td.n { (shard.round) }
                    td.n { (count(shard.rows.into())) }
                    td.n { (bytes(shard.bytes)) }
                    td { @if !shard.superseded { a href=(format!("/api/v1/runs/{}/shards/{}/file", run.id, shard.id)) download { "download" } } }
                    td.id { (shard.sha256) }
                } }
                @if shards.rows.is_empty() { tr { td colspan="7" { "No shard yet." } } }
            }
        } }
        @if !rows.is_empty() {
            h2 { "First rows" }
            @for row in rows { (shown(run, row)) }
        }
        (export(params))
    };
    Ok(Page {
        title: format!("{} dataset", run.id),
        run: Some(run.id.clone()),
        section: "dataset",
        body,
    })
}

fn described(stats: &Stats) -> Markup {
    html! {
        dl.figures {
            (figure("Rows", &count(stats.rows), &bytes(stats.bytes)))
            @if stats.attempts > 0 { (figure("Attempts in groups", &count(stats.attempts), &bytes(stats.attempts_bytes))) }
            (figure("Distinct tasks", &count(stats.distinct_tasks), ""))
            (figure("Distinct answers", &count(stats.distinct_answers), ""))
        }
        div.pair {
            (histogram("Rows by round", &stats.by_round))
            (histogram("Rows by difficulty", &stats.by_difficulty))
            (histogram("Rows by family", &stats.by_family))
            (histogram("Rows by verdict", &stats.by_verdict))
        }
        div.scroll tabindex="0" role="region" aria-label="Per row" { table {
            caption { "Per row" }
            thead { tr { th scope="col" { "What" } th.n scope="col" { "Median" } th.n scope="col" { "p90" } th.n scope="col" { "p99" } th.n scope="col" { "Max" } } }
            tbody { (quantiles("tokens", &stats.tokens)) (quantiles("fuel", &stats.fuel)) }
        } }
    }
}

fn quantiles(name: &str, q: &Quantiles) -> Markup {
    html! { tr { th scope="row" { (name) } @for value in [q.p50, q.p90, q.p99, q.max] { td.n { (count(value)) } } } }
}

fn histogram<K: ToString>(caption: &str, counts: &BTreeMap<K, u64>) -> Markup {
    let largest = counts.values().copied().max().unwrap_or(1).max(1);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) { table {
            caption { (caption) }
            tbody { @for (key, n) in counts { tr {
                th scope="row" { (hostile(&key.to_string())) }
                td.n { (count(*n)) }
                td { (chart::share(*n as f64 / largest as f64)) }
            } } }
        } }
    }
}

fn shown(run: &RunRow, row: &DatasetRow) -> Markup {
    html! {
        section.turn {
            h3 { (link(&run.id, "rollouts", row.rollout_id.as_str())) " · " (hostile(&row.family)) " " (row.difficulty) " · round " (row.round) " · reward " (row.reward) " " (verdict(Some(&row.verdict))) }
            (block(&row.instruction))
            (code(&row.completion))
        }
    }
}
