//! A model's server that fails: what it loses is nobody's failed attempt, and too much
//! of it ends the round, or the start of a run.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ran, clean_state, finished, on, sql, text};

/// A server that answers in prose. It refuses what is sampled at the temperatures that
/// the file `refuses` beside it lists, every second seed alone where the file says so.
const SERVER: &str = r#"
import http.server, json, pathlib, sys
arguments = dict(argument.split("=", 1) for argument in sys.argv[1:])
rules = pathlib.Path(__file__).with_name("refuses")
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200, {})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        rule = rules.read_text().split()
        refused = ("sampled" if asked["temperature"] > 0 else "greedy") in rule
        # Whether it answers at all is asked before the first task.
        is_task = asked["messages"][-1]["content"] != "Say hello."
        if is_task and refused and ("half" not in rule or asked["seed"] % 2):
            return self.answer(400, {"error": {"message": "out of memory"}})
        message = {"role": "assistant", "content": "I would rather not."}
        choice = {"message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 5}
        self.answer(200, {"choices": [choice], "usage": usage})
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(arguments["--port"])), Handler).serve_forever()
"#;

/// The folder of a run of one round whose model is behind the server.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(refuses: &str, invalid_share_max: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(place.path("serve.py"), SERVER).unwrap();
        place.refuse(refuses);
        let start = finished().data.join("runs/small-1/checkpoints");
        let start = fs::read_dir(start).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
        let config = format!(
            "name = 'lost'\nrounds = 1\nheld_out = {{ gate = 20, test = 20 }}\n\
             cold_start = {{ demonstrations = {{ 1 = 5 }} }}\n\
             [[curriculum.families]]\nfamily = 'compose'\ndifficulty_min = 1\n\
             difficulty_max = 2\ndifficulty_start = 1\nweight = 1\n\
             [rollout]\ntasks_per_round = 24\nsamples = 2\nextra_samples = 0\nturns_max = 1\n\
             tasks_per_wave = 12\n{invalid_share_max}\n\
             [start]\ncheckpoint = '{}'\n[trainer]\nkind = 'command'\ncommand = ['true']\n\
             [model]\nkind = 'openai'\nacting = 'text'\n[model.serve]\n\
             command = ['python3', '{}', '--port={{port}}', '--model={{checkpoint}}']\n",
            start.display(),
            place.path("serve.py").display(),
        );
        fs::write(place.path("lost.toml"), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn refuse(&self, rules: &str) {
        fs::write(self.path("refuses"), rules).unwrap();
    }

    fn run(&self) -> Ran {
        on(&self.data(), ["run", "--json", "--config", self.path("lost.toml").to_str().unwrap()])
    }
}

/// Kinds and details of the reasons why rollouts of a round are invalid, and how many.
fn reasons(data: &Path, round: u32) -> Vec<String> {
    let query = format!(
        "SELECT json_extract(v.reason, '$.kind') || ' ' || json_extract(v.reason, '$.detail') \
         || ' ' || COUNT(*) FROM verdicts v JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
         WHERE v.verdict = 'invalid' AND r.round = {round} AND r.purpose = 'train' GROUP BY v.reason"
    );
    sql(data, &query).lines().map(str::to_owned).collect()
}

fn failed(events: &[Value]) -> Option<&Value> {
    events.iter().find(|event| event["event"] == "failed")
}

#[test]
fn a_round_whose_server_fails_ends_by_itself_and_says_why() {
    let place = Place::new("sampled", "");
    let events = place.run().ok().json_lines();
    let failed = failed(&events).expect("the round failed");
    let cause = text(failed, "cause");
    for words in [
        "24 of 24 rollouts (100.0%) were lost",
        "`rollout.invalid_share_max = 0.2`",
        "the most common reason (24 of them) is model: http://127.0.0.1:",
        "out of memory",
    ] {
        assert!(cause.contains(words), "no {words:?} in {cause}");
    }
    assert_eq!(failed["round"], 1, "{failed}");
    // One wave was enough to see it, and none of it is a failed attempt.
    let [reason] = &reasons(&place.data(), 1)[..] else { panic!("one reason is expected") };
    assert!(reason.starts_with("model http://127.0.0.1:") && reason.ends_with(" 24"), "{reason}");
    let verdicts = sql(
        &place.data(),
        "SELECT DISTINCT v.verdict FROM verdicts v JOIN rollouts r ON r.run = v.run \
         AND r.id = v.rollout WHERE r.round = 1",
    );
    assert_eq!(verdicts, "invalid\n");
    let status = on(&place.data(), ["rounds", "--json"]).ok().json();
    assert_eq!(status[1]["stage"], "failed", "{status:#}");
    clean_state(&place.data());
}

#[test]
fn a_share_within_the_bound_ends_nothing() {
    let place = Place::new("sampled half", "invalid_share_max = 0.9");
    let events = place.run().ok().json_lines();
    // No answer holds a program, so no rollout is accepted: the round fails for that.
    let cause = failed(&events).map(|failed| text(failed, "cause"));
    assert_eq!(cause, Some("no rollout was accepted"));
    let lost = events.iter().map(|event| event["faulted"].as_u64().unwrap_or_default());
    let lost: u64 = lost.sum();
    assert!((1..48).contains(&lost), "{lost} of 48 were lost");
    let [reason] = &reasons(&place.data(), 1)[..] else { panic!("one reason is expected") };
    assert!(reason.ends_with(&format!(" {lost}")), "{reason}");
    clean_state(&place.data());
}

/// There is no champion to go on with.
#[test]
fn a_run_whose_first_evaluation_is_lost_stops_and_can_be_resumed() {
    let place = Place::new("greedy", "");
    let ran = place.run();
    ran.fails(
        32,
        &["lost-1 stops in round 0", "20 of 20 rollouts of the gate part", "gyre run --resume"],
    );
    assert_eq!(sql(&place.data(), "SELECT COUNT(*) FROM rollouts"), "0\n");
    place.refuse("nothing");
    let events = on(&place.data(), ["run", "--json", "--resume"]).ok().json_lines();
    assert!(events.iter().any(|event| event["event"] == "decided"), "{events:#?}");
    clean_state(&place.data());
}
