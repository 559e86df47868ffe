-- Workers in other processes, and what they are given to do.
--
-- Kept in step with migrations/sqlite/0009_workers.sql: same tables, same
-- columns, same constraints.

-- Workers that announced themselves, each with when it was last heard of.
CREATE TABLE workers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    host TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    sandbox_digest TEXT COLLATE "C" NOT NULL,
    concurrency BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('working', 'draining', 'stopped')),
    started_at_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL
);

-- Runs that give their rollouts to workers, and what they ask of them.
CREATE TABLE fleets (
    run TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES runs,
    -- The lease of the process that drives it.
    epoch BIGINT NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    sandbox_digest TEXT COLLATE "C" NOT NULL,
    is_open BIGINT NOT NULL CHECK (is_open IN (0, 1))
);

-- Pieces of a batch of rollouts, and what came of each. Whoever takes one
-- raises the epoch, which fences what an earlier holder would still bring.
CREATE TABLE work (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    round BIGINT NOT NULL,
    batch TEXT COLLATE "C" NOT NULL,
    piece BIGINT NOT NULL,
    -- The lease of the process that offers it.
    offer BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    worker TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('offered', 'claimed', 'done', 'taken')),
    -- Results that came from earlier holders and were discarded.
    discarded BIGINT NOT NULL,
    -- What the last holder failed at; empty where nothing did.
    detail TEXT NOT NULL,
    -- The file of its rollouts in the object store, once it is done.
    path TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    -- Its verdicts, until they are taken into the lineage.
    result TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round, batch, piece)
);
