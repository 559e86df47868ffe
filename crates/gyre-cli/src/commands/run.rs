use gyre_lineage::{RunRow, RunStatus};
use gyre_orchestrator::{
    Cancel, Error, Harness, Observer, Project, RunConfig, RunSummary, Runner, WorkerMode,
};
use gyre_round::Stage;
use gyre_types::{RunId, Seed};

use crate::args::{Global, RunArgs};
use crate::clock::now_ms;
use crate::live::View;
use crate::{output, session};

pub(crate) fn run(global: &Global, args: &RunArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let cancel = Cancel::default();
    session::stop_on_signal(&runtime, &cancel);
    let summaries = match &args.resume {
        Some(named) => {
            let project = session::open_existing(global, &runtime)?;
            let run = to_resume(&project, named.as_ref())?;
            let mut view = View::of_run(global.json, &project.config_of(&run)?);
            let by = args.workers.map(WorkerMode::from);
            let summary = resume(&project, run, by, &cancel, &mut view);
            view.finish();
            vec![summary?]
        }
        None => {
            let config = configured(args)?;
            let project = session::open_project(global, &runtime, config.database.url.as_deref())?;
            tell_of_unfinished(&project)?;
            start_all(global, &project, &config, &cancel)?
        }
    };
    print(global, &summaries)
}

/// A run that was cut off is easily forgotten: starting another leaves it as it is.
fn tell_of_unfinished(project: &Project) -> Result<(), Error> {
    if let Some(run) = unfinished(project)? {
        tracing::warn!("{} is unfinished; `gyre run --resume` goes on with it", run.id);
    }
    Ok(())
}

fn unfinished(project: &Project) -> Result<Option<RunRow>, Error> {
    let runs = project.wait(project.store.runs().collect())?;
    Ok(runs.into_iter().find(|run| run.status == RunStatus::Active))
}

fn configured(args: &RunArgs) -> Result<RunConfig, Error> {
    let mut config = session::read_config(args.config.as_deref())?;
    if let Some(seed) = args.seed {
        config.seed = Seed(seed);
    }
    if let Some(rounds) = args.rounds {
        config.rounds = rounds;
    }
    if let Some(who) = args.workers {
        config.workers.mode = who.into();
    }
    config.checked().map_err(Error::from)
}

/// One run, or one for each curation of an ablation.
fn start_all(
    global: &Global,
    project: &Project,
    config: &RunConfig,
    cancel: &Cancel,
) -> Result<Vec<RunSummary>, Error> {
    config
        .variants()
        .into_iter()
        .map(|config| {
            let mut view = View::of_run(global.json, &config);
            let summary = start(project, config, cancel, &mut view);
            view.finish();
            summary
        })
        .collect()
}

fn start(
    project: &Project,
    config: RunConfig,
    cancel: &Cancel,
    observer: &mut dyn Observer,
) -> Result<RunSummary, Error> {
    let harness = Harness::open(&config, Some(project), observer)?;
    Runner::start(project.clone(), harness, config, now_ms, cancel.clone(), observer)?.drive()
}

/// The run that was named, or the newest that is unfinished.
fn to_resume(project: &Project, named: Option<&RunId>) -> Result<RunRow, Error> {
    match named {
        Some(id) => project.run(Some(id)),
        None => unfinished(project)?
            .ok_or_else(|| Error::NothingToResume { data_dir: project.data.root().to_owned() }),
    }
}

fn resume(
    project: &Project,
    run: RunRow,
    by: Option<WorkerMode>,
    cancel: &Cancel,
    observer: &mut dyn Observer,
) -> Result<RunSummary, Error> {
    let harness = Harness::open(&project.config_of(&run)?, Some(project), observer)?;
    let runner = Runner::resume(project.clone(), harness, run, now_ms, cancel.clone(), observer)?;
    match by {
        Some(mode) => runner.with_worker_mode(mode).drive(),
        None => runner.drive(),
    }
}

fn print(global: &Global, summaries: &[RunSummary]) -> anyhow::Result<()> {
    if global.json {
        for summary in summaries {
            let mut object = serde_json::to_value(summary)?;
            object["event"] = serde_json::json!("run_finished");
            output::json(&object)?;
        }
        return Ok(());
    }
    for summary in summaries {
        print_run(summary);
    }
    if summaries.len() > 1 {
        print_side_by_side(summaries);
    }
    Ok(())
}

fn print_run(summary: &RunSummary) {
    output::line(format!("\n{}, seed {}", summary.run, summary.seed));
    super::status::print_rounds(std::iter::once(&summary.base).chain(&summary.rounds));
    if summary.rounds.iter().any(|round| round.stage == Stage::Collected.name()) {
        return print_collected(summary);
    }
    let factor =
        summary.factor.map_or(String::new(), |factor| format!(", {factor:.1} times the base"));
    let gain = summary.gain;
    output::line(format!(
        "\nchampion of round {}: held-out pass@1 {}, gain {:+.1} points [{:+.1}, {:+.1}]{factor}; {}",
        summary.champion.round,
        figure(&summary.champion),
        100.0 * gain.value,
        100.0 * gain.interval.low,
        100.0 * gain.interval.high,
        output::seconds(summary.seconds),
    ));
    if let Some(usage) = &summary.usage {
        let requests = output::count(usage.requests);
        let usage = output::usage(usage, summary.cost.as_ref());
        output::line(format!("the model answered {requests} requests: {usage}"));
    }
    if let Some(cause) = &summary.ended_by {
        let (last, asked) = (summary.rounds.last(), "the run ended before its last round");
        let round = last.map_or(0, |round| round.round);
        output::line(format!("{asked}, in round {round}: {}", output::visible(cause)));
    }
    let mut table = output::table(["level", "base", "champion", "tasks"]);
    for (name, champion) in &summary.champion.levels {
        let base = summary.base.levels.get(name).copied().unwrap_or_default();
        table.add_row([
            name.clone(),
            output::percent(base.pass_at_1),
            output::percent(champion.pass_at_1),
            champion.tasks.to_string(),
        ]);
    }
    output::line("");
    output::print(&table);
}

/// A run that trains nothing has no champion to speak of.
fn print_collected(summary: &RunSummary) {
    let rows: u64 = summary.rounds.iter().map(|round| u64::from(round.rows)).sum();
    output::line(format!(
        "\n{} rows collected in {} rounds, by a policy with held-out pass@1 {}; {}",
        output::count(rows),
        summary.rounds.len(),
        figure(&summary.base),
        output::seconds(summary.seconds),
    ));
}

fn print_side_by_side(summaries: &[RunSummary]) {
    let mut table = output::table([
        "curation",
        "run",
        "base",
        "champion",
        "gain (95% paired)",
        "factor",
        "promoted",
    ]);
    for summary in summaries {
        let interval = summary.gain.interval;
        table.add_row([
            summary.curation.as_str().to_owned(),
            summary.run.to_string(),
            figure(&summary.base),
            figure(&summary.champion),
            format!(
                "{:+.1} [{:+.1}, {:+.1}]",
                100.0 * summary.gain.value,
                100.0 * interval.low,
                100.0 * interval.high
            ),
            summary.factor.map_or("-".to_owned(), |factor| format!("x{factor:.2}")),
            summary.rounds.iter().filter(|round| round.promoted).count().to_string(),
        ]);
    }
    output::line("\nside by side, on the same held-out tasks:");
    output::print(&table);
}

fn figure(round: &gyre_orchestrator::RoundSummary) -> String {
    match (round.pass_at_1, round.interval) {
        (Some(rate), Some(interval)) => output::percent_with(rate, interval),
        _ => "-".to_owned(),
    }
}
