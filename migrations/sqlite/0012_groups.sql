-- Shards of whole groups, beside those of accepted rows.
--
-- Kept in step with migrations/postgres/0012_groups.sql: same columns, same
-- constraints, same views.

ALTER TABLE shards ADD COLUMN kind TEXT NOT NULL DEFAULT 'accepted'
    CHECK (kind IN ('accepted', 'groups'));

-- What was published means what it always did: the accepted rows.
DROP VIEW gyre_v1_shards;
CREATE VIEW gyre_v1_shards AS
SELECT s.run, s.id AS shard, s.round, s.path, s.sha256, s.bytes, s.row_count, s.superseded,
    w.successor, w.revocation
FROM shards s
LEFT JOIN rewrites w ON w.run = s.run AND w.shard = s.id
WHERE s.kind = 'accepted';

DROP VIEW gyre_v1_shard_rows;
CREATE VIEW gyre_v1_shard_rows AS
SELECT x.run, x.shard, x.row_index, x.rollout, s.round, s.superseded
FROM shard_rows x
JOIN shards s ON s.run = x.run AND s.id = x.shard
WHERE s.kind = 'accepted';

-- Every attempt of a round that has a verdict, passed or failed.
CREATE VIEW gyre_v1_group_shards AS
SELECT s.run, s.id AS shard, s.round, s.path, s.sha256, s.bytes, s.row_count, s.superseded,
    w.successor, w.revocation
FROM shards s
LEFT JOIN rewrites w ON w.run = s.run AND w.shard = s.id
WHERE s.kind = 'groups';

CREATE VIEW gyre_v1_group_rows AS
SELECT x.run, x.shard, x.row_index, x.rollout, s.round, s.superseded
FROM shard_rows x
JOIN shards s ON s.run = x.run AND s.id = x.shard
WHERE s.kind = 'groups';

DROP VIEW gyre_v1_rounds;
CREATE VIEW gyre_v1_rounds AS
SELECT e.run, e.round, e.began_at_ms, e.last_at_ms, l.kind AS last_event,
    COALESCE(o.rollouts, 0) AS rollouts, COALESCE(o.passed, 0) AS passed,
    COALESCE(o.failed, 0) AS failed, COALESCE(o.invalid, 0) AS invalid,
    COALESCE(o.rollouts - o.passed - o.failed - o.invalid, 0) AS pending,
    COALESCE(o.tokens, 0) AS tokens, COALESCE(o.fuel, 0) AS fuel,
    COALESCE(s.row_count, 0) AS published_rows, g.candidate, g.champion, g.decision
FROM (SELECT x.run, x.round, MIN(x.at_ms) AS began_at_ms, MAX(x.at_ms) AS last_at_ms,
          MAX(x.seq) AS last_seq
      FROM events x GROUP BY x.run, x.round) e
JOIN events l ON l.run = e.run AND l.seq = e.last_seq
LEFT JOIN (SELECT x.run, x.round, COUNT(*) AS rollouts,
               SUM(CASE WHEN x.verdict = 'pass' THEN 1 ELSE 0 END) AS passed,
               SUM(CASE WHEN x.verdict = 'fail' THEN 1 ELSE 0 END) AS failed,
               SUM(CASE WHEN x.verdict = 'invalid' THEN 1 ELSE 0 END) AS invalid,
               CAST(SUM(x.tokens) AS BIGINT) AS tokens, CAST(SUM(x.fuel) AS BIGINT) AS fuel
           FROM gyre_v1_rollouts x WHERE x.purpose = 'train' GROUP BY x.run, x.round) o
    ON o.run = e.run AND o.round = e.round
LEFT JOIN (SELECT x.run, x.round, CAST(SUM(x.row_count) AS BIGINT) AS row_count
           FROM shards x WHERE x.superseded = 0 AND x.kind = 'accepted'
           GROUP BY x.run, x.round) s
    ON s.run = e.run AND s.round = e.round
LEFT JOIN gates g ON g.run = e.run AND g.round = e.round;
