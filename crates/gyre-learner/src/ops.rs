//! The element-wise halves of the model, in a fixed order of arithmetic.
//!
//! Reductions run over sixteen lanes that are folded at the end in one order,
//! so that the result is the same for every width of vector unit. Widths are
//! multiples of sixteen throughout.

use pulp::Arch;

const LANES: usize = 16;

/// Runs `work` compiled for the widest vectors that the machine has.
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// `e^x` to about one part in ten million; below -87 it is as good as nothing.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[inline(always)]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for chunk in values.chunks_exact(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    fold(lanes)
}

#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (left, right) in left.chunks_exact(LANES).zip(right.chunks_exact(LANES)) {
        for i in 0..LANES {
            lanes[i] += left[i] * right[i];
        }
    }
    fold(lanes)
}

#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in values.chunks_exact(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// What is added to a mean square before its root, as `rms_norm_eps`.
pub(crate) const NORM_EPSILON: f32 = 1e-5;

/// Scales each row of `x` to unit mean square and by `gain`; keeps one over the
/// root in `scales`.
pub(crate) fn rms_norm(x: &[f32], gain: &[f32], y: &mut [f32], scales: &mut [f32]) {
    let width = gain.len();
    wide(|| {
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(scales);
        for ((x, y), scale) in rows {
            *scale = 1.0 / (dot(x, x) / width as f32 + NORM_EPSILON).sqrt();
            for i in 0..width {
                y[i] = x[i] * *scale * gain[i];
            }
        }
    });
}

/// Adds to `dx` and `dgain` what the gradient `dy` of [`rms_norm`] gives.
pub(crate) fn rms_norm_back(
    (x, scales, gain): (&[f32], &[f32], &[f32]),
    dy: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
) {
    let width = gain.len();
    let mut scaled = vec![0.0; width];
    wide(|| {
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for ((rows, dx), scale) in rows.zip(dx.chunks_exact_mut(width)).zip(scales) {
            let (x, dy) = rows;
            for i in 0..width {
                scaled[i] = dy[i] * gain[i];
                dgain[i] += dy[i] * x[i] * scale;
            }
            let mean = dot(&scaled, x) * scale * scale / width as f32;
            for i in 0..width {
                dx[i] += scale * (scaled[i] - x[i] * mean);
            }
        }
    });
}

/// `silu(gate) · up` of rows that hold gates and then ups.
pub(crate) fn swiglu(gate_up: &[f32], width: usize, h: &mut [f32]) {
    wide(|| {
        for (row, h) in gate_up.chunks_exact(2 * width).zip(h.chunks_exact_mut(width)) {
            let (gate, up) = row.split_at(width);
            for i in 0..width {
                h[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
            }
        }
    });
}

/// Turns the gates and ups into their gradients, given that of [`swiglu`].
pub(crate) fn swiglu_back(gate_up: &mut [f32], width: usize, dh: &[f32]) {
    wide(|| {
        for (row, dh) in gate_up.chunks_exact_mut(2 * width).zip(dh.chunks_exact(width)) {
            let (gate, up) = row.split_at_mut(width);
            for i in 0..width {
                let share = 1.0 / (1.0 + exp(-gate[i]));
                let silu = gate[i] * share;
                gate[i] = dh[i] * up[i] * (share + silu * (1.0 - share));
                up[i] = dh[i] * silu;
            }
        }
    });
}

/// Softmax of `scale · row` over the first `seen` of a row; the rest becomes 0.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32], seen: usize, scale: f32) {
    row[seen..].fill(f32::NEG_INFINITY);
    let highest = max(row);
    for value in row.iter_mut() {
        *value = exp((*value - highest) * scale);
    }
    row[seen..].fill(0.0);
    let share = 1.0 / sum(row);
    row.iter_mut().for_each(|value| *value *= share);
}

/// Adds `from` to `to`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    wide(|| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
}

/// The transpose of a matrix of `rows` rows.
pub(crate) fn transpose(from: &[f32], rows: usize, to: &mut [f32]) {
    let columns = from.len() / rows;
    for (i, row) in from.chunks_exact(columns).enumerate() {
        for (j, value) in row.iter().enumerate() {
            to[j * rows + i] = *value;
        }
    }
}

/// Rotary angles by position, for heads of `2 · half` numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// The base of the rotary wavelengths, as `rope_theta`.
pub(crate) const ROTARY_BASE: f64 = 10_000.0;

impl Rotary {
    pub(crate) fn new(head_size: usize, positions: usize) -> Self {
        let half = head_size / 2;
        let angle = |at: usize| {
            let (position, i) = (at / half, at % half);
            position as f64 * ROTARY_BASE.powf(-2.0 * i as f64 / head_size as f64)
        };
        let all = || (0..positions * half).map(angle);
        Self {
            half,
            cos: all().map(|angle| angle.cos() as f32).collect(),
            sin: all().map(|angle| angle.sin() as f32).collect(),
        }
    }

    /// Turns every head in `heads` to `position`, or back by it.
    #[inline(always)]
    pub(crate) fn turn(&self, heads: &mut [f32], position: u32, back: bool) {
        let at = position as usize * self.half;
        let (cos, sin) = (&self.cos[at..at + self.half], &self.sin[at..at + self.half]);
        let sign = if back { -1.0 } else { 1.0 };
        for head in heads.chunks_exact_mut(2 * self.half) {
            let (low, high) = head.split_at_mut(self.half);
            for i in 0..self.half {
                let (a, b, sin) = (low[i], high[i], sign * sin[i]);
                low[i] = a * cos[i] - b * sin;
                high[i] = b * cos[i] + a * sin;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_value() {
        for at in -8700..=8800 {
            let x = at as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
