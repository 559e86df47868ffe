//! Log lines to stderr, and traces to an OpenTelemetry collector where the
//! usual environment variables name one.

use std::env;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::args::{Global, LOG_DEFAULT, LogFormat};
use crate::exit::Failure;

/// A wave's rollouts end within moments of each other.
const SPANS_WAITING_MAX: usize = 1 << 16;
/// How long a collector may take over one request, and over the last ones.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever names one of these wants traces; the first is used as it is.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Whether what was said goes into traces.
const CAPTURE_MESSAGES: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

/// Sends what is still to be sent once it is dropped.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.0 {
            // What does not arrive was told by the client.
            let _ = traces.shutdown_with_timeout(PATIENCE);
        }
    }
}

/// Starts logs and traces.
///
/// # Errors
///
/// When the environment asks for traces in a way that cannot be met.
pub(crate) fn start(global: &Global) -> anyhow::Result<Telemetry> {
    let traces = traces();
    let asked = |filter: &str| EnvFilter::try_new(filter);
    let filter = asked(&global.log).or_else(|_| asked(LOG_DEFAULT))?;
    // Lines never carry messages, whatever is asked for: see `--log` of `MESSAGES`.
    let filter = filter.add_directive(format!("{}=off", gyre_rollout::MESSAGES).parse()?);
    let as_json = match global.log_format {
        Some(format) => format == LogFormat::Json,
        None => global.json,
    };
    let in_colour = std::io::stderr().is_terminal() && told("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(in_colour);
    let lines = if as_json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_target(false).without_time().boxed()
    };
    let spans = traces.as_ref().ok().and_then(Option::as_ref).map(|traces| {
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("gyre"));
        layer
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(traced())
    });
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    Ok(Telemetry(traces?))
}

/// Gyre's own spans; messages only where they are asked for.
fn traced() -> Targets {
    let messages = told(CAPTURE_MESSAGES).is_some_and(|value| is_yes(&value));
    let messages = if messages { LevelFilter::INFO } else { LevelFilter::OFF };
    Targets::new()
        .with_target("gyre", LevelFilter::INFO)
        .with_target(gyre_rollout::MESSAGES, messages)
}

/// What a variable says, where it says anything.
#[expect(clippy::disallowed_methods, reason = "variables that every tool of this kind knows")]
fn told(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn is_yes(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "1" | "span_only")
}

/// A provider of traces, where a collector is named.
fn traces() -> anyhow::Result<Option<SdkTracerProvider>> {
    let off = told("OTEL_SDK_DISABLED").is_some_and(|value| is_yes(&value))
        || told("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let Some((name, endpoint)) = ENDPOINTS.iter().find_map(|name| Some((name, told(name)?))) else {
        return Ok(None);
    };
    if off {
        return Ok(None);
    }
    let wrong = |why: String| Failure {
        code: Failure::WRONG_USAGE,
        message: format!("{name}={endpoint}: {why}"),
    };
    if !endpoint.starts_with("http://") {
        let why =
            "traces go over http:// only; have a collector on this host pass them on by https";
        return Err(wrong(why.to_owned()).into());
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(&endpoint))
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let named = told("OTEL_SERVICE_NAME").unwrap_or_else(|| "gyre".to_owned());
    let resource = Resource::builder()
        .with_service_name(named)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor);
    Ok(Some(provider.with_resource(resource).build()))
}

/// Whoever takes traces, over the client that the rest of this binary uses.
#[derive(Debug)]
struct Collector {
    agent: ureq::Agent,
    /// As it was named, for people; it holds no secret that a line may not show.
    endpoint: String,
    /// Whether it did not take what it was sent last.
    is_away: AtomicBool,
}

impl Collector {
    fn new(endpoint: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        let shown = match endpoint.split_once('@') {
            Some((_, host)) => format!("http://{host}"),
            None => endpoint.to_owned(),
        };
        Self { agent: config.into(), endpoint: shown, is_away: AtomicBool::new(false) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.agent.run(request.map(|body| body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: the exporter has a thread of its own for it.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        let why = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let was_away = self.is_away.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !was_away => {
                tracing::warn!(endpoint = self.endpoint, why, "the collector takes no traces");
            }
            None if was_away => {
                tracing::warn!(endpoint = self.endpoint, "the collector takes traces again");
            }
            _ => {}
        }
        sent
    }
}
