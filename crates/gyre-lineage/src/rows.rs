use std::fmt;
use std::str::FromStr;

use gyre_types::{
    CheckResult, CheckpointId, Digest, Judgement, PartId, Purpose, RolloutId, RolloutRecord, RunId,
    Seed, ShardId, StopReason, StoredPath, Task, TaskId, Verdict,
};
use serde_json::Value;

/// Defines an enum whose variants are stored by name.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// The name in tables and JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is not one of {}", [$($text),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use stored_enum;

stored_enum! {
    /// Where a run stands.
    RunStatus {
        /// It has rounds to go, whether or not a process works on it now.
        Active = "active",
        /// Its stop rule was met.
        Finished = "finished",
        /// A round failed for good.
        Failed = "failed",
        /// Somebody stopped it for good.
        Cancelled = "cancelled",
    }
}

stored_enum! {
    /// What a gate said.
    GateDecision {
        /// The candidate became champion.
        Promoted = "promoted",
        /// The champion stays.
        Rejected = "rejected",
    }
}

stored_enum! {
    /// What the rows of a shard are.
    ShardKind {
        /// Rollouts that were chosen to train on.
        Accepted = "accepted",
        /// Every rollout of a round that has a verdict, passed or failed.
        Groups = "groups",
    }
}

/// A run as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id: the configured name and the ordinal.
    pub id: RunId,
    /// The configured name.
    pub name: String,
    /// Digest of everything that decides its outcome.
    pub fingerprint: Digest,
    /// The seed that every stream derives from.
    pub seed: Seed,
    /// The whole configuration.
    pub config: Value,
    /// The sandbox that it started with.
    pub sandbox_digest: Digest,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// Where it stands.
    pub status: RunStatus,
    /// Number of its newest event; 0 before the first.
    pub last_seq: u64,
}

/// An event as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Consecutive in its run, from 1.
    pub seq: u64,
    /// The round.
    pub round: u32,
    /// What happened.
    pub kind: String,
    /// The rest of it.
    pub body: Value,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A task to record, with its grading key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// The round that uses it first.
    pub round: u32,
    /// What may be shown to an agent.
    pub task: Task,
    /// What answers are judged by; opaque here, and kept in a table of its own.
    pub key: Value,
}

/// A task as recorded, without its grading key.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// The round that used it first.
    pub round: u32,
    /// The task.
    pub task: Task,
}

/// A Parquet file with the bodies of rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// Derived from `sha256`.
    pub id: PartId,
    /// Relative to the data folder, with `/` between folders.
    pub path: StoredPath,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u32,
}

/// The index entry of a rollout; its body is in a part.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRow {
    /// Its identity.
    pub id: RolloutId,
    /// The round, from 0 (the base).
    pub round: u32,
    /// What it was made for.
    pub purpose: Purpose,
    /// The task.
    pub task: TaskId,
    /// Which of the group's rollouts it is.
    pub sample: u32,
    /// The seed of its sampling and of its guest.
    pub seed: Seed,
    /// The checkpoint that acted, where the policy has one.
    pub checkpoint: Option<CheckpointId>,
    /// Digest of everything that decides the policy's answers.
    pub policy_digest: Digest,
    /// The file with its body.
    pub part: PartId,
    /// The row in that file, from 0.
    pub part_row: u32,
    /// Digest of the final answer: of a program, of its source text.
    pub answer_digest: Digest,
    /// Why the episode ended.
    pub stop: StopReason,
    /// Turns taken.
    pub turns: u32,
    /// Tokens sampled.
    pub tokens: u64,
    /// Fuel burnt by the agent's guest.
    pub fuel: u64,
    /// The hash chain over all steps.
    pub chain: Digest,
}

impl RolloutRow {
    /// The index entry of a record whose body is row `part_row` of `part`.
    pub fn of(record: &RolloutRecord, part: PartId, part_row: u32) -> Self {
        Self {
            id: record.id.clone(),
            round: record.round,
            purpose: record.purpose,
            task: record.task.clone(),
            sample: record.sample,
            seed: record.seed,
            checkpoint: record.policy.checkpoint.clone(),
            policy_digest: record.policy.digest,
            part,
            part_row,
            answer_digest: record.answer.digest(),
            stop: record.stop,
            turns: u32::try_from(record.turns.len()).unwrap_or(u32::MAX),
            tokens: record.tokens_sampled(),
            fuel: record.fuel,
            chain: record.chain,
        }
    }
}

