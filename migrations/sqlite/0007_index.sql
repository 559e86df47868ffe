-- Lineage, version 7: what lists are read by.
--
-- Kept in step with migrations/postgres/0007_index.sql: same tables, same
-- meaning.
-- Everything here follows from the rows of other tables and can be made anew
-- from them: a backup leaves it out, and a restore fills it. Triggers keep it,
-- so that whoever adds a rollout or a verdict adds it here too.

-- How many rollouts are alike in all that lists are filtered by.
CREATE TABLE index_cells (
    cell INTEGER NOT NULL PRIMARY KEY,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    policy_digest TEXT NOT NULL,
    family TEXT NOT NULL,
    difficulty INTEGER NOT NULL,
    -- Of the newest verdict; empty before the first.
    verdict TEXT NOT NULL,
    -- The kind of its reason; empty where it has none.
    reason TEXT NOT NULL,
    -- Tenths of its score, rounded down; -1 where it has none.
    tenths INTEGER NOT NULL,
    rollouts INTEGER NOT NULL,
    UNIQUE (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict, reason,
        tenths)
) STRICT;

-- Each rollout with its cell, in the order of lists.
CREATE TABLE index_rollouts (
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    id TEXT NOT NULL,
    cell INTEGER NOT NULL,
    score REAL,
    PRIMARY KEY (run, round, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_rollouts_by_cell ON index_rollouts (cell, id);

-- How often each task was attempted and solved.
CREATE TABLE index_tasks (
    key INTEGER NOT NULL PRIMARY KEY,
    run TEXT NOT NULL,
    task TEXT NOT NULL,
    rollouts INTEGER NOT NULL,
    passed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    invalid INTEGER NOT NULL,
    UNIQUE (run, task)
) STRICT;

-- The words of each task; its rowid is the key of index_tasks. All but ASCII is
-- part of a word, so that both databases cut alike.
CREATE VIRTUAL TABLE index_words USING fts5(words, content='', tokenize='ascii');

-- Tasks are listed by what they are without a look at their bodies.
CREATE INDEX tasks_listed ON tasks (run, round, id, family, split, difficulty);
DROP INDEX tasks_by_round;

CREATE TRIGGER index_a_task AFTER INSERT ON tasks
BEGIN
    INSERT INTO index_tasks (run, task, rollouts, passed, failed, invalid)
    VALUES (NEW.run, NEW.id, 0, 0, 0, 0);
    INSERT INTO index_words (rowid, words)
    SELECT k.key, NEW.family || ' ' || NEW.composition || ' '
        || CASE WHEN json_valid(NEW.body)
           THEN COALESCE(json_extract(NEW.body, '$.instruction'), '') ELSE '' END
    FROM index_tasks k WHERE k.run = NEW.run AND k.task = NEW.id;
END;

CREATE TRIGGER index_a_rollout AFTER INSERT ON rollouts
BEGIN
    INSERT INTO index_cells (run, round, purpose, checkpoint, policy_digest, family, difficulty,
        verdict, reason, tenths, rollouts)
    SELECT NEW.run, NEW.round, NEW.purpose, NEW.checkpoint, NEW.policy_digest, t.family,
        t.difficulty, '', '', -1, 1
    FROM tasks t WHERE t.run = NEW.run AND t.id = NEW.task
    ON CONFLICT (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict,
        reason, tenths) DO UPDATE SET rollouts = rollouts + 1;
    INSERT INTO index_rollouts (run, round, id, cell, score)
    SELECT NEW.run, NEW.round, NEW.id, c.cell, NULL
    FROM tasks t JOIN index_cells c ON c.run = NEW.run AND c.round = NEW.round
        AND c.purpose = NEW.purpose AND c.checkpoint = NEW.checkpoint
        AND c.policy_digest = NEW.policy_digest AND c.family = t.family
        AND c.difficulty = t.difficulty AND c.verdict = '' AND c.reason = '' AND c.tenths = -1
    WHERE t.run = NEW.run AND t.id = NEW.task;
    UPDATE index_tasks SET rollouts = rollouts + 1 WHERE run = NEW.run AND task = NEW.task;
END;

-- A verdict takes its rollout from one cell to another; one that is not the
-- newest changes nothing.
CREATE TRIGGER index_a_verdict AFTER INSERT ON verdicts
WHEN NOT EXISTS (SELECT 1 FROM verdicts w WHERE w.run = NEW.run AND w.rollout = NEW.rollout
                 AND w.revision > NEW.revision)
BEGIN
    UPDATE index_tasks SET
        passed = passed + (NEW.verdict = 'pass') - (c.verdict = 'pass'),
        failed = failed + (NEW.verdict = 'fail') - (c.verdict = 'fail'),
        invalid = invalid + (NEW.verdict = 'invalid') - (c.verdict = 'invalid')
    FROM rollouts r
    JOIN index_rollouts x ON x.run = r.run AND x.round = r.round AND x.id = r.id
    JOIN index_cells c ON c.cell = x.cell
    WHERE r.run = NEW.run AND r.id = NEW.rollout
        AND index_tasks.run = r.run AND index_tasks.task = r.task;
    INSERT INTO index_cells (run, round, purpose, checkpoint, policy_digest, family, difficulty,
        verdict, reason, tenths, rollouts)
    SELECT c.run, c.round, c.purpose, c.checkpoint, c.policy_digest, c.family, c.difficulty,
        NEW.verdict,
        CASE WHEN json_valid(NEW.reason)
            THEN COALESCE(json_extract(NEW.reason, '$.kind'), '') ELSE '' END,
        CASE WHEN NEW.score IS NULL THEN -1 ELSE CAST(NEW.score * 10 AS INTEGER) END, 1
    FROM rollouts r
    JOIN index_rollouts x ON x.run = r.run AND x.round = r.round AND x.id = r.id
    JOIN index_cells c ON c.cell = x.cell
    WHERE r.run = NEW.run AND r.id = NEW.rollout
    ON CONFLICT (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict,
        reason, tenths) DO UPDATE SET rollouts = rollouts + 1;
    UPDATE index_cells SET rollouts = rollouts - 1
    WHERE cell = (SELECT x.cell FROM rollouts r
                  JOIN index_rollouts x ON x.run = r.run AND x.round = r.round AND x.id = r.id
                  WHERE r.run = NEW.run AND r.id = NEW.rollout);
    UPDATE index_rollouts SET
        score = NEW.score,
        cell = (SELECT n.cell FROM index_cells c JOIN index_cells n ON n.run = c.run
                AND n.round = c.round AND n.purpose = c.purpose AND n.checkpoint = c.checkpoint
                AND n.policy_digest = c.policy_digest AND n.family = c.family
                AND n.difficulty = c.difficulty AND n.verdict = NEW.verdict
                AND n.reason = CASE WHEN json_valid(NEW.reason)
                    THEN COALESCE(json_extract(NEW.reason, '$.kind'), '') ELSE '' END
                AND n.tenths = CASE WHEN NEW.score IS NULL THEN -1
                    ELSE CAST(NEW.score * 10 AS INTEGER) END
                WHERE c.cell = index_rollouts.cell)
    WHERE run = NEW.run AND id = NEW.rollout
        AND round = (SELECT r.round FROM rollouts r WHERE r.run = NEW.run AND r.id = NEW.rollout);
END;

-- What follows is done again after a restore.
-- Filling.
DELETE FROM index_rollouts;
DELETE FROM index_cells;
DELETE FROM index_tasks;
INSERT INTO index_words (index_words) VALUES ('delete-all');
INSERT INTO index_tasks (run, task, rollouts, passed, failed, invalid)
SELECT t.run, t.id,
    COUNT(r.id), COALESCE(SUM(v.verdict = 'pass'), 0), COALESCE(SUM(v.verdict = 'fail'), 0),
    COALESCE(SUM(v.verdict = 'invalid'), 0)
FROM tasks t
LEFT JOIN rollouts r ON r.run = t.run AND r.task = t.id
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id)
GROUP BY t.run, t.id;
INSERT INTO index_words (rowid, words)
SELECT k.key, t.family || ' ' || t.composition || ' '
    || CASE WHEN json_valid(t.body)
       THEN COALESCE(json_extract(t.body, '$.instruction'), '') ELSE '' END
FROM index_tasks k JOIN tasks t ON t.run = k.run AND t.id = k.task;
INSERT INTO index_cells (run, round, purpose, checkpoint, policy_digest, family, difficulty,
    verdict, reason, tenths, rollouts)
SELECT r.run, r.round, r.purpose, r.checkpoint, r.policy_digest, t.family, t.difficulty,
    COALESCE(v.verdict, ''),
    CASE WHEN json_valid(v.reason)
        THEN COALESCE(json_extract(v.reason, '$.kind'), '') ELSE '' END,
    CASE WHEN v.score IS NULL THEN -1 ELSE CAST(v.score * 10 AS INTEGER) END, COUNT(*)
FROM rollouts r
JOIN tasks t ON t.run = r.run AND t.id = r.task
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
INSERT INTO index_rollouts (run, round, id, cell, score)
SELECT r.run, r.round, r.id, c.cell, v.score
FROM rollouts r
JOIN tasks t ON t.run = r.run AND t.id = r.task
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id)
JOIN index_cells c ON c.run = r.run AND c.round = r.round AND c.purpose = r.purpose
    AND c.checkpoint = r.checkpoint AND c.policy_digest = r.policy_digest
    AND c.family = t.family AND c.difficulty = t.difficulty
    AND c.verdict = COALESCE(v.verdict, '')
    AND c.reason = CASE WHEN json_valid(v.reason)
        THEN COALESCE(json_extract(v.reason, '$.kind'), '') ELSE '' END
    AND c.tenths = CASE WHEN v.score IS NULL THEN -1 ELSE CAST(v.score * 10 AS INTEGER) END
ORDER BY 1, 2, 3;
