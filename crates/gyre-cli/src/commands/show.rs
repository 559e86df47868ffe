use std::collections::{BTreeMap, BTreeSet};

use gyre_env::TaskDocument;
use gyre_lineage::{Edge, Found, Kind, Lineage, Node, RunRow};
use gyre_orchestrator::{Project, inspect, record_of};
use gyre_types::RunId;
use serde_json::{Value, json};

use crate::args::{ById, Global};
use crate::exit::Failure;
use crate::output::visible;
use crate::{output, session};

/// Edges followed in each direction.
const EDGES: u32 = 200;
pub(crate) fn show(global: &Global, args: &ById) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let found = find(&project, &args.id, args.run.as_ref())?;
    let run = project.run(Some(&found.run))?;
    let shown = describe(&project, &run, &found)?;
    if global.json {
        return output::json_pretty(&shown);
    }
    print_tree(&shown, 0);
    Ok(())
}

pub(crate) fn lineage(global: &Global, args: &ById) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let found = find(&project, &args.id, args.run.as_ref())?;
    let id = found.id.clone();
    let node = match found.kind {
        Kind::Task => Node::Task(id),
        Kind::Rollout => Node::Rollout(id),
        Kind::Shard => Node::Shard(id),
        Kind::Checkpoint => Node::Checkpoint(id),
        Kind::Run | Kind::Part | Kind::Canary => {
            let message = format!(
                "{id} has no lineage of its own: name a task, rollout, shard or checkpoint"
            );
            return Err(Failure::error(Failure::UNKNOWN_ID, message));
        }
    };
    let lineage = project.wait(project.store.lineage(&found.run, &node, EDGES))?;
    let taint_of = taint(&project, &found.run, &node, &lineage)?;
    if global.json {
        let edges = |edges: &[Edge]| -> Vec<Value> {
            edges
                .iter()
                .map(|e| json!({ "from": e.from.to_string(), "to": e.to.to_string() }))
                .collect()
        };
        let taint =
            |(node, by): (&Node, &Vec<String>)| json!({ "node": node.to_string(), "by": by });
        return output::json_pretty(&json!({
            "run": found.run,
            "id": found.id,
            "upstream": edges(&lineage.upstream),
            "downstream": edges(&lineage.downstream),
            "truncated": lineage.truncated,
            "tainted": taint_of.iter().map(taint).collect::<Vec<_>>(),
        }));
    }
    output::line(format!("{} {} of {}", found.kind.as_str(), found.id, found.run));
    for by in taint_of.get(&node).into_iter().flatten() {
        output::line(format!("tainted: rests on the {by}"));
    }
    print_edges("came from", &lineage.upstream, &taint_of);
    print_edges("led to", &lineage.downstream, &taint_of);
    if lineage.truncated {
        output::line(format!("… and more: the first {EDGES} edges each way are shown"));
    }
    Ok(())
}

/// Which of the nodes rest on something that was revoked, and on what.
type Taint = BTreeMap<Node, Vec<String>>;

fn taint(project: &Project, run: &RunId, node: &Node, lineage: &Lineage) -> anyhow::Result<Taint> {
    let edges = lineage.upstream.iter().chain(&lineage.downstream);
    let nodes: BTreeSet<_> = edges.flat_map(|edge| [&edge.from, &edge.to]).chain([node]).collect();
    let mut taint = Taint::new();
    for revocation in project.wait(project.store.revocations())? {
        let touched = project.wait(project.store.touched(run, &revocation))?;
        if touched.is_empty() {
            continue;
        }
        let by = format!("{}, revoked: {}", revocation.target, visible(&revocation.why));
        for &node in &nodes {
            let rests = project.store.is_touched(run, &revocation, &touched, node);
            if project.wait(rests)? {
                taint.entry(node.clone()).or_default().push(by.clone());
            }
        }
    }
    Ok(taint)
}

