//! Loss and gradient of a packed batch.

use std::ops::Range;

use crate::forward::{Forward, LayerKept, Net, Packed, QUERY_BLOCK};
use crate::forward::{causal_scores, causal_sum, columns, turn};
use crate::matmul::{Shape, Strided, add_product, product};
use crate::model::{Architecture, LayerAt};
use crate::ops::{self, wide};

/// A token to be predicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// The row whose output predicts it.
    pub(crate) row: usize,
    pub(crate) token: u32,
    /// Its share of the loss.
    pub(crate) weight: f32,
}

/// Buffers of one shard: activations, gradient and what lies between.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) batch: Packed,
    pub(crate) targets: Vec<Target>,
    pub(crate) forward: Forward,
    /// The gradient of the loss, in the parameters' layout.
    pub(crate) gradient: Vec<f32>,
    picked: Vec<f32>,
    normed: Vec<f32>,
    scales: Vec<f32>,
    logits: Vec<f32>,
    /// Gradient of the residual stream.
    dx: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    dqkv: Vec<f32>,
    dweights: Vec<f32>,
    keys: Vec<f32>,
}

/// Adds `a^T · dy` to the gradient of the matrix that made `dy` from `a`.
fn add_weights(a: &[f32], dy: &[f32], rows: usize, gradient: &mut [f32]) {
    let (inputs, outputs) = (a.len() / rows, dy.len() / rows);
    let shape = Shape { m: inputs, n: outputs, k: rows };
    add_product(shape, Strided::transposed(a, inputs), (dy, outputs), (gradient, outputs));
}

/// `dy · w^T`, where `turned` holds `w^T`.
fn through(dy: &[f32], turned: &[f32], rows: usize, to: &mut Vec<f32>) {
    let outputs = dy.len() / rows;
    let inputs = turned.len() / outputs;
    to.resize(rows * inputs, 0.0);
    let shape = Shape { m: rows, n: inputs, k: outputs };
    product(shape, Strided::rows(dy, outputs), turned, to);
}

impl Shard {
    /// Forward and backward; returns the weighted loss. `turned` holds the
    /// transposed matrices.
    pub(crate) fn run(&mut self, net: Net<'_>, turned: &[f32]) -> f32 {
        self.gradient.clear();
        self.gradient.resize(net.layout.len, 0.0);
        if self.targets.is_empty() {
            return 0.0;
        }
        self.forward.run(net, &self.batch);
        let loss = self.head(net, turned);
        for (n, at) in net.layout.layers.iter().enumerate().rev() {
            let kept = std::mem::take(&mut self.forward.layers[n]);
            let kept = self.feed_forward_back(net, turned, at, kept);
            let kept = self.attend_back(net, turned, at, kept);
            self.forward.layers[n] = kept;
        }
        self.embed_back(net);
        loss
    }

    fn head(&mut self, net: Net<'_>, turned: &[f32]) -> f32 {
        let Architecture { hidden: d, vocab, .. } = net.layout.arch;
        let count = self.targets.len();
        self.picked.clear();
        for target in &self.targets {
            self.picked.extend_from_slice(&self.forward.x[target.row * d..][..d]);
        }
        self.normed.resize(count * d, 0.0);
        self.scales.resize(count, 0.0);
        self.logits.resize(count * vocab, 0.0);
        let gain = &net.params[net.layout.norm.clone()];
        let head = net.layout.head.clone();
        ops::rms_norm(&self.picked, gain, &mut self.normed, &mut self.scales);
        let shape = Shape { m: count, n: vocab, k: d };
        product(shape, Strided::rows(&self.normed, d), &net.params[head.clone()], &mut self.logits);
        let loss = cross_entropy(&mut self.logits, vocab, &self.targets);
        add_weights(&self.normed, &self.logits, count, &mut self.gradient[head.clone()]);
        through(&self.logits, &turned[head], count, &mut self.narrow);
        let mut dpicked = vec![0.0; count * d];
        let dgain = &mut self.gradient[net.layout.norm.clone()];
        ops::rms_norm_back((&self.picked, &self.scales, gain), &self.narrow, &mut dpicked, dgain);
        self.dx.clear();
        self.dx.resize(self.forward.x.len(), 0.0);
        for (target, from) in self.targets.iter().zip(dpicked.chunks_exact(d)) {
            ops::add(&mut self.dx[target.row * d..][..d], from);
        }
        loss
    }

    fn feed_forward_back(
        &mut self,
        net: Net<'_>,
        turned: &[f32],
        at: &LayerAt,
        mut kept: LayerKept,
    ) -> LayerKept {
        let Architecture { hidden: d, intermediate: width, .. } = net.layout.arch;
        let rows = self.dx.len() / d;
        add_weights(&kept.h, &self.dx, rows, &mut self.gradient[at.down.clone()]);
        through(&self.dx, &turned[at.down.clone()], rows, &mut self.wide);
        ops::swiglu_back(&mut kept.gate_up, width, &self.wide);
        add_weights(&kept.mlp_in, &kept.gate_up, rows, &mut self.gradient[at.gate_up.clone()]);
        through(&kept.gate_up, &turned[at.gate_up.clone()], rows, &mut self.narrow);
        self.norm_back(net, (&kept.middle, &kept.mlp_scale), at.mlp_norm.clone());
        kept
    }

