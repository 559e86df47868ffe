//! Budgets for what models are asked.

use gyre_round::{BudgetConfig, BudgetScope, Cost, ModelBudget, ModelUsage};
use gyre_types::Usage;

const USAGE: ModelUsage =
    ModelUsage { requests: 10, tokens: Usage { prompt: 900, cached: 500, completion: 100 } };

fn euros(amount: f64) -> Cost {
    Cost { amount, currency: "EUR".to_owned() }
}

fn reached(budget: ModelBudget) -> Option<String> {
    let limit = budget.reached(BudgetScope::Run, &USAGE, Some(&euros(2.5)));
    limit.map(|limit| limit.to_string())
}

#[test]
fn a_bound_is_reached_once_all_of_it_is_spent() {
    let requests = |n| ModelBudget { requests_max: Some(n), ..ModelBudget::default() };
    let tokens = |n| ModelBudget { tokens_max: Some(n), ..ModelBudget::default() };
    let cost = |amount| ModelBudget { cost_max: Some(amount), ..ModelBudget::default() };
    assert_eq!(reached(ModelBudget::default()), None);
    assert_eq!(reached(requests(11)), None);
    assert_eq!(reached(requests(10)).unwrap(), "the run's budget of 10 requests is spent (10)");
    assert_eq!(reached(tokens(1_001)), None);
    assert_eq!(reached(tokens(999)).unwrap(), "the run's budget of 999 tokens is spent (1000)");
    assert_eq!(reached(cost(2.51)), None);
    assert_eq!(reached(cost(2.4)).unwrap(), "the run's budget of 2.40 EUR is spent (2.50 EUR)");
    let unpriced = cost(2.4).reached(BudgetScope::Round, &USAGE, None);
    assert_eq!(unpriced, None, "what has no price cannot be counted");
    let of_round = requests(3).reached(BudgetScope::Round, &USAGE, None).unwrap();
    assert_eq!(of_round.to_string(), "the round's budget of 3 requests is spent (10)");
}

#[test]
fn a_bound_that_nothing_could_meet_is_refused() {
    let round = |round| BudgetConfig { round, ..BudgetConfig::default() };
    let key = |config: BudgetConfig| config.out_of_bounds().map(|(key, _)| key);
    assert_eq!(key(BudgetConfig::default()), None);
    let zero = ModelBudget { tokens_max: Some(0), ..ModelBudget::default() };
    assert_eq!(key(round(zero)), Some("budget.round.tokens_max"));
    for amount in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let budget = ModelBudget { cost_max: Some(amount), ..ModelBudget::default() };
        let config = BudgetConfig { run: budget, ..BudgetConfig::default() };
        assert_eq!(key(config), Some("budget.run.cost_max"), "{amount}");
        assert!(config.bounds_cost());
    }
}

#[test]
fn nothing_is_written_of_what_is_not_bounded() {
    let none = BudgetConfig::default();
    assert_eq!(serde_json::to_string(&none).unwrap(), "{}");
    let text = r#"{"run":{"cost_max":5.0}}"#;
    let read: BudgetConfig = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert!(serde_json::from_str::<BudgetConfig>(r#"{"run":{"money_max":5.0}}"#).is_err());
}

#[test]
fn parts_of_a_cent_are_told() {
    let shown = |amount, currency: &str| Cost { amount, currency: currency.to_owned() }.to_string();
    assert_eq!(shown(0.0123, "USD"), "0.0123 USD");
    assert_eq!(shown(12.345, ""), "12.35");
    assert_eq!(shown(0.0, "USD"), "0.00 USD");
}
