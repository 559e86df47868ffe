//! What a round or a run asked of its models, and what may be asked.

use gyre_types::{RolloutRecord, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop::BudgetLimit;

/// What models were asked for, over the turns that they gave.
///
/// Requests that gave no turn are not among them, nor are the turns of an attempt
/// that was made again because the infrastructure failed: neither is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelUsage {
    /// Requests that gave a turn.
    pub requests: u64,
    /// Tokens of these turns, as the engine or the server counted them.
    pub tokens: Usage,
}

impl ModelUsage {
    /// What the turns of some rollouts took.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a RolloutRecord>) -> Self {
        let turns = records.into_iter().flat_map(|record| &record.turns);
        turns.fold(Self::default(), |all, turn| all.plus(Self { requests: 1, tokens: turn.usage }))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (a, b) = (self.tokens, other.tokens);
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: Usage {
                prompt: a.prompt.saturating_add(b.prompt),
                cached: a.cached.saturating_add(b.cached),
                completion: a.completion.saturating_add(b.completion),
            },
        }
    }

    /// Tokens of prompts and of answers together.
    pub fn tokens_total(&self) -> u64 {
        self.tokens.prompt.saturating_add(self.tokens.completion)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What may be asked of models: over one round, and over a whole run.
///
/// Looked at before each step that asks a model, so a bound may be passed by what
/// one step takes: a wave of rollouts, or a held-out part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Of each round but the cold start. A round that has spent it fails, with what
    /// was verified kept; the champion stays, and the next round begins.
    #[serde(skip_serializing_if = "ModelBudget::is_none")]
    pub round: ModelBudget,
    /// Of the whole run, the cold start included. A run that has spent it ends.
    #[serde(skip_serializing_if = "ModelBudget::is_none")]
    pub run: ModelBudget,
}

/// Bounds on what is asked of models; one that is absent binds nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelBudget {
    /// Requests that gave a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u64>,
    /// Tokens of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_max: Option<u64>,
    /// Money, by the prices of the configuration and in their currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<f64>,
}

/// Over what a budget holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// One round.
    Round,
    /// The whole run.
    Run,
}

impl BudgetScope {
    /// The name in configurations and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Round => "round",
            Self::Run => "run",
        }
    }
}

/// Money that was spent, by the configured prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// How much.
    pub amount: f64,
    /// In which currency, as it was configured; empty where it was not.
    pub currency: String,
}

impl Cost {
    /// Both together; they are of one configuration, and so of one currency.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { amount: self.amount + other.amount, ..self }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { amount, currency } = self;
        let space = if currency.is_empty() { "" } else { " " };
        // Small runs cost parts of a cent.
        let decimals = if *amount != 0.0 && amount.abs() < 0.1 { 4 } else { 2 };
        write!(f, "{amount:.decimals$}{space}{currency}")
    }
}

impl BudgetConfig {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The bound of a scope.
    pub fn of(&self, scope: BudgetScope) -> &ModelBudget {
        match scope {
            BudgetScope::Round => &self.round,
            BudgetScope::Run => &self.run,
        }
    }

    /// The first bound that nothing could meet, by its key, and what is wrong with it.
    pub fn out_of_bounds(&self) -> Option<(&'static str, &'static str)> {
        let zero = "is 0: leave it out, or give it 1 or more";
        let money = "is no amount above 0: leave it out, or give one";
        let counts = [
            ("budget.round.requests_max", self.round.requests_max),
            ("budget.round.tokens_max", self.round.tokens_max),
            ("budget.run.requests_max", self.run.requests_max),
            ("budget.run.tokens_max", self.run.tokens_max),
        ];
        let amounts = [
            ("budget.round.cost_max", self.round.cost_max),
            ("budget.run.cost_max", self.run.cost_max),
        ];
        let is_amount = |cost: f64| cost.is_finite() && cost > 0.0;
        let count = counts.into_iter().find(|(_, bound)| *bound == Some(0));
        let amount = amounts.into_iter().find(|(_, cost)| cost.is_some_and(|c| !is_amount(c)));
        count.map(|(key, _)| (key, zero)).or_else(|| amount.map(|(key, _)| (key, money)))
    }

    /// Whether money is bounded, which needs prices.
    pub fn bounds_cost(&self) -> bool {
        self.round.cost_max.or(self.run.cost_max).is_some()
    }
}

impl ModelBudget {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The first bound that is reached: nothing more is asked then.
    pub fn reached(
        &self,
        scope: BudgetScope,
        usage: &ModelUsage,
        cost: Option<&Cost>,
    ) -> Option<BudgetLimit> {
        let limit = |allowed: String, spent: String| BudgetLimit {
            of: match scope {
                BudgetScope::Round => "the round's budget",
                BudgetScope::Run => "the run's budget",
            },
            allowed,
            spent,
        };
        let counts = [
            ("requests", self.requests_max, usage.requests),
            ("tokens", self.tokens_max, usage.tokens_total()),
        ];
        let reached = counts.into_iter().find_map(|(what, allowed, spent)| {
            let allowed = allowed.filter(|allowed| spent >= *allowed)?;
            Some(limit(format!("{allowed} {what}"), spent.to_string()))
        });
        reached.or_else(|| {
            let (allowed, spent) = (self.cost_max?, cost?);
            let allowed =
                (spent.amount >= allowed).then(|| Cost { amount: allowed, ..spent.clone() })?;
            Some(limit(allowed.to_string(), spent.to_string()))
        })
    }
}
