use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// What can be done with verifiers.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Write a working verifier of one's own, with golden cases, to start from.
    New(NewVerifierArgs),
    /// Say in words what a component lacks or wrongly imports.
    Check(CheckVerifierArgs),
    /// Build a verifier and run its golden cases.
    Test(TestVerifierArgs),
    /// Judge the corpus of attacks and odd solutions, and print what was accepted.
    Corpus(VerifierCorpusArgs),
    /// Measure a verifier on a family's tasks: known-good and known-bad answers, mutants, attacks.
    Audit(AuditVerifierArgs),
    /// Register a verifier under a name, if its audit is within the limits.
    Register(RegisterVerifierArgs),
    /// List the registered verifiers.
    Ls,
    /// Take back what a verifier said: correct its verdicts, rewrite its rows, review its gates.
    Revoke(RevokeVerifierArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct NewVerifierArgs {
    /// The language to write it in.
    #[arg(long)]
    pub(crate) lang: Language,
    /// Its name: a-z, 0-9, - and _, a letter first.
    pub(crate) name: String,
    /// The folder in which a folder of that name is made.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// By cargo, for wasm32-wasip2.
    Rust,
    /// By componentize-py.
    Python,
    /// JavaScript, by jco.
    Js,
}

#[derive(Debug, Parser)]
pub(crate) struct CheckVerifierArgs {
    /// The component, or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub(crate) verifier: PathBuf,
}

#[derive(Debug, Parser)]
pub(crate) struct TestVerifierArgs {
    /// The folder of its project, which is built first, or a component.
    #[arg(value_name = "DIR|FILE.wasm")]
    pub(crate) verifier: PathBuf,
    /// The folder of golden cases; the project's by default, or `golden` beside the component.
    #[arg(long, value_name = "DIR")]
    pub(crate) golden: Option<PathBuf>,
    /// Run again whenever a file of the project is saved, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct VerifierCorpusArgs {
    /// Judge by this registered verifier, or by that of this family (its folder or name),
    /// instead of the built-in one.
    #[arg(long, value_name = "NAME|FAMILY")]
    pub(crate) verifier: Option<PathBuf>,
    /// The folder of families.
    #[arg(long, default_value = "tasks", value_name = "DIR")]
    pub(crate) tasks_dir: PathBuf,
    /// Let a family's verifier be a program of this machine, outside the sandbox.
    #[arg(long)]
    pub(crate) allow_commands: bool,
}

/// What a verifier is measured on.
#[derive(Debug, Parser)]
pub(crate) struct AuditPlanArgs {
    /// Tasks, spread over the family's levels.
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) tasks: u32,
    /// One-edit mutants of each task's reference, at most.
    #[arg(long, default_value_t = 20, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) mutants: u32,
    /// What the tasks are generated from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder of families.
    #[arg(long, default_value = "tasks", value_name = "DIR")]
    pub(crate) tasks_dir: PathBuf,
}

#[derive(Debug, Parser)]
pub(crate) struct AuditVerifierArgs {
    /// The family: its folder or its name.
    #[arg(value_name = "FAMILY|DIR")]
    pub(crate) family: PathBuf,
    /// Measure this component instead of the family's own verifier.
    #[arg(long, value_name = "FILE.wasm")]
    pub(crate) component: Option<PathBuf>,
    /// Write the scorecard here, for `gyre verifier register`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rules: AuditRules,
    #[command(flatten)]
    pub(crate) plan: AuditPlanArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct RegisterVerifierArgs {
    /// What it is to be called: a-z, 0-9, - and _, a letter first.
    pub(crate) name: String,
    /// The component; without it, the verifier that the family declares.
    #[arg(long, value_name = "FILE.wasm", required_unless_present = "family")]
    pub(crate) component: Option<PathBuf>,
    /// What `gyre verifier audit --out` wrote of it; without it, it is audited now.
    #[arg(long, value_name = "FILE", required_unless_present = "family")]
    pub(crate) scorecard: Option<PathBuf>,
    /// The family whose tasks it is audited on, or whose verifier it is.
    #[arg(long, value_name = "FAMILY|DIR")]
    pub(crate) family: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rules: AuditRules,
    #[command(flatten)]
    pub(crate) plan: AuditPlanArgs,
}

/// What verifiers may be, and what an audit must show.
#[derive(Debug, Parser)]
pub(crate) struct AuditRules {
    /// The configuration whose `[verifiers]` hold the limits; the built-in quickstart, which has
    /// the defaults, without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Let the family's verifier be a program of this machine, outside the sandbox.
    #[arg(long)]
    pub(crate) allow_commands: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct RevokeVerifierArgs {
    /// Its digest (or the first 8 or more digits of it) or its registered name.
    #[arg(value_name = "DIGEST|NAME")]
    pub(crate) verifier: String,
    /// Why, for the record.
    #[arg(long)]
    pub(crate) why: Option<String>,
    /// What judges again: `builtin`, `family` (what the family declares now), a digest or a
    /// registered name. Without it, what the verifier said becomes invalid.
    #[arg(long, value_name = "WHAT")]
    pub(crate) replace_with: Option<String>,
    /// Tell what would be touched, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct RevokeTaskArgs {
    /// The task's id.
    pub(crate) task: gyre_types::TaskId,
    /// Why, for the record.
    #[arg(long)]
    pub(crate) why: Option<String>,
    /// Tell what would be touched, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