/// A verdict with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    /// Of which rollout.
    pub rollout: RolloutId,
    /// 0 for the terminal verdict, counting up for corrections; the newest counts.
    pub revision: u32,
    /// What is said.
    pub verdict: Verdict,
    /// The checks that it rests on.
    pub checks: Vec<CheckResult>,
    /// The verifier that said it.
    pub verifier_digest: Digest,
    /// The sandbox that the verifier ran in.
    pub sandbox_digest: Digest,
    /// Fuel burnt by the guests that ran for it.
    pub fuel: u64,
    /// Guests started for it.
    pub guests: u32,
}

impl VerdictRow {
    /// The terminal verdict of a rollout, revision 0.
    pub fn of(
        rollout: RolloutId,
        judgement: Judgement,
        verifier_digest: Digest,
        sandbox_digest: Digest,
    ) -> Self {
        Self {
            rollout,
            revision: 0,
            verdict: judgement.verdict,
            checks: judgement.checks,
            verifier_digest,
            sandbox_digest,
            fuel: judgement.fuel,
            guests: judgement.guests,
        }
    }
}

/// A rollout with its newest verdict, if it has one yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutWithVerdict {
    /// The index entry.
    pub rollout: RolloutRow,
    /// The verdict with the highest revision.
    pub verdict: Option<VerdictRow>,
}

/// A Parquet file of the published dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Derived from `sha256`.
    pub id: ShardId,
    /// The round whose rows it holds.
    pub round: u32,
    /// Relative to the data folder, with `/` between folders.
    pub path: StoredPath,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u32,
    /// Whether another shard took its place.
    pub superseded: bool,
    /// What its rows are.
    pub kind: ShardKind,
}

impl ShardRow {
    /// Whether it is published now, with rows of this kind.
    pub fn is_current(&self, kind: ShardKind) -> bool {
        !self.superseded && self.kind == kind
    }
}

/// Which rollout a row of a shard came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRowRef {
    /// The shard.
    pub shard: ShardId,
    /// The row, from 0.
    pub row: u32,
    /// Its rollout.
    pub rollout: RolloutId,
}

/// A checkpoint and what it was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointRow {
    /// Derived from its files.
    pub id: CheckpointId,
    /// The round that made it; 0 for the base.
    pub round: u32,
    /// What it was trained from; none for the base.
    pub parent: Option<CheckpointId>,
    /// Its folder, relative to the data folder, with `/` between folders.
    pub path: StoredPath,
    /// Of its files.
    pub digest: Digest,
    /// Of the policy that it makes: weights, tokenizer, template, engine.
    pub policy_digest: Digest,
    /// The shards that it was trained on, in the order of their ids.
    pub shards: Vec<ShardId>,
    /// What training said: steps, losses, rows of the pool, seconds.
    pub report: Value,
}

/// The immutable record of one decision.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    /// The round that it ended.
    pub round: u32,
    /// Who wanted to be champion.
    pub candidate: CheckpointId,
    /// Who was.
    pub champion: CheckpointId,
    /// What was decided.
    pub decision: GateDecision,
    /// The evidence: counts, tests, intervals, flips.
    pub record: Value,
    /// Of `record`'s canonical JSON; see [`GateRow::new`].
    pub digest: Digest,
}

impl GateRow {
    /// A record with its digest.
    pub fn new(
        round: u32,
        (candidate, champion): (CheckpointId, CheckpointId),
        decision: GateDecision,
        record: Value,
    ) -> Self {
        let digest = Digest::of_json(&record);
        Self { round, candidate, champion, decision, record, digest }
    }
}

/// One change of champion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionRow {
    /// Consecutive in its run, from 1.
    pub ordinal: u32,
    /// The round that it ended; 0 for the base.
    pub round: u32,
    /// Who is champion from here on.
    pub champion: CheckpointId,
    /// Who was; none for the base.
    pub previous: Option<CheckpointId>,
    /// The gate's record; none for the base.
    pub gate_digest: Option<Digest>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}
