//! What is published of a run, and when.

pub(crate) mod curate;
pub(crate) mod groups;
pub(crate) mod index;
pub(crate) mod publisher;
pub(crate) mod rewrite;
pub(crate) mod selection;
pub(crate) mod shard;
