use std::time::Duration;

/// Why a model gave no completion.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{origin}: {kind}{}", after_attempts(*.attempts))]
pub struct ModelError {
    /// The server's scheme, host and port: never a path, a query or a key.
    pub origin: String,
    /// What happened.
    pub kind: ModelErrorKind,
    /// Requests that were sent for this completion.
    pub attempts: u32,
}

fn after_attempts(attempts: u32) -> String {
    if attempts > 1 { format!(" (after {attempts} attempts)") } else { String::new() }
}

/// What happened instead of a completion, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelErrorKind {
    /// No connection was made.
    #[error("cannot be reached ({why}); start the server, or correct `url`")]
    Connect {
        /// What the network said.
        why: String,
    },
    /// The server was too slow.
    #[error("{}", .phase.message(*.limit_ms))]
    TimedOut {
        /// What it was doing.
        phase: Phase,
        /// How long it had.
        limit_ms: u64,
    },
    /// The connection ended in the middle of the exchange.
    #[error(
        "the connection broke before the answer was complete ({why}); look at the server's log"
    )]
    Broken {
        /// What the network said.
        why: String,
    },
    /// The server answered with an error.
    #[error("the server answered {status}{}", quoted(.says))]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the body said, bounded.
        says: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The server answered 200, and an error in the body.
    #[error("the server answered 200 with an error in the body{}", quoted(.says))]
    ErrorBody {
        /// What the body said, bounded.
        says: String,
    },
    /// The server wants fewer requests.
    #[error(
        "the server limits the rate of requests{}; lower `in_flight_max`, or raise the quota",
        quoted(.says)
    )]
    RateLimited {
        /// What the body said, bounded.
        says: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The account has nothing left to spend: waiting does not help.
    #[error("the account's quota is used up{}; raise it at the provider", quoted(.says))]
    QuotaExhausted {
        /// What the body said, bounded.
        says: String,
    },
    /// The conversation does not fit in the model's context.
    #[error(
        "the prompt is too long for the model{}; shorten the task's prompt or its observations, \
         lower `tokens_max`, or serve the model with a longer context",
        quoted(.says)
    )]
    PromptTooLong {
        /// What the body said, bounded.
        says: String,
        /// Tokens that the context holds, where the server told.
        context: Option<u64>,
    },
    /// The server did not accept the key.
    #[error(
        "the server refused the key (status {status}); {}",
        key_advice(.key_env.as_deref())
    )]
    RefusedKey {
        /// The HTTP status.
        status: u16,
        /// The environment variable that the key came from.
        key_env: Option<String>,
    },
    /// The server wants to send the request elsewhere, which Gyre never does: the
    /// key belongs to this origin.
    #[error("the server redirects to {to} (status {status}); set `url` to where the server is")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The origin that it names, if any.
        to: String,
    },
    /// The body is not a chat completion.
    #[error("the answer cannot be read: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
        /// Whether it was billed.
        billed: Billed,
        /// Whether another attempt may give another body.
        retry: bool,
    },
    /// The body is longer than allowed.
    #[error("the answer is longer than {limit} bytes; raise `body_bytes_max` if it is meant to be")]
    BodyTooLarge {
        /// `body_bytes_max`.
        limit: u64,
    },
    /// Another model answered than before: what follows would mix two policies.
    #[error(
        "the server now answers as {now:?} and answered as {before:?} before; serve one model for \
         a whole round"
    )]
    ModelChanged {
        /// The model's name in earlier answers.
        before: String,
        /// The model's name in this one.
        now: String,
    },
    /// The server serves other models than the one that is asked for.
    #[error("{}", not_served(.asked, .listed, .answers_as.as_deref()))]
    NotServed {
        /// The model that is asked for.
        asked: String,
        /// The models that the server lists.
        listed: Vec<String>,
        /// The model that its answer named.
        answers_as: Option<String>,
    },
    /// The configuration or the request cannot be used.
    #[error("{why}")]
    Configuration {
        /// What is wrong, and what to do.
        why: String,
    },
    /// A bound on what may be spent is reached; nothing was sent.
    #[error("the budget is spent: {spent} of {limit} {unit}; raise `budget.{key}` to go on")]
    BudgetSpent {
        /// The bound's name in the configuration.
        key: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How much was spent.
        spent: String,
        /// How much may be.
        limit: String,
    },
    /// Other requests found that the server does not answer; nothing was sent.
    #[error("the server is down: {failures} requests in a row failed; look at the server's log")]
    Down {
        /// Requests that failed, one after the other.
        failures: u32,
    },
    /// The recorded conversation goes another way.
    #[error("{why}")]
    Recording {
        /// Where it leaves the recording.
        why: String,
    },
}

/// What a server was doing when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Accepting the connection.
    Connect,
    /// Beginning to answer: until the last byte of the answer's head.
    FirstByte,
    /// Sending the answer's body.
    Body,
}

impl Phase {
    fn message(self, limit_ms: u64) -> String {
        match self {
            Self::Connect => format!(
                "no connection within {limit_ms} ms; start the server, or correct `url`, or raise \
                 `timeouts.connect_ms`"
            ),
            Self::FirstByte => format!(
                "no answer began within {limit_ms} ms; raise `timeouts.first_byte_ms`, or lower \
                 `in_flight_max` or `tokens_max`"
            ),
            Self::Body => format!(
                "the answer was not complete within {limit_ms} ms; raise `timeouts.request_ms`, or \
                 lower `in_flight_max` or `tokens_max`"
            ),
        }
    }
}

