//! What a tick's round costs in time.

use std::path::Path;

use gyre_lineage::TickRow;
use gyre_round::{BudgetLimit, RoundBudget, Spent};

use crate::clock::Clock;

/// Counts a tick's time, over all services that had it.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    clock: Clock,
    began_ms: i64,
    began_cpu_ms: u64,
    before: (u64, u64),
}

impl Meter {
    pub(super) fn start(tick: &TickRow, clock: Clock) -> Self {
        Self {
            clock,
            began_ms: clock(),
            began_cpu_ms: processor_ms(),
            before: (tick.cpu_ms, tick.wall_ms),
        }
    }

    /// Milliseconds of processor time, and milliseconds that services worked on it.
    pub fn spent(&self) -> (u64, u64) {
        let wall = u64::try_from((self.clock)() - self.began_ms).unwrap_or(0);
        let cpu = processor_ms().saturating_sub(self.began_cpu_ms);
        (self.before.0 + cpu, self.before.1 + wall)
    }

    /// The limit that a round is over which spent so much beside time.
    pub fn exceeded(&self, budget: &RoundBudget, spent: Spent) -> Option<BudgetLimit> {
        let (cpu_ms, wall_ms) = self.spent();
        budget.exceeded(&Spent { cpu_ms, wall_ms, ..spent })
    }
}

/// Processor time of this process and its children, dead and alive: guests run
/// in children.
fn processor_ms() -> u64 {
    let own = ticks(Path::new("/proc/self/stat"), 4);
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children")).ok()?;
        let of = |pid: &str| ticks(&Path::new("/proc").join(pid).join("stat"), 2);
        Some(children.split_whitespace().map(of).sum::<u64>())
    });
    let ticks = own + children.sum::<u64>();
    #[cfg(unix)]
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    #[cfg(not(unix))]
    let per_second = 100;
    ticks * 1_000 / per_second
}

/// The first fields from the fourteenth on: user and system time, and then those
/// of children that are gone.
fn ticks(stat: &Path, fields: usize) -> u64 {
    let Ok(text) = std::fs::read_to_string(stat) else { return 0 };
    // The name in parentheses may hold spaces: count the fields after it.
    let Some((_, rest)) = text.rsplit_once(')') else { return 0 };
    rest.split_whitespace().skip(11).take(fields).filter_map(|n| n.parse::<u64>().ok()).sum()
}
