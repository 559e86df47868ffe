use std::fmt::Debug;

use async_trait::async_trait;
use gyre_types::{ChatCompletion, ChatRequest, CheckpointId, Digest, PolicyRef};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// A model that is asked for the next message of a conversation.
#[async_trait]
pub trait ModelClient: Debug + Send + Sync {
    /// Asks for one message. What the model did wrong is part of the completion; an
    /// error means that no completion was received.
    ///
    /// Dropping the future cancels the request.
    ///
    /// # Errors
    ///
    /// When the server failed, in one of the ways of [`crate::ModelErrorKind`].
    async fn complete(&self, request: ChatRequest) -> Result<ChatCompletion, ModelError>;

    /// What decides the answers, as far as it is known.
    fn identity(&self) -> ModelIdentity;
}

/// What decides a model's answers, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// What people call it.
    pub name: String,
    /// The checkpoint that answers, where the caller knows it.
    pub checkpoint: Option<CheckpointId>,
    /// Digest of everything known that decides the answers.
    pub digest: Digest,
}

impl ModelIdentity {
    /// Whether the digest covers the weights. Where it does not, a server may
    /// answer by other weights under the same name, unnoticed.
    pub fn covers_weights(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// The policy that a rollout by this model names.
    pub fn policy(&self) -> PolicyRef {
        PolicyRef { checkpoint: self.checkpoint.clone(), digest: self.digest }
    }
}
