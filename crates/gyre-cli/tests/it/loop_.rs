//! One small run, looked at from every side.

use serde_json::Value;

use crate::support::{RUN, SMALL, clean_state, finished, on, repository, sql, text};

#[test]
fn a_run_tells_of_every_event_and_ends_with_its_figures() {
    let run = finished();
    let recorded: Vec<_> = run.events.iter().filter(|e| e.get("seq").is_some()).collect();
    let numbers: Vec<_> = recorded.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let in_database = sql(&run.data, "SELECT kind FROM events ORDER BY seq");
    let printed: Vec<_> = recorded.iter().map(|e| text(e, "event")).collect();
    assert_eq!(printed, in_database.lines().collect::<Vec<_>>());
    for kind in ["planned", "tasks_generated", "wave_rolled_out", "curated", "trained", "decided"] {
        assert!(printed.contains(&kind), "{kind} is not among {printed:?}");
    }

    let last = run.events.last().unwrap();
    assert_eq!(last["event"], "run_finished");
    let rounds = last["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds.iter().chain([&last["base"], &last["champion"]]) {
        let rate = round["pass_at_1"].as_f64().unwrap();
        let [low, high] = [0, 1].map(|end| round["interval"][end].as_f64().unwrap());
        assert!(low <= rate && rate <= high, "{round:#}");
        assert!(round["promoted"].is_boolean() && round["seconds"].is_f64(), "{round:#}");
    }
    assert_eq!(last["base"]["promoted"], true);
    for round in rounds {
        assert!(round["rows"].as_u64().unwrap() > 0, "every round must publish: {round:#}");
    }
}

#[test]
fn what_a_run_left_is_sound_and_can_be_looked_at() {
    let run = finished();
    let data = run.data.as_path();
    clean_state(data);
    let rows: u64 =
        run.events.last().unwrap()["rounds"].as_array().unwrap().iter().map(rows_of).sum();

    let status = on(data, ["status", "--json"]).ok().json();
    assert_eq!(status[0]["run"], RUN);
    assert_eq!(status[0]["status"], "finished");
    let rounds = on(data, ["rounds", "--json"]).ok().json();
    assert_eq!(rounds.as_array().unwrap().len(), 3);
    let shards = on(data, ["dataset", "ls", "--json"]).ok().json();
    let of_kind = |kind: &str| -> u64 {
        let shards = shards.as_array().unwrap().iter();
        shards.filter(|shard| shard["kind"] == kind).map(rows_of).sum()
    };
    assert_eq!(of_kind("accepted"), rows);
    let head = on(data, ["dataset", "head", "-n", "3", "--json"]).ok().json_lines();
    assert_eq!(head.len(), 3);
    assert_eq!(head[0]["split"], "train");
    let stats = on(data, ["dataset", "stats", "--json"]).ok().json();
    assert_eq!(stats["rows"].as_u64(), Some(rows));
    assert_eq!(stats["attempts"].as_u64(), Some(of_kind("groups")));

    let replays = on(data, ["replay", "--sample", "50", "--json"]).ok().json_lines();
    assert_eq!(replays.len(), 50);
    assert!(replays.iter().all(|replay| replay["identical"] == true), "{replays:#?}");
    let said = on(data, ["replay", text(&head[0], "rollout_id")]).ok().stdout;
    assert!(said.contains("1 of 1 rollouts identical"), "{said}");
}

#[test]
fn everything_recorded_is_shown_with_what_it_came_from() {
    let run = finished();
    let data = run.data.as_path();
    let row = on(data, ["dataset", "head", "-n", "1", "--json"]).ok().json();
    let shards = on(data, ["dataset", "ls", "--json"]).ok().json();
    let shard = shards.as_array().unwrap().iter().find(|shard| shard["kind"] == "accepted");
    let shard = shard.unwrap().clone();
    let last = run.events.last().unwrap();
    let (task, rollout, shard) =
        (text(&row, "task_id"), text(&row, "rollout_id"), text(&shard, "id"));
    let trained = text(&last["rounds"][0], "checkpoint");

    for (id, kind) in [
        (RUN, "run"),
        (task, "task"),
        (rollout, "rollout"),
        (shard, "shard"),
        (trained, "checkpoint"),
    ] {
        assert_eq!(on(data, ["show", id, "--json"]).ok().json()["kind"], kind);
        let shown = on(data, ["show", id]).ok().stdout;
        assert!(shown.contains(&format!("kind: {kind}")), "{shown}");
    }
    let shown = on(data, ["show", rollout, "--json"]).ok().json();
    assert_eq!(shown["verdict"]["verdict"]["verdict"], "pass", "{shown:#}");

    let lineage = on(data, ["lineage", trained, "--json"]).ok().json();
    assert!(lineage["upstream"].to_string().contains(shard), "{lineage:#}");
    let lineage = on(data, ["lineage", rollout, "--json"]).ok().json();
    assert!(lineage["upstream"].to_string().contains(task), "{lineage:#}");
    assert!(lineage["downstream"].to_string().contains(shard), "{lineage:#}");
    let said = on(data, ["lineage", rollout]).ok().stdout;
    assert!(said.contains("came from:") && said.contains("led to:"), "{said}");
}

