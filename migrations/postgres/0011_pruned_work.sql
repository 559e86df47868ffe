-- Pieces of work are forgotten once their round is over.
--
-- Kept in step with migrations/sqlite/0011_pruned_work.sql: same tables, same
-- columns, same constraints.

-- Pieces that the worker brought and that are forgotten since.
ALTER TABLE workers ADD COLUMN pieces BIGINT NOT NULL DEFAULT 0;
