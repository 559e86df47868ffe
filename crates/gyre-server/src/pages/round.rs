use std::collections::BTreeMap;

use gyre_lineage::{GateRow, RunRow};
use gyre_orchestrator::{RoundSummary, inspect};
use gyre_round::{GateRecord, RoundEvent, RoundState};
use gyre_types::Split;
use maud::{Markup, html};

use super::approval;
use super::chart::{self, count};
use super::layout::Page;
use super::parts::{export, figure, link, rate, seconds, time, trail, usage};
use super::text::hostile;
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// One round: how far it is, what was kept, and what decided.
pub(crate) fn page(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let number = asked.round()?;
    let (state, events) = inspect::round_state(&app.project, run, number)?;
    if events.is_empty() {
        return Err(Failure::not_found("round", &number.to_string()));
    }
    let summary = inspect::round_summary(&app.project, run, number)?;
    let gate = inspect::gate(&app.project, &run.id, number)?;
    let handovers = inspect::handovers(&app.project, &run.id)?;
    let name = if number == 0 { "Cold start".to_owned() } else { format!("Round {number}") };
    let body = html! {
        (trail(run, &[]))
        h1 { (name) " " span.tag.(summary.stage.replace(' ', "-")) { (summary.stage) } }
        @if let Some(cause) = &summary.cause { p.notice.bad { (hostile(cause)) } }
        dl.figures { (headline(&summary)) }
        @if !state.stage.is_terminal() { (live(run)) }
        (verdicts(&summary))
        (funnel(&events))
        (gate_section(run, &summary, gate.as_ref()))
        (approval::section(app, run, &summary, asked.signed_in))
        (approval::handovers(&handovers, number))
        (levels(&summary))
        (guards(&summary))
        (stages(run, &state, &events))
        p { a href=(format!("/runs/{}/rollouts?round={number}", run.id)) { "Rollouts of this round" } }
        (export(params))
    };
    let title = format!("{} {}", run.id, name.to_lowercase());
    Ok(Page { title, run: Some(run.id.clone()), section: "", body })
}

fn headline(summary: &RoundSummary) -> Markup {
    let interval = summary
        .interval
        .map(|[low, high]| format!("95%: {:.1} to {:.1}", 100.0 * low, 100.0 * high));
    let pass = summary.pass_at_1.map_or("–".to_owned(), chart::percent);
    let groups = summary.groups.as_ref().map_or(String::new(), |groups| {
        format!("and {} attempts in groups", count(groups.attempts.into()))
    });
    html! {
        (figure("Held-out pass@1", &pass, &interval.unwrap_or_default()))
        (figure("Rollouts", &count(summary.rollouts.into()), &format!("{} tokens", count(summary.tokens))))
        (figure("Passed", &rate(summary.verdicts.pass_rate(), None), "of those with a verdict"))
        (figure("Rows published", &count(summary.rows.into()), &groups))
        @if let Some(asked) = &summary.usage { (usage(asked, summary.cost.as_ref())) }
        (figure("Time", &seconds(summary.seconds), ""))
    }
}

/// Filled by the script as events are recorded.
fn live(run: &RunRow) -> Markup {
    html! {
        section.live aria-label="Live progress" data-events=(format!("/api/v1/runs/{}/events?after={}", run.id, run.last_seq)) hidden {
            h2 { "Live" }
            ol aria-live="polite" {}
        }
    }
}

fn verdicts(summary: &RoundSummary) -> Markup {
    let v = summary.verdicts;
    html! {
        @if v.total() > 0 {
            h2 { "Verdicts" }
            (chart::stacked(&[("pass", "passed", v.passed.into()), ("fail", "failed", v.failed.into()), ("invalid", "invalid", v.invalid.into())]))
            ul.legend {
                li.pass { b { (count(v.passed.into())) } " passed" }
                li.fail { b { (count(v.failed.into())) } " failed" }
                li.invalid { b { (count(v.invalid.into())) } " invalid" }
            }
            @if !summary.invalid.is_empty() {
                p { "Invalid, held-out rollouts included: "
                    @for (kind, n) in &summary.invalid { (hostile(kind)) " " (n) " " } }
            }
        }
    }
}

