-- Lineage, version 7: what lists are read by.
--
-- Kept in step with migrations/sqlite/0007_index.sql: same tables, same meaning.
-- Everything here follows from the rows of other tables and can be made anew
-- from them: a backup leaves it out, and a restore fills it. Triggers keep it,
-- so that whoever adds a rollout or a verdict adds it here too.

-- How many rollouts are alike in all that lists are filtered by.
CREATE TABLE index_cells (
    cell BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    checkpoint TEXT COLLATE "C" NOT NULL,
    policy_digest TEXT COLLATE "C" NOT NULL,
    family TEXT COLLATE "C" NOT NULL,
    difficulty BIGINT NOT NULL,
    -- Of the newest verdict; empty before the first.
    verdict TEXT COLLATE "C" NOT NULL,
    -- The kind of its reason; empty where it has none.
    reason TEXT COLLATE "C" NOT NULL,
    -- Tenths of its score, rounded down; -1 where it has none.
    tenths BIGINT NOT NULL,
    rollouts BIGINT NOT NULL,
    UNIQUE (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict, reason,
        tenths)
);

-- Each rollout with its cell, in the order of lists.
CREATE TABLE index_rollouts (
    run TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    cell BIGINT NOT NULL,
    score DOUBLE PRECISION,
    PRIMARY KEY (run, round, id)
);
CREATE INDEX index_rollouts_by_cell ON index_rollouts (cell, id);

-- How often each task was attempted and solved.
CREATE TABLE index_tasks (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run TEXT COLLATE "C" NOT NULL,
    task TEXT COLLATE "C" NOT NULL,
    rollouts BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    invalid BIGINT NOT NULL,
    UNIQUE (run, task)
);

-- The words of each task; its key is that of index_tasks.
CREATE TABLE index_words (
    key BIGINT NOT NULL PRIMARY KEY,
    words TSVECTOR NOT NULL
);
CREATE INDEX index_words_by_word ON index_words USING gin (words);

-- Tasks are listed by what they are without a look at their bodies.
CREATE INDEX tasks_listed ON tasks (run, round, id, family, split, difficulty);
DROP INDEX tasks_by_round;

-- A text of a JSON object; empty where there is none. This database has no form
-- for the character zero, which is left out.
CREATE FUNCTION index_text(object TEXT, field TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN COALESCE(object::json ->> field, '');
EXCEPTION WHEN OTHERS THEN
    BEGIN
        RETURN COALESCE(replace(object, '\u0000', '')::json ->> field, '');
    EXCEPTION WHEN OTHERS THEN
        RETURN '';
    END;
END
$$;

-- The words of a task, as the other database cuts them, whatever the locale:
-- all but ASCII is part of a word. Words and texts have no bound, vectors do.
CREATE FUNCTION index_vector(family TEXT, composition TEXT, body TEXT) RETURNS TSVECTOR
LANGUAGE SQL IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT array_to_tsvector(COALESCE(array_agg(DISTINCT left(word, 64)), '{}'))
    FROM regexp_split_to_table(
        lower(left(concat_ws(' ', family, composition, index_text(body, 'instruction')), 20000)
            COLLATE "C"),
        '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+' COLLATE "C"
    ) AS word
    WHERE word <> ''
$$;

-- Tenths of a score, rounded down.
CREATE FUNCTION index_tenths(score DOUBLE PRECISION) RETURNS BIGINT
LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(floor(score * 10)::bigint, -1)
$$;

CREATE FUNCTION index_some_tasks() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO index_tasks (run, task, rollouts, passed, failed, invalid)
    SELECT run, id, 0, 0, 0, 0 FROM added;
    INSERT INTO index_words (key, words)
    SELECT k.key, index_vector(a.family, a.composition, a.body)
    FROM added a JOIN index_tasks k ON k.run = a.run AND k.task = a.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_some_tasks AFTER INSERT ON tasks
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION index_some_tasks();

CREATE FUNCTION index_some_rollouts() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO index_cells (run, round, purpose, checkpoint, policy_digest, family, difficulty,
        verdict, reason, tenths, rollouts)
    SELECT a.run, a.round, a.purpose, a.checkpoint, a.policy_digest, t.family, t.difficulty,
        '', '', -1, COUNT(*)
    FROM added a JOIN tasks t ON t.run = a.run AND t.id = a.task
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict,
        reason, tenths) DO UPDATE SET rollouts = index_cells.rollouts + EXCLUDED.rollouts;
    INSERT INTO index_rollouts (run, round, id, cell)
    SELECT a.run, a.round, a.id, c.cell
    FROM added a JOIN tasks t ON t.run = a.run AND t.id = a.task
    JOIN index_cells c ON c.run = a.run AND c.round = a.round AND c.purpose = a.purpose
        AND c.checkpoint = a.checkpoint AND c.policy_digest = a.policy_digest
        AND c.family = t.family AND c.difficulty = t.difficulty
        AND c.verdict = '' AND c.reason = '' AND c.tenths = -1;
    UPDATE index_tasks k SET rollouts = k.rollouts + n.rollouts
    FROM (SELECT run, task, COUNT(*) AS rollouts FROM added GROUP BY run, task) n
    WHERE k.run = n.run AND k.task = n.task;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_some_rollouts AFTER INSERT ON rollouts
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION index_some_rollouts();

