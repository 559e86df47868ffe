//! The folder in which somebody writes a verifier.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gyre_folder::Folder;
use gyre_orchestrator::Error;
use gyre_sandbox::plugin::WIT;
use gyre_types::Digest;
use serde::Deserialize;

use crate::args::Language;
use crate::exit::Failure;

/// What the project's folder says of itself.
const MANIFEST: &str = "verifier.toml";

/// Folders of a project that hold no sources.
const NO_SOURCES: [&str; 3] = ["target", "node_modules", "__pycache__"];

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../templates/verifier/", $path))
    };
}

/// Files of every project.
const COMMON: &[(&str, &str)] = &[
    ("wit/verifier.wit", WIT),
    ("golden/a-float-for-an-integer.json", template!("golden/a-float-for-an-integer.json")),
    ("golden/not-a-number.json", template!("golden/not-a-number.json")),
    ("golden/raised.json", template!("golden/raised.json")),
    ("golden/right.json", template!("golden/right.json")),
    ("golden/says-pass.json", template!("golden/says-pass.json")),
    ("golden/true-for-one.json", template!("golden/true-for-one.json")),
    ("golden/wrong-in-one-case.json", template!("golden/wrong-in-one-case.json")),
];

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", template!("rust/Cargo.toml.template")),
    ("src/lib.rs", template!("rust/src/lib.rs")),
    ("src/runtime.rs", template!("rust/src/runtime.rs")),
    (MANIFEST, template!("rust/verifier.toml")),
    ("README.md", template!("rust/README.md")),
    (".gitignore", template!("rust/gitignore")),
];

const PYTHON: &[(&str, &str)] = &[
    ("app.py", template!("python/app.py")),
    ("requirements.txt", template!("python/requirements.txt")),
    (MANIFEST, template!("python/verifier.toml")),
    ("README.md", template!("python/README.md")),
    (".gitignore", template!("python/gitignore")),
];

const JS: &[(&str, &str)] = &[
    ("verifier.js", template!("js/verifier.js")),
    ("package.json", template!("js/package.json")),
    (MANIFEST, template!("js/verifier.toml")),
    ("README.md", template!("js/README.md")),
    (".gitignore", template!("js/gitignore")),
];

/// Writes a new project below a folder. Gives the files written.
pub(crate) fn scaffold(
    parent: &Path,
    name: &str,
    language: Language,
) -> anyhow::Result<Vec<PathBuf>> {
    require_name(name)?;
    let dir = parent.join(name);
    let create = |path: &Path, source| io("create", path, source);
    std::fs::create_dir_all(parent).map_err(|error| create(parent, error))?;
    // Nobody's work is written over.
    std::fs::create_dir(&dir).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let message = format!("{} is there already; take another name", dir.display());
            Failure::error(Failure::VERIFIER_REFUSED, message)
        }
        _ => create(&dir, error),
    })?;
    let own = match language {
        Language::Rust => RUST,
        Language::Python => PYTHON,
        Language::Js => JS,
    };
    let mut written = Vec::new();
    for (file, template) in own.iter().chain(COMMON) {
        let path = dir.join(file);
        let folder = path.parent().unwrap_or(&dir);
        std::fs::create_dir_all(folder).map_err(|error| create(folder, error))?;
        let text = template.replace("@NAME@", name).replace("@CRATE@", &name.replace('-', "_"));
        std::fs::write(&path, text).map_err(|error| io("write", &path, error))?;
        written.push(path);
    }
    Ok(written)
}

fn require_name(name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(plain);
    if fine {
        return Ok(());
    }
    let message = format!("{name:?} is no name for a verifier (a-z, 0-9, - and _, a letter first)");
    Err(Failure::error(Failure::VERIFIER_REFUSED, message))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[expect(dead_code, reason = "for people, and for registering it under that name")]
    name: String,
    build: Vec<String>,
    component: PathBuf,
    golden: PathBuf,
    #[serde(default)]
    watch: Vec<PathBuf>,
}

/// A verifier under work: a project's folder, or a component alone.
#[derive(Debug)]
pub(crate) struct Project {
    /// The project's folder; none for a component alone.
    dir: Option<PathBuf>,
    build: Vec<String>,
    /// The component's file.
    pub(crate) component: PathBuf,
    /// The folder of golden cases.
    pub(crate) golden: Folder,
    watch: Vec<PathBuf>,
}