fn funnel(events: &[(i64, RoundEvent)]) -> Markup {
    let funnel = events.iter().find_map(|(_, event)| match event {
        RoundEvent::Curated { funnel, .. } => Some(funnel),
        _ => None,
    });
    let refused = events.iter().find_map(|(_, event)| match event {
        RoundEvent::TasksGenerated { refused, .. } if !refused.is_empty() => Some(refused),
        _ => None,
    });
    html! {
        @if let Some(funnel) = funnel {
            h2 { "Curation" }
            (counted("What became of the rollouts", funnel, funnel.get("candidates").copied()))
        }
        @if let Some(refused) = refused {
            h2 { "Proposals that admission refused" }
            (counted("By gate and reason", refused, None))
        }
    }
}

fn counted(caption: &str, counts: &BTreeMap<String, u32>, total: Option<u32>) -> Markup {
    let total = total.unwrap_or_else(|| counts.values().sum()).max(1);
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), (*name).clone()));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) { table {
            caption { (caption) }
            thead { tr { th scope="col" { "What" } th.n scope="col" { "Count" } th scope="col" { "Share" } } }
            tbody { @for (name, n) in sorted { tr {
                th scope="row" { (hostile(&name.replace('_', " "))) }
                td.n { (count((*n).into())) }
                td { (chart::share(f64::from(*n) / f64::from(total))) }
            } } }
        } }
    }
}

fn gate_section(run: &RunRow, summary: &RoundSummary, gate: Option<&GateRow>) -> Markup {
    let Some(gate) = gate else { return html! {} };
    // A record of a later version is still told of, by its digest.
    let record: Option<GateRecord> = serde_json::from_value(gate.record.clone()).ok();
    html! {
        h2 { "Gate: " (gate.decision) }
        dl.facts {
            dt { "Candidate" } dd { (link(&run.id, "lineage", gate.candidate.as_str())) }
            dt { "Champion then" } dd { (link(&run.id, "lineage", gate.champion.as_str())) }
            dt { "Record" } dd.id { (gate.digest) }
        }
        @if !summary.reasons.is_empty() {
            ul { @for reason in &summary.reasons { li { (hostile(&reason.to_string())) } } }
        }
        @if let Some(record) = record { (evidence(run, &record)) }
    }
}

fn evidence(run: &RunRow, record: &GateRecord) -> Markup {
    let overall = &record.overall;
    let points = |value: f64| format!("{:+.1}", 100.0 * value);
    html! {
        dl.facts {
            dt { "p-value" } dd { (format!("{:.4}", record.p_value)) " at level " (format!("{:.4}", record.alpha)) ", one-sided exact McNemar" }
            dt { "Gain in points" } dd { (points(overall.gain.value)) " [" (points(overall.gain.interval.low)) ", " (points(overall.gain.interval.high)) "]" }
            dt { "Pairs" } dd { (overall.table.n) ": " (overall.table.wins) " won, " (overall.table.losses) " lost, " (overall.table.both) " solved by both, " (overall.table.neither) " by neither" }
            dt { "Not known" } dd { (record.unknown.total()) }
        }
        div.scroll tabindex="0" role="region" aria-label="Gate by level" { table {
            caption { "Gate part, by family and level" }
            thead { tr { th scope="col" { "Level" } th.n scope="col" { "Pairs" } th.n scope="col" { "Champion" } th.n scope="col" { "Candidate" } th.n scope="col" { "Gain" } } }
            tbody { @for level in &record.per_difficulty { tr {
                th scope="row" { (hostile(&level.family)) " " (level.difficulty) }
                td.n { (level.breakdown.table.n) }
                td.n { (chart::percent(level.breakdown.champion.value)) }
                td.n { (chart::percent(level.breakdown.candidate.value)) }
                td.n { (points(level.breakdown.gain.value)) }
            } } }
        } }
        h3 { "Passed by the champion, failed by the candidate (" (record.flips_lost.len()) ")" }
        @if record.flips_lost.is_empty() { p.quiet { "None." } }
        @else { ul.legend { @for task in &record.flips_lost { li { (link(&run.id, "tasks", task.as_str())) } } } }
    }
}

