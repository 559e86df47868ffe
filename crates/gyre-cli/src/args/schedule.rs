use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// List the schedules, or the ticks of one.
    Ls {
        /// The schedule.
        name: Option<String>,
        /// Ticks to list, newest first.
        #[arg(short = 'n', long, default_value_t = 20)]
        rows: u32,
    },
    /// Make a tick due now, beside those of the timetable.
    RunNow {
        /// The schedule.
        name: String,
    },
    /// Let no tick begin until the schedule is resumed.
    Pause {
        /// The schedule.
        name: String,
        /// Why, for those who wonder.
        #[arg(long, default_value = "paused by hand")]
        why: String,
    },
    /// Let a schedule tick again from now on, whether it was paused or ended by a rule.
    Resume {
        /// The schedule.
        name: String,
    },
}
