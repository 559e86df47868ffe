//! The embedded policy, as an episode sees it.

use gyre_learner::{LocalPolicy, SampleRequest};
use gyre_rollout::{
    Policy, PolicyError, RUN_EXAMPLES, SUBMIT, TurnRequest, last_examples_passed, tool_call,
};
use gyre_types::{CheckpointId, Completion, FinishReason, Message, PolicyRef, Role, ToolCall};

/// A checkpoint that acts by two rules around what it samples: a program that
/// agrees with every visible example is submitted as it stands, and the last
/// turn submits.
///
/// The embedded model is too small to read feedback: every turn is sampled from
/// the instruction alone, so a repair is a new attempt from its own stream.
#[derive(Debug)]
pub struct EmbeddedPolicy {
    checkpoint: CheckpointId,
    model: LocalPolicy,
}

impl EmbeddedPolicy {
    /// The checkpoint that acts.
    pub fn checkpoint(&self) -> &CheckpointId {
        &self.checkpoint
    }

    /// Acts with a loaded checkpoint.
    pub fn new(checkpoint: CheckpointId, model: LocalPolicy) -> Self {
        Self { checkpoint, model }
    }
}

impl Policy for EmbeddedPolicy {
    fn reference(&self) -> PolicyRef {
        PolicyRef { checkpoint: Some(self.checkpoint.clone()), digest: self.model.digest() }
    }

    fn act(&self, requests: &[TurnRequest<'_>]) -> Result<Vec<Completion>, PolicyError> {
        let sampled: Vec<_> =
            requests.iter().filter(|r| verified_call(r).is_none()).map(sample_request).collect();
        let mut samples = self.model.sample(&sampled).into_iter();
        let act = |request: &TurnRequest<'_>| match verified_call(request) {
            Some(call) => Ok(submit_again(request, call)),
            None => samples
                .next()
                .map(|sample| Completion {
                    message: says(tool_call(request.turn, tool(request), &sample.text)),
                    prompt_tokens: sample.prompt_tokens,
                    tokens: sample.tokens,
                    logprobs: sample.logprobs,
                    finish: sample.finish,
                })
                .ok_or(PolicyError::Count { asked: sampled.len(), given: 0 }),
        };
        requests.iter().map(act).collect()
    }
}

fn sample_request(request: &TurnRequest<'_>) -> SampleRequest {
    SampleRequest {
        prompt: request.task.instruction.clone(),
        seed: request.seed,
        temperature: request.sampling.temperature,
        tokens_max: request.sampling.tokens_max,
    }
}

fn tool(request: &TurnRequest<'_>) -> &'static str {
    if request.turns_left == 1 { SUBMIT } else { RUN_EXAMPLES }
}

/// The call whose program agreed with every visible example just now.
fn verified_call<'a>(request: &TurnRequest<'a>) -> Option<&'a ToolCall> {
    if !last_examples_passed(request.messages) {
        return None;
    }
    let said = request.messages.iter().rev().find(|m| m.role == Role::Assistant)?;
    said.tool_calls.first()
}

fn submit_again(request: &TurnRequest<'_>, call: &ToolCall) -> Completion {
    let call =
        ToolCall { name: SUBMIT.to_owned(), id: format!("call-{}", request.turn), ..call.clone() };
    Completion {
        message: says(call),
        prompt_tokens: vec![],
        tokens: vec![],
        logprobs: vec![],
        finish: FinishReason::Rule,
    }
}

fn says(call: ToolCall) -> Message {
    Message {
        role: Role::Assistant,
        content: String::new(),
        tool_calls: vec![call],
        tool_call_id: None,
    }
}
