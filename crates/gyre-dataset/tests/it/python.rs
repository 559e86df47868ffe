//! The dataset as others load it: `datasets`, pandas, Polars and DuckDB.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use gyre_dataset::read_shard;
use gyre_types::Digest;

use crate::scenario::{dataset, shard_of};

#[expect(clippy::disallowed_methods, reason = "the caller chooses the interpreter")]
fn interpreter() -> OsString {
    std::env::var_os("GYRE_TEST_PYTHON").expect(
        "GYRE_TEST_PYTHON is not set; make an interpreter with: \
         export GYRE_TEST_PYTHON=$(.ci/python-env)",
    )
}

/// Runs a script of this folder with one cache, and gives the lines that it prints.
pub(crate) fn python(script: &str, cache: &Path, arguments: &[&OsStr]) -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let output = Command::new(interpreter())
        .arg(tests.join(script))
        .args(arguments)
        .env("HF_HOME", cache)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&err));
    out.lines().map(str::to_owned).collect()
}

/// By map, lists, JSON, pandas, Polars and DuckDB, whatever the column.
#[test]
fn every_column_survives_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(&folder.path().join("quick-1"));
    let cache = folder.path().join("cache");
    let survived = python("survive.py", &cache, &[layout.root().as_os_str()]);
    let ways = ["map", "from_list", "to_json", "pandas", "polars", "duckdb"];
    let all = ["records", "groups", "sft", "sft_tools", "prompt_completion"]
        .iter()
        .flat_map(|name| ways.iter().map(move |way| format!("{name} {way} ok")));
    assert_eq!(survived, all.collect::<Vec<_>>());
}

#[test]
fn four_libraries_load_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(&folder.path().join("quick-1"));
    let mut text = String::new();
    let mut rows = 0;
    for round in [1, 2] {
        for row in read_shard(&shard_of(&layout, round)).unwrap() {
            let row = row.unwrap();
            let tokens = row.turns.iter().flat_map(|turn| &turn.tokens);
            let tokens: u64 = tokens.map(|token| u64::from(*token)).sum();
            let branches = row.turns.iter().filter(|turn| turn.is_branch).count();
            let last = row.messages.last().map_or("", |message| message.content.as_str());
            let calls = row.messages.iter().filter(|message| !message.tool_calls.is_empty());
            let checkpoint = row.checkpoint_id.as_ref().map_or("none", |id| id.as_str());
            writeln!(
                text,
                "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
                row.rollout_id,
                row.round,
                row.seed,
                checkpoint,
                row.messages.len(),
                calls.count(),
                last,
                tokens,
                branches,
                row.reward * 100.0,
                row.skills.join(","),
            )
            .unwrap();
            rows += 1;
        }
    }
    let expected = format!("{rows} {}", Digest::of(text.as_bytes()));

    let cache = folder.path().join("cache");
    let loaded = python("load.py", &cache, &[layout.root().as_os_str()]);
    let all = ["datasets", "pandas", "polars", "duckdb"].map(|name| format!("{name} {expected}"));
    assert_eq!(loaded, all);
}
