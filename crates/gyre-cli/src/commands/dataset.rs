use gyre_dataset::{GroupRow, Layout, Quantiles, head, head_of_groups, stats};
use gyre_lineage::{ShardKind, ShardRow};
use gyre_orchestrator::{Error, Project, inspect};
use gyre_types::RunId;
use serde_json::json;

use crate::args::{DatasetCommand, DatasetConfigArg, Global, OfRun};
use crate::{output, session};

pub(crate) fn dataset(global: &Global, command: DatasetCommand) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    match command {
        DatasetCommand::Ls(OfRun { run }) => ls(global, &project, run.as_ref()),
        DatasetCommand::Head { run, rows, config } => {
            let layout = layout(&project, run.as_ref())?;
            match config {
                DatasetConfigArg::Records => print_head(global, &layout, rows),
                DatasetConfigArg::Groups => print_head_of_groups(global, &layout, rows),
            }
        }
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
                    "id": shard.id, "kind": shard.kind.as_str(), "round": shard.round,
                    "rows": shard.rows, "bytes": shard.bytes,
                    "sha256": shard.sha256, "file": project.data.shown(&shard.path),
                    "superseded": shard.superseded,
                })
            })
            .collect();
        return output::json_pretty(&shards);
    }
    let mut table = output::table(["shard", "kind", "round", "rows", "size", "file"]);
    for shard in &shards {
        table.add_row([
            shard.id.to_string(),
            shard.kind.to_string(),
            shard.round.to_string(),
            shard.rows.to_string(),
            output::bytes(shard.bytes),
            project.data.shown(&shard.path),
        ]);
    }
    output::print(&table);
    let rows = |kind| {
        let current = |shard: &&ShardRow| shard.is_current(kind);
        let rows = shards.iter().filter(current).map(|shard| u64::from(shard.rows));
        output::count(rows.sum())
    };
    let (accepted, attempts) = (rows(ShardKind::Accepted), rows(ShardKind::Groups));
    let folder = project.data.dataset(&run.id);
    let folder = folder.root().display();
    output::line(format!("\n{accepted} rows in {folder}, and {attempts} attempts in whole groups"));
    Ok(())
}

fn layout(project: &Project, run: Option<&RunId>) -> Result<Layout, Error> {
    let run = project.run(run)?;
    Ok(project.data.dataset(&run.id))
}

fn print_head(global: &Global, layout: &Layout, rows: usize) -> anyhow::Result<()> {
    for row in head(layout, rows).map_err(Error::from)? {
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

fn print_head_of_groups(global: &Global, layout: &Layout, rows: usize) -> anyhow::Result<()> {
    for row in head_of_groups(layout, rows).map_err(Error::from)? {
        if global.json {
            output::json(&row)?;
            continue;
        }
        let GroupRow { rollout_id, group, sample, reward, .. } = &row;
        let (verdict, messages) = (row.verdict.name(), row.messages.len());
        output::line(format!(
            "{rollout_id} · {group} · sample {sample} · {verdict}, reward {reward}, {messages} \
             messages, {} turns",
            row.turns.len()
        ));
    }
    Ok(())
}

fn print_stats(global: &Global, project: &Project, run: Option<&RunId>) -> anyhow::Result<()> {
    let stats = stats(&layout(project, run)?).map_err(Error::from)?;
    if global.json {
        return output::json_pretty(&stats);
    }
    output::line(format!("{} rows, {}", output::count(stats.rows), output::bytes(stats.bytes)));
    if stats.attempts > 0 {
        output::line(format!(
            "{} attempts in whole groups, {}",
            output::count(stats.attempts),
            output::bytes(stats.attempts_bytes)
        ));
    }
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
