use gyre_types::{Identity, JsonError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Confidence;
use crate::approval::{EXPIRES_DEFAULT, is_default_expiry};
use crate::{Approval, ApprovalRequest, Share, TimeSpan};

/// What the gate asks of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// The probability that a campaign in which no candidate is better ever
    /// promotes one. Default 0.05.
    pub alpha_total: Share,
    /// How that probability is spent over rounds. Default: three tenths of what
    /// is left, at each gate.
    pub spending: Spending,
    /// The least gain in pass@1 that is worth a new champion. Default 0.01.
    pub margin: Share,
    /// How far a single family may fall in pass@1. Default 0.1.
    pub family_margin: Share,
    /// The confidence of the paired interval whose low end must stay above
    /// minus `family_margin`. Default `p60`: one-sided 80%.
    pub family_confidence: Confidence,
    /// Families with fewer held-out tasks are shown but not tested alone: they
    /// are too small to tell. Default 30.
    pub family_pairs_min: u32,
    /// The share of outcomes, of both policies, that may be invalid or missing.
    /// Default 0.02.
    pub unknown_share_max: Share,
    /// Who has the last word on a candidate that passed. Default: `automatic`, the
    /// gate. With `manual` the candidate waits for `gyre promote`.
    #[serde(skip_serializing_if = "Approval::is_automatic")]
    pub approval: Approval,
    /// How long a candidate waits for `manual` approval before the champion stays,
    /// such as `12h`. Default `7d`.
    #[serde(skip_serializing_if = "is_default_expiry")]
    pub approval_expires: TimeSpan,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            alpha_total: Share::permille(50),
            spending: Spending::default(),
            margin: Share::permille(10),
            family_margin: Share::permille(100),
            family_confidence: Confidence::P60,
            family_pairs_min: 30,
            unknown_share_max: Share::permille(20),
            approval: Approval::default(),
            approval_expires: EXPIRES_DEFAULT,
        }
    }
}

impl GateConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "alpha_total",
            "spending",
            "margin",
            "family_margin",
            "family_confidence",
            "family_pairs_min",
            "unknown_share_max",
        ];
        // A person's word decides as the gate does.
        let before = Self::default();
        Identity::of("a gate", self, &names)?
            .since("approval", &self.approval, &before.approval)?
            .since("approval_expires", &self.approval_expires, &before.approval_expires)
    }

    /// What is asked of people when a candidate passes; nothing where the gate has
    /// the last word.
    pub fn approval_request(&self) -> Option<ApprovalRequest> {
        let request = ApprovalRequest { expires_after: self.approval_expires };
        (self.approval == Approval::Manual).then_some(request)
    }
}

/// How significance is spent over the gates of a campaign.
///
/// Every rule bounds the probability that an equal or worse candidate is ever
/// promoted by `alpha_total`, however long the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Spending {
    /// Each gate stakes this share of the budget that is left. A rejection
    /// loses the stake, a promotion returns it: the recycling of the online
    /// fallback procedure (Tian and Ramdas, *Statistical Methods in Medical
    /// Research* 30, 2021) with stakes that shrink geometrically.
    Wealth {
        /// The share that is staked.
        share: Share,
    },
    /// The r-th gate has `6 / (pi r)^2` of the budget.
    InverseSquare,
    /// Each of the first `gates_max` gates has the same part; later ones never
    /// promote.
    Uniform {
        /// The number of gates.
        gates_max: u32,
    },
}

impl Default for Spending {
    fn default() -> Self {
        Self::Wealth { share: Share::permille(300) }
    }
}

/// The gates that a campaign has been through: what the spending rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateHistory {
    /// Gates that promoted.
    pub promoted: u32,
    /// Gates that rejected after a test.
    pub rejected: u32,
}

impl GateHistory {
    /// The level at which the next gate tests.
    pub fn level(self, config: &GateConfig) -> f64 {
        let alpha_total = config.alpha_total.get();
        let gate = f64::from(self.promoted) + f64::from(self.rejected) + 1.0;
        match config.spending {
            Spending::Wealth { share } => {
                let left = (1.0 - share.get()).powi(self.rejected.min(100_000) as i32);
                alpha_total * share.get() * left
            }
            Spending::InverseSquare => {
                alpha_total * 6.0 / (std::f64::consts::PI * gate * std::f64::consts::PI * gate)
            }
            Spending::Uniform { gates_max } if gate <= f64::from(gates_max) => {
                alpha_total / f64::from(gates_max)
            }
            Spending::Uniform { .. } => 0.0,
        }
    }
}
