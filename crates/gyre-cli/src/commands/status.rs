use gyre_orchestrator::{RoundSummary, inspect};
use gyre_types::RunId;

use crate::args::Global;
use crate::{output, session};

/// Runs listed, at most.
const RUNS: u32 = 100;

pub(crate) fn status(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let mut table = output::table(["run", "status", "seed", "round", "stage", "champion", "begun"]);
    let mut rows = Vec::new();
    for run in project.wait(project.store.runs(RUNS))? {
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
        table.add_row([
            run.id.to_string(),
            run.status.to_string(),
            run.seed.to_string(),
            format!("{}/{}", current.0, config.rounds),
            current.1.clone(),
            champion.clone().unwrap_or_else(|| "-".to_owned()),
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
            "created_at_ms": run.created_at_ms,
            "fingerprint": run.fingerprint,
        }));
    }
    if global.json {
        return output::json_pretty(&rows);
    }
    if rows.is_empty() {
        output::line("no runs yet; `gyre run` starts one");
    } else {
        output::print(&table);
    }
    Ok(())
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
    let mut table = output::table([
        "round",
        "held-out pass@1 (95%)",
        "outcome",
        "rollouts",
        "passed",
        "invalid",
        "rows",
        "time",
        "checkpoint",
    ]);
    for round in rounds {
        let figure = match (round.pass_at_1, round.interval) {
            (Some(rate), Some(interval)) => output::percent_with(rate, interval),
            _ => "-".to_owned(),
        };
        let judged = f64::from(round.verdicts.total());
        let passed = if judged > 0.0 {
            output::percent(f64::from(round.verdicts.passed) / judged)
        } else {
            "-".to_owned()
        };
        table.add_row([
            if round.round == 0 { "base".to_owned() } else { round.round.to_string() },
            figure,
            round.stage.clone(),
            round.rollouts.to_string(),
            passed,
            round.verdicts.invalid.to_string(),
            round.rows.to_string(),
            output::seconds(round.seconds),
            round.checkpoint.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]);
    }
    output::print(&table);
}
