//! The client's settings for a scripted server, and what a test asks it.

use gyre_model::{Backoff, ModelClient, ModelError, OpenAi, OpenAiConfig, Secret, Timeouts};
use gyre_types::{ChatCompletion, ChatRequest, Message, Role, Sampling, Seed, ToolChoice};

pub(crate) use crate::wire::{Act, Received, Server, completion, http, ok};

impl Server {
    /// Answers every request in the same way.
    pub(crate) async fn always(answer: Vec<u8>) -> Self {
        Self::start(move |_, _| Act::Send(answer.clone())).await
    }

    /// A configuration for this server that waits for nothing long.
    pub(crate) fn config(&self) -> OpenAiConfig {
        OpenAiConfig {
            url: format!("{}/v1", self.origin),
            model: Some("m".to_owned()),
            timeouts: Timeouts { connect_ms: 5_000, first_byte_ms: 20_000, request_ms: 20_000 },
            retries_max: 2,
            backoff: Backoff { min_ms: 1, max_ms: 2, retry_after_max_ms: 2_000 },
            ..OpenAiConfig::default()
        }
    }

    pub(crate) async fn client(&self, config: OpenAiConfig) -> OpenAi {
        OpenAi::connect(config, None).await.expect("a usable configuration")
    }

    /// Asks once, and tells an error without the port.
    pub(crate) async fn ask(&self, config: OpenAiConfig) -> Result<ChatCompletion, ModelError> {
        self.client(config).await.complete(request()).await.map_err(|error| self.named(error))
    }

    /// The error of a request that fails.
    pub(crate) async fn failure(&self, config: OpenAiConfig) -> ModelError {
        self.ask(config).await.expect_err("no completion")
    }

    /// The error with another name for this server, whose port changes.
    pub(crate) fn named(&self, error: ModelError) -> ModelError {
        ModelError { origin: error.origin.replace(&self.origin, "server"), ..error }
    }
}

pub(crate) fn request() -> ChatRequest {
    let message = Message {
        role: Role::User,
        content: "Write f.".to_owned(),
        tool_calls: vec![],
        tool_call_id: None,
    };
    ChatRequest {
        messages: vec![message],
        tools: vec![],
        tool_choice: ToolChoice::Auto,
        sampling: Sampling { temperature: 1.0, tokens_max: 16 },
        seed: Seed(1),
    }
}

pub(crate) fn key() -> Option<Secret> {
    Some(Secret::new("sk-hidden"))
}
