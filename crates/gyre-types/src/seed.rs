use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// The seed of one random stream.
///
/// Every stream is derived from the run's seed by name and position, so that
/// work may be done in any order, on any thread, or again after a crash, and
/// still draw the same numbers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the stream `name` at position `at` (round, task, sample, …).
    #[must_use]
    pub fn derive(self, name: &str, at: &[u64]) -> Self {
        let own = self.0.to_le_bytes();
        let at: Vec<u8> = at.iter().flat_map(|part| part.to_le_bytes()).collect();
        Self(Digest::of_parts([own.as_slice(), name.as_bytes(), &at]).to_u64())
    }

    /// A generator for this stream: ChaCha with 8 rounds, the same on every
    /// platform and in every version.
    pub fn rng(self) -> ChaCha8Rng {
        let key = Digest::of_parts([b"gyre-rng".as_slice(), &self.0.to_le_bytes()]);
        ChaCha8Rng::from_seed(*key.as_bytes())
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
