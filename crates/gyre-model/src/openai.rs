use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gyre_fault::crash_point;
use gyre_types::{ChatCompletion, ChatRequest, CheckpointId, Digest};
use retry_policies::policies::ExponentialBackoff;
use retry_policies::{RetryDecision, RetryPolicy};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer;
use crate::circuit::{Circuit, Pass};
use crate::client::{ModelClient, ModelIdentity};
use crate::config::{Backoff, OpenAiConfig};
use crate::dialect::Dialect;
use crate::error::{ModelError, ModelErrorKind};
use crate::limit::Limiter;
use crate::meter::{Meter, Spent};
use crate::request;
use crate::secret::Secret;
use crate::tokens;
use crate::transport::Transport;

/// A model behind an OpenAI-compatible server.
#[derive(Debug)]
pub struct OpenAi {
    config: OpenAiConfig,
    model: String,
    checkpoint: Option<CheckpointId>,
    /// The checkpoint below an adapter.
    base: Option<CheckpointId>,
    transport: Transport,
    limiter: Limiter,
    circuit: Circuit,
    meter: Arc<Meter>,
    /// The model that the first answer named.
    answers_as: OnceLock<String>,
}

impl OpenAi {
    /// Prepares to ask a server. Where the configuration names no model, the server
    /// is asked for the one that it serves; else nothing is sent.
    ///
    /// `key` is the value of the variable that `api_key_env` names: only the binary
    /// reads the environment.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be used, or when the server does not say which
    /// model it serves, or serves several.
    pub async fn connect(config: OpenAiConfig, key: Option<Secret>) -> Result<Self, ModelError> {
        let transport = transport(&config, key)?;
        let model = match &config.model {
            Some(model) => model.clone(),
            None => only_model(&transport).await.map_err(|kind| ModelError {
                origin: transport.origin().to_owned(),
                kind,
                attempts: 1,
            })?,
        };
        let meter = Arc::new(Meter::new(config.prices.clone(), config.budget));
        Ok(Self {
            model,
            checkpoint: None,
            base: None,
            limiter: Limiter::new(config.in_flight_max),
            circuit: Circuit::new(),
            meter,
            answers_as: OnceLock::new(),
            transport,
            config,
        })
    }

    /// Says which checkpoint the server serves, where Gyre started the server or
    /// told it: then the identity covers the weights.
    #[must_use]
    pub fn serving(mut self, checkpoint: CheckpointId) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Says which checkpoint lies below the adapter that the server serves: it decides
    /// answers too.
    #[must_use]
    pub fn on_top_of(mut self, base: CheckpointId) -> Self {
        self.base = Some(base);
        self
    }

    /// Counts on a meter that others count on too, such as the client of the
    /// candidate beside that of the champion.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.meter.spent()
    }

    /// The server's scheme, host and port.
    pub fn origin(&self) -> &str {
        self.transport.origin()
    }

    /// The model's name, as requests name it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Asks which models the server lists.
    ///
    /// # Errors
    ///
    /// When the server gives no list.
    pub async fn models(&self) -> Result<Vec<String>, ModelError> {
        let listed = self.transport.get("/models").await;
        listed.map(|listed| model_names(&listed)).map_err(|kind| self.error(kind, 1))
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.config.dialect
    }

    pub(crate) fn error(&self, kind: ModelErrorKind, attempts: u32) -> ModelError {
        ModelError { origin: self.transport.origin().to_owned(), kind, attempts }
    }

    /// Sends a request once: within the bounds on requests in flight and on what
    /// may be spent. Nothing is sent, and nothing given, where the server was found
    /// not to answer while this request waited.
    async fn attempt(
        &self,
        pass: &Pass<'_>,
        body: &Value,
        request: &ChatRequest,
    ) -> Result<Option<ChatCompletion>, ModelErrorKind> {
        let permit = self.limiter.acquire().await;
        if pass.has_to_wait() {
            return Ok(None);
        }
        self.meter.admit()?;
        crash_point("request::sending");
        let started = Instant::now();
        let answered = self.transport.post("/chat/completions", body).await;
        crash_point("request::answered");
        match self.read(answered, request) {
            Ok((completion, value)) => {
                pass.answered();
                permit.answered(started.elapsed(), completion.usage.completion);
                Ok(Some(self.with_prompt_ids(completion, &value).await))
            }
            Err(kind) => {
                if kind.is_outage() {
                    pass.failed()
                } else {
                    pass.answered()
                }
                if kind.is_congestion() {
                    permit.congested(self.pause(&kind));
                }
                Err(kind)
            }
        }
    }

    fn read(
        &self,
        answered: Result<Value, ModelErrorKind>,
        request: &ChatRequest,
    ) -> Result<(ChatCompletion, Value), ModelErrorKind> {
        let read = answered.and_then(|value| {
            let completion = answer::read(&value, request, self.config.calls_max)?;
            Ok((completion, value))
        });
        match &read {
            Ok((completion, _)) => self.meter.count(completion.usage),
            Err(kind) => self.meter.count_failure(kind.billed()),
        }
        let (completion, value) = read?;
        self.check_model(value["model"].as_str())?;
        Ok((completion, value))
    }

    /// Checks that the model that answers is the one that answered before.
    fn check_model(&self, now: Option<&str>) -> Result<(), ModelErrorKind> {
        let Some(now) = now else { return Ok(()) };
        let before = self.answers_as.get_or_init(|| now.to_owned());
        if before == now {
            return Ok(());
        }
        Err(ModelErrorKind::ModelChanged { before: before.clone(), now: now.to_owned() })
    }

    /// How long everybody waits: as long as the server asks, within the bound.
    fn pause(&self, kind: &ModelErrorKind) -> Duration {
        let asked = kind.retry().unwrap_or_default();
        asked.min(Duration::from_millis(self.config.backoff.retry_after_max_ms))
    }

    /// llama.cpp tells the prompt as text. Its own tokenizer gives the ids that it
    /// read; where their number is not the one that it counted, they are not known.
    async fn with_prompt_ids(
        &self,
        mut completion: ChatCompletion,
        value: &Value,
    ) -> ChatCompletion {
        let rendered = tokens::rendered_prompt(value).filter(|_| {
            self.config.dialect == Dialect::LlamaCpp && completion.prompt_tokens.is_empty()
        });
        let Some(prompt) = rendered else { return completion };
        let text = json!({"content": prompt, "add_special": true, "parse_special": true});
        let told = self.transport.post_root("/tokenize", &text).await.unwrap_or_default();
        let ids = tokens::ids(&told["tokens"]).unwrap_or_default();
        if ids.len() as u64 == completion.usage.prompt {
            completion.prompt_tokens = ids;
        }
        completion
    }
}

