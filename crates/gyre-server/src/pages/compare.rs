use gyre_lineage::RunRow;
use gyre_orchestrator::record_of;
use gyre_types::{Answer, Message, RolloutId, RolloutRecord};
use maud::{Markup, html};

use super::layout::Page;
use super::parts::{export, field, link, trail, verdict};
use super::text::hostile;
use super::trajectory::{find, role, turn};
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// Two rollouts side by side, with what they share told once.
pub(crate) fn page(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let ids = (params.get::<RolloutId>("a")?, params.get::<RolloutId>("b")?);
    let body = html! {
        (trail(run, &[("rollouts", format!("/runs/{}/rollouts", run.id))]))
        h1 { "Two rollouts side by side" }
        form.filters method="get" {
            (field("a", "First", "search", params))
            (field("b", "Second", "search", params))
            button type="submit" { "Compare" }
        }
        @if let (Some(a), Some(b)) = ids { (side_by_side(app, run, [&a, &b])?) }
        @else { p.notice { "Give two ids, such as roll-0123456789abcdef; a rollout's page links to the other attempts of its round." } }
        (export(params))
    };
    Ok(Page {
        title: "Side by side".to_owned(),
        run: Some(run.id.clone()),
        section: "rollouts",
        body,
    })
}

fn side_by_side(app: &App, run: &RunRow, ids: [&RolloutId; 2]) -> Result<Markup, Failure> {
    let mut sides = Vec::new();
    for id in ids {
        let row = find(app, run, id)?;
        let record = record_of(&app.project, &run.id, &row)?;
        sides.push((row, record));
    }
    let records = [&sides[0].1, &sides[1].1];
    let shared = shared_messages(records);
    Ok(html! {
        div.pair {
            @for (row, _) in &sides {
                p { (link(&run.id, "rollouts", row.rollout.id.as_str())) " " (verdict(row.verdict.as_ref().map(|v| &v.verdict)))
                    " " span.quiet { "of " (link(&run.id, "tasks", row.rollout.task.as_str())) } }
            }
        }
        @if shared > 0 {
            details { summary { (shared) " messages that both share" }
                @for message in &records[0].messages[..shared] { (turn(message)) } }
        }
        (divergence(records, shared))
        @for at in shared..records[0].messages.len().max(records[1].messages.len()) {
            div.pair.step {
                @for record in records {
                    div { @match record.messages.get(at) {
                        Some(message) => (turn(message)),
                        None => p.quiet { "It ended before this." },
                    } }
                }
            }
        }
        h2 { "Answers, line by line" }
        (answers(records))
    })
}

/// Messages at the start that are the same in both.
fn shared_messages(records: [&RolloutRecord; 2]) -> usize {
    let pairs = records[0].messages.iter().zip(&records[1].messages);
    pairs.take_while(|(a, b)| a == b).count()
}

fn divergence(records: [&RolloutRecord; 2], shared: usize) -> Markup {
    let at = records.map(|record| record.messages.get(shared));
    html! {
        @match at {
            [None, None] => p.notice { "Both trajectories are the same to their end." },
            [Some(a), Some(b)] => p.notice {
                "They part at message " (shared + 1) " (" (role(a.role)) ")"
                @if let Some(place) = first_difference(a, b) { ", character " (place + 1) ", after " q { (hostile(&before(a, place))) } }
                "."
            },
            _ => p.notice { "One of them ends after message " (shared) "." },
        }
    }
}

/// The character at which two contents part; none where the contents agree.
fn first_difference(a: &Message, b: &Message) -> Option<usize> {
    if a.content == b.content {
        return None;
    }
    let pairs = a.content.chars().zip(b.content.chars());
    Some(pairs.take_while(|(a, b)| a == b).count())
}

/// Some characters before a place.
fn before(message: &Message, place: usize) -> String {
    message.content.chars().skip(place.saturating_sub(30)).take(place.min(30)).collect()
}

fn answers(records: [&RolloutRecord; 2]) -> Markup {
    let lines = records.map(|record| {
        let Answer::Program(program) = &record.answer;
        program.lines().collect::<Vec<_>>()
    });
    html! {
        div.pair {
            @for (own, other) in [(&lines[0], &lines[1]), (&lines[1], &lines[0])] {
                pre.code tabindex="0" { @for (at, line) in own.iter().enumerate() {
                    span.differs[other.get(at) != Some(line)] { (hostile(line)) } "\n"
                } }
            }
        }
    }
}