fn print_edges(title: &str, edges: &[Edge], taint: &Taint) {
    output::line(format!("{title}:"));
    if edges.is_empty() {
        output::line("  nothing");
    }
    let marked = |node: &Node| match taint.contains_key(node) {
        true => format!("{node} (tainted)"),
        false => node.to_string(),
    };
    for edge in edges {
        output::line(format!("  {} → {}", marked(&edge.from), marked(&edge.to)));
    }
}

/// What an id names; the newest run's where several have it.
pub(crate) fn find(project: &Project, id: &str, run: Option<&RunId>) -> anyhow::Result<Found> {
    let mut found = project.wait(project.store.find(id))?;
    found.retain(|found| run.is_none_or(|run| found.run == *run));
    let exact = found.iter().position(|found| found.id == id);
    if let Some(exact) = exact {
        return Ok(found.swap_remove(exact));
    }
    match found.len() {
        0 => {
            let message = format!(
                "nothing here has the id {id:?}; ids look like quickstart-1, task-…, roll-…, shard-… or ckpt-…"
            );
            Err(Failure::error(Failure::UNKNOWN_ID, message))
        }
        1 => Ok(found.swap_remove(0)),
        n => {
            let ids: Vec<_> = found.iter().take(5).map(|found| found.id.as_str()).collect();
            let message =
                format!("{id:?} is the start of {n} ids ({}, …); give more of it", ids.join(", "));
            Err(Failure::error(Failure::UNKNOWN_ID, message))
        }
    }
}

/// The run that has an id.
pub(crate) fn run_with(project: &Project, id: &str, run: Option<&RunId>) -> anyhow::Result<RunRow> {
    let found = find(project, id, run)?;
    Ok(project.run(Some(&found.run))?)
}

fn describe(project: &Project, run: &RunRow, found: &Found) -> anyhow::Result<Value> {
    match found.kind {
        Kind::Run => describe_run(project, run),
        Kind::Task => {
            let id = found.id.parse()?;
            let recorded = project.wait(project.store.task(&run.id, &id))?;
            let (row, key) = recorded.ok_or_else(|| gone(found))?;
            let (task, key) = (TaskDocument(&row.task), inspect::key_document(&run.id, &id, key)?);
            Ok(json!({ "kind": "task", "run": run.id, "task": task, "key": key }))
        }
        Kind::Rollout => {
            let row = project.wait(project.store.rollout(&run.id, &found.id.parse()?))?;
            let row = row.ok_or_else(|| gone(found))?;
            let record = record_of(project, &run.id, &row)?;
            let newest = row.verdict.as_ref().map_or(0, |verdict| verdict.revision);
            let earlier = project.wait(project.store.verdicts(&run.id, &row.rollout.id))?;
            let earlier: Vec<_> = earlier
                .into_iter()
                .filter(|v| v.revision < newest)
                .map(|v| {
                    json!({
                        "revision": v.revision,
                        "verdict": v.verdict,
                        "verifier_digest": v.verifier_digest,
                    })
                })
                .collect();
            let verdict = row.verdict.map(|v| {
                json!({
                    "verdict": v.verdict,
                    "checks": v.checks,
                    "verifier_digest": v.verifier_digest,
                    "sandbox_digest": v.sandbox_digest,
                    "fuel": v.fuel,
                    "guests": v.guests,
                    "revision": v.revision,
                })
            });
            Ok(json!({
                "kind": "rollout",
                "run": run.id,
                "answered_by": record.answered_by(),
                "spans_versions": record.spans_versions(),
                "rollout": record,
                "verdict": verdict,
                "earlier_verdicts": earlier,
            }))
        }
        Kind::Canary => {
            let canaries = project.wait(project.store.canaries(&run.id, None).collect())?;
            let canary = canaries
                .into_iter()
                .find(|canary| canary.rollout.as_str() == found.id)
                .ok_or_else(|| gone(found))?;
            let key = inspect::key_document(&run.id, &canary.task, canary.grading_key)?;
            Ok(json!({
                "kind": "attempt at an impossible task",
                "run": run.id,
                "made_from": canary.made_from,
                "rollout": canary.body,
                "expected": key["hidden"],
                "verdict": {
                    "verdict": canary.verdict,
                    "checks": canary.checks,
                    "verifier_digest": canary.verifier_digest,
                },
            }))
        }
        Kind::Shard => {
            let shards = inspect::shards(project, &run.id)?;
            let shard = shards
                .into_iter()
                .find(|s| s.id.as_str() == found.id)
                .ok_or_else(|| gone(found))?;
            Ok(json!({
                "kind": "shard",
                "run": run.id,
                "id": shard.id,
                "rows_are": shard.kind.as_str(),
                "round": shard.round,
                "file": project.data.shown(&shard.path),
                "sha256": shard.sha256,
                "bytes": shard.bytes,
                "rows": shard.rows,
                "superseded": shard.superseded,
            }))
        }
        Kind::Part => {
            let part = project.wait(project.store.part(&run.id, &found.id.parse()?))?;
            let part = part.ok_or_else(|| gone(found))?;
            Ok(json!({
                "kind": "part",
                "run": run.id,
                "id": part.id,
                "file": project.data.shown(&part.path),
                "sha256": part.sha256,
                "bytes": part.bytes,
                "rows": part.rows,
            }))
        }
        Kind::Checkpoint => {
            let row = project.wait(project.store.checkpoint(&run.id, &found.id.parse()?))?;
            let row = row.ok_or_else(|| gone(found))?;
            Ok(json!({
                "kind": "checkpoint",
                "run": run.id,
                "id": row.id,
                "round": row.round,
                "parent": row.parent,
                "folder": project.data.shown(&row.path),
                "digest": row.digest,
                "policy_digest": row.policy_digest,
                "shards": row.shards,
                "training": row.report,
            }))
        }
    }
}

