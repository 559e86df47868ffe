//! A million rollouts, and how long the service takes for each list of them.

mod measure;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use crate::command::{self, CommandError, cargo, command, last_line};
use crate::services::{self, Postgres};
use crate::step::Steps;

/// Rollouts to reach.
const ROLLOUTS: u64 = 1_000_000;
/// Rounds that they are of, about.
const ROUNDS: u64 = 128;

/// Grows a small run to a million rollouts and measures every list, on both
/// databases.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    steps.run("sqlite3", services::sqlite);
    let built =
        steps.run("build", || command::run(cargo().args(["build", "--release", "--workspace"])));
    let folder = std::env::temp_dir().join(format!("gyre-million-{}", std::process::id()));
    let gyre = built.and_then(|()| steps.run("binary", gyre));
    if let Some(gyre) = gyre
        && steps.run("grow", || grow(&gyre, &folder)).is_some()
    {
        steps.run("sqlite", || measure::service(&gyre, &folder, &[]));
        if let Some(postgres) = steps.run("postgres", Postgres::start) {
            let url = postgres.url.clone();
            steps.run("move to postgres", || move_to(&gyre, &folder, &url));
            steps.run("postgres lists", || measure::service(&gyre, &folder, &["--database", &url]));
            steps.run("stop postgres", || postgres.stop());
        }
    }
    steps.run("clean up", || match std::fs::remove_dir_all(&folder) {
        Err(error) if folder.exists() => Err(error),
        _ => Ok(()),
    });
    steps.finish()
}

/// Why the rollouts could not be made.
enum GrowError {
    Command(CommandError),
    Script(std::io::Error),
}

impl From<CommandError> for GrowError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl std::fmt::Display for GrowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::Script(error) => write!(f, "the script could not be written: {error}"),
        }
    }
}

/// The binary that stands beside this one.
pub(crate) fn gyre() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = own.parent().and_then(Path::parent).ok_or("this program stands nowhere")?;
    let gyre = target.join("release/gyre");
    if gyre.exists() { Ok(gyre) } else { Err(format!("{} is missing", gyre.display())) }
}

/// Makes a small run and copies its rounds and rollouts until there are enough.
fn grow(gyre: &Path, folder: &Path) -> Result<(), GrowError> {
    let config = ["run", "--config", "configs/small.toml", "--rounds", "3"];
    command::run(command(gyre).arg("--data-dir").arg(folder).args(config))?;
    let count = |what: &str| -> Result<u64, CommandError> {
        let counted = last_line(command("sqlite3").arg(folder.join("lineage.db")).arg(what))?;
        Ok(counted.parse().unwrap_or_default())
    };
    let rollouts = count("SELECT COUNT(*) FROM rollouts WHERE round > 0")?.max(1);
    let rounds = ROUNDS.div_ceil(count("SELECT MAX(round) FROM rollouts")?.max(1));
    let copies = ROLLOUTS.div_ceil(rollouts * rounds);
    // Where temporary tables lie is said first: saying it takes away those there are.
    let sql = format!(
        "PRAGMA temp_store = MEMORY;\nCREATE TEMP TABLE copies AS SELECT {rounds} AS rounds, {copies} AS rollouts;\n{}",
        include_str!("million/grow.sql")
    );
    let file = folder.join("grow.sql");
    std::fs::write(&file, sql).map_err(GrowError::Script)?;
    let read = format!(".read {}", file.display());
    command::run(command("sqlite3").arg("-bail").arg(folder.join("lineage.db")).arg(read))?;
    say!("{} rollouts in {rounds} times the rounds", count("SELECT COUNT(*) FROM rollouts")?);
    Ok(())
}

fn move_to(gyre: &Path, folder: &Path, url: &str) -> Result<(), CommandError> {
    let file = folder.join("million.backup");
    command::run(command(gyre).arg("--data-dir").arg(folder).args(["db", "backup"]).arg(&file))?;
    let mut restore = command(gyre);
    restore.arg("--data-dir").arg(folder).env("GYRE_DATABASE", url);
    // The copies lie in the files of the rollouts that they are copies of, which
    // the audit at the end finds.
    command::run_to(restore.args(["db", "restore"]).arg(&file).stdout(Stdio::null()), 70)
}
