//! Doing something again whenever a file is saved.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::Context;
use notify::{Event, EventKind, RecursiveMode, Watcher};

use crate::{exit, output};

/// Editors write a file in several steps, which shall count as one.
const SETTLES: Duration = Duration::from_millis(100);

/// Does the work, and again after every change below the paths, until the
/// process is ended. A failure is reported and waited out.
pub(crate) fn watch(
    paths: &[PathBuf],
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let paths = paths.iter().filter_map(|path| path.canonicalize().ok()).collect::<Vec<_>>();
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender).context("cannot watch files")?;
    for path in &paths {
        // A file may be replaced when it is saved: its folder sees that.
        let (watched, mode) = match path.parent() {
            Some(folder) if path.is_file() => (folder, RecursiveMode::NonRecursive),
            _ => (path.as_path(), RecursiveMode::Recursive),
        };
        watcher
            .watch(watched, mode)
            .with_context(|| format!("cannot watch {}", watched.display()))?;
    }
    loop {
        if let Err(error) = work() {
            exit::report(&error);
        }
        output::line("watching for changes; Ctrl-C ends");
        wait(&changes, &paths)?;
    }
}

/// Waits for a change, and then until nothing more changes for a moment.
fn wait(changes: &Receiver<notify::Result<Event>>, paths: &[PathBuf]) -> anyhow::Result<()> {
    loop {
        let change = changes.recv().context("the watch on files ended")?;
        if is_ours(&change.context("cannot watch files")?, paths) {
            break;
        }
    }
    while changes.recv_timeout(SETTLES).is_ok() {}
    Ok(())
}

/// Reading a file is an event too, and so are files nobody named.
fn is_ours(event: &Event, paths: &[PathBuf]) -> bool {
    let changes = !matches!(event.kind, EventKind::Access(_));
    let below = |changed: &Path| paths.iter().any(|path| changed.starts_with(path));
    changes && event.paths.iter().any(|changed| below(changed))
}
