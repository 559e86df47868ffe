//! One episode: the conversation, its turns and their end.

use gyre_types::{
    Acting, ChatCompletion, ChatRequest, Digest, FinishReason, InvalidReason, Message, PolicyRef,
    Purpose, Role, RolloutId, RolloutRecord, Seed, Step, StepReport, StopReason, Task, ToolChoice,
    TurnRecord,
};

use crate::act::{Act, CallId};
use crate::chain::{self, Origin};
use crate::environment::{Environment, last_choice, opening_messages};
use crate::observation::Observation;
use crate::settings::EpisodeSettings;

/// What decides an episode.
#[derive(Debug, Clone)]
pub struct EpisodeSpec<'a> {
    /// The rollout's identity.
    pub id: RolloutId,
    /// The round.
    pub round: u32,
    /// What it is made for.
    pub purpose: Purpose,
    /// The task.
    pub task: &'a Task,
    /// Which of the task's rollouts it is.
    pub sample: u32,
    /// The seed of its sampling and of its guest.
    pub seed: Seed,
}

/// What an episode waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// The model's next message.
    Completion(ChatRequest),
    /// Steps in the agent's guest, in order. Where the first gives no value, or one
    /// of them is fatal, those behind it are not run.
    Run {
        /// The steps.
        steps: Vec<Step>,
        /// Whether the guest is needed again, with what these steps left in it.
        keep: bool,
    },
    /// Nothing: it is over.
    Nothing,
}

/// What came of what an episode waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The model answered.
    Completed(ChatCompletion),
    /// A step was run; more may follow.
    Stepped(StepReport),
    /// All steps that could be run were run.
    Ran,
    /// The model or the sandbox failed. The reason says which of them it was.
    Failed(InvalidReason),
}

/// A finished episode, before any verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeOutcome {
    /// What happened.
    pub record: RolloutRecord,
    /// The fault of the model or the sandbox that ended it, if one did: its verdict
    /// can only be invalid.
    pub fault: Option<InvalidReason>,
}

/// An episode on its way.
#[derive(Debug)]
pub struct Episode<'a> {
    spec: EpisodeSpec<'a>,
    settings: EpisodeSettings,
    policy: PolicyRef,
    sandbox: Digest,
    environment: Environment<'a>,
    messages: Vec<Message>,
    turns: Vec<TurnRecord>,
    tokens: u32,
    /// The turn that is not over: what the model said, and what is done about it.
    turn: Option<Turn>,
    stop: Option<StopReason>,
    fault: Option<InvalidReason>,
    chain: Digest,
}

/// A turn in which the model has spoken.
#[derive(Debug)]
struct Turn {
    said: ChatCompletion,
    /// The call that steps in the guest answer.
    running: Option<CallId>,
    /// How many messages there were before any was answered.
    messages_before: usize,
    fuel: u64,
    /// Whether the last observation settles the answer.
    is_settled: bool,
}

/// Tokens that count against a budget: those that were sampled, or what the engine
/// says where they are not known.
fn tokens_of(said: &ChatCompletion) -> u32 {
    let counted = u32::try_from(said.usage.completion).unwrap_or(u32::MAX);
    if said.tokens.is_empty() { counted } else { said.tokens.len() as u32 }
}

impl<'a> Episode<'a> {
    /// Begins an episode of a policy in a sandbox, each by what identifies it.
    pub fn begin(
        spec: EpisodeSpec<'a>,
        settings: EpisodeSettings,
        policy: PolicyRef,
        sandbox: Digest,
    ) -> (Self, Need) {
        let origin = Origin {
            task: &spec.task.digest,
            policy: &policy,
            sandbox: &sandbox,
            seed: spec.seed,
            settings: &settings,
        };
        let chain = Digest::of_json(&origin);
        let mut episode = Self {
            environment: Environment::new(spec.task, settings.acting),
            messages: opening_messages(spec.task, settings.acting),
            spec,
            settings,
            policy,
            sandbox,
            turns: vec![],
            tokens: 0,
            turn: None,
            stop: None,
            fault: None,
            chain,
        };
        let need = episode.open_turn();
        (episode, need)
    }

