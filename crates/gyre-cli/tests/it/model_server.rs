//! Runs whose model is behind a server and whose trainer is a program.
//!
//! The model answers from a table, and so always in the same way: it is what a test
//! can compare a disturbed run by. Its answers come over real sockets, by way of a
//! process that Gyre starts, watches and replaces as any model server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::crash::is_begun;
use crate::support::{Ran, gyre, repository, run, sql};
use crate::wire::{Act, Received, Server, completion, ok};

/// How often a condition is checked, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3_000;

/// The variable by which every process of a place is found.
const MARK: &str = "GYRE_TEST_PLACE";

/// A step of the family in the words of one phrasing, and its program.
struct Step {
    phrasing: usize,
    words: String,
    expression: String,
    numbers: Vec<u64>,
}

/// A model that knows steps by the words in which tasks ask for them. The first
/// version of it that a server is asked for knows one phrasing, and each later one
/// knows two of the three.
pub(crate) struct Table {
    steps: Vec<Step>,
    versions: Mutex<Vec<String>>,
}

impl Table {
    /// Reads the family's own table of steps.
    pub(crate) fn of_compose() -> Self {
        let print = "import json, primitives; print(json.dumps(primitives.ROWS))";
        let mut python = Command::new("python3");
        python.args(["-B", "-c", print]).current_dir(repository().join("tasks/compose"));
        let rows = run(&mut python).ok().json();
        let steps = rows.as_array().unwrap().iter().flat_map(|row| {
            let [source, expression] = [1, 4].map(|at| row[at].as_str().unwrap());
            let numbers = row[3].as_array().unwrap();
            (0..3).map(move |phrasing| Step {
                phrasing,
                words: format!("Given a {source}, {}.", row[5 + phrasing].as_str().unwrap()),
                expression: expression.to_owned(),
                numbers: numbers.iter().map(|number| number.as_u64().unwrap()).collect(),
            })
        });
        Self { steps: steps.collect(), versions: Mutex::default() }
    }

    /// The program that a version of the model gives for an instruction, if it knows one.
    pub(crate) fn program(&self, version: &str, instruction: &str) -> Option<String> {
        let asked = instruction.lines().next()?;
        let known = if self.ordinal(version) == 0 { 1 } else { 2 };
        let expression = self.steps.iter().find_map(|step| {
            let at = |number: &u64| number.to_string();
            let with = |number: String| {
                let is_asked = step.words.replace('@', &number) == asked;
                is_asked.then(|| step.expression.replace('@', &number))
            };
            if step.phrasing >= known {
                None
            } else if step.numbers.is_empty() {
                with(String::new())
            } else {
                step.numbers.iter().map(at).find_map(with)
            }
        });
        Some(format!("def solve(x):\n    return {}\n", expression?))
    }

    fn ordinal(&self, version: &str) -> usize {
        let mut versions = self.versions.lock().unwrap();
        versions.iter().position(|known| known == version).unwrap_or_else(|| {
            versions.push(version.to_owned());
            versions.len() - 1
        })
    }

    /// The completion of a request: a call of `submit` where tools are offered, and
    /// else a fenced block.
    pub(crate) fn completion(&self, body: &Value) -> Value {
        let instruction = body["messages"][0]["content"].as_str().unwrap();
        let program = self.program(body["model"].as_str().unwrap(), instruction);
        let mut answer = match &program {
            Some(program) => completion(&format!("```python\n{program}```")),
            None => completion("I cannot do that."),
        };
        if let (Some(program), true) = (program, body["tools"].is_array()) {
            answer["choices"][0]["message"] = calling(&[("submit", &program)]);
            answer["choices"][0]["finish_reason"] = json!("tool_calls");
        }
        answer["model"] = body["model"].clone();
        answer
    }
}

