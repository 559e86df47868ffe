use std::time::Duration;

use clap::Parser;
use gyre_types::RunId;

#[derive(Debug, Parser)]
pub(crate) struct QueryArgs {
    /// One SELECT over the views that docs/sql.md describes; `-` reads it from standard input.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// Rows to give, at most.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// Seconds that it may run.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a whole number of seconds from 1 to 3600 is expected".to_owned()),
    }
}

#[derive(Debug, Parser)]
pub(crate) struct RolloutsArgs {
    /// Which ones, such as 'family=compose verdict=fail score>=0.5'. Keys: family, verdict
    /// (pass, fail, invalid, pending), reason, score (with = < <= > >=), checkpoint, policy,
    /// round, task, purpose (train, gate, test). All must hold.
    #[arg(long = "where", value_name = "CONDITIONS")]
    pub(crate) conditions: Vec<String>,
    /// The run; the newest by default.
    #[arg(long)]
    pub(crate) run: Option<RunId>,
    /// Rollouts to list, at most.
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Go on where the page before ended: the cursor that it gave.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Parser)]
pub(crate) struct DiffArgs {
    /// A rollout.
    pub(crate) a: String,
    /// Another one.
    pub(crate) b: String,
    /// The run to look in; the newest that has them by default.
    #[arg(long)]
    pub(crate) run: Option<RunId>,
}
