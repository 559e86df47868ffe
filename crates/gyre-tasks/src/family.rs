use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gyre_folder::{EntryKind, Folder};
use gyre_types::Digest;
use gyre_verify::Verifier;
use serde::Serialize;

use crate::TaskError;
use crate::manifest::{Difficulty, FamilyManifest, SourceKind};
use crate::static_tasks::{self, StaticTask};

/// Largest file of a family, in bytes: families are read whole.
const FILE_BYTES_MAX: u64 = 16 << 20;

const MANIFEST: &str = "family.toml";
const GENERATOR: &str = "generate.py";
const STATIC_TASKS: &str = "tasks.jsonl";

/// A task family, read whole from its folder.
#[derive(Debug, Clone)]
pub struct Family {
    /// What `family.toml` says.
    pub manifest: FamilyManifest,
    /// Where its tasks come from.
    pub source: FamilySource,
    /// What decides its answers. A component or a command is unresolved until
    /// somebody who can run one puts it here.
    pub verifier: Verifier,
    /// Digest of all files of the folder, by name and content.
    pub digest: Digest,
}

/// Where a family's tasks come from, with what is needed to make them.
#[derive(Debug, Clone)]
pub enum FamilySource {
    /// A generator for the sandbox.
    Generate {
        /// The text of `generate.py`.
        main: String,
        /// The other Python files of the folder, by module name; `generate.py`
        /// may import them.
        modules: BTreeMap<String, String>,
    },
    /// Tasks that are written down.
    Static(Vec<StaticTask>),
}

/// A family in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilySummary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its levels.
    pub difficulty: Difficulty,
    /// `generate` or `static`.
    pub source: SourceKind,
    /// How many tasks are written down; none for a generator.
    pub tasks: Option<usize>,
    /// One sentence.
    pub description: String,
    /// Digest of its folder.
    pub digest: Digest,
}

impl Family {
    /// Reads a family's folder.
    ///
    /// # Errors
    ///
    /// When the folder or a file cannot be read, or `family.toml` or
    /// `tasks.jsonl` is not valid.
    pub fn load(dir: &Path) -> Result<Self, TaskError> {
        let files = read_folder(dir)?;
        let manifest_path = dir.join(MANIFEST);
        let manifest: FamilyManifest = toml::from_str(text_of(&files, dir, MANIFEST)?)
            .map_err(|error| TaskError::invalid(&manifest_path, error.to_string().trim_end()))?;
        manifest.validate(dir).map_err(|why| TaskError::invalid(&manifest_path, why))?;
        let verifier = read_verifier(&manifest, &files, dir)?;
        let source = match manifest.source {
            SourceKind::Generate => read_generator(&manifest, &files, dir)?,
            SourceKind::Static => {
                let text = text_of(&files, dir, STATIC_TASKS)?;
                let tasks = static_tasks::parse(text, &manifest)
                    .map_err(|detail| TaskError::invalid(dir.join(STATIC_TASKS), detail))?;
                FamilySource::Static(tasks)
            }
        };
        let parts = files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
        let digest = Digest::of_parts([b"family".as_slice()].into_iter().chain(parts));
        Ok(Self { manifest, source, verifier, digest })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What a list shows of it.
    pub fn summary(&self) -> FamilySummary {
        let tasks = match &self.source {
            FamilySource::Generate { .. } => None,
            FamilySource::Static(tasks) => Some(tasks.len()),
        };
        FamilySummary {
            name: self.manifest.name.clone(),
            version: self.manifest.version,
            difficulty: self.manifest.difficulty,
            source: self.manifest.source,
            tasks,
            description: self.manifest.description.clone(),
            digest: self.digest,
        }
    }
}

/// Loads every family under a folder, in order of name. A folder without a
/// `family.toml` is none.
///
/// # Errors
///
/// As [`Family::load`].
pub fn load_all(tasks_dir: &Path) -> Result<Vec<Family>, TaskError> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(tasks_dir).map_err(TaskError::io("read", tasks_dir))? {
        let path = entry.map_err(TaskError::io("read", tasks_dir))?.path();
        if path.join(MANIFEST).is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    folders.iter().map(|dir| Family::load(dir)).collect()
}

/// The files of a folder and its subfolders, by relative path with `/`.
type Files = BTreeMap<String, Vec<u8>>;

/// Reads a folder that anybody may have made: links in it are refused, and none is
/// followed, even where one takes a file's or a folder's place in between.
fn read_folder(dir: &Path) -> Result<Files, TaskError> {
    let mut files = Files::new();
    read_into(&Folder::new(dir), "", &mut files)?;
    Ok(files)
}

fn read_into(folder: &Folder, prefix: &str, files: &mut Files) -> Result<(), TaskError> {
    let dir = folder.path();
    for entry in folder.entries().map_err(TaskError::io("read", &dir))? {
        let (name, path) = (entry.name.to_string_lossy().into_owned(), dir.join(&entry.name));
        // Caches and editors' files are not the family's.
        if name.starts_with('.') || name == "__pycache__" || name.ends_with('~') {
            continue;
        }
        let relative = format!("{prefix}{name}");
        match entry.kind {
            EntryKind::Folder => {
                read_into(&folder.below(&entry.name), &format!("{relative}/"), files)?;
            }
            EntryKind::File if entry.bytes <= FILE_BYTES_MAX => {
                let bytes = folder.read(&entry.name).map_err(TaskError::io("read", &path))?;
                files.insert(relative, bytes);
            }
            EntryKind::File => {
                let bytes = entry.bytes;
                let detail = format!("it takes {bytes} bytes, more than {FILE_BYTES_MAX}");
                return Err(TaskError::invalid(path, detail));
            }
            EntryKind::Other => {
                let detail = "a family holds plain files, no links or devices";
                return Err(TaskError::invalid(path, detail));
            }
        }
    }
    Ok(())
}

fn text_of<'a>(files: &'a Files, dir: &Path, name: &str) -> Result<&'a str, TaskError> {
    let path = dir.join(name);
    let Some(bytes) = files.get(name) else {
        return Err(TaskError::io("read", path)(std::io::ErrorKind::NotFound.into()));
    };
    std::str::from_utf8(bytes).map_err(|error| TaskError::invalid(path, error))
}

/// Makes ready what decides, as far as the folder alone can.
fn read_verifier(
    manifest: &FamilyManifest,
    files: &Files,
    dir: &Path,
) -> Result<Verifier, TaskError> {
    let python = match manifest.verifier_file() {
        Some(file) => Some(text_of(files, dir, file)?.to_owned()),
        None => None,
    };
    manifest.verifier(python).map_err(|why| TaskError::invalid(dir.join(MANIFEST), why))
}

fn read_generator(
    manifest: &FamilyManifest,
    files: &Files,
    dir: &Path,
) -> Result<FamilySource, TaskError> {
    let main = text_of(files, dir, GENERATOR)?.to_owned();
    let mut modules = BTreeMap::new();
    let is_own = |name: &str| name == GENERATOR || manifest.verifier_file() == Some(name);
    for name in files.keys().filter(|name| !is_own(name) && !name.contains('/')) {
        if let Some(module) = name.strip_suffix(".py") {
            modules.insert(module.to_owned(), text_of(files, dir, name)?.to_owned());
        }
    }
    Ok(FamilySource::Generate { main, modules })
}
