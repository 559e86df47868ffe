//! Anchors: where each chain of seals ended, kept outside of the database.
//!
//! A chain alone cannot show that its end was cut off, nor a run of which all was
//! taken away. So a file in the run's folder names the last seal that was
//! committed. It is written after the commit: where a crash comes between, it is
//! behind, and the chain still has the seal that it names. It is never ahead.

use std::io::ErrorKind;

use gyre_fault::io_point;
use gyre_folder::Folder;
use gyre_lineage::{SealChain, SealHead};
use gyre_types::{Digest, RunId, from_stored, to_stored};
use serde::{Deserialize, Serialize};

use crate::champion;
use crate::error::Error;
use crate::project::{Project, io};

/// The file, and the version of its form.
const FILE: &str = "seal.json";
const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    chain: String,
    seq: u64,
    digest: Digest,
}

/// What is wrong between a chain and its anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parted {
    /// As an audit names it.
    pub(crate) code: &'static str,
    /// In words.
    pub(crate) detail: String,
}

/// Writes where a chain ends, unless its anchor says so already. Comes after
/// each commit.
pub(crate) fn renew(project: &Project, chain: &SealChain) -> Result<(), Error> {
    let head = match (project.wait(project.store.seal_head(chain))?, chain) {
        (Some(head), _) => head,
        // Of a time before there were seals: it has an anchor before its first
        // seal, so that a crash between the two is no loss.
        (None, SealChain::Run(_)) => SealHead { seq: 0, digest: Digest::of(b"") },
        (None, SealChain::Registry) => return Ok(()),
    };
    let folder = project.data.anchor(chain);
    let known = read(&folder)?.and_then(|bytes| parse(&bytes, chain).ok());
    if known == Some(head) {
        return Ok(());
    }
    let anchor = Anchor { chain: chain.to_string(), seq: head.seq, digest: head.digest };
    let text = to_stored("an anchor", VERSION, &anchor)?.to_string() + "\n";
    let temporary = match chain {
        // Who writes a run's holds its lease, so that what a crash left is written over.
        SealChain::Run(_) => format!("{FILE}.tmp"),
        SealChain::Registry => format!("{FILE}.{}.tmp", std::process::id()),
    };
    write(&folder, &temporary, text.as_bytes()).map_err(io("write", &folder.path().join(FILE)))
}

/// The file is the old one or the new one, never half of it.
fn write(folder: &Folder, temporary: &str, bytes: &[u8]) -> std::io::Result<()> {
    folder.make()?;
    let replace = || {
        io_point("anchor::writing")?;
        folder.write(temporary, bytes)?;
        folder.rename(temporary, FILE)?;
        io_point("anchor::renamed")
    };
    let written = replace();
    if written.is_err() {
        // What is half there is of no use, and the next commit writes another.
        let _ = folder.remove_file(temporary);
    }
    written
}

/// Compares a chain with its anchor; nothing where they agree, or where a crash
/// left the anchor behind.
pub(crate) fn compare(project: &Project, chain: &SealChain) -> Result<Option<Parted>, Error> {
    let folder = project.data.anchor(chain);
    let head = project.wait(project.store.seal_head(chain))?;
    let parted = |code, detail| Ok(Some(Parted { code, detail }));
    let path = folder.path().join(FILE);
    let shown = path.display();
    let Some(bytes) = read(&folder)? else {
        return Ok(missing(chain, head).then(|| Parted {
            code: "anchor_missing",
            detail: format!("{shown}, which names the last seal, is not there"),
        }));
    };
    let anchor = match parse(&bytes, chain) {
        Ok(anchor) => anchor,
        Err(why) => return parted("anchor_unreadable", format!("{shown}: {why}")),
    };
    let end = head.map_or(0, |head| head.seq);
    if anchor.seq == 0 {
        return Ok(None);
    }
    if anchor.seq > end {
        let detail = format!(
            "the lineage ends with seal {end} and {shown} names seal {}: what was recorded last \
             is lost",
            anchor.seq
        );
        return parted("tail_lost", detail);
    }
    match project.wait(project.store.seal_digest(chain, anchor.seq))? {
        Some(digest) if digest == anchor.digest => Ok(None),
        _ => {
            let detail = format!("seal {} is not the one that {shown} names", anchor.seq);
            parted("anchor_differs", detail)
        }
    }
}

/// Whether a chain should have an anchor. A crash may end a run between its
/// creation and its first anchor; the registry may have been written through
/// another data folder, which shares the database.
fn missing(chain: &SealChain, head: Option<SealHead>) -> bool {
    matches!(chain, SealChain::Run(_)) && head.is_some_and(|head| head.seq > 1)
}

fn read(folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
    match folder.read(FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", &folder.path().join(FILE))(error)),
    }
}

fn parse(bytes: &[u8], chain: &SealChain) -> Result<SealHead, String> {
    let value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let anchor: Anchor = from_stored(VERSION, value).map_err(|error| error.to_string())?;
    if anchor.chain != chain.name() {
        return Err(format!("it is the anchor of {}", anchor.chain));
    }
    Ok(SealHead { seq: anchor.seq, digest: anchor.digest })
}

/// Refuses a run whose chain and anchor have parted: going on would seal what is
/// left as if it were all, and remove the files of what was lost.
pub(crate) fn require(project: &Project, run: &RunId) -> Result<(), Error> {
    match compare(project, &SealChain::Run(run.clone()))? {
        None => Ok(()),
        Some(Parted { detail, .. }) => Err(Error::RecordLost { run: run.clone(), why: detail }),
    }
}

/// Whether a run has an anchor, whatever it says.
pub(crate) fn is_there(project: &Project, run: &RunId) -> bool {
    project.data.run(run).look_at(FILE).is_ok()
}

/// The runs that have an anchor in a data folder.
pub(crate) fn anchored(project: &Project) -> Result<Vec<RunId>, Error> {
    let folder = project.data.runs();
    let entries = folder.entries().map_err(io("list", &folder.path()))?;
    let named = entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok());
    Ok(named.filter(|run| is_there(project, run)).collect())
}

/// Takes the lineage as it is: writes every anchor and every link to a champion anew, for a backup that was put
/// back, or a loss that somebody has looked at. Gives what the anchors and the
/// lineage had parted in.
///
/// # Errors
///
/// When the store fails, or an anchor cannot be written.
pub fn renew_anchors(project: &Project) -> Result<Vec<String>, Error> {
    let runs = project.wait(project.store.run_ids())?.into_iter().map(SealChain::Run);
    let mut accepted = Vec::new();
    for chain in runs.chain([SealChain::Registry]) {
        if let Some(Parted { detail, .. }) = compare(project, &chain)? {
            accepted.push(format!("{chain}: {detail}"));
        }
        renew(project, &chain)?;
        if let SealChain::Run(run) = &chain {
            // An audit tells of what is damaged; nothing else depends on the link.
            if let Err(error) = champion::renew_link(project, run) {
                tracing::warn!(%run, %error, "the link to the champion was not renewed");
            }
        }
    }
    Ok(accepted)
}
