-- Lineage, version 1.
--
-- Kept in step with migrations/sqlite/0001_lineage.sql: same tables, same
-- columns, same meaning.
-- JSON is kept as text, not parsed: digests are taken over it, so not a byte
-- of it may change.
-- Ids derive from content, so two runs may hold the same id: every key starts
-- with the run.
-- Seeds are decimal text, since they use all 64 bits without a sign.
-- Keys and names sort by bytes (COLLATE "C"), as they do in SQLite.

CREATE TABLE runs (
    run TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    ordinal BIGINT NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    seed TEXT COLLATE "C" NOT NULL,
    config TEXT NOT NULL,
    sandbox_digest TEXT COLLATE "C" NOT NULL,
    created_at_ms BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'finished', 'failed', 'cancelled')),
    -- The newest event's number; 0 before the first. Commits compare and raise it.
    last_seq BIGINT NOT NULL,
    UNIQUE (name, ordinal)
);

-- Who may commit to a run. The epoch only grows; a commit with another is refused.
CREATE TABLE leases (
    run TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES runs,
    epoch BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    acquired_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    released BIGINT NOT NULL CHECK (released IN (0, 1))
);

CREATE TABLE events (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    seq BIGINT NOT NULL,
    round BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, seq)
);

CREATE TABLE tasks (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    id TEXT COLLATE "C" NOT NULL,
    -- The round that used it first.
    round BIGINT NOT NULL,
    family TEXT COLLATE "C" NOT NULL,
    family_version BIGINT NOT NULL,
    difficulty BIGINT NOT NULL,
    composition TEXT COLLATE "C" NOT NULL,
    split TEXT COLLATE "C" NOT NULL CHECK (split IN ('train', 'gate', 'test')),
    seed TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    key_digest TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE INDEX tasks_by_round ON tasks (run, round, id);

-- What answers are judged by. Apart from tasks, so that no listing of tasks
-- can show it by accident.
CREATE TABLE grading_keys (
    run TEXT COLLATE "C" NOT NULL,
    task TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, task),
    FOREIGN KEY (run, task) REFERENCES tasks (run, id)
);

-- Parquet files with the bodies of rollouts.
CREATE TABLE parts (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    id TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    PRIMARY KEY (run, id),
    UNIQUE (run, path)
);

CREATE TABLE checkpoints (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    id TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    parent TEXT COLLATE "C",
    path TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    policy_digest TEXT COLLATE "C" NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (run, id),
    FOREIGN KEY (run, parent) REFERENCES checkpoints (run, id)
);

CREATE TABLE rollouts (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    id TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('train', 'gate', 'test')),
    task TEXT COLLATE "C" NOT NULL,
    sample BIGINT NOT NULL,
    seed TEXT COLLATE "C" NOT NULL,
    -- Empty where the policy has no checkpoint, so that the unique key holds.
    checkpoint TEXT COLLATE "C" NOT NULL,
    policy_digest TEXT COLLATE "C" NOT NULL,
    part TEXT COLLATE "C" NOT NULL,
    part_row BIGINT NOT NULL,
    answer_digest TEXT COLLATE "C" NOT NULL,
    stop TEXT COLLATE "C" NOT NULL,
    turns BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    fuel BIGINT NOT NULL,
    chain TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, id),
    UNIQUE (run, task, round, purpose, sample, checkpoint),
    FOREIGN KEY (run, task) REFERENCES tasks (run, id),
    FOREIGN KEY (run, part) REFERENCES parts (run, id)
);
CREATE INDEX rollouts_by_round ON rollouts (run, round, id);

-- Revision 0 is the terminal verdict; corrections append. The newest counts.
CREATE TABLE verdicts (
    run TEXT COLLATE "C" NOT NULL,
    rollout TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('pass', 'fail', 'invalid')),
    -- None where the verdict is invalid.
    score DOUBLE PRECISION,
    reason TEXT,
    verifier_digest TEXT COLLATE "C" NOT NULL,
    sandbox_digest TEXT COLLATE "C" NOT NULL,
    checks TEXT NOT NULL,
    fuel BIGINT NOT NULL,
    guests BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, rollout, revision),
    FOREIGN KEY (run, rollout) REFERENCES rollouts (run, id)
);

-- Parquet files of the published dataset.
CREATE TABLE shards (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    id TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    superseded BIGINT NOT NULL CHECK (superseded IN (0, 1)),
    PRIMARY KEY (run, id),
    UNIQUE (run, path)
);

CREATE TABLE shard_rows (
    run TEXT COLLATE "C" NOT NULL,
    shard TEXT COLLATE "C" NOT NULL,
    row_index BIGINT NOT NULL,
    rollout TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, shard, row_index),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id),
    FOREIGN KEY (run, rollout) REFERENCES rollouts (run, id)
);
CREATE INDEX shard_rows_by_rollout ON shard_rows (run, rollout);

-- Which shards a checkpoint was trained on.
CREATE TABLE checkpoint_shards (
    run TEXT COLLATE "C" NOT NULL,
    checkpoint TEXT COLLATE "C" NOT NULL,
    shard TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, checkpoint, shard),
    FOREIGN KEY (run, checkpoint) REFERENCES checkpoints (run, id),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id)
);
CREATE INDEX checkpoint_shards_by_shard ON checkpoint_shards (run, shard);

-- One decision a round; `digest` is taken over `record`, so a changed record shows.
CREATE TABLE gates (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    round BIGINT NOT NULL,
    candidate TEXT COLLATE "C" NOT NULL,
    champion TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C" NOT NULL CHECK (decision IN ('promoted', 'rejected')),
    record TEXT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, round),
    FOREIGN KEY (run, candidate) REFERENCES checkpoints (run, id),
    FOREIGN KEY (run, champion) REFERENCES checkpoints (run, id)
);

-- The champion is the last promotion's: there is no second place that could
-- say otherwise. `previous` is what compare-and-swap compared.
CREATE TABLE promotions (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    ordinal BIGINT NOT NULL,
    round BIGINT NOT NULL,
    champion TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C",
    gate_digest TEXT COLLATE "C",
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, ordinal),
    FOREIGN KEY (run, champion) REFERENCES checkpoints (run, id)
);
