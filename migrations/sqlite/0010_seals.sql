-- Seals: each transaction that records something appends one to its chain.
--
-- Kept in step with migrations/postgres/0010_seals.sql: same tables, same
-- columns, same constraints.
-- A chain is a run's, or `registry`: verifiers and revocations, which count
-- for all runs. It names no run as a foreign key, since it is to outlive a row
-- that somebody takes away.

CREATE TABLE seals (
    chain TEXT NOT NULL,
    seq INTEGER NOT NULL,
    -- The version of what the digests are taken over.
    format INTEGER NOT NULL,
    -- The digest of the seal before it.
    previous TEXT NOT NULL,
    -- The rows that the transaction added or changed: by table, their keys and
    -- digests, as JSON.
    body TEXT NOT NULL,
    -- Over all of the above.
    digest TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
) STRICT;
