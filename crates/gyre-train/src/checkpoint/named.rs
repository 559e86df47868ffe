//! A model that is known by its name alone: somebody else has its weights.

use std::path::Path;

use gyre_folder::Folder;
use gyre_types::Digest;
use serde::{Deserialize, Serialize};

use super::contents::{Checkpoint, CheckpointFile, CheckpointKind};
use super::files::read_json;
use super::form::ADAPTER_CONFIG;
use crate::CheckpointError;

/// The one file of a named model's folder.
const FILE: &str = "gyre-model.json";

/// The version of its form.
const VERSION: u32 = 1;

/// What stands for a model that a server has and Gyre does not: its name, and who
/// serves it. Its digest covers both and no weights, which is all that can be known.
///
/// It lies in a folder of its own, as a checkpoint does, so that whatever names,
/// copies and checks checkpoints does so with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedModel {
    /// The name that requests ask for.
    pub model: String,
    /// Who serves it.
    pub served: Served,
}

/// Who serves a named model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Served {
    /// A server that somebody else runs, by its scheme, host and port.
    At(String),
    /// A command that Gyre starts, before anything of it is filled in.
    By(Vec<String>),
}

impl NamedModel {
    /// The digest of its folder, as [`digest_checkpoint`](crate::digest_checkpoint)
    /// gives it.
    pub fn digest(&self) -> Digest {
        self.checkpoint().digest
    }

    /// What lies in its folder.
    pub fn checkpoint(&self) -> Checkpoint {
        let text = self.text();
        let (bytes, sha256) = (text.len() as u64, Digest::of(text.as_bytes()));
        let files = vec![CheckpointFile { path: FILE.to_owned(), bytes, sha256 }];
        let (kind, digest) = (CheckpointKind::Named, super::digest(&files));
        Checkpoint { kind, digest, bytes, files, vocabulary: None }
    }

    fn text(&self) -> String {
        let stored = serde_json::json!({
            "version": VERSION, "model": self.model, "served": self.served,
        });
        format!("{stored:#}\n")
    }

    /// Writes the file into a folder, and syncs it.
    ///
    /// # Errors
    ///
    /// When the system fails.
    pub fn write(&self, folder: &Folder) -> Result<(), CheckpointError> {
        let path = folder.path().join(FILE);
        let failed = || CheckpointError::io("write", path.clone());
        folder.write(FILE, self.text().as_bytes()).map_err(failed())?;
        folder.sync().map_err(failed())
    }

    /// Reads the file of a folder; `None` where the folder holds a model's weights.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is of another version.
    pub fn read(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        let Some(stored) = read_json(folder, FILE)? else { return Ok(None) };
        let refused = |why: String| CheckpointError::refused(folder.join(FILE), why);
        let version = stored["version"].as_u64();
        if version != Some(u64::from(VERSION)) {
            let found = &stored["version"];
            return Err(refused(format!(
                "is of version {found}, and this gyre reads version {VERSION}; use a newer gyre"
            )));
        }
        let model = Self {
            model: serde_json::from_value(stored["model"].clone())
                .map_err(|error| refused(format!("names no model ({error})")))?,
            served: serde_json::from_value(stored["served"].clone())
                .map_err(|error| refused(format!("does not say who serves it ({error})")))?,
        };
        Ok(Some(model))
    }
}

/// What lies in the folder of a checkpoint that was accepted once, by its files' names.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn checkpoint_kind(folder: &Path) -> Result<CheckpointKind, CheckpointError> {
    let files = Folder::new(folder);
    let entries = files.entries().map_err(CheckpointError::io("list", folder.to_owned()))?;
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    Ok(if has(FILE) {
        CheckpointKind::Named
    } else if has(ADAPTER_CONFIG) {
        CheckpointKind::Adapter
    } else {
        CheckpointKind::Checkpoint
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_model_is_a_folder_with_one_file() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let at = |origin: &str| NamedModel {
            model: "Qwen/Qwen3-4B".to_owned(),
            served: Served::At(origin.to_owned()),
        };
        assert_eq!(NamedModel::read(temporary.path()).unwrap(), None);
        assert_eq!(checkpoint_kind(temporary.path()).unwrap(), CheckpointKind::Checkpoint);
        let model = at("http://127.0.0.1:8000");
        model.write(&folder).unwrap();
        assert_eq!(crate::digest_checkpoint(temporary.path()).unwrap(), model.digest());
        assert_eq!(NamedModel::read(temporary.path()).unwrap(), Some(model));
        assert_eq!(checkpoint_kind(temporary.path()).unwrap(), CheckpointKind::Named);
        let first = crate::digest_checkpoint(temporary.path()).unwrap();

        at("http://127.0.0.1:8001").write(&folder).unwrap();
        assert_ne!(crate::digest_checkpoint(temporary.path()).unwrap(), first, "another server");
        std::fs::write(temporary.path().join(FILE), r#"{"version": 2}"#).unwrap();
        let error = NamedModel::read(temporary.path()).unwrap_err().to_string();
        let why = "is of version 2, and this gyre reads version 1; use a newer gyre";
        assert!(error.ends_with(why), "{error}");
    }

    #[test]
    fn an_adapter_is_told_by_its_configuration() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join(ADAPTER_CONFIG), "{}").unwrap();
        assert_eq!(checkpoint_kind(temporary.path()).unwrap(), CheckpointKind::Adapter);
    }
}
