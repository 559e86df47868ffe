//! The tasks of a run: made, admitted, kept and loaded.

pub(crate) mod admission;
pub(crate) mod generate;
pub(crate) mod store;
