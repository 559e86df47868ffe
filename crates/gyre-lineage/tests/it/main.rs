//! The store against both real databases.
//!
//! The PostgreSQL half needs a server: `GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)`.
//! and PgBouncer: `GYRE_TEST_PGBOUNCER=$(.ci/pgbouncer)`.

mod all;
mod audit;
mod backup;
mod conformance;
mod errors;
mod groups;
mod handover;
mod listing;
mod migrations;
mod pooler;
mod processes;
mod query;
mod registry;
mod revocation;
mod scenario;
mod schedules;
mod seal;
mod support;
mod tls;
mod work;
