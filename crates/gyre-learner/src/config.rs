use gyre_types::{Identity, JsonError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LearnerError;

/// Shape of the embedded model and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnerConfig {
    /// Width of the model; a multiple of 16. Default 128.
    pub hidden_size: usize,
    /// Transformer layers. Default 3.
    pub layers: usize,
    /// Attention heads; `hidden_size / heads` is a multiple of 16. Default 4.
    pub heads: usize,
    /// Width of the feed-forward layer; a multiple of 16. Default 256.
    pub intermediate_size: usize,
    /// Byte-pair merges that the tokenizer learns within words of the
    /// demonstrations, at most. Default 360.
    pub merges: usize,
    /// Merges over the borders of words that it then learns from their code, at
    /// most. Default 100.
    pub phrases: usize,
    /// Longest prompt and answer together, in tokens. Default 512.
    pub context_max: usize,
    /// Examples a step. Default 32.
    pub batch: usize,
    /// The cold start. Default 260 steps at 2e-3, of which the first 10 warm up.
    pub base: Schedule,
    /// Every later round. Default 300 steps and two passes at 2e-3, of which the
    /// first 10 steps warm up: the pool grows, and what is new in it takes time.
    pub round: Schedule,
    /// How much of the champion's weights a round starts from; the rest is drawn
    /// anew. 1 trains them on, 0 trains new ones. Default 0.5: weights that are
    /// only trained on keep the habits of what they saw first, such as how long
    /// an answer is.
    pub keep: f32,
    /// AdamW's first and second decay. Default 0.9 and 0.98.
    pub betas: (f32, f32),
    /// AdamW's weight decay, on matrices alone. Default 0.5: few examples, seen often.
    pub weight_decay: f32,
    /// The norm that a step's gradient is scaled down to. Default 1.
    pub clip: f32,
    /// Muon's rate for the matrices of the layers, as a multiple of the schedule's
    /// rate; embedding, output matrix and gains stay with AdamW. Default 2;
    /// 0 leaves everything to AdamW.
    pub muon: f32,
    /// How strongly fresh weights begin with two heads that look up what stood
    /// beside a token like this one. Default 1; 0 begins at random.
    pub lookup: f32,
    /// How positions are shaken while training.
    pub positions: Positions,
}

/// Length and step size of one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Optimiser steps, however many examples there are.
    pub steps: u64,
    /// Passes over the examples, whose steps are added. Default 0.
    #[serde(default)]
    pub passes: f32,
    /// Highest learning rate; falls in a line to a tenth of it.
    pub learning_rate: f32,
    /// Steps over which the rate first rises.
    pub warmup: u64,
}

impl Schedule {
    /// Steps in all, over so many examples.
    pub(crate) fn steps_in_all(&self, examples: usize, batch: usize) -> u64 {
        let passes = f64::from(self.passes) * examples as f64 / batch as f64;
        self.steps.saturating_add(passes.round() as u64)
    }
}

/// Randomised rotary positions: what lets a model trained on short chains
/// write longer ones.
///
/// A shaken example skips positions at random and starts its answer after a
/// gap, so that distances never seen in the data are seen in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Positions {
    /// Share of examples shaken. Default 0.75.
    pub shaken: f32,
    /// Chance of a skip before a token, at most; each example draws its own
    /// below it. Default 0.3.
    pub skip_chance_max: f32,
    /// Positions that one skip jumps over, at most. Default 3.
    pub skip_max: u32,
    /// Positions between prompt and answer, at most. Default 39.
    pub gap_max: u32,
}

impl Default for LearnerConfig {
    fn default() -> Self {
        Self {
            hidden_size: 128,
            layers: 3,
            heads: 4,
            intermediate_size: 256,
            merges: 360,
            phrases: 100,
            context_max: 512,
            batch: 32,
            base: Schedule { steps: 260, passes: 0.0, learning_rate: 2e-3, warmup: 10 },
            round: Schedule { steps: 300, passes: 2.0, learning_rate: 2e-3, warmup: 10 },
            keep: 0.5,
            betas: (0.9, 0.98),
            weight_decay: 0.5,
            clip: 1.0,
            muon: 2.0,
            lookup: 1.0,
            positions: Positions::default(),
        }
    }
}

