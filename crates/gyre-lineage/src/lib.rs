//! What produced what: the record of every run, over SQLite and PostgreSQL.
//!
//! [`Store`] is the whole API. Underneath stand one trait of a few statements
//! and its two implementations; all queries are written once, in SQL that both
//! databases read alike, and one conformance suite runs against both for real.
//!
//! Invariants:
//! - [`Store::commit`] is the only way in for anything that a run produces
//!   (verifiers and revocations count for all runs, and have ways of their own):
//!   one transaction, fenced by the lease's epoch and by the expected sequence
//!   number. A crash before it means that nothing happened, after it that
//!   everything did.
//! - A file exists only once a commit names it; the store never reads one.
//! - Verdicts, events, gates and promotions are only ever appended.
//! - Whatever is recorded of a run is sealed in the transaction that records it.
//! - The crate knows no clock: times are arguments.
//! - Lists are pages, and [`All`] walks every page: memory does not grow with the number of rollouts, and what
//!   the index tables hold follows from other rows alone.
//! - No message shows the password of a database URL.
//! - What leaves this machine is encrypted, unless the URL says otherwise.
//! - People's own SQL runs with no right but to read the views.
//!
//! Nothing outside this crate names sqlx.

mod all;
mod approval;
mod audit;
mod backup;
mod cells;
mod claim;
mod commit;
mod counts;
mod database;
mod edges;
mod error;
mod find;
mod guards;
mod handover;
mod lease;
mod listing;
mod location;
mod migrations;
mod own_queries;
mod page;
mod postgres;
mod query;
mod read;
mod registry;
mod retired;
mod revocation;
mod rows;
mod runs;
mod schedule;
mod schema;
mod seal;
mod sqlite;
mod statement;
mod store;
mod taint;
mod tick;
mod transport;
mod words;
mod work;
mod workers;

pub use all::All;
pub use approval::{AnswerVia, ApprovalAnswer, ApprovalRow, NewAnswer, NewApproval};
pub use audit::{AuditRules, Finding};
pub use backup::{BackupSummary, restore};
pub use claim::{Settlement, TickClaim, TickLease};
pub use commit::{Commit, CorrectionStep, GateReview, NewEvent, Promotion, ShardRewrite};
pub use counts::{CellRate, TaskRate, VerdictCount};
pub use edges::{Edge, Lineage, Node};
pub use error::StoreError;
pub use find::{Found, Kind};
pub use guards::{AlarmRow, CanaryRow, InvalidCount, InvalidKind};
pub use handover::{AttemptOutcome, HandoverAttempt, HandoverRow, NewHandover};
pub use lease::Lease;
pub use location::{DatabaseUrl, DatabaseUrlError};
pub use page::{Cursor, Page, RolloutFilter, ScoreBounds, TaskFilter, VerdictFilter};
pub use query::{QueryLimits, QueryRows};
pub use registry::{NewVerifier, RevokedVerifier, VerifierKind, VerifierRow, VerifierStatus};
pub use revocation::{NewRevocation, RevocationRow, RevocationTarget};
pub use rows::{
    CheckpointRow, EventRow, GateDecision, GateRow, NewTask, PartRow, PromotionRow, RolloutRow,
    RolloutWithVerdict, RunRow, RunStatus, ShardKind, ShardRow, ShardRowRef, TaskRow, VerdictRow,
};
pub use runs::NewRun;
pub use schedule::{NewSchedule, ScheduleRow, ScheduleStatus, TickDecision};
pub use seal::{SealAudit, SealChain, SealHead};
pub use store::Store;
pub use taint::{Touched, TouchedCheckpoint, TouchedVerdicts, nobody};
pub use tick::{TickEvent, TickKind, TickRow, TickState};
pub use transport::{ServerTls, TlsMode, Transport};
pub use work::{Delivery, WorkClaim, WorkKey, WorkOffer, WorkRow, WorkState};
pub use workers::{FleetRow, NewWorker, WorkerRow, WorkerStatus};
