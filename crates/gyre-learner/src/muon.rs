//! Muon (Jordan et al., 2024): the step of a matrix is its momentum with every
//! singular value moved to about one, scaled so that its elements are about as
//! large as AdamW's (Liu et al., *Muon is Scalable for LLM Training*, 2025).

use std::ops::Range;
use std::thread::ScopedJoinHandle;

use crate::matmul::{Shape, Strided, add_product, product};
use crate::model::{LayerAt, Layout};
use crate::ops::wide;

/// How much of the momentum is kept at a step.
const MOMENTUM: f32 = 0.95;
/// The mean size of an element of AdamW's step, which Muon's is scaled to.
const ELEMENT: f32 = 0.2;
/// Newton-Schulz iterations: singular values end between about 0.7 and 1.2.
const ITERATIONS: usize = 5;
/// Coefficients of the odd polynomial that is iterated.
const POLYNOMIAL: (f32, f32, f32) = (3.4445, -4.775, 2.0315);

/// What one step does to every matrix.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// What the gradient is multiplied by: its clipping.
    pub(crate) gradient: f32,
    /// The learning rate.
    pub(crate) rate: f32,
    /// What every element is multiplied by first: decoupled weight decay.
    pub(crate) keep: f32,
}

/// Moves the matrices of the layers; `momentum` is laid out as `params`.
///
/// The result does not depend on the number of threads.
pub(crate) fn step(
    layout: &Layout,
    params: &mut [f32],
    gradient: &[f32],
    momentum: &mut [f32],
    sizes: Sizes,
    threads: usize,
) {
    let matrices: Vec<_> = layout.layers.iter().flat_map(|at| matrices(layout, at)).collect();
    let ahead = |matrix: &Matrix, momentum: &[f32]| {
        let of = |m: f32, g: f32| sizes.gradient * g + MOMENTUM * m;
        matrix.tall(|at| of(momentum[at], gradient[at]))
    };
    for block in layout.layers.iter().flat_map(blocks) {
        let (m, g) = (&mut momentum[block.clone()], &gradient[block]);
        wide(|| {
            m.iter_mut().zip(g).for_each(|(m, g)| *m = MOMENTUM * *m + sizes.gradient * g);
        });
    }
    let momentum = &*momentum;
    let orthogonal = |matrix: &Matrix| orthogonal(ahead(matrix, momentum), matrix.short());
    let each = matrices.len().div_ceil(threads.max(1));
    let steps: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = matrices
            .chunks(each)
            .map(|part| scope.spawn(|| part.iter().map(orthogonal).collect::<Vec<_>>()))
            .collect();
        let join = |part: ScopedJoinHandle<'_, Vec<_>>| match part.join() {
            Ok(steps) => steps,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        parts.into_iter().flat_map(join).collect()
    });
    for (matrix, step) in matrices.iter().zip(steps) {
        let size = sizes.rate * ELEMENT * (matrix.long() as f32).sqrt();
        matrix.each_tall(|at, tall| params[at] = sizes.keep * params[at] - size * step[tall]);
    }
}

/// One matrix of a layer: some columns of a block.
struct Matrix {
    block: Range<usize>,
    /// Columns of the block.
    width: usize,
    /// Of which this matrix has `columns` from here.
    first: usize,
    columns: usize,
}

fn blocks(at: &LayerAt) -> [Range<usize>; 4] {
    [at.qkv.clone(), at.out.clone(), at.gate_up.clone(), at.down.clone()]
}

fn matrices(layout: &Layout, at: &LayerAt) -> Vec<Matrix> {
    let (d, inner) = (layout.arch.hidden, layout.arch.intermediate);
    let part = |block: &Range<usize>, width, first, columns| Matrix {
        block: block.clone(),
        width,
        first,
        columns,
    };
    vec![
        part(&at.qkv, 3 * d, 0, d),
        part(&at.qkv, 3 * d, d, d),
        part(&at.qkv, 3 * d, 2 * d, d),
        part(&at.out, d, 0, d),
        part(&at.gate_up, 2 * inner, 0, inner),
        part(&at.gate_up, 2 * inner, inner, inner),
        part(&at.down, d, 0, d),
    ]
}

impl Matrix {
    fn rows(&self) -> usize {
        self.block.len() / self.width
    }

    fn short(&self) -> usize {
        self.rows().min(self.columns)
    }

    fn long(&self) -> usize {
        self.rows().max(self.columns)
    }

    /// Calls with each element's place among all parameters, and in a dense
    /// matrix that is not wider than it is tall.
    fn each_tall(&self, mut call: impl FnMut(usize, usize)) {
        let (rows, columns) = (self.rows(), self.columns);
        for row in 0..rows {
            let start = self.block.start + row * self.width + self.first;
            for column in 0..columns {
                let turned = columns > rows;
                let tall = if turned { column * rows + row } else { row * columns + column };
                call(start + column, tall);
            }
        }
    }

