//! What the documents of the API hold. Each is what `present` makes of a row:
//! the tests ask a running service for all of them, and hold its answers against
//! these.

use serde_json::{Map, Value, json};

/// The schema of a route's answer, or of an item where it is a list.
pub(super) fn of(path: &str) -> &'static str {
    match path {
        "/runs" | "/runs/{run}" => "Run",
        "/runs/{run}/rounds" => "Round",
        "/runs/{run}/rounds/{round}" => "RoundRecord",
        "/runs/{run}/rounds/{round}/approve" | "/runs/{run}/rounds/{round}/decline" => "Answered",
        "/runs/{run}/handovers" => "Handover",
        "/runs/{run}/tasks" => "Task",
        "/runs/{run}/tasks/{task}" => "TaskWithKey",
        "/runs/{run}/rollouts" => "Rollout",
        "/runs/{run}/rollouts/{rollout}" => "RolloutRecord",
        "/runs/{run}/rollouts/{rollout}/replay" => "Replay",
        "/runs/{run}/verdicts" => "Verdict",
        "/runs/{run}/shards" => "Shard",
        "/runs/{run}/checkpoints" => "Checkpoint",
        "/runs/{run}/lineage/{node}" => "Lineage",
        "/runs/{run}/log" => "Event",
        "/verifiers" | "/verifiers/{digest}" => "Verifier",
        "/workers" => "Worker",
        "/schedules/{schedule}/ticks" => "Tick",
        "/schedules/{schedule}/ticks/{tick}" => "TickRecord",
        "/schedules/{schedule}/run-now" => "DueTick",
        "/openapi.json" => "Document",
        path if path.starts_with("/schedules") => "Schedule",
        _ => "None",
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn one_of(names: &[&str]) -> Value {
    json!({ "enum": names })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn share() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1 })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn any() -> Value {
    json!({ "type": "object" })
}

fn digest() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256" })
}

fn id(kind: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{kind}-[0-9a-f]{{16}}$") })
}

fn run_id() -> Value {
    json!({ "type": "string", "examples": ["quickstart-1"] })
}

