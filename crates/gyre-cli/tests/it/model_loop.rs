//! The loop with a real server and a real trainer: llama.cpp serves a tiny model,
//! mlx-lm trains it, and the server is given what came of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::model_server::{finished, processes_marked, until};
use crate::support::{copy, gyre, repository, run, sql};

/// The variable by which every process of a loop is found.
const MARK: &str = "GYRE_TEST_LOOP";

/// The interpreter with a server and a trainer.
#[expect(clippy::disallowed_methods, reason = "the caller chooses the interpreter")]
fn python() -> PathBuf {
    let python = std::env::var_os("GYRE_TEST_PYTHON");
    let python = python.expect("set GYRE_TEST_PYTHON=$(.ci/python-env), or run `cargo xtask test`");
    python.into()
}

/// A checkpoint that passes a few tasks. It is made once, and test processes share it.
fn taught() -> PathBuf {
    let script = repository().join("crates/gyre-cli/tests/programs/taught.py");
    let mut hasher = DefaultHasher::new();
    let made_by = ["configs/trainers/mlx_sft.py", "configs/trainers/recipe.py"];
    let made_of = ["xtask/tests/recipes/tiny.py", "tasks/compose/primitives.py"];
    for file in made_by.iter().chain(&made_of) {
        fs::read(repository().join(file)).unwrap().hash(&mut hasher);
    }
    fs::read(&script).unwrap().hash(&mut hasher);
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gyre-taught");
    fs::create_dir_all(&shared).unwrap();
    let lock = File::create(shared.join("lock")).unwrap();
    lock.lock().unwrap();
    let made = shared.join(format!("{:016x}", hasher.finish()));
    if !made.is_dir() {
        for old in fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().path()) {
            if old.is_dir() {
                fs::remove_dir_all(old).unwrap();
            }
        }
        let folder = tempfile::tempdir_in(&shared).unwrap();
        run(Command::new(python()).arg(script).arg(repository()).arg(folder.path())).ok();
        fs::rename(folder.path().join("checkpoint"), &made).unwrap();
    }
    made
}

/// Steps of the family that the loop's tasks are made of: those that take a list and
/// no number. A tiny model passes few enough of them.
const STEPS: &str = "\nROWS = tuple(row for row in ROWS if row[1] == 'list' and not row[3])\n";

/// The family with fewer steps.
fn family(tasks: &Path) {
    let family = tasks.join("compose");
    copy(&repository().join("tasks/compose"), &family);
    let steps = family.join("primitives.py");
    let all = fs::read_to_string(&steps).unwrap();
    fs::write(steps, all + STEPS).unwrap();
}

/// A folder in which a loop runs.
struct Loop {
    folder: TempDir,
}

impl Loop {
    /// With these settings of `[rollout]`, and so many conversations at a time.
    fn new(rounds: u32, rollout: &str, slots: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [repository, start, python] = [repository(), taught(), python()];
        let [cache, tasks] = ["gguf", "tasks"].map(|name| folder.path().join(name));
        family(&tasks);
        let config = format!(
            r#"
name = "tiny"
rounds = {rounds}
tasks.dir = {tasks:?}
held_out = {{ gate = 8, test = 4, tasks_per_composition_max = 8 }}
canaries.per_round = 1
start.checkpoint = {start:?}

[[curriculum.families]]
family = "compose"
difficulty_min = 1
difficulty_max = 1
difficulty_start = 1
weight = 1

[rollout]
samples = 2
extra_samples = 0
turns_max = 1
turn_tokens_max = 48
rollout_tokens_max = 48
{rollout}

[trainer]
kind = "command"
command = [
  {python:?}, {trainer:?}, "--dataset={{dataset}}", "--parent={{parent}}", "--output={{output}}",
  "--seed={{seed}}", "--epochs=2", "--learning-rate=5e-4", "--full", "--threads=2",
]
env = [{MARK:?}]
time_limit_seconds = 600

[model]
kind = "openai"
acting = "text"

[model.serve]
command = [
  {python:?}, {server:?}, "--checkpoint={{checkpoint}}", "--port={{port}}", "--name={{name}}",
  "--cache", {cache:?}, "--slots={slots}", "--context=256", "--threads=1", "--quant=f32",
]
env = [{MARK:?}]

[model.server]
dialect = "llamacpp"
in_flight_max = {slots}
extra = {{ cache_prompt = false }}
"#,
            trainer = repository.join("configs/trainers/mlx_sft.py"),
            server = repository.join("configs/servers/llamacpp.py"),
        );
        fs::write(folder.path().join("loop.toml"), config).unwrap();
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn gyre(&self) -> Command {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.data()).env(MARK, self.folder.path());
        command
    }

    fn begin(&self) -> Command {
        let mut command = self.gyre();
        command.args(["run", "--json", "--config"]).arg(self.folder.path().join("loop.toml"));
        command
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        let mark = format!("{MARK}={}", self.folder.path().display());
        until("the server and the trainer have ended", || processes_marked(&mark).is_empty());
    }

