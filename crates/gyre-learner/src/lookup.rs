//! A start that looks things up in its context.
//!
//! A small transformer from random weights stays long on a plateau before it
//! learns to find what stood beside a token like this one. Here two heads begin
//! with that: one of the first layer attends to the token before and copies it,
//! one of the second finds those copies by what it reads and copies their token.
//! They are ordinary weights, trained freely from the first step on.

use gyre_types::Seed;
use rand_chacha::ChaCha8Rng;

use crate::model::{INITIAL_EMBEDDING, LayerAt, Layout};
use crate::ops::ROTARY_BASE;
use crate::random::normal;

/// Fixed for all runs and rounds: weights that are mixed with fresh ones keep
/// one meaning of these directions.
const DIRECTIONS: Seed = Seed(0);
/// How sharply the first head attends to the token before.
const BEFORE: f32 = 20.0;
/// How sharply the second matches.
const MATCH: f32 = 20.0;
/// The share of a head's output that reaches the residual stream.
const WRITTEN: f32 = 0.3;
/// The share of the random start that such a head keeps.
const RANDOM: f32 = 0.1;
/// Frequencies, of the fastest, that tell one position from the next.
const FREQUENCIES: usize = 4;
/// Angles a position above this turn a match away from what is far.
const SLOW: f32 = 0.1;

/// Writes the two heads into fresh weights; a model of one layer has the first.
pub(crate) fn begin(layout: &Layout, params: &mut [f32], strength: f32) {
    let (d, head) = (layout.arch.hidden, layout.arch.head_size());
    let mut rng = DIRECTIONS.rng();
    // At right angles to what all rows have in common: that would match everything.
    let rank = head.min((d - 1) / 3);
    let mut all = directions(&mut rng, d, 1 + 3 * rank);
    let shared = all.remove(0);
    let (read, rest) = all.split_at(rank);
    let (copied, found) = rest.split_at(rank);
    // Every row of the embedding gets one part in common, as long as the rest.
    let length = INITIAL_EMBEDDING * (d as f32).sqrt();
    for row in params[layout.embed.clone()].chunks_exact_mut(d) {
        row.iter_mut().zip(&shared).for_each(|(x, u)| *x += length * u);
    }
    let along_shared = (d as f32 / 2.0).sqrt();
    let angles: Vec<f32> =
        (0..head / 2).map(|i| ROTARY_BASE.powf(-2.0 * i as f64 / head as f64) as f32).collect();

    let first = Head { at: &layout.layers[0], d, head };
    let size = (strength * BEFORE * (head as f32).sqrt()).sqrt() / along_shared;
    let even = 1.0 / (FREQUENCIES.min(head / 2) as f32).sqrt();
    let on = |i: usize| if i < FREQUENCIES { even } else { 0.0 };
    let query = |at: usize| if at < head / 2 { on(at) } else { 0.0 };
    let key = |at: usize| {
        let i = at % (head / 2);
        on(i) * if at < head / 2 { angles[i].cos() } else { angles[i].sin() }
    };
    first.soften(params);
    for (part, line) in [(Part::Query, &query as &dyn Fn(usize) -> f32), (Part::Key, &key)] {
        for to in 0..head {
            first.add(params, part, to, &shared, size * line(to));
        }
    }
    first.copy(params, read, copied, strength);

    let Some(second) = layout.layers.get(1) else { return };
    let second = Head { at: second, d, head };
    let size = (strength * MATCH / (head as f32).sqrt()).sqrt();
    second.soften(params);
    for to in 0..rank {
        let near = if angles[to % (head / 2)] < SLOW { 1.0 } else { 0.1 };
        second.add(params, Part::Query, to, &read[to], size * near);
        second.add(params, Part::Key, to, &copied[to], size);
    }
    second.copy(params, found, found, strength);
}

#[derive(Clone, Copy)]
enum Part {
    Query,
    Key,
    Value,
}

/// The first attention head of a layer.
struct Head<'a> {
    at: &'a LayerAt,
    d: usize,
    head: usize,
}

