//! The events of a round, and the state that they come to.

use gyre_lineage::{EventRow, RunRow};
use gyre_round::{RoundEvent, RoundState, fold};

use crate::error::Error;
use crate::project::Project;
use crate::stored;

/// The events of a round, each with the time at which it was recorded.
pub(crate) fn round_events(
    project: &Project,
    run: &RunRow,
    round: u32,
) -> Result<Vec<(i64, RoundEvent)>, Error> {
    let rows = project.wait(project.store.round_events(&run.id, round))?;
    let read = |row: EventRow| Ok((row.at_ms, stored::read_event(&run.id, &row)?));
    rows.into_iter().map(read).collect()
}

/// The state of a round, and when its events were recorded.
///
/// # Errors
///
/// When the store fails or the events do not follow from each other.
pub fn round_state(
    project: &Project,
    run: &RunRow,
    round: u32,
) -> Result<(RoundState, Vec<(i64, RoundEvent)>), Error> {
    let events = round_events(project, run, round)?;
    let state = fold(events.iter().map(|(_, event)| event)).map_err(|source| Error::Illegal {
        run: run.id.clone(),
        round,
        source,
    })?;
    Ok((state, events))
}
