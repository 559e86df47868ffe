-- Lineage, version 14: the words of tasks that hold messages.
--
-- Kept in step with migrations/sqlite/0014_task_words.sql: same meaning.
-- A task of version 1 holds its instruction, one of version 2 the messages that
-- open its conversation: the words of all of them are found. The filling of
-- version 7 calls the function that is replaced here.

-- What a task says. This database has no form for the character zero, which is
-- left out.
CREATE FUNCTION index_told(body TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
DECLARE
    told TEXT;
BEGIN
    BEGIN
        SELECT string_agg(m ->> 'content', ' ') INTO told
        FROM json_array_elements(body::json -> 'messages') AS m;
    EXCEPTION WHEN OTHERS THEN
        SELECT string_agg(m ->> 'content', ' ') INTO told
        FROM json_array_elements(replace(body, '\u0000', '')::json -> 'messages') AS m;
    END;
    RETURN COALESCE(told, index_text(body, 'instruction'));
EXCEPTION WHEN OTHERS THEN
    RETURN index_text(body, 'instruction');
END
$$;

CREATE OR REPLACE FUNCTION index_vector(family TEXT, composition TEXT, body TEXT) RETURNS TSVECTOR
LANGUAGE SQL IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT array_to_tsvector(COALESCE(array_agg(DISTINCT left(word, 64)), '{}'))
    FROM regexp_split_to_table(
        lower(left(concat_ws(' ', family, composition, index_told(body)), 20000) COLLATE "C"),
        '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+' COLLATE "C"
    ) AS word
    WHERE word <> ''
$$;
