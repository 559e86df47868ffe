//! What the words of the command line name.

use std::path::{Path, PathBuf};

use gyre_lineage::Kind;
use gyre_orchestrator::{ModelKind, Project, RunConfig, Subject};

use crate::args::EvaluateArgs;
use crate::commands::show;
use crate::exit::Failure;

/// What is to be reported on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    /// A model that is evaluated now.
    Model(Subject),
    /// A report that was written before.
    Report(PathBuf),
}

/// What is asked for: one, or two to compare.
pub(super) fn asked(
    project: &Project,
    args: &EvaluateArgs,
    config: &RunConfig,
) -> anyhow::Result<Vec<Asked>> {
    let server = |model: Option<String>| {
        let (url, api_key_env) = (args.url.clone(), args.api_key_env.clone());
        Asked::Model(Subject::Named { model, url, api_key_env })
    };
    let folder = |folder: &PathBuf| Asked::Model(Subject::Folder(folder.clone()));
    if let Some(checkpoint) = &args.checkpoint {
        return Ok(vec![folder(checkpoint)]);
    }
    if let Some(name) = &args.model {
        return Ok(vec![server(Some(name.clone()))]);
    }
    if !args.models.is_empty() {
        let has_server = args.url.is_some() || config.model.kind == ModelKind::Openai;
        let of_word = |word: &String| {
            let named = || has_server.then(|| server(Some(word.clone())));
            of_word(project, word, named)
        };
        return args.models.iter().map(of_word).collect();
    }
    // Nothing is named: what the server has, or what the configuration begins with.
    let start = &config.start;
    match (&args.url, &start.model, &start.checkpoint) {
        (Some(_), name, _) => Ok(vec![server(name.clone())]),
        (None, Some(name), _) => Ok(vec![server(Some(name.clone()))]),
        (None, None, Some(checkpoint)) => Ok(vec![folder(checkpoint)]),
        (None, None, None) => Err(Failure::error(
            Failure::WRONG_USAGE,
            "name what to evaluate: a checkpoint's folder, a ckpt-… or a run of this data folder, \
             or `--url` of a server",
        )),
    }
}

/// What a word means: a path, an id of the data folder, or a name on the server, if there
/// is one.
fn of_word(
    project: &Project,
    word: &str,
    named: impl FnOnce() -> Option<Asked>,
) -> anyhow::Result<Asked> {
    let path = Path::new(word);
    if path.is_dir() {
        return Ok(Asked::Model(Subject::Folder(path.to_owned())));
    }
    if path.is_file() {
        return Ok(Asked::Report(path.to_owned()));
    }
    let is_known = project.wait(project.store.find(word))?.iter().any(|found| found.id == word);
    match named() {
        Some(named) if !is_known => return Ok(named),
        _ => {}
    }
    let found = show::find(project, word, None)?;
    let checkpoint = match found.kind {
        Kind::Checkpoint => found.id.parse()?,
        Kind::Run => {
            let champion = project.wait(project.store.champion(&found.run))?;
            let none = || {
                let message = format!("{} has no champion yet", found.run);
                Failure::error(Failure::UNKNOWN_ID, message)
            };
            champion.ok_or_else(none)?.champion
        }
        _ => {
            let message =
                format!("{word} is no model: name a checkpoint, a run, a folder or a model");
            return Err(Failure::error(Failure::UNKNOWN_ID, message));
        }
    };
    Ok(Asked::Model(Subject::Recorded { run: found.run, checkpoint }))
}
