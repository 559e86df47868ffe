//! `gyre serve` over a real run: the API, the guards and the pages.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::http::{Served, TOKEN};
use crate::support::{RUN, finished, gyre, run, sql, text};

fn items(document: &Value) -> &Vec<Value> {
    document["items"].as_array().unwrap()
}

/// All ids of a list, page by page.
fn all_ids(served: &Served, path: &str, limit: u32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = served.json(&format!("{path}?limit={limit}&cursor={cursor}"));
        assert!(items(&page).len() <= limit as usize);
        ids.extend(items(&page).iter().map(|item| text(item, "id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return ids,
        }
    }
}

#[test]
fn the_api_tells_what_is_recorded() {
    let data = finished().data;
    let served = Served::start(&data);
    assert_eq!(served.json("/healthz")["status"], "ok");
    assert_eq!(served.json("/readyz")["status"], "ready");
    assert_eq!(items(&served.json("/api/v1/runs"))[0]["id"], RUN);
    let base = format!("/api/v1/runs/{RUN}");
    assert_eq!(served.json(&base)["status"], "finished");
    assert_eq!(items(&served.json(&format!("{base}/rounds"))).len(), 3);
    // Added up without the plans, a round comes to what its folded log says.
    for summary in items(&served.json(&format!("{base}/rounds"))) {
        let folded = served.json(&format!("{base}/rounds/{}", summary["round"]));
        assert_eq!(folded["summary"], *summary);
    }
    let round = served.json(&format!("{base}/rounds/1"));
    assert!(round["gate"]["record"]["flips_lost"].is_array(), "{round:#}");

    let mut rollouts = all_ids(&served, &format!("{base}/rollouts"), 37);
    let in_database = sql(&data, "SELECT id FROM rollouts ORDER BY round, id");
    assert_eq!(rollouts, in_database.lines().collect::<Vec<_>>());
    let passed = served.json(&format!("{base}/rollouts?verdict=pass&family=compose&score_min=1"));
    assert!(items(&passed).iter().all(|row| row["verdict"]["verdict"]["verdict"] == "pass"));
    let rollout = served.json(&format!("{base}/rollouts/{}", rollouts.remove(0)));
    assert!(!rollout["record"]["messages"].as_array().unwrap().is_empty());
    let task = served.json(&format!("{base}/tasks/{}", text(&rollout, "task")));
    assert!(task["key"]["reference"].is_string());
    assert!(!served.get(&format!("{base}/tasks?limit=500")).text().contains("\"reference\""));

    let shards = served.json(&format!("{base}/shards"));
    let of_kind = |kind: &str| {
        let found = items(&shards).iter().find(|shard| shard["kind"] == kind);
        found.unwrap_or_else(|| panic!("no shard of {kind} in {shards:#}")).clone()
    };
    let groups = of_kind("groups");
    let file = served.get(&format!("{base}/shards/{}/file", text(&groups, "id")));
    assert!(file.body.starts_with(b"PAR1"));
    let shard = of_kind("accepted");
    let file = served.get(&format!("{base}/shards/{}/file", text(&shard, "id")));
    assert_eq!(file.body.len() as u64, shard["bytes"].as_u64().unwrap());
    assert!(file.body.starts_with(b"PAR1"));
    assert!(file.header("content-disposition").unwrap().starts_with("attachment"));
    let lineage = served.json(&format!("{base}/lineage/{}", text(&shard, "id")));
    assert!(!lineage["downstream"].as_array().unwrap().is_empty());
    let rows = served.get(&format!("{base}/dataset/rows"));
    assert!(rows.header("content-disposition").unwrap().starts_with("attachment"));
    let published = sql(&data, "SELECT SUM(row_count) FROM gyre_v1_shards WHERE superseded = 0");
    assert_eq!(rows.text().lines().count().to_string(), published.trim());
    let first: Value = serde_json::from_str(rows.text().lines().next().unwrap()).unwrap();
    assert!(first["messages"].is_array() && first["turns"][0]["loss_mask"].is_array());
    let mut seqs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = served.json(&format!("{base}/log?limit=5&cursor={cursor}"));
        seqs.extend(items(&page).iter().map(|event| event["seq"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(Some(seqs.len()), seqs.last().map(|last| *last as usize), "{seqs:?}");
    for path in ["verdicts", "checkpoints", "log"] {
        assert!(!items(&served.json(&format!("{base}/{path}"))).is_empty(), "{path}");
    }
    let metrics = served.page("/metrics");
    assert!(!metrics.contains("gyre_run_model_"), "the embedded model is no server: {metrics}");
    assert!(metrics.contains("gyre_round_pass_at_1{run=\"small-1\",round=\"2\"}"), "{metrics}");
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn rollouts_are_found_by_what_was_answered() {
    let data = finished().data;
    let served = Served::start(&data);
    let base = format!("/api/v1/runs/{RUN}/rollouts");
    let all = all_ids(&served, &base, 500);
    let answer = |id: &String| {
        let rollout = served.json(&format!("{base}/{id}"));
        text(&rollout["record"], "answer").to_lowercase()
    };
    let answers: Vec<_> = all.iter().map(answer).collect();
    for (wanted, other) in
        [("return", "%28"), ("for w in x", "SORTED%28"), ("not there at all", "")]
    {
        for asked in [wanted, other] {
            let plain = asked.replace("%28", "(").to_lowercase();
            let expected: Vec<_> = all
                .iter()
                .zip(&answers)
                .filter(|(_, answer)| answer.contains(&plain) && !plain.is_empty())
                .map(|(id, _)| id.clone())
                .collect();
            let mut found = Vec::new();
            let mut cursor = String::new();
            let asked = asked.replace(' ', "%20");
            while !asked.is_empty() {
                let path = format!("{base}?answer={asked}&limit=7&cursor={cursor}");
                let page = served.json(&path);
                found.extend(items(&page).iter().map(|item| text(item, "id").to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{asked}");
        }
    }
    let page = served.page(&format!("/runs/{RUN}/rollouts?answer=return&verdict=pass"));
    assert!(page.contains("answers were looked through"), "{page}");
}

#[test]
fn what_is_asked_for_wrongly_is_told_with_a_code() {
    let served = Served::start(&finished().data);
    let base = format!("/api/v1/runs/{RUN}");
    for (path, status, code) in [
        ("/api/v1/nothing".to_owned(), 404, "not_found"),
        ("/api/v1/runs/none-1".to_owned(), 404, "not_found"),
        ("/api/v1/runs/UPPER".to_owned(), 400, "bad_id"),
        ("/api/v1/runs/..%2f..%2fetc-1".to_owned(), 400, "bad_id"),
        (format!("{base}/rounds/99"), 404, "not_found"),
        (format!("{base}/rounds/-1"), 400, "bad_id"),
        (format!("{base}/tasks/%2e%2e%2fkey"), 400, "bad_id"),
        (format!("{base}/rollouts/roll-0000000000000000"), 404, "not_found"),
        (format!("{base}/rollouts/http:%2f%2f169.254.169.254%2f"), 400, "bad_id"),
        (format!("{base}/shards/..%2f..%2flineage.db/file"), 400, "bad_id"),
        (format!("{base}/lineage/file:%2f%2f%2fetc%2fpasswd"), 400, "bad_id"),
        (format!("{base}/rollouts?limit=0"), 400, "bad_parameter"),
        (format!("{base}/rollouts?limit=99999999999"), 400, "bad_parameter"),
        (format!("{base}/rollouts?cursor=zz"), 400, "bad_cursor"),
        (format!("{base}/rollouts?verdict=maybe"), 400, "bad_parameter"),
        (format!("{base}/rollouts?score_min=NaN"), 400, "bad_parameter"),
        (format!("{base}/rollouts?q=%00"), 400, "bad_parameter"),
        (format!("{base}/rollouts?sort=1"), 400, "unknown_parameter"),
        (format!("{base}/events?after=-1"), 400, "bad_parameter"),
        ("/api/v1/verifiers/abc".to_owned(), 400, "bad_id"),
    ] {
        let answer = served.get(&path);
        let found = (answer.status, answer.code());
        assert_eq!(found, (status, code.to_owned()), "{path}");
    }
    let host = format!("Host: {}", served.address);
    let answer = served.send("GET", "/api/v1/runs", &[&host, "Origin: http://evil.example"], "");
    assert_eq!((answer.status, answer.code()), (403, "foreign_origin".to_owned()));
    let answer = served.send("GET", "/api/v1/runs", &["Host: evil.example"], "");
    assert_eq!((answer.status, answer.code()), (403, "foreign_host".to_owned()));
    let signed = format!("Authorization: Bearer {TOKEN}");
    let answer = served.send("DELETE", "/api/v1/runs", &[&host, &signed], "");
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()));
}

#[test]
fn a_replay_needs_the_token_and_comes_out_identical() {
    let served = Served::start(&finished().data);
    let first = served.json(&format!("/api/v1/runs/{RUN}/rollouts?limit=1"));
    let path = format!("/api/v1/runs/{RUN}/rollouts/{}/replay", text(&items(&first)[0], "id"));
    let host = format!("Host: {}", served.address);
    let bare = served.send("POST", &path, &[&host], "");
    assert_eq!((bare.status, bare.code()), (401, "token_required".to_owned()));
    let wrong = served.send("POST", &path, &[&host, "Authorization: Bearer wrong-wrong-wrong"], "");
    assert_eq!(wrong.status, 401);
    let signed = format!("Authorization: Bearer {TOKEN}");
    let foreign = ["Origin: http://evil.example", host.as_str(), signed.as_str()];
    assert_eq!(served.send("POST", &path, &foreign, "").code(), "foreign_origin");
    let replay = served.send("POST", &path, &[&host, &signed], "");
    assert_eq!(replay.status, 200, "{}", replay.text());
    assert_eq!(replay.json()["identical"], true, "{}", replay.text());

    // A browser signs in once, and goes on with the cookie.
    let form = "Content-Type: application/x-www-form-urlencoded";
    let refused = served.send("POST", "/login", &[&host, form], "token=nope");
    assert_eq!(refused.status, 401);
    let signed_in = served.send("POST", "/login", &[&host, form], &format!("token={TOKEN}"));
    assert_eq!(signed_in.status, 303);
    let set = signed_in.header("set-cookie").unwrap();
    assert!(set.contains("httponly") && set.contains("samesite=strict"), "{set}");
    assert!(!set.contains(TOKEN), "{set}");
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let page = path.trim_start_matches("/api/v1").trim_end_matches("/replay");
    let shown = served.send("GET", page, &[&host, &cookie], "").text();
    assert!(shown.contains("<button type=\"submit\">Replay</button>"), "{shown}");
}

#[test]
fn an_address_that_others_reach_asks_for_the_token() {
    let data = finished().data;
    let mut bare = gyre();
    bare.arg("--data-dir").arg(&data).args(["serve", "--listen", "0.0.0.0:0"]);
    run(bare.env_remove("GYRE_SERVER_TOKEN")).fails(12, &["token", "GYRE_SERVER_TOKEN"]);
    let served = Served::start_on(&data, "0.0.0.0:0");
    let host = format!("Host: {}", served.address);
    assert_eq!(served.send("GET", "/api/v1/runs", &[&host], "").code(), "token_required");
    assert_eq!(served.get("/").status, 401);
    assert_eq!(served.get("/healthz").status, 200);
    let signed = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(served.send("GET", "/api/v1/runs", &[&host, &signed], "").status, 200);
}

#[test]
fn events_are_streamed_and_end_with_the_service() {
    let served = Served::start(&finished().data);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let path = format!("/api/v1/runs/{RUN}/events?after=2");
    let host = &served.address;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("data: ")).unwrap();
    let event: Value = serde_json::from_str(first.trim_start_matches("data: ")).unwrap();
    assert_eq!(event["seq"], 3);
    assert_eq!(served.stop(), Some(0), "an open stream does not hold the service up");
}