    fn attend_back(
        &mut self,
        net: Net<'_>,
        turned: &[f32],
        at: &LayerAt,
        mut kept: LayerKept,
    ) -> LayerKept {
        let arch = net.layout.arch;
        let d = arch.hidden;
        let rows = self.dx.len() / d;
        add_weights(&kept.attended, &self.dx, rows, &mut self.gradient[at.out.clone()]);
        through(&self.dx, &turned[at.out.clone()], rows, &mut self.narrow);
        self.mix_back(arch, &mut kept);
        turn(net.rotary, &mut self.dqkv, d, &self.batch.positions, true);
        add_weights(&kept.attention_in, &self.dqkv, rows, &mut self.gradient[at.qkv.clone()]);
        through(&self.dqkv, &turned[at.qkv.clone()], rows, &mut self.narrow);
        self.norm_back(net, (&kept.x, &kept.attention_scale), at.attention_norm.clone());
        kept
    }

    /// From `narrow`, the gradient of a norm's output, to `dx`.
    fn norm_back(&mut self, net: Net<'_>, (x, scales): (&[f32], &[f32]), at: Range<usize>) {
        let gain = &net.params[at.clone()];
        let dgain = &mut self.gradient[at];
        ops::rms_norm_back((x, scales, gain), &self.narrow, &mut self.dx, dgain);
    }

    /// From `narrow`, the gradient of what was attended, to `dqkv`.
    fn mix_back(&mut self, arch: Architecture, kept: &mut LayerKept) {
        let (d, size) = (arch.hidden, arch.head_size());
        let scale = 1.0 / (size as f32).sqrt();
        self.dqkv.clear();
        self.dqkv.resize(kept.qkv.len(), 0.0);
        let mut weights = kept.weights.as_slice();
        for &(start, len) in &self.batch.spans {
            let padded = len.next_multiple_of(16);
            for head in 0..arch.heads {
                let (own, rest) = weights.split_at(len * padded);
                weights = rest;
                let at = head * size;
                let qkv = &kept.qkv[start * 3 * d..(start + len) * 3 * d];
                let dqkv = &mut self.dqkv[start * 3 * d..(start + len) * 3 * d];
                let dy = &self.narrow[start * d + at..];
                columns(&qkv[2 * d + at..], (3 * d, size), len, padded, &mut self.keys);
                self.dweights.clear();
                self.dweights.resize(len * padded, 0.0);
                let dweights = &mut self.dweights;
                causal_scores(Strided::rows(dy, d), &self.keys, (len, size), dweights);
                causal_sum_turned(own, (dy, d), (len, size), (&mut dqkv[2 * d + at..], 3 * d));
                softmax_back(own, dweights, padded, scale);
                let to = (&mut dqkv[at..], 3 * d);
                causal_sum(dweights, (&qkv[d + at..], 3 * d), (len, size), to);
                let to = (&mut dqkv[d + at..], 3 * d);
                causal_sum_turned(dweights, (&qkv[at..], 3 * d), (len, size), to);
            }
        }
    }

    fn embed_back(&mut self, net: Net<'_>) {
        let d = net.layout.arch.hidden;
        let gradient = &mut self.gradient[net.layout.embed.clone()];
        for (token, dx) in self.batch.tokens.iter().zip(self.dx.chunks_exact(d)) {
            let to = &mut gradient[*token as usize * d..][..d];
            to.iter_mut().zip(dx).for_each(|(to, dx)| *to += dx);
        }
    }
}

/// Adds `weights^T · rows`: for each key, over the queries that are not before it.
fn causal_sum_turned(
    weights: &[f32],
    (rows, rows_width): (&[f32], usize),
    (len, size): (usize, usize),
    (to, to_width): (&mut [f32], usize),
) {
    let padded = len.next_multiple_of(16);
    for first in (0..len).step_by(QUERY_BLOCK) {
        let m = QUERY_BLOCK.min(len - first);
        let shape = Shape { m, n: size, k: len - first };
        let block = Strided::transposed(&weights[first * padded + first..], padded);
        let rows = (&rows[first * rows_width..], rows_width);
        add_product(shape, block, rows, (&mut to[first * to_width..], to_width));
    }
}

/// Turns the gradient of attention weights into that of the raw scores.
fn softmax_back(weights: &[f32], dweights: &mut [f32], padded: usize, scale: f32) {
    wide(|| {
        let rows = weights.chunks_exact(padded).zip(dweights.chunks_exact_mut(padded));
        for (row, (weights, dweights)) in rows.enumerate() {
            let end = (row + 1).next_multiple_of(16);
            let (weights, seen) = (&weights[..end], &mut dweights[..end]);
            let mean = ops::dot(weights, seen);
            for (dweight, weight) in seen.iter_mut().zip(weights) {
                *dweight = weight * (*dweight - mean) * scale;
            }
            dweights[end..].fill(0.0);
        }
    });
}

/// The weighted loss; turns logits into their gradient.
fn cross_entropy(logits: &mut [f32], vocab: usize, targets: &[Target]) -> f32 {
    let mut loss = 0.0;
    wide(|| {
        for (row, target) in logits.chunks_exact_mut(vocab).zip(targets) {
            ops::softmax(row, vocab, 1.0);
            let own = &mut row[target.token as usize];
            loss -= own.max(1e-30).ln() * target.weight;
            *own -= 1.0;
            row.iter_mut().for_each(|value| *value *= target.weight);
        }
    });
    loss
}
