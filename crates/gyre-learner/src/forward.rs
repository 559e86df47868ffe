//! The forward pass over sequences packed end to end, without padding.

use crate::matmul::{Shape, Strided, add_product, product};
use crate::model::{Architecture, LayerAt, Layout};
use crate::ops::{self, Rotary, wide};

/// Rows of queries that attend together; keys beyond their last are skipped.
pub(crate) const QUERY_BLOCK: usize = 32;

/// Sequences packed end to end.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) tokens: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    /// Start and length of each sequence.
    pub(crate) spans: Vec<(usize, usize)>,
}

impl Packed {
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.positions.clear();
        self.spans.clear();
    }
}

/// What one layer computed, kept for the backward pass.
#[derive(Debug, Default)]
pub(crate) struct LayerKept {
    /// The residual stream that came in.
    pub(crate) x: Vec<f32>,
    pub(crate) attention_scale: Vec<f32>,
    pub(crate) attention_in: Vec<f32>,
    /// Queries and keys turned to their positions, and values.
    pub(crate) qkv: Vec<f32>,
    /// Attention weights, by sequence and head.
    pub(crate) weights: Vec<f32>,
    pub(crate) attended: Vec<f32>,
    /// The residual stream after attention.
    pub(crate) middle: Vec<f32>,
    pub(crate) mlp_scale: Vec<f32>,
    pub(crate) mlp_in: Vec<f32>,
    pub(crate) gate_up: Vec<f32>,
    pub(crate) h: Vec<f32>,
}

/// Buffers of one pass, used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    pub(crate) layers: Vec<LayerKept>,
    /// The residual stream at the end.
    pub(crate) x: Vec<f32>,
    /// Transposed keys of one head.
    keys: Vec<f32>,
}

/// A model to run: layout, parameters and angles.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) params: &'a [f32],
    pub(crate) rotary: &'a Rotary,
}

impl Forward {
    /// Runs the layers over a batch; the result is in `x`.
    pub(crate) fn run(&mut self, net: Net<'_>, batch: &Packed) {
        let d = net.layout.arch.hidden;
        let embed = &net.params[net.layout.embed.clone()];
        self.x.clear();
        for token in &batch.tokens {
            self.x.extend_from_slice(&embed[*token as usize * d..][..d]);
        }
        self.layers.resize_with(net.layout.layers.len(), LayerKept::default);
        for (at, kept) in net.layout.layers.iter().zip(&mut self.layers) {
            kept.attend(net, at, batch, &mut self.x, &mut self.keys);
            kept.feed_forward(net, at, &mut self.x);
        }
    }
}

impl LayerKept {
    fn attend(
        &mut self,
        net: Net<'_>,
        at: &LayerAt,
        batch: &Packed,
        x: &mut [f32],
        keys: &mut Vec<f32>,
    ) {
        let arch = net.layout.arch;
        let (d, rows) = (arch.hidden, batch.tokens.len());
        copy(&mut self.x, x);
        self.attention_scale.resize(rows, 0.0);
        self.attention_in.resize(rows * d, 0.0);
        self.qkv.resize(rows * 3 * d, 0.0);
        self.attended.resize(rows * d, 0.0);
        let gain = &net.params[at.attention_norm.clone()];
        ops::rms_norm(x, gain, &mut self.attention_in, &mut self.attention_scale);
        let shape = Shape { m: rows, n: 3 * d, k: d };
        let input = Strided::rows(&self.attention_in, d);
        product(shape, input, &net.params[at.qkv.clone()], &mut self.qkv);
        turn(net.rotary, &mut self.qkv, d, &batch.positions, false);
        self.mix(arch, batch, keys);
        let shape = Shape { m: rows, n: d, k: d };
        let input = Strided::rows(&self.attended, d);
        add_product(shape, input, (&net.params[at.out.clone()], d), (x, d));
    }

