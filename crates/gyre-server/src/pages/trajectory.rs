use std::iter;

use gyre_dataset::find_branches;
use gyre_lineage::{RolloutFilter, RolloutWithVerdict, RunRow, VerdictRow};
use gyre_orchestrator::{Replay, record_of};
use gyre_types::{
    Answer, CheckResult, Message, Role, RolloutId, RolloutRecord, ToolCall, TurnRecord,
};
use maud::{Markup, html};

use super::chart::count;
use super::layout::Page;
use super::parts::{export, link, trail, verdict};
use super::text::{block, code, hostile};
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// One rollout, whole.
pub(crate) fn page(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let id: RolloutId = asked.name("rollout").parse()?;
    let row = find(app, run, &id)?;
    let record = record_of(&app.project, &run.id, &row)?;
    let store = &app.project.store;
    let verdicts = app.project.wait(store.verdicts(&run.id, &id))?;
    let filter = RolloutFilter {
        task: Some(row.rollout.task.clone()),
        round: Some(row.rollout.round),
        ..RolloutFilter::default()
    };
    let siblings = app.project.wait(store.rollouts_page(&run.id, &filter, None, 20))?.rows;
    let body = html! {
        (trail(run, &[("rollouts", format!("/runs/{}/rollouts", run.id))]))
        h1 { span.id { (id) } " " (verdict(row.verdict.as_ref().map(|v| &v.verdict))) }
        (facts(run, &row, &record))
        h2 { "Trajectory" }
        (messages(&record.messages))
        h2 { "Answer" }
        (answer(&record.answer))
        @if let Some(newest) = &row.verdict { (checks(newest)) }
        (tokens(&record))
        (earlier(&verdicts))
        (others(run, &id, &siblings))
        (replay_form(app, run, &id, asked.signed_in))
        (export(params))
    };
    Ok(Page { title: id.to_string(), run: Some(run.id.clone()), section: "rollouts", body })
}

/// What was left to be graded.
fn answer(answer: &Answer) -> Markup {
    match answer {
        Answer::Program(program) => code(program),
    }
}

/// A rollout of a run.
pub(crate) fn find(app: &App, run: &RunRow, id: &RolloutId) -> Result<RolloutWithVerdict, Failure> {
    let row = app.project.wait(app.project.store.rollout(&run.id, id))?;
    row.ok_or_else(|| Failure::not_found("rollout", id.as_str()))
}

fn facts(run: &RunRow, row: &RolloutWithVerdict, record: &RolloutRecord) -> Markup {
    let r = &row.rollout;
    html! {
        dl.facts {
            dt { "Task" } dd { (link(&run.id, "tasks", r.task.as_str())) ", sample " (r.sample) ", " (r.purpose) " part, round " (r.round) }
            dt { "Policy" } dd {
                @if let Some(id) = &r.checkpoint { (link(&run.id, "lineage", id.as_str())) ", " }
                "temperature " (record.sampling.temperature) ", at most " (record.turns_max) " turns"
            }
            dt { "Ended" } dd { (r.stop.as_str().replace('_', " ")) " after " (r.turns) " turns, " (count(r.tokens)) " tokens, " (count(r.fuel)) " fuel" }
            @if let Some(v) = &row.verdict {
                dt { "Judged" } dd { "in " (v.guests) " guests, " (count(v.fuel)) " fuel, revision " (v.revision) }
                dt { "Verifier" } dd { a.id href=(format!("/verifiers/{}", v.verifier_digest)) { (v.verifier_digest) } }
            }
            dt { "Sandbox" } dd.id { (record.sandbox_digest) }
            dt { "Policy digest" } dd.id { (r.policy_digest) }
            dt { "Answer digest" } dd.id { (r.answer_digest) }
            dt { "Chain" } dd.id { (r.chain) }
            dt { "Seed" } dd.id { (r.seed) }
            dt { "Lineage" } dd { (link(&run.id, "lineage", r.id.as_str())) }
        }
    }
}

/// The messages in order, each in full.
pub(crate) fn messages(messages: &[Message]) -> Markup {
    html! { @for message in messages { (turn(message)) } }
}

/// One message, in full.
pub(crate) fn turn(message: &Message) -> Markup {
    let role = role(message.role);
    html! {
        section.turn.(role) {
            h3 { (role) @if let Some(id) = &message.tool_call_id { " · answer to " (hostile(id)) } }
            @if !message.content.is_empty() {
                @if message.role == Role::Assistant { (code(&message.content)) } @else { (block(&message.content)) }
            }
            @for call in &message.tool_calls { (tool_call(call)) }
        }
    }
}

fn tool_call(call: &ToolCall) -> Markup {
    // Arguments are JSON with the program inside: shown as the program it is,
    // where that is all there is.
    let arguments =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&call.arguments);
    html! {
        p.quiet { "calls " b { (hostile(&call.name)) } " · " span.id { (hostile(&call.id)) } }
        @match arguments {
            Ok(arguments) => @for (name, value) in &arguments {
                p.quiet { (hostile(name)) }
                @match value.as_str() {
                    Some(text) => (code(text)),
                    None => (block(&value.to_string())),
                }
            },
            Err(_) => (block(&call.arguments)),
        }
    }
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn checks(row: &VerdictRow) -> Markup {
    html! {
        h2 { "Checks" }
        @if let gyre_types::Verdict::Invalid { reason } = &row.verdict {
            p.notice.bad { "No verdict could be given: " (hostile(&reason.to_string())) }
        }
        (check_table(&row.checks))
    }
}

