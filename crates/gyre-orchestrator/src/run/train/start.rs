//! Takes over the checkpoint that a run starts from.

use std::path::Path;

use gyre_folder::{EntryKind, Folder};
use gyre_train::{
    Checkpoint, CheckpointLimits, NamedModel, Served, TrainReport, inspect_checkpoint,
    sync_checkpoint,
};
use gyre_types::to_json;
use serde_json::json;

use super::trained::Trained;
use crate::error::Error;
use crate::policy_settings::ModelSettings;
use crate::project::io;

/// Takes over the checkpoint that a run starts from: its files are copied, and
/// checked as what a trainer leaves is.
///
/// # Errors
///
/// When a file cannot be copied, or they are no checkpoint.
pub(crate) fn adopt(start: &Path, scratch: &Folder, out: &Path) -> Result<Trained, Error> {
    copy(&Folder::new(start), scratch)?;
    let limits = CheckpointLimits { files_max: 10_000, bytes_max: u64::MAX };
    let checkpoint = inspect_checkpoint(out, limits, None)?;
    sync_checkpoint(out, &checkpoint)?;
    let record = json!({ "checkpoint": to_json("a checkpoint", &checkpoint)? });
    Ok(taken_over(checkpoint, record))
}

/// Takes a model by its name on a server: there are no files to copy, so its record is
/// what is known of it.
///
/// # Errors
///
/// When the record cannot be written, or the server's address cannot be read.
pub(crate) fn adopt_named(
    name: &str,
    settings: &ModelSettings,
    scratch: &Folder,
) -> Result<Trained, Error> {
    let served = match &settings.serve {
        Some(serve) => Served::By(serve.command.clone()),
        None => Served::At(settings.server.origin()?),
    };
    let model = NamedModel { model: name.to_owned(), served };
    model.write(scratch)?;
    Ok(taken_over(model.checkpoint(), json!({ "model": name })))
}

/// A candidate that nobody trained.
fn taken_over(checkpoint: Checkpoint, record: serde_json::Value) -> Trained {
    let (steps, tokens, loss_last) = (Some(0), Some(0), None);
    let report = TrainReport { steps, tokens, loss_last, checkpoint, record };
    Trained { report, shards: vec![] }
}

/// Copies the files of a folder and of those below it.
fn copy(from: &Folder, to: &Folder) -> Result<(), Error> {
    for entry in from.entries().map_err(io("list", &from.path()))? {
        let path = from.path().join(&entry.name);
        match entry.kind {
            EntryKind::Folder => {
                let below = to.below(&entry.name);
                below.make().map_err(io("make", &below.path()))?;
                copy(&from.below(&entry.name), &below)?;
            }
            _ => {
                let mut read = from.open(&entry.name).map_err(io("read", &path))?;
                let mut write = to.create(&entry.name).map_err(io("write", &to.path()))?;
                std::io::copy(&mut read, &mut write).map_err(io("copy", &path))?;
            }
        }
    }
    Ok(())
}
