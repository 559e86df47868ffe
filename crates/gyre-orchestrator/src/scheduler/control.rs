//! What people ask of a schedule.

use gyre_lineage::{ScheduleRow, ScheduleStatus};
use gyre_round::{ScheduleConfig, Timetable};

use crate::error::Error;
use crate::inspect;
use crate::project::Project;

/// Rounds that a resumed schedule forgets, at most.
const ROUNDS_MAX: u32 = 10_000;

/// What a schedule was told to keep; none where a later version wrote it.
pub fn spec(row: &ScheduleRow) -> Option<ScheduleConfig> {
    serde_json::from_value(row.spec.clone()).ok()
}

/// When a schedule ticks next; none where it does not.
pub fn next_tick(row: &ScheduleRow, now_ms: i64) -> Option<i64> {
    let spec = spec(row).filter(|_| row.status == ScheduleStatus::Active)?;
    Timetable::parse(&spec.cron, &spec.time_zone).ok()?.next_after(now_ms)
}

/// Lets a schedule tick again from now on, whether it was paused or ended by a
/// rule: its stop rules forget the rounds that are over.
///
/// # Errors
///
/// When there is no such schedule, or the store fails.
pub fn resume(project: &Project, name: &str, now_ms: i64) -> Result<ScheduleRow, Error> {
    let row = project.wait(project.store.schedule(name))?;
    let counts_from = rounds_made(project, &row)?;
    Ok(project.wait(project.store.resume_schedule(name, counts_from, now_ms))?)
}

/// The first round that is not over: stop rules look at it and those after it.
fn rounds_made(project: &Project, row: &ScheduleRow) -> Result<u32, Error> {
    let Some(run) = &row.run else { return Ok(0) };
    let run = project.run(Some(run))?;
    for round in 0..ROUNDS_MAX {
        let (state, _) = inspect::round_state(project, &run, round)?;
        if !state.stage.is_terminal() {
            return Ok(round);
        }
    }
    Ok(ROUNDS_MAX)
}
