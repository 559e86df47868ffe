//! What a trainer left, read once from end to end before it is believed.

mod contents;
mod files;
mod form;
mod named;
mod vocabulary;
mod weights;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use gyre_folder::Folder;
use gyre_types::Digest;
use sha2::{Digest as _, Sha256};

use crate::CheckpointError;

pub use contents::{Checkpoint, CheckpointFile, CheckpointKind, CheckpointLimits};
pub use named::{NamedModel, Served, checkpoint_kind};
pub use vocabulary::vocabulary;

/// Files of a checkpoint that was accepted once.
const FILES_MAX: usize = 1_000_000;

/// Reads all files of a folder, each once and never whole in memory, and checks that
/// they are a checkpoint or an adapter:
///
/// - regular files and folders alone, within the limits;
/// - safetensors whose header describes exactly the file, all weights finite
///   (<https://huggingface.co/docs/safetensors>);
/// - `config.json` with weights and a tokenizer, or `adapter_config.json` with
///   `adapter_model.safetensors` (<https://huggingface.co/docs/peft>);
/// - the vocabulary of the parent, where both are known.
///
/// Blocks the thread while it reads.
///
/// # Errors
///
/// When something is missing or cannot be trusted, and when the system fails.
pub fn inspect_checkpoint(
    folder: &Path,
    limits: CheckpointLimits,
    parent_vocabulary: Option<Digest>,
) -> Result<Checkpoint, CheckpointError> {
    let listed = files::list(&Folder::new(folder), limits)?;
    let mut files = Vec::with_capacity(listed.len());
    let mut weights = form::Weights::new();
    for file in listed {
        let scanned = weights::scan(folder, file)?;
        if let Some(tensors) = scanned.tensors {
            weights.insert(scanned.file.path.clone(), tensors);
        }
        files.push(scanned.file);
    }
    let kind = form::check(folder, &files, &weights)?;
    let vocabulary = vocabulary(folder)?;
    if let (Some(own), Some(parents)) = (vocabulary, parent_vocabulary)
        && own != parents
    {
        return Err(CheckpointError::refused(
            folder.join(vocabulary::FILE),
            "has another vocabulary than the parent's: what was sampled would mean something \
             else; save the parent's tokenizer",
        ));
    }
    let bytes = files.iter().map(|file| file.bytes).sum();
    Ok(Checkpoint { kind, digest: digest(&files), bytes, files, vocabulary })
}

/// Digests every file of a checkpoint's folder, by its path and content, each read
/// once and never whole in memory. What they hold is not looked at.
///
/// # Errors
///
/// When the folder is missing, holds what no checkpoint does, or cannot be read.
pub fn digest_checkpoint(folder: &Path) -> Result<Digest, CheckpointError> {
    let root = Folder::new(folder);
    if !folder.is_dir() {
        return Err(CheckpointError::refused(folder.to_owned(), "is not a folder, or was removed"));
    }
    let limits = CheckpointLimits { files_max: FILES_MAX, bytes_max: u64::MAX };
    let hash = |file: files::Listed| {
        let failed = || CheckpointError::io("read", folder.join(&file.path));
        let mut hasher = Sha256::new();
        let mut content = root.open(&file.path).map_err(failed())?;
        let mut block = vec![0; 1 << 20];
        loop {
            match content.read(&mut block).map_err(failed())? {
                0 => break,
                read => hasher.update(&block[..read]),
            }
        }
        let sha256 = Digest::from_bytes(hasher.finalize().into());
        Ok(CheckpointFile { path: file.path, bytes: file.bytes, sha256 })
    };
    let files: Vec<_> =
        files::list(&root, limits)?.into_iter().map(hash).collect::<Result<_, _>>()?;
    Ok(digest(&files))
}

fn digest(files: &[CheckpointFile]) -> Digest {
    let parts =
        files.iter().flat_map(|file| [file.path.as_bytes(), file.sha256.as_bytes().as_slice()]);
    Digest::of_parts(parts)
}

/// Makes all files of a checkpoint, and the names of its folders, outlive a loss of
/// power. The caller may rename the folder afterwards.
///
/// # Errors
///
/// When the system fails.
pub fn sync_checkpoint(folder: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    let root = Folder::new(folder);
    let failed = |path: &str| CheckpointError::io("sync", folder.join(path));
    let mut folders = BTreeSet::from([Path::new("")]);
    for file in &checkpoint.files {
        root.open(&file.path).and_then(|file| file.sync_all()).map_err(failed(&file.path))?;
        folders.extend(Path::new(&file.path).ancestors().skip(1));
    }
    // Deepest first, so that a name is durable only once what it names is.
    for below in folders.into_iter().rev() {
        root.below(below).sync().map_err(CheckpointError::io("sync", folder.join(below)))?;
    }
    Ok(())
}