    #[track_caller]
    fn clean(&self) -> String {
        let audits = run(self.gyre().args(["audit", "--json"])).ok().json();
        assert_eq!(audits[0]["findings"], Value::Array(vec![]), "{audits:#}");
        audits[0]["state"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_tiny_model_goes_round_a_real_server_and_a_real_trainer() {
    let tiny = Loop::new(2, "tasks_per_round = 64\ntasks_per_wave = 32\ntemperature = 0.4", 4);
    let ran = run(&mut tiny.begin()).ok();
    tiny.nothing_is_left();
    tiny.clean();
    let last = finished(&ran);
    let rounds = last["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2, "{last:#}");
    for round in rounds {
        assert!(round["rows"].as_u64().unwrap() > 0, "every round must publish: {round:#}");
    }
    // What the trainer reported of itself is recorded, and each round has a checkpoint
    // of its own, which acted in its evaluation.
    let trained = ran.json_lines().into_iter().filter(|event| event["event"] == "trained");
    let steps: Vec<_> = trained.map(|event| event["steps"].as_u64().unwrap()).collect();
    assert!(matches!(steps[..], [0, first, second] if first > 0 && second > 0), "{steps:?}");
    let data = tiny.data();
    let acted =
        sql(&data, "SELECT COUNT(DISTINCT checkpoint) FROM rollouts WHERE purpose = 'gate'");
    assert_eq!(acted.trim(), "3");
    // llama.cpp tells the tokens that it sampled, and they are recorded.
    let tokens = sql(&data, "SELECT COUNT(*) FROM rollouts WHERE tokens = 0");
    assert_eq!(tokens.trim(), "0");
    let verdicts = sql(&data, "SELECT DISTINCT verdict FROM verdicts ORDER BY verdict");
    assert_eq!(verdicts.lines().collect::<Vec<_>>(), ["fail", "pass"], "none may be invalid");
    failures_say_why(&data);
    for round in rounds {
        let usage = &round["usage"];
        let [requests, sampled] = [&usage["requests"], &usage["tokens"]["completion"]];
        assert!(requests.as_u64().unwrap() >= 128 && sampled.as_u64().unwrap() > 0, "{usage:#}");
    }
    // The server is gone, and its recorded answers give the same episodes again.
    let replayed = run(tiny.gyre().args(["replay", "--sample", "100", "--json"])).ok();
    tiny.nothing_is_left();
    assert_eq!(replayed.json_lines().len(), 100, "{replayed:#?}");
    assert!(replayed.json_lines().iter().all(|replay| replay["identical"] == true));
}

/// Each failed rollout says for which case it failed and why, and form is told from
/// skill: what Python cannot read from what gives another value.
fn failures_say_why(data: &Path) {
    let failed = sql(data, "SELECT checks FROM verdicts WHERE verdict = 'fail'");
    let why = |checks: &str| -> String {
        let checks: Vec<Value> = serde_json::from_str(checks).unwrap();
        let first = checks.iter().find(|check| check["passed"] == false).unwrap();
        first["detail"].as_str().unwrap().to_owned()
    };
    let failures: Vec<_> = failed.lines().map(why).collect();
    assert!(failures.iter().all(|why| !why.is_empty()), "{failures:?}");
    for kind in ["SyntaxError", "expected "] {
        assert!(failures.iter().any(|why| why.contains(kind)), "no {kind:?} in {failures:?}");
    }
}

/// Greedy, and one conversation at a time: so llama.cpp answers in the same way.
const GREEDY: &str = "tasks_per_round = 16\ntasks_per_wave = 4\ntemperature = 0.0";

#[test]
fn a_run_with_a_real_server_that_is_killed_ends_as_if_nothing_had_happened() {
    let results = |tiny: &Loop| {
        let rollouts = "SELECT id, checkpoint, chain, answer_digest, tokens FROM rollouts \
                        ORDER BY id";
        sql(&tiny.data(), rollouts)
    };
    let whole = Loop::new(1, GREEDY, 1);
    finished(&run(&mut whole.begin()).ok());
    // The paths of cache and interpreter are arguments, so the killed run has the
    // configuration of the other one, in a folder that takes its place.
    let (state, expected) = (whole.clean(), results(&whole));
    fs::rename(whole.data(), whole.folder.path().join("whole")).unwrap();
    let mut asked = BTreeSet::new();
    for point in ["request::answered=13*off->1*return", "request::answered=21*off->1*return"] {
        let mut command = if asked.is_empty() { whole.begin() } else { resumed(&whole) };
        let ran = run(command.env("GYRE_FAILPOINTS", point).stdin(Stdio::null()));
        assert_eq!(ran.code, None, "{ran:#?}");
        whole.nothing_is_left();
        whole.clean();
        asked.insert(point);
    }
    finished(&run(&mut resumed(&whole)).ok());
    whole.nothing_is_left();
    assert_eq!(results(&whole), expected);
    assert_eq!(whole.clean(), state);
}

fn resumed(tiny: &Loop) -> Command {
    let mut command = tiny.gyre();
    command.args(["run", "--json", "--resume"]);
    command
}
