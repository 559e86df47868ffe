-- Rounds at set times, and which service did which of them.
--
-- Kept in step with migrations/sqlite/0004_schedules.sql: same tables, same
-- columns, same constraints.

-- What a service was told to keep. `spec` is the schedule as configured.
CREATE TABLE schedules (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    -- The name of the campaign that it drives.
    campaign TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'paused', 'stopped')),
    why TEXT NOT NULL,
    -- The run that it drives; nothing before its first tick.
    run TEXT COLLATE "C" REFERENCES runs,
    -- The first round that its stop rules look at.
    counts_from BIGINT NOT NULL,
    -- All ticks up to here are decided on.
    watched_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- One row for each tick that was decided on. Whoever claims it raises the epoch,
-- which fences what an earlier holder would still say of it.
CREATE TABLE schedule_ticks (
    schedule TEXT COLLATE "C" NOT NULL REFERENCES schedules,
    tick_ms BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('planned', 'manual')),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN
        ('due', 'claimed', 'running', 'done', 'refused', 'missed', 'failed')),
    epoch BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    -- What it makes, once it runs.
    run TEXT COLLATE "C" REFERENCES runs,
    round BIGINT,
    -- What it has cost so far, over all who held it.
    cpu_ms BIGINT NOT NULL,
    wall_ms BIGINT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (schedule, tick_ms)
);
CREATE INDEX schedule_ticks_open ON schedule_ticks (state, schedule, tick_ms);

-- How each tick came to be where it stands: appended, never changed.
CREATE TABLE schedule_tick_events (
    schedule TEXT COLLATE "C" NOT NULL,
    tick_ms BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    detail TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (schedule, tick_ms, ordinal),
    FOREIGN KEY (schedule, tick_ms) REFERENCES schedule_ticks (schedule, tick_ms)
);
