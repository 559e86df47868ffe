//! Training: batches, shards, steps.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use gyre_types::Seed;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::adam::{Adam, Step};
use crate::backward::{Shard, Target};
use crate::checkpoint::{self, State};
use crate::config::{Positions, Schedule};
use crate::forward::Net;
use crate::lookup;
use crate::model::{Architecture, Layout};
use crate::ops::{self, Rotary};
use crate::random::{below, shuffle, uniform};
use crate::tokenizer::{END, Tokenizer};
use crate::{LearnerConfig, LearnerError};

/// Parts that every batch is cut into. Their gradients are added in order, so
/// the result does not depend on how many threads worked on them.
const SHARDS: usize = 4;

/// Something to learn: what was asked and what should be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The user's message.
    pub prompt: String,
    /// The answer, encoded anew: not the tokens that happened to be sampled.
    pub answer: String,
    /// Its share of the loss beside an ordinary example's 1.
    pub weight: f32,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainProgress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Loss of the last step, in nats a token.
    pub loss: f32,
}

/// What a training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// Optimiser steps.
    pub steps: u64,
    /// Tokens read, prompts included.
    pub tokens: u64,
    /// Tokens learned from: those of answers.
    pub answer_tokens: u64,
    /// Examples used.
    pub examples: u64,
    /// Examples left out: empty, without weight, or too long.
    pub examples_skipped: u64,
    /// Loss of the first step, in nats a token.
    pub loss_first: f32,
    /// Loss of the last step.
    pub loss_last: f32,
    /// Mean loss of all steps.
    pub loss_mean: f32,
}

/// Hears of every step and may stop the training.
pub type OnStep<'a> = dyn FnMut(TrainProgress) -> ControlFlow<()> + 'a;

/// Learns a tokenizer and a model from examples, and writes the checkpoint into
/// the empty folder `out`.
///
/// # Errors
///
/// When the configuration is impossible, no example can be used, `progress`
/// breaks, or a file cannot be written.
pub fn cold_start(
    config: &LearnerConfig,
    seed: Seed,
    examples: &[Example],
    out: &Path,
    progress: &mut OnStep<'_>,
) -> Result<TrainReport, LearnerError> {
    config.check()?;
    let requests: Vec<_> = examples.iter().map(|example| example.prompt.as_str()).collect();
    let code: Vec<_> = examples.iter().map(|example| example.answer.as_str()).collect();
    let tokenizer = Tokenizer::learn(&requests, &code, (config.merges, config.phrases));
    let layout = Layout::new(Architecture::new(config, tokenizer.len()));
    let params = initial(config, &layout, seed);
    let adam = Adam::new(layout.len);
    let state = State { layout, params, adam, tokenizer };
    fit(config, &config.base, state, seed, examples, out, progress)
}

/// Trains on from the checkpoint in `parent`, with its optimiser's state, and
/// writes the new checkpoint into the empty folder `out`.
///
/// Where the configuration keeps less than all of its weights, they are shrunk
/// and new ones added, and the optimiser begins anew.
///
/// # Errors
///
/// As [`cold_start`], and when `parent` is missing, damaged or of another shape.
pub fn train_round(
    config: &LearnerConfig,
    parent: &Path,
    seed: Seed,
    examples: &[Example],
    out: &Path,
    progress: &mut OnStep<'_>,
) -> Result<TrainReport, LearnerError> {
    config.check()?;
    let mut state = checkpoint::load_state(parent)?;
    checkpoint::check_shape(config, state.layout.arch, parent)?;
    if config.keep < 1.0 {
        let new = initial(config, &state.layout, seed);
        shrink_and_perturb(&mut state, config.keep, new);
    }
    fit(config, &config.round, state, seed, examples, out, progress)
}

/// Between the parent's weights and new ones (Ash and Adams, *On Warm-Starting
/// Neural Network Training*, 2020).
fn shrink_and_perturb(state: &mut State, keep: f32, new: Vec<f32>) {
    for (old, new) in state.params.iter_mut().zip(new) {
        *old = keep * *old + (1.0 - keep) * new;
    }
    state.adam = Adam::new(state.layout.len);
}

