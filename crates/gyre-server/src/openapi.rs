//! The API's description, OpenAPI 3.1, made from one table of its routes.

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::api::{ROLLOUT_PARAMS, TASK_PARAMS};
use crate::router::answer;

/// One route: path, summary, own query parameters, whether it is a list.
type Route = (&'static str, &'static str, &'static [&'static str], Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    List,
    Stream,
    File,
    Replay,
}

const ROUTES: [Route; 20] = [
    ("/api/v1/openapi.json", "This document", &[], Kind::One),
    ("/api/v1/runs", "Runs, newest first", &[], Kind::List),
    ("/api/v1/runs/{run}", "A run and its champion", &[], Kind::One),
    ("/api/v1/runs/{run}/rounds", "The rounds of a run, the cold start first", &[], Kind::List),
    ("/api/v1/runs/{run}/rounds/{round}", "A round, with its gate's record", &[], Kind::One),
    ("/api/v1/runs/{run}/tasks", "Tasks by round and id, without keys", &TASK_PARAMS, Kind::List),
    ("/api/v1/runs/{run}/tasks/{task}", "A task with its grading key", &[], Kind::One),
    (
        "/api/v1/runs/{run}/rollouts",
        "Rollouts by round and id, each with its newest verdict",
        &ROLLOUT_PARAMS,
        Kind::List,
    ),
    ("/api/v1/runs/{run}/rollouts/{rollout}", "A rollout, whole", &[], Kind::One),
    (
        "/api/v1/runs/{run}/rollouts/{rollout}/replay",
        "Runs a rollout again and compares every byte",
        &[],
        Kind::Replay,
    ),
    ("/api/v1/runs/{run}/verdicts", "All verdicts, corrections included", &[], Kind::List),
    ("/api/v1/runs/{run}/shards", "Shards of the dataset", &[], Kind::List),
    ("/api/v1/runs/{run}/shards/{shard}/file", "A shard's Parquet file", &[], Kind::File),
    ("/api/v1/runs/{run}/checkpoints", "Checkpoints and their training", &[], Kind::List),
    (
        "/api/v1/runs/{run}/lineage/{node}",
        "What something came from and what came of it",
        &[],
        Kind::One,
    ),
    ("/api/v1/runs/{run}/log", "Recorded events in order", &["after"], Kind::List),
    ("/api/v1/runs/{run}/events", "Events as they are recorded", &["after"], Kind::Stream),
    ("/api/v1/verifiers", "Registered verifiers", &[], Kind::List),
    ("/api/v1/verifiers/{digest}", "A verifier with its scorecard", &[], Kind::One),
    ("/healthz", "Whether the process lives", &[], Kind::One),
];

pub(crate) async fn document() -> Response {
    answer(Ok(openapi()))
}

fn openapi() -> Value {
    let mut paths = Map::new();
    for (path, summary, own, kind) in ROUTES {
        let method = if kind == Kind::Replay { "post" } else { "get" };
        paths.insert(path.to_owned(), json!({ method: operation(path, summary, own, kind) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gyre",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reads the lineage of improvement runs. Lists are pages: pass \
                `next_cursor` as `cursor` until it is null.",
        },
        "paths": paths,
        "security": [{}, { "token": [] }],
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "code", "detail"],
                    "properties": {
                        "type": { "type": "string" },
                        "title": { "type": "string" },
                        "status": { "type": "integer" },
                        "code": { "type": "string", "description": "stable; for programs" },
                        "detail": { "type": "string", "description": "for people" },
                    },
                },
                "Page": {
                    "type": "object",
                    "required": ["items", "next_cursor"],
                    "properties": {
                        "items": { "type": "array", "items": { "type": "object" } },
                        "next_cursor": { "type": ["string", "null"] },
                    },
                },
            },
        },
    })
}

fn operation(path: &str, summary: &str, own: &[&str], kind: Kind) -> Value {
    let mut parameters = path_parameters(path);
    parameters.extend(own.iter().map(|name| query(name)));
    if kind == Kind::List {
        parameters.extend(["cursor", "limit"].map(query));
    }
    let content = match kind {
        Kind::One | Kind::Replay => {
            json!({ "application/json": { "schema": { "type": "object" } } })
        }
        Kind::List => json!({
            "application/json": { "schema": { "$ref": "#/components/schemas/Page" } }
        }),
        Kind::Stream => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Kind::File => json!({ "application/vnd.apache.parquet": {} }),
    };
    let problem = json!({
        "description": "A problem",
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" }
        } },
    });
    let mut responses = json!({ "200": { "description": summary, "content": content } });
    let statuses: &[&str] = match kind {
        Kind::Replay => &["400", "401", "403", "404", "405", "409", "500", "503"],
        _ => &["400", "401", "403", "404", "405", "500", "503"],
    };
    for status in statuses {
        responses[*status] = problem.clone();
    }
    json!({
        "summary": summary,
        "operationId": operation_id(path),
        "parameters": parameters,
        "responses": responses,
        "security": if kind == Kind::Replay { json!([{ "token": [] }]) } else { json!([{}, { "token": [] }]) },
    })
}

fn operation_id(path: &str) -> String {
    let words = path.trim_start_matches("/api/v1").split(['/', '{', '}', '.']);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

fn path_parameters(path: &str) -> Vec<Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    named
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true, "schema": path_schema(name),
            })
        })
        .collect()
}

fn path_schema(name: &str) -> Value {
    match name {
        "run" => json!({ "type": "string", "examples": ["quickstart-1"] }),
        "round" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "digest" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "task" => json!({ "type": "string", "pattern": "^task-[0-9a-f]{16}$" }),
        "rollout" => json!({ "type": "string", "pattern": "^roll-[0-9a-f]{16}$" }),
        "shard" => json!({ "type": "string", "pattern": "^shard-[0-9a-f]{16}$" }),
        _ => json!({ "type": "string" }),
    }
}

fn query(name: &str) -> Value {
    let schema = match name {
        "round" | "difficulty" | "after" => {
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
        }
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 50 }),
        "score_min" | "score_max" => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        "split" | "purpose" => json!({ "enum": ["train", "gate", "test"] }),
        "verdict" => json!({ "enum": ["pass", "fail", "invalid", "pending"] }),
        "task" => json!({ "type": "string", "pattern": "^task-[0-9a-f]{16}$" }),
        "checkpoint" => json!({ "type": "string", "pattern": "^ckpt-[0-9a-f]{16}$" }),
        "policy" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        _ => json!({ "type": "string", "maxLength": 400 }),
    };
    json!({ "name": name, "in": "query", "required": false, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_describes_its_path() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), ROUTES.len());
        let mut ids: Vec<_> = paths
            .values()
            .flat_map(|methods| methods.as_object().unwrap().values())
            .map(|operation| operation["operationId"].to_string())
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len());
        for (path, methods) in paths {
            let named = path.matches('{').count();
            let operation = methods.as_object().unwrap().values().next().unwrap();
            let described = operation["parameters"].as_array().unwrap().iter();
            assert_eq!(described.filter(|p| p["in"] == "path").count(), named, "{path}");
        }
    }
}
