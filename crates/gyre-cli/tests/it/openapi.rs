//! schemathesis against the running service: it makes up thousands of requests
//! from the published document, right and wrong ones, and looks at each answer.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::http::{Served, TOKEN};
use crate::schedule_pages::plant;
use crate::support::{RUN, finished_copy, sql};

/// What each answer is looked at for: above all that none is a failure of ours.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,ignored_auth";

/// The interpreter that the caller names; schemathesis is one of its packages.
#[expect(clippy::disallowed_methods, reason = "the caller chooses the interpreter")]
fn python() -> String {
    std::env::var("GYRE_TEST_PYTHON").expect(
        "GYRE_TEST_PYTHON is not set; make an interpreter with: \
         export GYRE_TEST_PYTHON=$(.ci/python-env)",
    )
}

#[test]
fn no_request_makes_the_service_fail_or_answer_off_its_document() {
    let copy = finished_copy();
    plant(copy.path());
    let served = Served::start(copy.path());
    let mut document = served.json("/api/v1/openapi.json");
    let one = |statement: &str| json!(sql(copy.path(), statement).trim());
    // With things that are there, answers are more than refusals.
    for methods in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in methods.as_object_mut().unwrap().values_mut() {
            for parameter in operation["parameters"].as_array_mut().unwrap() {
                if parameter["in"] != "path" {
                    continue;
                }
                parameter["example"] = match parameter["name"].as_str().unwrap() {
                    "run" => json!(RUN),
                    "round" => json!(1),
                    "task" => one("SELECT MIN(id) FROM tasks"),
                    "rollout" => one("SELECT MIN(id) FROM rollouts"),
                    "shard" | "node" => one("SELECT MIN(id) FROM shards"),
                    "schedule" => json!("nightly"),
                    "tick" => json!(2000),
                    "digest" => json!("0".repeat(64)),
                    other => panic!("nothing is known of {other}"),
                };
            }
        }
    }
    let file = copy.path().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    let mut schemathesis = Command::new(python());
    schemathesis.current_dir(copy.path()).args(["-m", "schemathesis.cli", "run"]).arg(&file);
    schemathesis.args(["--url", &format!("http://{}", served.address)]);
    schemathesis.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    // A stream of events does not end by itself; it has a test of its own.
    schemathesis.args(["--exclude-path-regex", "/events$", "--checks", CHECKS]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "40"]);
    schemathesis.args(["--continue-on-failure", "--seed", "1", "--no-color"]);
    schemathesis.args(["--generation-database", "none", "--warnings", "off"]);
    let told = schemathesis.output().expect("the interpreter starts");
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("Operations:       30 selected"), "every route but one: {text}");
    let metrics = served.page("/metrics");
    assert!(metrics.contains("gyre_http_responses_total{class=\"5xx\"} 0"), "{metrics}");
}
