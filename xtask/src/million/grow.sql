-- Grows a finished run by copies of its rounds, each with ids of its own, as a
-- campaign of many rounds would have recorded them.
--
-- `copies` is given: how often all rounds come again, and how often each
-- rollout comes again within its round.
PRAGMA foreign_keys = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -262144;
BEGIN IMMEDIATE;

CREATE TEMP TABLE world AS
SELECT r.run, r.last_seq AS seqs,
    (SELECT MAX(round) FROM rollouts) AS rounds,
    (SELECT MIN(seq) - 1 FROM events WHERE round > 0) AS before,
    (SELECT MAX(ordinal) FROM promotions) AS promotions
FROM runs r;

CREATE TEMP TABLE again AS
WITH RECURSIVE k(k) AS (
    SELECT 1 UNION ALL SELECT k + 1 FROM k, copies WHERE k + 1 < copies.rounds
)
SELECT k, printf('%03x', k) AS tag FROM k WHERE (SELECT rounds FROM copies) > 1;

-- 0 stands for what is there.
CREATE TEMP TABLE beside AS
WITH RECURSIVE j(j) AS (
    SELECT 0 UNION ALL SELECT j + 1 FROM j, copies WHERE j + 1 < copies.rollouts
)
SELECT j, printf('%03x', j) AS tag FROM j;

CREATE TEMP TABLE candidates AS SELECT run, round, id FROM checkpoints;

INSERT INTO tasks
SELECT t.run, substr(t.id, 1, 5) || a.tag || substr(t.id, 6, 13), t.round + a.k * w.rounds,
    t.family, t.family_version, t.difficulty, t.composition, t.split, t.seed, t.digest,
    t.key_digest,
    json_set(t.body, '$.id', substr(t.id, 1, 5) || a.tag || substr(t.id, 6, 13))
FROM tasks t, again a, world w
WHERE t.split = 'train' AND t.round > 0;

INSERT INTO grading_keys
SELECT g.run, substr(g.task, 1, 5) || a.tag || substr(g.task, 6, 13), g.body
FROM grading_keys g JOIN tasks t ON t.run = g.run AND t.id = g.task, again a, world w
WHERE t.split = 'train' AND t.round > 0 AND t.round <= w.rounds;

INSERT INTO checkpoints
SELECT c.run, substr(c.id, 1, 5) || a.tag || substr(c.id, 6, 13), c.round + a.k * w.rounds,
    substr(c.parent, 1, 5) || a.tag || substr(c.parent, 6, 13), c.path, c.digest, c.policy_digest,
    c.report
FROM checkpoints c, again a, world w;

INSERT INTO gates
SELECT g.run, g.round + a.k * w.rounds,
    substr(g.candidate, 1, 5) || a.tag || substr(g.candidate, 6, 13),
    substr(g.champion, 1, 5) || a.tag || substr(g.champion, 6, 13), g.decision, g.record, g.digest
FROM gates g, again a, world w;

INSERT INTO promotions
SELECT p.run, p.ordinal + a.k * w.promotions, p.round + a.k * w.rounds,
    substr(p.champion, 1, 5) || a.tag || substr(p.champion, 6, 13),
    p.previous, p.gate_digest, p.at_ms + a.k * 3600000
FROM promotions p, again a, world w WHERE p.round > 0;

INSERT INTO events
SELECT e.run, w.seqs + (a.k - 1) * (w.seqs - w.before) + e.seq - w.before,
    e.round + a.k * w.rounds, e.kind,
    replace(e.body, c.id, substr(c.id, 1, 5) || a.tag || substr(c.id, 6, 13)),
    e.at_ms + a.k * 3600000
FROM events e JOIN candidates c ON c.run = e.run AND c.round = e.round, again a, world w
WHERE e.round > 0 AND e.round <= w.rounds;

UPDATE runs SET last_seq = (SELECT MAX(seq) FROM events);

CREATE TEMP TABLE more AS
SELECT r.id AS old, r.round, a.k, a.tag AS tag, b.j, b.tag AS beside
FROM rollouts r, (SELECT 0 AS k, '' AS tag UNION ALL SELECT k, tag FROM again) a, beside b
WHERE r.round > 0 AND a.k + b.j > 0;

INSERT INTO rollouts
SELECT r.run, substr(r.id, 1, 5) || m.beside || printf('%03x', m.k) || substr(r.id, 6, 10),
    r.round + m.k * w.rounds, r.purpose,
    CASE WHEN t.split = 'train' AND m.k > 0
        THEN substr(r.task, 1, 5) || m.tag || substr(r.task, 6, 13) ELSE r.task END,
    r.sample + m.j * 10000, r.seed,
    CASE WHEN m.k > 0
        THEN substr(r.checkpoint, 1, 5) || m.tag || substr(r.checkpoint, 6, 13)
        ELSE r.checkpoint END,
    r.policy_digest, r.part, r.part_row, r.answer_digest, r.stop, r.turns, r.tokens, r.fuel, r.chain
FROM more m JOIN rollouts r ON r.id = m.old JOIN tasks t ON t.run = r.run AND t.id = r.task, world w
ORDER BY m.k, m.j, m.old;

INSERT INTO verdicts
SELECT v.run,
    substr(v.rollout, 1, 5) || m.beside || printf('%03x', m.k) || substr(v.rollout, 6, 10),
    v.revision, v.verdict, v.score, v.reason, v.verifier_digest, v.sandbox_digest, v.checks,
    v.fuel, v.guests, v.at_ms
FROM more m JOIN verdicts v ON v.rollout = m.old
ORDER BY m.k, m.j, m.old, v.revision;

COMMIT;
ANALYZE;
