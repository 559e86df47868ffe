use gyre_types::{Completion, Message, PolicyRef, Sampling, Seed, Task};

/// What a policy is asked for one turn of one rollout.
#[derive(Debug, Clone, Copy)]
pub struct TurnRequest<'a> {
    /// The task.
    pub task: &'a Task,
    /// Which of the task's rollouts it is.
    pub sample: u32,
    /// The conversation so far; the first message states the task.
    pub messages: &'a [Message],
    /// Which turn it is, from 0.
    pub turn: u32,
    /// Turns left, this one included.
    pub turns_left: u32,
    /// The seed of this turn's sampling.
    pub seed: Seed,
    /// How to draw tokens.
    pub sampling: Sampling,
}

/// A model that acts. The answer to a request follows from the request alone.
pub trait Policy: Send + Sync {
    /// What identifies it in the lineage.
    fn reference(&self) -> PolicyRef;

    /// Gives one completion for each request, in order.
    ///
    /// # Errors
    ///
    /// When the policy cannot answer at all: nothing of the wave is recorded
    /// and the caller may try again.
    fn act(&self, requests: &[TurnRequest<'_>]) -> Result<Vec<Completion>, PolicyError>;
}

/// Why a policy could not answer.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It gave another number of completions than was asked for.
    #[error("the policy gave {given} completions for {asked} requests")]
    Count {
        /// Requests.
        asked: usize,
        /// Completions.
        given: usize,
    },
    /// Its engine failed.
    #[error("the policy failed: {0}")]
    Engine(String),
}
