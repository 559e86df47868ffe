//! Shows a run while it works: a live view on a terminal, plain lines in a
//! pipe, one JSON object per event with `--json`.

mod beginning;

use std::time::{Duration, Instant};

use gyre_lineage::{AlarmRow, HandoverRow};
use gyre_orchestrator::{Observer, Progress, RoundSummary, RunConfig, inspect, standing};
use gyre_round::{ModelUsage, RoundEvent, RoundState, Stage, VerdictCounts};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::handovers;
use crate::output;
use beginning::Beginning;

/// How a run is shown.
pub(crate) enum View {
    Terminal(Terminal),
    Lines(Lines),
    Json,
}

impl View {
    pub(crate) fn choose(json: bool) -> Self {
        Self::beginning(json, Beginning::default())
    }

    /// The view of a run, whose first round is called by what it does.
    pub(crate) fn of_run(json: bool, config: &RunConfig) -> Self {
        Self::beginning(json, Beginning::of(config))
    }

    fn beginning(json: bool, beginning: Beginning) -> Self {
        if json {
            Self::Json
        } else if output::is_terminal() {
            Self::Terminal(Terminal::new(beginning))
        } else {
            Self::Lines(Lines { beginning, ..Lines::default() })
        }
    }

    /// Takes the live view off the screen before other output.
    pub(crate) fn finish(&self) {
        if let Self::Terminal(terminal) = self {
            terminal.bar.finish_and_clear();
        }
    }
}

impl Observer for View {
    fn observe(&mut self, progress: &Progress<'_>) {
        match self {
            Self::Terminal(view) => view.observe(progress),
            Self::Lines(view) => view.observe(progress),
            Self::Json => json(progress),
        }
    }
}

fn json(progress: &Progress<'_>) {
    let object = match progress {
        Progress::Recorded { run, seq, round, event, state } => {
            let mut object = body(event);
            object["run"] = serde_json::json!(run);
            object["round"] = serde_json::json!(round);
            object["seq"] = serde_json::json!(seq);
            object["stage"] = serde_json::json!(state.stage.name());
            object
        }
        Progress::RunStarted { run, rounds, resumed } => serde_json::json!({
            "event": "run_started", "run": run, "rounds": rounds, "resumed": resumed,
        }),
        Progress::RoundFinished { run, summary } => {
            serde_json::json!({ "event": "round_finished", "run": run, "summary": summary })
        }
        Progress::Alarmed { run, alarm } => serde_json::json!({
            "event": "alarm", "run": run, "round": alarm.round, "kind": alarm.kind,
            "subject": alarm.subject, "body": alarm.body,
        }),
        Progress::HandedOver { handover } => {
            let mut object = handovers::as_json(handover);
            object["event"] = serde_json::json!("handover");
            object
        }
        Progress::CompilingGuest { .. }
        | Progress::GuestDiscarded { .. }
        | Progress::GuestNotKept { .. }
        | Progress::LayersMissing { .. }
        | Progress::CompilingVerifier { .. }
        | Progress::Working { .. } => return,
    };
    output::line(object.to_string());
}

/// The event's own fields. A plan holds a thousand slots: its digest stands for it.
fn body(event: &RoundEvent) -> serde_json::Value {
    match event {
        RoundEvent::Planned { plan } => serde_json::json!({
            "event": "planned",
            "plan": plan.digest(),
            "champion": plan.champion,
            "tasks": plan.slots.len(),
        }),
        // A line that cannot be written says so, and no run ends for it.
        event => serde_json::to_value(event).unwrap_or_else(
            |error| serde_json::json!({ "event": event.kind(), "unwritable": error.to_string() }),
        ),
    }
}

/// Plain lines, one for each stage that ends.
#[derive(Default)]
pub(crate) struct Lines {
    beginning: Beginning,
    compiling_told: bool,
    verifier_told: bool,
}

impl Lines {
    fn observe(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::CompilingGuest { .. } if !self.compiling_told => {
                self.compiling_told = true;
                output::line("compiling the Python guest for this machine (once)");
            }
            Progress::GuestNotKept { path, reason } => output::line(not_kept(path, reason)),
            Progress::LayersMissing { layers } => output::line(layers_missing(layers)),
            Progress::CompilingVerifier { .. } if !self.verifier_told => {
                self.verifier_told = true;
                output::line("compiling the verifier for this machine (once)");
            }
            Progress::RunStarted { run, rounds, resumed } => {
                output::line(self.beginning.started(run, *rounds, *resumed))
            }
            Progress::Recorded { round, event, state, .. } => {
                if let Some(text) = told(event, state, &self.beginning) {
                    output::line(format!("{}: {text}", self.beginning.title(*round)));
                }
            }
            Progress::Alarmed { alarm, .. } => {
                output::line(alarmed(&self.beginning.title(alarm.round), alarm));
            }
            Progress::HandedOver { handover } => {
                output::line(handed_over(&self.beginning.title(handover.handover.round), handover));
            }
            Progress::RoundFinished { summary, .. } => {
                output::line(finished(&self.beginning.title(summary.round), summary));
            }
            _ => {}
        }
    }
}

