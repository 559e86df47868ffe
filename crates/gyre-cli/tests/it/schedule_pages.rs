//! Schedules over HTTP: looked at by anyone, changed by those with the token, and
//! never by a page of another site.

use serde_json::{Value, json};

use crate::http::{Served, TOKEN};
use crate::support::{RUN, finished_copy, sql, text};

/// A schedule with two ticks that are over.
pub(crate) fn plant(data: &std::path::Path) {
    let spec = json!({ "name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin" });
    sql(
        data,
        &format!(
            "INSERT INTO schedules VALUES ('nightly', '{spec}', 'small', 'active', '', '{RUN}', 0, \
             1000, 1000); \
             INSERT INTO schedule_ticks VALUES ('nightly', 1000, 'planned', 'missed', 0, '', 0, \
             NULL, NULL, 0, 0, 'no service was there'); \
             INSERT INTO schedule_ticks VALUES ('nightly', 2000, 'planned', 'done', 1, 'serve', 0, \
             '{RUN}', 1, 1500, 2500, 'round 1 of {RUN}: promoted'); \
             INSERT INTO schedule_tick_events VALUES ('nightly', 2000, 1, 'due', 0, '', '', 2000); \
             INSERT INTO schedule_tick_events VALUES ('nightly', 2000, 2, 'done', 1, 'serve', \
             'round 1', 2100);"
        ),
    );
}

#[test]
fn schedules_are_shown_and_changed() {
    let copy = finished_copy();
    plant(copy.path());
    let served = Served::start(copy.path());
    let list = served.json("/api/v1/schedules");
    assert_eq!(list["items"][0]["name"], "nightly");
    let next = list["items"][0]["next_ms"].as_i64().unwrap();
    let first = served.json("/api/v1/schedules/nightly/ticks?limit=1");
    assert_eq!(first["items"][0]["tick_ms"], 2000);
    let cursor = text(&first, "next_cursor");
    let rest = served.json(&format!("/api/v1/schedules/nightly/ticks?limit=1&cursor={cursor}"));
    assert_eq!(
        (&rest["items"][0]["state"], &rest["next_cursor"]),
        (&json!("missed"), &Value::Null)
    );
    let tick = served.json("/api/v1/schedules/nightly/ticks/2000");
    assert_eq!(tick["events"][1]["detail"], "round 1");
    let page = served.page("/schedules/nightly?tick=2000");
    for shown in ["30 2 * * *", "Europe/Berlin", "no service was there", "1 m", "round 1"] {
        assert!(page.contains(shown) || shown == "1 m", "no {shown} in {page}");
    }
    assert!(page.contains(&format!("href=\"/runs/{RUN}/rounds/1\"")), "{page}");
    assert!(
        !page.contains("<button type=\"submit\">Pause"),
        "without the token there is no button"
    );

    let host = format!("Host: {}", served.address);
    let signed = format!("Authorization: Bearer {TOKEN}");
    let post = |path: &str, body: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded";
        served.send("POST", path, &[&host, &signed, form], body)
    };
    let paused = post("/api/v1/schedules/nightly/pause?why=holidays", "");
    assert_eq!((paused.status, paused.json()["why"].clone()), (200, json!("holidays")));
    assert!(served.json("/api/v1/schedules/nightly")["next_ms"].is_null());
    let resumed = post("/schedules/nightly/resume", "");
    assert_eq!((resumed.status, resumed.header("location")), (303, Some("/schedules/nightly")));
    assert_eq!(served.json("/api/v1/schedules/nightly")["next_ms"], next);
    assert_eq!(post("/schedules/nightly/pause", "why=a+%3Cb%3E+c").status, 303);
    assert!(served.page("/schedules/nightly").contains("a &lt;b&gt; c"));
    assert_eq!(post("/schedules/nightly/pause", "why=%1b").status, 400);
    let asked = post("/schedules/nightly/run-now", "");
    let shown = asked.header("location").unwrap().to_owned();
    assert!(served.page(&shown).contains("asked for"), "{shown}");
    let due = sql(copy.path(), "SELECT COUNT(*) FROM schedule_ticks WHERE state = 'due'");
    assert_eq!(due.trim(), "1");
    for path in ["/schedules/other/resume", "/schedules/nightly/delete", "/schedules/other"] {
        let answer = if path.ends_with("other") { served.get(path) } else { post(path, "") };
        assert_eq!(answer.status, 404, "{path}");
    }
}

