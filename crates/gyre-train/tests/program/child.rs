//! A program of the tests: a small Gyre that trains or serves by a command and may be
//! killed meanwhile, and the supervisor of what it and the tests start.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use gyre_fault::Failpoints;
use gyre_train::{
    CommandConfig, CommandTrainer, Host, ServeConfig, ServerSlot, SupervisorProgram, Target,
    TrainError, TrainJob, TrainRowReader, TrainRows, Trainer, run_as_supervisor,
};
use gyre_types::Seed;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// What it is to do, as JSON in its one argument.
#[derive(Deserialize)]
struct Work {
    /// The folder of everything: `dataset`, `output` and logs lie in it.
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    train: Option<CommandConfig>,
    serve: Option<ServeConfig>,
}

fn main() -> ExitCode {
    if let Some(ended) = run_as_supervisor() {
        return ended;
    }
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_told_by_exit_code) => ExitCode::FAILURE,
    }
}

fn work() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1).ok_or("an argument is needed")?;
    let work: Work = serde_json::from_str(&argument)?;
    let _in_force = Failpoints::from_environment()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let host = Host {
        project: work.folder.clone(),
        environment: work.environment,
        supervisor: SupervisorProgram::this_program()?,
    };
    if let Some(config) = work.train {
        runtime.block_on(train(config, host.clone(), &work.folder))?;
    }
    if let Some(config) = work.serve {
        runtime.block_on(serve(config, host, work.folder))?;
    }
    Ok(())
}

async fn train(
    config: CommandConfig,
    host: Host,
    folder: &std::path::Path,
) -> Result<(), Box<dyn Error>> {
    let trainer = CommandTrainer::new(config, host)?;
    let job = TrainJob {
        rows: Arc::new(Published { folder: folder.join("dataset") }),
        parent: None,
        output: &folder.join("output"),
        log: &folder.join("train.log"),
        round: 0,
        seed: Seed(1),
    };
    trainer.train(job, &mut |_| {}, &CancellationToken::new()).await?;
    Ok(())
}

/// Rows that lie in a folder already. No program reads them one by one.
struct Published {
    folder: PathBuf,
}

impl TrainRows for Published {
    fn folder(&self) -> Result<PathBuf, TrainError> {
        Ok(self.folder.clone())
    }

    fn read(&self) -> Result<TrainRowReader<'_>, TrainError> {
        Ok(Box::new(std::iter::empty()))
    }
}

/// Serves two checkpoints, one after the other, and stops.
async fn serve(config: ServeConfig, host: Host, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let cancel = CancellationToken::new();
    let mut slot = ServerSlot::new(config, host, folder);
    for name in ["first", "second"] {
        let target = Target { checkpoint: None, adapter: None, name: name.to_owned() };
        slot.serve(&target, &cancel).await?;
    }
    slot.stop().await;
    Ok(())
}