fn layers_missing(layers: &[&gyre_sandbox::Layer]) -> String {
    let each = layers.iter().map(|layer| format!("{} ({})", layer.name, layer.detail));
    format!(
        "the sandbox runs without {}; `sandbox.require` in the configuration refuses to start so",
        each.collect::<Vec<_>>().join(", ")
    )
}

fn not_kept(path: &std::path::Path, reason: &str) -> String {
    format!(
        "the compiled Python guest is not kept, and is compiled again each time: {} is not to be \
         trusted, since {reason}; `sandbox.cache_dir` in the configuration or XDG_CACHE_HOME names \
         another folder",
        path.display()
    )
}

/// A live line that always says what is going on, and a line for what is done.
pub(crate) struct Terminal {
    bar: ProgressBar,
    beginning: Beginning,
    rounds: u32,
    begun: Instant,
    status: Status,
}

#[derive(Default)]
struct Status {
    round: u32,
    stage: String,
    rollouts: u32,
    planned: u32,
    counts: VerdictCounts,
    tokens: u64,
    usage: ModelUsage,
    rounds_done: u32,
}

impl Terminal {
    #[expect(clippy::disallowed_methods, reason = "time left is an estimate for people")]
    fn new(beginning: Beginning) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{spinner} {bar:24} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(120));
        let (rounds, begun, status) = (0, Instant::now(), Status::default());
        Self { bar, beginning, rounds, begun, status }
    }

    fn observe(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::CompilingGuest { done } => {
                self.bar.set_length(100);
                self.bar.set_position((100.0 * done) as u64);
                self.bar.set_message("compiling the Python guest for this machine (once)");
            }
            // The log tells of it.
            Progress::GuestDiscarded { .. } => {}
            Progress::GuestNotKept { path, reason } => self.say(not_kept(path, reason)),
            Progress::LayersMissing { layers } => self.say(layers_missing(layers)),
            Progress::CompilingVerifier { done } => {
                self.bar.set_length(100);
                self.bar.set_position((100.0 * done) as u64);
                self.bar.set_message("compiling the verifier for this machine (once)");
            }
            Progress::RunStarted { run, rounds, resumed } => {
                self.rounds = *rounds;
                self.say(self.beginning.started(run, *rounds, *resumed));
            }
            Progress::Recorded { round, state, .. } => {
                self.status.take(*round, state);
                self.draw(state.stage.name().to_owned(), self.done_of(state));
            }
            Progress::Working { what, done, total, .. } => {
                self.draw((*what).to_owned(), (*done, *total));
            }
            Progress::Alarmed { alarm, .. } => {
                self.say(alarmed(&self.beginning.title(alarm.round), alarm));
            }
            Progress::HandedOver { handover } => {
                self.say(handed_over(&self.beginning.title(handover.handover.round), handover));
            }
            Progress::RoundFinished { summary, .. } => {
                self.status.rounds_done += 1;
                self.say(finished(&self.beginning.title(summary.round), summary));
            }
        }
    }

    fn say(&self, text: String) {
        self.bar.suspend(|| output::line(text));
    }

    fn done_of(&self, state: &RoundState) -> (u64, u64) {
        let planned: u32 = state.phases.iter().map(|phase| phase.rollouts).sum();
        (u64::from(state.counts.total().max(state.rollouts)), u64::from(planned.max(1)))
    }

    fn draw(&mut self, stage: String, (done, total): (u64, u64)) {
        self.status.stage = stage;
        self.bar.set_length(total.max(1));
        self.bar.set_position(done.min(total));
        let title = self.beginning.title(self.status.round);
        self.bar.set_message(self.status.text(&title, self.rounds, self.time_left()));
    }

    fn time_left(&self) -> Option<f64> {
        let done = f64::from(self.status.rounds_done);
        let rounds = f64::from(self.rounds) + 1.0;
        (done > 0.0).then(|| self.begun.elapsed().as_secs_f64() / done * (rounds - done))
    }
}

impl Status {
    fn take(&mut self, round: u32, state: &RoundState) {
        self.round = round;
        self.rollouts = state.rollouts;
        self.planned = state.phases.iter().map(|phase| phase.rollouts).sum();
        self.counts = state.counts;
        self.tokens = state.tokens;
        self.usage = state.usage;
    }

