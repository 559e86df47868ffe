-- Pieces of work are forgotten once their round is over.
--
-- Kept in step with migrations/postgres/0011_pruned_work.sql: same tables, same
-- columns, same constraints.

-- Pieces that the worker brought and that are forgotten since.
ALTER TABLE workers ADD COLUMN pieces INTEGER NOT NULL DEFAULT 0;