impl Project {
    /// Takes a folder with a manifest, or a component's file.
    pub(crate) fn open(path: &Path, golden: Option<&Path>) -> anyhow::Result<Self> {
        if !path.is_dir() {
            let beside = path.parent().unwrap_or(Path::new(".")).join("golden");
            return Ok(Self {
                dir: None,
                build: Vec::new(),
                component: path.to_owned(),
                golden: Folder::new(golden.map_or(beside, Path::to_owned)),
                watch: Vec::new(),
            });
        }
        let file = path.join(MANIFEST);
        let text = std::fs::read_to_string(&file)
            .map_err(|error| io("read the verifier's manifest", &file, error))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| {
            let message = format!("{} is malformed: {}", file.display(), error.message());
            Failure::error(Failure::VERIFIER_REFUSED, message)
        })?;
        let below = |relative: &PathBuf| path.join(relative);
        Ok(Self {
            dir: Some(path.to_owned()),
            build: manifest.build,
            component: below(&manifest.component),
            golden: match golden {
                Some(named) => Folder::new(named),
                // What a manifest names lies in its folder.
                None => Folder::new(path).below(&manifest.golden),
            },
            watch: manifest.watch.iter().map(below).chain([file]).collect(),
        })
    }

    /// What is to be watched for changes.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let mut paths = self.watch.clone();
        paths.push(self.golden.path());
        if self.build.is_empty() {
            paths.push(self.component.clone());
        }
        paths
    }

    /// Builds the component, unless it is there as it was built from the same
    /// sources. Tools need not build the same bytes twice, and a verifier is
    /// named by its bytes: so what was built once is kept.
    pub(crate) fn build(&self) -> anyhow::Result<()> {
        let Some(dir) = self.dir.as_ref().filter(|_| !self.build.is_empty()) else {
            return Ok(());
        };
        let sources = self.sources_digest(dir)?;
        let built = || -> Option<String> {
            let component = std::fs::read(&self.component).ok()?;
            Some(format!("{sources}\n{}\n", Digest::of(&component)))
        };
        let record = self.component.with_extension("built");
        if built().is_some_and(|built| std::fs::read_to_string(&record).is_ok_and(|r| r == built)) {
            return Ok(());
        }
        self.run_build(dir)?;
        if let Some(built) = built() {
            std::fs::write(&record, built).map_err(|error| io("write", &record, error))?;
        }
        Ok(())
    }

    /// Names what the component is built from: every file of the project, the
    /// manifest with its command among them, and what is watched elsewhere. Left
    /// out are golden cases, what was built, and what tools fetch or leave behind.
    fn sources_digest(&self, dir: &Path) -> anyhow::Result<Digest> {
        let mut open: Vec<PathBuf> = self.watch.iter().cloned().chain([dir.to_owned()]).collect();
        let mut files = BTreeMap::new();
        while let Some(path) = open.pop() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let left_out = path != dir && (name.starts_with('.') || NO_SOURCES.contains(&&*name));
            let built = path.with_extension("") == self.component.with_extension("");
            if left_out || built || path == self.golden.path() {
                continue;
            }
            if path.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(|error| io("list", &path, error))? {
                    let entry = entry.map_err(|error| io("list", &path, error))?;
                    open.push(entry.path());
                }
            } else if path.exists() {
                let content = std::fs::read(&path).map_err(|error| io("read", &path, error))?;
                let name = path.strip_prefix(dir).unwrap_or(&path).to_owned();
                files.insert(name, Digest::of(&content));
            }
        }
        Ok(Digest::of_json(&("verifier sources", files)))
    }

    /// Runs the project's own build command, whose output goes to stderr.
    fn run_build(&self, dir: &Path) -> anyhow::Result<()> {
        let Some((program, arguments)) = self.build.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).stdin(Stdio::null()).stdout(std::io::stderr());
        let typed = self.build.join(" ");
        let failed = |what: String| Failure::error(Failure::VERIFIER_REFUSED, what);
        let status = command.status().map_err(|error| {
            let dir = dir.display();
            failed(format!(
                "`{program}` cannot be started: {error}; {dir}/README.md says what the build needs"
            ))
        })?;
        if status.success() {
            return Ok(());
        }
        Err(failed(format!("the build failed ({status}): `{typed}` in {}", dir.display())))
    }

    /// Reads the component.
    pub(crate) fn component_bytes(&self) -> anyhow::Result<Vec<u8>> {
        std::fs::read(&self.component).map_err(|error| {
            if error.kind() == ErrorKind::NotFound && self.dir.is_some() {
                let file = self.component.display();
                let message = format!("{file} is not there; `gyre verifier test` builds it");
                return Failure::error(Failure::VERIFIER_REFUSED, message);
            }
            io("read the component", &self.component, error)
        })
    }
}

fn io(doing: &'static str, path: &Path, source: std::io::Error) -> anyhow::Error {
    Error::Io { doing, path: path.to_owned(), source }.into()
}
