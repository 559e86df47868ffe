use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gyre_types::{ChatCompletion, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arguments::{parse_arguments, preview};
use crate::client::ModelClient;
use crate::config::OpenAiConfig;
use crate::error::{ModelError, ModelErrorKind};
use crate::meter::Spent;
use crate::openai::{OpenAi, model_names};
use crate::probe;
use crate::secret::Secret;

/// Requests that are sent at the same time, at most.
const PARALLEL_MAX: u32 = 8;

/// What a server supports, each found by trying it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// The server's scheme, host and port.
    pub origin: String,
    /// The model that was asked.
    pub model: String,
    /// The models that the server lists.
    pub models: Vec<String>,
    /// Whether the model calls a tool when it is told to.
    pub tools: Finding,
    /// Whether the server goes on after a tool's result.
    pub tool_results: Finding,
    /// Whether it tells the ids of the prompt's tokens.
    pub prompt_ids: Finding,
    /// Whether it tells the ids of sampled tokens.
    pub token_ids: Finding,
    /// Whether it tells their log-probabilities.
    pub logprobs: Finding,
    /// Whether a seed decides what is sampled.
    pub seed: Finding,
    /// Whether it counts tokens.
    pub usage: Finding,
    /// Whether its context's length is known.
    pub context: Finding,
    /// Tokens of its context, where known.
    pub context_tokens: Option<u64>,
    /// Whether requests at the same time are faster than one after the other.
    pub parallel: Finding,
    /// Sampled tokens a second of one request.
    pub tokens_per_second: f64,
    /// Sampled tokens a second of all requests at the same time, over those of one.
    pub speed_up: f64,
    /// What the check cost.
    pub spent: Spent,
}

/// Whether something is supported, and how that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Whether it is.
    pub support: Support,
    /// What was seen.
    pub detail: String,
}

/// Whether something is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It was seen to work.
    Yes,
    /// It was tried and does not.
    No,
    /// Nothing that was tried tells.
    Unknown,
}

impl Finding {
    fn new(support: Support, detail: impl Into<String>) -> Self {
        Self { support, detail: detail.into() }
    }

    fn yes_if(works: bool, yes: impl Into<String>, no: impl Into<String>) -> Self {
        if works { Self::new(Support::Yes, yes) } else { Self::new(Support::No, no) }
    }
}

/// Finds out what a server supports. Sends about a dozen short requests, and one
/// long prompt where the server does not tell the length of its context.
///
/// # Errors
///
/// When the configuration cannot be used, or the server does not complete a plain
/// conversation: then nothing else works either.
pub async fn check(config: OpenAiConfig, key: Option<Secret>) -> Result<CheckReport, ModelError> {
    let parallel = config.in_flight_max.min(PARALLEL_MAX);
    let client = Arc::new(OpenAi::connect(config, key).await?);
    let first = client.complete(probe::story(1)).await?;
    let started = Instant::now();
    let again = client.complete(probe::story(1)).await?;
    let one = Pace::new(&[again.usage.completion], started.elapsed());
    let other = client.complete(probe::story(2)).await?;
    let (tools, tool_results) = check_tools(&client).await;
    let listed = client.transport().get("/models").await.unwrap_or_default();
    let (context, context_tokens) = check_context(&client, &listed).await;
    let (parallel, speed_up) = check_parallel(&client, parallel, &one).await;
    Ok(CheckReport {
        origin: client.transport().origin().to_owned(),
        model: client.model().to_owned(),
        models: model_names(&listed),
        tools,
        tool_results,
        prompt_ids: check_ids(&first.prompt_tokens),
        token_ids: check_ids(&first.tokens),
        logprobs: check_logprobs(&first),
        seed: check_seed(&first, &again, &other),
        usage: check_usage(&first),
        context,
        context_tokens,
        parallel,
        tokens_per_second: one.tokens_per_second,
        speed_up,
        spent: client.spent(),
    })
}

fn check_ids(ids: &[u32]) -> Finding {
    Finding::yes_if(
        !ids.is_empty(),
        format!("{} ids", ids.len()),
        "none, or not as many as the server counted; is `dialect` right?",
    )
}

fn check_logprobs(completion: &ChatCompletion) -> Finding {
    let count = completion.logprobs.len();
    Finding::yes_if(count > 0, format!("{count} values"), "none in the answer, or not one a token")
}

fn check_usage(completion: &ChatCompletion) -> Finding {
    let usage = completion.usage;
    Finding::yes_if(
        usage.prompt > 0 && usage.completion > 0,
        format!("{} tokens in, {} out", usage.prompt, usage.completion),
        "no counts, so budgets in tokens and money bind nothing",
    )
}

fn check_seed(first: &ChatCompletion, again: &ChatCompletion, other: &ChatCompletion) -> Finding {
    let is_same = |a: &ChatCompletion, b: &ChatCompletion| {
        (&a.message, &a.reasoning, &a.tokens) == (&b.message, &b.reasoning, &b.tokens)
    };
    match (is_same(first, again), is_same(first, other)) {
        (true, false) => Finding::new(Support::Yes, "equal seeds, equal answers; another differs"),
        (true, true) => Finding::new(Support::Unknown, "two seeds gave the same answer"),
        (false, _) => Finding::new(Support::No, "the same seed gave two different answers"),
    }
}