    /// A dense matrix, no wider than tall, of what `value` says of each element.
    fn tall(&self, value: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut dense = vec![0.0; self.rows() * self.columns];
        self.each_tall(|at, tall| dense[tall] = value(at));
        dense
    }
}

/// About the nearest matrix whose `n` columns are orthonormal; the matrix is no
/// wider than tall. A matrix of zeros stays one.
fn orthogonal(matrix: Vec<f32>, n: usize) -> Vec<f32> {
    let norm = matrix.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if norm == 0.0 || !norm.is_finite() {
        return matrix;
    }
    let m = matrix.len() / n;
    let mut x = matrix;
    x.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    let (a, b, c) = POLYNOMIAL;
    let mut next = vec![0.0; m * n];
    let mut gram = vec![0.0; n * n];
    let mut mix = vec![0.0; n * n];
    let square = Shape { m: n, n, k: n };
    for _ in 0..ITERATIONS {
        product(Shape { m: n, n, k: m }, Strided::transposed(&x, n), &x, &mut gram);
        product(square, Strided::rows(&gram, n), &gram, &mut mix);
        // mix = b * gram + c * gram * gram; next = a * x + x * mix
        wide(|| {
            mix.iter_mut().zip(&gram).for_each(|(mix, gram)| *mix = c * *mix + b * gram);
            next.iter_mut().zip(&x).for_each(|(next, x)| *next = a * x);
        });
        add_product(Shape { m, n, k: n }, Strided::rows(&x, n), (&mix, n), (&mut next, n));
        std::mem::swap(&mut x, &mut next);
    }
    x
}

#[cfg(test)]
mod tests {
    use gyre_types::Seed;

    use super::*;
    use crate::LearnerConfig;
    use crate::model::Architecture;
    use crate::random::normal;

    #[test]
    fn columns_of_a_step_are_about_orthonormal() {
        for (m, n) in [(32, 32), (64, 16), (256, 128)] {
            let mut rng = Seed(7).rng();
            let x = orthogonal((0..m * n).map(|_| normal(&mut rng)).collect(), n);
            let dot =
                |i: usize, j: usize| -> f32 { (0..m).map(|k| x[k * n + i] * x[k * n + j]).sum() };
            let mean = (0..n).map(|i| dot(i, i)).sum::<f32>() / n as f32;
            assert!((0.5..1.4).contains(&mean), "{m}x{n}: mean square {mean}");
            let off = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
            let off = off.map(|(i, j)| dot(i, j).abs()).fold(0.0, f32::max);
            assert!(off < 0.5, "{m}x{n}: columns overlap by {off}");
        }
        assert_eq!(orthogonal(vec![0.0; 256], 16), vec![0.0; 256]);
    }

    #[test]
    fn a_step_moves_each_matrix_of_the_layers_alone_whatever_the_threads() {
        let config = LearnerConfig {
            hidden_size: 32,
            layers: 2,
            heads: 2,
            intermediate_size: 48,
            ..LearnerConfig::default()
        };
        let layout = Layout::new(Architecture::new(&config, 32));
        let mut rng = Seed(3).rng();
        let gradient: Vec<f32> = (0..layout.len).map(|_| normal(&mut rng)).collect();
        let sizes = Sizes { gradient: 1.0, rate: 1.0, keep: 0.5 };
        let moved = |threads| {
            let (mut params, mut momentum) = (vec![1.0; layout.len], vec![0.0; layout.len]);
            step(&layout, &mut params, &gradient, &mut momentum, sizes, threads);
            (params, momentum)
        };
        let (params, momentum) = moved(1);
        assert_eq!((&params, &momentum), (&moved(3).0, &moved(3).1));
        let inner: Vec<_> = layout.layers.iter().flat_map(blocks).collect();
        for at in 0..layout.len {
            let inside = inner.iter().any(|block| block.contains(&at));
            assert_eq!(params[at] == 1.0, !inside, "parameter {at}");
            assert_eq!(momentum[at], if inside { gradient[at] } else { 0.0 });
        }
        // Every element's step is about as large as AdamW's, in every matrix.
        for at in &layout.layers {
            for matrix in matrices(&layout, at) {
                let step = matrix.tall(|at| 0.5 - params[at]);
                let mean = step.iter().map(|x| x * x).sum::<f32>() / step.len() as f32;
                assert!((0.1..0.3).contains(&mean.sqrt()), "{}", mean.sqrt());
            }
        }
    }
}
