use gyre_types::{AnswerRef, EnvironmentSpec, ProgramSpec, Task};

use crate::{GradingKey, ProgramKey};

/// An answer to a task, with the key that decides.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its key.
    pub key: &'a GradingKey,
    /// The answer to judge.
    pub answer: AnswerRef<'a>,
}

impl<'a> Submission<'a> {
    /// A program as the answer to a task.
    pub fn of_program(task: &'a Task, key: &'a GradingKey, program: &'a str) -> Self {
        Self { task, key, answer: AnswerRef::Program(program) }
    }

    /// Its parts, all of one kind.
    pub fn kind(self) -> SubmissionKind<'a> {
        match (&self.task.environment, self.key, self.answer) {
            (
                EnvironmentSpec::Program(spec),
                GradingKey::Program(key),
                AnswerRef::Program(program),
            ) => SubmissionKind::Program(ProgramSubmission { task: self.task, spec, key, program }),
        }
    }
}

/// A submission by its kind of environment.
#[derive(Debug, Clone, Copy)]
pub enum SubmissionKind<'a> {
    /// A program.
    Program(ProgramSubmission<'a>),
}

/// A program as an answer.
#[derive(Debug, Clone, Copy)]
pub struct ProgramSubmission<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its environment.
    pub spec: &'a ProgramSpec,
    /// Its key.
    pub key: &'a ProgramKey,
    /// The program's text.
    pub program: &'a str,
}
