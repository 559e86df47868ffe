//! What a worker is given to do, and what it replies.

use std::collections::BTreeMap;

use gyre_lineage::{DatabaseUrl, WorkKey};
use gyre_queue::Location;
use gyre_types::{Digest, Judgement, RunId};
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// What the infrastructure failed at, by the rollout's place.
    pub(crate) faults: BTreeMap<u32, String>,
    /// Of all others, in order.
    pub(crate) judgements: Vec<Judgement>,
}
