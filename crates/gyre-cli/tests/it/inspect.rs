//! People's own questions: SQL, lists by condition, two rollouts side by side.

use serde_json::{Value, json};

use crate::support::{finished, finished_copy, on, sql, text};

#[test]
fn a_query_answers_as_table_and_as_json() {
    let data = finished().data;
    let sql = "SELECT run, round, rollouts, decision FROM gyre_v1_rounds ORDER BY round";
    let table = on(&data, ["query", sql]).ok().stdout;
    assert!(table.contains("decision") && table.contains("small-1"), "{table}");
    let answer = on(&data, ["query", "--json", sql]).ok().json();
    assert_eq!(answer["columns"], json!(["run", "round", "rollouts", "decision"]));
    let rounds = on(&data, ["rounds", "--json"]).ok().json();
    let rows = answer["rows"].as_array().unwrap();
    for (row, round) in rows.iter().zip(rounds.as_array().unwrap()) {
        assert_eq!((&row[1], &row[2]), (&round["round"], &round["rollouts"]), "{answer:#}");
    }
    let cut = on(&data, ["query", "--limit", "1", "SELECT rollout FROM gyre_v1_rollouts"]);
    assert!(cut.ok().stdout.contains("… and more"));
}

#[test]
fn a_query_that_would_write_is_refused() {
    let folder = finished_copy();
    let data = folder.path();
    for (sql, words) in [
        ("DELETE FROM runs", "only reading"),
        ("SELECT 1; DELETE FROM runs", "more than one"),
        ("PRAGMA query_only = OFF", "only reading"),
        ("ATTACH 'x' AS y", "only reading"),
        ("SELECT x FROM nowhere", "nowhere"),
        ("WITH x AS (SELECT 1) DELETE FROM gates", "would write"),
    ] {
        on(data, ["query", sql]).fails(2, &["the query is refused", words, "docs/sql.md"]);
    }
    // Two gigabytes, of which none is taken.
    let huge = "SELECT length(hex(randomblob(400000000)))";
    on(data, ["query", huge]).fails(2, &["the query is refused", "more memory than a query may"]);
    let left = on(data, ["query", "--json", "SELECT COUNT(*) FROM gyre_v1_runs"]).ok().json();
    assert_eq!(left["rows"], json!([[1]]));
}

fn listed(data: &std::path::Path, condition: &str) -> Vec<Value> {
    let args = ["rollouts", "--json", "-n", "10000", "--where", condition];
    let page = on(data, args).ok().json();
    assert_eq!(page["next"], Value::Null);
    page["rollouts"].as_array().unwrap().clone()
}

#[test]
fn rollouts_are_listed_by_condition_and_page() {
    let data = finished().data;
    let all = listed(&data, "");
    let failed = listed(&data, "verdict=fail,purpose=train score<1 round=1");
    let expected: Vec<_> = all
        .iter()
        .filter(|r| r["verdict"] == "fail" && r["purpose"] == "train" && r["round"] == 1)
        .cloned()
        .collect();
    assert!(!failed.is_empty() && failed == expected);
    let one = &all[0];
    for (key, field) in
        [("task", "task"), ("checkpoint", "checkpoint"), ("policy", "policy_digest")]
    {
        let chosen = listed(&data, &format!("{key}={}", text(one, field)));
        let expected: Vec<_> = all.iter().filter(|r| r[field] == one[field]).cloned().collect();
        assert_eq!(chosen, expected, "{key}");
    }
    assert_eq!(listed(&data, "family=compose").len(), all.len());
    assert_eq!(listed(&data, "family=nothing").len(), 0);
    assert_eq!(listed(&data, "verdict=invalid reason=infrastructure").len(), 0);
    assert_eq!(listed(&data, "score>=1").len(), listed(&data, "verdict=pass").len());

    let (mut paged, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["rollouts".to_owned(), "--json".to_owned(), "-n".to_owned()];
        args.push((all.len() / 3 + 1).to_string());
        args.extend(after.iter().flat_map(|cursor| ["--after".to_owned(), cursor.clone()]));
        let page = on(&data, args).ok().json();
        paged.extend(page["rollouts"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(paged, all);
    assert!(on(&data, ["rollouts"]).ok().stdout.contains("--after "));
    on(&data, ["rollouts", "--where", "colour=red"]).fails(2, &["colour", "family"]);
    on(&data, ["rollouts", "--after", "nowhere"]).fails(2, &["nowhere"]);
}

#[test]
fn two_rollouts_are_compared_from_where_they_part() {
    let data = finished().data;
    let all = listed(&data, "purpose=train round=1");
    let a = &all[0];
    let same_task = |r: &&Value| r["task"] == a["task"] && r["id"] != a["id"];
    let b = all.iter().find(same_task).expect("two samples of one task");
    let (a, b) = (text(a, "id"), text(b, "id"));
    let compared = on(&data, ["diff", a, b, "--json"]).ok().json();
    // The task's words are the same, the rest may part at any place.
    assert!(compared["steps_in_common"].as_u64().unwrap() >= 1, "{compared:#}");
    assert_eq!((&compared["a"]["id"], &compared["b"]["id"]), (&json!(a), &json!(b)));
    let seed = compared["facts"].as_array().unwrap().iter().find(|f| f["what"] == "seed");
    assert_eq!(seed.unwrap()["differs"], true);
    let page = on(&data, ["diff", a, b]).ok().stdout;
    assert!(page.contains("steps in common") && !page.contains('\u{1b}'), "{page}");
    let itself = on(&data, ["diff", a, a, "--json"]).ok().json();
    assert_eq!(itself["identical"], true, "{itself:#}");
    on(&data, ["diff", a, "small-1"]).fails(60, &["two rollouts"]);
}

/// What a verifier or guest wrote is shown and not obeyed.
#[test]
fn hostile_text_is_harmless_in_every_view() {
    let folder = finished_copy();
    let data = folder.path();
    let hostile = "char(27) || '[2J' || char(13) || char(8238) || 'gnp'";
    sql(
        data,
        &format!(
            "UPDATE verdicts SET checks = json_array(json_object('name', {hostile}, 'passed', \
             json('true'), 'weight', 1.0, 'detail', {hostile}))"
        ),
    );
    let all = listed(data, "purpose=train round=1");
    let (a, b) = (text(&all[0], "id"), text(&all[1], "id"));
    for args in [
        vec!["diff", a, b],
        vec!["diff", a, b, "--json"],
        vec!["query", "SELECT checks, char(27) || '[2J' FROM gyre_v1_verdicts"],
        vec!["query", "--json", "SELECT checks, char(27) || '[2J' FROM gyre_v1_verdicts"],
    ] {
        let shown = on(data, &args).ok().stdout;
        assert!(shown.contains("[2J"), "{args:?}");
        let obeyed = shown.chars().find(|&c| c.is_control() && c != '\n' || c == '\u{202e}');
        assert_eq!(obeyed, None, "{args:?}");
    }
}
