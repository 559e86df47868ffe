use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use futures_channel::oneshot;
use gyre_model::{ModelClient, ModelError, ModelErrorKind, ModelIdentity};
use gyre_types::{
    ChatCompletion, ChatRequest, CheckpointId, Message, Role, ToolCall, ToolChoice, ToolSpec, Usage,
};

use crate::decode::Queue;
use crate::policy::{LocalPolicy, Sample, SampleRequest};

/// Where the engine is, in errors.
const ORIGIN: &str = "the embedded engine";

/// A checkpoint behind the seam of models: requests are batched continuously, and
/// may join at any token.
///
/// The embedded model is too small to read what a tool answered: every turn is
/// sampled from the first message of the user alone, so a repair is a new attempt
/// from its own stream. What it samples is the argument of one tool call.
pub struct Engine {
    checkpoint: CheckpointId,
    policy: Arc<LocalPolicy>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts a thread for each processor.
    pub fn start(checkpoint: CheckpointId, policy: LocalPolicy) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (policy, queue) = (Arc::new(policy), Arc::new(Queue::new(threads)));
        let serve = || {
            let (policy, queue) = (Arc::clone(&policy), Arc::clone(&queue));
            thread::spawn(move || policy.serve(&queue))
        };
        let threads = (0..threads).map(|_| serve()).collect();
        Self { checkpoint, policy, queue, threads }
    }

    /// The checkpoint that answers.
    pub fn checkpoint(&self) -> &CheckpointId {
        &self.checkpoint
    }

    async fn sample(&self, request: &SampleRequest) -> Result<Sample, ModelError> {
        let (reply, drawn) = oneshot::channel();
        let reply = Box::new(move |prompt, drawn| {
            // Whoever asked may have given up waiting.
            let _ = reply.send((prompt, drawn));
        });
        self.queue.push([self.policy.job(request, reply)]);
        match drawn.await {
            Ok((prompt, drawn)) => Ok(self.policy.sampled(prompt, drawn)),
            Err(oneshot::Canceled) => Err(ModelError {
                origin: ORIGIN.to_owned(),
                kind: ModelErrorKind::Broken { why: "its thread ended".to_owned() },
                attempts: 1,
            }),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // What a thread that panicked held was answered by its end.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl ModelClient for Engine {
    async fn complete(&self, request: ChatRequest) -> Result<ChatCompletion, ModelError> {
        let instruction = request.messages.iter().find(|said| said.role == Role::User);
        let sample = self
            .sample(&SampleRequest {
                prompt: instruction.map(|said| said.content.clone()).unwrap_or_default(),
                seed: request.seed,
                temperature: request.sampling.temperature,
                tokens_max: request.sampling.tokens_max,
            })
            .await?;
        let usage = Usage {
            prompt: sample.prompt_tokens.len() as u64,
            cached: 0,
            completion: sample.tokens.len() as u64,
        };
        Ok(ChatCompletion {
            message: says(&request, sample.text),
            calls_dropped: 0,
            reasoning: None,
            finish: sample.finish,
            prompt_tokens: sample.prompt_tokens,
            tokens: sample.tokens,
            logprobs: sample.logprobs,
            usage,
            model: None,
        })
    }

    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: self.checkpoint.to_string(),
            checkpoint: Some(self.checkpoint.clone()),
            digest: self.policy.digest(),
        }
    }
}

/// What was sampled, as the argument of the tool that is asked for, or of the first
/// that there is; as text where there is none.
fn says(request: &ChatRequest, text: String) -> Message {
    let turn = request.messages.iter().filter(|said| said.role == Role::Assistant).count();
    let tool = match &request.tool_choice {
        ToolChoice::Tool(name) => request.tools.iter().find(|tool| tool.name == *name),
        ToolChoice::Auto => request.tools.first(),
    };
    let mut message = Message {
        role: Role::Assistant,
        content: String::new(),
        tool_calls: vec![],
        tool_call_id: None,
    };
    match tool {
        None => message.content = text,
        Some(tool) => message.tool_calls.push(ToolCall {
            id: format!("call-{turn}"),
            name: tool.name.clone(),
            arguments: serde_json::json!({ (argument(tool)): text }).to_string(),
        }),
    }
    message
}

/// The first argument that a tool demands.
fn argument(tool: &ToolSpec) -> &str {
    tool.parameters["required"][0].as_str().unwrap_or("code")
}
