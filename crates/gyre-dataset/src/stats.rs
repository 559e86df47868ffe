use std::collections::{BTreeMap, BTreeSet};

use gyre_types::Digest;
use serde::Serialize;

use crate::error::DatasetError;
use crate::layout::Layout;
use crate::read::read_shard;
use crate::row::DatasetRow;

/// What a dataset's accepted rows are, gathered in one pass and bounded memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// All rows.
    pub rows: u64,
    /// Bytes of their shards.
    pub bytes: u64,
    /// Attempts in whole groups, which count in nothing else here.
    pub attempts: u64,
    /// Bytes of their shards.
    pub attempts_bytes: u64,
    /// Rows per round.
    pub by_round: BTreeMap<u32, u64>,
    /// Rows per family.
    pub by_family: BTreeMap<String, u64>,
    /// Rows per difficulty.
    pub by_difficulty: BTreeMap<u32, u64>,
    /// Rows per verdict.
    pub by_verdict: BTreeMap<String, u64>,
    /// Tokens sampled per row.
    pub tokens: Quantiles,
    /// Fuel burnt by the agent's guest per row.
    pub fuel: Quantiles,
    /// Different answers; exact up to 4,096, within about 3% above.
    pub distinct_answers: u64,
    /// Different tasks; likewise.
    pub distinct_tasks: u64,
}

/// Quantiles of a column, each within 1/32 of the true value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of the rows have at most this.
    pub p50: u64,
    /// Nine rows in ten have at most this.
    pub p90: u64,
    /// All but one row in a hundred have at most this.
    pub p99: u64,
    /// The largest, exactly.
    pub max: u64,
}

/// Reads a dataset once.
///
/// # Errors
///
/// When the manifest or a shard cannot be read.
pub fn stats(layout: &Layout) -> Result<Stats, DatasetError> {
    let mut gathered = Gathered::default();
    let manifest = layout.read_manifest()?;
    for shard in manifest.accepted() {
        gathered.bytes += shard.bytes;
        for row in read_shard(layout.open(&shard.path))? {
            gathered.add(&row?);
        }
    }
    for shard in manifest.groups() {
        gathered.attempts += shard.rows;
        gathered.attempts_bytes += shard.bytes;
    }
    Ok(gathered.finish())
}

#[derive(Default)]
struct Gathered {
    rows: u64,
    bytes: u64,
    attempts: u64,
    attempts_bytes: u64,
    by_round: BTreeMap<u32, u64>,
    by_family: BTreeMap<String, u64>,
    by_difficulty: BTreeMap<u32, u64>,
    by_verdict: BTreeMap<String, u64>,
    tokens: Histogram,
    fuel: Histogram,
    answers: Distinct,
    tasks: Distinct,
}

impl Gathered {
    fn add(&mut self, row: &DatasetRow) {
        self.rows += 1;
        *self.by_round.entry(row.round).or_default() += 1;
        *self.by_family.entry(row.family.clone()).or_default() += 1;
        *self.by_difficulty.entry(row.difficulty).or_default() += 1;
        *self.by_verdict.entry(row.verdict.name().to_owned()).or_default() += 1;
        self.tokens.add(row.turns.iter().map(|turn| turn.tokens.len() as u64).sum());
        self.fuel.add(row.fuel);
        self.answers.add(&Digest::of(row.completion.as_bytes()));
        self.tasks.add(&row.task_digest);
    }

    fn finish(self) -> Stats {
        Stats {
            rows: self.rows,
            bytes: self.bytes,
            attempts: self.attempts,
            attempts_bytes: self.attempts_bytes,
            by_round: self.by_round,
            by_family: self.by_family,
            by_difficulty: self.by_difficulty,
            by_verdict: self.by_verdict,
            tokens: self.tokens.quantiles(),
            fuel: self.fuel.quantiles(),
            distinct_answers: self.answers.estimate(),
            distinct_tasks: self.tasks.estimate(),
        }
    }
}

/// Counts by buckets of 1/32 of their value: at most 2,000 of them.
#[derive(Default)]
struct Histogram {
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    fn add(&mut self, value: u64) {
        // Keeps the six highest bits: exact below 64.
        let dropped_bits = (64 - value.leading_zeros()).saturating_sub(6);
        *self.counts.entry(value >> dropped_bits << dropped_bits).or_default() += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    fn quantiles(&self) -> Quantiles {
        let at = |percent: u64| {
            let rank = (self.total * percent).div_ceil(100);
            let mut seen = 0;
            let reached = self.counts.iter().find(|(_, count)| {
                seen += **count;
                seen >= rank
            });
            reached.map_or(0, |(value, _)| *value)
        };
        Quantiles { p50: at(50), p90: at(90), p99: at(99), max: self.max }
    }
}

/// The smallest hashes seen: their spread tells how many there are in all.
#[derive(Default)]
struct Distinct {
    smallest: BTreeSet<u64>,
    overflowed: bool,
}

impl Distinct {
    const KEPT: usize = 4_096;

    fn add(&mut self, digest: &Digest) {
        self.smallest.insert(digest.to_u64());
        if self.smallest.len() > Self::KEPT {
            self.smallest.pop_last();
            self.overflowed = true;
        }
    }

    fn estimate(&self) -> u64 {
        match self.smallest.last() {
            Some(&largest) if self.overflowed => {
                let share = largest as f64 / u64::MAX as f64;
                ((Self::KEPT - 1) as f64 / share).round() as u64
            }
            _ => self.smallest.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_for_small_numbers_and_close_for_large_ones() {
        let mut small = Histogram::default();
        (1..=50).for_each(|value| small.add(value));
        assert_eq!(small.quantiles(), Quantiles { p50: 25, p90: 45, p99: 50, max: 50 });
        let mut large = Histogram::default();
        (1..=100_000).for_each(|value| large.add(value * 1_000));
        let p90 = large.quantiles().p90;
        assert!((87_000_000..=90_000_000).contains(&p90), "{p90}");
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn distinct_counts_are_exact_when_few_and_close_when_many() {
        let count = |different: u64| {
            let mut distinct = Distinct::default();
            for value in (0..different).chain(0..different) {
                distinct.add(&Digest::of(&value.to_le_bytes()));
            }
            distinct.estimate()
        };
        assert_eq!(count(0), 0);
        assert_eq!(count(4_096), 4_096);
        let many = count(100_000);
        assert!((95_000..=105_000).contains(&many), "{many}");
    }
}
