-- Workers in other processes, and what they are given to do.
--
-- Kept in step with migrations/postgres/0009_workers.sql: same tables, same
-- columns, same constraints.

-- Workers that announced themselves, each with when it was last heard of.
CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    sandbox_digest TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('working', 'draining', 'stopped')),
    started_at_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL
) STRICT;

-- Runs that give their rollouts to workers, and what they ask of them.
CREATE TABLE fleets (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs,
    -- The lease of the process that drives it.
    epoch INTEGER NOT NULL,
    version TEXT NOT NULL,
    sandbox_digest TEXT NOT NULL,
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT;

-- Pieces of a batch of rollouts, and what came of each. Whoever takes one
-- raises the epoch, which fences what an earlier holder would still bring.
CREATE TABLE work (
    run TEXT NOT NULL REFERENCES runs,
    round INTEGER NOT NULL,
    batch TEXT NOT NULL,
    piece INTEGER NOT NULL,
    -- The lease of the process that offers it.
    offer INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    worker TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('offered', 'claimed', 'done', 'taken')),
    -- Results that came from earlier holders and were discarded.
    discarded INTEGER NOT NULL,
    -- What the last holder failed at; empty where nothing did.
    detail TEXT NOT NULL,
    -- The file of its rollouts in the object store, once it is done.
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    -- Its verdicts, until they are taken into the lineage.
    result TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, round, batch, piece)
) STRICT;
