//! Retention takes away what nobody misses, and nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::support::{audit_codes, clean_state, finished_copy, on, sql};

fn collected(data: &std::path::Path, args: &[&str]) -> Vec<Value> {
    let report = on(data, ["gc", "--json"].iter().chain(args)).ok().json();
    report["report"]["items"].as_array().unwrap().clone()
}

#[test]
fn what_nothing_names_is_shown_and_then_removed() {
    let folder = finished_copy();
    let data = folder.path();
    let state = clean_state(data);
    let stray = [
        "runs/small-1/rollouts/round-0001/stray.parquet",
        "datasets/small-1/data/train-r0099-0123456789abcdef.parquet",
        "runs/small-1/checkpoints/round-0099/model.safetensors",
    ];
    for path in stray {
        fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
        fs::write(data.join(path), "left by a crash").unwrap();
    }
    let shown = collected(data, &["--dry-run"]);
    assert_eq!(shown.len(), 3, "{shown:#?}");
    assert!(shown.iter().all(|item| item["why"] == "unreferenced" && item["bytes"] == 15));
    assert!(stray.iter().all(|path| data.join(path).exists()), "a dry run removes nothing");
    assert_eq!(collected(data, &[]), shown);
    assert!(stray.iter().all(|path| !data.join(path).exists()));
    assert_eq!(collected(data, &[]), [] as [Value; 0]);
    assert_eq!(clean_state(data), state);
}

#[test]
fn rejected_weights_go_and_champions_stay() {
    let folder = finished_copy();
    let data = folder.path();
    let query = "SELECT c.path, c.promoted FROM gyre_v1_checkpoints c ORDER BY c.round";
    let rows = on(data, ["query", "--json", query]).ok().json();
    let rows = rows["rows"].as_array().unwrap().clone();
    let paths = |promoted: i64| -> Vec<String> {
        let chosen = rows.iter().filter(|row| row[1] == json!(promoted));
        chosen.map(|row| row[0].as_str().unwrap().to_owned()).collect()
    };
    let (champions, rejected) = (paths(1), paths(0));
    assert!(!champions.is_empty());
    // The newest rejected ones may be kept.
    let kept = rejected.len().to_string();
    assert_eq!(collected(data, &["--keep-rejected", &kept]), [] as [Value; 0]);
    let gone = collected(data, &["--keep-rejected", "0"]);
    assert_eq!(gone.len(), rejected.len(), "{gone:#?}");
    assert!(rejected.iter().all(|path| !data.join(path).exists()));
    assert!(champions.iter().all(|path| data.join(path).is_dir()));
    clean_state(data);
    // A champion that is gone is still missed.
    fs::remove_dir_all(data.join(&champions[0])).unwrap();
    assert!(audit_codes(data).contains("checkpoint_unreadable"));
}

#[test]
fn an_unfinished_run_is_left_alone() {
    let folder = finished_copy();
    let data = folder.path();
    sql(data, "UPDATE runs SET status = 'active'");
    let stray = data.join("runs/small-1/rollouts/round-0001/stray.parquet");
    fs::write(&stray, "perhaps being written").unwrap();
    let report = on(data, ["gc", "--json", "--keep-rejected", "0"]).ok().json();
    assert_eq!(report["report"]["left_alone"], json!(["small-1"]));
    assert!(stray.exists());
}
