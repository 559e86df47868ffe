-- Rounds at set times, and which service did which of them.
--
-- Kept in step with migrations/postgres/0004_schedules.sql: same tables, same
-- columns, same constraints.

-- What a service was told to keep. `spec` is the schedule as configured.
CREATE TABLE schedules (
    name TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    -- The name of the campaign that it drives.
    campaign TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'stopped')),
    why TEXT NOT NULL,
    -- The run that it drives; nothing before its first tick.
    run TEXT REFERENCES runs,
    -- The first round that its stop rules look at.
    counts_from INTEGER NOT NULL,
    -- All ticks up to here are decided on.
    watched_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- One row for each tick that was decided on. Whoever claims it raises the epoch,
-- which fences what an earlier holder would still say of it.
CREATE TABLE schedule_ticks (
    schedule TEXT NOT NULL REFERENCES schedules,
    tick_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('planned', 'manual')),
    state TEXT NOT NULL CHECK (state IN
        ('due', 'claimed', 'running', 'done', 'refused', 'missed', 'failed')),
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    -- What it makes, once it runs.
    run TEXT REFERENCES runs,
    round INTEGER,
    -- What it has cost so far, over all who held it.
    cpu_ms INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (schedule, tick_ms)
) STRICT;
CREATE INDEX schedule_ticks_open ON schedule_ticks (state, schedule, tick_ms);

-- How each tick came to be where it stands: appended, never changed.
CREATE TABLE schedule_tick_events (
    schedule TEXT NOT NULL,
    tick_ms INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    state TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    detail TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (schedule, tick_ms, ordinal),
    FOREIGN KEY (schedule, tick_ms) REFERENCES schedule_ticks (schedule, tick_ms)
) STRICT;
