//! What a model acts from: whole weights, an adapter on top of them, or a name.

use std::path::{Path, PathBuf};

use gyre_train::{CheckpointError, CheckpointKind, NamedModel, checkpoint_kind};
use gyre_types::CheckpointId;

use crate::error::Error;

/// What a model acts from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Weights {
    /// The folder of a whole checkpoint.
    Whole(PathBuf),
    /// An adapter, on top of what it goes back to.
    Adapter {
        /// Its folder.
        folder: PathBuf,
        /// The model below it; none where the run began with the adapter.
        base: Option<Base>,
    },
    /// A model that a server has.
    Named(NamedModel),
}

/// The model below an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) checkpoint: CheckpointId,
    /// The folder of its weights; none where a server has them.
    pub(crate) folder: Option<PathBuf>,
}

/// A checkpoint that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) folder: PathBuf,
    /// The checkpoint that it was trained from.
    pub(crate) parent: Option<CheckpointId>,
}

impl Weights {
    /// What a found checkpoint acts from. `find` is asked for its ancestors as far as
    /// they are needed: an adapter goes back to the first that is none.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read, or `find` fails.
    pub(crate) fn of(
        found: Found,
        mut find: impl FnMut(&CheckpointId) -> Result<Found, Error>,
    ) -> Result<Self, Error> {
        let Found { folder, mut parent } = found;
        match checkpoint_kind(&folder)? {
            CheckpointKind::Checkpoint => return Ok(Self::Whole(folder)),
            CheckpointKind::Named => return named(&folder).map(Self::Named),
            CheckpointKind::Adapter => {}
        }
        while let Some(checkpoint) = parent {
            let below = find(&checkpoint)?;
            let own = match checkpoint_kind(&below.folder)? {
                CheckpointKind::Adapter => {
                    parent = below.parent;
                    continue;
                }
                CheckpointKind::Checkpoint => Some(below.folder),
                CheckpointKind::Named => None,
            };
            return Ok(Self::Adapter { folder, base: Some(Base { checkpoint, folder: own }) });
        }
        Ok(Self::Adapter { folder, base: None })
    }

    /// The folder of whole weights.
    ///
    /// # Errors
    ///
    /// When it is an adapter or a name: the embedded model loads neither.
    pub(crate) fn whole(&self) -> Result<&Path, Error> {
        let (path, what) = match self {
            Self::Whole(folder) => return Ok(folder),
            Self::Adapter { folder, .. } => (folder.clone(), "is an adapter"),
            Self::Named(named) => (PathBuf::from(&named.model), "is a model that a server has"),
        };
        let why =
            format!("{what}, which the embedded model cannot load; use `model.kind = \"openai\"`");
        Err(CheckpointError::Refused { path, why }.into())
    }

    /// The folder that a training goes on from; none where there are no files.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Whole(folder) | Self::Adapter { folder, .. } => Some(folder),
            Self::Named(_) => None,
        }
    }
}

fn named(folder: &Path) -> Result<NamedModel, Error> {
    let missing = || CheckpointError::Refused {
        path: folder.to_owned(),
        why: "names no model, or was changed meanwhile".to_owned(),
    };
    Ok(NamedModel::read(folder)?.ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gyre_folder::Folder;
    use gyre_train::Served;
    use gyre_types::Digest;

    use super::*;

    fn id(name: &str) -> CheckpointId {
        CheckpointId::from_digest(&Digest::of(name.as_bytes()))
    }

    /// A folder with checkpoints by name, each with the name of its parent.
    fn weights(of: &str, made: &[(&str, CheckpointKind, Option<&str>)]) -> (PathBuf, Weights) {
        let root = tempfile::tempdir().unwrap();
        let mut all = BTreeMap::new();
        for (name, kind, parent) in made {
            let folder = root.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            match kind {
                CheckpointKind::Checkpoint => {
                    std::fs::write(folder.join("config.json"), "{}").unwrap()
                }
                CheckpointKind::Adapter => {
                    std::fs::write(folder.join("adapter_config.json"), "{}").unwrap();
                }
                CheckpointKind::Named => {
                    let served = Served::At("http://127.0.0.1:8000".to_owned());
                    let model = NamedModel { model: (*name).to_owned(), served };
                    model.write(&Folder::new(&folder)).unwrap();
                }
            }
            all.insert(id(name), Found { folder, parent: parent.map(id) });
        }
        let weights = Weights::of(all[&id(of)].clone(), |id| Ok(all[id].clone())).unwrap();
        (root.path().to_owned(), weights)
    }

    #[test]
    fn an_adapter_goes_back_to_the_first_that_is_none() {
        use CheckpointKind::{Adapter, Checkpoint, Named};
        let made = [
            ("base", Checkpoint, None),
            ("whole", Checkpoint, Some("base")),
            ("first", Adapter, Some("whole")),
            ("second", Adapter, Some("first")),
        ];
        let (root, found) = weights("second", &made);
        let base = Base { checkpoint: id("whole"), folder: Some(root.join("whole")) };
        assert_eq!(found, Weights::Adapter { folder: root.join("second"), base: Some(base) });
        assert_eq!(found.folder(), Some(root.join("second").as_path()));
        let refused = found.whole().unwrap_err().to_string();
        assert!(
            refused.contains("is an adapter, which the embedded model cannot load"),
            "{refused}"
        );

        let (root, found) = weights("whole", &made);
        assert_eq!(found.whole().unwrap(), root.join("whole"));

        let of_server = [("qwen", Named, None), ("first", Adapter, Some("qwen"))];
        let (root, found) = weights("first", &of_server);
        let base = Base { checkpoint: id("qwen"), folder: None };
        assert_eq!(found, Weights::Adapter { folder: root.join("first"), base: Some(base) });
        let (_, found) = weights("qwen", &of_server);
        assert!(matches!(&found, Weights::Named(named) if named.model == "qwen"));
        assert_eq!(found.folder(), None);

        let (root, found) = weights("alone", &[("alone", Adapter, None)]);
        assert_eq!(found, Weights::Adapter { folder: root.join("alone"), base: None });
    }
}
