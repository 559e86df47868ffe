//! Bad plug-ins: each gives one clear message, and the run goes on or stops as
//! its configuration says.

use std::fs;
use std::path::Path;

use crate::audits::{comparing, comparing_after, register_as, scorecard};
use crate::judging::{compose, config, start};
use crate::plugin_fixture::assemble;
use crate::support::{clean_state, gyre, on, run, sql};

#[test]
fn what_is_no_verifier_is_never_registered_and_starts_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("bad.wasm");
    let world = r#"(component (instance $i) (export "other:world/api@1.0.0" (instance $i)))"#;
    let export = r#"(component (instance $i)
        (export "gyre:verifier/grading@1.0.0" (instance $i)))"#;
    let network = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
    // What has no imports gives the same twice: whatever could make a difference is one.
    let random = r#"(component (import "wasi:random/random@0.2.0" (instance)))"#;
    for (bad, words) in [
        (world, "does not export gyre:verifier/grading"),
        (export, "without its function `verify`"),
        (network, "imports the network (wasi:sockets/tcp@0.2.0)"),
        (random, "(wasi:random/random@0.2.0)"),
        ("(module)", "core module"),
    ] {
        fs::write(&file, assemble(bad)).unwrap();
        let mut register = gyre();
        register.arg("--data-dir").arg(&data).args(["verifier", "register", "bad"]);
        register.args(["--family", "compose", "--component"]).arg(&file);
        run(&mut register).fails(63, &[words]);
    }
    let tasks = folder.path().join("tasks");
    compose(&tasks, "compose", "kind = 'component'\nuse = 'bad'\n");
    for on_fault in ["continue", "stop"] {
        let more = format!("[verifiers]\non_fault = \"{on_fault}\"\n");
        let config = config(folder.path(), &["compose"], &more);
        start(folder.path(), &config)
            .fails(63, &["no active verifier \"bad\"", "gyre verifier register"]);
    }
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM runs").trim(), "0");
}

/// Sound where the answer's first case gives a value, as the tasks' own
/// programs do; at fault on what a policy writes that has hardly learnt to.
fn at_fault(fault: &str) -> Vec<u8> {
    // The first case's result is an error where the byte at 24 is set.
    comparing_after(&format!("(if (i32.load8_u offset=24 (local.get $cases)) (then {fault}))"))
}

/// Families, each with a component that does one thing wrong, and its words.
const BAD: [(&str, &str, &str); 4] = [
    // Filling memory costs fuel by the byte, so that all of it is soon burnt.
    (
        "looping",
        "(loop $on (memory.fill (i32.const 32768) (i32.const 0) (i32.const 32768)) (br $on))",
        "it loops",
    ),
    ("trapping", "unreachable", "the verifier trapped"),
    // A detail of ten megabytes.
    (
        "flooding",
        "(drop (memory.grow (i32.const 200))) (i32.store (i32.const 1308) (i32.const 10485760))
         (return (i32.const 1024))",
        "report takes more than",
    ),
    ("numberless", "(f64.store (i32.const 1040) (f64.const nan)) (return (i32.const 1024))", "NaN"),
];

/// A family for each bad component, and the components in the registry.
fn bad_families(folder: &Path) {
    let tasks = folder.join("tasks");
    compose(&tasks, "compose", "kind = 'component'\nuse = 'comparing'\n");
    let card = scorecard(folder);
    let data = folder.join("data");
    register_as(&data, "comparing", &comparing(), &card);
    for (name, fault, _) in BAD {
        compose(&tasks, name, &format!("kind = 'component'\nuse = '{name}'\n"));
        register_as(&data, name, &at_fault(fault), &card);
    }
}

#[test]
fn a_run_goes_on_with_bad_components_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    bad_families(folder.path());
    let names = BAD.map(|(name, ..)| name);
    let config = config(folder.path(), &names, "[verifiers]\non_fault = \"continue\"\n");
    // Enough tasks that each family sees an answer that its component cannot judge.
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("tasks_per_round = 12", "tasks_per_round = 60")).unwrap();
    start(folder.path(), &config).ok();
    let data = folder.path().join("data");
    clean_state(&data);
    for (name, _, words) in BAD {
        let counted = sql(
            &data,
            &format!(
                "SELECT COUNT(*) > 0, MIN(v.reason LIKE '%\"verifier\"%'), \
                 MIN(v.reason LIKE '%{words}%'), SUM(v.score IS NOT NULL) FROM verdicts v \
                 JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
                 JOIN tasks t ON t.run = r.run AND t.id = r.task \
                 WHERE t.family = '{name}' AND v.verdict = 'invalid'"
            ),
        );
        assert_eq!(counted, "1|1|1|0\n", "{name}");
    }
    let trained = "SELECT COUNT(*) FROM gyre_v1_shard_rows s JOIN verdicts v USING (run, rollout) \
                   WHERE v.verdict <> 'pass'";
    assert_eq!(sql(&data, trained), "0\n");
    let status = on(&data, ["status", "--json"]).ok().json();
    assert!(status[0]["invalid"]["verifier"].as_u64().unwrap() > 0, "{status:#}");
}

#[test]
fn a_run_stops_at_a_bad_component_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    bad_families(folder.path());
    let data = folder.path().join("data");
    for (at, (name, _, words)) in BAD.into_iter().enumerate() {
        let config = config(folder.path(), &[name], "[verifiers]\non_fault = \"stop\"\n");
        start(folder.path(), &config).fails(64, &[name, words, "on_fault"]);
        let runs = format!("{}\n", at + 1);
        assert_eq!(sql(&data, "SELECT COUNT(*) FROM runs WHERE status = 'active'"), runs);
        assert_eq!(sql(&data, "SELECT COUNT(*) FROM verdicts WHERE verdict = 'invalid'"), "0\n");
    }
}
