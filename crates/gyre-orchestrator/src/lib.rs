//! The driver of the loop: executes a round's actions, recovers, audits, replays.
//!
//! [`Runner`] folds what is recorded, executes what is outstanding and records
//! it, one event at a time: a process that is killed leaves a run that the next
//! one continues from the same state. Every choice is made in `gyre-round`;
//! here it is carried out.
//!
//! Invariants:
//! - An action's rows and the event that tells of it enter the lineage in one
//!   transaction. A file that no transaction names is garbage, removed at the
//!   next start.
//! - What an action does follows from plan and lineage alone: never from the
//!   clock, from the wave's place in a process, or from what was in memory.
//! - A grading key is read to judge and to show a task to the people who run the
//!   service or the command. It reaches no agent, no guest and no training row.

mod anchor;
mod approval;
mod audit;
mod audit_verifier;
mod cancel;
mod champion;
mod checkpoints;
mod clock;
mod config;
mod engine;
mod error;
mod evaluate;
mod gc;
mod handover;
mod harness;
mod host;
mod identity;
pub mod inspect;
mod judging;
mod layout;
mod models;
mod objects;
mod policy_settings;
mod progress;
mod project;
mod promotion_settings;
mod registry;
mod replay;
mod revoke;
mod run;
mod runner;
pub mod scheduler;
mod search;
mod server_settings;
pub mod shown;
mod stored;
mod summary;
mod trainers;
mod unknown_key;
mod weights;
mod worker;
mod worker_settings;

pub use anchor::renew_anchors;
pub use approval::{Answered, PersonAnswer, answer, person, waiting};
pub use audit::{AuditFinding, RunAudit, audit, audit_all};
pub use audit_verifier::{VerifierAuditPlan, audit_verifier};
pub use cancel::Cancel;
pub use clock::Clock;
pub use config::{
    ColdStartConfig, ConfigError, DatabaseConfig, HeldOutConfig, OnFault, RolloutConfig, RunConfig,
    SandboxSettings, TasksConfig, VerifiersConfig,
};
pub use engine::EmbeddedError;
pub use error::Error;
pub use evaluate::{
    Attempts, EVALUATION_VERSION, EvaluatedModel, EvaluationReport, Evaluator, Subject,
};
pub use gc::{GcItem, GcReport, GcRules, collect as collect_garbage};
pub use gyre_fault::Failpoints;
pub use handover::{Tell, deliver_pending, deliver_run, standing};
pub use harness::{Harness, open_sandbox};
pub use host::default_cache_dir;
pub use judging::{Judging, component_verifier};
pub use layout::DataDir;
pub use policy_settings::{ModelKind, ModelSettings, StartSettings, TrainerSettings};
pub use progress::{Observer, Progress, Silent};
pub use project::Project;
pub use promotion_settings::{PromotionSettings, WebhookSettings};
pub use registry::{Registrant, VerifierRegistration, register_verifier};
pub use replay::{Replay, Replayer, record_of};
pub use revoke::{
    Replacement, ReviewedGate, RevocationReport, RevokeRequest, Revoker, RunRevocation,
    TouchedPromotion, TouchedRow, TouchedShard,
};
pub use runner::Runner;
pub use search::{Searched, search_answers};
pub use server_settings::ServerSettings;
pub use summary::{Level, RoundSummary, RunSummary};
pub use worker::{Worker, WorkerOptions};
pub use worker_settings::{WorkerMode, WorkerSettings};
