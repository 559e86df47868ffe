//! The API's description, OpenAPI 3.1, made from one table of its routes.

mod schemas;

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::answer::answer;
use crate::api::{Kind, ROUTES, Route};

pub(crate) async fn document() -> Response {
    answer(Ok(openapi()))
}

fn openapi() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let method = if changes(route.kind) { "post" } else { "get" };
        paths.insert(format!("/api/v1{}", route.path), json!({ method: operation(route) }));
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
            "schemas": components(),
        },
    })
}

fn components() -> Value {
    let mut all = schemas::all();
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "stable; for programs" },
            "detail": { "type": "string", "description": "for people" },
        },
    });
    all.insert("Problem".to_owned(), problem);
    Value::Object(all)
}

/// A page of a list whose items are of a schema.
fn page_of(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": {
                "type": "array", "items": { "$ref": format!("#/components/schemas/{name}") },
            },
            "next_cursor": { "type": ["string", "null"] },
        },
    })
}

/// Whether it starts or changes something, so that the token is asked for.
fn changes(kind: Kind) -> bool {
    matches!(kind, Kind::Change(_) | Kind::Replay)
}

fn operation(route: &Route) -> Value {
    let mut parameters = path_parameters(route.path);
    parameters.extend(route.own.iter().map(|name| query(name)));
    if matches!(route.kind, Kind::List(_)) {
        parameters.extend(["cursor", "limit"].map(query));
    }
    let mut responses = json!({ "200": {
        "description": route.summary, "content": content(route),
    } });
    for status in statuses(route.kind) {
        responses[status] = json!({
            "description": "A problem",
            "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" }
            } },
        });
    }
    let token = json!({ "token": [] });
    json!({
        "summary": route.summary,
        "operationId": operation_id(route.path),
        "parameters": parameters,
        "responses": responses,
        "security": if changes(route.kind) { json!([token]) } else { json!([{}, token]) },
    })
}

fn content(route: &Route) -> Value {
    let name = schemas::of(route.path);
    match route.kind {
        Kind::One(_) | Kind::Change(_) | Kind::Replay | Kind::Document => {
            let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
            json!({ "application/json": { "schema": schema } })
        }
        Kind::List(_) | Kind::Whole(_) => {
            json!({ "application/json": { "schema": page_of(name) } })
        }
        Kind::Stream => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Kind::File => json!({ "application/vnd.apache.parquet": {} }),
        Kind::Rows => json!({ "application/x-ndjson": { "schema": { "type": "string" } } }),
    }
}

fn statuses(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Change(_) | Kind::Replay => &["400", "401", "403", "404", "409", "500", "503"],
        _ => &["400", "401", "403", "404", "500", "503"],
    }
}

fn operation_id(path: &str) -> String {
    let words = path.split(['/', '{', '}', '.']);
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
        "run" => json!({
            "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,47}-[0-9]{1,6}$",
            "examples": ["quickstart-1"],
        }),
        "round" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "digest" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "task" => json!({ "type": "string", "pattern": "^task-[0-9a-f]{16}$" }),
        "rollout" => json!({ "type": "string", "pattern": "^roll-[0-9a-f]{16}$" }),
        "schedule" => json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" }),
        // Within the numbers that every reader of JSON has.
        "tick" => json!({ "type": "integer", "minimum": 0, "maximum": (1_u64 << 53) - 1 }),
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
        "cursor" => json!({ "type": "string", "pattern": "^([0-9a-f]{2}){1,200}$" }),
        // A character may take four of the 400 bytes that a value may have.
        _ => json!({ "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$" }),
    };
    json!({
        "name": name, "in": "query", "required": false,
        "description": "Counts as absent where it is empty, as forms send it.",
        "schema": { "anyOf": [schema, { "type": "string", "maxLength": 0 }] },
    })
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

    /// Whatever the document refers to is in it.
    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            let found = &document["components"]["schemas"][name];
            assert!(found.is_object(), "{name} is not in the document");
        }
    }
}