fn levels(summary: &RoundSummary) -> Markup {
    html! {
        @if !summary.levels.is_empty() {
            h2 { "Test part, by level" }
            div.scroll tabindex="0" role="region" aria-label="Test part by level" { table {
                thead { tr { th scope="col" { "Level" } th.n scope="col" { "pass@1" } th scope="col" { "Share" } th.n scope="col" { "Solved" } th.n scope="col" { "Tasks" } } }
                tbody { @for (name, level) in &summary.levels { tr {
                    th scope="row" { (hostile(name)) }
                    td.n { (chart::percent(level.pass_at_1)) }
                    td { (chart::share(level.pass_at_1)) }
                    td.n { (level.passed) }
                    td.n { (level.tasks) }
                } } }
            } }
        }
    }
}

fn guards(summary: &RoundSummary) -> Markup {
    let (canaries, again) = (summary.canaries, summary.rechecked);
    html! {
        @if canaries.total() > 0 || again.repeated > 0 || !summary.alarms.is_empty() {
            h2 { "Checks on the verifiers" }
            dl.facts {
                dt { "Impossible tasks" } dd { (canaries.failed) " refused, " (canaries.passed) " accepted, " (canaries.invalid) " invalid" }
                dt { "Judged again" } dd { (again.repeated) ", " (again.differed) " differed" }
                @for alarm in &summary.alarms { dt { "Alarm" } dd { (hostile(alarm)) } }
            }
        }
    }
}

fn stages(run: &RunRow, state: &RoundState, events: &[(i64, RoundEvent)]) -> Markup {
    html! {
        h2 { "Log" }
        @if let Some(candidate) = &state.candidate { p { "Candidate " (link(&run.id, "lineage", candidate.as_str())) } }
        details open[events.len() <= 20] {
            summary { (events.len()) " events" }
            div.scroll tabindex="0" role="region" aria-label="Events" { table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Event" } th scope="col" { "What" } } }
                tbody { @for (at, event) in events { tr {
                    td { (time(*at)) }
                    th scope="row" { (event.kind().replace('_', " ")) }
                    td.wrap { (what(event)) }
                } } }
            } }
        }
    }
}

fn what(event: &RoundEvent) -> Markup {
    html! { @match event {
        RoundEvent::Planned { plan } => { (plan.slots.len()) " tasks asked for, " (plan.phases.len()) " phases" }
        RoundEvent::TasksGenerated { admitted, refused, .. } => {
            @for (split, n) in admitted { (n) " " (Split::as_str(*split)) " " } "admitted, " (refused.values().sum::<u32>()) " refused"
        }
        RoundEvent::PhaseOpened { phase, rollouts, waves } => { "phase " (phase) ": " (rollouts) " rollouts in " (waves) " waves" }
        RoundEvent::WaveRolledOut { at, rollouts, tokens, .. } => { "phase " (at.phase) " wave " (at.wave) ": " (rollouts) " rollouts, " (count(*tokens)) " tokens" }
        RoundEvent::WaveVerified { at, counts, .. } => { "phase " (at.phase) " wave " (at.wave) ": " (counts.passed) " passed, " (counts.failed) " failed, " (counts.invalid) " invalid" }
        RoundEvent::Checked { canaries, alarms, .. } => { (canaries.total()) " impossible tasks, " (alarms) " alarms" }
        RoundEvent::Curated { rows, groups, .. } => {
            (rows) " rows"
            @if let Some(groups) = groups { ", " (groups.attempts) " attempts in " (groups.groups) " groups, " (groups.invalid) " without a verdict left out" }
        }
        RoundEvent::Trained { steps, tokens, loss, .. } => { (steps) " steps, " (count(*tokens)) " tokens, loss " (format!("{loss:.4}")) }
        RoundEvent::Evaluated { part, counts, .. } => { (part) " part: " (counts.passed) " of " (counts.total()) " passed" }
        RoundEvent::Decided { approval: Some(_), .. } => { "passed, waits for approval" }
        RoundEvent::Decided { decision, .. } => { @if decision.is_promotion() { "promoted" } @else { "rejected" } }
        RoundEvent::Approved { by } => { "by " (hostile(by)) }
        RoundEvent::Declined { by, why } => { "by " (hostile(by)) @if let Some(why) = why { ": " (hostile(why)) } }
        RoundEvent::ApprovalExpired => { "the champion stays" }
        RoundEvent::Failed { cause, .. } | RoundEvent::BudgetSpent { cause, .. } => { (hostile(cause)) }
        RoundEvent::Cancelled => { "stopped" }
    } }
}