#[async_trait]
impl ModelClient for OpenAi {
    async fn complete(&self, request: ChatRequest) -> Result<ChatCompletion, ModelError> {
        let body = request::body(&self.config, &self.model, &request);
        let mut attempts = 0;
        let enter = async |attempts| {
            let entered = self.circuit.enter().await;
            entered.map_err(|failures| self.error(ModelErrorKind::Down { failures }, attempts))
        };
        let mut pass = enter(attempts).await?;
        loop {
            let kind = match self.attempt(&pass, &body, &request).await {
                Ok(Some(completion)) => return Ok(completion),
                Ok(None) => {
                    pass = enter(attempts).await?;
                    continue;
                }
                Err(kind) => kind,
            };
            let wait = wait(&self.config, &kind, attempts);
            attempts += u32::from(!matches!(kind, ModelErrorKind::BudgetSpent { .. }));
            let Some(wait) = wait else {
                if kind.is_outage() {
                    pass.give_up();
                }
                return Err(self.error(kind, attempts));
            };
            tracing::warn!(
                origin = self.transport.origin(),
                error = kind.name(),
                attempts,
                wait_ms = wait.as_millis() as u64,
                "the model gave no completion; the request is sent again"
            );
            tokio::time::sleep(wait).await;
            if pass.has_to_wait() {
                pass = enter(attempts).await?;
            }
        }
    }

    fn identity(&self) -> ModelIdentity {
        let OpenAiConfig { dialect, top_p, top_k, min_p, extra, .. } = &self.config;
        // Without a checkpoint the server's address stands for what it serves. With
        // one it decides nothing: servers move between ports.
        let origin = self.checkpoint.is_none().then(|| self.transport.origin());
        let name = (&self.model, origin, &self.checkpoint);
        let asked = (dialect, top_p, top_k, min_p, extra);
        let digest = match &self.base {
            None => Digest::of_json(&("openai/1", name, asked)),
            Some(base) => Digest::of_json(&("openai/1", name, asked, base)),
        };
        ModelIdentity { name: self.model.clone(), checkpoint: self.checkpoint.clone(), digest }
    }
}

pub(crate) fn transport(
    config: &OpenAiConfig,
    key: Option<Secret>,
) -> Result<Transport, ModelError> {
    let unusable = |origin: &str, why| ModelError {
        origin: origin.to_owned(),
        kind: ModelErrorKind::Configuration { why },
        attempts: 0,
    };
    let base = config.validate().map_err(|why| unusable("model", why))?;
    let origin = base.origin().ascii_serialization();
    if let (Some(name), None) = (&config.api_key_env, &key) {
        let why = format!("the environment variable {name} is not set; put the key in it");
        return Err(unusable(&origin, why));
    }
    Transport::new(config, &base, key).map_err(|why| unusable(&origin, why))
}

/// The names of the models that a server lists.
pub(crate) fn model_names(listed: &Value) -> Vec<String> {
    let models = listed["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    models.iter().filter_map(|model| model["id"].as_str()).map(str::to_owned).collect()
}

async fn only_model(transport: &Transport) -> Result<String, ModelErrorKind> {
    let names = model_names(&transport.get("/models").await?);
    let why = match names.as_slice() {
        [only] => return Ok(only.clone()),
        [] => "the server lists no model; name the one to ask in `model`".to_owned(),
        [first, ..] => format!(
            "the server lists {} models; name the one to ask in `model`, such as {first:?}",
            names.len()
        ),
    };
    Err(ModelErrorKind::Configuration { why })
}

/// How long to wait before the next attempt; nothing where there is none.
fn wait(config: &OpenAiConfig, kind: &ModelErrorKind, past_retries: u32) -> Option<Duration> {
    let asked = kind.retry()?;
    let Backoff { min_ms, max_ms, retry_after_max_ms } = config.backoff;
    if asked > Duration::from_millis(retry_after_max_ms) {
        return None;
    }
    let policy = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(min_ms), Duration::from_millis(max_ms))
        .build_with_max_retries(config.retries_max);
    let now = now();
    match policy.should_retry(now, past_retries) {
        RetryDecision::Retry { execute_after } => {
            Some(execute_after.duration_since(now).unwrap_or_default().max(asked))
        }
        RetryDecision::DoNotRetry => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time between attempts is measured; no answer depends on it"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
