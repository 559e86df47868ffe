use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::{Global, TopArgs};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::output;

/// Runs shown, at most.
const RUNS: u32 = 5;
/// Rounds shown of the newest run: the last ones.
const ROUNDS: usize = 12;
/// A worker that was not heard of for so long is not shown.
const WORKERS_MS: i64 = 60_000;
/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows what a service knows, again and again.
pub(crate) fn top(global: &Global, args: &TopArgs) -> anyhow::Result<()> {
    let service = Service::new(args);
    let again = !args.once && (global.json || output::is_terminal());
    loop {
        let look = service.look()?;
        if global.json {
            output::json(&look)?;
        } else {
            if again {
                clear();
            }
            show(&look);
        }
        if !again {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(u64::from(args.every)));
    }
}

/// A service over HTTP.
struct Service {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Service {
    fn new(args: &TopArgs) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let url = args.url.trim_end_matches('/').to_owned();
        Self { agent: config.into(), url, token: token(&args.token_env) }
    }

    /// Everything that one screen shows.
    fn look(&self) -> anyhow::Result<Value> {
        let runs = self.get(&format!("/api/v1/runs?limit={RUNS}"))?;
        let rounds = match runs["items"][0]["id"].as_str() {
            Some(run) => self.get(&format!("/api/v1/runs/{run}/rounds?limit=500"))?,
            None => Value::Null,
        };
        let schedules = self.get("/api/v1/schedules")?;
        let workers = self.get("/api/v1/workers")?;
        let items = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
        let runs: Vec<Value> = items(&runs).iter().map(without_config).collect();
        Ok(json!({
            "url": self.url,
            "runs": runs,
            "rounds": items(&rounds),
            "workers": items(&workers).iter().filter(|worker| is_there(worker)).collect::<Vec<_>>(),
            "schedules": items(&schedules),
        }))
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| {
            let url = &self.url;
            let what = format!(
                "no service answers at {url}: {error}; start one with `gyre serve`, \
                 or name another with --url"
            );
            Failure::error(Failure::NO_SERVICE, what)
        })?;
        let status = response.status().as_u16();
        let body: Value = response.body_mut().read_json().unwrap_or_default();
        match status {
            200 => Ok(body),
            401 => {
                Err(self.refused("it wants a token; --token-env names the variable that holds it"))
            }
            _ => {
                let detail = body["detail"].as_str().unwrap_or("this is no service of Gyre's");
                Err(self.refused(&format!("{status}, {detail}")))
            }
        }
    }

    fn refused(&self, why: &str) -> anyhow::Error {
        Failure::error(Failure::NO_SERVICE, format!("{} refused: {why}", self.url))
    }
}

#[expect(clippy::disallowed_methods, reason = "the token is in no file, so that none is printed")]
fn token(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|token| !token.is_empty())
}

/// A run without its configuration, which is long and does not change.
fn without_config(run: &Value) -> Value {
    let mut run = run.clone();
    let rounds = run["config"]["rounds"].take();
    if let Some(run) = run.as_object_mut() {
        run.remove("config");
        run.insert("rounds".to_owned(), rounds);
    }
    run
}

/// Those that ended are of no interest, nor is one that died a while ago.
fn is_there(worker: &Value) -> bool {
    let heard = worker["last_seen_ms"].as_i64().unwrap_or_default();
    worker["status"] != "stopped" && heard > now_ms() - WORKERS_MS
}

/// Takes the last screen away.
fn clear() {
    let mut out = std::io::stdout().lock();
    // Nobody to clear for is found out by the line that follows.
    drop(out.write_all(b"\x1b[H\x1b[2J"));
}

fn show(look: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let time = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), output::time);
    let list = |name: &str| look[name].as_array().cloned().unwrap_or_default();
    output::line(format!("gyre top · {}", text(&look["url"])));
    let mut runs = output::table(["run", "status", "seed", "rounds", "events", "begun"]);
    for run in list("runs") {
        runs.add_row([
            text(&run["id"]),
            text(&run["status"]),
            text(&run["seed"]),
            text(&run["rounds"]),
            text(&run["events"]),
            time(&run["created_at_ms"]),
        ]);
    }
    output::line("");
    output::print(&runs);
    let all = list("rounds");
    if !all.is_empty() {
        output::line("");
        output::print(&rounds(&all[all.len().saturating_sub(ROUNDS)..]));
    }
    let workers = list("workers");
    if !workers.is_empty() {
        let mut table = output::table(["worker", "host", "status", "at a time", "pieces", "heard"]);
        for worker in workers {
            table.add_row([
                text(&worker["id"]),
                text(&worker["host"]),
                text(&worker["status"]),
                text(&worker["concurrency"]),
                text(&worker["pieces"]),
                time(&worker["last_seen_ms"]),
            ]);
        }
        output::line("");
        output::print(&table);
    }
    let schedules = list("schedules");
    if !schedules.is_empty() {
        let mut table = output::table(["schedule", "status", "next", "run"]);
        for schedule in schedules {
            table.add_row([
                text(&schedule["name"]),
                text(&schedule["status"]),
                time(&schedule["next_ms"]),
                text(&schedule["run"]),
            ]);
        }
        output::line("");
        output::print(&table);
    }
}

fn rounds(rounds: &[Value]) -> comfy_table::Table {
    let mut table = output::table([
        "round",
        "stage",
        "rollouts",
        "passed",
        "invalid",
        "rows",
        "held-out pass@1",
        "time",
    ]);
    for round in rounds {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let verdicts = &round["verdicts"];
        let judged = number(&verdicts["passed"]) + number(&verdicts["failed"]);
        let passed = match judged {
            0 => "-".to_owned(),
            _ => output::percent(number(&verdicts["passed"]) as f64 / judged as f64),
        };
        let interval = [0, 1].map(|end| round["interval"][end].as_f64().unwrap_or_default());
        let held_out = round["pass_at_1"].as_f64();
        table.add_row([
            number(&round["round"]).to_string(),
            round["stage"].as_str().unwrap_or("-").to_owned(),
            output::count(number(&round["rollouts"])),
            passed,
            output::count(number(&verdicts["invalid"])),
            output::count(number(&round["rows"])),
            held_out.map_or_else(|| "-".to_owned(), |share| output::percent_with(share, interval)),
            output::seconds(round["seconds"].as_f64().unwrap_or_default()),
        ]);
    }
    table
}
