use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use gyre_types::{ChatCompletion, ChatRequest, Digest};
use serde::{Deserialize, Serialize};

use crate::client::{ModelClient, ModelIdentity};
use crate::error::{ModelError, ModelErrorKind};

/// Names a request by all that was asked.
pub fn request_digest(request: &ChatRequest) -> Digest {
    Digest::of_json(request)
}

/// A completion with the request that it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCompletion {
    /// See [`request_digest`]; none where the request was not kept, and is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// What the model answered.
    pub completion: ChatCompletion,
}

/// Replays what a model answered in one conversation, turn by turn: for replays,
/// and for tests.
#[derive(Debug)]
pub struct Recorded {
    identity: ModelIdentity,
    completions: Vec<RecordedCompletion>,
    next: AtomicUsize,
}

impl Recorded {
    /// Replays these completions in this order, in the name of the model that gave
    /// them.
    pub fn new(identity: ModelIdentity, completions: Vec<RecordedCompletion>) -> Self {
        Self { identity, completions, next: AtomicUsize::new(0) }
    }

    fn error(why: String) -> ModelError {
        ModelError {
            origin: "recording".to_owned(),
            kind: ModelErrorKind::Recording { why },
            attempts: 0,
        }
    }
}

#[async_trait]
impl ModelClient for Recorded {
    async fn complete(&self, request: ChatRequest) -> Result<ChatCompletion, ModelError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(recorded) = self.completions.get(turn) else {
            let held = self.completions.len();
            return Err(Self::error(format!(
                "turn {turn} is asked for, and the recording holds {held}; it was cut off, or the \
                 episode goes on where it ended before"
            )));
        };
        let digest = request_digest(&request);
        if let Some(then) = recorded.request.filter(|then| *then != digest) {
            return Err(Self::error(format!(
                "the request of turn {turn} has the digest {}, and the recorded one {}; the task, \
                 the environment or the settings changed since",
                digest.short(),
                then.short()
            )));
        }
        Ok(recorded.completion.clone())
    }

    fn identity(&self) -> ModelIdentity {
        self.identity.clone()
    }
}
