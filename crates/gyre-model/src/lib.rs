//! Models that are asked for the next turn of an episode.
//!
//! [`ModelClient`] is the seam: one conversation in, one completion out.
//! [`OpenAi`] speaks to any OpenAI-compatible server, and [`Recorded`] replays
//! what a model once answered.
//!
//! A server is not trusted: its answer is read within bounds, judged by pure
//! functions, and every way in which it can fail is one [`ModelErrorKind`] that
//! says whether trying again makes sense and whether it was billed.
//! What a *model* does wrong is data: a completion keeps what was sampled, also
//! where that is no JSON, and [`renderable`] makes the history that is sent back
//! acceptable to servers.
//!
//! Nothing here reads the environment: a key is passed in as a [`Secret`].
//! Nothing here knows a task, a sandbox or a verdict.

mod adapter;
mod answer;
mod arguments;
mod check;
mod circuit;
mod client;
mod config;
mod dialect;
mod error;
mod failure;
mod history;
mod limit;
mod meter;
mod openai;
mod probe;
mod recorded;
mod request;
mod secret;
mod serving;
mod tokens;
mod transport;

pub use arguments::{BadArguments, parse_arguments};
pub use check::{CheckReport, Finding, Support, check};
pub use client::{ModelClient, ModelIdentity};
pub use config::{Backoff, MaxTokensKey, OpenAiConfig, Timeouts};
pub use dialect::Dialect;
pub use error::{Billed, ModelError, ModelErrorKind, Phase};
pub use history::renderable;
pub use meter::{Budget, Meter, Prices, Spent};
pub use openai::OpenAi;
pub use recorded::{Recorded, RecordedCompletion, request_digest};
pub use secret::Secret;
pub use tokens::{Extension, TurnTokens, extends};
