//! Tries a model's server, and has it attempt one task as a run would.

use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_model::{CheckReport, ModelClient, OpenAi, OpenAiConfig, Secret, Support, check};
use gyre_orchestrator::{Error, ModelKind, RunConfig, SandboxSettings, open_sandbox};
use gyre_rollout::EpisodeDriver;
use gyre_sandbox::Sandbox;
use gyre_tasks::{AdmittedTask, Family};
use gyre_types::{
    Acting, Digest, InvalidReason, RolloutId, Sampling, Seed, Split, TaskId, Verdict,
};
use gyre_verify::Submission;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::task;
use crate::args::{CheckModelArgs, Global, ModelCommand};
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

/// Attempts after one that failed: a person waits for the answer.
const RETRIES_MAX: u32 = 2;
/// Turns of the attempt, where no configuration says otherwise.
const TURNS_MAX: u32 = 3;
/// Tokens of each of them. A model with a short context gets half of it.
const TURN_TOKENS_MAX: u32 = 1_024;

/// What the check found.
#[derive(Serialize)]
struct ModelCheck {
    server: CheckReport,
    task: Attempt,
}

/// What became of the task.
#[derive(Serialize)]
struct Attempt {
    task: TaskId,
    family: String,
    difficulty: u32,
    acting: Acting,
    turns: usize,
    verdict: Verdict,
    /// What the first check that failed saw.
    detail: Option<String>,
}

pub(crate) fn model(global: &Global, command: &ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Check(args) => check_model(global, args),
    }
}

fn check_model(global: &Global, args: &CheckModelArgs) -> anyhow::Result<()> {
    let config = args.config.as_deref().map(RunConfig::read).transpose().map_err(Error::from)?;
    let family = task::load(global, &args.family, &args.tasks_dir, false)?;
    let server = server(args, config.as_ref());
    let key = key(&server)?;
    let runtime = session::runtime()?;
    let report = runtime.block_on(check(server.clone(), key.clone())).map_err(Error::from)?;
    if !global.json {
        output::line(report.to_string());
    }
    let settings = settings(config.as_ref(), &report)?;
    let mut view = View::choose(global.json);
    let sandbox = open_sandbox(&SandboxSettings::default(), &mut view)?;
    view.finish();
    let admitted = task::generate_one(&family, args.difficulty, Seed(args.seed), &sandbox)?;
    let client = runtime.block_on(OpenAi::connect(server, key)).map_err(Error::from)?;
    let outcome = attempt(&runtime, &sandbox, &client, settings, &admitted)?;
    let task = judge(&family, &sandbox, settings.acting, &admitted, &outcome);
    let verdict = task.verdict.clone();
    match global.json {
        true => output::json_pretty(&ModelCheck { server: report, task })?,
        false => output::line(row(&task)),
    }
    usable(&verdict)
}

/// The server that the arguments name; what they leave open is the configuration's.
fn server(args: &CheckModelArgs, config: Option<&RunConfig>) -> OpenAiConfig {
    let configured = config.map(|config| config.model.server.clone()).unwrap_or_default();
    OpenAiConfig {
        url: args.url.clone().unwrap_or(configured.url),
        model: args.model.clone().or(configured.model),
        api_key_env: args.api_key_env.clone().or(configured.api_key_env),
        dialect: args.dialect.unwrap_or(configured.dialect),
        retries_max: configured.retries_max.min(RETRIES_MAX),
        ..configured
    }
}

/// The value of the variable that holds the key, if one is named.
#[expect(clippy::disallowed_methods, reason = "the user names the variable")]
fn key(server: &OpenAiConfig) -> anyhow::Result<Option<Secret>> {
    let Some(name) = &server.api_key_env else { return Ok(None) };
    match std::env::var(name) {
        Ok(key) => Ok(Some(Secret::new(key))),
        Err(_) => {
            let message = format!(
                "the environment variable {name} is not set or is not UTF-8; put the server's key \
                 there, or name no variable"
            );
            Err(Failure::error(Failure::WRONG_USAGE, message))
        }
    }
}

