-- The role as which people's own SQL runs, and the function that has it run so.
--
-- A connection that only takes a role can leave it again from within a SELECT
-- (`set_config('role', …)`), and be a superuser once more. Within a function
-- that runs as its owner the server refuses that, for whatever the function
-- calls. So the query is carried out there, and nothing of it outside.
--
-- All of this is one transaction.

DO $make$
DECLARE
    reader CONSTANT text := 'gyre_reader';
    place CONSTANT text := quote_ident(current_schema());
    is_lent boolean := false;
    readable record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        BEGIN
            EXECUTE 'CREATE ROLE gyre_reader NOLOGIN NOINHERIT';
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            -- Another database of this server was quicker.
            NULL;
        END;
    END IF;

    -- Who is no superuser must be a member to give something to the role, and is
    -- one only for now: members could read the views of other databases too.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT CREATE ON SCHEMA %s TO gyre_reader', place);
        BEGIN
            EXECUTE 'GRANT gyre_reader TO CURRENT_USER';
            is_lent := true;
        EXCEPTION WHEN insufficient_privilege THEN
            -- An administrator may have made it a member.
            NULL;
        END;
    END IF;

    EXECUTE format('DROP FUNCTION IF EXISTS %s.gyre_query(text, integer, bigint, bigint)', place);
    EXECUTE format($create$
        CREATE FUNCTION %1$s.gyre_query(
            statement text, width integer, rows_max bigint, bytes_max bigint
        )
        RETURNS SETOF text[]
        LANGUAGE plpgsql STABLE SECURITY DEFINER
        SET search_path = %1$s, pg_temp
        AS $body$
        DECLARE
            names text;
            texts text;
            cells text[];
            sent bigint := 0;
            size bigint := 0;
        BEGIN
            SELECT string_agg('c' || n, ', '), string_agg(
                'CASE WHEN c' || n || ' IS NOT DISTINCT FROM NULL THEN NULL '
                'ELSE format(''%%s'', c' || n || ') END', ', ')
            INTO names, texts FROM generate_series(1, width) n;
            -- The statement ends with its line: it may end with a comment.
            FOR cells IN EXECUTE 'SELECT ARRAY[' || COALESCE(texts, '') || ']::text[] FROM ('
                || statement || E'\n) AS q' || COALESCE('(' || names || ')', '')
            LOOP
                RETURN NEXT cells;
                sent := sent + 1;
                size := size + COALESCE(octet_length(array_to_string(cells, '')), 0);
                IF sent > rows_max OR size > bytes_max THEN
                    -- Says that there may be more.
                    RETURN NEXT NULL::text[];
                    EXIT;
                END IF;
            END LOOP;
        END
        $body$
    $create$, place);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM gyre_reader', place);
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO gyre_reader', place);
    FOR readable IN
        SELECT c.oid::regclass::text AS name FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
            AND c.relname LIKE 'gyre\_v%'
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO gyre_reader', readable.name);
    END LOOP;

    EXECUTE format(
        'ALTER FUNCTION %s.gyre_query(text, integer, bigint, bigint) OWNER TO gyre_reader', place);
    EXECUTE format(
        'REVOKE ALL ON FUNCTION %s.gyre_query(text, integer, bigint, bigint) FROM PUBLIC', place);
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION %s.gyre_query(text, integer, bigint, bigint) TO CURRENT_USER',
        place);
    EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM gyre_reader', place);
    IF is_lent THEN
        EXECUTE 'REVOKE gyre_reader FROM CURRENT_USER';
    END IF;
END
$make$
