-- Lineage, version 5: the views that people's own tools may rely on.
--
-- Kept in step with migrations/sqlite/0005_views.sql: same views, same columns,
-- same meaning. docs/sql.md describes them: a column of a view is never
-- renamed, retyped or taken away; what must change becomes gyre_v2_….

CREATE VIEW gyre_v1_runs AS
SELECT r.run, r.name, r.ordinal, r.status, r.seed, r.fingerprint, r.sandbox_digest,
    r.created_at_ms, r.last_seq AS events
FROM runs r;

CREATE VIEW gyre_v1_events AS
SELECT e.run, e.seq, e.round, e.kind, e.body, e.at_ms
FROM events e;

-- Without the hidden cases: a grading key is in no view.
CREATE VIEW gyre_v1_tasks AS
SELECT t.run, t.id AS task, t.round, t.family, t.family_version, t.difficulty, t.composition,
    t.split, t.seed, t.digest, t.key_digest
FROM tasks t;

-- Each rollout with its newest verdict, which is null while it waits for one.
CREATE VIEW gyre_v1_rollouts AS
SELECT r.run, r.id AS rollout, r.round, r.purpose, r.task, t.family, t.difficulty, r.sample,
    r.seed, NULLIF(r.checkpoint, '') AS checkpoint, r.policy_digest, v.verdict, v.score,
    v.reason, v.revision, v.verifier_digest, r.stop, r.turns, r.tokens, r.fuel, r.answer_digest,
    r.part, r.part_row, r.chain
FROM rollouts r
LEFT JOIN tasks t ON t.run = r.run AND t.id = r.task
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id);

-- Every verdict ever given; the rollout's newest has newest = 1.
CREATE VIEW gyre_v1_verdicts AS
SELECT v.run, v.rollout, v.revision,
    CASE WHEN EXISTS (SELECT 1 FROM verdicts w WHERE w.run = v.run AND w.rollout = v.rollout
                      AND w.revision > v.revision) THEN 0 ELSE 1 END AS newest,
    v.verdict, v.score, v.reason, v.verifier_digest, v.sandbox_digest, v.checks, v.fuel, v.guests,
    v.at_ms, c.revocation
FROM verdicts v
LEFT JOIN corrections c ON c.run = v.run AND c.rollout = v.rollout AND c.revision = v.revision;

CREATE VIEW gyre_v1_shards AS
SELECT s.run, s.id AS shard, s.round, s.path, s.sha256, s.bytes, s.row_count, s.superseded,
    w.successor, w.revocation
FROM shards s
LEFT JOIN rewrites w ON w.run = s.run AND w.shard = s.id;

CREATE VIEW gyre_v1_shard_rows AS
SELECT x.run, x.shard, x.row_index, x.rollout, s.round, s.superseded
FROM shard_rows x
JOIN shards s ON s.run = x.run AND s.id = x.shard;

CREATE VIEW gyre_v1_checkpoints AS
SELECT c.run, c.id AS checkpoint, c.round, c.parent, c.path, c.digest, c.policy_digest, c.report,
    CASE WHEN EXISTS (SELECT 1 FROM promotions p WHERE p.run = c.run AND p.champion = c.id)
        THEN 1 ELSE 0 END AS promoted
FROM checkpoints c;

CREATE VIEW gyre_v1_checkpoint_shards AS
SELECT x.run, x.checkpoint, x.shard
FROM checkpoint_shards x;

CREATE VIEW gyre_v1_gates AS
SELECT g.run, g.round, g.candidate, g.champion, g.decision, g.record, g.digest
FROM gates g;

CREATE VIEW gyre_v1_gate_reviews AS
SELECT g.run, g.round, g.revocation, g.decision, g.record, g.digest
FROM gate_reviews g;

-- The present champion has newest = 1.
CREATE VIEW gyre_v1_promotions AS
SELECT p.run, p.ordinal, p.round, p.champion, p.previous, p.gate_digest, p.at_ms,
    CASE WHEN p.ordinal = (SELECT MAX(q.ordinal) FROM promotions q WHERE q.run = p.run)
        THEN 1 ELSE 0 END AS newest
FROM promotions p;

CREATE VIEW gyre_v1_verifiers AS
SELECT v.digest, v.name, v.kind, v.trusted, v.scorecard, v.status, v.registered_at_ms,
    v.revoked_at_ms, v.revoked_why, v.replaced_by
FROM verifiers v;

CREATE VIEW gyre_v1_revocations AS
SELECT r.ordinal, r.kind, r.target, r.why, r.replacement, r.at_ms
FROM revocations r;

-- Without bodies and grading keys.
CREATE VIEW gyre_v1_canaries AS
SELECT c.run, c.rollout, c.round, c.task, c.made_from, c.checkpoint, c.verdict, c.score, c.reason,
    c.verifier_digest, c.checks, c.at_ms
FROM canaries c;

CREATE VIEW gyre_v1_alarms AS
SELECT a.run, a.round, a.kind, a.subject, a.body, a.at_ms
FROM alarms a;

-- One row a round: its last event, what its training rollouts came to, the rows
-- that stand in the dataset, and the gate's decision.
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
           FROM shards x WHERE x.superseded = 0 GROUP BY x.run, x.round) s
    ON s.run = e.run AND s.round = e.round
LEFT JOIN gates g ON g.run = e.run AND g.round = e.round;
