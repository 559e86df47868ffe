-- What a promotion asks for and hands over: approvals by people, hand-overs to
-- programs and services, and every attempt at one.
--
-- Kept in step with migrations/sqlite/0013_handovers.sql: same tables, same
-- columns, same constraints. All four are appended to and never changed.

-- Candidates that passed the gate of their round and wait for a person.
CREATE TABLE approvals (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    candidate TEXT COLLATE "C" NOT NULL,
    champion TEXT COLLATE "C" NOT NULL,
    gate_digest TEXT COLLATE "C" NOT NULL,
    -- From when on the champion stays.
    expires_at_ms BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round),
    FOREIGN KEY (run, round) REFERENCES gates (run, round)
);

-- What became of each. Who answered, and by what, is null where nobody did in time.
CREATE TABLE approval_answers (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    answer TEXT COLLATE "C" NOT NULL CHECK (answer IN ('approved', 'declined', 'expired')),
    answered_by TEXT,
    via TEXT COLLATE "C" CHECK (via IN ('command', 'page', 'api')),
    why TEXT,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round),
    FOREIGN KEY (run, round) REFERENCES approvals (run, round)
);

-- What a promotion is to be handed over to. Written with the promotion.
CREATE TABLE handovers (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    -- `hook` or `webhook`.
    target TEXT COLLATE "C" NOT NULL,
    champion TEXT COLLATE "C" NOT NULL,
    -- Of the target's settings.
    target_digest TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round, target),
    FOREIGN KEY (run, champion) REFERENCES checkpoints (run, id)
);

-- Every attempt at a hand-over, from 1. One that delivered is the last.
CREATE TABLE handover_attempts (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    ordinal BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('delivered', 'failed')),
    -- What went wrong; empty where nothing did.
    detail TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, round, target, ordinal),
    FOREIGN KEY (run, round, target) REFERENCES handovers (run, round, target)
);

-- One row a request, with its answer, which is null while it waits.
CREATE VIEW gyre_v1_approvals AS
SELECT a.run, a.round, a.candidate, a.champion, a.gate_digest, a.at_ms AS asked_at_ms,
    a.expires_at_ms, w.answer, w.answered_by, w.via, w.why, w.at_ms AS answered_at_ms
FROM approvals a
LEFT JOIN approval_answers w ON w.run = a.run AND w.round = a.round;

-- One row a hand-over, with its last attempt.
CREATE VIEW gyre_v1_handovers AS
SELECT h.run, h.round, h.target, h.champion, h.target_digest, h.at_ms,
    COALESCE(l.ordinal, 0) AS attempts,
    CASE WHEN l.outcome = 'delivered' THEN 1 ELSE 0 END AS delivered, l.detail AS last_detail,
    l.at_ms AS last_at_ms
FROM handovers h
LEFT JOIN handover_attempts l ON l.run = h.run AND l.round = h.round AND l.target = h.target
    AND l.ordinal = (SELECT MAX(x.ordinal) FROM handover_attempts x
                     WHERE x.run = h.run AND x.round = h.round AND x.target = h.target);