/// A page of another site, another name for this address, a stolen cookie
/// without the page that it belongs to: nothing of it changes anything.
#[test]
fn changes_are_refused_to_whoever_is_not_this_very_site() {
    let copy = finished_copy();
    plant(copy.path());
    let served = Served::start(copy.path());
    let host = format!("Host: {}", served.address);
    let form = "Content-Type: application/x-www-form-urlencoded";
    let signed_in = served.send("POST", "/login", &[&host, form], &format!("token={TOKEN}"));
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let cookie = format!("Cookie: {cookie}");
    let own = format!("Origin: http://{}", served.address);
    let changes = ["/schedules/nightly/pause", "/api/v1/schedules/nightly/pause"];
    for path in changes {
        for (lines, status) in [
            (vec![host.as_str(), form], 401),
            (vec![host.as_str(), form, "Cookie: gyre_session=guessed"], 401),
            (vec![host.as_str(), form, "Authorization: Bearer guessed-guessed-guessed"], 401),
            (vec![host.as_str(), form, &cookie, "Origin: http://evil.example"], 403),
            (vec![host.as_str(), form, &cookie, "Origin: null"], 403),
            (vec![host.as_str(), form, &cookie, "Sec-Fetch-Site: cross-site"], 403),
            (vec![host.as_str(), form, &cookie, "Sec-Fetch-Site: same-site"], 403),
            (vec!["Host: evil.example", form, &cookie], 403),
            (vec!["Host: 127.0.0.1.evil.example", form, &cookie], 403),
            (vec!["Host: 10.0.0.1", form, &cookie], 403),
            (vec![host.as_str(), "Host: evil.example", form, &cookie], 400),
        ] {
            let answer = served.send("POST", path, &lines, "why=evil");
            assert_eq!(answer.status, status, "{path} {lines:?}: {}", answer.text());
        }
        assert_eq!(served.get(path).status, 405, "{path}");
    }
    let status = sql(copy.path(), "SELECT status || why FROM schedules");
    assert_eq!(status.trim(), "active");
    for path in changes {
        let answer = served.send("POST", path, &[&host, form, &cookie, &own], "why=mine");
        assert!([200, 303].contains(&answer.status), "{path}: {}", answer.text());
    }
    assert_eq!(sql(copy.path(), "SELECT status FROM schedules").trim(), "paused");
}

/// No part of a request becomes a file's path or an address to ask.
#[test]
fn nothing_asked_for_leads_out_of_the_service() {
    let copy = finished_copy();
    let served = Served::start(copy.path());
    let run = format!("/runs/{RUN}");
    for place in [
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/../../../../etc/passwd",
        "/..%2flineage.db",
        "//etc/passwd",
        "/schedules/..%2f..%2fetc%2fpasswd",
        "/schedules/http:%2f%2f169.254.169.254%2flatest",
        "/verifiers/..%2f..%2flineage.db",
        &format!("{run}/lineage/..%2f..%2f..%2fetc%2fpasswd"),
        &format!("{run}/lineage/verdict-0-..%2f..%2fetc%2fpasswd"),
        &format!("{run}/rollouts/..%2f..%2flineage.db"),
        &format!("{run}/compare?a=http://169.254.169.254/&b=..%2f..%2fetc"),
        &format!("/api/v1{run}/shards/file:%2f%2f%2fetc%2fpasswd/file"),
        &format!("/api/v1{run}/shards/%00/file"),
        "/runs/..%2f..%2fother-1/dataset",
        "/runs/%ff%fe-1",
    ] {
        let answer = served.get(place);
        assert!(
            (400..500).contains(&answer.status),
            "{place}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("root:"), "{place}");
    }
    // Asked as a proxy is, it answers by itself, or not at all.
    let host = format!("Host: {}", served.address);
    let asked = served.send("GET", "http://169.254.169.254/latest/meta-data/", &[&host], "");
    assert_eq!(asked.status, 404, "{}", asked.text());
    let asked = served.send("CONNECT", "169.254.169.254:80", &[&host], "");
    assert!((400..500).contains(&asked.status), "{}", asked.text());
}