impl Head<'_> {
    /// Leaves a tenth of its random queries, keys, values and outputs.
    fn soften(&self, params: &mut [f32]) {
        for row in params[self.at.qkv.clone()].chunks_exact_mut(3 * self.d) {
            for part in 0..3 {
                let from = part * self.d;
                row[from..from + self.head].iter_mut().for_each(|x| *x *= RANDOM);
            }
        }
        let out = &mut params[self.at.out.clone()];
        out[..self.head * self.d].iter_mut().for_each(|x| *x *= RANDOM);
    }

    /// Has element `to` of a part read `direction` of the stream.
    fn add(&self, params: &mut [f32], part: Part, to: usize, direction: &[f32], size: f32) {
        let column = part as usize * self.d + to;
        let qkv = &mut params[self.at.qkv.clone()];
        for (from, x) in direction.iter().enumerate() {
            qkv[from * 3 * self.d + column] += size * x;
        }
    }

    /// Has its values read some directions, and its output write others.
    fn copy(&self, params: &mut [f32], from: &[Vec<f32>], to: &[Vec<f32>], strength: f32) {
        for (n, direction) in from.iter().enumerate() {
            self.add(params, Part::Value, n, direction, 1.0);
        }
        let length = strength.min(1.0) * WRITTEN * INITIAL_EMBEDDING * (self.d as f32).sqrt();
        let out = &mut params[self.at.out.clone()];
        for (n, direction) in to.iter().enumerate() {
            let row = &mut out[n * self.d..(n + 1) * self.d];
            row.iter_mut().zip(direction).for_each(|(x, to)| *x += length * to);
        }
    }
}

/// Orthonormal directions of the stream.
fn directions(rng: &mut ChaCha8Rng, d: usize, count: usize) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = vec![];
    while all.len() < count {
        let mut new: Vec<f32> = (0..d).map(|_| normal(rng)).collect();
        for old in &all {
            let along: f32 = new.iter().zip(old).map(|(a, b)| a * b).sum();
            new.iter_mut().zip(old).for_each(|(x, old)| *x -= along * old);
        }
        let length = new.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 1e-3 {
            new.iter_mut().for_each(|x| *x /= length);
            all.push(new);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LearnerConfig;
    use crate::forward::{Forward, Net, Packed};
    use crate::model::Architecture;
    use crate::ops::Rotary;

    /// The first head's attention of the last token, in the first two layers.
    fn looks(strength: f32, tokens: &[u32]) -> [Vec<f32>; 2] {
        let config = LearnerConfig::default();
        let layout = Layout::new(Architecture::new(&config, 64));
        let mut params = layout.initial(Seed(7));
        if strength > 0.0 {
            begin(&layout, &mut params, strength);
        }
        let rotary = Rotary::new(config.head_size(), config.positions_max());
        let len = tokens.len();
        let batch = Packed {
            tokens: tokens.to_vec(),
            positions: (0..len as u32).collect(),
            spans: vec![(0, len)],
        };
        let mut forward = Forward::default();
        forward.run(Net { layout: &layout, params: &params, rotary: &rotary }, &batch);
        let last = (len - 1) * len.next_multiple_of(16);
        [0, 1].map(|layer| forward.layers[layer].weights[last..][..len].to_vec())
    }

    #[test]
    fn fresh_weights_look_beside_a_token_that_they_saw_before() {
        // The share of attention beside it, where all 21 alike would get 1.
        let share = |strength: f32| {
            let mut sum = 0.0;
            for asked in 0..19 {
                let mut tokens: Vec<u32> = (0..20).map(|n| (n * 7 + 3) % 64).collect();
                tokens.push(tokens[asked]);
                let [before, beside] = looks(strength, &tokens);
                if strength > 0.0 {
                    assert!(before[19] > 0.7, "the token before: {}", before[19]);
                }
                sum += 21.0 * beside[asked + 1] / 19.0;
            }
            sum
        };
        let (with, without) = (share(1.0), share(0.0));
        assert!(with > 4.0 && (0.7..1.2).contains(&without), "{with} with it, {without} without");
    }
}
