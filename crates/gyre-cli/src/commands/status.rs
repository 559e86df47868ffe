use std::collections::BTreeMap;

use gyre_lineage::ApprovalRow;
use gyre_orchestrator::{RoundSummary, inspect, standing, waiting};
use gyre_types::RunId;

use super::handovers;
use crate::args::Global;
use crate::{output, session};

/// Runs listed, at most.
const RUNS: u32 = 100;
pub(crate) fn status(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let mut table = output::table([
        "run", "status", "seed", "round", "stage", "champion", "invalid", "alarms", "begun",
    ]);
    let mut rows = Vec::new();
    for run in project.wait(project.store.runs_page(None, RUNS))?.rows {
        let config = project.config_of(&run)?;
        let mut current = (0, "unplanned".to_owned());
        for round in 0..=config.rounds {
            let (state, events) = inspect::round_state(&project, &run, round)?;
            if events.is_empty() {
                break;
            }
            current = (round, state.stage.name().to_owned());
        }
        let champion = project.wait(project.store.champion(&run.id))?;
        let champion = champion.map(|promotion| promotion.champion.to_string());
        let mut reasons = BTreeMap::<String, u32>::new();
        for count in project.wait(project.store.invalid_reasons(&run.id))? {
            *reasons.entry(count.kind).or_default() += count.rollouts as u32;
        }
        let alarms = project.wait(project.store.alarms(&run.id).collect())?.len();
        table.add_row([
            run.id.to_string(),
            run.status.to_string(),
            run.seed.to_string(),
            format!("{}/{}", current.0, config.rounds),
            current.1.clone(),
            champion.clone().unwrap_or_else(|| "-".to_owned()),
            invalid(&reasons),
            alarms.to_string(),
            output::time(run.created_at_ms),
        ]);
        rows.push(serde_json::json!({
            "run": run.id,
            "status": run.status.as_str(),
            "seed": run.seed,
            "round": current.0,
            "rounds": config.rounds,
            "stage": current.1,
            "champion": champion,
            "invalid": reasons,
            "alarms": alarms,
            "created_at_ms": run.created_at_ms,
            "fingerprint": run.fingerprint,
        }));
    }
    let waiting = waiting(&project)?;
    let undelivered = project.wait(project.store.undelivered_handovers())?;
    if global.json {
        for row in &mut rows {
            row["approval"] = waiting
                .iter()
                .find(|waiting| row["run"] == waiting.run.as_str())
                .map_or(serde_json::Value::Null, approval_json);
            let own = undelivered.iter().filter(|handover| row["run"] == handover.run.as_str());
            row["undelivered_handovers"] = own.map(handovers::as_json).collect();
        }
        return output::json_pretty(&rows);
    }
    output::print_or(&table, "no runs yet; `gyre run` starts one");
    for row in &waiting {
        let (round, candidate) = (row.round, &row.candidate);
        output::line(format!(
            "{}: round {round} waits for approval of {candidate} until {}: `gyre promote {candidate}`, \
             or with --decline",
            row.run,
            output::time(row.expires_at_ms),
        ));
    }
    for row in &undelivered {
        let text = output::visible(&standing(row));
        output::line(format!(
            "{}: the promotion of round {} is {text}",
            row.run, row.handover.round
        ));
    }
    Ok(())
}

fn approval_json(row: &ApprovalRow) -> serde_json::Value {
    serde_json::json!({
        "round": row.round,
        "candidate": row.candidate,
        "asked_at_ms": row.asked_at_ms,
        "expires_at_ms": row.expires_at_ms,
    })
}

pub(crate) fn rounds(global: &Global, run: Option<&RunId>) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let run = project.run(run)?;
    let config = project.config_of(&run)?;
    let mut rounds = Vec::new();
    for round in 0..=config.rounds {
        let summary = inspect::round_summary(&project, &run, round)?;
        if summary.stage == "unplanned" {
            break;
        }
        rounds.push(summary);
    }
    if global.json {
        return output::json_pretty(&rounds);
    }
    output::line(run.id.to_string());
    print_rounds(&rounds);
    Ok(())
}

/// The table of rounds.
pub(crate) fn print_rounds<'a>(rounds: impl IntoIterator<Item = &'a RoundSummary>) {
    let rounds: Vec<_> = rounds.into_iter().collect();
    // Of a model that runs in this process nobody counts what is asked.
    let has_usage = rounds.iter().any(|round| round.usage.is_some());
    let has_cost = rounds.iter().any(|round| round.cost.is_some());
    let columns = [
        ("round", true),
        ("held-out pass@1 (95%)", true),
        ("outcome", true),
        ("rollouts", true),
        ("passed", true),
        ("invalid", true),
        ("rows", true),
        ("requests", has_usage),
        ("tokens in", has_usage),
        ("tokens out", has_usage),
        ("cost", has_cost),
        ("time", true),
        ("checkpoint", true),
    ];
    let shown = |cells: [String; 13]| {
        let cells = cells.into_iter().zip(columns);
        cells.filter_map(|(cell, (_, is_shown))| is_shown.then_some(cell)).collect::<Vec<_>>()
    };
    let mut table = output::table([""; 0]);
    table.set_header(shown(columns.map(|(name, _)| name.to_owned())));
    for round in &rounds {
        let figure = match (round.pass_at_1, round.interval) {
            (Some(rate), Some(interval)) => output::percent_with(rate, interval),
            _ => "-".to_owned(),
        };
        let passed = round.verdicts.pass_rate().map_or("-".to_owned(), output::percent);
        let usage = round.usage.unwrap_or_default();
        table.add_row(shown([
            if round.round == 0 { "base".to_owned() } else { round.round.to_string() },
            figure,
            round.stage.clone(),
            round.rollouts.to_string(),
            passed,
            invalid(&round.invalid),
            round.rows.to_string(),
            output::count(usage.requests),
            output::count(usage.tokens.prompt),
            output::count(usage.tokens.completion),
            round.cost.as_ref().map_or("-".to_owned(), ToString::to_string),
            output::seconds(round.seconds),
            round.checkpoint.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]));
    }
    output::print(&table);
    for round in rounds {
        tell_guards(round);
    }
}

/// What a round noticed of its verifiers, where there is something to tell.
fn tell_guards(round: &RoundSummary) {
    let title = if round.round == 0 { "base".to_owned() } else { format!("round {}", round.round) };
    let differed = round.rechecked.differed;
    if differed > 0 {
        let repeated = round.rechecked.repeated;
        output::line(format!(
            "{title}: {differed} of {repeated} accepts were judged differently the second time"
        ));
    }
    for alarm in &round.alarms {
        output::line(format!("{title}: alarm: {}", output::visible(alarm)));
    }
    if let Some(approval) = &round.approval {
        let by = approval.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
        let why = approval.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let text = output::visible(&format!("{}{by}{why}", approval.state));
        output::line(format!("{title}: approval: {text}"));
    }
    if let Some(cause) = &round.cause {
        output::line(format!("{title}: failed: {}", output::visible(cause)));
    }
}

/// `3 (infrastructure 1, verifier 2)`.
fn invalid(reasons: &BTreeMap<String, u32>) -> String {
    let all: u32 = reasons.values().sum();
    if all == 0 {
        return all.to_string();
    }
    let kinds: Vec<_> = reasons.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    format!("{all} ({})", kinds.join(", "))
}
