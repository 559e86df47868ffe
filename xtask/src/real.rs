//! What is published, in the hands of the tools that people train with.

mod smollm2;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{self, CommandError, cargo, command};
use crate::setup;
use crate::step::Steps;

/// Has TRL train two steps on each view of a small run's dataset; has a tiny model
/// served, trained by TRL and served again; sends recorded conversations to three
/// servers; has the settings of the recipes that need a GPU checked by the programs
/// that they are for; and runs a round of SmolLM2.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let python = steps.run("python", setup::python);
    let built = steps.run("build", || {
        command::run(cargo().args(["build", "--release", "--package", "gyre-cli"]))
    });
    let folder = std::env::temp_dir().join(format!("gyre-real-{}", std::process::id()));
    let gyre = built.and_then(|()| steps.run("binary", crate::million::gyre));
    if let Some(python) = &python {
        let work = folder.join("recipes");
        if steps.run("recipes", || recipes(python, &work)).is_some() {
            steps.run("settings", || settings(python, &work.join("dataset")));
        }
        if let Some(example) = steps.run("example", example) {
            let work = folder.join("conversations");
            steps.run("conversations", || conversations(python, &example, &work));
        }
        if let Some(gyre) = &gyre
            && steps.run("run", || small_run(gyre, &folder)).is_some()
        {
            steps.run("train", || train(python, &folder));
        }
        if let Some(gyre) = &gyre
            && let Some(model) = steps.run("model", || setup::model(python))
        {
            let work = folder.join("smollm2");
            steps.run("smollm2", || smollm2::short_form(gyre, python, &model, &work));
        }
    }
    steps.run("clean up", || match fs::remove_dir_all(&folder) {
        Err(error) if folder.exists() => Err(error),
        _ => Ok(()),
    });
    steps.finish()
}

fn recipes(python: &Path, work: &Path) -> Result<(), CommandError> {
    let test = ["xtask/tests/recipes/loop.py", "configs", "trl_sft.py"];
    command::run(command(python).args(test).arg(work))
}

fn settings(python: &Path, dataset: &Path) -> Result<(), CommandError> {
    let check = ["xtask/src/real/gpu_settings.py", "configs/trainers"];
    command::run(command(python).args(check).arg(dataset))
}

/// Builds the program that sends recorded conversations, and gives its place.
fn example() -> Result<PathBuf, String> {
    let example = ["build", "--release", "--package", "gyre-model", "--example", "conversations"];
    command::run(cargo().args(example)).map_err(|error| error.to_string())?;
    Ok(crate::million::gyre()?.with_file_name("examples/conversations"))
}

fn conversations(python: &Path, example: &Path, work: &Path) -> Result<(), CommandError> {
    let mut send = command(python);
    command::run(send.arg("xtask/src/real/conversations.py").arg(example).arg(work))
}

fn train(python: &Path, folder: &Path) -> Result<(), CommandError> {
    let mut train = command(python);
    let train = train.args(["-c", include_str!("real/train.py")]);
    let train = train.arg(folder.join("datasets/small-1"));
    command::run(train.env("HF_HOME", folder.join("cache")).env("HF_HUB_OFFLINE", "1"))
}

fn small_run(gyre: &Path, folder: &Path) -> Result<(), CommandError> {
    let small = ["run", "--config", "configs/small.toml", "--rounds", "1"];
    command::run(command(gyre).arg("--data-dir").arg(folder).args(small))
}
