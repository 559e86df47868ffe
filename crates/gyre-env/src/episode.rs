//! One episode: the conversation, its turns and their end.

use gyre_types::{
    Acting, ChatCompletion, ChatRequest, Digest, FinishReason, InvalidReason, Message, PolicyRef,
    Purpose, Role, RolloutId, RolloutRecord, Seed, Step, StepReport, StopReason, Task, ToolChoice,
    TurnRecord,
};

use crate::chain::{self, Origin};
use crate::program::tools::{self, Action};
use crate::program::{Observation, Run};
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
    messages: Vec<Message>,
    turns: Vec<TurnRecord>,
    tokens: u32,
    answer: String,
    /// The turn that is not over: what the model said, and what is done about it.
    turn: Option<Turn<'a>>,
    stop: Option<StopReason>,
    fault: Option<InvalidReason>,
    chain: Digest,
}

/// A turn in which the model has spoken.
#[derive(Debug)]
struct Turn<'a> {
    said: ChatCompletion,
    /// Calls that are not answered yet, in order.
    calls: std::vec::IntoIter<Action>,
    run: Option<(Option<String>, Run<'a>)>,
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

/// The message that states a task to the policy.
pub fn first_message(task: &Task, acting: Acting) -> Message {
    let mut content = task.instruction.clone();
    if acting == Acting::Text {
        content.push_str("\n\n");
        content.push_str(&tools::how_to_answer(task));
    }
    Message { role: Role::User, content, tool_calls: vec![], tool_call_id: None }
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
            messages: vec![first_message(spec.task, settings.acting)],
            spec,
            settings,
            policy,
            sandbox,
            turns: vec![],
            tokens: 0,
            answer: String::new(),
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
                if let Some((_, run)) = self.turn.as_mut().and_then(|turn| turn.run.as_mut()) {
                    run.take(report);
                }
                Need::Nothing
            }
            Event::Ran => self.end_run(),
            Event::Failed(fault) => self.fail(fault),
            Event::Completed(_) => Need::Nothing,
        }
    }

    /// Whether steps that were asked for and not run make sense no more.
    pub fn is_run_over(&self) -> bool {
        let run = self.turn.as_ref().and_then(|turn| turn.run.as_ref());
        run.is_none_or(|(_, run)| run.is_over())
    }

    /// Fuel that the turn that is not over has burnt.
    pub fn fuel_of_turn(&self) -> u64 {
        let turn = self.turn.as_ref();
        turn.map_or(0, |turn| turn.fuel + turn.run.as_ref().map_or(0, |(_, run)| run.fuel()))
    }

    fn open_turn(&mut self) -> Need {
        let turn = self.turns.len() as u32;
        let is_last = turn + 1 >= self.settings.turns_max;
        let (tools, tool_choice) = match self.settings.acting {
            Acting::Text => (vec![], ToolChoice::Auto),
            Acting::Tools if is_last => {
                (tools::specs(), ToolChoice::Tool(tools::SUBMIT.to_owned()))
            }
            Acting::Tools => (tools::specs(), ToolChoice::Auto),
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
        let actions = self.actions(&said.message);
        self.turn = Some(Turn {
            said,
            calls: actions.into_iter(),
            run: None,
            messages_before: self.messages.len(),
            fuel: 0,
            is_settled: false,
        });
        self.act()
    }

    /// What the model asked for, in order.
    fn actions(&self, said: &Message) -> Vec<Action> {
        let is_last = self.turns.len() as u32 + 1 >= self.settings.turns_max;
        match self.settings.acting {
            Acting::Text if said.tool_calls.is_empty() => {
                let code = tools::program(&said.content, self.spec.task);
                let (id, has_examples) = (None, !self.spec.task.visible.is_empty());
                match code {
                    None if !is_last => {
                        let why = tools::no_program(self.spec.task);
                        vec![Action::Refused { id, why }]
                    }
                    Some(code) if !is_last && has_examples => {
                        vec![Action::RunExamples { id, code }]
                    }
                    code => vec![Action::Submit { id, code: code.unwrap_or_default() }],
                }
            }
            Acting::Text | Acting::Tools => tools::actions(said, self.spec.task),
        }
    }

    /// Does what the model asked for, call by call.
    fn act(&mut self) -> Need {
        while let Some(action) = self.turn.as_mut().and_then(|turn| turn.calls.next()) {
            match action {
                Action::Submit { code, .. } if self.stop.is_none() => {
                    self.answer = code;
                    self.stop = Some(StopReason::Submitted);
                }
                Action::RunExamples { id, code } if self.stop.is_none() => {
                    self.answer.clone_from(&code);
                    let (run, steps) = Run::new(self.spec.task, &code);
                    // The last turn submits: a guest is kept only for a turn between.
                    let keep = self.turns.len() as u32 + 2 < self.settings.turns_max;
                    if let Some(turn) = &mut self.turn {
                        turn.run = Some((id, run));
                    }
                    return Need::Run { steps, keep };
                }
                Action::Refused { id, why } if self.stop.is_none() => {
                    self.observe(id, &Observation::Refused { why });
                }
                // Every call is answered, also those behind a submission.
                Action::Submit { id, .. }
                | Action::RunExamples { id, .. }
                | Action::Refused { id, .. } => {
                    let why = "not run: the answer was submitted".to_owned();
                    self.observe(id, &Observation::Refused { why });
                }
            }
        }
        self.close_turn()
    }

    fn end_run(&mut self) -> Need {
        let Some((id, run)) = self.turn.as_mut().and_then(|turn| turn.run.take()) else {
            return Need::Nothing;
        };
        if let Some(turn) = &mut self.turn {
            turn.fuel = turn.fuel.saturating_add(run.fuel());
        }
        self.observe(id, &Observation::Examples(run.finish()));
        self.act()
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
        if let Some((id, run)) = self.turn.as_mut().and_then(|turn| turn.run.take()) {
            if let Some(turn) = &mut self.turn {
                turn.fuel = turn.fuel.saturating_add(run.fuel());
            }
            self.observe(id, &Observation::Examples(run.finish()));
        }
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

    /// Submits the program that agreed with every visible example. Where models call
    /// tools, that is a turn of the environment's, for which no model is asked.
    fn settle(&mut self) -> Need {
        if self.settings.acting == Acting::Text {
            self.stop = Some(StopReason::Submitted);
            return Need::Nothing;
        }
        let turn = self.turns.len() as u32;
        let call = tools::call(turn, tools::SUBMIT, &self.answer);
        let message = Message {
            role: Role::Assistant,
            content: String::new(),
            tool_calls: vec![call],
            tool_call_id: None,
        };
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
            answer: self.answer,
            stop: self.stop.unwrap_or(StopReason::TurnsExhausted),
            chain: self.chain,
        };
        EpisodeOutcome { record, fault: self.fault }
    }
}