fn describe_run(project: &Project, run: &RunRow) -> anyhow::Result<Value> {
    let config = project.config_of(run)?;
    let mut rounds = Vec::new();
    for round in 0..=config.rounds {
        let summary = inspect::round_summary(project, run, round)?;
        if summary.stage == "unplanned" {
            break;
        }
        rounds.push(summary);
    }
    let champion = project.wait(project.store.champion(&run.id))?;
    let handovers = inspect::handovers(project, &run.id)?;
    Ok(json!({
        "kind": "run",
        "id": run.id,
        "status": run.status.as_str(),
        "seed": run.seed,
        "fingerprint": run.fingerprint,
        "sandbox_digest": run.sandbox_digest,
        "created": output::time(run.created_at_ms),
        "dataset": project.data.dataset(&run.id).root(),
        "champion": champion.map(|promotion| promotion.champion),
        "rounds": rounds,
        "handovers": handovers.iter().map(super::handovers::as_json).collect::<Vec<_>>(),
    }))
}

fn gone(found: &Found) -> anyhow::Error {
    Failure::error(Failure::UNKNOWN_ID, format!("{} is gone; run `gyre audit`", found.id))
}

/// Prints JSON as an indented outline: texts of several lines keep their lines.
fn print_tree(value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                print_entry(&format!("{indent}{key}:"), value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                print_entry(&format!("{indent}-"), item, depth);
            }
        }
        scalar => output::line(format!("{indent}{}", scalar_text(scalar))),
    }
}

fn print_entry(head: &str, value: &Value, depth: usize) {
    match value {
        Value::Object(entries) if entries.is_empty() => output::line(format!("{head} {{}}")),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let shown: Vec<_> = items.iter().take(24).map(scalar_text).collect();
            let more = if items.len() > 24 {
                format!(", … ({} in all)", items.len())
            } else {
                String::new()
            };
            output::line(format!("{head} [{}{more}]", shown.join(", ")));
        }
        Value::Object(_) | Value::Array(_) => {
            output::line(head);
            print_tree(value, depth + 1);
        }
        Value::String(text) if text.contains('\n') => {
            output::line(head);
            for line in text.lines() {
                output::line(format!("{}| {}", "  ".repeat(depth + 1), visible(line)));
            }
        }
        scalar => output::line(format!("{head} {}", scalar_text(scalar))),
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        other => other.to_string(),
    }
}
