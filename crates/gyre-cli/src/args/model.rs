use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gyre_model::Dialect;

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Find out what a model's server supports, each by trying it, and have it attempt one task in
    /// the sandbox.
    Check(CheckModelArgs),
}

#[derive(Debug, Parser)]
pub(crate) struct CheckModelArgs {
    /// The server's base address, to which `/chat/completions` is added; the configuration's by
    /// default, or http://127.0.0.1:8000/v1.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The model's name, as the server knows it; the only one that the server lists by default.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The environment variable that holds the server's key.
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// What the server understands beyond OpenAI's keys: openai, vllm, llamacpp or sglang.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    pub(crate) dialect: Option<Dialect>,
    /// A configuration, of which `[model]`, `[model.server]` and `[rollout]` count.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The family of the task, by its folder or its name below the folder of families.
    #[arg(long, default_value = "compose")]
    pub(crate) family: PathBuf,
    /// The level of the task.
    #[arg(long, default_value_t = 1)]
    pub(crate) difficulty: u32,
    /// The seed of the task and of the attempt.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder of families.
    #[arg(long, default_value = "tasks")]
    pub(crate) tasks_dir: PathBuf,
}

/// A dialect by the name that configurations use.
fn dialect(name: &str) -> Result<Dialect, String> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|error| error.to_string())
}