/// Fresh weights, with what the configuration has them begin with.
fn initial(config: &LearnerConfig, layout: &Layout, seed: Seed) -> Vec<f32> {
    let mut params = layout.initial(seed.derive("initial", &[]));
    if config.lookup > 0.0 {
        lookup::begin(layout, &mut params, config.lookup);
    }
    params
}

fn fit(
    config: &LearnerConfig,
    schedule: &Schedule,
    state: State,
    seed: Seed,
    examples: &[Example],
    out: &Path,
    progress: &mut OnStep<'_>,
) -> Result<TrainReport, LearnerError> {
    let usable = encode(&state.tokenizer, examples, config.context_max);
    let steps = schedule.steps_in_all(usable.len(), config.batch);
    if usable.is_empty() && steps > 0 {
        let given = examples.len();
        return Err(LearnerError::NoExamples { given, context_max: config.context_max });
    }
    let mut report = TrainReport {
        steps: 0,
        tokens: 0,
        answer_tokens: 0,
        examples: usable.len() as u64,
        examples_skipped: (examples.len() - usable.len()) as u64,
        loss_first: 0.0,
        loss_last: 0.0,
        loss_mean: 0.0,
    };
    let mut trainer = Trainer::new(config, state);
    let mut order = Order::new(usable.len(), seed.derive("order", &[]));
    for step in 0..steps {
        let batch: Vec<_> = (0..config.batch).map(|_| &usable[order.next()]).collect();
        let mut rng = seed.derive("positions", &[step]).rng();
        let rate = rate(schedule, step, steps);
        let loss = trainer.step(config, &batch, &mut rng, rate);
        if !loss.is_finite() {
            return Err(LearnerError::Diverged { step });
        }
        report.steps += 1;
        report.tokens += batch.iter().map(|e| e.tokens.len() as u64 - 1).sum::<u64>();
        report.answer_tokens +=
            batch.iter().map(|e| (e.tokens.len() - e.prompt) as u64).sum::<u64>();
        report.loss_last = loss;
        report.loss_mean += (loss - report.loss_mean) / report.steps as f32;
        if step == 0 {
            report.loss_first = loss;
        }
        let now = TrainProgress { step: step + 1, steps, loss };
        if progress(now).is_break() {
            return Err(LearnerError::Stopped);
        }
    }
    checkpoint::save(config, &trainer.state, out)?;
    Ok(report)
}

/// The learning rate of a step: a short rise, then a line down to a tenth.
fn rate(schedule: &Schedule, step: u64, steps: u64) -> f32 {
    let rise = (step + 1) as f32 / (schedule.warmup + 1) as f32;
    let left = 1.0 - step as f32 / steps as f32;
    schedule.learning_rate * rise.min(1.0) * (0.1 + 0.9 * left)
}

/// An example as tokens, of which the first `prompt` are given.
struct Encoded {
    tokens: Vec<u32>,
    prompt: usize,
    weight: f32,
}

fn encode(tokenizer: &Tokenizer, examples: &[Example], context_max: usize) -> Vec<Encoded> {
    let encode = |example: &Example| {
        let mut tokens = tokenizer.encode_prompt(&example.prompt);
        let prompt = tokens.len();
        tokens.extend(tokenizer.encode(&example.answer));
        tokens.push(END);
        let weighs = example.weight.is_finite() && example.weight > 0.0;
        let usable = weighs && !example.answer.is_empty() && tokens.len() <= context_max;
        usable.then_some(Encoded { tokens, prompt, weight: example.weight })
    };
    examples.iter().filter_map(encode).collect()
}

/// Every example once, in random order, and again.
struct Order {
    rng: ChaCha8Rng,
    list: Vec<usize>,
    at: usize,
}

impl Order {
    fn new(count: usize, seed: Seed) -> Self {
        Self { rng: seed.rng(), list: (0..count).collect(), at: count }
    }

    fn next(&mut self) -> usize {
        if self.at == self.list.len() {
            shuffle(&mut self.rng, &mut self.list);
            self.at = 0;
        }
        self.at += 1;
        self.list[self.at - 1]
    }
}

/// A model in training.
pub(crate) struct Trainer {
    state: State,
    rotary: Rotary,
    turned: Vec<f32>,
    gradient: Vec<f32>,
    shards: Vec<Shard>,
    threads: usize,
}