impl LearnerConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "hidden_size",
            "layers",
            "heads",
            "intermediate_size",
            "merges",
            "phrases",
            "context_max",
            "batch",
            "base.steps",
            "base.passes",
            "base.learning_rate",
            "base.warmup",
            "round.steps",
            "round.passes",
            "round.learning_rate",
            "round.warmup",
            "keep",
            "betas",
            "weight_decay",
            "clip",
            "muon",
            "lookup",
            "positions.shaken",
            "positions.skip_chance_max",
            "positions.skip_max",
            "positions.gap_max",
        ];
        Identity::of("the embedded model", self, &names)
    }
}

impl Default for Positions {
    fn default() -> Self {
        Self { shaken: 0.75, skip_chance_max: 0.3, skip_max: 3, gap_max: 39 }
    }
}

impl LearnerConfig {
    /// Says what of it no model can have.
    ///
    /// # Errors
    ///
    /// The field, and what it may be.
    pub fn check(&self) -> Result<(), LearnerError> {
        let sixteens = |n: usize| n > 0 && n.is_multiple_of(16) && n <= 4096;
        let rate = |s: &Schedule| s.learning_rate.is_finite() && s.learning_rate >= 0.0;
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let passes = |s: &Schedule| (0.0..=10_000.0).contains(&s.passes);
        let decay = |x: f32| (0.0..1.0).contains(&x);
        let rules = [
            (sixteens(self.hidden_size), "hidden_size", "a multiple of 16, at most 4096"),
            (
                sixteens(self.intermediate_size),
                "intermediate_size",
                "a multiple of 16, at most 4096",
            ),
            ((1..=64).contains(&self.layers), "layers", "from 1 to 64"),
            (
                self.heads > 0
                    && self.hidden_size.is_multiple_of(self.heads)
                    && sixteens(self.hidden_size / self.heads),
                "heads",
                "such that hidden_size / heads is a multiple of 16",
            ),
            (self.merges <= 30_000, "merges", "at most 30000"),
            (self.phrases <= 30_000, "phrases", "at most 30000"),
            ((16..=32_768).contains(&self.context_max), "context_max", "from 16 to 32768"),
            ((1..=4096).contains(&self.batch), "batch", "from 1 to 4096"),
            (rate(&self.base), "base.learning_rate", "a number of at least 0"),
            (rate(&self.round), "round.learning_rate", "a number of at least 0"),
            (passes(&self.base), "base.passes", "from 0 to 10000"),
            (passes(&self.round), "round.passes", "from 0 to 10000"),
            (decay(self.betas.0) && decay(self.betas.1), "betas", "from 0 to below 1"),
            (decay(self.weight_decay), "weight_decay", "from 0 to below 1"),
            (self.clip > 0.0, "clip", "above 0"),
            ((0.0..=100.0).contains(&self.muon), "muon", "from 0 to 100"),
            ((0.0..=10.0).contains(&self.lookup), "lookup", "from 0 to 10"),
            (share(self.keep), "keep", "from 0 to 1"),
            (share(self.positions.shaken), "positions.shaken", "from 0 to 1"),
            (share(self.positions.skip_chance_max), "positions.skip_chance_max", "from 0 to 1"),
            (self.positions.skip_max <= 64, "positions.skip_max", "at most 64"),
            (self.positions.gap_max <= 4096, "positions.gap_max", "at most 4096"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, must)) => Err(LearnerError::Config { field, must }),
            None => Ok(()),
        }
    }

    /// Numbers in one attention head.
    pub(crate) fn head_size(&self) -> usize {
        self.hidden_size / self.heads
    }

    /// One more than the highest position that training can reach.
    pub(crate) fn positions_max(&self) -> usize {
        self.context_max * (1 + self.positions.skip_max as usize) + self.positions.gap_max as usize
    }
}
