//! Draws from a stream, spelt out so that they never change under us.

use rand_chacha::rand_core::Rng;

/// Uniform in `[0, 1)`, with 24 bits.
pub(crate) fn uniform(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// Uniform in `0..n`, by the high half of a product; `n` is small.
pub(crate) fn below(rng: &mut impl Rng, n: usize) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}

/// Normal with mean 0 and deviation 1: the sum of twelve uniforms less six.
pub(crate) fn normal(rng: &mut impl Rng) -> f32 {
    (0..12).map(|_| uniform(rng)).sum::<f32>() - 6.0
}

/// Puts a list into random order.
pub(crate) fn shuffle<T>(rng: &mut impl Rng, list: &mut [T]) {
    for end in (1..list.len()).rev() {
        list.swap(end, below(rng, end + 1));
    }
}
