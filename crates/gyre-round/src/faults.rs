//! When a round has lost too many rollouts to faults for its results to mean anything.

use std::fmt;

use gyre_types::Split;
use serde::{Deserialize, Serialize};

use crate::Share;

/// Rollouts below which no share is looked at: one fault among five says nothing.
const ROLLOUTS_MIN: u32 = 20;

/// The share of rollouts that may be lost to faults of the model's server, the sandbox
/// or the machine. Beyond it the round fails: what is left is no fair sample of what
/// the policy does.
///
/// A verifier's faults do not count. They are the verifier's own, and
/// `verifiers.on_fault` says what they do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultBound {
    /// The share, at most. It is looked at from 20 rollouts on.
    pub share_max: Share,
}

impl Default for FaultBound {
    fn default() -> Self {
        Self { share_max: Share::permille(200) }
    }
}

impl FaultBound {
    /// Whether this is what plans have that do not say otherwise.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Says whether so many lost of so many rollouts are too many.
    pub(crate) fn check(self, part: Split, lost: u32, rollouts: u32) -> Option<LostRollouts> {
        let is_over = u64::from(lost) * 1000 > self.share_max.to_permille() * u64::from(rollouts);
        let share_max = self.share_max;
        (rollouts >= ROLLOUTS_MIN && is_over).then_some(LostRollouts {
            part,
            lost,
            rollouts,
            share_max,
        })
    }
}

/// More rollouts than a round may lose to faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LostRollouts {
    /// What they were made for.
    pub part: Split,
    /// Rollouts that have no verdict because of a fault.
    pub lost: u32,
    /// Rollouts that were made so far.
    pub rollouts: u32,
    /// The bound.
    pub share_max: Share,
}

impl fmt::Display for LostRollouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, lost, rollouts, share_max } = self;
        let what = match part {
            Split::Train => "rollouts".to_owned(),
            part => format!("rollouts of the {part} part"),
        };
        let percent = 100.0 * f64::from(*lost) / f64::from((*rollouts).max(1));
        write!(
            f,
            "{lost} of {rollouts} {what} ({percent:.1}%) were lost to faults of the model's server \
             or the sandbox, more than `rollout.invalid_share_max = {}` allows",
            share_max.get()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_beyond_the_bound_is_too_much_and_exactly_the_bound_is_not() {
        let bound = FaultBound::default();
        let is_over = |lost, rollouts| bound.check(Split::Train, lost, rollouts).is_some();
        assert!(!is_over(30, 150) && is_over(31, 150));
        assert!(!is_over(19, 19), "too few to say anything");
        assert!(is_over(20, 20) && is_over(5, 20) && !is_over(4, 20));
        assert!(!is_over(0, 0));
        let never = FaultBound { share_max: Share::ALL };
        assert_eq!(never.check(Split::Train, 100, 100), None);
        let none = FaultBound { share_max: Share::NONE };
        assert!(none.check(Split::Gate, 1, 100).is_some());
    }

    #[test]
    fn the_message_names_share_and_bound() {
        let bound = FaultBound::default();
        let lost = |part| bound.check(part, 30, 120).map(|lost| lost.to_string());
        assert_eq!(
            lost(Split::Train).as_deref(),
            Some(
                "30 of 120 rollouts (25.0%) were lost to faults of the model's server or the \
                 sandbox, more than `rollout.invalid_share_max = 0.2` allows"
            )
        );
        let gate = lost(Split::Gate).unwrap_or_default();
        assert!(gate.starts_with("30 of 120 rollouts of the gate part (25.0%)"), "{gate}");
    }
}