/// How the task is attempted: as the configuration's runs would, else by tool calls
/// where the model makes them.
fn settings(config: Option<&RunConfig>, report: &CheckReport) -> anyhow::Result<EpisodeSettings> {
    let has_tools = report.tools.support == Support::Yes;
    if let Some(config) = config.filter(|config| config.model.kind == ModelKind::Openai) {
        let settings = config.training_episode(config.rollout.temperature);
        if settings.acting.is_tools() && !has_tools {
            let message = format!(
                "the configuration has the model act by tool calls, but it makes none ({}); set \
                 `acting = \"text\"` under [model]",
                report.tools.detail
            );
            return Err(Failure::error(Failure::MODEL_FAILED, message));
        }
        return Ok(settings);
    }
    let half_context = report.context_tokens.map_or(u64::MAX, |tokens| (tokens / 2).max(1));
    let turn_tokens = u64::from(TURN_TOKENS_MAX).min(half_context) as u32;
    Ok(EpisodeSettings {
        turns_max: TURNS_MAX,
        tokens_max: TURNS_MAX * turn_tokens,
        sampling: Sampling { temperature: 0.0, tokens_max: turn_tokens },
        repair_temperature: 0.0,
        acting: if has_tools { Acting::Tools } else { Acting::Text },
    })
}

/// Drives the episode as a run does.
fn attempt(
    runtime: &Runtime,
    sandbox: &Sandbox,
    client: &dyn ModelClient,
    settings: EpisodeSettings,
    admitted: &AdmittedTask,
) -> anyhow::Result<EpisodeOutcome> {
    let task = &admitted.task;
    let spec = EpisodeSpec {
        id: RolloutId::from_digest(&Digest::of_json(&("model check", &task.id, task.seed))),
        round: 0,
        purpose: Split::Train,
        task,
        sample: 0,
        seed: task.seed,
    };
    let driver =
        EpisodeDriver { model: client, sandbox, settings, in_flight_max: 1, repeats_max: 0 };
    let mut ended = None;
    runtime.block_on(driver.run([spec], |_, outcome| ended = Some(outcome)));
    ended.ok_or_else(|| anyhow::anyhow!("the episode gave no outcome; report this as a bug"))
}

/// Judges the answer, unless a fault ended the episode.
fn judge(
    family: &Family,
    sandbox: &Sandbox,
    acting: Acting,
    admitted: &AdmittedTask,
    outcome: &EpisodeOutcome,
) -> Attempt {
    let AdmittedTask { task, key } = admitted;
    let answer = outcome.record.answer.view();
    let (verdict, detail) = match &outcome.fault {
        Some(fault) => (Verdict::Invalid { reason: fault.clone() }, None),
        None => {
            let submission = Submission { task, key, answer };
            let judged = family.verifier.judge_with(&[submission], sandbox).into_iter().next();
            let nothing = InvalidReason::Verifier { detail: "it gave no verdict".to_owned() };
            judged.map_or((Verdict::Invalid { reason: nothing }, None), |judgement| {
                let failed = judgement.checks.into_iter().find(|check| !check.passed);
                (judgement.verdict, failed.map(|check| format!("{}: {}", check.name, check.detail)))
            })
        }
    };
    Attempt {
        task: task.id.clone(),
        family: task.family.clone(),
        difficulty: task.difficulty,
        acting,
        turns: outcome.record.turns.len(),
        verdict,
        detail,
    }
}

/// The line of the task, below those of the server.
fn row(attempt: &Attempt) -> String {
    let Attempt { family, difficulty, acting, turns, verdict, detail, .. } = attempt;
    let how = if acting.is_tools() { "by tool calls" } else { "in text" };
    let (support, came) = match verdict {
        Verdict::Pass => (Support::Yes, "passed".to_owned()),
        Verdict::Fail { score } => {
            let why = detail.as_deref().map_or(String::new(), |why| format!("; {why}"));
            (Support::No, format!("failed with a score of {:.2}{why}", score.get()))
        }
        Verdict::Invalid { reason } => (Support::Unknown, reason.to_string()),
    };
    format!("{:<18} {support:<8} {family} level {difficulty} {how}, turns: {turns}, {came}", "task")
}

/// A model that fails a task can be used: it is there to learn. One whose server gave
/// up in the middle cannot.
fn usable(verdict: &Verdict) -> anyhow::Result<()> {
    let Verdict::Invalid { reason } = verdict else { return Ok(()) };
    let (code, what) = match reason {
        InvalidReason::Model { .. } => (Failure::MODEL_FAILED, "the model"),
        InvalidReason::Verifier { .. } => (Failure::VERIFIER_FAULT, "the family's verifier"),
        _ => (Failure::SANDBOX_FAILED, "the sandbox"),
    };
    Err(Failure::error(
        code,
        format!("the task has no verdict, since {what} failed: {}", reason.detail()),
    ))
}
