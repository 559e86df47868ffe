//! The loop with a real model, a real server and a real trainer, in short.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::command::{self, command, in_repository};

/// The long form, which takes hours.
const CONFIG: &str = "configs/smollm2.toml";

/// What the short form does less of.
const LESS: [(&str, &str); 4] = [
    ("rounds = 3", "rounds = 1"),
    ("gate = 120", "gate = 40"),
    ("test = 80", "test = 20"),
    ("tasks_per_round = 200", "tasks_per_round = 40"),
];

/// Runs one round of SmolLM2 behind llama.cpp, trained by TRL, and audits it.
pub(crate) fn short_form(
    gyre: &Path,
    python: &Path,
    model: &Path,
    folder: &Path,
) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let config = folder.join("short.toml");
    fs::write(&config, settings(model, folder)?)
        .map_err(|error| format!("{}: {error}", config.display()))?;
    let path = path_with(python)?;
    let data = folder.join("data");
    for arguments in
        [vec!["run".into(), "--config".into(), config.into_os_string()], vec!["audit".into()]]
    {
        let mut run = command(gyre);
        run.arg("--data-dir").arg(&data).args::<_, OsString>(arguments).env("PATH", &path);
        command::run(&mut run).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The long form's settings, with less to do, and files in a folder of its own.
fn settings(model: &Path, folder: &Path) -> Result<String, String> {
    let file = in_repository(CONFIG).ok_or(format!("{CONFIG} is missing"))?;
    let mut text = fs::read_to_string(&file).map_err(|error| format!("{CONFIG}: {error}"))?;
    let cache = folder.join("gguf").display().to_string();
    let places =
        [("models/smollm2\"", format!("{}\"", model.display())), ("{project}/models/gguf", cache)];
    let less = LESS.map(|(long, short)| (long, short.to_owned()));
    for (long, short) in less.into_iter().chain(places) {
        if !text.contains(long) {
            return Err(format!("{CONFIG} has no `{long}` any more: change what stands for it"));
        }
        text = text.replace(long, &short);
    }
    Ok(text)
}

/// The search path with this Python first, which the configuration calls `python`.
#[expect(clippy::disallowed_methods, reason = "programs are found by the user's path")]
fn path_with(python: &Path) -> Result<OsString, String> {
    let first = python.parent().map(Path::to_owned);
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = first.into_iter().chain(std::env::split_paths(&rest));
    std::env::join_paths(all).map_err(|error| format!("PATH: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_is_made_of_the_long_one() {
        let text = settings(Path::new("/a/model"), Path::new("/a/folder")).unwrap();
        for part in ["rounds = 1", "checkpoint = \"/a/model\"", "/a/folder/gguf"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
