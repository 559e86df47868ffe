-- Files that retention gave up. The rows that name them stay, and the audit
-- does not miss them.
--
-- Kept in step with migrations/sqlite/0008_retired_files.sql: same tables, same
-- columns, same constraints.

CREATE TABLE retired_files (
    run TEXT COLLATE "C" NOT NULL REFERENCES runs,
    -- As the row that names it has it: below the data folder.
    path TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run, path)
);
