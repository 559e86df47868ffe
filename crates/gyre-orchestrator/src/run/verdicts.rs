//! What is said of rollouts, and what checks those who say it.

pub(crate) mod accept_rates;
pub(crate) mod canary;
pub(crate) mod check;
pub(crate) mod correct;
pub(crate) mod judge;
pub(crate) mod recheck;
pub(crate) mod verify;
