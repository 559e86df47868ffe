//! Attention of one new token per row over cached keys and values.

use std::rc::Rc;

use crate::forward::{Forward, Net, columns, turn};
use crate::matmul::{Shape, Strided, add_product};
use crate::model::Architecture;
use crate::ops::{self, wide};

/// Keys and values of some positions, in every layer.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Positions filled.
    pub(super) len: usize,
    /// Positions that may be filled.
    pub(super) room: usize,
    /// `room`, rounded up to sixteen.
    width: usize,
    /// By layer and head: transposed keys, rows of `width`.
    keys: Vec<f32>,
    /// By layer: one row a position.
    values: Vec<f32>,
}

/// Where a row looks: at its prompt, then at what it wrote itself.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) prompt: Rc<Cache>,
    pub(super) own: Cache,
}

impl Cache {
    /// Keys and values of one prompt, as the forward pass left them.
    pub(super) fn of_prompt(
        arch: &Architecture,
        forward: &Forward,
        (start, len): (usize, usize),
    ) -> Self {
        let (d, size, width) = (arch.hidden, arch.head_size(), len.next_multiple_of(16));
        let mut own = Self { len, room: len, width, keys: vec![], values: vec![] };
        let mut head_keys = Vec::new();
        for kept in &forward.layers {
            let qkv = &kept.qkv[start * 3 * d..(start + len) * 3 * d];
            for head in 0..arch.heads {
                columns(&qkv[d + head * size..], (3 * d, size), len, width, &mut head_keys);
                own.keys.extend_from_slice(&head_keys);
            }
            for row in qkv.chunks_exact(3 * d) {
                own.values.extend_from_slice(&row[2 * d..]);
            }
            own.values.resize(own.values.len() + (width - len) * d, 0.0);
        }
        own
    }

    /// Makes it empty, with room for so many positions.
    pub(super) fn reset(&mut self, arch: &Architecture, room: usize) {
        (self.len, self.room, self.width) = (0, room, room.next_multiple_of(16));
        let numbers = arch.layers * arch.hidden * self.width;
        self.keys.resize(numbers, 0.0);
        self.values.resize(numbers, 0.0);
    }

    fn push(&mut self, layer: usize, d: usize, qkv: &[f32]) {
        let at = layer * d * self.width;
        for (i, key) in qkv[d..2 * d].iter().enumerate() {
            self.keys[at + i * self.width + self.len] = *key;
        }
        self.values[at + self.len * d..][..d].copy_from_slice(&qkv[2 * d..]);
    }

    fn head_keys(&self, layer: usize, d: usize, from: usize) -> &[f32] {
        &self.keys[(layer * d + from) * self.width..]
    }

    fn head_values(&self, layer: usize, d: usize, from: usize) -> &[f32] {
        &self.values[layer * d * self.width + from..]
    }
}

/// Fills `attended` from rows of queries, keys and values not yet turned; the
/// new keys and values go into each row's own cache.
pub(super) fn attend(
    net: Net<'_>,
    layer: usize,
    seats: &mut [&mut Seat],
    qkv: &mut [f32],
    attended: &mut [f32],
    scores: &mut Vec<f32>,
) {
    let arch = &net.layout.arch;
    let d = arch.hidden;
    let positions: Vec<u32> =
        seats.iter().map(|seat| (seat.prompt.len + seat.own.len) as u32).collect();
    turn(net.rotary, qkv, d, &positions, false);
    for (seat, row) in seats.iter_mut().zip(qkv.chunks_exact(3 * d)) {
        seat.own.push(layer, d, row);
    }
    attended.fill(0.0);
    let mut first = 0;
    for together in seats.chunk_by(|a, b| Rc::ptr_eq(&a.prompt, &b.prompt)) {
        let m = together.len();
        let qkv = &qkv[first * 3 * d..(first + m) * 3 * d];
        let attended = &mut attended[first * d..(first + m) * d];
        for head in 0..arch.heads {
            attend_head(arch, layer, head, together, qkv, attended, scores);
        }
        first += m;
    }
}

/// One head of rows that share a prompt.
fn attend_head(
    arch: &Architecture,
    layer: usize,
    head: usize,
    seats: &[&mut Seat],
    qkv: &[f32],
    attended: &mut [f32],
    scores: &mut Vec<f32>,
) {
    let (d, size, m) = (arch.hidden, arch.head_size(), seats.len());
    let (from, prompt) = (head * size, &seats[0].prompt);
    let own_width = |seat: &Seat| (seat.own.len + 1).next_multiple_of(16);
    let width = prompt.width + seats.iter().map(|seat| own_width(seat)).max().unwrap_or(0);
    let scale = 1.0 / (size as f32).sqrt();
    scores.clear();
    scores.resize(m * width, 0.0);
    let queries = Strided::rows(&qkv[from..], 3 * d);
    let keys = (prompt.head_keys(layer, d, from), prompt.width);
    add_product(Shape { m, n: prompt.width, k: size }, queries, keys, (scores, width));
    for (i, (seat, row)) in seats.iter().zip(scores.chunks_exact_mut(width)).enumerate() {
        let own = &seat.own;
        let query = Strided::rows(&qkv[i * 3 * d + from..], size);
        let keys = (own.head_keys(layer, d, from), own.width);
        let (row_prompt, row_own) = row.split_at_mut(prompt.width);
        let row_own = &mut row_own[..own_width(seat)];
        let shape = Shape { m: 1, n: row_own.len(), k: size };
        add_product(shape, query, keys, (row_own, width));
        softmax(row_prompt, prompt.len, row_own, own.len + 1, scale);
    }
    let weights = Strided::rows(scores, width);
    let values = (prompt.head_values(layer, d, from), d);
    add_product(Shape { m, n: size, k: prompt.len }, weights, values, (&mut attended[from..], d));
    for (i, seat) in seats.iter().enumerate() {
        let weights = Strided::rows(&scores[i * width + prompt.width..], width);
        let values = (seat.own.head_values(layer, d, from), d);
        let to = (&mut attended[i * d + from..], d);
        add_product(Shape { m: 1, n: size, k: seat.own.len + 1 }, weights, values, to);
    }
}

/// Softmax over what is seen of two parts together.
fn softmax(left: &mut [f32], left_seen: usize, right: &mut [f32], right_seen: usize, scale: f32) {
    wide(|| {
        left[left_seen..].fill(f32::NEG_INFINITY);
        right[right_seen..].fill(f32::NEG_INFINITY);
        let highest = ops::max(left).max(ops::max(right));
        for value in left.iter_mut().chain(right.iter_mut()) {
            *value = ops::exp((*value - highest) * scale);
        }
        left[left_seen..].fill(0.0);
        right[right_seen..].fill(0.0);
        let share = 1.0 / (ops::sum(left) + ops::sum(right));
        left.iter_mut().for_each(|value| *value *= share);
        right.iter_mut().for_each(|value| *value *= share);
    });
}
