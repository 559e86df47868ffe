//! Whatever a policy, a guest, a verifier, a family or another service may have
//! written stays text: planted in every stored field, on every page, in a real
//! browser and in exported files.

use std::fs;
use std::path::Path;

use gyre_dataset::{read_part, write_part};
use gyre_types::Answer;

use crate::browser::Browser;
use crate::http::Served;
use crate::support::{RUN, finished_copy, repository, sql};

/// Would run in text, in an attribute, as a link, and as a picture.
const PAYLOAD: &str = "\"'><script>window.pwned=1</script><img src=x onerror=window.pwned=2>\
    <svg onload=window.pwned=3></svg><a href=javascript:window.pwned=4>x</a>";
/// How its start looks when it is shown.
const SHOWN: &str = "&lt;script&gt;window.pwned=1&lt;/script&gt;";

/// What would be there if any of it had run, or had become markup.
const RAN: &str = "String(window.pwned) + document.querySelectorAll(\
    'main script, main img, main iframe, main svg[onload], main a[href^=javascript]').length";

fn plant(data: &Path) {
    let payload = PAYLOAD.replace('\'', "''");
    let payload = format!("'{payload}'");
    let statements = [
        "UPDATE tasks SET family = X, body = json_set(body, \
         '$.messages[0].content', X || ' planted', '$.family', X, '$.environment.program.entry', X, \
         '$.skills', json_array(X), '$.composition', json_array(X), \
         '$.environment.program.visible', json_array(json_object('args', json_array(X), 'expect', X)))",
        "UPDATE grading_keys SET body = json_set(body, '$.program.reference', X, \
         '$.program.failures', json_array(X))",
        "UPDATE verdicts SET checks = json_array(json_object('name', X, 'passed', json('true'), \
         'weight', 1.0, 'detail', X || char(8238)))",
        "UPDATE verdicts SET verdict = 'invalid', score = NULL, \
         reason = json_object('detail', X, 'kind', 'verifier') \
         WHERE rollout = (SELECT MIN(id) FROM rollouts)",
        "UPDATE events SET body = json_set(body, '$.refused', json_object(X, 3)) \
         WHERE kind = 'tasks_generated'",
        "UPDATE events SET body = json_set(body, '$.funnel', json_object(X, 3)) WHERE kind = 'curated'",
        "UPDATE events SET kind = 'failed', body = json_object('event', 'failed', 'cause', X) \
         WHERE kind = 'decided' AND round = 2",
        "UPDATE gates SET record = json_set(record, '$.per_difficulty[0].family', X)",
        "INSERT INTO alarms VALUES ('RUN', 1, X, X, json_object('detail', X), 1)",
        "INSERT INTO verifiers VALUES (printf('%064x', 7), X, 'checks', 0, json_object(X, X), \
         'revoked', 1, 2, X, NULL)",
        "INSERT INTO schedules VALUES ('nightly', json_object('name', 'nightly', 'cron', X, \
         'time_zone', X), X, 'paused', X, 'RUN', 0, 5, 5)",
        "INSERT INTO schedules VALUES (X, '{}', X, 'active', X, NULL, 0, 5, 5)",
        "INSERT INTO schedule_ticks VALUES ('nightly', 5, 'manual', 'failed', 1, X, 5, 'RUN', 1, \
         1, 1, X)",
        "INSERT INTO schedule_tick_events VALUES ('nightly', 5, 1, 'failed', 1, X, X, 5)",
    ];
    for statement in statements {
        sql(data, &statement.replace("RUN", RUN).replace('X', &payload));
    }
    // What lists are read by follows.
    for migration in ["0007_index.sql", "0014_task_words.sql"] {
        let migration = repository().join("migrations/sqlite").join(migration);
        let migration = fs::read_to_string(migration).unwrap();
        sql(data, migration.split_once("-- Filling.\n").unwrap().1);
    }
    let parts = sql(data, "SELECT id || ' ' || path FROM parts");
    for (id, path) in parts.lines().map(|line| line.split_once(' ').unwrap()) {
        let mut records: Vec<_> =
            read_part(&data.join(path)).unwrap().map(Result::unwrap).collect();
        for record in &mut records {
            record.answer = Answer::Program(format!("{PAYLOAD}\u{202e}"));
            for message in &mut record.messages {
                message.content = PAYLOAD.to_owned();
                for call in &mut message.tool_calls {
                    call.name = PAYLOAD.to_owned();
                    call.arguments = serde_json::json!({ PAYLOAD: PAYLOAD }).to_string();
                }
            }
        }
        let folder = Path::new(path).parent().unwrap();
        write_part(&data.join(folder), id, &records).unwrap();
        let written = folder.join(format!("{id}.parquet"));
        sql(data, &format!("UPDATE parts SET path = '{}' WHERE id = '{id}'", written.display()));
    }
}