/// A message that calls tools with programs.
pub(crate) fn calling(calls: &[(&str, &str)]) -> Value {
    let call = |(at, (tool, code)): (usize, &(&str, &str))| {
        let arguments = json!({ "code": code }).to_string();
        json!({
            "id": format!("call{at}"), "type": "function",
            "function": { "name": tool, "arguments": arguments },
        })
    };
    let calls: Vec<_> = calls.iter().enumerate().map(call).collect();
    json!({ "role": "assistant", "content": null, "tool_calls": calls })
}

/// Whether a request asks for a completion.
pub(crate) fn is_asking(request: &Received) -> bool {
    request.head.starts_with("post /v1/chat/completions ")
}

/// In what the runs of a place differ.
pub(crate) struct Settings<'a> {
    pub(crate) rounds: u32,
    pub(crate) acting: &'a str,
    /// Lines below `[model.server]`.
    pub(crate) server: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { rounds: 1, acting: "text", server: "" }
    }
}

/// A folder with a checkpoint to start from, and the server of its model.
pub(crate) struct Place {
    folder: TempDir,
    server: Server,
    // Dropped last: the server's tasks run on it.
    _runtime: Runtime,
}

impl Place {
    /// A place whose model is a table, and does as it should.
    pub(crate) fn of(table: &Arc<Table>) -> Self {
        let table = Arc::clone(table);
        Self::with(move |_, request| Act::Send(ok(&table.completion(&request.body))))
    }

