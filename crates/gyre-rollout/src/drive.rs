//! The shell around an episode: executes what it needs.

use std::collections::BTreeMap;

use futures_util::stream::{self, Stream, StreamExt};
use gyre_env::{Episode, EpisodeOutcome, EpisodeSettings, EpisodeSpec, Event, Need};
use gyre_model::ModelClient;
use gyre_sandbox::{Sandbox, SandboxError, Session, SessionSpec};
use gyre_types::{ChatRequest, InvalidReason, Message, PolicyRef, Role, SandboxJob, Step};

use crate::trace;

/// What episodes are driven with.
pub struct EpisodeDriver<'a> {
    /// Who acts.
    pub model: &'a dyn ModelClient,
    /// Where programs run.
    pub sandbox: &'a Sandbox,
    /// How each episode runs.
    pub settings: EpisodeSettings,
    /// Episodes on their way at one time. Changes no result.
    pub in_flight_max: usize,
    /// How often an episode that a fault ended is driven again, from its beginning. It
    /// keeps its identity and its seed.
    pub repeats_max: u32,
}

impl EpisodeDriver<'_> {
    /// Drives episodes to their ends, and gives each to `ended` when it is over,
    /// with its place among `specs`.
    ///
    /// Dropping the future ends all that are on their way.
    pub async fn run(
        &self,
        specs: impl IntoIterator<Item = EpisodeSpec<'_>>,
        ended: impl FnMut(usize, EpisodeOutcome),
    ) {
        self.run_stream(stream::iter(specs), ended).await;
    }

    /// As [`run`](Self::run), with episodes that may have to be waited for: one begins
    /// once there is room for it and the stream gives it.
    pub async fn run_stream<'s>(
        &self,
        specs: impl Stream<Item = EpisodeSpec<'s>>,
        mut ended: impl FnMut(usize, EpisodeOutcome),
    ) {
        let drive = |(at, spec)| async move { (at, self.drive_to_end(spec).await) };
        let running = specs.enumerate().map(drive).buffer_unordered(self.in_flight_max.max(1));
        let mut running = std::pin::pin!(running);
        while let Some((at, outcome)) = running.next().await {
            ended(at, outcome);
        }
    }

    async fn drive_to_end(&self, spec: EpisodeSpec<'_>) -> EpisodeOutcome {
        let mut outcome = self.drive(spec.clone()).await;
        for _ in 0..self.repeats_max {
            if outcome.fault.is_none() {
                break;
            }
            outcome = self.drive(spec.clone()).await;
        }
        outcome
    }

    async fn drive(&self, spec: EpisodeSpec<'_>) -> EpisodeOutcome {
        let policy = self.model.identity().policy();
        let span = trace::agent(&spec, &policy);
        let (episode, mut need) =
            Episode::begin(spec, self.settings, policy.clone(), self.sandbox.digest());
        let mut shell = Shell { driver: self, episode, policy, span, session: None };
        loop {
            need = match need {
                Need::Completion(request) => shell.complete(request).await,
                Need::Run { steps, keep } => shell.run(steps, keep).await,
                Need::Nothing => break,
            };
        }
        let outcome = shell.episode.finish();
        trace::end_agent(&shell.span, &outcome);
        outcome
    }
}

/// One episode, and what it holds of the machine.
struct Shell<'a> {
    driver: &'a EpisodeDriver<'a>,
    episode: Episode<'a>,
    policy: PolicyRef,
    span: tracing::Span,
    /// The agent's guest, where an earlier turn left something in it.
    session: Option<Session>,
}

impl Shell<'_> {
    async fn complete(&mut self, request: ChatRequest) -> Need {
        let span = trace::chat(&self.span, &self.policy, &request);
        match self.driver.model.complete(request).await {
            Ok(said) => {
                trace::end_chat(&span, &said);
                self.episode.next(Event::Completed(said))
            }
            Err(error) => {
                let fault = InvalidReason::Model { detail: error.to_string() };
                trace::failed(&span, fault.kind());
                self.episode.next(Event::Failed(fault))
            }
        }
    }

    async fn run(&mut self, steps: Vec<Step>, keep: bool) -> Need {
        let said = self.episode.messages().iter().rev().find(|said| !said.tool_calls.is_empty());
        let span = trace::tool(&self.span, said);
        let ran = if keep || self.session.is_some() {
            self.run_in_session(steps).await
        } else {
            self.run_as_job(steps).await
        };
        if !keep {
            self.session = None;
        }
        let fuel = self.episode.fuel_of_turn();
        let faulted = ran.is_err();
        let need = match ran {
            Ok(()) => self.episode.next(Event::Ran),
            Err(error) => {
                let detail = error.to_string();
                self.episode.next(Event::Failed(InvalidReason::Infrastructure { detail }))
            }
        };
        // A submission by the environment may stand behind what the call gave.
        let answered = |said: &&Message| said.role != Role::Assistant;
        let result = self.episode.messages().iter().rev().find(answered);
        trace::end_tool(&span, fuel, result, faulted);
        need
    }

    /// Runs steps in a guest that ends with them: one request instead of one each.
    async fn run_as_job(&mut self, steps: Vec<Step>) -> Result<(), SandboxError> {
        let SessionSpec { seed, limits } = self.guest();
        let job = SandboxJob { seed, limits, steps, files: BTreeMap::new() };
        let report = self.driver.sandbox.attempt(job).await?;
        report.take_in(|report| {
            for step in report.steps {
                self.episode.next(Event::Stepped(step));
            }
        });
        Ok(())
    }

    async fn run_in_session(&mut self, steps: Vec<Step>) -> Result<(), SandboxError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.driver.sandbox.begin(self.guest()).await?,
        };
        let mut is_dead = false;
        for step in steps {
            let report = session.advance(step).await?;
            report.take_in(|report| {
                is_dead = report.outcome.is_fatal();
                self.episode.next(Event::Stepped(report));
            });
            if self.episode.is_run_over() {
                break;
            }
        }
        // A guest is dropped after any trap: a repair starts in a fresh one.
        self.session = (!is_dead).then_some(session);
        Ok(())
    }

    fn guest(&self) -> SessionSpec {
        let limits = self.episode.spec().task.limits.clone();
        SessionSpec { seed: self.episode.guest_seed(), limits }
    }
}