fn pages(data: &Path) -> Vec<String> {
    let one = |statement: &str| sql(data, statement).trim().to_owned();
    let rollout = one("SELECT MIN(id) FROM rollouts");
    let other = one("SELECT MAX(id) FROM rollouts");
    let task = one("SELECT MIN(task) FROM rollouts");
    let checkpoint = one("SELECT MAX(id) FROM checkpoints");
    let run = format!("/runs/{RUN}");
    let mut pages = vec!["/".to_owned(), run.clone(), "/verifiers".to_owned()];
    for page in ["rounds/0", "rounds/1", "rounds/2", "tasks", "tasks?q=planted", "rollouts"] {
        pages.push(format!("{run}/{page}"));
    }
    pages.push(format!("{run}/tasks/{task}"));
    pages.push(format!("{run}/rollouts/{rollout}"));
    pages.push(format!("{run}/rollouts?verdict=invalid&q=planted"));
    pages.push(format!("{run}/compare?a={rollout}&b={other}"));
    pages.push(format!("{run}/dataset"));
    for node in [&rollout, &task, &checkpoint] {
        pages.push(format!("{run}/lineage/{node}"));
    }
    pages.push(format!("/verifiers/{:064x}", 7));
    pages.push("/schedules".to_owned());
    pages.push("/schedules/nightly?tick=5".to_owned());
    pages
}

/// Those that show nothing that others write.
const PLAIN: [&str; 3] = ["/", "/dataset", "/lineage/"];

#[test]
fn what_others_wrote_stays_text_on_every_page() {
    let copy = finished_copy();
    let data = copy.path();
    plant(data);
    let served = Served::start(data);
    let mut browser = Browser::start();
    let exported = data.join("exported.html");
    for path in pages(data) {
        let page = served.page(&path);
        assert!(!page.contains("<script>window"), "{path}: {page}");
        assert!(!page.contains("<img"), "{path}");
        let is_plain = PLAIN
            .iter()
            .any(|plain| path.ends_with(plain) || plain.len() > 1 && path.contains(plain));
        assert!(is_plain || page.contains(SHOWN), "{path} shows the text: {page}");
        browser.open(&format!("http://{}{path}", served.address));
        assert_eq!(browser.eval(RAN), "undefined0", "{path}");

        let and = if path.contains('?') { "&" } else { "?" };
        let file = served.get(&format!("{path}{and}export=1"));
        assert!(file.header("content-disposition").unwrap().starts_with("attachment"), "{path}");
        assert!(!file.text().contains("<script"), "{path}");
        fs::write(&exported, &file.body).unwrap();
        browser.open(&format!("file://{}", exported.display()));
        assert_eq!(browser.eval(RAN), "undefined0", "exported {path}");
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    let rollout = sql(data, "SELECT MIN(id) FROM rollouts").trim().to_owned();
    let page = served.page(&format!("/runs/{RUN}/rollouts/{rollout}"));
    assert!(!page.contains('\u{202e}') && page.contains("\\u{202e}"), "a bidi control is shown");
    let answer = served.get("/");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}
