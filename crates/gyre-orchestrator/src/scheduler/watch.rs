//! Decides on the ticks that have passed.

use gyre_lineage::{ScheduleStatus, TickDecision, TickRow, TickState};
use gyre_round::{Overlap, TICKS_PER_LOOK, due};

use super::{Happened, Listener, Schedule, Scheduler};
use crate::error::Error;

/// Ticks of one schedule that wait, at most. One more is refused.
const QUEUE_MAX: usize = 1_000;

impl Scheduler {
    /// Decides on every tick that has passed and that nobody decided on. Gives
    /// how many those were; another service that looks at the same moment
    /// decides on the others, and on none of these.
    ///
    /// # Errors
    ///
    /// When the store fails. What was decided until then stays so.
    pub fn look(&self, listener: &Listener<'_>) -> Result<usize, Error> {
        let mut decided = 0;
        for schedule in &self.schedules {
            while let Some(ticks) = self.look_at(schedule)? {
                let full = ticks.len() == TICKS_PER_LOOK;
                decided += ticks.len();
                let schedule = schedule.config.name.clone();
                listener(&Happened::Decided { schedule, ticks });
                if !full {
                    break;
                }
            }
        }
        Ok(decided)
    }

    /// None where no tick has passed, or another service was faster.
    fn look_at(&self, schedule: &Schedule) -> Result<Option<Vec<(i64, TickState)>>, Error> {
        let (project, name) = (&self.project, schedule.config.name.as_str());
        let row = project.wait(project.store.schedule(name))?;
        if row.status != ScheduleStatus::Active {
            return Ok(None);
        }
        let now_ms = (self.clock)();
        let passed = schedule.timetable.ticks(row.watched_ms, now_ms, TICKS_PER_LOOK);
        let more = passed.len() == TICKS_PER_LOOK;
        let Some(last) = passed.last().copied() else { return Ok(None) };
        let open = project.wait(project.store.open_ticks().collect())?;
        let open: Vec<_> = open.into_iter().filter(|tick| tick.schedule == name).collect();
        let due = due(schedule.config.catch_up, &passed, more, now_ms);
        let missed = |tick| (tick, TickState::Missed, "no service was there".to_owned());
        let mut ticks: Vec<_> = due.missed.into_iter().map(missed).collect();
        let overlap = schedule.config.overlap;
        ticks.extend(due.run.into_iter().enumerate().map(|(waiting, tick)| {
            match refusal(overlap, &open, waiting) {
                Some(why) => (tick, TickState::Refused, why),
                None => (tick, TickState::Due, String::new()),
            }
        }));
        let decided = ticks.iter().map(|(tick, state, _)| (*tick, *state)).collect();
        let mine = project.wait(project.store.decide_ticks(&TickDecision {
            schedule: name.to_owned(),
            expected_watched_ms: row.watched_ms,
            watched_ms: if more { last } else { now_ms },
            ticks,
            at_ms: now_ms,
        }))?;
        Ok(mine.then_some(decided))
    }
}

/// Why a tick is refused. Late ticks that are caught up on wait for each other
/// whatever the policy: it is about rounds that take too long.
fn refusal(overlap: Overlap, open: &[TickRow], waiting: usize) -> Option<String> {
    let before = open.first()?;
    match overlap {
        Overlap::Refuse => Some(format!("the tick {} is {}", before.tick_ms, before.state)),
        Overlap::Queue if open.len() + waiting >= QUEUE_MAX => {
            Some(format!("{QUEUE_MAX} ticks wait already"))
        }
        Overlap::Queue => None,
    }
}