fn time() -> Value {
    json!({ "type": "integer", "description": "milliseconds since 1970" })
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn or_null(of: Value) -> Value {
    json!({ "anyOf": [of, { "type": "null" }] })
}

fn same(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// All fields are there always, and others may come.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

/// A document with what another has, and more.
fn more<const N: usize>(name: &str, fields: [(&str, Value); N]) -> Value {
    json!({ "allOf": [same(name), object(fields)] })
}

const SPLITS: [&str; 3] = ["train", "gate", "test"];

/// Every schema that [`of`] names, and those that these refer to.
pub(super) fn all() -> Map<String, Value> {
    let counts = || object([("passed", count()), ("failed", count()), ("invalid", count())]);
    let schemas = [
        ("Document", any()),
        (
            "Answered",
            object([
                ("run", run_id()),
                ("round", count()),
                ("candidate", id("ckpt")),
                ("promoted", flag()),
                ("by", text()),
                ("why", or_null(text())),
            ]),
        ),
        (
            "Handover",
            object([
                ("round", count()),
                ("target", one_of(&["hook", "webhook"])),
                ("champion", id("ckpt")),
                ("delivered", flag()),
                ("attempts", count()),
                ("at_ms", time()),
                ("last_at_ms", or_null(time())),
                ("last_detail", or_null(text())),
            ]),
        ),
        (
            "Run",
            object([
                ("id", run_id()),
                ("name", text()),
                ("status", one_of(&["active", "finished", "failed"])),
                ("seed", count()),
                ("fingerprint", digest()),
                ("sandbox_digest", digest()),
                ("created_at_ms", time()),
                ("events", count()),
                ("config", any()),
            ]),
        ),
        (
            "Round",
            object([
                ("round", count()),
                ("stage", text()),
                ("checkpoint", or_null(id("ckpt"))),
                ("cause", or_null(text())),
                ("pass_at_1", or_null(share())),
                ("interval", or_null(list(share()))),
                ("tasks", count()),
                ("levels", any()),
                ("promoted", flag()),
                ("reasons", list(any())),
                ("verdicts", counts()),
                ("invalid", any()),
                ("rechecked", any()),
                ("canaries", counts()),
                ("alarms", list(text())),
                ("rollouts", count()),
                ("tokens", count()),
                ("rows", count()),
                ("groups", or_null(any())),
                ("usage", or_null(any())),
                ("cost", or_null(any())),
                ("seconds", number()),
            ]),
        ),
        (
            "RoundRecord",
            object([
                ("summary", same("Round")),
                ("gate", or_null(same("Gate"))),
                ("events", count()),
            ]),
        ),
        (
            "Gate",
            object([
                ("round", count()),
                ("candidate", id("ckpt")),
                ("champion", or_null(id("ckpt"))),
                ("decision", text()),
                ("record", any()),
                ("digest", digest()),
            ]),
        ),
        (
            "Task",
            object([
                ("round", count()),
                (
                    "task",
                    object([
                        ("id", id("task")),
                        ("family", text()),
                        ("difficulty", count()),
                        ("instruction", text()),
                        ("digest", digest()),
                    ]),
                ),
            ]),
        ),
        ("TaskWithKey", more("Task", [("key", any()), ("rollouts", or_null(same("Count")))])),
        (
            "Count",
            object([
                ("rollouts", count()),
                ("passed", count()),
                ("failed", count()),
                ("invalid", count()),
                ("pending", count()),
                ("pass_rate", or_null(share())),
            ]),
        ),
        (
            "Rollout",
            object([
                ("id", id("roll")),
                ("round", count()),
                ("purpose", one_of(&SPLITS)),
                ("task", id("task")),
                ("sample", count()),
                ("seed", count()),
                ("checkpoint", or_null(id("ckpt"))),
                ("policy_digest", digest()),
                ("part", text()),
                ("part_row", count()),
                ("answer_digest", digest()),
                ("stop", text()),
                ("turns", count()),
                ("tokens", count()),
                ("fuel", count()),
                ("chain", digest()),
                ("verdict", or_null(same("Verdict"))),
            ]),
        ),
        (
            "RolloutRecord",
            more("Rollout", [("record", any()), ("verdicts", list(same("Verdict")))]),
        ),
        (
            "Verdict",
            object([
                ("rollout", id("roll")),
                ("revision", count()),
                ("verdict", object([("verdict", one_of(&["pass", "fail", "invalid"]))])),
                ("score", or_null(share())),
                ("checks", list(any())),
                ("verifier_digest", digest()),
                ("sandbox_digest", digest()),
                ("fuel", count()),
                ("guests", count()),
            ]),
        ),
        ("Replay", any()),
        (
            "Shard",
            object([
                ("id", id("shard")),
                ("kind", one_of(&["accepted", "groups"])),
                ("round", count()),
                ("path", text()),
                ("sha256", digest()),
                ("bytes", count()),
                ("rows", count()),
                ("superseded", flag()),
            ]),
        ),
        (
            "Checkpoint",
            object([
                ("id", id("ckpt")),
                ("round", count()),
                ("parent", or_null(id("ckpt"))),
                ("path", text()),
                ("digest", digest()),
                ("policy_digest", digest()),
                ("shards", list(id("shard"))),
                ("training", any()),
            ]),
        ),
        ("Node", object([("kind", text()), ("id", text())])),
        (
            "Lineage",
            object([
                ("node", same("Node")),
                ("upstream", list(same("Edge"))),
                ("downstream", list(same("Edge"))),
                ("truncated", flag()),
            ]),
        ),
        ("Edge", object([("from", same("Node")), ("to", same("Node"))])),
        (
            "Event",
            object([
                ("seq", count()),
                ("round", count()),
                ("kind", text()),
                ("at_ms", time()),
                ("body", any()),
            ]),
        ),
        (
            "Verifier",
            object([
                ("digest", digest()),
                ("name", text()),
                ("kind", text()),
                ("trusted", flag()),
                ("status", text()),
                ("registered_at_ms", time()),
                ("scorecard", or_null(any())),
                ("revoked", or_null(any())),
            ]),
        ),
        (
            "Worker",
            object([
                ("id", text()),
                ("host", text()),
                ("version", text()),
                ("sandbox_digest", digest()),
                ("concurrency", count()),
                ("status", one_of(&["working", "draining", "stopped"])),
                ("started_at_ms", time()),
                ("last_seen_ms", time()),
                ("pieces", count()),
            ]),
        ),
        (
            "Schedule",
            object([
                ("name", text()),
                ("spec", any()),
                ("campaign", text()),
                ("status", text()),
                ("why", text()),
                ("run", or_null(run_id())),
                ("watched_ms", time()),
                ("next_ms", or_null(time())),
            ]),
        ),
        (
            "Tick",
            object([
                ("schedule", text()),
                ("tick_ms", time()),
                ("kind", text()),
                ("state", text()),
                ("run", or_null(run_id())),
                ("round", or_null(count())),
                ("cpu_ms", whole()),
                ("wall_ms", whole()),
                ("claims", count()),
                ("detail", text()),
            ]),
        ),
        ("TickRecord", more("Tick", [("events", list(any()))])),
        ("DueTick", object([("schedule", text()), ("tick_ms", time())])),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
