use gyre_orchestrator::{GcRules, collect_garbage};
use gyre_types::RunId;
use serde_json::json;

use crate::args::{GcArgs, Global};
use crate::clock::now_ms;
use crate::{output, session};

/// Takes away what nothing names, and what the options give up.
pub(crate) fn gc(global: &Global, args: &GcArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let rules = GcRules {
        rejected_kept: args.keep_rejected,
        superseded_shards: args.superseded_shards,
        dry_run: args.dry_run,
    };
    let report = collect_garbage(&project, rules, now_ms)?;
    if global.json {
        return output::json(&json!({ "dry_run": args.dry_run, "report": report }));
    }
    let mut table = output::table(["why", "run", "size", "path"]);
    for item in &report.items {
        table.add_row([
            item.why.replace('_', " "),
            item.run.to_string(),
            output::bytes(item.bytes),
            output::visible(&item.path.display().to_string()),
        ]);
    }
    if table.is_empty() {
        output::line("nothing to take away");
        left_alone(&report.left_alone);
        return Ok(());
    }
    output::print(&table);
    let bytes = report.items.iter().map(|item| item.bytes).sum();
    let done = if args.dry_run { "would be freed (--dry-run)" } else { "freed" };
    output::line(format!("{} {done}", output::bytes(bytes)));
    left_alone(&report.left_alone);
    Ok(())
}

fn left_alone(runs: &[RunId]) {
    for run in runs {
        output::line(format!("{run} is not finished and was left alone"));
    }
}
