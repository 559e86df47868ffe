//! Who acts, who trains, and what a run starts from.

mod fit;

use std::path::PathBuf;

use gyre_model::{Budget, OpenAiConfig};
use gyre_round::{BudgetConfig, Cost, ModelUsage};
use gyre_train::{CommandConfig, ServeConfig, UpdateConfig};
use gyre_types::{Acting, Identity, JsonError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use fit::{check, check_loads};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// What kind of model. Default: `embedded`.
    pub kind: ModelKind,
    /// How it acts. Default: `tools`.
    pub acting: Acting,
    /// Episodes on their way at one time: enough that the model's batches are full
    /// while others run in the sandbox. Changes no result. Default: 256.
    pub episodes_max: u32,
    /// How a server is asked.
    pub server: OpenAiConfig,
    /// The program that serves each checkpoint. Without it, `server.url` names one
    /// that somebody else runs.
    pub serve: Option<ServeConfig>,
    /// How a server that somebody else runs gets each new checkpoint. Without it, it
    /// serves one model throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateConfig>,
}

/// What kind of model acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// The embedded model, in this process.
    #[default]
    Embedded,
    /// One behind an OpenAI-compatible server.
    Openai,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            kind: ModelKind::default(),
            acting: Acting::default(),
            episodes_max: 256,
            server: OpenAiConfig::default(),
            serve: None,
            update: None,
        }
    }
}

impl ModelSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a server answers, so that what it is asked for is counted.
    pub(crate) fn is_server(&self) -> bool {
        self.kind != ModelKind::Embedded
    }

    /// What this much cost by the configured prices; none without prices.
    pub(crate) fn cost(&self, usage: &ModelUsage) -> Option<Cost> {
        let prices = &self.server.prices;
        let priced = self.is_server() && !prices.are_zero();
        let cost = || Cost { amount: prices.cost(usage.tokens), currency: prices.currency.clone() };
        priced.then(cost)
    }

    /// What of it decides results. Where a server is reached and how patiently it is
    /// asked does not.
    pub(crate) fn identity(&self) -> Option<serde_json::Value> {
        let Self { kind, acting, server, serve, update, .. } = self;
        let OpenAiConfig { model, dialect, top_p, top_k, min_p, extra, calls_max, .. } = server;
        if *kind == ModelKind::Embedded && acting.is_tools() {
            return None;
        }
        let served = serve.as_ref().map(|serve| &serve.command);
        let mut identity = serde_json::json!({
            "kind": kind, "acting": acting, "served": served, "model": model,
            "dialect": dialect, "sampling": [top_p, min_p], "top_k": top_k, "extra": extra,
            "calls_max": calls_max,
        });
        // What there was not before adds nothing to the identity of what there was.
        match update {
            None => {}
            Some(UpdateConfig::Hook(hook)) => identity["updated"] = hook.command.clone().into(),
            Some(UpdateConfig::VllmLora | UpdateConfig::SglangLora) => {
                identity["updated"] = "adapters".into();
            }
        }
        Some(identity)
    }
}

/// Who trains a candidate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TrainerSettings {
    /// The embedded model's.
    #[default]
    Embedded,
    /// A program.
    Command(CommandConfig),
    /// Nobody: rounds collect and publish rows, and end there.
    None,
}

impl TrainerSettings {
    /// What of it decides results; none for the embedded trainer, whose settings are
    /// the embedded model's.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, JsonError> {
        match self {
            Self::Embedded => Ok(None),
            Self::Command(command) => command.identity()?.with("kind", &"command").map(Some),
            Self::None => Identity::of("a trainer", self, &["kind"]).map(Some),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a run starts from: the embedded model's cold start, or one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartSettings {
    /// A Hugging Face checkpoint's folder, relative to the working folder. Without it
    /// and `model`, the embedded model learns from the demonstrations of `cold_start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// The name of a model that the server has. Its version is that name: Gyre does not
    /// see its weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl StartSettings {
    /// What of it decides results; none for a cold start.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, JsonError> {
        let given = !self.is_default();
        let of =
            || Identity::of("a start", self, &["checkpoint"])?.since("model", &self.model, &None);
        given.then(of).transpose()
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Says what is wrong with the budget for what a model is asked.
pub(crate) fn check_budget(
    model: &ModelSettings,
    budget: &BudgetConfig,
) -> Result<(), (&'static str, String)> {
    if let Some((key, why)) = budget.out_of_bounds() {
        return Err((key, why.to_owned()));
    }
    if model.server.budget != Budget::default() {
        let why = "binds one client, and a run has several: write `budget.round` and `budget.run`";
        return Err(("model.server.budget", why.to_owned()));
    }
    if !budget.is_none() && !model.is_server() {
        let why =
            "bounds what a server is asked for, and the embedded model has none: leave it out";
        return Err(("budget", why.to_owned()));
    }
    if budget.bounds_cost() && model.server.prices.are_zero() {
        let why = "bounds money: write what tokens cost in `model.server.prices`";
        return Err(("budget", why.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gyre_model::Prices;
    use gyre_round::ModelBudget;
    use gyre_types::Usage;

    use super::*;

    fn server(prices: Prices) -> ModelSettings {
        let server = OpenAiConfig { prices, ..OpenAiConfig::default() };
        ModelSettings { kind: ModelKind::Openai, server, ..ModelSettings::default() }
    }

    fn prices() -> Prices {
        Prices { input: 1.0, output: 4.0, currency: "EUR".to_owned(), ..Prices::default() }
    }

    #[test]
    fn what_a_server_is_asked_for_has_a_price_and_the_embedded_model_has_none() {
        let tokens = Usage { prompt: 2_000_000, cached: 0, completion: 500_000 };
        let usage = ModelUsage { requests: 3, tokens };
        let shown = |model: ModelSettings| model.cost(&usage).map(|cost| cost.to_string());
        assert_eq!(shown(server(prices())).as_deref(), Some("4.00 EUR"));
        assert_eq!(shown(server(Prices::default())), None);
        let embedded = ModelSettings { kind: ModelKind::Embedded, ..server(prices()) };
        assert_eq!(shown(embedded), None);
    }

    #[test]
    fn a_budget_needs_what_it_bounds() {
        let key = |model: &ModelSettings, budget: BudgetConfig| {
            check_budget(model, &budget).err().map(|(key, _)| key)
        };
        let run = |run| BudgetConfig { run, ..BudgetConfig::default() };
        let tokens = run(ModelBudget { tokens_max: Some(1), ..ModelBudget::default() });
        let cost = run(ModelBudget { cost_max: Some(1.0), ..ModelBudget::default() });
        let (priced, free) = (server(prices()), server(Prices::default()));
        assert_eq!(key(&priced, cost), None);
        assert_eq!(key(&free, tokens), None);
        assert_eq!(key(&free, cost), Some("budget"));
        assert_eq!(key(&ModelSettings::default(), tokens), Some("budget"));
        assert_eq!(key(&ModelSettings::default(), BudgetConfig::default()), None);
        let mut of_client = server(prices());
        of_client.server.budget.tokens_max = Some(1);
        assert_eq!(key(&of_client, BudgetConfig::default()), Some("model.server.budget"));
    }
}
