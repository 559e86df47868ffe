use gyre_dataset::{Layout, Quantiles, head, stats};
use gyre_orchestrator::{Error, Project, inspect};
use gyre_types::RunId;
use serde_json::json;

use crate::args::{DatasetCommand, Global, OfRun};
use crate::{output, session};

pub(crate) fn dataset(global: &Global, command: DatasetCommand) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    match command {
        DatasetCommand::Ls(OfRun { run }) => ls(global, &project, run.as_ref()),
        DatasetCommand::Head { run, rows } => print_head(global, &project, run.as_ref(), rows),
        DatasetCommand::Stats(OfRun { run }) => print_stats(global, &project, run.as_ref()),
    }
}

fn ls(global: &Global, project: &Project, run: Option<&RunId>) -> anyhow::Result<()> {
    let run = project.run(run)?;
    let shards = inspect::shards(project, &run.id)?;
    if global.json {
        let shards: Vec<_> = shards
            .iter()
            .map(|shard| {
                json!({
                    "id": shard.id, "round": shard.round, "rows": shard.rows, "bytes": shard.bytes,
                    "sha256": shard.sha256, "file": project.data.shown(&shard.path),
                    "superseded": shard.superseded,
                })
            })
            .collect();
        return output::json_pretty(&shards);
    }
    let mut table = output::table(["shard", "round", "rows", "size", "file"]);
    for shard in &shards {
        table.add_row([
            shard.id.to_string(),
            shard.round.to_string(),
            shard.rows.to_string(),
            output::bytes(shard.bytes),
            project.data.shown(&shard.path),
        ]);
    }
    output::print(&table);
    let rows: u64 = shards.iter().map(|shard| u64::from(shard.rows)).sum();
    let folder = project.data.dataset(&run.id);
    output::line(format!("\n{} rows in {}", output::count(rows), folder.root().display()));
    Ok(())
}

fn layout(project: &Project, run: Option<&RunId>) -> Result<Layout, Error> {
    let run = project.run(run)?;
    Ok(project.data.dataset(&run.id))
}

fn print_head(
    global: &Global,
    project: &Project,
    run: Option<&RunId>,
    rows: usize,
) -> anyhow::Result<()> {
    let layout = layout(project, run)?;
    for row in head(&layout, rows).map_err(Error::from)? {
        if global.json {
            output::json(&row)?;
            continue;
        }
        output::line(format!(
            "{} · {} {} · round {}",
            row.rollout_id, row.family, row.difficulty, row.round
        ));
        output::line(format!("  {}", row.instruction.replace('\n', "\n  ")));
        for line in row.completion.lines() {
            output::line(format!("  | {line}"));
        }
        output::line("");
    }
    Ok(())
}

fn print_stats(global: &Global, project: &Project, run: Option<&RunId>) -> anyhow::Result<()> {
    let stats = stats(&layout(project, run)?).map_err(Error::from)?;
    if global.json {
        return output::json_pretty(&stats);
    }
    output::line(format!("{} rows, {}", output::count(stats.rows), output::bytes(stats.bytes)));
    output::line(format!(
        "{} distinct tasks, {} distinct answers",
        output::count(stats.distinct_tasks),
        output::count(stats.distinct_answers)
    ));
    let mut table = output::table(["by", "value", "rows"]);
    let by_round = stats.by_round.iter().map(|(k, n)| ("round", k.to_string(), n));
    let by_family = stats.by_family.iter().map(|(k, n)| ("family", k.clone(), n));
    let by_difficulty = stats.by_difficulty.iter().map(|(k, n)| ("difficulty", k.to_string(), n));
    let by_verdict = stats.by_verdict.iter().map(|(k, n)| ("verdict", k.clone(), n));
    for (by, value, rows) in by_round.chain(by_family).chain(by_difficulty).chain(by_verdict) {
        table.add_row([by.to_owned(), value, rows.to_string()]);
    }
    output::print(&table);
    let mut table = output::table(["per row", "median", "p90", "p99", "max"]);
    for (name, q) in [("tokens", &stats.tokens), ("fuel", &stats.fuel)] {
        let Quantiles { p50, p90, p99, max } = q;
        table.add_row([
            name.to_owned(),
            output::count(*p50),
            output::count(*p90),
            output::count(*p99),
            output::count(*max),
        ]);
    }
    output::print(&table);
    Ok(())
}
