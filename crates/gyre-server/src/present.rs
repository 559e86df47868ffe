//! Rows as documents of the API.

use gyre_env::TaskDocument;
use gyre_lineage::{
    CheckpointRow, Edge, EventRow, GateRow, HandoverRow, Node, Page, RolloutWithVerdict, RunRow,
    ScheduleRow, ShardRow, TaskRate, TaskRow, TickEvent, TickRow, VerdictCount, VerdictRow,
    VerifierRow, WorkerRow,
};
use gyre_orchestrator::scheduler;
use serde_json::{Value, json};

use crate::params::opaque;

/// A page of a list.
pub(crate) fn page<T>(page: &Page<T>, item: impl Fn(&T) -> Value) -> Value {
    json!({
        "items": page.rows.iter().map(item).collect::<Vec<_>>(),
        "next_cursor": page.next.as_ref().map(opaque),
    })
}

/// A list that is whole.
pub(crate) fn whole(items: Vec<Value>) -> Value {
    json!({ "items": items, "next_cursor": null })
}

pub(crate) fn run(row: &RunRow) -> Value {
    json!({
        "id": row.id, "name": row.name, "status": row.status.as_str(), "seed": row.seed,
        "fingerprint": row.fingerprint, "sandbox_digest": row.sandbox_digest,
        "created_at_ms": row.created_at_ms, "events": row.last_seq,
        "config": without_secrets(&row.config),
    })
}

/// The configuration that a run was begun with, without what may hold a password.
fn without_secrets(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(config) = config.as_object_mut() {
        config.remove("database");
        config.remove("server");
    }
    config
}

/// An event; of a plan only what fits a line is told.
pub(crate) fn event(row: &EventRow) -> Value {
    let mut body = row.body.clone();
    if let Some(plan) = body.get_mut("plan").and_then(Value::as_object_mut) {
        for long in ["slots", "curriculum", "skill_weights"] {
            plan.remove(long);
        }
    }
    json!({
        "seq": row.seq, "round": row.round, "kind": row.kind, "at_ms": row.at_ms, "body": body,
    })
}

pub(crate) fn task(row: &TaskRow) -> Value {
    json!({ "round": row.round, "task": TaskDocument(&row.task) })
}

pub(crate) fn task_rate(rate: &TaskRate) -> Value {
    count(&rate.count)
}

pub(crate) fn count(count: &VerdictCount) -> Value {
    json!({
        "rollouts": count.rollouts, "passed": count.passed, "failed": count.failed,
        "invalid": count.invalid, "pending": count.pending(), "pass_rate": count.pass_rate(),
    })
}

pub(crate) fn rollout(row: &RolloutWithVerdict) -> Value {
    let r = &row.rollout;
    json!({
        "id": r.id, "round": r.round, "purpose": r.purpose, "task": r.task, "sample": r.sample,
        "seed": r.seed, "checkpoint": r.checkpoint, "policy_digest": r.policy_digest,
        "part": r.part, "part_row": r.part_row, "answer_digest": r.answer_digest,
        "stop": r.stop, "turns": r.turns, "tokens": r.tokens, "fuel": r.fuel, "chain": r.chain,
        "verdict": row.verdict.as_ref().map(verdict),
    })
}

pub(crate) fn verdict(row: &VerdictRow) -> Value {
    json!({
        "rollout": row.rollout, "revision": row.revision, "verdict": row.verdict,
        "score": row.verdict.score(), "checks": row.checks,
        "verifier_digest": row.verifier_digest, "sandbox_digest": row.sandbox_digest,
        "fuel": row.fuel, "guests": row.guests,
    })
}

pub(crate) fn shard(row: &ShardRow) -> Value {
    json!({
        "id": row.id, "kind": row.kind.as_str(), "round": row.round, "path": row.path,
        "sha256": row.sha256, "bytes": row.bytes, "rows": row.rows, "superseded": row.superseded,
    })
}

pub(crate) fn checkpoint(row: &CheckpointRow) -> Value {
    json!({
        "id": row.id, "round": row.round, "parent": row.parent, "path": row.path,
        "digest": row.digest, "policy_digest": row.policy_digest, "shards": row.shards,
        "training": row.report,
    })
}

pub(crate) fn gate(row: &GateRow) -> Value {
    json!({
        "round": row.round, "candidate": row.candidate, "champion": row.champion,
        "decision": row.decision.as_str(), "record": row.record, "digest": row.digest,
    })
}

