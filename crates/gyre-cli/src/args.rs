//! What can be said on the command line.

mod db;
mod evaluate;
mod model;
mod promote;
mod query;
mod schedule;
mod verifier;
mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use gyre_types::{RunId, Split};

pub(crate) use db::{DbCommand, GcArgs};
pub(crate) use evaluate::EvaluateArgs;
pub(crate) use model::{CheckModelArgs, ModelCommand};
pub(crate) use promote::{HandoversArgs, PromoteArgs};
pub(crate) use query::{DiffArgs, QueryArgs, RolloutsArgs};
pub(crate) use schedule::ScheduleCommand;
pub(crate) use verifier::{
    AuditPlanArgs, AuditRules, AuditVerifierArgs, CheckVerifierArgs, Language, NewVerifierArgs,
    RegisterVerifierArgs, RevokeTaskArgs, RevokeVerifierArgs, TestVerifierArgs, VerifierCommand,
    VerifierCorpusArgs,
};
pub(crate) use worker::{WorkerArgs, WorkerCommand, WorkersArg};

/// Gyre: agents that teach themselves where outcomes can be checked by execution.
/// Statements of the database that take their time are news for developers only.
pub(crate) const LOG_DEFAULT: &str = "warn,sqlx=error";

#[derive(Debug, Parser)]
#[command(name = "gyre", version, about, after_help = crate::exit::HELP, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Global {
    /// The folder that holds datasets, checkpoints and the embedded database.
    #[arg(long, global = true, default_value = ".gyre", env = "GYRE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The lineage database (postgres://…); by default a SQLite file in the data folder.
    #[arg(long, global = true, env = "GYRE_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Which log lines go to stderr, such as `info` or `gyre_sandbox=debug`.
    #[arg(long, global = true, default_value = LOG_DEFAULT, env = "GYRE_LOG", value_name = "FILTER")]
    pub(crate) log: String,
    /// How log lines are written.
    #[arg(long, global = true, env = "GYRE_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// How log lines are written; by default as JSON with `--json`, else as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, with the ids of what it is about.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run rounds until the configured number is done.
    Run(RunArgs),
    /// Serve the web pages, the HTTP API and metrics of the data folder, and make the rounds that
    /// the configuration schedules.
    Serve(ServeArgs),
    /// Make rollouts for runs that other processes drive, until asked to stop.
    Worker(WorkerArgs),
    /// Look at schedules, and steer them.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Watch the runs and rounds of a running service.
    Top(TopArgs),
    /// Show the runs of the data folder and where they stand.
    Status,
    /// Show the rounds of a run.
    Rounds(OfRun),
    /// Show a run, task, rollout, shard or checkpoint by its id.
    Show(ById),
    /// List the rollouts of a run that conditions choose.
    Rollouts(RolloutsArgs),
    /// Show two rollouts side by side, from where they part.
    Diff(DiffArgs),
    /// Ask the lineage in SQL, reading only.
    Query(QueryArgs),
    /// Migrate, back up or restore the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Make a candidate champion that passed the gate and waits for approval, or decline it.
    Promote(PromoteArgs),
    /// Show what promotions were handed over to, and hand over what is outstanding.
    Handovers(HandoversArgs),
    /// Remove files that no record names, and those that the options give up.
    Gc(GcArgs),
    /// Run recorded rollouts again and compare every byte.
    Replay(ReplayArgs),
    /// Measure a model on the held-out tasks alone, or compare two.
    Evaluate(EvaluateArgs),
    /// Show what something came from and what came of it.
    Lineage(ById),
    /// Check rows, files and logs against the invariants of the lineage.
    Audit(AuditArgs),
    /// Look at published training rows.
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Look at, check, write and import tasks.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Write, check, test, measure and revoke verifiers.
    #[command(subcommand)]
    Verifier(VerifierCommand),
    /// Try models behind servers.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Judge programs against a task file, outside any round.
    Judge(JudgeArgs),
    /// Check this machine: sandbox, cache, data folder, database.
    Doctor,
    /// Show the configuration in force or its schema.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure the sandbox, the verifier and the embedded policy on this machine.
    Bench(BenchArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct RunArgs {
    /// The configuration; the built-in quickstart (configs/quickstart.toml) by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The seed that every random stream derives from, instead of the configured one.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Rounds after the cold start, instead of the configured number.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// Go on with the newest unfinished run (or the one named) where it stopped.
    #[arg(long, value_name = "RUN", num_args = 0..=1, conflicts_with_all = ["config", "seed", "rounds"])]
    pub(crate) resume: Option<Option<RunId>>,
    /// Who makes the rollouts, instead of what `[workers]` in the configuration says.
    #[arg(long, value_name = "WHO")]
    pub(crate) workers: Option<WorkersArg>,
}

/// Which service, and how often.
#[derive(Debug, Parser)]
pub(crate) struct TopArgs {
    /// Where it listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8500")]
    pub(crate) url: String,
    /// The environment variable that holds its token, where it wants one.
    #[arg(long, value_name = "NAME", default_value = "GYRE_SERVER_TOKEN")]
    pub(crate) token_env: String,
    /// Seconds between two looks.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) every: u32,
    /// Look once; so it is where nobody watches.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct ServeArgs {
    /// The configuration, of which `[server]`, `[[schedules]]`, `[database]` and `[tasks]` count;
    /// the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address and port to listen on, instead of the configured 127.0.0.1:8500.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Parser)]
pub(crate) struct AuditArgs {
    /// The run; all of this data folder, if none is named.
    pub(crate) run: Option<RunId>,
    /// Accept the lineage as it is now: rewrite every `seal.json` to name its last seal.
    #[arg(long)]
    pub(crate) renew_anchors: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct OfRun {
    /// The run; the newest by default.
    pub(crate) run: Option<RunId>,
}

#[derive(Debug, Parser)]
pub(crate) struct ById {
    /// Its id, such as quickstart-1, task-…, roll-…, shard-… or ckpt-….
    pub(crate) id: String,
    /// The run to look in; the newest that has it by default.
    #[arg(long)]
    pub(crate) run: Option<RunId>,
}

#[derive(Debug, Parser)]
pub(crate) struct ReplayArgs {
    /// Rollouts to replay.
    #[arg(required_unless_present = "sample", value_name = "ROLLOUT")]
    pub(crate) rollouts: Vec<String>,
    /// Replay so many rollouts, spread evenly over the run.
    #[arg(long, value_name = "N", conflicts_with = "rollouts")]
    pub(crate) sample: Option<u32>,
    /// The run; the newest by default.
    #[arg(long)]
    pub(crate) run: Option<RunId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// List the shards of a run.
    Ls(OfRun),
    /// Show the first rows.
    Head {
        /// The run; the newest by default.
        run: Option<RunId>,
        /// Rows to show.
        #[arg(short = 'n', long, default_value_t = 5)]
        rows: usize,
        /// Which rows: `records`, the accepted ones, or `groups`, every attempt that
        /// passed or failed.
        #[arg(long, value_name = "NAME", default_value = "records")]
        config: DatasetConfigArg,
    },
    /// Count rows by round, family and difficulty, with quantiles of tokens and fuel.
    Stats(OfRun),
}

/// A configuration of a dataset that has rows of its own: the others are views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatasetConfigArg {
    /// The accepted rows.
    Records,
    /// Whole groups.
    Groups,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List the task families, or the tasks of a run.
    Ls {
        /// List the tasks of this run instead of the families.
        #[arg(long)]
        run: Option<RunId>,
        /// Only this side of the split.
        #[arg(long)]
        split: Option<SplitArg>,
        /// Tasks to list.
        #[arg(short = 'n', long, default_value_t = 20)]
        rows: u32,
        /// The folder of families.
        #[arg(long, default_value = "tasks")]
        tasks_dir: PathBuf,
    },
    /// Write a small working family to start from.
    New {
        /// The family's name.
        name: String,
        /// The folder of families.
        #[arg(long, default_value = "tasks")]
        tasks_dir: PathBuf,
    },
    /// Generate tasks of a family and check each: reference passes, failures fail, twice the same.
    Check {
        /// The family's folder, or its name below the folder of families.
        family: PathBuf,
        /// Tasks per level.
        #[arg(short = 'n', long, default_value_t = 20)]
        count: u32,
        /// The seed to generate from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder of families.
        #[arg(long, default_value = "tasks")]
        tasks_dir: PathBuf,
        /// Let families be judged by programs of this machine, outside the sandbox.
        #[arg(long)]
        allow_commands: bool,
    },
    /// Generate one task and show it, key and all (or write it as a task file with --json).
    Show {
        /// The family's folder or name.
        family: PathBuf,
        /// The level.
        #[arg(long, default_value_t = 1)]
        difficulty: u32,
        /// The seed to generate from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder of families.
        #[arg(long, default_value = "tasks")]
        tasks_dir: PathBuf,
        /// Let families be judged by programs of this machine, outside the sandbox.
        #[arg(long)]
        allow_commands: bool,
    },
    /// Take back what was said of a task: it was wrong.
    Revoke(RevokeTaskArgs),
    /// Turn a file of tasks in another project's format into a family.
    Import {
        /// The format of the file.
        #[arg(long)]
        format: ImportFormat,
        /// The file.
        file: PathBuf,
        /// The family's name; the file's by default.
        #[arg(long)]
        name: Option<String>,
        /// The folder of families.
        #[arg(long, default_value = "tasks")]
        tasks_dir: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// JSON lines with task_id, prompt, entry_point, canonical_solution and test.
    Humaneval,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArg {
    Train,
    Gate,
    Test,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Self::Train,
            SplitArg::Gate => Self::Gate,
            SplitArg::Test => Self::Test,
        }
    }
}

#[derive(Debug, Parser)]
pub(crate) struct JudgeArgs {
    /// The task file, as `gyre task show --json` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) task: PathBuf,
    /// Files with the programs to judge; `-` reads one from standard input.
    #[arg(required = true, value_name = "ANSWER")]
    pub(crate) answers: Vec<PathBuf>,
    /// Let a task be judged by a program of this machine, outside the sandbox.
    #[arg(long)]
    pub(crate) allow_commands: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in force, every default filled in.
    Show {
        /// The configuration; the built-in quickstart by default.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the JSON Schema of configuration files.
    Schema,
}

#[derive(Debug, Parser)]
pub(crate) struct BenchArgs {
    /// Programs per measurement.
    #[arg(short = 'n', long, default_value_t = 300)]
    pub(crate) count: u32,
    /// Measure workers instead: rollouts per second with 1, 2 and 4 of one core each, and what
    /// their queue costs.
    #[arg(long)]
    pub(crate) workers: bool,
}