    /// Causal attention, head by head.
    fn mix(&mut self, arch: Architecture, batch: &Packed, keys: &mut Vec<f32>) {
        let (d, size) = (arch.hidden, arch.head_size());
        let scale = 1.0 / (size as f32).sqrt();
        self.weights.clear();
        self.weights.resize(weights_len(&batch.spans, arch.heads), 0.0);
        self.attended.fill(0.0);
        let mut weights = self.weights.as_mut_slice();
        for &(start, len) in &batch.spans {
            let padded = len.next_multiple_of(16);
            for head in 0..arch.heads {
                let (own, rest) = weights.split_at_mut(len * padded);
                weights = rest;
                let qkv = &self.qkv[start * 3 * d..(start + len) * 3 * d];
                columns(&qkv[d + head * size..], (3 * d, size), len, padded, keys);
                let queries = Strided::rows(&qkv[head * size..], 3 * d);
                causal_scores(queries, keys, (len, size), own);
                wide(|| {
                    for (i, row) in own.chunks_exact_mut(padded).enumerate() {
                        let (seen, unseen) = row.split_at_mut((i + 1).next_multiple_of(16));
                        ops::softmax(seen, i + 1, scale);
                        unseen.fill(0.0);
                    }
                });
                let values = (&qkv[2 * d + head * size..], 3 * d);
                let to = &mut self.attended[start * d + head * size..];
                causal_sum(own, values, (len, size), (to, d));
            }
        }
    }

    fn feed_forward(&mut self, net: Net<'_>, at: &LayerAt, x: &mut [f32]) {
        let Architecture { hidden: d, intermediate: width, .. } = net.layout.arch;
        let rows = x.len() / d;
        copy(&mut self.middle, x);
        self.mlp_scale.resize(rows, 0.0);
        self.mlp_in.resize(rows * d, 0.0);
        self.gate_up.resize(rows * 2 * width, 0.0);
        self.h.resize(rows * width, 0.0);
        ops::rms_norm(x, &net.params[at.mlp_norm.clone()], &mut self.mlp_in, &mut self.mlp_scale);
        let shape = Shape { m: rows, n: 2 * width, k: d };
        let input = Strided::rows(&self.mlp_in, d);
        product(shape, input, &net.params[at.gate_up.clone()], &mut self.gate_up);
        ops::swiglu(&self.gate_up, width, &mut self.h);
        let shape = Shape { m: rows, n: d, k: width };
        let input = Strided::rows(&self.h, width);
        add_product(shape, input, (&net.params[at.down.clone()], d), (x, d));
    }
}

/// Numbers that the attention weights of a batch take.
fn weights_len(spans: &[(usize, usize)], heads: usize) -> usize {
    spans.iter().map(|(_, len)| len * len.next_multiple_of(16) * heads).sum()
}

fn copy(to: &mut Vec<f32>, from: &[f32]) {
    to.clear();
    to.extend_from_slice(from);
}

/// Turns the queries and keys in rows of `3 · d` to their positions, or back.
pub(crate) fn turn(rotary: &Rotary, qkv: &mut [f32], d: usize, positions: &[u32], back: bool) {
    wide(|| {
        for (row, position) in qkv.chunks_exact_mut(3 * d).zip(positions) {
            rotary.turn(&mut row[..2 * d], *position, back);
        }
    });
}

/// `len` rows of `size` numbers as `size` rows of `padded`, zero beyond `len`.
pub(crate) fn columns(
    from: &[f32],
    (width, size): (usize, usize),
    len: usize,
    padded: usize,
    to: &mut Vec<f32>,
) {
    to.clear();
    to.resize(size * padded, 0.0);
    for row in 0..len {
        for (i, value) in from[row * width..][..size].iter().enumerate() {
            to[i * padded + row] = *value;
        }
    }
}

/// `rows · columns` for each row and the columns that are not after it.
pub(crate) fn causal_scores(
    rows: Strided<'_>,
    columns: &[f32],
    (len, size): (usize, usize),
    scores: &mut [f32],
) {
    let padded = len.next_multiple_of(16);
    for first in (0..len).step_by(QUERY_BLOCK) {
        let m = QUERY_BLOCK.min(len - first);
        let n = (first + m).next_multiple_of(16);
        let block = Strided { data: &rows.data[first * rows.row..], ..rows };
        let to = (&mut scores[first * padded..], padded);
        add_product(Shape { m, n, k: size }, block, (columns, padded), to);
    }
}

/// Adds `weights · values` for each row over the values that are not after it.
pub(crate) fn causal_sum(
    weights: &[f32],
    (values, values_width): (&[f32], usize),
    (len, size): (usize, usize),
    (to, to_width): (&mut [f32], usize),
) {
    let padded = len.next_multiple_of(16);
    for first in (0..len).step_by(QUERY_BLOCK) {
        let m = QUERY_BLOCK.min(len - first);
        let shape = Shape { m, n: size, k: first + m };
        let block = Strided::rows(&weights[first * padded..], padded);
        add_product(shape, block, (values, values_width), (&mut to[first * to_width..], to_width));
    }
}
