-- Lineage, version 2: verifiers, revocations, and the loop's own checks.
--
-- Kept in step with migrations/postgres/0002_verifiers.sql: same tables, same
-- columns, same meaning.

-- Verifiers that may be named in task families. Their bytes are files of the
-- data folder, named by their digest.
CREATE TABLE verifiers (
    digest TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('cases', 'checks', 'python', 'component', 'command')),
    -- Whether it runs outside the sandbox, on its author's word.
    trusted INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    scorecard TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'revoked')),
    registered_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    revoked_why TEXT,
    -- The digest of what took its place, if anything did.
    replaced_by TEXT
) STRICT;
CREATE INDEX verifiers_by_name ON verifiers (name, registered_at_ms);

-- What must no longer be believed. The target is a verifier's digest,
-- registered or not, or a task's id; it counts for all runs.
CREATE TABLE revocations (
    ordinal INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('verifier', 'task')),
    target TEXT NOT NULL,
    why TEXT NOT NULL,
    -- The digest of the verifier that judges again; none where nothing does.
    replacement TEXT,
    at_ms INTEGER NOT NULL,
    UNIQUE (kind, target)
) STRICT;

-- Runs in which a revocation has been carried out to its end.
CREATE TABLE revocation_runs (
    revocation INTEGER NOT NULL REFERENCES revocations,
    run TEXT NOT NULL REFERENCES runs,
    report TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (revocation, run)
) STRICT;

-- Which revocation appended which verdict.
CREATE TABLE corrections (
    run TEXT NOT NULL,
    rollout TEXT NOT NULL,
    revision INTEGER NOT NULL,
    revocation INTEGER NOT NULL REFERENCES revocations,
    PRIMARY KEY (run, rollout, revision),
    FOREIGN KEY (run, rollout, revision) REFERENCES verdicts (run, rollout, revision)
) STRICT;

-- Which revocation took a shard out of the dataset, and what stands in its
-- place; nothing where no row was left.
CREATE TABLE rewrites (
    run TEXT NOT NULL,
    shard TEXT NOT NULL,
    successor TEXT,
    revocation INTEGER NOT NULL REFERENCES revocations,
    PRIMARY KEY (run, shard),
    FOREIGN KEY (run, shard) REFERENCES shards (run, id),
    FOREIGN KEY (run, successor) REFERENCES shards (run, id)
) STRICT;

-- Decisions made again from corrected evidence. The gate's own record stays.
CREATE TABLE gate_reviews (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    revocation INTEGER NOT NULL REFERENCES revocations,
    decision TEXT NOT NULL CHECK (decision IN ('promoted', 'rejected')),
    record TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, round, revocation),
    FOREIGN KEY (run, round) REFERENCES gates (run, round)
) STRICT;

-- Attempts at impossible tasks, apart from rollouts so that no curation can
-- choose one. `body` holds the whole attempt, `grading_key` what it was judged by.
CREATE TABLE canaries (
    run TEXT NOT NULL REFERENCES runs,
    rollout TEXT NOT NULL,
    round INTEGER NOT NULL,
    -- The impossible task, and the ordinary one that it was made from.
    task TEXT NOT NULL,
    made_from TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'invalid')),
    score REAL,
    reason TEXT,
    verifier_digest TEXT NOT NULL,
    checks TEXT NOT NULL,
    body TEXT NOT NULL,
    grading_key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, rollout),
    FOREIGN KEY (run, made_from) REFERENCES tasks (run, id)
) STRICT;
CREATE INDEX canaries_by_round ON canaries (run, round, rollout);

-- What a round noticed of its verifiers.
CREATE TABLE alarms (
    run TEXT NOT NULL REFERENCES runs,
    round INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- What it is about: a verifier's cell, a rollout, a canary.
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, round, kind, subject)
) STRICT;
