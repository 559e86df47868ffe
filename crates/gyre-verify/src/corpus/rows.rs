//! What came of single attacks and controls.

use gyre_types::Verdict;
use serde::Serialize;

use super::AttackClass;

/// One attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackRow {
    /// Its class.
    pub class: AttackClass,
    /// Its name.
    pub name: &'static str,
    /// How it wants to be accepted.
    pub idea: &'static str,
    /// What the verifier says.
    pub verdict: Verdict,
    /// What the first check that did not agree saw.
    pub detail: String,
    /// The weak control that it is meant to fool.
    pub weak_control: &'static str,
    /// Whether it does.
    pub fooled: bool,
    /// Why the control could not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_fault: Option<String>,
}

/// An attack that could not be tried here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotTriedRow {
    /// Its name.
    pub name: &'static str,
    /// What it would have needed.
    pub why: String,
}

/// One weak control on one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlRow {
    /// The control.
    pub control: &'static str,
    /// The task.
    pub task: &'static str,
    /// Whether it accepts the honest solution. Must be so.
    pub honest_accepted: bool,
    /// How many of the task's wrong programs it rejects. Must be some: else it
    /// would be no grader at all.
    pub wrong_rejected: u32,
}

pub(super) fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
