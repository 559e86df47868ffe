//! Where the present champion is found: a link in the run's folder, and an object in
//! the run's store.
//!
//! Both follow from the lineage and are renewed after each promotion and at each
//! start, so that a crash in between leaves them behind for a moment and never wrong
//! for good. Each is replaced as a whole: a reader finds the old champion or the new
//! one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gyre_fault::io_point;
use gyre_folder::{Folder, LeadsOut};
use gyre_lineage::{CheckpointRow, PromotionRow, RunRow};
use gyre_types::RunId;
use serde_json::json;

use crate::error::Error;
use crate::objects::Objects;
use crate::project::{Project, io};

/// The link in the run's folder.
pub(crate) const LINK: &str = "champion";

/// The version of the object's form.
const VERSION: u32 = 1;

/// Has the link and the object tell of the present champion; does nothing where they
/// do, or where there is no champion yet.
pub(crate) fn renew(project: &Project, run: &RunRow) -> Result<(), Error> {
    renew_link(project, &run.id)?;
    let Some((promotion, checkpoint)) = present(project, &run.id)? else { return Ok(()) };
    let config = project.config_of(run)?;
    match Objects::of_run(project, run, &config)? {
        Some(objects) => put(project, &objects, run, &promotion, &checkpoint),
        None => Ok(()),
    }
}

/// Has the link alone tell of the present champion, such as after a backup was put back.
pub(crate) fn renew_link(project: &Project, run: &RunId) -> Result<(), Error> {
    let Some((_, checkpoint)) = present(project, run)? else { return Ok(()) };
    match link_target(run, &checkpoint) {
        Some(target) => link(&project.data.run(run), &target),
        None => Ok(()),
    }
}

/// The champion with the promotion that made it; none before the cold start ended.
pub(crate) fn present(
    project: &Project,
    run: &RunId,
) -> Result<Option<(PromotionRow, CheckpointRow)>, Error> {
    let Some(promotion) = project.wait(project.store.champion(run))? else { return Ok(None) };
    let checkpoint = project.wait(project.store.checkpoint(run, &promotion.champion))?;
    let checkpoint = checkpoint.ok_or_else(|| Error::Recorded {
        run: run.clone(),
        what: promotion.champion.to_string(),
        why: "it is champion and not recorded as a checkpoint".to_owned(),
    })?;
    Ok(Some((promotion, checkpoint)))
}

/// A checkpoint's folder, relative to its run's; none where it lies elsewhere or is no
/// folder at all, but a name on a server.
pub(crate) fn link_target(run: &RunId, checkpoint: &CheckpointRow) -> Option<PathBuf> {
    let in_run = checkpoint.path.as_text().strip_prefix(&format!("runs/{run}/"))?;
    (!in_run.is_empty()).then(|| PathBuf::from(in_run))
}

fn link(folder: &Folder, target: &Path) -> Result<(), Error> {
    let path = folder.path().join(LINK);
    match folder.read_link(LINK) {
        Ok(Some(known)) if known == target => return Ok(()),
        Ok(_) => {}
        // Somebody else's link is replaced.
        Err(error) if LeadsOut::is_told_by(&error) => {}
        Err(error) => return Err(io("read", &path)(error)),
    }
    let replaced = io_point("champion::linking")
        .and_then(|()| folder.replace_link(LINK, target))
        .and_then(|()| folder.sync())
        .and_then(|()| io_point("champion::linked"));
    match replaced {
        // The lineage says who is champion: neither a file system without links nor a
        // copy of the folder that followed them ends a run.
        Err(error) if is_without_links(&error) || error.kind() == ErrorKind::IsADirectory => {
            tracing::warn!(path = %path.display(), %error, "the champion cannot be linked here");
            Ok(())
        }
        replaced => replaced.map_err(io("link", &path)),
    }
}

/// Whether an error says that a file system has no symbolic links.
fn is_without_links(error: &std::io::Error) -> bool {
    let eperm = rustix::io::Errno::PERM.raw_os_error();
    error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(eperm)
}

/// Puts the object there, after the files that it names.
fn put(
    project: &Project,
    objects: &Objects,
    run: &RunRow,
    promotion: &PromotionRow,
    checkpoint: &CheckpointRow,
) -> Result<(), Error> {
    let dir = project.data.resolve(&checkpoint.path).map_err(|error| Error::Recorded {
        run: run.id.clone(),
        what: checkpoint.id.to_string(),
        why: error.to_string(),
    })?;
    let digest = checkpoint.digest;
    let object = json!({
        "format_version": VERSION, "run": run.id, "round": promotion.round, "checkpoint": checkpoint.id, "digest": digest,
        "prefix": checkpoint_prefix(&digest), "policy_digest": checkpoint.policy_digest,
        "previous": promotion.previous, "gate_digest": promotion.gate_digest,
        "promoted_at_ms": promotion.at_ms,
    });
    let text = object.to_string() + "\n";
    let name = object_name(&run.id);
    if objects.get_if_there(&name)?.is_some_and(|known| known == text.as_bytes()) {
        return Ok(());
    }
    objects.put_checkpoint(&digest, &dir)?;
    objects.put(&name, text.into_bytes())
}

/// The object that names a run's champion.
pub(crate) fn object_name(run: &RunId) -> String {
    format!("runs/{run}/{LINK}.json")
}

/// Below which a checkpoint's files lie in a store.
pub(crate) fn checkpoint_prefix(digest: &gyre_types::Digest) -> String {
    format!("checkpoints/{digest}/")
}

/// What is not as it should be with the link of a run that nobody drives.
pub(crate) enum LinkAudit {
    /// It leads to the champion, or is not there: versions before it left none.
    Sound,
    /// It leads elsewhere.
    Differs(String),
    /// Something else has its name, such as a copy that followed the link.
    NoLink(String),
}

/// Compares the link of a run with the lineage.
pub(crate) fn audit_link(project: &Project, run: &RunId) -> Result<LinkAudit, Error> {
    let Some((promotion, checkpoint)) = present(project, run)? else {
        return Ok(LinkAudit::Sound);
    };
    let folder = project.data.run(run);
    let shown = folder.path().join(LINK);
    let found = match folder.read_link(LINK) {
        Ok(None) if folder.look_at(LINK).is_err() => return Ok(LinkAudit::Sound),
        Ok(None) => {
            let detail =
                format!("{} is no link and may be an old champion; remove it", shown.display());
            return Ok(LinkAudit::NoLink(detail));
        }
        Ok(Some(found)) => found.display().to_string(),
        Err(error) => error.to_string(),
    };
    let expected = link_target(run, &checkpoint).unwrap_or_default();
    let (shown, champion) = (shown.display(), promotion.champion);
    if found == expected.display().to_string() {
        return Ok(LinkAudit::Sound);
    }
    Ok(LinkAudit::Differs(format!("{shown} leads to {found}, and {champion} is champion")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_renewed_and_left_alone_where_it_is_right() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        folder.below("checkpoints/round-0000").make().unwrap();
        let first = PathBuf::from("checkpoints/round-0000");
        std::os::unix::fs::symlink("/etc", place.path().join(LINK)).unwrap();
        for _ in 0..2 {
            link(&folder, &first).unwrap();
            assert_eq!(folder.read_link(LINK).unwrap(), Some(first.clone()));
        }
        let second = PathBuf::from("checkpoints/round-0001");
        link(&folder, &second).unwrap();
        assert_eq!(folder.read_link(LINK).unwrap(), Some(second));
    }
}