/// Checks with what each saw.
pub(crate) fn check_table(checks: &[CheckResult]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Checks" { table {
            thead { tr { th scope="col" { "Check" } th scope="col" { "Outcome" } th.n scope="col" { "Weight" } th scope="col" { "Detail" } } }
            tbody {
                @for check in checks { tr {
                    th scope="row" { (hostile(&check.name)) }
                    td { @if check.passed { span.tag.pass { "agreed" } } @else { span.tag.fail { "differed" } } }
                    td.n { (check.weight) }
                    td.wrap.id { (hostile(&check.detail)) }
                } }
                @if checks.is_empty() { tr { td colspan="4" { "No check was recorded." } } }
            }
        } }
    }
}

fn tokens(record: &RolloutRecord) -> Markup {
    let before = iter::once(None).chain(record.turns.iter().map(Some));
    let turns = record.turns.iter().zip(before).zip(find_branches(&record.turns));
    html! {
        h2 { "Tokens" }
        p.quiet { "What the engine read and what it sampled, turn by turn. In a published row, the turn that gave the answer carries the loss." }
        @if record.spans_versions() {
            p.notice { "More than one version of the policy answered: " (hostile(&record.answered_by().join(", "))) }
        }
        @for (at, ((turn, before), is_branch)) in turns.enumerate() {
            (turn_tokens(at, turn, before.filter(|_| !is_branch)))
            @if is_branch { p.notice { "The prompt of turn " (at + 1) " does not extend turn " (at) ": the two are no single sequence of tokens." } }
        }
    }
}

/// One turn's tokens. `before` is the turn that its prompt extends, if it extends one.
fn turn_tokens(at: usize, turn: &TurnRecord, before: Option<&TurnRecord>) -> Markup {
    let repeated = before.map_or(0, |before| before.prompt_tokens.len() + before.tokens.len());
    let prompt = turn.prompt_tokens.get(repeated..).unwrap_or_default();
    let logprobs = turn.logprobs.iter().map(|p| format!("{p:.3}")).collect::<Vec<_>>().join(" ");
    html! {
        details {
            summary {
                "Turn " (at + 1) ": " (known(turn.prompt_tokens.len(), turn.usage.prompt)) " in the prompt, "
                (known(turn.tokens.len(), turn.usage.completion)) " sampled, " (count(turn.fuel)) " fuel"
            }
            @if let Some(model) = &turn.model { p.quiet { "Answered by " (hostile(model)) } }
            @if !prompt.is_empty() {
                p.quiet { "Prompt" @if repeated > 0 { ", after the " (count(repeated as u64)) " tokens of the turns before" } }
                (block(&ids(prompt)))
            }
            @if let Some(reasoning) = &turn.reasoning { p.quiet { "Reasoning" } (block(reasoning)) }
            @if !turn.tokens.is_empty() { p.quiet { "Sampled" } (block(&ids(&turn.tokens))) }
            @if !logprobs.is_empty() { p.quiet { "Log probabilities" } (block(&logprobs)) }
            p.quiet { "Chain " span.id { (turn.chain) } }
        }
    }
}

fn ids(tokens: &[u32]) -> String {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// How many tokens: those that are known, or else as many as the engine counted.
fn known(tokens: usize, counted: u64) -> String {
    match (tokens as u64, counted) {
        (0, 0) => "0 tokens".to_owned(),
        (0, counted) => format!("{} tokens (ids unknown)", count(counted)),
        (known, _) => format!("{} tokens", count(known)),
    }
}

fn earlier(verdicts: &[VerdictRow]) -> Markup {
    html! {
        @if verdicts.len() > 1 {
            h2 { "Verdicts over time" }
            ol { @for row in verdicts { li {
                "revision " (row.revision) ": " (verdict(Some(&row.verdict))) " by " span.id { (row.verifier_digest.short()) }
            } } }
        }
    }
}

fn others(run: &RunRow, id: &RolloutId, siblings: &[RolloutWithVerdict]) -> Markup {
    let others: Vec<_> = siblings.iter().filter(|row| row.rollout.id != *id).collect();
    html! {
        @if !others.is_empty() {
            h2 { "Other attempts of this round" }
            ul { @for row in others { li {
                (link(&run.id, "rollouts", row.rollout.id.as_str())) " "
                (verdict(row.verdict.as_ref().map(|v| &v.verdict))) " "
                a href=(format!("/runs/{}/compare?a={id}&b={}", run.id, row.rollout.id)) { "side by side" }
            } } }
        }
    }
}

fn replay_form(app: &App, run: &RunRow, id: &RolloutId, signed_in: bool) -> Markup {
    html! {
        h2 { "Replay" }
        p { "Runs this rollout again, from its seed, in fresh guests, and compares every byte." }
        @if signed_in {
            form method="post" action=(format!("/runs/{}/rollouts/{id}/replay", run.id)) {
                button type="submit" { "Replay" }
            }
        } @else if app.guard.token.is_some() {
            p { a href="/login" { "Sign in" } " to replay it here, or run " code { "gyre replay " (id) } "." }
        } @else {
            p { "This service has no token, so it starts nothing: run " code { "gyre replay " (id) } "." }
        }
    }
}

/// What a replay came to.
pub(crate) fn replayed(run: &RunRow, replay: Replay) -> Result<Page, Failure> {
    let href = format!("/runs/{}/rollouts/{}", run.id, replay.rollout);
    let body = html! {
        (trail(run, &[("rollouts", format!("/runs/{}/rollouts", run.id)), ("rollout", href)]))
        h1 { "Replay of " span.id { (replay.rollout) } }
        @if replay.identical {
            p.notice { "Identical: every byte came out as it is recorded." }
        } @else {
            p.notice.bad { "It differs in:" }
            ul { @for difference in &replay.differences { li { (hostile(difference)) } } }
        }
    };
    Ok(Page {
        title: format!("Replay of {}", replay.rollout),
        run: Some(run.id.clone()),
        section: "rollouts",
        body,
    })
}