    /// What decides it.
    pub fn spec(&self) -> &EpisodeSpec<'a> {
        &self.spec
    }

    /// The seed of the agent's guest.
    pub fn guest_seed(&self) -> Seed {
        self.spec.seed.derive("agent", &[])
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Goes on with what came of the last need.
    ///
    /// An event that answers no need is passed over.
    pub fn next(&mut self, event: Event) -> Need {
        match event {
            Event::Completed(said) if self.turn.is_none() && self.stop.is_none() => {
                self.receive(said)
            }
            Event::Stepped(report) => {
                self.environment.take(report);
                Need::Nothing
            }
            Event::Ran => self.end_run(),
            Event::Failed(fault) => self.fail(fault),
            Event::Completed(_) => Need::Nothing,
        }
    }

    /// Whether steps that were asked for and not run make sense no more.
    pub fn is_run_over(&self) -> bool {
        self.environment.is_run_over()
    }

    /// Fuel that the turn that is not over has burnt.
    pub fn fuel_of_turn(&self) -> u64 {
        self.turn.as_ref().map_or(0, |turn| turn.fuel + self.environment.fuel_of_run())
    }

    fn is_last_turn(&self) -> bool {
        self.turns.len() as u32 + 1 >= self.settings.turns_max
    }

    fn open_turn(&mut self) -> Need {
        let turn = self.turns.len() as u32;
        let task = self.spec.task;
        let (tools, tool_choice) = match self.settings.acting {
            Acting::Text => (vec![], ToolChoice::Auto),
            Acting::Tools if self.is_last_turn() => {
                (task.tools.clone(), last_choice(&task.environment))
            }
            Acting::Tools => (task.tools.clone(), ToolChoice::Auto),
        };
        Need::Completion(ChatRequest {
            messages: self.messages.clone(),
            tools,
            tool_choice,
            sampling: self.settings.sampling(turn, self.tokens),
            seed: self.spec.seed.derive("turn", &[u64::from(turn)]),
        })
    }

    /// Takes in what the model said.
    fn receive(&mut self, said: ChatCompletion) -> Need {
        self.tokens = self.tokens.saturating_add(tokens_of(&said));
        self.messages.push(said.message.clone());
        self.environment.receive(&said.message, self.is_last_turn());
        self.turn = Some(Turn {
            said,
            running: None,
            messages_before: self.messages.len(),
            fuel: 0,
            is_settled: false,
        });
        self.act()
    }

    /// Does what the model asked for, call by call.
    fn act(&mut self) -> Need {
        while let Some((id, act)) = self.environment.next() {
            match act {
                Act::Observe(observation) => self.observe(id, &observation),
                Act::Submit => self.stop = Some(StopReason::Submitted),
                Act::Run(steps) => {
                    // The last turn submits: a guest is kept only for a turn between.
                    let keep = self.turns.len() as u32 + 2 < self.settings.turns_max;
                    if let Some(turn) = &mut self.turn {
                        turn.running = Some(id);
                    }
                    return Need::Run { steps, keep };
                }
            }
        }
        self.close_turn()
    }

    fn end_run(&mut self) -> Need {
        if !self.observe_run() {
            return Need::Nothing;
        }
        self.act()
    }

    /// Answers the call whose steps were run, as far as they were; whether there is
    /// one.
    fn observe_run(&mut self) -> bool {
        let Some(turn) = &mut self.turn else { return false };
        let Some(id) = turn.running.take() else { return false };
        turn.fuel = turn.fuel.saturating_add(self.environment.fuel_of_run());
        if let Some(observation) = self.environment.end_run() {
            self.observe(id, &observation);
        }
        true
    }

    /// Gives the model the answer to a call.
    fn observe(&mut self, id: Option<String>, observation: &Observation) {
        if let Some(turn) = &mut self.turn {
            turn.is_settled = observation.settles();
        }
        let content = observation.text();
        self.messages.push(Message {
            // Whoever called no tool is answered by the user.
            role: if id.is_some() { Role::Tool } else { Role::User },
            content,
            tool_calls: vec![],
            tool_call_id: id,
        });
    }

    fn fail(&mut self, fault: InvalidReason) -> Need {
        if self.stop == Some(StopReason::Faulted) {
            return Need::Nothing;
        }
        self.fault = Some(fault);
        self.observe_run();
        self.stop = Some(StopReason::Faulted);
        self.close_turn()
    }

    fn close_turn(&mut self) -> Need {
        let Some(turn) = self.turn.take() else { return Need::Nothing };
        let Turn { said, fuel, messages_before, is_settled, .. } = turn;
        self.chain = chain::link(self.chain, &said, &self.messages[messages_before..], fuel);
        self.turns.push(TurnRecord {
            prompt_tokens: said.prompt_tokens,
            tokens: said.tokens,
            logprobs: said.logprobs,
            finish: said.finish,
            reasoning: said.reasoning,
            usage: said.usage,
            model: said.model,
            fuel,
            chain: self.chain,
        });
        if self.stop.is_none() && self.turns.len() as u32 >= self.settings.turns_max {
            self.stop = Some(StopReason::TurnsExhausted);
        } else if self.stop.is_none() && self.tokens >= self.settings.tokens_max {
            self.stop = Some(StopReason::TokensExhausted);
        }
        match self.stop {
            Some(_) => Need::Nothing,
            None if is_settled => self.settle(),
            None => self.open_turn(),
        }
    }

    /// Submits what the last observation settled. Where models call tools, that is a
    /// turn of the environment's, for which no model is asked.
    fn settle(&mut self) -> Need {
        if self.settings.acting == Acting::Text {
            self.stop = Some(StopReason::Submitted);
            return Need::Nothing;
        }
        let turn = self.turns.len() as u32;
        let message = self.environment.submission(turn);
        self.receive(ChatCompletion { finish: FinishReason::Rule, ..ChatCompletion::of(message) })
    }

    /// Ends it; what was not over by itself was given up.
    pub fn finish(self) -> EpisodeOutcome {
        // Taken apart, so that a setting that the record lacks does not compile.
        let EpisodeSettings { turns_max, tokens_max, sampling, repair_temperature, acting } =
            self.settings;
        let record = RolloutRecord {
            id: self.spec.id,
            round: self.spec.round,
            purpose: self.spec.purpose,
            task: self.spec.task.id.clone(),
            sample: self.spec.sample,
            seed: self.spec.seed,
            sampling,
            turns_max,
            tokens_max: Some(tokens_max),
            repair_temperature: Some(repair_temperature),
            acting,
            policy: self.policy,
            sandbox_digest: self.sandbox,
            messages: self.messages,
            fuel: self.turns.iter().map(|turn| turn.fuel).sum(),
            turns: self.turns,
            answer: self.environment.into_answer(),
            stop: self.stop.unwrap_or(StopReason::TurnsExhausted),
            chain: self.chain,
        };
        EpisodeOutcome { record, fault: self.fault }
    }
}
