use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The two-by-two table of a set of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairTable {
    /// All pairs.
    pub n: u64,
    /// Only the candidate passed.
    pub wins: u64,
    /// Only the champion passed.
    pub losses: u64,
    /// Both passed.
    pub both: u64,
    /// Neither passed.
    pub neither: u64,
}

impl PairTable {
    /// Pairs on which the two agree.
    pub fn ties(&self) -> u64 {
        self.both + self.neither
    }
}
