use gyre_lineage::RunRow;
use gyre_orchestrator::RoundSummary;
use gyre_round::{Cost, ModelUsage, Stage};
use maud::{Markup, html};

use super::chart::{self, Bar, Point, count};
use super::layout::Page;
use super::parts::{export, figure, pages, rate, seconds, time, usage};
use super::text::hostile;
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// Runs listed on a page.
const RUNS: u32 = 50;

/// The runs of the database.
pub(crate) fn home(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let params = &asked.params;
    let store = &app.project.store;
    let page = app.project.wait(store.runs_page(params.cursor()?.as_ref(), RUNS))?;
    let body = html! {
        h1 { "Runs" }
        @if page.rows.is_empty() {
            p.notice { "Nothing is recorded yet. " code { "gyre run" } " starts a run." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Runs" {
                table {
                    thead { tr {
                        th scope="col" { "Run" } th scope="col" { "Status" } th.n scope="col" { "Seed" }
                        th.n scope="col" { "Events" } th scope="col" { "Begun" }
                    } }
                    tbody { @for run in &page.rows { tr {
                        th scope="row" { a href=(format!("/runs/{}", run.id)) { (run.id) } }
                        td { span.tag.(run.status.as_str()) { (run.status) } }
                        td.n { (run.seed) }
                        td.n { (count(run.last_seq)) }
                        td { (time(run.created_at_ms)) }
                    } } }
                }
            }
            (pages(params, page.next.as_ref()))
        }
        (export(params))
    };
    Ok(Page { title: "Runs".to_owned(), run: None, section: "runs", body })
}

/// How a run stands, round by round.
pub(crate) fn run(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let figures = app.figures(run)?;
    let rounds = &figures.rounds;
    let body = html! {
        h1 { (run.id) }
        p.quiet { (run.status) " · seed " (run.seed) " · begun " (time(run.created_at_ms)) }
        dl.figures { (headline(rounds)) }
        h2 { "Held-out pass@1" }
        (pass_chart(run, rounds))
        ul.legend { li { "filled: promoted" } li { "hollow: not promoted" } li { "whiskers: 95% Wilson interval" } }
        (costs(run, rounds))
        h2 { "Rounds" }
        (table(run, rounds))
        (alarms(rounds))
        (export(params))
    };
    Ok(Page { title: run.id.to_string(), run: Some(run.id.clone()), section: "overview", body })
}

fn headline(rounds: &[RoundSummary]) -> Markup {
    let champion = rounds.iter().rev().find(|round| round.promoted);
    let base = rounds.first();
    let promoted = rounds.iter().skip(1).filter(|round| round.promoted).count();
    let ended = |stage: Stage| rounds.iter().filter(|round| round.stage == stage.name()).count();
    let (rejected, collected) = (ended(Stage::Rejected), ended(Stage::Collected));
    let rollouts: u64 = rounds.iter().map(|round| u64::from(round.rollouts)).sum();
    let invalid: u64 =
        rounds.iter().flat_map(|round| round.invalid.values()).map(|n| u64::from(*n)).sum();
    let rows: u64 = rounds.iter().map(|round| u64::from(round.rows)).sum();
    let tokens: u64 = rounds.iter().map(|round| round.tokens).sum();
    let time: f64 = rounds.iter().map(|round| round.seconds).sum();
    let asked = rounds.iter().filter_map(|round| round.usage).reduce(ModelUsage::plus);
    let cost = rounds.iter().filter_map(|round| round.cost.clone()).reduce(Cost::plus);
    let yielded = if rollouts == 0 { 0.0 } else { rows as f64 / rollouts as f64 };
    let invalid_share = if rollouts == 0 { 0.0 } else { invalid as f64 / rollouts as f64 };
    let held_out =
        champion.and_then(|round| round.pass_at_1).map_or("–".to_owned(), chart::percent);
    let before =
        base.and_then(|round| round.pass_at_1).map(|rate| format!("base {}", chart::percent(rate)));
    html! {
        (figure("Champion, pass@1", &held_out, &before.unwrap_or_default()))
        @if collected > 0 { (figure("Collected", &collected.to_string(), "rounds; nobody trains")) }
        @else { (figure("Promoted", &promoted.to_string(), &format!("{rejected} rejected"))) }
        (figure("Rollouts", &count(rollouts), &format!("{} tokens", count(tokens))))
        (figure("Yield", &chart::percent(yielded), &format!("{} rows published", count(rows))))
        (figure("Invalid", &chart::percent(invalid_share), &format!("{} rollouts", count(invalid))))
        @if let Some(asked) = &asked { (usage(asked, cost.as_ref())) }
        (figure("Time", &seconds(time), "plan to end, all rounds"))
    }
}

