//! HTTP over a data folder: a JSON API, web pages and metrics, from one binary.
//!
//! Invariants:
//! - A request writes to the lineage in two ways alone: it asks for a schedule's
//!   round, or pauses or resumes a schedule; and it records a person's word on a
//!   candidate that waits for approval. A replay compares and stores nothing.
//! - What a policy, a guest or a verifier wrote is text: it is escaped, what
//!   would turn or hide text is made visible, and the content policy lets no
//!   script run but the one that ships with the binary.
//! - A request is answered only under a name of this service (no DNS
//!   rebinding), from its own pages (no CSRF), and with the token where the
//!   address is not loopback or something is started.
//! - What is asked for wrongly is a 4xx with a stable code, never a 5xx.
//! - Lists are pages with a bound: memory does not grow with the data.
//! - Callers are bounded before any token: their connections, the time that their
//!   requests take to arrive and their answers to be read, and how many download
//!   or wait at once ([`ServerLimits`]). Probes are answered under all of it.
//!
//! Nothing outside this crate names axum.

mod admission;
mod answer;
mod api;
mod app;
mod connections;
mod events;
mod failure;
mod filters;
mod guard;
mod limits;
mod openapi;
mod ops;
mod pages;
mod params;
mod present;
mod refusal;
mod replay;
mod router;
mod seat;
mod server;
mod shutdown;
mod steady;
mod token;

pub use limits::ServerLimits;
pub use server::{ServeError, Server, ServerOptions};
pub use shutdown::Shutdown;
pub use token::Token;