/// Whether a request that gave no completion was billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billed {
    /// It never reached the model.
    No,
    /// The model answered it.
    Yes,
    /// The server may have run the model.
    Unknown,
}

impl ModelError {
    /// How long to wait, at least, before the same request may be sent again;
    /// nothing where that makes no sense: it would fail again, or was paid for.
    pub fn retry(&self) -> Option<Duration> {
        self.kind.retry()
    }

    /// Whether it was billed.
    pub fn billed(&self) -> Billed {
        self.kind.billed()
    }
}

impl ModelErrorKind {
    /// A short name for counters, which never changes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::TimedOut { phase: Phase::Connect, .. } => "timeout_connect",
            Self::TimedOut { phase: Phase::FirstByte, .. } => "timeout_first_byte",
            Self::TimedOut { phase: Phase::Body, .. } => "timeout_body",
            Self::Broken { .. } => "broken",
            Self::Status { .. } => "status",
            Self::ErrorBody { .. } => "error_body",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::RefusedKey { .. } => "refused_key",
            Self::Redirected { .. } => "redirected",
            Self::Malformed { .. } => "malformed",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::ModelChanged { .. } => "model_changed",
            Self::NotServed { .. } => "not_served",
            Self::Configuration { .. } => "configuration",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Down { .. } => "down",
            Self::Recording { .. } => "recording",
        }
    }

    /// See [`ModelError::retry`].
    pub fn retry(&self) -> Option<Duration> {
        let (retries, after) = match self {
            Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::ErrorBody { .. } => (true, None),
            Self::Status { status, retry_after, .. } => (is_transient(*status), *retry_after),
            Self::RateLimited { retry_after, .. } => (true, *retry_after),
            Self::Malformed { retry, .. } => (*retry, None),
            Self::QuotaExhausted { .. }
            | Self::PromptTooLong { .. }
            | Self::RefusedKey { .. }
            | Self::Redirected { .. }
            | Self::BodyTooLarge { .. }
            | Self::ModelChanged { .. }
            | Self::NotServed { .. }
            | Self::Configuration { .. }
            | Self::BudgetSpent { .. }
            | Self::Down { .. }
            | Self::Recording { .. } => (false, None),
        };
        retries.then(|| after.unwrap_or_default())
    }

    /// See [`ModelError::billed`].
    pub fn billed(&self) -> Billed {
        match self {
            Self::TimedOut { phase: Phase::FirstByte | Phase::Body, .. }
            | Self::Broken { .. }
            | Self::ErrorBody { .. } => Billed::Unknown,
            Self::Status { status, .. } if *status >= 500 => Billed::Unknown,
            Self::Malformed { billed, .. } => *billed,
            Self::BodyTooLarge { .. } | Self::ModelChanged { .. } | Self::NotServed { .. } => {
                Billed::Yes
            }
            _ => Billed::No,
        }
    }

    /// Whether it means that the server is overloaded: fewer requests at a time
    /// may help.
    pub(crate) fn is_congestion(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => matches!(status, 503 | 504 | 529),
            _ => false,
        }
    }

    /// Whether it means that the server does not answer at all.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// Statuses that say "not now" rather than "never": RFC 9110, and 529, by which
/// some providers say that they are overloaded.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 500 | 502 | 503 | 504 | 520..=529)
}

fn quoted(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!(": {says:?}") }
}

/// Names shown of a list: a hosted server's may have hundreds.
const LISTED_SHOWN: usize = 8;

fn not_served(asked: &str, listed: &[String], answers_as: Option<&str>) -> String {
    let shown: Vec<_> = listed.iter().take(LISTED_SHOWN).map(|name| format!("{name:?}")).collect();
    let more = if listed.len() > LISTED_SHOWN { ", …" } else { "" };
    let answered = match answers_as {
        Some(name) => format!(" and answers as {name:?}"),
        None => String::new(),
    };
    format!(
        "the server does not serve {asked:?}: it lists {}{more}{answered}; serve that model under \
         that name, or name the one that is served",
        shown.join(", ")
    )
}

fn key_advice(key_env: Option<&str>) -> String {
    match key_env {
        Some(name) => format!("put a valid key in the environment variable {name}"),
        None => "name the environment variable that holds a key in `api_key_env`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_billed_is_never_tried_again() {
        let kinds = [
            ModelErrorKind::BodyTooLarge { limit: 1 },
            ModelErrorKind::ModelChanged { before: "a".into(), now: "b".into() },
        ];
        for kind in kinds {
            assert_eq!((kind.billed(), kind.retry()), (Billed::Yes, None), "{kind}");
        }
    }

    #[test]
    fn a_status_says_whether_to_try_again() {
        let retry = |status| {
            let retry_after = Some(Duration::from_secs(3));
            ModelErrorKind::Status { status, says: String::new(), retry_after }.retry()
        };
        for status in [408, 425, 500, 502, 503, 504, 529] {
            assert_eq!(retry(status), Some(Duration::from_secs(3)), "{status}");
        }
        for status in [400, 404, 405, 418, 422, 501, 505] {
            assert_eq!(retry(status), None, "{status}");
        }
    }
}
