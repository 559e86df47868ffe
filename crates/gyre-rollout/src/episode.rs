use std::collections::BTreeMap;

use gyre_sandbox::{Sandbox, SandboxError, Session, SessionSpec};
use gyre_types::{
    Completion, Digest, Message, PolicyRef, Purpose, Role, RolloutId, RolloutRecord, Sampling,
    SandboxJob, Seed, StepReport, StopReason, Task, TurnRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::chain::{self, Origin};
use crate::examples::{self, Feedback};
use crate::policy::{Policy, PolicyError, TurnRequest};
use crate::tools::{Request, read_request};
use crate::trace;

/// Guests that execute at one time. Each holds about 8 MB while it lives.
const LIVE_SESSIONS: usize = 64;

/// How an episode runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpisodeSettings {
    /// Turns, at most. With one turn the policy submits at once.
    pub turns_max: u32,
    /// Tokens sampled over all turns, at most.
    pub tokens_max: u32,
    /// How the first turn draws tokens.
    pub sampling: Sampling,
    /// The temperature of later turns, which repair.
    pub repair_temperature: f32,
}

/// One rollout to make.
#[derive(Debug, Clone)]
pub struct RolloutRequest<'a> {
    /// Its identity.
    pub id: RolloutId,
    /// The round.
    pub round: u32,
    /// What it is made for.
    pub purpose: Purpose,
    /// The task.
    pub task: &'a Task,
    /// Which of the group's rollouts it is.
    pub sample: u32,
    /// The seed of its sampling and of its guest.
    pub seed: Seed,
}

/// A rollout that was made, and what of ours failed on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledOut {
    /// What happened.
    pub record: RolloutRecord,
    /// The infrastructure's fault that ended it, if one did: its verdict can
    /// only be invalid.
    pub fault: Option<String>,
}

/// Why a wave could not be made. Nothing of it is recorded.
#[derive(Debug, thiserror::Error)]
pub enum EpisodeError {
    /// The policy could not answer.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Makes a wave of rollouts, all turns of a kind as one batch.
///
/// # Errors
///
/// When the policy cannot answer at all. What the sandbox fails at ends the
/// rollout that it struck and no other, and is told in [`RolledOut::fault`].
pub fn run_wave(
    sandbox: &Sandbox,
    policy: &dyn Policy,
    settings: &EpisodeSettings,
    requests: &[RolloutRequest<'_>],
) -> Result<Vec<RolledOut>, EpisodeError> {
    let wave =
        Wave { sandbox, settings, policy: policy.reference(), sandbox_digest: sandbox.digest() };
    let mut episodes: Vec<_> = requests.iter().map(|request| wave.begin(request)).collect();
    for turn in 0..settings.turns_max {
        let mut active: Vec<_> = episodes.iter_mut().filter(|e| e.stop.is_none()).collect();
        if active.is_empty() {
            break;
        }
        wave.open_turn(turn, &mut active);
        let completions = wave.ask(policy, turn, &active)?;
        let turns = active.iter_mut().zip(completions);
        let runs: Vec<_> = turns.map(|(episode, completion)| episode.hear(completion)).collect();
        wave.answer(turn, &mut active, runs);
    }
    Ok(episodes.into_iter().map(|episode| episode.finish(&wave)).collect())
}

/// The message that states a task to the policy.
pub fn first_message(task: &Task) -> Message {
    plain(Role::User, task.instruction.clone())
}

fn plain(role: Role, content: String) -> Message {
    Message { role, content, tool_calls: vec![], tool_call_id: None }
}

/// What all episodes of a wave share.
struct Wave<'a> {
    sandbox: &'a Sandbox,
    settings: &'a EpisodeSettings,
    policy: PolicyRef,
    sandbox_digest: Digest,
}

/// One rollout on its way.
struct Episode<'a> {
    request: &'a RolloutRequest<'a>,
    session: Option<Session>,
    execution: Option<Execution<'a>>,
    messages: Vec<Message>,
    prompt_tokens: Vec<u32>,
    turns: Vec<TurnRecord>,
    pending: Option<Completion>,
    tokens: u32,
    answer: String,
    stop: Option<StopReason>,
    fault: Option<String>,
    chain: Digest,
    spans: Spans,
}

/// The spans of a rollout that are open.
struct Spans {
    agent: Span,
    chat: Span,
    tool: Span,
}

