//! Who attempts which tasks, and what the attempts leave.

pub(crate) mod ahead;
pub(crate) mod assignment;
pub(crate) mod attempter;
pub(crate) mod part_file;
pub(crate) mod phase;
pub(crate) mod pipeline;
pub(crate) mod sample;