    /// A place whose server does with each request for a completion what it is told.
    pub(crate) fn with(script: impl Fn(usize, &Received) -> Act + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start(move |number, request| {
            if is_asking(request) { script(number, request) } else { Act::Send(ok(&json!({}))) }
        }));
        let folder = tempfile::tempdir().unwrap();
        let start = format!("--output={}", folder.path().join("start").display());
        run(Command::new("python3").arg(program("trainer.py")).arg(start)).ok();
        Self { folder, server, _runtime: runtime }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.path("data")
    }

    /// Writes the configuration of a small run.
    pub(crate) fn configure(&self, settings: Settings<'_>) {
        let Settings { rounds, acting, server } = settings;
        let [relay, trainer] = ["relay.py", "trainer.py"].map(program);
        let tasks = repository().join("tasks");
        let config = format!(
            r#"
name = "served"
rounds = {rounds}
tasks.dir = {tasks:?}
held_out = {{ gate = 16, test = 4 }}
start.checkpoint = "start"
canaries.per_round = 1

[[curriculum.families]]
family = "compose"
difficulty_min = 1
difficulty_max = 1
difficulty_start = 1
weight = 1

[rollout]
invalid_share_max = 0.5
tasks_per_round = 12
samples = 2
extra_samples = 0
turns_max = 2
tasks_per_wave = 4

# Few held-out tasks can show little at the usual level.
[gate]
alpha_total = 0.5

[trainer]
kind = "command"
command = [
  "python3", {trainer:?}, "--dataset={{dataset}}", "--parent={{parent}}", "--output={{output}}",
  "--seed={{seed}}",
]
env = ["{MARK}", "TRAINER_HOLD"]

[model]
kind = "openai"
acting = {acting:?}

[model.serve]
command = ["python3", {relay:?}, "--port={{port}}"]
env = ["{MARK}", "RELAY_TO"]

[model.server]
backoff = {{ min_ms = 1, max_ms = 4 }}
{server}
"#
        );
        fs::write(self.path("served.toml"), config).unwrap();
    }

    pub(crate) fn gyre(&self) -> Command {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.data()).current_dir(self.folder.path());
        command.env(MARK, self.folder.path()).env("TRAINER_HOLD", self.path("hold"));
        command.env("RELAY_TO", self.server.origin.rsplit(':').next().unwrap());
        command
    }

    /// The command that goes on with the run, or begins it.
    pub(crate) fn drive(&self) -> Command {
        let mut command = self.gyre();
        command.args(["run", "--json"]);
        match is_begun(&self.data()) {
            true => command.arg("--resume"),
            false => command.arg("--config").arg(self.path("served.toml")),
        };
        command
    }

    /// The bodies of the requests for completions so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        let asking = self.server.received().into_iter().filter(is_asking);
        asking.map(|request| request.body).collect()
    }

    /// Bytes that the server sent of endless bodies.
    pub(crate) fn flooded(&self) -> u64 {
        self.server.sent()
    }

    /// The audit's state of the run, which must be clean.
    #[track_caller]
    pub(crate) fn clean(&self) -> String {
        let audits = run(self.gyre().args(["audit", "--json"])).ok().json();
        assert_eq!(audits.as_array().map(Vec::len), Some(1), "{audits:#}");
        assert_eq!(audits[0]["findings"], json!([]), "{audits:#}");
        audits[0]["state"].as_str().unwrap().to_owned()
    }

    /// The newest verdict of each rollout by its id, and why where it is invalid.
    pub(crate) fn verdicts(&self) -> Vec<[String; 3]> {
        let query = "SELECT rollout || '|' || verdict || '|' || COALESCE(reason, '') \
                     FROM verdicts v WHERE revision = (SELECT MAX(revision) FROM verdicts n \
                     WHERE n.run = v.run AND n.rollout = v.rollout) ORDER BY rollout";
        let rows = sql(&self.data(), query);
        let cells = |row: &str| {
            let mut cells = row.splitn(3, '|').map(str::to_owned);
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        };
        rows.lines().map(cells).collect()
    }

    /// The programs of this place that run: the id and the command line of each.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        processes_marked(&format!("{MARK}={}", self.folder.path().display()))
    }

    /// Waits until none of the programs that Gyre started runs any more.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        until("every process that Gyre started has ended", || self.processes().is_empty());
    }

    /// The program with this name in its command line, once it runs.
    #[track_caller]
    pub(crate) fn process(&self, name: &str) -> u32 {
        let mut found = None;
        until(&format!("{name} runs"), || {
            // What supervises it has its name too.
            let runs = |(_, line): &&(u32, String)| {
                line.contains(name) && line.contains("python") && !line.contains("__child")
            };
            found = self.processes().iter().find(runs).map(|(id, _)| *id);
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A trainer that is held would wait for ever where a test failed.
        let _ = fs::remove_file(self.path("hold"));
    }
}

/// A program that the runs of these tests start.
fn program(name: &str) -> std::path::PathBuf {
    repository().join("crates/gyre-cli/tests/programs").join(name)
}

/// The processes with this variable in their environment, and the command line of each.
pub(crate) fn processes_marked(variable: &str) -> Vec<(u32, String)> {
    let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let words = |name: &str| fs::read(Path::new(&path).join(name)).ok();
        // One that ended meanwhile, and one of somebody else's, cannot be read.
        let environment = words("environ")?;
        let is_marked = environment.split(|&byte| byte == 0).any(|one| one == variable.as_bytes());
        let line = String::from_utf8_lossy(&words("cmdline")?).replace('\0', " ");
        // A process without a command line has ended and is not reaped yet.
        (is_marked && !line.is_empty()).then_some((id, line))
    });
    found.collect()
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("waited in vain until {what}");
}

/// Ends a process as `kill` does, with a signal by name.
#[track_caller]
pub(crate) fn signal(process: u32, name: &str) {
    run(Command::new("kill").args([name, &process.to_string()])).ok();
}

/// The last line that a run printed, which must be its end.
#[track_caller]
pub(crate) fn finished(ran: &Ran) -> Value {
    let last = ran.json_lines().pop().unwrap_or_default();
    assert_eq!(last["event"], "run_finished", "{ran:#?}");
    last
}

/// The seeds of requests, which tell those of one model apart: 31 bits of each are sent.
pub(crate) fn seeds(asked: &[Value]) -> BTreeSet<u64> {
    asked.iter().map(|body| body["seed"].as_u64().unwrap()).collect()
}
