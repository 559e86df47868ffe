//! What a supervisor and a monitor ask.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use gyre_lineage::{RunStatus, WorkerStatus};
use gyre_orchestrator::RoundSummary;
use gyre_round::{Cost, ModelUsage};
use gyre_types::{RunId, Usage};
use serde_json::json;

use crate::answer::{answer, problem};
use crate::app::App;
use crate::failure::Failure;

/// Runs that metrics tell of, newest first.
const RUNS: u32 = 20;
/// Workers that are counted at most.
const WORKERS: u32 = 10_000;
/// A worker that was not heard of for so long is taken for gone.
const HEARD_MS: i64 = 30_000;

/// How long the database may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// The process lives.
pub(crate) async fn healthz() -> Response {
    answer(Ok(json!({ "status": "ok" })))
}

/// The database answers, and the service is not about to end.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.shutdown.is_started() {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        return problem(&Failure::new(status, "stopping", "the service is about to end"));
    }
    // Past the queue of those who read: a busy service is ready.
    let asked = tokio::time::timeout(READY_WITHIN, app.project.store.runs_page(None, 1)).await;
    let asked = asked.map_err(|_elapsed| {
        Failure::busy("database_unavailable", "the database does not answer in time")
    });
    answer(asked.and_then(|runs| Ok(runs?)).map(|_| json!({ "status": "ready" })))
}

/// Prometheus' text format, version 0.0.4.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.read(measure).await {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(failure) => problem(&failure),
    }
}

fn measure(app: &App) -> Result<String, Failure> {
    let runs = app.project.wait(app.project.store.runs_page(None, RUNS))?.rows;
    let mut text = Exposition::default();
    text.family("gyre_info", "gauge", "The version that serves.");
    text.sample("gyre_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("gyre_http_responses_total", "counter", "Answers by the class of their status.");
    for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(app.answers()) {
        text.sample("gyre_http_responses_total", &[("class", class)], count as f64);
    }
    text.family("gyre_run_active", "gauge", "Whether the run is under way.");
    text.family("gyre_run_events_total", "counter", "Events recorded of the run.");
    for run in &runs {
        let id = [("run", run.id.as_str())];
        let active = f64::from(run.status == RunStatus::Active);
        text.sample("gyre_run_active", &id, active);
        text.sample("gyre_run_events_total", &id, run.last_seq as f64);
    }
    text.family("gyre_work_pieces", "gauge", "Pieces of work of open rounds, by where they stand.");
    for (state, count) in app.project.wait(app.project.store.work_counts())? {
        text.sample("gyre_work_pieces", &[("state", state.as_str())], f64::from(count));
    }
    text.family("gyre_workers", "gauge", "Workers that were heard of within 30 seconds.");
    let heard_after = (app.clock)() - HEARD_MS;
    let workers = app.project.wait(app.project.store.workers(WORKERS))?;
    let living = workers.iter().filter(|worker| {
        worker.last_seen_ms > heard_after && worker.status != WorkerStatus::Stopped
    });
    text.sample("gyre_workers", &[], living.count() as f64);
    let waiting = app.project.wait(app.project.store.waiting_approvals())?.len();
    text.family("gyre_approvals_waiting", "gauge", "Candidates that wait for a person.");
    text.sample("gyre_approvals_waiting", &[], waiting as f64);
    let undelivered = app.project.wait(app.project.store.undelivered_handovers())?.len();
    text.family(
        "gyre_handovers_undelivered",
        "gauge",
        "Hand-overs of promotions that were not delivered.",
    );
    text.sample("gyre_handovers_undelivered", &[], undelivered as f64);
    if let Some(run) = runs.first() {
        let figures = app.figures(run)?;
        for (name, help) in ROUND_FAMILIES {
            text.family(name, "gauge", help);
        }
        for round in &figures.rounds {
            let number = round.round.to_string();
            let labels = [("run", run.id.as_str()), ("round", number.as_str())];
            let invalid: u32 = round.invalid.values().sum();
            let values = [
                round.pass_at_1.unwrap_or(f64::NAN),
                f64::from(round.rollouts),
                f64::from(round.verdicts.passed),
                f64::from(invalid),
                f64::from(round.rows),
                round.tokens as f64,
                round.alarms.len() as f64,
                f64::from(u8::from(round.promoted)),
                round.seconds,
            ];
            for ((name, _), value) in ROUND_FAMILIES.iter().zip(values) {
                text.sample(name, &labels, value);
            }
        }
        measure_models(&mut text, &run.id, &figures.rounds);
    }
    Ok(text.finish())
}

/// What the newest run asked of its model's server: nothing where it has none.
const MODEL_FAMILIES: [(&str, &str); 4] = [
    ("gyre_run_model_requests_total", "Requests that gave a turn, over the run."),
    ("gyre_run_model_prompt_tokens_total", "Tokens of prompts, over the run."),
    ("gyre_run_model_cached_tokens_total", "Tokens of prompts that the server had cached."),
    ("gyre_run_model_completion_tokens_total", "Tokens sampled, over the run."),
];

fn measure_models(text: &mut Exposition, run: &RunId, rounds: &[RoundSummary]) {
    let usage = rounds.iter().filter_map(|round| round.usage).reduce(ModelUsage::plus);
    let Some(usage) = usage else { return };
    let Usage { prompt, cached, completion } = usage.tokens;
    for ((name, help), value) in
        MODEL_FAMILIES.iter().zip([usage.requests, prompt, cached, completion])
    {
        text.family(name, "counter", help);
        text.sample(name, &[("run", run.as_str())], value as f64);
    }
    let cost = rounds.iter().filter_map(|round| round.cost.clone()).reduce(Cost::plus);
    if let Some(cost) = cost {
        let name = "gyre_run_model_cost_total";
        text.family(name, "counter", "What these tokens cost, in the currency of the label.");
        let labels = [("run", run.as_str()), ("currency", cost.currency.as_str())];
        text.sample(name, &labels, cost.amount);
    }
}

/// Figures of each round of the newest run.
const ROUND_FAMILIES: [(&str, &str); 9] = [
    ("gyre_round_pass_at_1", "Held-out pass@1 of the round's candidate; NaN before it is known."),
    ("gyre_round_rollouts", "Rollouts sampled for training."),
    ("gyre_round_passed", "Training rollouts that passed."),
    ("gyre_round_invalid", "Rollouts without a verdict."),
    ("gyre_round_rows", "Rows published."),
    ("gyre_round_tokens", "Tokens sampled for training."),
    ("gyre_round_alarms", "What was noticed of the verifiers."),
    ("gyre_round_promoted", "Whether the candidate became champion."),
    ("gyre_round_seconds", "From the round's plan to its end."),
];

/// The text of an exposition: all samples of a family stand together.
#[derive(Default)]
struct Exposition {
    families: Vec<(String, String, String)>,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.families.push((name.to_owned(), head, String::new()));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let Some((_, _, samples)) = self.families.iter_mut().find(|(known, _, _)| known == name)
        else {
            return;
        };
        let escape =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let value = if value.is_nan() { "NaN".to_owned() } else { value.to_string() };
        // Writing to a text cannot fail.
        let _ = writeln!(samples, "{name}{{{}}} {value}", labels.join(","));
    }

    fn finish(self) -> String {
        self.families.into_iter().map(|(_, head, samples)| head + &samples).collect()
    }
}
