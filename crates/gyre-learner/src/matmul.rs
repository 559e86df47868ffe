//! Matrix products with a fixed order of arithmetic.
//!
//! Every element of the result is one chain of fused multiply-adds over `k`,
//! from the value it started with. Blocking changes which elements are worked
//! on together, never that chain, so a row's result is bitwise the same
//! whatever rows stand beside it: batch composition, shard size and thread
//! count cannot be seen in the numbers.

use pulp::{Arch, Simd, WithSimd};

/// Depth of one pass: a packed block of `A` stays in the first-level cache.
const DEPTH: usize = 256;
/// Rows of the widest register tile.
const ROWS: usize = 8;

/// A matrix inside a slice: element `(i, j)` is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a> Strided<'a> {
    /// A matrix whose rows are contiguous and `width` apart.
    pub(crate) fn rows(data: &'a [f32], width: usize) -> Self {
        Self { data, row: width, column: 1 }
    }

    /// The transpose of a matrix whose rows are contiguous and `width` apart.
    pub(crate) fn transposed(data: &'a [f32], width: usize) -> Self {
        Self { data, row: 1, column: width }
    }
}

/// Rows, columns and depth of a product.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

/// `C += A · B`, where `A` is `m × k`, `B` is `k × n` and `C` is `m × n`; rows
/// of `B` are `b_width` apart and rows of `C` `c_width`.
///
/// `n` must be a multiple of 16.
pub(crate) fn add_product(
    shape: Shape,
    a: Strided<'_>,
    (b, b_width): (&[f32], usize),
    (c, c_width): (&mut [f32], usize),
) {
    debug_assert!(shape.n.is_multiple_of(16), "columns come in sixteens");
    Arch::new().dispatch(Product { shape, a, b, b_width, c, c_width });
}

/// `A · B` into `c`, dense, without reading what `c` held.
pub(crate) fn product(shape: Shape, a: Strided<'_>, b: &[f32], c: &mut [f32]) {
    c[..shape.m * shape.n].fill(0.0);
    add_product(shape, a, (b, shape.n), (c, shape.n));
}

struct Product<'a> {
    shape: Shape,
    a: Strided<'a>,
    b: &'a [f32],
    b_width: usize,
    c: &'a mut [f32],
    c_width: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape: Shape { m, n, k }, a, b, b_width, c, c_width } = self;
        let mut packed = [0.0; DEPTH * ROWS];
        for depth in (0..k).step_by(DEPTH) {
            let taken = DEPTH.min(k - depth);
            let b = &b[depth * b_width..];
            let mut row = 0;
            while row < m {
                let a = Strided { data: &a.data[row * a.row + depth * a.column..], ..a };
                let c = &mut c[row * c_width..];
                let packed = &mut packed[..];
                row += match m - row {
                    8.. => band::<S, 8>(simd, n, taken, a, packed, (b, b_width), (c, c_width)),
                    4.. => band::<S, 4>(simd, n, taken, a, packed, (b, b_width), (c, c_width)),
                    2.. => band::<S, 2>(simd, n, taken, a, packed, (b, b_width), (c, c_width)),
                    _ => band::<S, 1>(simd, n, taken, a, packed, (b, b_width), (c, c_width)),
                };
            }
        }
    }
}

/// `R` rows of the result over all columns; returns `R`.
#[inline(always)]
fn band<S: Simd, const R: usize>(
    simd: S,
    n: usize,
    k: usize,
    a: Strided<'_>,
    packed: &mut [f32],
    (b, b_width): (&[f32], usize),
    (c, c_width): (&mut [f32], usize),
) -> usize {
    let packed = &mut packed[..k * R];
    for (depth, to) in packed.chunks_exact_mut(R).enumerate() {
        for (i, to) in to.iter_mut().enumerate() {
            *to = a.data[i * a.row + depth * a.column];
        }
    }
    let lanes = S::F32_LANES;
    let mut column = 0;
    while column < n {
        let b = &b[column..];
        let c = &mut c[column..];
        column += match (n - column) / lanes {
            3.. => tile::<S, R, 3>(simd, packed, (b, b_width), (c, c_width)),
            2 => tile::<S, R, 2>(simd, packed, (b, b_width), (c, c_width)),
            _ => tile::<S, R, 1>(simd, packed, (b, b_width), (c, c_width)),
        };
    }
    R
}

/// `R × (V · lanes)` of the result, held in registers; returns its columns.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    packed: &[f32],
    (b, b_width): (&[f32], usize),
    (c, c_width): (&mut [f32], usize),
) -> usize {
    let width = V * S::F32_LANES;
    let mut sum = [[simd.splat_f32s(0.0); V]; R];
    for (i, sum) in sum.iter_mut().enumerate() {
        let (from, _) = S::as_simd_f32s(&c[i * c_width..][..width]);
        for (sum, from) in sum.iter_mut().zip(from) {
            *sum = *from;
        }
    }
    let mut at = 0;
    for a in packed.chunks_exact(R) {
        let (row, _) = S::as_simd_f32s(&b[at..at + width]);
        at += b_width;
        for i in 0..R {
            let left = simd.splat_f32s(a[i]);
            for v in 0..V {
                sum[i][v] = simd.mul_add_f32s(left, row[v], sum[i][v]);
            }
        }
    }
    for (i, sum) in sum.iter().enumerate() {
        let (to, _) = S::as_mut_simd_f32s(&mut c[i * c_width..][..width]);
        for (to, sum) in to.iter_mut().zip(sum) {
            *to = *sum;
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = gyre_types::Seed(seed).rng();
        (0..count).map(|_| crate::random::normal(&mut rng)).collect()
    }

    /// Deeper than one pass, with every height and width of tile.
    #[test]
    fn products_agree_with_the_definition_and_rows_with_themselves_alone() {
        for (m, n, k) in [(1, 16, 5), (7, 48, 96), (23, 112, 300), (64, 80, 600)] {
            let shape = Shape { m, n, k };
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let mut c = vec![f32::NAN; m * n];
            product(shape, Strided::rows(&a, k), &b, &mut c);
            for (at, value) in c.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let exact: f64 =
                    (0..k).map(|d| f64::from(a[i * k + d]) * f64::from(b[d * n + j])).sum();
                assert!((f64::from(*value) - exact).abs() < 1e-4 * (k as f64), "{m} {n} {k}");
            }
            let mut alone = vec![0.0; n];
            for (row, together) in a.chunks_exact(k).zip(c.chunks_exact(n)) {
                product(Shape { m: 1, ..shape }, Strided::rows(row, k), &b, &mut alone);
                assert_eq!(alone, together);
            }
            let mut turned = vec![0.0; m * k];
            crate::ops::transpose(&a, m, &mut turned);
            let mut again = vec![0.0; m * n];
            product(shape, Strided::transposed(&turned, m), &b, &mut again);
            assert_eq!(again, c);
        }
    }
}
