//! The dataset as others load it: `datasets`, pandas, Polars and DuckDB.

use std::fmt::Write;
use std::process::Command;

use gyre_dataset::read_shard;
use gyre_types::Digest;

use crate::scenario::dataset;

#[test]
#[expect(clippy::disallowed_methods, reason = "the caller chooses the interpreter")]
fn four_libraries_load_the_same_rows() {
    let python = std::env::var_os("GYRE_TEST_PYTHON").expect(
        "GYRE_TEST_PYTHON is not set; make an interpreter with: \
         export GYRE_TEST_PYTHON=$(.ci/python-env)",
    );
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(&folder.path().join("dataset"));
    let mut text = String::new();
    let mut rows = 0;
    for round in [1, 2] {
        for row in read_shard(&layout.shard_path(round)).unwrap() {
            let row = row.unwrap();
            let tokens: u64 = row.tokens.iter().map(|token| u64::from(*token)).sum();
            let last = row.messages.last().map_or("", |message| message.content.as_str());
            let calls = row.messages.iter().filter(|message| !message.tool_calls.is_empty());
            let checkpoint = row.checkpoint_id.as_ref().map_or("none", |id| id.as_str());
            writeln!(
                text,
                "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
                row.rollout_id,
                row.round,
                row.seed,
                checkpoint,
                row.messages.len(),
                calls.count(),
                last,
                tokens,
                row.reward * 100.0,
                row.skills.join(","),
            )
            .unwrap();
            rows += 1;
        }
    }
    let expected = format!("{rows} {}", Digest::of(text.as_bytes()));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/load.py");
    let output = Command::new(python)
        .arg(script)
        .arg(layout.root())
        .env("HF_HOME", folder.path().join("cache"))
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&err));
    let loaded: Vec<_> = out.lines().collect();
    let all = ["datasets", "pandas", "polars", "duckdb"].map(|name| format!("{name} {expected}"));
    assert_eq!(loaded, all);
}