/// Makes the model call a tool: first by asking, then by demanding it.
async fn check_tools(client: &OpenAi) -> (Finding, Finding) {
    let mut refused = String::new();
    for choice in [ToolChoice::Auto, ToolChoice::Tool(probe::TOOL.to_owned())] {
        let is_demanded = choice != ToolChoice::Auto;
        let request = probe::call(choice);
        let completion = match client.complete(request.clone()).await {
            Ok(completion) => completion,
            Err(error) => {
                refused = error.kind.to_string();
                continue;
            }
        };
        if let Err(why) = called(&completion) {
            refused = why;
            continue;
        }
        let how = if is_demanded { "called when `tool_choice` demands it" } else { "called" };
        let goes_on = client.complete(probe::after_call(request, completion.message)).await;
        let results = match goes_on {
            Ok(_) => Finding::new(Support::Yes, "taken"),
            Err(error) => Finding::new(Support::No, error.kind.to_string()),
        };
        return (Finding::new(Support::Yes, how), results);
    }
    (
        Finding::new(Support::No, format!("{refused}; use `acting = \"text\"`")),
        Finding::new(Support::Unknown, "no call to answer"),
    )
}

/// Whether a completion calls the tool in the right way.
fn called(completion: &ChatCompletion) -> Result<(), String> {
    let Some(call) = completion.message.tool_calls.first() else {
        return Err(format!("answered in prose: {:?}", preview(&completion.message.content, 60)));
    };
    let arguments = parse_arguments(&call.arguments).map_err(|error| error.to_string())?;
    if call.name == probe::TOOL && arguments.get("number") == Some(&Value::from(probe::NUMBER)) {
        return Ok(());
    }
    Err(format!("called {:?} with {}", call.name, preview(&call.arguments, 60)))
}

/// The length of the context: by asking, else by a prompt that is too long.
async fn check_context(client: &OpenAi, listed: &Value) -> (Finding, Option<u64>) {
    if let Some(tokens) = listed_context(listed, client.model()) {
        let told = format!("{tokens} tokens, as `/models` tells");
        return (Finding::new(Support::Yes, told), Some(tokens));
    }
    let props = client.transport().get_root("/props").await.unwrap_or_default();
    if let Some(tokens) = props["default_generation_settings"]["n_ctx"].as_u64() {
        let told = format!("{tokens} tokens a request, as `/props` tells");
        return (Finding::new(Support::Yes, told), Some(tokens));
    }
    match client.complete(probe::long_prompt()).await {
        Ok(completion) => {
            let taken = format!("at least {} tokens were taken", completion.usage.prompt);
            (Finding::new(Support::Unknown, taken), None)
        }
        Err(ModelError { kind: ModelErrorKind::PromptTooLong { context, .. }, .. }) => {
            let told = context.map_or("a long prompt is refused".to_owned(), |tokens| {
                format!("{tokens} tokens, as the refusal of a long prompt tells")
            });
            (Finding::new(Support::Yes, told), context)
        }
        Err(error) => (Finding::new(Support::No, error.kind.to_string()), None),
    }
}

/// vLLM and SGLang, llama.cpp and hosted servers each use another key.
fn listed_context(listed: &Value, model: &str) -> Option<u64> {
    let models = listed["data"].as_array()?;
    let model = models.iter().find(|listed| listed["id"] == model)?;
    let places = [
        &model["max_model_len"],
        &model["meta"]["n_ctx"],
        &model["context_length"],
        &model["context_window"],
    ];
    places.into_iter().find_map(Value::as_u64)
}

/// How fast tokens were sampled.
struct Pace {
    tokens_per_second: f64,
}

impl Pace {
    fn new(tokens: &[u64], took: Duration) -> Self {
        let tokens: u64 = tokens.iter().sum();
        Self { tokens_per_second: tokens as f64 / took.as_secs_f64().max(1e-9) }
    }
}

async fn check_parallel(client: &Arc<OpenAi>, count: u32, one: &Pace) -> (Finding, f64) {
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for seed in 0..count {
        let client = Arc::clone(client);
        let request = probe::story(u64::from(seed) + 10);
        requests.spawn(async move { client.complete(request).await });
    }
    let (mut tokens, mut failures) = (Vec::new(), Vec::new());
    while let Some(ended) = requests.join_next().await {
        match ended {
            Ok(Ok(completion)) => tokens.push(completion.usage.completion),
            Ok(Err(error)) => failures.push(error.kind.to_string()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    let all = Pace::new(&tokens, started.elapsed());
    let speed_up = all.tokens_per_second / one.tokens_per_second.max(1e-9);
    let finding = match failures.first() {
        Some(why) => {
            Finding::new(Support::No, format!("{} of {count} failed: {why}", failures.len()))
        }
        None => Finding::yes_if(
            speed_up > 1.2,
            format!("{count} requests at a time are {speed_up:.1} times as fast"),
            format!("{count} requests at a time are no faster ({speed_up:.1} times)"),
        ),
    };
    (finding, speed_up)
}

impl CheckReport {
    /// What people read: one line for each thing that was tried.
    pub fn rows(&self) -> [(&'static str, &Finding); 9] {
        [
            ("tool calls", &self.tools),
            ("tool results", &self.tool_results),
            ("prompt ids", &self.prompt_ids),
            ("token ids", &self.token_ids),
            ("log-probabilities", &self.logprobs),
            ("seed", &self.seed),
            ("usage", &self.usage),
            ("context", &self.context),
            ("parallel requests", &self.parallel),
        ]
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {}", self.model, self.origin)?;
        for (name, finding) in self.rows() {
            writeln!(f, "{name:<18} {:<8} {}", finding.support, finding.detail)?;
        }
        writeln!(f, "{:<18} {:.1} a second, of one request", "tokens", self.tokens_per_second)?;
        let Spent { requests, usage, .. } = self.spent;
        let tokens = (usage.prompt, usage.completion);
        write!(f, "{:<18} {requests} requests, {} tokens in, {} out", "cost", tokens.0, tokens.1)
    }
}