pub(crate) fn handover(row: &HandoverRow) -> Value {
    let (handover, last) = (&row.handover, row.last.as_ref());
    json!({
        "round": handover.round, "target": handover.target, "champion": handover.champion,
        "delivered": row.is_delivered(), "attempts": row.attempts, "at_ms": row.at_ms,
        "last_at_ms": last.map(|last| last.at_ms), "last_detail": last.map(|last| &last.detail),
    })
}

pub(crate) fn verifier(row: &VerifierRow) -> Value {
    json!({
        "digest": row.digest, "name": row.name, "kind": row.kind.as_str(),
        "trusted": row.trusted, "status": row.status.as_str(),
        "registered_at_ms": row.registered_at_ms, "scorecard": row.scorecard,
        "revoked": row.revoked.as_ref().map(|revoked| json!({
            "at_ms": revoked.at_ms, "why": revoked.why, "replaced_by": revoked.replaced_by,
        })),
    })
}

pub(crate) fn worker(row: &WorkerRow) -> Value {
    json!({
        "id": row.worker.id, "host": row.worker.host, "version": row.worker.version,
        "sandbox_digest": row.worker.sandbox_digest, "concurrency": row.worker.concurrency,
        "status": row.status.as_str(), "started_at_ms": row.started_at_ms,
        "last_seen_ms": row.last_seen_ms, "pieces": row.pieces,
    })
}

pub(crate) fn schedule(row: &ScheduleRow, now_ms: i64) -> Value {
    json!({
        "name": row.name, "spec": row.spec, "campaign": row.campaign,
        "status": row.status.as_str(), "why": row.why, "run": row.run,
        "watched_ms": row.watched_ms, "next_ms": scheduler::next_tick(row, now_ms),
    })
}

pub(crate) fn tick(row: &TickRow) -> Value {
    json!({
        "schedule": row.schedule, "tick_ms": row.tick_ms, "kind": row.kind.as_str(),
        "state": row.state.as_str(), "run": row.run, "round": row.round,
        "cpu_ms": row.cpu_ms, "wall_ms": row.wall_ms, "claims": row.epoch,
        "detail": row.detail,
    })
}

pub(crate) fn tick_event(event: &TickEvent) -> Value {
    json!({
        "ordinal": event.ordinal, "state": event.state.as_str(), "owner": event.owner,
        "detail": event.detail, "at_ms": event.at_ms,
    })
}

pub(crate) fn edge(edge: &Edge) -> Value {
    json!({ "from": node(&edge.from), "to": node(&edge.to) })
}

/// A node by its kind and id.
pub(crate) fn node(node: &Node) -> Value {
    let kind = match node {
        Node::Task(_) => "task",
        Node::Rollout(_) => "rollout",
        Node::Verdict(..) => "verdict",
        Node::Shard(_) => "shard",
        Node::Checkpoint(_) => "checkpoint",
        Node::Gate(_) => "gate",
        Node::Promotion(_) => "promotion",
    };
    json!({ "kind": kind, "id": node_id(node) })
}

/// The text by which a node is asked for.
pub(crate) fn node_id(node: &Node) -> String {
    match node {
        Node::Task(id) | Node::Rollout(id) | Node::Shard(id) | Node::Checkpoint(id) => id.clone(),
        Node::Verdict(rollout, revision) => format!("verdict-{revision}-{rollout}"),
        Node::Gate(round) => format!("gate-{round}"),
        Node::Promotion(ordinal) => format!("promotion-{ordinal}"),
    }
}

/// The node that a text asks for.
pub(crate) fn node_of(id: &str) -> Option<Node> {
    let number = |text: &str| text.parse().ok();
    if let Some(rest) = id.strip_prefix("verdict-") {
        let (revision, rollout) = rest.split_once('-')?;
        return Some(Node::Verdict(rollout.to_owned(), number(revision)?));
    }
    if let Some(round) = id.strip_prefix("gate-") {
        return number(round).map(Node::Gate);
    }
    if let Some(ordinal) = id.strip_prefix("promotion-") {
        return number(ordinal).map(Node::Promotion);
    }
    let owned = id.to_owned();
    if id.parse::<gyre_types::TaskId>().is_ok() {
        return Some(Node::Task(owned));
    }
    if id.parse::<gyre_types::RolloutId>().is_ok() {
        return Some(Node::Rollout(owned));
    }
    if id.parse::<gyre_types::ShardId>().is_ok() {
        return Some(Node::Shard(owned));
    }
    id.parse::<gyre_types::CheckpointId>().is_ok().then_some(Node::Checkpoint(owned))
}