impl Trainer {
    fn new(config: &LearnerConfig, state: State) -> Self {
        let rotary = Rotary::new(config.head_size(), config.positions_max());
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { state, rotary, turned: vec![], gradient: vec![], shards, threads }
    }

    fn step(
        &mut self,
        config: &LearnerConfig,
        batch: &[&Encoded],
        rng: &mut ChaCha8Rng,
        rate: f32,
    ) -> f32 {
        self.deal(batch, &config.positions, rng);
        let State { layout, params, adam, .. } = &mut self.state;
        layout.transpose(params, &mut self.turned);
        let net = Net { layout, params, rotary: &self.rotary };
        let losses = run_shards(&mut self.shards, net, &self.turned, self.threads);
        self.gradient.clear();
        self.gradient.extend_from_slice(&self.shards[0].gradient);
        self.shards[1..].iter().for_each(|shard| ops::add(&mut self.gradient, &shard.gradient));
        let step = Step {
            rate,
            betas: config.betas,
            weight_decay: config.weight_decay,
            clip: config.clip,
            muon: config.muon,
            threads: self.threads,
        };
        adam.step(&step, layout, params, &self.gradient);
        losses.into_iter().sum()
    }

    /// Deals a batch out to the shards, longest first and back and forth, so
    /// that they take about as long.
    fn deal(&mut self, batch: &[&Encoded], positions: &Positions, rng: &mut ChaCha8Rng) {
        for shard in &mut self.shards {
            shard.batch.clear();
            shard.targets.clear();
        }
        let answer = |e: &&Encoded| e.weight * (e.tokens.len() - e.prompt) as f32;
        let share = 1.0 / batch.iter().map(answer).sum::<f32>();
        let mut order: Vec<_> = batch.iter().collect();
        order.sort_by_key(|example| std::cmp::Reverse(example.tokens.len()));
        for (n, example) in order.into_iter().enumerate() {
            let at = n % (2 * SHARDS);
            let shard = &mut self.shards[at.min(2 * SHARDS - 1 - at)];
            add_example(shard, example, share, positions, rng);
        }
    }
}

fn add_example(
    shard: &mut Shard,
    example: &Encoded,
    share: f32,
    positions: &Positions,
    rng: &mut ChaCha8Rng,
) {
    let start = shard.batch.tokens.len();
    let len = example.tokens.len() - 1;
    shard.batch.tokens.extend_from_slice(&example.tokens[..len]);
    shard.batch.positions.extend(shaken(positions, example.prompt, len, rng));
    shard.batch.spans.push((start, len));
    shard.targets.extend((example.prompt..=len).map(|at| Target {
        row: start + at - 1,
        token: example.tokens[at],
        weight: example.weight * share,
    }));
}

/// Positions that only rise: one by one, or with random skips and a gap before
/// the answer.
fn shaken(config: &Positions, prompt: usize, len: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let (mut chance, mut gap) = (0.0, 0);
    if uniform(rng) < config.shaken {
        chance = uniform(rng) * config.skip_chance_max;
        gap = below(rng, config.gap_max as usize + 1) as u32;
    }
    let mut position = 0;
    let mut place = |at: usize| {
        if at > 0 {
            position += 1;
        }
        if at == prompt {
            position += gap;
        }
        if config.skip_max > 0 && chance > 0.0 && uniform(rng) < chance {
            position += 1 + below(rng, config.skip_max as usize) as u32;
        }
        position
    };
    (0..len).map(&mut place).collect()
}

/// Runs every shard, on as many threads as there are; losses in their order.
fn run_shards(shards: &mut [Shard], net: Net<'_>, turned: &[f32], threads: usize) -> Vec<f32> {
    let each = shards.len().div_ceil(threads.max(1));
    let run = |part: &mut [Shard]| -> Vec<f32> {
        part.iter_mut().map(|shard| shard.run(net, turned)).collect()
    };
    std::thread::scope(|scope| {
        let (own, others) = shards.split_at_mut(each.min(shards.len()));
        let others: Vec<_> =
            others.chunks_mut(each).map(|part| scope.spawn(move || run(part))).collect();
        let mut losses = run(own);
        for other in others {
            match other.join() {
                Ok(more) => losses.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        losses
    })
}
