//! AdamW (Loshchilov and Hutter, 2019) over one flat slice, with Muon for the
//! layers' matrices where it is asked for.

use crate::model::Layout;
use crate::muon;
use crate::ops::wide;

/// Moments of the gradient, and steps taken. Where Muon moves a matrix, its
/// momentum is the first moment and its second stays zero.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Adam {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    pub(crate) steps: u64,
}

/// How one step is taken.
pub(crate) struct Step {
    pub(crate) rate: f32,
    pub(crate) betas: (f32, f32),
    pub(crate) weight_decay: f32,
    pub(crate) clip: f32,
    /// Muon's rate for the layers' matrices beside `rate`; 0 leaves them to AdamW.
    pub(crate) muon: f32,
    pub(crate) threads: usize,
}

/// Keeps a quotient finite where a parameter was never touched.
const EPSILON: f32 = 1e-8;

impl Adam {
    pub(crate) fn new(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len], steps: 0 }
    }

    pub(crate) fn step(
        &mut self,
        step: &Step,
        layout: &Layout,
        params: &mut [f32],
        gradient: &[f32],
    ) {
        self.steps += 1;
        let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        let scale = (f64::from(step.clip) / norm.max(f64::MIN_POSITIVE)).min(1.0) as f32;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (first, second) = step.betas;
        let first_share = 1.0 - first.powi(steps);
        let second_share = 1.0 - second.powi(steps);
        let mut update = |range: std::ops::Range<usize>, decay: f32| {
            let (m, v) = (&mut self.first[range.clone()], &mut self.second[range.clone()]);
            let (p, g) = (&mut params[range.clone()], &gradient[range]);
            wide(|| {
                for i in 0..p.len() {
                    let g = g[i] * scale;
                    m[i] = first * m[i] + (1.0 - first) * g;
                    v[i] = second * v[i] + (1.0 - second) * g * g;
                    let root = (v[i] / second_share).sqrt() + EPSILON;
                    p[i] -= step.rate * (m[i] / first_share / root + decay * p[i]);
                }
            });
        };
        if step.muon > 0.0 {
            layout.gains().into_iter().for_each(|gain| update(gain, 0.0));
            update(layout.embed.clone(), step.weight_decay);
            update(layout.head.clone(), step.weight_decay);
            let sizes = muon::Sizes {
                gradient: scale,
                rate: step.rate * step.muon,
                keep: 1.0 - step.rate * step.weight_decay,
            };
            return muon::step(layout, params, gradient, &mut self.first, sizes, step.threads);
        }
        let mut at = 0;
        for gain in layout.gains() {
            update(at..gain.start, step.weight_decay);
            at = gain.end;
            update(gain, 0.0);
        }
        update(at..layout.len, step.weight_decay);
    }
}
