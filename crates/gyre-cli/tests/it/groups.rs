//! Whole groups are published beside the accepted rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::{RUN, SMALL, clean_state, finished, on, repository, sql, text};

/// Every attempt that passed or failed, with the verdict and the reward that it has.
#[test]
fn a_run_publishes_every_attempt_that_has_a_verdict() {
    let run = finished();
    let data = run.data.as_path();
    clean_state(data);
    let recorded = "SELECT r.id || ' ' || v.verdict || ' ' || r.round FROM rollouts r \
        JOIN verdicts v ON v.rollout = r.id AND v.revision = (SELECT MAX(revision) \
        FROM verdicts w WHERE w.rollout = r.id) \
        WHERE r.purpose = 'train' AND v.verdict <> 'invalid'";
    let recorded: BTreeSet<_> = sql(data, recorded).lines().map(str::to_owned).collect();
    let rows = on(data, ["dataset", "head", "--config", "groups", "-n", "100000", "--json"]);
    let rows = rows.ok().json_lines();
    let verdict = |row: &Value| match row["reward"].as_f64() {
        Some(1.0) => "pass",
        Some(0.0) => "fail",
        other => panic!("the reward {other:?} in {row:#}"),
    };
    let published: BTreeSet<_> = rows
        .iter()
        .map(|row| format!("{} {} {}", text(row, "rollout_id"), verdict(row), row["round"]))
        .collect();
    assert_eq!(published, recorded);
    assert_eq!(published.len(), rows.len(), "each once");
    assert!(rows.iter().all(|row| row["split"] == "train"));

    // The attempts at a task lie side by side, in order.
    let mut seen = BTreeSet::new();
    for group in rows.chunk_by(|a, b| a["group"] == b["group"]) {
        assert!(seen.insert(text(&group[0], "group").to_owned()), "{:#}", group[0]);
        assert!(group.is_sorted_by_key(|row| row["sample"].as_u64()), "{group:#?}");
    }

    // Every accepted row is one of them.
    let accepted = on(data, ["dataset", "head", "-n", "100000", "--json"]).ok().json_lines();
    let by_id: BTreeMap<_, _> = rows.iter().map(|row| (text(row, "rollout_id"), row)).collect();
    for row in &accepted {
        let attempt = by_id[text(row, "rollout_id")];
        assert_eq!((&attempt["group"], &attempt["reward"]), (&row["group_id"], &row["reward"]));
    }
    assert!(accepted.len() < rows.len());
}

#[test]
fn the_log_the_card_and_the_manifest_tell_of_groups() {
    let run = finished();
    let last = run.events.last().unwrap();
    let dataset = run.data.join("datasets").join(RUN);
    let card = fs::read_to_string(dataset.join("README.md")).unwrap();
    let manifest = fs::read_to_string(dataset.join("manifest.json")).unwrap();
    assert!(card.contains("- config_name: groups"), "{card}");
    for round in last["rounds"].as_array().unwrap() {
        let groups = &round["groups"];
        let shard = text(groups, "shard");
        let rows = format!("SELECT row_count, superseded FROM shards WHERE id = '{shard}'");
        assert_eq!(sql(&run.data, &rows).trim(), format!("{}|0", groups["attempts"]));
        let verdicts = &round["verdicts"];
        let [passed, failed] = ["passed", "failed"].map(|key| verdicts[key].as_u64().unwrap());
        assert_eq!(groups["attempts"].as_u64(), Some(passed + failed), "{round:#}");
        assert_eq!(groups["invalid"], verdicts["invalid"], "{round:#}");
        let path = sql(&run.data, &format!("SELECT path FROM shards WHERE id = '{shard}'"));
        let name = path.trim().rsplit('/').next().unwrap();
        assert!(card.contains(&format!("    - groups/{name}")), "{card}");
        assert!(manifest.contains(shard) && manifest.contains("groups/1"), "{manifest}");
    }
    // The embedded model learns from accepted rows alone.
    let given = "SELECT COUNT(*) FROM checkpoint_shards c JOIN shards s ON s.id = c.shard \
        WHERE s.kind = 'groups'";
    assert_eq!(sql(&run.data, given).trim(), "0");
}

/// Without them, everything else is as with them.
#[test]
fn groups_may_be_left_out() {
    let one = finished();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alone.toml");
    let small = fs::read_to_string(repository().join(SMALL)).unwrap();
    fs::write(&config, format!("{small}\n[curation]\ngroups = false\n")).unwrap();
    let data = folder.path().join("data");
    on(&data, ["run", "--config", config.to_str().unwrap(), "--json"]).ok();
    clean_state(&data);
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM shards WHERE kind = 'groups'").trim(), "0");
    let card = fs::read_to_string(data.join("datasets").join(RUN).join("README.md")).unwrap();
    assert!(!card.contains("config_name: groups"), "{card}");
    // Its fingerprint is another, and with it the ids; what was learnt is the same.
    let learnt = "SELECT digest FROM checkpoints ORDER BY round";
    assert_eq!(sql(&data, learnt), sql(&one.data, learnt));
}
