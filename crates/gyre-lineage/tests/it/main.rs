//! The store against both real databases.
//!
//! The PostgreSQL half needs a server: `GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)`.

mod audit;
mod conformance;
mod errors;
mod processes;
mod registry;
mod revocation;
mod scenario;
mod schedules;
mod support;
