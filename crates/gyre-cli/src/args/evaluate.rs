use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use gyre_types::{Acting, Split};

#[derive(Debug, Parser)]
pub(crate) struct EvaluateArgs {
    /// What to evaluate: the folder of a checkpoint, a ckpt-… of this data folder, a run (its
    /// champion), the name of a model that the server has, or the file that `--output` wrote
    /// (which is not evaluated again). Two are compared by the gate's own test.
    #[arg(value_name = "MODEL", num_args = 0..=2, conflicts_with_all = ["checkpoint", "model"])]
    pub(crate) models: Vec<String>,
    /// The configuration, of which tasks, held-out parts, `[rollout]`, `[model]` and `[gate]`
    /// count; the built-in quickstart by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the checkpoint to evaluate.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The name of the model to evaluate, on the server of the configuration or of `--url`.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The base address of an OpenAI-compatible server that somebody else runs, such as
    /// http://127.0.0.1:8000/v1. Without a model's name, the only one that it lists is evaluated.
    #[arg(long, value_name = "URL", conflicts_with = "checkpoint")]
    pub(crate) url: Option<String>,
    /// The environment variable that holds the server's key.
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// How the model acts, instead of what `[model]` in the configuration says.
    #[arg(long, value_name = "HOW")]
    pub(crate) acting: Option<ActingArg>,
    /// Only this part of the held-out tasks.
    #[arg(long, value_name = "PART")]
    pub(crate) part: Option<PartArg>,
    /// Tasks of each part, instead of the configured number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) tasks: Option<u32>,
    /// The seed that every random stream derives from, instead of the configured one. The tasks
    /// come from `held_out.seed` and stay the same.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Write the results, task by task, to this file as JSON.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A part of the held-out tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartArg {
    /// On which the gate decides.
    Gate,
    /// Which only reports see.
    Test,
}

impl From<PartArg> for Split {
    fn from(part: PartArg) -> Self {
        match part {
            PartArg::Gate => Self::Gate,
            PartArg::Test => Self::Test,
        }
    }
}

/// How a model acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActingArg {
    /// By calls of the environment's tools.
    Tools,
    /// In text, with its program in a fenced block.
    Text,
}

impl From<ActingArg> for Acting {
    fn from(acting: ActingArg) -> Self {
        match acting {
            ActingArg::Tools => Self::Tools,
            ActingArg::Text => Self::Text,
        }
    }
}
