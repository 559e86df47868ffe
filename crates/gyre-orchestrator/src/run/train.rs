//! How a round gets its candidate.

pub(crate) mod candidate;
pub(crate) mod pool;
pub(crate) mod start;
pub(crate) mod trained;
