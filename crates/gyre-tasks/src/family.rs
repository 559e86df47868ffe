use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gyre_folder::{EntryKind, Folder};
use gyre_types::{Digest, Interface, Limits};
use gyre_verify::{CheckDeclaration, Checks, Comparison, TextOf, Verifier, VerifierDeclaration};
use serde::{Deserialize, Serialize};

use crate::static_tasks::{self, StaticTask};
use crate::{TaskError, contract};

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

/// What `family.toml` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyManifest {
    /// The family's name; its folder has the same.
    pub name: String,
    /// Raised with every change that generates other tasks.
    pub version: u32,
    /// One sentence for people.
    pub description: String,
    /// Where tasks come from; by default `generate.py`.
    #[serde(default)]
    pub source: SourceKind,
    /// The function that answers define, unless a task names another.
    #[serde(default = "default_entry")]
    pub entry: String,
    /// How an answer is run on a case; by default its entry is called.
    #[serde(default, skip_serializing_if = "Interface::is_call")]
    pub interface: Interface,
    /// The levels that may be asked for.
    pub difficulty: Difficulty,
    /// How values are compared; by default exactly.
    #[serde(default)]
    pub comparison: Comparison,
    /// What a guest that runs an answer may use.
    #[serde(default)]
    pub limits: Limits,
    /// What decides; by default the built-in comparison of every hidden case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierDeclaration>,
}

fn default_entry() -> String {
    "solve".to_owned()
}

/// Where a family's tasks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// `generate.py`, run in the sandbox.
    #[default]
    Generate,
    /// `tasks.jsonl`, one task per line.
    Static,
}

/// The levels of a family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difficulty {
    /// The easiest.
    pub min: u32,
    /// The hardest.
    pub max: u32,
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

impl FamilyManifest {
    /// The file of its folder that verifies, where it has one.
    pub fn verifier_file(&self) -> Option<&str> {
        match &self.verifier {
            Some(VerifierDeclaration::Python { file, .. }) => Some(file),
            _ => None,
        }
    }

    /// What decides, given the text of [`FamilyManifest::verifier_file`].
    pub(crate) fn verifier(&self, python: Option<String>) -> Result<Verifier, String> {
        declared_verifier(self.verifier.as_ref(), self.interface, self.comparison, python)
    }

    fn validate(&self, dir: &Path) -> Result<(), String> {
        require_family_name(&self.name)?;
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        if folder.as_deref() != Some(self.name.as_str()) {
            let folder = folder.unwrap_or_default();
            return Err(format!("name is {:?}, but the folder is {folder:?}", self.name));
        }
        if self.difficulty.min > self.difficulty.max {
            return Err("difficulty.min is above difficulty.max".to_owned());
        }
        contract::require_entry(&self.entry).map_err(|why| format!("entry: {why}"))
    }
}

/// The verifier of a family or of a task file. Without a declaration the
/// built-in one screens all cases in one guest by calling. Other interfaces are
/// observed: what a program prints is compared word by word, where numbers may
/// differ by the family's tolerance, and the value of statements as a whole.
pub(crate) fn declared_verifier(
    declaration: Option<&VerifierDeclaration>,
    interface: Interface,
    comparison: Comparison,
    python: Option<String>,
) -> Result<Verifier, String> {
    match declaration {
        Some(declaration) => Verifier::declared(declaration, comparison, python)
            .map_err(|why| format!("verifier: {why}")),
        None => {
            let weight = 1.0;
            let check = match interface {
                Interface::Call => return Ok(Verifier::Cases),
                Interface::Statements => CheckDeclaration::Exact { weight },
                Interface::Stdio => CheckDeclaration::Tokens {
                    of: TextOf::Result,
                    tolerance: comparison.float_tolerance,
                    weight,
                },
            };
            Ok(Verifier::checks(Checks::new(vec![check], comparison)?, comparison))
        }
    }
}

/// Checks a family's name: it becomes a folder and part of ids.
pub(crate) fn require_family_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(plain);
    if fine {
        Ok(())
    } else {
        Err(format!("{name:?} is not a family name (a-z, 0-9, - and _, a letter first)"))
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
