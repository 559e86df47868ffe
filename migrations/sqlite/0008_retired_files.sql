-- Files that retention gave up. The rows that name them stay, and the audit
-- does not miss them.
--
-- Kept in step with migrations/postgres/0008_retired_files.sql: same tables, same
-- columns, same constraints.

CREATE TABLE retired_files (
    run TEXT NOT NULL REFERENCES runs,
    -- As the row that names it has it: below the data folder.
    path TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (run, path)
) STRICT;