    fn text(&self, title: &str, rounds: u32, left: Option<f64>) -> String {
        // Outside a run there are no rounds to count.
        let mut text = match rounds {
            0 => self.stage.clone(),
            _ => format!("{title}/{rounds} {}", self.stage),
        };
        if self.planned > 0 {
            text.push_str(&format!(" · {}/{} rollouts", self.rollouts, self.planned));
        }
        if let Some(rate) = self.counts.pass_rate() {
            text.push_str(&format!(" · pass {}", output::percent(rate)));
        }
        text.push_str(&format!(" · invalid {}", self.counts.invalid));
        // A server's tokens are counted both ways, and each of them may cost money.
        if self.usage.requests > 0 {
            let (read, sampled) = (self.usage.tokens.prompt, self.usage.tokens.completion);
            let [read, sampled] = [read, sampled].map(output::count);
            text.push_str(&format!(" · {read} tokens in, {sampled} out"));
        } else if self.tokens > 0 {
            text.push_str(&format!(" · {} tokens", output::count(self.tokens)));
        }
        if let Some(left) = left {
            text.push_str(&format!(" · about {} left", output::seconds(left)));
        }
        text
    }
}

/// What a plain line tells of an event; waves go by untold.
fn told(event: &RoundEvent, state: &RoundState, beginning: &Beginning) -> Option<String> {
    match event {
        RoundEvent::TasksGenerated { admitted, refused, .. } => {
            let admitted = admitted.iter().map(|(split, n)| format!("{n} {split}"));
            let refused: u32 = refused.values().sum();
            let admitted = admitted.collect::<Vec<_>>().join(", ");
            Some(format!("tasks admitted: {admitted} ({refused} proposals refused)"))
        }
        RoundEvent::WaveVerified { .. } if state.are_waves_judged() => {
            let counts = state.counts;
            let (rollouts, tokens) = (state.rollouts, output::count(state.tokens));
            let rate = counts.pass_rate().map_or("none".to_owned(), output::percent);
            let invalid = counts.invalid;
            Some(format!(
                "{rollouts} rollouts verified, {rate} passed, {invalid} invalid, {tokens} tokens"
            ))
        }
        RoundEvent::Checked { canaries, .. } if canaries.total() > 0 => {
            let (refused, all, again) =
                (canaries.failed, canaries.total(), state.rechecked.repeated);
            Some(format!("{refused} of {all} impossible tasks refused, {again} accepts rechecked"))
        }
        RoundEvent::Curated { rows, groups, .. } if *rows > 0 || state.collects_only() => {
            let groups = groups.as_ref().map_or(String::new(), |groups| {
                let (attempts, tasks) = (groups.attempts, groups.groups);
                format!(", and {attempts} attempts in {tasks} whole groups")
            });
            Some(format!("{rows} rows published{groups}"))
        }
        RoundEvent::Trained { candidate, steps, loss, .. } => {
            Some(beginning.trained(state, candidate, (*steps, *loss)))
        }
        RoundEvent::Failed { cause, .. } | RoundEvent::BudgetSpent { cause, .. } => {
            Some(format!("failed: {}", output::visible(cause)))
        }
        _ => None,
    }
}

fn alarmed(title: &str, alarm: &AlarmRow) -> String {
    let text = output::visible(&inspect::alarm_text(alarm));
    format!("{title}: alarm: {text}")
}

fn handed_over(title: &str, handover: &HandoverRow) -> String {
    format!("{title}: {}", output::visible(&standing(handover)))
}

pub(crate) fn finished(title: &str, summary: &RoundSummary) -> String {
    if summary.stage == Stage::Collected.name() {
        let rows = summary.rows;
        return format!("{title}: collected, {rows} rows, {}", output::seconds(summary.seconds));
    }
    let figure = match (summary.pass_at_1, summary.interval) {
        (Some(rate), Some(interval)) => output::percent_with(rate, interval),
        _ => "not measured".to_owned(),
    };
    let reasons = summary.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let end = if summary.promoted {
        "promoted".to_owned()
    } else if let Some(approval) = &summary.approval {
        format!("{}: its approval is {}", summary.stage, approval.state)
    } else {
        format!("{}: {reasons}", summary.stage)
    };
    let time = output::seconds(summary.seconds);
    let usage = summary.usage.map_or(String::new(), |usage| {
        format!(", {}", output::usage(&usage, summary.cost.as_ref()))
    });
    format!("{title}: held-out pass@1 {figure}, {end}, {} rows{usage}, {time}", summary.rows)
}
