use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What can be done with verifiers.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Judge the corpus of attacks and odd solutions, and print what was accepted.
    Corpus(VerifierCorpusArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct VerifierCorpusArgs {
    /// Judge by the verifier of this family (its folder or name) instead of the built-in one.
    #[arg(long, value_name = "FAMILY")]
    pub(crate) verifier: Option<PathBuf>,
    /// The folder of families.
    #[arg(long, default_value = "tasks", value_name = "DIR")]
    pub(crate) tasks_dir: PathBuf,
}
