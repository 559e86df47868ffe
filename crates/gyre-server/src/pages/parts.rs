//! Pieces that several pages show.

use gyre_lineage::{RolloutWithVerdict, RunRow};
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
    let days = ms.div_euclid(86_400_000);
    let second = ms.rem_euclid(86_400_000) / 1000;
    // Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// `1 m 05 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{seconds:.1} s"),
        (0, m, s) => format!("{m} m {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} m"),
    }
}

/// `1.5 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}
