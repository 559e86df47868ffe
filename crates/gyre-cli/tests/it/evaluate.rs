//! `gyre evaluate`: models of a finished run, measured again and compared.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{RUN, Ran, finished_copy, on, sql, text};

fn evaluate(data: &Path, args: &[&str]) -> Ran {
    let all = [&["evaluate"], args].concat();
    on(data, all)
}

/// Passed and all with a verdict, of figures.
fn passed(figures: &Value) -> (u64, u64) {
    let of = |key: &str| figures[key].as_u64().unwrap_or_else(|| panic!("{key} of {figures:#}"));
    (of("passed"), of("tasks"))
}

#[test]
fn the_champion_of_a_run_is_measured_as_its_round_measured_it() {
    let folder = finished_copy();
    let data = folder.path();
    let before = sql(data, "SELECT COUNT(*) FROM events");
    let report = evaluate(data, &[RUN, "--json"]).ok().json();
    assert_eq!(report["version"], 1);
    assert_eq!(report["results"].as_array().unwrap().len(), 40, "both parts");

    let champion = sql(data, "SELECT champion FROM promotions ORDER BY ordinal DESC LIMIT 1");
    assert_eq!(text(&report["model"], "checkpoint"), champion.trim());
    for part in ["gate", "test"] {
        let query = format!(
            "SELECT SUM(v.verdict = 'pass'), COUNT(*) FROM gyre_v1_rollouts v \
             WHERE v.purpose = '{part}' AND v.checkpoint = '{}'",
            champion.trim()
        );
        let recorded = sql(data, &query);
        let (passed, tasks) = passed(&report["evaluation"]["parts"][part]);
        assert_eq!(recorded.trim(), format!("{passed}|{tasks}"), "the {part} part");
    }
    let failures = report["evaluation"]["overall"]["failures"].as_object().unwrap();
    let failed: u64 = failures.values().map(|n| n.as_u64().unwrap()).sum();
    let (passed, tasks) = passed(&report["evaluation"]["overall"]);
    assert_eq!(failed, tasks - passed, "each failure has its kind: {failures:#?}");
    assert_eq!(sql(data, "SELECT COUNT(*) FROM events"), before, "nothing is recorded");

    let told = evaluate(data, &[RUN, "--part", "test"]).ok().stdout;
    for words in ["pass@1 (95%)", "test part", "failed by form", "compose 1"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    assert!(!told.contains("gate part"), "{told}");
}

#[test]
fn two_models_are_compared_as_the_gate_compared_them() {
    let folder = finished_copy();
    let data = folder.path();
    let ids = sql(data, "SELECT champion, candidate FROM gates WHERE round = 1");
    let (champion, candidate) = ids.trim().split_once('|').unwrap();
    let (one, two) = (data.join("one.json"), data.join("two.json"));
    let output = |path: &Path| path.to_str().unwrap().to_owned();
    let args = [champion, candidate, "--part", "gate", "--json"];
    let both = evaluate(data, &args).ok().json();
    let record: Value =
        serde_json::from_str(&sql(data, "SELECT record FROM gates WHERE round = 1")).unwrap();
    let gate = &both["comparison"]["gate"];
    for key in ["overall", "p_value", "flips_lost", "per_difficulty", "pairs_digest", "champion"] {
        assert_eq!(gate[key], record[key], "{key}");
    }
    let wins = gate["overall"]["table"]["wins"].as_u64().unwrap();
    assert_eq!(both["comparison"]["flips_won"].as_array().unwrap().len() as u64, wins);

    // The same again is the same file, and stands for its model.
    for path in [&one, &two] {
        evaluate(data, &[champion, "--part", "gate", "--output", &output(path)]).ok();
    }
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    let args = [&output(&one), candidate, "--part", "gate", "--json"];
    assert_eq!(evaluate(data, &args).ok().json(), both);
    let told = evaluate(data, &[&output(&one), &output(&two)]).ok().stdout;
    assert!(told.contains("the candidate is the champion itself"), "{told}");
}

#[test]
fn what_cannot_be_measured_or_compared_is_told() {
    let folder = finished_copy();
    let data = folder.path();
    evaluate(data, &[]).fails(2, &["name what to evaluate"]);
    evaluate(data, &["ckpt-0000000000000000"]).fails(60, &["nothing here has the id"]);
    let missing = ["--checkpoint", "/nowhere/at/all"];
    evaluate(data, &missing).fails(31, &["/nowhere/at/all", "is not a folder"]);
    let file = data.join("odd.json");
    fs::write(&file, json!({ "version": 9 }).to_string()).unwrap();
    evaluate(data, &[file.to_str().unwrap()]).fails(2, &["holds results of version 9"]);

    let of = |part: &str| {
        let path = data.join(format!("{part}.json")).to_str().unwrap().to_owned();
        evaluate(data, &[RUN, "--part", part, "--output", &path]).ok();
        path
    };
    let (gate, test) = (of("gate"), of("test"));
    evaluate(data, &[&gate, &test]).fails(2, &["cannot be compared", "other tasks"]);
}
