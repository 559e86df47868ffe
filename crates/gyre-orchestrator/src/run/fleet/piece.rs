//! What a worker is given to do, and what it replies.

use std::collections::{BTreeMap, BTreeSet};

use gyre_env::EpisodeOutcome;
use gyre_lineage::{DatabaseUrl, WorkKey};
use gyre_queue::Location;
use gyre_types::{Digest, InvalidReason, Judgement, RunId};
use serde::{Deserialize, Serialize};

use crate::run::attempts::assignment::Assignment;

/// The version that workers must be.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The queue of those who can work together: of one version, with one sandbox.
pub(crate) fn queue_name(sandbox: &Digest) -> String {
    format!("gyre-{VERSION}-{}", sandbox.short())
}

/// Where the queue of a lineage is kept: beside its file, or on its server.
pub(crate) fn queue_location(url: &DatabaseUrl) -> Location {
    match url {
        DatabaseUrl::Sqlite(path) => Location::Sqlite(path.with_file_name("queue.db")),
        DatabaseUrl::Postgres(text) => {
            Location::Postgres { url: text.clone(), shown: url.to_string() }
        }
    }
}

/// What a worker is given to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) run: RunId,
    pub(crate) batch: String,
    pub(crate) piece: u32,
    /// The lease of the driver that offers it.
    pub(crate) offer: u64,
    pub(crate) assignment: Assignment,
}

impl Piece {
    pub(crate) fn key(&self) -> WorkKey {
        let (run, batch) = (self.run.clone(), self.batch.clone());
        WorkKey { run, round: self.assignment.round, batch, piece: self.piece }
    }
}

/// What a worker says of the rollouts that it delivers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// Why rollouts were lost to faults, by their places.
    pub(crate) faults: BTreeMap<u32, String>,
    /// The places of those that the model's server failed at. At the others the sandbox
    /// failed; replies of older workers do not tell the two apart.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) model_faults: BTreeSet<u32>,
    /// Of all others, in order.
    pub(crate) judgements: Vec<Judgement>,
}

impl Reply {
    /// A reply that tells of the faults of some episodes, without judgements yet.
    pub(crate) fn of(outcomes: &[EpisodeOutcome]) -> Self {
        let mut reply = Self::default();
        for (at, outcome) in (0u32..).zip(outcomes) {
            let Some(fault) = &outcome.fault else { continue };
            reply.faults.insert(at, fault.detail().to_owned());
            if matches!(fault, InvalidReason::Model { .. }) {
                reply.model_faults.insert(at);
            }
        }
        reply
    }

    /// The fault that ended the episode at a place, if one did.
    pub(crate) fn fault(&self, at: u32) -> Option<InvalidReason> {
        let detail = self.faults.get(&at)?.clone();
        Some(match self.model_faults.contains(&at) {
            true => InvalidReason::Model { detail },
            false => InvalidReason::Infrastructure { detail },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_older_workers_are_read() {
        let stored = r#"{"faults":{"3":"lost"},"judgements":[]}"#;
        let reply: Reply = serde_json::from_str(stored).unwrap();
        let lost = InvalidReason::Infrastructure { detail: "lost".to_owned() };
        assert_eq!((reply.fault(3), reply.fault(4)), (Some(lost), None));
        assert_eq!(serde_json::to_string(&reply).unwrap(), stored);
        let newer = Reply { model_faults: [3].into(), ..reply };
        let read: Reply = serde_json::from_str(&serde_json::to_string(&newer).unwrap()).unwrap();
        assert_eq!(read.fault(3), Some(InvalidReason::Model { detail: "lost".to_owned() }));
    }
}
