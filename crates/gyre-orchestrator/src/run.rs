//! One run: its facts, its event log, and what carries out each action of a round.
//!
//! [`context::RunContext`] holds what no action changes and is passed by reference.
//! An action returns a [`event_log::LogEntry`]: an event and the rows that go with it.
//! [`event_log::EventLog`] holds the lease and commits; nothing else does.
//! Each action borrows the few things that it needs, and no component knows the
//! [`Runner`](crate::runner::Runner) that composes them.

pub(crate) mod attempts;
pub(crate) mod budget;
pub(crate) mod context;
pub(crate) mod correction;
pub(crate) mod evaluate;
pub(crate) mod event_log;
pub(crate) mod fleet;
pub(crate) mod garbage;
pub(crate) mod gate;
pub(crate) mod lease;
pub(crate) mod lost;
pub(crate) mod owner;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod recorded;
pub(crate) mod tasks;
pub(crate) mod train;
pub(crate) mod verdicts;
