/// How a column is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Real,
    Text,
}

/// A table, for bulk inserts: cells come in the order of `columns`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Type)],
    /// Columns that came after the first seals, each with the text that rows of
    /// before have there: that text adds nothing to a row's digest.
    pub(crate) added: &'static [(&'static str, &'static str)],
}

use Type::{Int, Real, Text};

macro_rules! table {
    ($const:ident, $name:literal, $($column:ident $type:ident $(= $before:literal)?),+) => {
        pub(crate) static $const: Table = Table {
            name: $name,
            columns: &[$((stringify!($column), $type)),+],
            added: &[$($((stringify!($column), $before),)?)+],
        };
    };
}

table!(
    RUNS, "runs", run Text, name Text, ordinal Int, fingerprint Text, seed Text, config Text,
    sandbox_digest Text, created_at_ms Int, status Text, last_seq Int
);
table!(EVENTS, "events", run Text, seq Int, round Int, kind Text, body Text, at_ms Int);
table!(
    TASKS, "tasks", run Text, id Text, round Int, family Text, family_version Int,
    difficulty Int, composition Text, split Text, seed Text, digest Text, key_digest Text,
    body Text
);
table!(GRADING_KEYS, "grading_keys", run Text, task Text, body Text);
table!(
    PARTS, "parts", run Text, id Text, path Text, sha256 Text, bytes Int, row_count Int
);
table!(
    ROLLOUTS, "rollouts", run Text, id Text, round Int, purpose Text, task Text, sample Int,
    seed Text, checkpoint Text, policy_digest Text, part Text, part_row Int, answer_digest Text,
    stop Text, turns Int, tokens Int, fuel Int, chain Text
);
table!(
    VERDICTS, "verdicts", run Text, rollout Text, revision Int, verdict Text, score Real,
    reason Text, verifier_digest Text, sandbox_digest Text, checks Text, fuel Int, guests Int,
    at_ms Int
);
table!(
    SHARDS, "shards", run Text, id Text, round Int, path Text, sha256 Text, bytes Int,
    row_count Int, superseded Int, kind Text = "accepted"
);
table!(SHARD_ROWS, "shard_rows", run Text, shard Text, row_index Int, rollout Text);
table!(
    CHECKPOINTS, "checkpoints", run Text, id Text, round Int, parent Text, path Text,
    digest Text, policy_digest Text, report Text
);
table!(CHECKPOINT_SHARDS, "checkpoint_shards", run Text, checkpoint Text, shard Text);
table!(
    GATES, "gates", run Text, round Int, candidate Text, champion Text, decision Text,
    record Text, digest Text
);
table!(
    PROMOTIONS, "promotions", run Text, ordinal Int, round Int, champion Text, previous Text,
    gate_digest Text, at_ms Int
);
table!(
    CANARIES, "canaries", run Text, rollout Text, round Int, task Text, made_from Text,
    checkpoint Text, verdict Text, score Real, reason Text, verifier_digest Text, checks Text,
    body Text, grading_key Text, at_ms Int
);
table!(ALARMS, "alarms", run Text, round Int, kind Text, subject Text, body Text, at_ms Int);
table!(CORRECTIONS, "corrections", run Text, rollout Text, revision Int, revocation Int);
table!(REWRITES, "rewrites", run Text, shard Text, successor Text, revocation Int);
table!(
    GATE_REVIEWS, "gate_reviews", run Text, round Int, revocation Int, decision Text,
    record Text, digest Text
);
table!(REVOCATION_RUNS, "revocation_runs", revocation Int, run Text, report Text, at_ms Int);
table!(RETIRED_FILES, "retired_files", run Text, path Text, at_ms Int);
table!(
    APPROVALS, "approvals", run Text, round Int, candidate Text, champion Text, gate_digest Text,
    expires_at_ms Int, at_ms Int
);
table!(
    APPROVAL_ANSWERS, "approval_answers", run Text, round Int, answer Text, answered_by Text,
    via Text, why Text, at_ms Int
);
table!(
    HANDOVERS, "handovers", run Text, round Int, target Text, champion Text, target_digest Text,
    at_ms Int
);
table!(
    HANDOVER_ATTEMPTS, "handover_attempts", run Text, round Int, target Text, ordinal Int,
    outcome Text, detail Text, at_ms Int
);
table!(
    VERIFIERS, "verifiers", digest Text, name Text, kind Text, trusted Int, scorecard Text,
    status Text, registered_at_ms Int, revoked_at_ms Int, revoked_why Text, replaced_by Text
);
table!(
    REVOCATIONS, "revocations", ordinal Int, kind Text, target Text, why Text, replacement Text,
    at_ms Int
);
table!(
    SCHEDULE_TICKS, "schedule_ticks", schedule Text, tick_ms Int, kind Text, state Text, epoch Int,
    owner Text, expires_at_ms Int, cpu_ms Int, wall_ms Int, detail Text
);
table!(
    SCHEDULE_TICK_EVENTS, "schedule_tick_events", schedule Text, tick_ms Int, ordinal Int,
    state Text, epoch Int, owner Text, detail Text, at_ms Int
);
