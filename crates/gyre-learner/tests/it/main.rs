//! The embedded policy from outside: what a checkpoint holds, what it answers,
//! and what is refused.

mod checkpoints;
mod engine;
mod hf;
mod policy;
mod trainer;

use std::ops::ControlFlow;
use std::path::Path;

use gyre_learner::{
    Example, LearnerConfig, LearnerError, Schedule, TrainProgress, TrainReport, cold_start,
};
use gyre_types::Seed;

/// Small enough to train in a moment.
pub(crate) fn config() -> LearnerConfig {
    LearnerConfig {
        hidden_size: 32,
        layers: 2,
        heads: 2,
        intermediate_size: 48,
        merges: 60,
        phrases: 20,
        context_max: 128,
        batch: 8,
        base: Schedule { steps: 30, passes: 0.0, learning_rate: 5e-3, warmup: 2 },
        round: Schedule { steps: 10, passes: 0.0, learning_rate: 2e-3, warmup: 2 },
        keep: 1.0,
        ..LearnerConfig::default()
    }
}

pub(crate) fn examples() -> Vec<Example> {
    let steps = [("add", "+"), ("subtract", "-"), ("multiply by", "*")];
    let pairs = (1..9).flat_map(|n| steps.iter().map(move |(word, sign)| (n, word, sign)));
    let example = |(n, word, sign)| Example {
        prompt: format!("Given a number, {word} {n}."),
        answer: format!("def solve(x):\n    x = x {sign} {n}\n    return x\n"),
        weight: 1.0,
    };
    pairs.map(example).collect()
}

pub(crate) fn go_on(_: TrainProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn start(dir: &Path, seed: u64) -> Result<TrainReport, LearnerError> {
    cold_start(&config(), Seed(seed), &examples(), dir, &mut go_on)
}
