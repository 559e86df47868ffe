//! Workers in other processes: what they are given, and what they deliver.

pub(crate) mod deliveries;
pub(crate) mod gather;
pub(crate) mod handle;
pub(crate) mod piece;
