//! The environment in which an agent writes a program.
//!
//! It may run its program on the task's visible examples, which tells what each
//! gave, and submits a program in the end. A program that agrees with every
//! visible example is submitted as it stands.

pub mod canary;
mod feedback;
mod fenced;
pub mod interface;
pub mod tools;

use std::collections::VecDeque;

use gyre_types::{
    Acting, Answer, Message, ProgramSpec, Role, StepReport, Task, ToolCall, ToolSpec,
};

use crate::act::{Act, CallId};
use crate::observation::{Observation, Refusal};

use feedback::Run;
use tools::Action;

/// What an episode has of this environment.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    spec: &'a ProgramSpec,
    tools: &'a [ToolSpec],
    acting: Acting,
    /// What the model asked for and is not done, in order.
    asked: VecDeque<(CallId, Action)>,
    run: Option<Run<'a>>,
    /// The last program that was run or submitted.
    code: String,
    is_submitted: bool,
}

impl<'a> Program<'a> {
    pub(crate) fn new(task: &'a Task, spec: &'a ProgramSpec, acting: Acting) -> Self {
        Self {
            spec,
            tools: &task.tools,
            acting,
            asked: VecDeque::new(),
            run: None,
            code: String::new(),
            is_submitted: false,
        }
    }

    /// Takes in what the model asks for by a message.
    pub(crate) fn receive(&mut self, said: &Message, is_last_turn: bool) {
        self.asked = match self.acting {
            Acting::Text if said.tool_calls.is_empty() => {
                VecDeque::from([(None, self.action_of_text(&said.content, is_last_turn))])
            }
            Acting::Text | Acting::Tools if said.tool_calls.is_empty() => {
                // A message without a call submits its text, fenced or plain.
                let code = tools::program(&said.content, self.spec);
                let code = code.unwrap_or_else(|| said.content.clone());
                VecDeque::from([(None, Action::Submit { code })])
            }
            Acting::Text | Acting::Tools => {
                let action =
                    |call: &ToolCall| (Some(call.id.clone()), tools::action(call, self.tools));
                said.tool_calls.iter().map(action).collect()
            }
        };
    }

    /// What a message asks for that is not meant to call tools.
    fn action_of_text(&self, text: &str, is_last_turn: bool) -> Action {
        let has_examples = !self.spec.visible.is_empty();
        match tools::program(text, self.spec) {
            None if !is_last_turn => {
                let how_to_answer = tools::how_to_answer(self.spec);
                Action::Refused(Refusal::NoProgram { how_to_answer })
            }
            Some(code) if !is_last_turn && has_examples => Action::RunExamples { code },
            code => Action::Submit { code: code.unwrap_or_default() },
        }
    }

    /// Goes on with the next call of the turn; nothing where all are done.
    pub(crate) fn next(&mut self) -> Option<(CallId, Act)> {
        let (id, action) = self.asked.pop_front()?;
        let act = match action {
            // Every call is answered, also those behind a submission.
            _ if self.is_submitted => Act::Observe(Observation::Refused(Refusal::Submitted)),
            Action::Submit { code } => {
                self.code = code;
                self.is_submitted = true;
                Act::Submit
            }
            Action::RunExamples { code } => {
                let (run, steps) = Run::new(self.spec, &code);
                self.code = code;
                self.run = Some(run);
                Act::Run(steps)
            }
            Action::Refused(why) => Act::Observe(Observation::Refused(why)),
        };
        Some((id, act))
    }

    /// Takes in the report of the next step of a run.
    pub(crate) fn take(&mut self, report: StepReport) {
        if let Some(run) = &mut self.run {
            run.take(report);
        }
    }

    /// Whether steps that were asked for and not run make sense no more.
    pub(crate) fn is_run_over(&self) -> bool {
        self.run.as_ref().is_none_or(Run::is_over)
    }

    /// Fuel of the run that is not over.
    pub(crate) fn fuel_of_run(&self) -> u64 {
        self.run.as_ref().map_or(0, Run::fuel)
    }

    /// Ends a run: what it gave.
    pub(crate) fn end_run(&mut self) -> Option<Observation> {
        Some(Observation::Examples(self.run.take()?.finish()))
    }

    /// What the model would say that submits the last program, in a turn counted
    /// from 0.
    pub(crate) fn submission(&self, turn: u32) -> Message {
        Message {
            role: Role::Assistant,
            content: String::new(),
            tool_calls: vec![tools::call(turn, tools::SUBMIT, &self.code)],
            tool_call_id: None,
        }
    }

    pub(crate) fn into_answer(self) -> Answer {
        Answer::Program(self.code)
    }
}
