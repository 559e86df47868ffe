-- Lineage, version 2: verifiers, revocations, and the loop's own checks.
--
-- Kept in step with migrations/sqlite/0002_verifiers.sql: same tables, same
-- columns, same meaning.

-- Verifiers that may be named in task families. Their bytes are files of the
-- data folder, named by their digest.
CREATE TABLE verifiers (
    digest TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('cases', 'checks', 'python', 'component', 'command')),
    -- Whether it runs outside the sandbox, on its author's word.
    trusted BIGINT NOT NULL CHECK (trusted IN (0, 1)),
    scorecard TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'revoked')),
    registered_at_ms BIGINT NOT NULL,
    revoked_at_ms BIGINT,
    revoked_why TEXT,
    -- The digest of what took its place, if anything did.
    replaced_by TEXT COLLATE "C"
);
CREATE INDEX verifiers_by_name ON verifiers (name, registered_at_ms);

-- What must no longer be believed. The target is a verifier's digest,
-- registered or not, or a task's id; it counts for all runs.
CREATE TABLE revocations (
    ordinal BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('verifier', 'task')),
    target TEXT COLLATE "C" NOT NULL,
    why TEXT NOT NULL,
    -- The digest of the verifier that judges again; none where nothing does.
    replacement TEXT COLLATE "C",
    at_ms BIGINT NOT NULL,
    UNIQUE (kind, target)
);

-- Runs in which a revocation has been carried out to its end.
CREATE TABLE revocation_runs (
    revocation BIGINT NOT NULL REFERENCES revocations,
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    report TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (revocation, run)
);

-- Which revocation appended which verdict.
CREATE TABLE corrections (
    run TEXT COLLATE "C" NOT NULL,
    rollout TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    revocation BIGINT NOT NULL REFERENCES revocations,
    PRIMARY KEY (run, rollout, revision),
    FOREIGN KEY (run, rollout, revision) REFERENCES verdicts (run, rollout, revision)
);

-- Which revocation took a shard out of the dataset, and what stands in its
-- place; nothing where no row was left.
CREATE TABLE rewrites (
    run TEXT COLLATE "C" NOT NULL,
    shard TEXT COLLATE "C" NOT NULL,
    successor TEXT COLLATE "C",
    revocation BIGINT NOT NULL REFERENCES revocations,
    PRIMARY KEY (run, shard),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id),
    FOREIGN KEY (run, successor) REFERENCES shards (run, id)
);

-- Decisions made again from corrected evidence. The gate's own record stays.
CREATE TABLE gate_reviews (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    revocation BIGINT NOT NULL REFERENCES revocations,
    decision TEXT COLLATE "C" NOT NULL CHECK (decision IN ('promoted', 'rejected')),
    record TEXT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, round, revocation),
    FOREIGN KEY (run, round) REFERENCES gates (run, round)
);

-- Attempts at impossible tasks, apart from rollouts so that no curation can
-- choose one. `body` holds the whole attempt, `grading_key` what it was judged by.
CREATE TABLE canaries (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    rollout TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    -- The impossible task, and the ordinary one that it was made from.
    task TEXT COLLATE "C" NOT NULL,
    made_from TEXT COLLATE "C" NOT NULL,
    checkpoint TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('pass', 'fail', 'invalid')),
    score DOUBLE PRECISION,
    reason TEXT,
    verifier_digest TEXT COLLATE "C" NOT NULL,
    checks TEXT NOT NULL,
    body TEXT NOT NULL,
    grading_key TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, rollout),
    FOREIGN KEY (run, made_from) REFERENCES tasks (run, id)
);
CREATE INDEX canaries_by_round ON canaries (run, round, rollout);

-- What a round noticed of its verifiers.
CREATE TABLE alarms (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    round BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- What it is about: a verifier's cell, a rollout, a canary.
    subject TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round, kind, subject)
);
