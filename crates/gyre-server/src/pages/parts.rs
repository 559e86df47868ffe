//! Pieces that several pages show.

use gyre_lineage::{RolloutWithVerdict, RunRow};
use gyre_orchestrator::shown;
pub(crate) use gyre_orchestrator::shown::{bytes, seconds};
use gyre_round::{Cost, ModelUsage};
use gyre_types::{RunId, Verdict};
use maud::{Markup, html};

use super::chart::{count, percent};
use super::text::hostile;
use crate::params::{Params, opaque};

/// A verdict as a small tag, with its score where it failed.
pub(crate) fn verdict(verdict: Option<&Verdict>) -> Markup {
    let name = verdict.map_or("pending", Verdict::name);
    html! {
        span.tag.(name) { (name) }
        @if let Some(Verdict::Fail { score }) = verdict {
            @if score.get() > 0.0 { " " span.quiet { (format!("{:.2}", score.get())) } }
        }
        @if let Some(Verdict::Invalid { reason }) = verdict { " " span.quiet { (reason.kind()) } }
    }
}

/// A link to something of a run, by its id.
pub(crate) fn link(run: &RunId, kind: &str, id: &str) -> Markup {
    html! { a.id href=(format!("/runs/{run}/{kind}/{id}")) { (id) } }
}

/// The way back from a page to the lists that it belongs to.
pub(crate) fn trail(run: &RunRow, steps: &[(&str, String)]) -> Markup {
    html! {
        p.trail {
            a href=(format!("/runs/{}", run.id)) { (run.id) }
            @for (name, href) in steps { " / " a href=(href) { (name) } }
        }
    }
}

/// Where a list goes on: after a place in it.
pub(crate) fn pages(params: &Params, next: Option<&impl std::fmt::Display>) -> Markup {
    let next = next.map(opaque);
    html! {
        @if next.is_some() || params.text("cursor").is_some() {
            p.pages {
                @if params.text("cursor").is_some() {
                    a href=(params.with(&[("cursor", None)])) { "First page" }
                }
                @if let Some(next) = &next {
                    a href=(params.with(&[("cursor", Some(next))])) rel="next" { "Next page" }
                }
            }
        }
    }
}

/// The foot of every page that can be taken along.
pub(crate) fn export(params: &Params) -> Markup {
    super::layout::export_link(&params.with(&[("export", Some("1"))]))
}

/// A figure with its name.
pub(crate) fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) @if !note.is_empty() { small { (note) } } } } }
}

/// What a model's server was asked for, and what that cost.
pub(crate) fn usage(usage: &ModelUsage, cost: Option<&Cost>) -> Markup {
    let (read, sampled) = (count(usage.tokens.prompt), count(usage.tokens.completion));
    let requests = format!("{} requests", count(usage.requests));
    html! {
        (figure("Tokens in / out", &format!("{read} / {sampled}"), &requests))
        @if let Some(cost) = cost { (figure("Cost", &cost.to_string(), "by the configured prices")) }
    }
}

/// `41.2% [38.0, 44.4]`, or a dash.
pub(crate) fn rate(rate: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (rate, interval) {
        (Some(rate), Some([low, high])) => {
            format!("{} [{:.1}, {:.1}]", percent(rate), 100.0 * low, 100.0 * high)
        }
        (Some(rate), None) => percent(rate),
        _ => "–".to_owned(),
    }
}

/// A choice of a form; the first entry means any.
pub(crate) fn choice(name: &str, label: &str, options: &[String], params: &Params) -> Markup {
    let chosen = params.text(name);
    html! {
        label { (label)
            select name=(name) {
                option value="" { "any" }
                @for option in options {
                    option value=(option) selected[chosen == Some(option)] { (hostile(option)) }
                }
            }
        }
    }
}

/// A field of a form.
pub(crate) fn field(name: &str, label: &str, kind: &str, params: &Params) -> Markup {
    let value = params.text(name).unwrap_or_default();
    let step = (kind == "number").then_some("any");
    html! { label { (label) input name=(name) type=(kind) step=[step] value=(value) autocomplete="off"; } }
}

/// Rollouts, a row each.
pub(crate) fn rollout_table(run: &RunRow, caption: &str, rows: &[RolloutWithVerdict]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "Rollout" } th scope="col" { "Verdict" } th.n scope="col" { "Round" }
                    th scope="col" { "Made for" } th scope="col" { "Task" } th.n scope="col" { "Sample" }
                    th scope="col" { "Ended" } th.n scope="col" { "Turns" } th.n scope="col" { "Tokens" }
                    th.n scope="col" { "Fuel" } th scope="col" { "Policy" }
                } }
                tbody {
                    @for row in rows {
                        @let r = &row.rollout;
                        tr {
                            th scope="row" { (link(&run.id, "rollouts", r.id.as_str())) }
                            td { (verdict(row.verdict.as_ref().map(|v| &v.verdict))) }
                            td.n { (r.round) }
                            td { (r.purpose) }
                            td.id { (link(&run.id, "tasks", r.task.as_str())) }
                            td.n { (r.sample) }
                            td { (r.stop.as_str().replace('_', " ")) }
                            td.n { (r.turns) }
                            td.n { (count(r.tokens)) }
                            td.n { (count(r.fuel)) }
                            td.id {
                                @match &r.checkpoint {
                                    Some(id) => (link(&run.id, "lineage", id.as_str())),
                                    None => "–",
                                }
                            }
                        }
                    }
                    @if rows.is_empty() { tr { td colspan="11" { "Nothing matches." } } }
                }
            }
        }
    }
}

/// A moment in UTC.
pub(crate) fn time(ms: i64) -> String {
    format!("{} UTC", shown::instant(ms))
}
