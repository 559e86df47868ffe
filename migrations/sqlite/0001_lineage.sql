-- Lineage, version 1.
--
-- Kept in step with migrations/postgres/0001_lineage.sql: same tables, same
-- columns, same meaning.
-- JSON is kept as text, not parsed: digests are taken over it, so not a byte
-- of it may change.
-- Ids derive from content, so two runs may hold the same id: every key starts
-- with the run.
-- Seeds are decimal text, since they use all 64 bits without a sign.

CREATE TABLE runs (
    run TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    seed TEXT NOT NULL,
    config TEXT NOT NULL,
    sandbox_digest TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'finished', 'failed', 'cancelled')),
    -- The newest event's number; 0 before the first. Commits compare and raise it.
    last_seq INTEGER NOT NULL,
    UNIQUE (name, ordinal)
) STRICT;

-- Who may commit to a run. The epoch only grows; a commit with another is refused.
CREATE TABLE leases (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    acquired_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    released INTEGER NOT NULL CHECK (released IN (0, 1))
) STRICT;

CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs,
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;

CREATE TABLE tasks (
    run TEXT NOT NULL REFERENCES runs,
    id TEXT NOT NULL,
    -- The round that used it first.
    round INTEGER NOT NULL,
    family TEXT NOT NULL,
    family_version INTEGER NOT NULL,
    difficulty INTEGER NOT NULL,
    composition TEXT NOT NULL,
    split TEXT NOT NULL CHECK (split IN ('train', 'gate', 'test')),
    seed TEXT NOT NULL,
    digest TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, id)
) STRICT;
CREATE INDEX tasks_by_round ON tasks (run, round, id);

-- What answers are judged by. Apart from tasks, so that no listing of tasks
-- can show it by accident.
CREATE TABLE grading_keys (
    run TEXT NOT NULL,
    task TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, task),
    FOREIGN KEY (run, task) REFERENCES tasks (run, id)
) STRICT;

-- Parquet files with the bodies of rollouts.
CREATE TABLE parts (
    run TEXT NOT NULL REFERENCES runs,
    id TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (run, id),
    UNIQUE (run, path)
) STRICT;

CREATE TABLE checkpoints (
    run TEXT NOT NULL REFERENCES runs,
    id TEXT NOT NULL,
    round INTEGER NOT NULL,
    parent TEXT,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    policy_digest TEXT NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (run, id),
    FOREIGN KEY (run, parent) REFERENCES checkpoints (run, id)
) STRICT;

CREATE TABLE rollouts (
    run TEXT NOT NULL REFERENCES runs,
    id TEXT NOT NULL,
    round INTEGER NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('train', 'gate', 'test')),
    task TEXT NOT NULL,
    sample INTEGER NOT NULL,
    seed TEXT NOT NULL,
    -- Empty where the policy has no checkpoint, so that the unique key holds.
    checkpoint TEXT NOT NULL,
    policy_digest TEXT NOT NULL,
    part TEXT NOT NULL,
    part_row INTEGER NOT NULL,
    answer_digest TEXT NOT NULL,
    stop TEXT NOT NULL,
    turns INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    fuel INTEGER NOT NULL,
    chain TEXT NOT NULL,
    PRIMARY KEY (run, id),
    UNIQUE (run, task, round, purpose, sample, checkpoint),
    FOREIGN KEY (run, task) REFERENCES tasks (run, id),
    FOREIGN KEY (run, part) REFERENCES parts (run, id)
) STRICT;
CREATE INDEX rollouts_by_round ON rollouts (run, round, id);

-- Revision 0 is the terminal verdict; corrections append. The newest counts.
CREATE TABLE verdicts (
    run TEXT NOT NULL,
    rollout TEXT NOT NULL,
    revision INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'invalid')),
    -- None where the verdict is invalid.
    score REAL,
    reason TEXT,
    verifier_digest TEXT NOT NULL,
    sandbox_digest TEXT NOT NULL,
    checks TEXT NOT NULL,
    fuel INTEGER NOT NULL,
    guests INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, rollout, revision),
    FOREIGN KEY (run, rollout) REFERENCES rollouts (run, id)
) STRICT;

-- Parquet files of the published dataset.
CREATE TABLE shards (
    run TEXT NOT NULL REFERENCES runs,
    id TEXT NOT NULL,
    round INTEGER NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    superseded INTEGER NOT NULL CHECK (superseded IN (0, 1)),
    PRIMARY KEY (run, id),
    UNIQUE (run, path)
) STRICT;

CREATE TABLE shard_rows (
    run TEXT NOT NULL,
    shard TEXT NOT NULL,
    row_index INTEGER NOT NULL,
    rollout TEXT NOT NULL,
    PRIMARY KEY (run, shard, row_index),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id),
    FOREIGN KEY (run, rollout) REFERENCES rollouts (run, id)
) STRICT;
CREATE INDEX shard_rows_by_rollout ON shard_rows (run, rollout);

-- Which shards a checkpoint was trained on.
CREATE TABLE checkpoint_shards (
    run TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    shard TEXT NOT NULL,
    PRIMARY KEY (run, checkpoint, shard),
    FOREIGN KEY (run, checkpoint) REFERENCES checkpoints (run, id),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id)
) STRICT;
CREATE INDEX checkpoint_shards_by_shard ON checkpoint_shards (run, shard);

-- One decision a round; `digest` is taken over `record`, so a changed record shows.
CREATE TABLE gates (
    run TEXT NOT NULL REFERENCES runs,
    round INTEGER NOT NULL,
    candidate TEXT NOT NULL,
    champion TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('promoted', 'rejected')),
    record TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, round),
    FOREIGN KEY (run, candidate) REFERENCES checkpoints (run, id),
    FOREIGN KEY (run, champion) REFERENCES checkpoints (run, id)
) STRICT;

-- The champion is the last promotion's: there is no second place that could
-- say otherwise. `previous` is what compare-and-swap compared.
CREATE TABLE promotions (
    run TEXT NOT NULL REFERENCES runs,
    ordinal INTEGER NOT NULL,
    round INTEGER NOT NULL,
    champion TEXT NOT NULL,
    previous TEXT,
    gate_digest TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, ordinal),
    FOREIGN KEY (run, champion) REFERENCES checkpoints (run, id)
) STRICT;
