use std::fs;
use std::path::{Path, PathBuf};

use crate::TaskError;
use crate::manifest::require_family_name;

const MANIFEST: &str = include_str!("scaffold/family.toml");
const GENERATOR: &str = include_str!("scaffold/generate.py");
const README: &str = include_str!("scaffold/README.md");

/// Writes a new family's folder under `tasks_dir`: small, working, and clean
/// under `gyre task check`. Gives the files written.
///
/// # Errors
///
/// When the name is no family name, or the folder exists or cannot be written.
pub fn scaffold(tasks_dir: &Path, name: &str) -> Result<Vec<PathBuf>, TaskError> {
    require_family_name(name)
        .map_err(|detail| TaskError::Request { family: name.to_owned(), detail })?;
    let dir = tasks_dir.join(name);
    fs::create_dir_all(tasks_dir).map_err(TaskError::io("create", tasks_dir))?;
    fs::create_dir(&dir).map_err(TaskError::io("create", &dir))?;
    let files = [("family.toml", MANIFEST), ("generate.py", GENERATOR), ("README.md", README)];
    let mut written = Vec::new();
    for (file, template) in files {
        let path = dir.join(file);
        fs::write(&path, template.replace("@NAME@", name))
            .map_err(TaskError::io("write", &path))?;
        written.push(path);
    }
    Ok(written)
}
