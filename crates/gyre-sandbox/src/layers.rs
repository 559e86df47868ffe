//! What holds a worker, beside the sandbox engine itself.

use serde::{Deserialize, Serialize};

/// One layer of defence around a worker, and whether it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What it is, such as `seccomp`.
    pub name: String,
    /// Whether it holds.
    pub in_force: bool,
    /// What it does, or why it is not in force.
    pub detail: String,
}

/// The layers that can be demanded of a worker, by name: each is there only where
/// the kernel has it.
pub const LAYERS: [&str; 8] = [
    "parent",
    "descriptors",
    "environment",
    "no new privileges",
    "capabilities",
    "landlock",
    "limits",
    "seccomp",
];

impl Layer {
    pub(crate) fn new(name: &str, done: Result<String, String>) -> Self {
        let in_force = done.is_ok();
        let detail = done.unwrap_or_else(|reason| reason);
        Self { name: name.to_owned(), in_force, detail }
    }

    /// What there is to say of workers that are threads.
    pub(crate) fn none() -> Vec<Self> {
        let reason = "guests run on threads of this process".to_owned();
        vec![Self::new("process", Err(reason))]
    }
}
