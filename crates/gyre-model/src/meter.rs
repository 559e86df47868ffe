use std::sync::atomic::{AtomicU64, Ordering};

use gyre_types::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Billed, ModelErrorKind};

/// What tokens cost, in any one currency per million.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Tokens of the prompt. Default: 0.
    pub input: f64,
    /// Tokens of the prompt that the server had cached. Default: as `input`.
    pub cached: Option<f64>,
    /// Sampled tokens, those of reasoning included. Default: 0.
    pub output: f64,
    /// The currency, such as `EUR`, which is shown beside amounts. Default: empty.
    pub currency: String,
}

/// Characters of a currency's name, at most.
const CURRENCY_MAX: usize = 16;

impl Prices {
    /// What this many tokens cost.
    pub fn cost(&self, usage: Usage) -> f64 {
        let cached = usage.cached.min(usage.prompt);
        let per_million = (usage.prompt - cached) as f64 * self.input
            + cached as f64 * self.cached.unwrap_or(self.input)
            + usage.completion as f64 * self.output;
        per_million / 1e6
    }

    /// Whether tokens cost nothing, as where no prices are configured.
    pub fn are_zero(&self) -> bool {
        self.input == 0.0 && self.cached.unwrap_or(0.0) == 0.0 && self.output == 0.0
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.currency.len() > CURRENCY_MAX || self.currency.chars().any(|c| !c.is_alphanumeric())
        {
            return Err(format!(
                "`prices.currency` is {:?}; write up to {CURRENCY_MAX} letters or digits, such as \
                 EUR",
                self.currency
            ));
        }
        let prices = [Some(self.input), self.cached, Some(self.output)];
        match prices.into_iter().flatten().find(|price| !price.is_finite() || *price < 0.0) {
            Some(price) => Err(format!("a price is {price}; write what a million tokens cost")),
            None => Ok(()),
        }
    }
}

/// What may be spent; a bound that is absent binds nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Requests, those that failed included.
    pub requests_max: Option<u64>,
    /// Tokens of prompts and answers together.
    pub tokens_max: Option<u64>,
    /// Money, in the currency of the prices.
    pub money_max: Option<f64>,
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Requests sent, those that failed included.
    pub requests: u64,
    /// Of these, requests that gave no completion and may have been billed: their
    /// tokens and money are unknown, and not counted.
    pub unknown: u64,
    /// Tokens of the completions.
    pub usage: Usage,
    /// What those tokens cost by the configured prices.
    pub money: f64,
}

/// Counts what requests cost, and refuses more once a bound is reached.
///
/// Several clients may share one. Requests in flight are not counted yet, so a
/// bound may be passed by what they cost.
#[derive(Debug, Default)]
pub struct Meter {
    prices: Prices,
    budget: Budget,
    requests: AtomicU64,
    unknown: AtomicU64,
    prompt: AtomicU64,
    cached: AtomicU64,
    completion: AtomicU64,
}

impl Meter {
    /// Counts from nothing.
    pub fn new(prices: Prices, budget: Budget) -> Self {
        Self { prices, budget, ..Self::default() }
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let usage = Usage {
            prompt: count(&self.prompt),
            cached: count(&self.cached),
            completion: count(&self.completion),
        };
        Spent {
            requests: count(&self.requests),
            unknown: count(&self.unknown),
            usage,
            money: self.prices.cost(usage),
        }
    }

    /// Counts a request that is about to be sent.
    ///
    /// Counting and comparing is one step, so that callers at the same time do
    /// not pass the bound on requests together.
    pub(crate) fn admit(&self) -> Result<(), ModelErrorKind> {
        self.check_usage()?;
        let limit = self.budget.requests_max.unwrap_or(u64::MAX);
        let admitted = self.requests.try_update(Ordering::Relaxed, Ordering::Relaxed, |requests| {
            (requests < limit).then(|| requests.saturating_add(1))
        });
        match admitted {
            Ok(_) => Ok(()),
            Err(spent) => Err(ModelErrorKind::BudgetSpent {
                key: "requests_max",
                unit: "requests",
                spent: spent.to_string(),
                limit: limit.to_string(),
            }),
        }
    }

    fn check_usage(&self) -> Result<(), ModelErrorKind> {
        let Spent { usage, money, .. } = self.spent();
        let tokens = usage.prompt.saturating_add(usage.completion);
        if let Some(limit) = self.budget.tokens_max.filter(|limit| tokens >= *limit) {
            return Err(ModelErrorKind::BudgetSpent {
                key: "tokens_max",
                unit: "tokens",
                spent: tokens.to_string(),
                limit: limit.to_string(),
            });
        }
        if let Some(limit) = self.budget.money_max.filter(|limit| money >= *limit) {
            return Err(ModelErrorKind::BudgetSpent {
                key: "money_max",
                unit: "in money",
                spent: format!("{money:.2}"),
                limit: format!("{limit:.2}"),
            });
        }
        Ok(())
    }

    /// Counts the tokens of a completion.
    pub(crate) fn count(&self, usage: Usage) {
        self.prompt.fetch_add(usage.prompt, Ordering::Relaxed);
        self.cached.fetch_add(usage.cached.min(usage.prompt), Ordering::Relaxed);
        self.completion.fetch_add(usage.completion, Ordering::Relaxed);
    }

    /// Counts a request that gave no completion.
    pub(crate) fn count_failure(&self, billed: Billed) {
        if billed != Billed::No {
            self.unknown.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: Usage = Usage { prompt: 1_000_000, cached: 400_000, completion: 500_000 };

    #[test]
    fn cached_tokens_cost_what_is_said_of_them() {
        let prices =
            Prices { input: 2.0, cached: Some(0.5), output: 8.0, currency: "EUR".to_owned() };
        assert_eq!(prices.cost(MILLION), 1.2 + 0.2 + 4.0);
        let same = Prices { cached: None, ..prices.clone() };
        assert_eq!(same.cost(MILLION), 2.0 + 4.0);
        let wrong = Usage { cached: 2_000_000, ..MILLION };
        assert_eq!(prices.cost(wrong), 0.5 + 4.0, "a server that counts more cached than all");
    }

    #[test]
    fn each_bound_refuses_what_comes_after_it() {
        let refuses = |budget: Budget, key: &str| {
            let meter = Meter::new(Prices { output: 2.0, ..Prices::default() }, budget);
            meter.admit().expect("nothing is spent");
            meter.count(MILLION);
            let error = meter.admit().expect_err("the bound is reached");
            assert!(error.to_string().contains(key), "{error}");
            assert_eq!(meter.spent().requests, 1, "what was refused is not counted");
        };
        refuses(Budget { requests_max: Some(1), ..Budget::default() }, "1 of 1 requests");
        refuses(
            Budget { tokens_max: Some(1_500_000), ..Budget::default() },
            "1500000 of 1500000 tokens; raise `budget.tokens_max`",
        );
        refuses(Budget { money_max: Some(1.0), ..Budget::default() }, "1.00 of 1.00 in money");
        let open = Meter::new(Prices::default(), Budget::default());
        open.count(MILLION);
        open.admit().expect("no bound");
    }

    #[test]
    fn the_bound_on_requests_holds_among_threads() {
        let meter =
            Meter::new(Prices::default(), Budget { requests_max: Some(100), ..Budget::default() });
        let admitted: usize = std::thread::scope(|scope| {
            let admit = || (0..50).filter(|_| meter.admit().is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(admit)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!((admitted, meter.spent().requests), (100, 100));
    }
}