impl Wave<'_> {
    fn begin<'a>(&self, request: &'a RolloutRequest<'a>) -> Episode<'a> {
        let origin = Origin {
            task: &request.task.digest,
            policy: &self.policy,
            sandbox: &self.sandbox_digest,
            seed: request.seed,
            settings: self.settings,
        };
        Episode {
            request,
            session: None,
            execution: None,
            messages: vec![first_message(request.task)],
            prompt_tokens: vec![],
            turns: vec![],
            pending: None,
            tokens: 0,
            answer: String::new(),
            stop: None,
            fault: None,
            chain: Digest::of_json(&origin),
            spans: Spans {
                agent: trace::agent(request, &self.policy),
                chat: Span::none(),
                tool: Span::none(),
            },
        }
    }

    fn open_turn(&self, turn: u32, active: &mut [&mut Episode<'_>]) {
        for episode in active {
            let sampling = self.sampling(turn, episode.tokens);
            let Episode { spans, messages, .. } = &mut **episode;
            spans.chat = trace::chat(&spans.agent, &self.policy, sampling, messages);
        }
    }

    /// Asks the policy for the next turn of every active episode.
    fn ask(
        &self,
        policy: &dyn Policy,
        turn: u32,
        active: &[&mut Episode<'_>],
    ) -> Result<Vec<Completion>, PolicyError> {
        let requests: Vec<_> = active
            .iter()
            .map(|episode| TurnRequest {
                task: episode.request.task,
                sample: episode.request.sample,
                messages: &episode.messages,
                turn,
                turns_left: self.settings.turns_max - turn,
                seed: episode.request.seed.derive("turn", &[u64::from(turn)]),
                sampling: self.sampling(turn, episode.tokens),
            })
            .collect();
        let completions = policy.act(&requests)?;
        if completions.len() == requests.len() {
            Ok(completions)
        } else {
            Err(PolicyError::Count { asked: requests.len(), given: completions.len() })
        }
    }

    fn sampling(&self, turn: u32, tokens_used: u32) -> Sampling {
        let first = self.settings.sampling;
        let temperature =
            if turn == 0 { first.temperature } else { self.settings.repair_temperature };
        let left = self.settings.tokens_max.saturating_sub(tokens_used);
        Sampling { temperature, tokens_max: first.tokens_max.min(left) }
    }

    /// Executes what the episodes asked for, and closes their turns. Sessions
    /// are worked through in slices, so that few guests are live at one time.
    fn answer(&self, turn: u32, active: &mut [&mut Episode<'_>], runs: Vec<Option<String>>) {
        // The last turn submits: a session is kept only for a turn between.
        let session_needed = turn + 2 < self.settings.turns_max;
        self.begin_executions(active, &runs);
        if !session_needed {
            self.attempt(active, &runs);
        }
        for (episodes, runs) in active.chunks_mut(LIVE_SESSIONS).zip(runs.chunks(LIVE_SESSIONS)) {
            if session_needed {
                self.open_sessions(episodes);
            }
            self.go_on(episodes, runs);
            for episode in episodes {
                episode.close_turn(self.settings);
                if !session_needed {
                    episode.session = None;
                }
            }
        }
    }

    fn begin_executions(&self, active: &mut [&mut Episode<'_>], runs: &[Option<String>]) {
        for (episode, _) in active.iter_mut().zip(runs).filter(|(_, run)| run.is_some()) {
            episode.execution = Some(Execution::new(episode.request.task));
            episode.spans.tool = trace::tool(&episode.spans.agent, episode.messages.last());
        }
    }

    /// Starts a session for every episode that needs its first one.
    fn open_sessions(&self, active: &mut [&mut Episode<'_>]) {
        let first = active.iter_mut().filter(|e| e.execution.is_some() && e.session.is_none());
        let first: Vec<_> = first.map(|episode| &mut **episode).collect();
        let specs = first.iter().map(|episode| episode.session_spec()).collect();
        for (episode, started) in first.into_iter().zip(self.sandbox.start_all(specs)) {
            match started {
                Ok(session) => episode.session = Some(session),
                Err(fault) => episode.fault = Some(fault.to_string()),
            }
        }
    }

    /// Runs, as one job each, what no live session has to see and none is kept
    /// for: the same steps, one request instead of one for each.
    fn attempt(&self, active: &mut [&mut Episode<'_>], runs: &[Option<String>]) {
        let mut executions = Vec::new();
        let mut jobs = Vec::new();
        for (episode, run) in active.iter_mut().zip(runs) {
            let Some(code) = run.as_ref().filter(|_| episode.session.is_none()) else { continue };
            let SessionSpec { seed, limits } = episode.session_spec();
            let task = episode.request.task;
            let steps = examples::steps(task, code);
            jobs.push(SandboxJob { seed, limits, steps, files: BTreeMap::new() });
            executions.extend(episode.execution.as_mut());
        }
        self.sandbox.attempt_each(jobs, &mut |at, report| {
            let Some(execution) = executions.get_mut(at) else { return };
            match report {
                Ok(report) => report.steps.into_iter().for_each(|step| execution.take(Ok(step))),
                Err(fault) => execution.take(Err(fault)),
            }
        });
    }

    /// Takes the steps of those that have a session, one of each at a time.
    fn go_on(&self, active: &mut [&mut Episode<'_>], runs: &[Option<String>]) {
        let mut plans: Vec<_> = active
            .iter()
            .zip(runs)
            .map(|(episode, run)| match run {
                Some(code) if episode.session.is_some() => {
                    examples::steps(episode.request.task, code).into_iter()
                }
                _ => vec![].into_iter(),
            })
            .collect();
        loop {
            let next = active.iter_mut().zip(&mut plans).filter_map(|(episode, plan)| {
                let Episode { session, execution, .. } = &mut **episode;
                let running = execution.iter_mut().find(|e| !e.is_over())?;
                Some((session.as_mut()?, plan.next()?, running))
            });
            let mut executions = Vec::new();
            let mut steps = Vec::new();
            for (session, step, execution) in next {
                steps.push((session, step));
                executions.push(execution);
            }
            if steps.is_empty() {
                break;
            }
            self.sandbox.step_each(steps, &mut |at, report| {
                if let Some(execution) = executions.get_mut(at) {
                    execution.take(report);
                }
            });
        }
    }
}

/// What a turn's program did so far.
#[derive(Debug)]
struct Execution<'a> {
    feedback: Feedback<'a>,
    fault: Option<SandboxError>,
}

impl<'a> Execution<'a> {
    fn new(task: &'a Task) -> Self {
        Self { feedback: Feedback::new(task), fault: None }
    }

    /// Whether no more steps make sense.
    fn is_over(&self) -> bool {
        self.fault.is_some() || self.feedback.is_over()
    }

    fn take(&mut self, report: Result<StepReport, SandboxError>) {
        match report {
            Ok(report) => self.feedback.take(report),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

impl Episode<'_> {
    fn session_spec(&self) -> SessionSpec {
        SessionSpec {
            seed: self.request.seed.derive("agent", &[]),
            limits: self.request.task.limits.clone(),
        }
    }

    /// Takes in what the policy said. Gives the program to run on the examples,
    /// if that is what it asks for.
    fn hear(&mut self, completion: Completion) -> Option<String> {
        if self.prompt_tokens.is_empty() {
            self.prompt_tokens.clone_from(&completion.prompt_tokens);
        }
        trace::end_chat(&self.spans.chat, &completion);
        self.spans.chat = Span::none();
        self.tokens += completion.tokens.len() as u32;
        self.messages.push(completion.message.clone());
        let request = read_request(&completion.message);
        self.pending = Some(completion);
        match request {
            Request::Submit { code } => {
                self.answer = code;
                self.stop = Some(StopReason::Submitted);
                None
            }
            Request::RunExamples { code } => {
                self.answer.clone_from(&code);
                Some(code)
            }
            Request::Refused(why) => {
                self.reply(why);
                None
            }
        }
    }

    /// Gives the policy the answer to its last call.
    fn reply(&mut self, content: String) {
        let call = self.messages.last().and_then(|m| m.tool_calls.first());
        let tool_call_id = call.map(|call| call.id.clone());
        self.messages.push(Message { role: Role::Tool, content, tool_calls: vec![], tool_call_id });
    }

    fn close_turn(&mut self, settings: &EpisodeSettings) {
        let Some(completion) = self.pending.take() else { return };
        let mut fuel = 0;
        if let Some(Execution { feedback, fault }) = self.execution.take() {
            fuel = feedback.fuel();
            if feedback.is_fatal() {
                // A guest is dropped after any trap: a repair starts in a fresh one.
                self.session = None;
            }
            self.reply(feedback.finish());
            trace::end_tool(&self.spans.tool, fuel, self.messages.last(), fault.is_some());
            self.spans.tool = Span::none();
            if let Some(fault) = fault {
                self.fault.get_or_insert(fault.to_string());
            }
        }
        if self.fault.is_some() {
            self.stop = Some(StopReason::Faulted);
        }
        let answer = self.messages.last().filter(|message| message.role == Role::Tool);
        self.chain = chain::link(self.chain, &completion, answer, fuel);
        self.turns.push(TurnRecord {
            tokens: completion.tokens,
            logprobs: completion.logprobs,
            finish: completion.finish,
            fuel,
            chain: self.chain,
        });
        if self.stop.is_none() && self.turns.len() as u32 == settings.turns_max {
            self.stop = Some(StopReason::TurnsExhausted);
        } else if self.stop.is_none() && self.tokens >= settings.tokens_max {
            self.stop = Some(StopReason::TokensExhausted);
        }
    }

    fn finish(self, wave: &Wave<'_>) -> RolledOut {
        // Taken apart, so that a setting that the record lacks does not compile.
        let EpisodeSettings { turns_max, tokens_max, sampling, repair_temperature } =
            *wave.settings;
        let record = RolloutRecord {
            id: self.request.id.clone(),
            round: self.request.round,
            purpose: self.request.purpose,
            task: self.request.task.id.clone(),
            sample: self.request.sample,
            seed: self.request.seed,
            sampling,
            turns_max,
            tokens_max: Some(tokens_max),
            repair_temperature: Some(repair_temperature),
            policy: wave.policy.clone(),
            sandbox_digest: wave.sandbox_digest,
            messages: self.messages,
            prompt_tokens: self.prompt_tokens,
            fuel: self.turns.iter().map(|turn| turn.fuel).sum(),
            turns: self.turns,
            answer: self.answer,
            stop: self.stop.unwrap_or(StopReason::TurnsExhausted),
            chain: self.chain,
        };
        let made = RolledOut { record, fault: self.fault };
        trace::end_agent(&self.spans.agent, &made);
        made
    }
}