#[test]
fn people_get_tables() {
    let run = finished();
    let data = run.data.as_path();
    for (args, words) in [
        (&["status"][..], &[RUN, "finished"][..]),
        (&["rounds"], &["held-out pass@1", "base"]),
        (&["audit"], &["clean"]),
        (&["dataset", "ls"], &["train-r0001-", "rows in"]),
        (&["dataset", "head"], &["roll-", "round 1"]),
        (&["dataset", "head", "--config", "groups"], &["roll-", "sample 0", "reward"]),
        (&["dataset", "stats"], &["distinct tasks", "fuel"]),
        (&["task", "ls", "--run", RUN, "--split", "gate"], &["task-", "gate"]),
    ] {
        let said = on(data, args).ok().stdout;
        for word in words {
            assert!(said.contains(word), "no {word:?} in\n{said}");
        }
    }
}

#[test]
fn a_run_repeats_with_its_seed_and_not_with_another() {
    let one = finished();
    let state = clean_state(&one.data);

    let folder = tempfile::tempdir().unwrap();
    let said = on(folder.path(), ["run", "--config", SMALL]).ok().stdout;
    for word in ["held-out pass@1", "rows published", "champion of round", "level"] {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
    assert_eq!(clean_state(folder.path()), state);
    assert_eq!(digests(folder.path()), digests(&one.data));

    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "--config", SMALL, "--seed", "2", "--rounds", "1", "--json"];
    let last = on(folder.path(), args).ok().json_lines().pop().unwrap();
    assert_eq!(last["seed"], 2);
    assert_eq!(last["rounds"].as_array().unwrap().len(), 1);
    assert_ne!(clean_state(folder.path()), state);
    let (theirs, ours) = (digests(folder.path()), digests(&one.data));
    assert!(theirs.iter().all(|digest| !ours.contains(digest)), "{theirs:?} {ours:?}");
}

#[test]
fn waves_of_any_size_give_the_same_rollouts_verdicts_and_checkpoints() {
    let small = std::fs::read_to_string(repository().join(SMALL)).unwrap();
    let results = |waves: &str| {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("waves.toml");
        let text = small.replacen("tasks_per_wave = 8", waves, 1);
        assert_ne!(text, small);
        let draws = "\n[curation]\nskill_cap = 0.2\n\n[recheck]\nshare = 0.3\n";
        std::fs::write(&config, text + draws).unwrap();
        let data = folder.path().join("data");
        let args = ["run", "--rounds", "1", "--config", config.to_str().unwrap()];
        on(&data, args).ok();
        clean_state(&data);
        let rollouts = "SELECT r.id, r.sample, r.seed, r.chain, r.answer_digest, v.revision, \
            v.verdict, v.checks, v.fuel FROM rollouts r JOIN verdicts v ON v.rollout = r.id \
            ORDER BY r.id, v.revision";
        let rechecked = "SELECT SUM(json_extract(body, '$.rechecked.repeated')) FROM events";
        (sql(&data, rollouts), digests(&data), sql(&data, rechecked))
    };
    let one = results("tasks_per_wave = 5");
    assert!(!one.0.is_empty() && one.2.trim().parse::<u32>().unwrap() > 0, "{}", one.2);
    assert!(results("tasks_per_wave = 24") == one, "waves of 24 give other results than of 5");
}

fn rows_of(value: &Value) -> u64 {
    value["rows"].as_u64().unwrap()
}

/// The digests of every shard and checkpoint.
fn digests(data: &std::path::Path) -> Vec<String> {
    let digests = "SELECT sha256 FROM shards UNION SELECT digest FROM checkpoints ORDER BY 1";
    sql(data, digests).lines().map(str::to_owned).collect()
}
