-- Lineage, version 14: the words of tasks that hold messages.
--
-- Kept in step with migrations/postgres/0014_task_words.sql: same meaning.
-- A task of version 1 holds its instruction, one of version 2 the messages that
-- open its conversation: the words of all of them are found.

DROP TRIGGER index_a_task;
CREATE TRIGGER index_a_task AFTER INSERT ON tasks
BEGIN
    INSERT INTO index_tasks (run, task, rollouts, passed, failed, invalid)
    VALUES (NEW.run, NEW.id, 0, 0, 0, 0);
    INSERT INTO index_words (rowid, words)
    SELECT k.key, NEW.family || ' ' || NEW.composition || ' '
        || CASE WHEN json_valid(NEW.body)
           THEN COALESCE(json_extract(NEW.body, '$.instruction'),
               (SELECT group_concat(json_extract(m.value, '$.content'), ' ')
                FROM json_each(NEW.body, '$.messages') m WHERE m.type = 'object'), '')
           ELSE '' END
    FROM index_tasks k WHERE k.run = NEW.run AND k.task = NEW.id;
END;

-- What follows is done again after a restore, behind the filling of version 7.
-- Filling.
INSERT INTO index_words (index_words) VALUES ('delete-all');
INSERT INTO index_words (rowid, words)
SELECT k.key, t.family || ' ' || t.composition || ' '
    || CASE WHEN json_valid(t.body)
       THEN COALESCE(json_extract(t.body, '$.instruction'),
           (SELECT group_concat(json_extract(m.value, '$.content'), ' ')
            FROM json_each(t.body, '$.messages') m WHERE m.type = 'object'), '')
       ELSE '' END
FROM index_tasks k JOIN tasks t ON t.run = k.run AND t.id = k.task;