-- A verdict takes its rollout from one cell to another; one that is not the
-- newest changes nothing.
CREATE FUNCTION index_some_verdicts() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    WITH moves AS MATERIALIZED (
        SELECT DISTINCT ON (a.run, a.rollout) c.*, r.id, r.task, a.score,
            a.verdict AS new_verdict, index_text(a.reason, 'kind') AS new_reason,
            index_tenths(a.score) AS new_tenths
        FROM added a
        JOIN rollouts r ON r.run = a.run AND r.id = a.rollout
        JOIN index_rollouts x ON x.run = r.run AND x.round = r.round AND x.id = r.id
        JOIN index_cells c ON c.cell = x.cell
        WHERE NOT EXISTS (SELECT 1 FROM verdicts w WHERE w.run = a.run AND w.rollout = a.rollout
                          AND w.revision > a.revision)
        ORDER BY a.run, a.rollout, a.revision DESC
    ), deltas AS (
        SELECT run, round, purpose, checkpoint, policy_digest, family, difficulty,
            new_verdict AS verdict, new_reason AS reason, new_tenths AS tenths, 1 AS delta
        FROM moves
        UNION ALL
        SELECT run, round, purpose, checkpoint, policy_digest, family, difficulty,
            verdict, reason, tenths, -1
        FROM moves
    ), cells AS (
        INSERT INTO index_cells AS c (run, round, purpose, checkpoint, policy_digest, family,
            difficulty, verdict, reason, tenths, rollouts)
        SELECT run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict, reason,
            tenths, SUM(delta)
        FROM deltas GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
        ON CONFLICT (run, round, purpose, checkpoint, policy_digest, family, difficulty, verdict,
            reason, tenths) DO UPDATE SET rollouts = c.rollouts + EXCLUDED.rollouts
        RETURNING c.*
    ), counted AS (
        UPDATE index_tasks k SET passed = k.passed + n.passed, failed = k.failed + n.failed,
            invalid = k.invalid + n.invalid
        FROM (SELECT run, task,
                  SUM((new_verdict = 'pass')::int - (verdict = 'pass')::int) AS passed,
                  SUM((new_verdict = 'fail')::int - (verdict = 'fail')::int) AS failed,
                  SUM((new_verdict = 'invalid')::int - (verdict = 'invalid')::int) AS invalid
              FROM moves GROUP BY run, task) n
        WHERE k.run = n.run AND k.task = n.task
    )
    UPDATE index_rollouts x SET score = m.score, cell = n.cell
    FROM moves m
    JOIN cells n ON n.run = m.run AND n.round = m.round AND n.purpose = m.purpose
        AND n.checkpoint = m.checkpoint AND n.policy_digest = m.policy_digest
        AND n.family = m.family AND n.difficulty = m.difficulty AND n.verdict = m.new_verdict
        AND n.reason = m.new_reason AND n.tenths = m.new_tenths
    WHERE x.run = m.run AND x.round = m.round AND x.id = m.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER index_some_verdicts AFTER INSERT ON verdicts
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION index_some_verdicts();

-- What follows is done again after a restore.
-- Filling.
ANALYZE tasks, rollouts, verdicts;
DELETE FROM index_rollouts;
DELETE FROM index_cells;
DELETE FROM index_tasks;
DELETE FROM index_words;
INSERT INTO index_tasks (run, task, rollouts, passed, failed, invalid)
SELECT t.run, t.id,
    COUNT(r.id), COUNT(*) FILTER (WHERE v.verdict = 'pass'),
    COUNT(*) FILTER (WHERE v.verdict = 'fail'), COUNT(*) FILTER (WHERE v.verdict = 'invalid')
FROM tasks t
LEFT JOIN rollouts r ON r.run = t.run AND r.task = t.id
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id)
GROUP BY t.run, t.id;
INSERT INTO index_words (key, words)
SELECT k.key, index_vector(t.family, t.composition, t.body)
FROM index_tasks k JOIN tasks t ON t.run = k.run AND t.id = k.task;
INSERT INTO index_cells (run, round, purpose, checkpoint, policy_digest, family, difficulty,
    verdict, reason, tenths, rollouts)
SELECT r.run, r.round, r.purpose, r.checkpoint, r.policy_digest, t.family, t.difficulty,
    COALESCE(v.verdict, ''), index_text(v.reason, 'kind'), index_tenths(v.score), COUNT(*)
FROM rollouts r
JOIN tasks t ON t.run = r.run AND t.id = r.task
LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
    AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                      WHERE w.run = r.run AND w.rollout = r.id)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
ANALYZE index_cells;
WITH told AS MATERIALIZED (
    SELECT r.run, r.round, r.id, r.purpose, r.checkpoint, r.policy_digest, t.family, t.difficulty,
        COALESCE(v.verdict, '') AS verdict, index_text(v.reason, 'kind') AS reason,
        index_tenths(v.score) AS tenths, v.score
    FROM rollouts r
    JOIN tasks t ON t.run = r.run AND t.id = r.task
    LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id
        AND v.revision = (SELECT MAX(w.revision) FROM verdicts w
                          WHERE w.run = r.run AND w.rollout = r.id)
)
INSERT INTO index_rollouts (run, round, id, cell, score)
SELECT m.run, m.round, m.id, c.cell, m.score
FROM told m
JOIN index_cells c ON c.run = m.run AND c.round = m.round AND c.purpose = m.purpose
    AND c.checkpoint = m.checkpoint AND c.policy_digest = m.policy_digest
    AND c.family = m.family AND c.difficulty = m.difficulty AND c.verdict = m.verdict
    AND c.reason = m.reason AND c.tenths = m.tenths;