fn pass_chart(run: &RunRow, rounds: &[RoundSummary]) -> Markup {
    let points: Vec<_> = rounds
        .iter()
        .filter_map(|round| {
            Some(Point {
                label: if round.round == 0 { "base".to_owned() } else { round.round.to_string() },
                rate: round.pass_at_1?,
                interval: round.interval?,
                marked: round.promoted,
                href: format!("/runs/{}/rounds/{}", run.id, round.round),
            })
        })
        .collect();
    html! {
        @if points.is_empty() { p.notice { "No candidate has been evaluated yet." } }
        @else { (chart::rates(&points)) }
    }
}

/// What each round gave and cost.
fn costs(run: &RunRow, rounds: &[RoundSummary]) -> Markup {
    let bars = |value: &dyn Fn(&RoundSummary) -> Option<(f64, String)>| -> Vec<Bar> {
        let bar = |round: &RoundSummary| {
            let (value, shown) = value(round)?;
            let href = format!("/runs/{}/rounds/{}", run.id, round.round);
            let label = if round.round == 0 { "base".to_owned() } else { round.round.to_string() };
            Some(Bar { label, value, shown, href })
        };
        rounds.iter().filter_map(bar).collect()
    };
    let of_rollouts = |n: u32, round: &RoundSummary| {
        let share = f64::from(n) / f64::from(round.rollouts);
        (round.rollouts > 0).then(|| (share, chart::percent(share)))
    };
    let yielded = bars(&|round| of_rollouts(round.rows, round));
    let invalid = bars(&|round| of_rollouts(round.verdicts.invalid, round));
    let tokens = bars(&|round| {
        let tokens = round.tokens as f64 / f64::from(round.rows);
        (round.rows > 0).then(|| (tokens, count(tokens.round() as u64)))
    });
    let time = bars(&|round| Some((round.seconds, seconds(round.seconds))));
    html! {
        @if !yielded.is_empty() {
            h2 { "Yield and cost by round" }
            div.charts {
                figure { figcaption { "Rows published, of rollouts" } (chart::bars("Rows published by round, as a share of rollouts", "pass", &yielded)) }
                figure { figcaption { "Invalid, of rollouts" } (chart::bars("Invalid rollouts by round, as a share", "invalid", &invalid)) }
                figure { figcaption { "Tokens sampled for a published row" } (chart::bars("Tokens for a published row, by round", "plain", &tokens)) }
                figure { figcaption { "Time" } (chart::bars("Time by round, from plan to end", "plain", &time)) }
            }
        }
    }
}

/// Why a round promoted nothing, in one sentence.
fn why_not(round: &RoundSummary) -> String {
    let reasons = round.reasons.iter().map(ToString::to_string);
    let approval = round.approval.as_ref().filter(|_| !round.promoted);
    let approval = approval.map(|approval| format!("its approval is {}", approval.state));
    reasons.chain(approval).chain(round.cause.clone()).collect::<Vec<_>>().join("; ")
}

fn table(run: &RunRow, rounds: &[RoundSummary]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rounds" {
            table {
                thead { tr {
                    th scope="col" { "Round" } th scope="col" { "Outcome" } th.n scope="col" { "pass@1 (95%)" }
                    th.n scope="col" { "Rollouts" } th.n scope="col" { "Passed" } th.n scope="col" { "Invalid" }
                    th.n scope="col" { "Rows" } th.n scope="col" { "Tokens" } th.n scope="col" { "Time" }
                    th scope="col" { "Why not" }
                } }
                tbody { @for round in rounds { tr {
                    th scope="row" {
                        a href=(format!("/runs/{}/rounds/{}", run.id, round.round)) {
                            @if round.round == 0 { "base" } @else { "round " (round.round) }
                        }
                    }
                    td { span.tag.(round.stage.replace(' ', "-")) { (round.stage) } }
                    td.n { (rate(round.pass_at_1, round.interval)) }
                    td.n { (count(round.rollouts.into())) }
                    td.n { (rate(round.verdicts.pass_rate(), None)) }
                    td.n { (round.invalid.values().sum::<u32>()) }
                    td.n { (count(round.rows.into())) }
                    td.n { (count(round.tokens)) }
                    td.n { (seconds(round.seconds)) }
                    td.wrap {
                        (hostile(&why_not(round)))
                    }
                } } }
            }
        }
    }
}

fn alarms(rounds: &[RoundSummary]) -> Markup {
    let told: Vec<_> = rounds.iter().flat_map(|r| r.alarms.iter().map(|a| (r.round, a))).collect();
    html! {
        @if !told.is_empty() {
            h2 { "Alarms" }
            ul { @for (round, alarm) in told { li { "round " (round) ": " (hostile(alarm)) } } }
        }
    }
}
