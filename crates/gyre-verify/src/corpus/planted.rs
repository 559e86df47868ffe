//! Folders that somebody else has prepared, for whoever loads machine code from
//! them: the one kind of attack that is no program.
//!
//! What is loaded runs with the user's rights, so nothing may be loaded from a
//! folder that another user could have filled. Here is what each folder looks
//! like and who falls for it; making it, and trying the sandbox's own loader on
//! it, is for somebody who has a file system.

use gyre_types::{Score, Verdict};

use super::rows::{AttackRow, ControlRow, NotTriedRow, count};
use super::{AttackClass, Corpus, CorpusError, EmbeddedFile};

/// A folder that an attacker prepared. The cache folder is `cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planting {
    /// Its file's name.
    pub name: &'static str,
    /// How it wants to be loaded, in one sentence.
    pub idea: &'static str,
    /// The name of the weak loader that it fools.
    pub fools: &'static str,
    /// What is in it, in the order in which it is made.
    pub entries: Vec<PlantedEntry>,
}

/// Something in a prepared folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlantedEntry {
    /// Where it is, below the folder in which all of it happens.
    pub path: &'static str,
    /// What it is.
    pub kind: PlantedKind,
    /// Its permissions; links have none.
    pub mode: u32,
    /// The user who owns it, if that is another one. Only root can make it so.
    pub owner: Option<u32>,
}

/// What something in a prepared folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedKind {
    /// A folder.
    Folder,
    /// A file that holds the code.
    Code,
    /// A file that holds the code's digest.
    Digest,
    /// A file that holds the digest of other code.
    OtherDigest,
    /// A link to a path.
    Link {
        /// Where it leads.
        to: &'static str,
    },
}

/// A naive loader of machine code. Not to be used for anything but showing that
/// prepared folders work: it loads what answers all of its questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeakLoader {
    /// Its file's name.
    pub name: &'static str,
    /// What it wrongly relies on, in one sentence.
    pub idea: &'static str,
    /// What it asks, of paths, where links lead to what they lead to.
    pub asks: Vec<LoaderQuestion>,
}

/// Something that a naive loader asks before it loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoaderQuestion {
    /// Is the folder of the code closed to everybody else?
    FolderMode,
    /// Is the folder of the code this user's?
    FolderOwner,
    /// Can nobody else write to the cache folder?
    CacheMode,
    /// Does the digest beside the code agree?
    Digest,
}

/// What a loader did with a prepared folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadTrial {
    /// It would load the code.
    Loaded,
    /// It would not, for this reason.
    Refused(String),
    /// It could not be tried, for this reason.
    NotTried(String),
}

/// What came of all prepared folders.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantingReport {
    pub(super) attacks: Vec<AttackRow>,
    pub(super) controls: Vec<ControlRow>,
    pub(super) not_tried: Vec<NotTriedRow>,
}

/// A folder that any loader must load from.
pub const HONEST_FOLDER: &[PlantedEntry] = &[
    entry("cache", PlantedKind::Folder, 0o700),
    entry("cache/guests", PlantedKind::Folder, 0o700),
    entry("cache/guests/planted.cwasm", PlantedKind::Code, 0o600),
    entry("cache/guests/planted.sha256", PlantedKind::Digest, 0o600),
];

const fn entry(path: &'static str, kind: PlantedKind, mode: u32) -> PlantedEntry {
    PlantedEntry { path, kind, mode, owner: None }
}

/// Tries every prepared folder on the sandbox's loader, and on the weak one that
/// it is meant to fool. `load` makes a folder afresh and says what a loader does
/// with it: the weak one that is given, or the sandbox's where there is none.
pub fn check_plantings(
    corpus: &Corpus,
    load: impl Fn(&[PlantedEntry], Option<&WeakLoader>) -> LoadTrial,
) -> PlantingReport {
    // Where the honest folder is not trusted either, a refusal says nothing.
    let trusts_none = match load(HONEST_FOLDER, None) {
        LoadTrial::Loaded => None,
        LoadTrial::Refused(why) | LoadTrial::NotTried(why) => Some(LoadTrial::NotTried(why)),
    };
    let (mut attacks, mut not_tried) = (Vec::new(), Vec::new());
    for planting in &corpus.plantings {
        let Some(loader) = corpus.weak_loader(planting.fools) else { continue };
        let tried = trusts_none.clone().unwrap_or_else(|| load(&planting.entries, None));
        match tried {
            LoadTrial::NotTried(why) => not_tried.push(NotTriedRow { name: planting.name, why }),
            tried => {
                let weakly = load(&planting.entries, Some(loader));
                attacks.push(row(planting, loader, tried, weakly));
            }
        }
    }
    let tried = |loader: &&WeakLoader| attacks.iter().any(|row| row.weak_control == loader.name);
    let controls = corpus.weak_loaders.iter().filter(tried);
    let controls = controls.map(|loader| try_loader(corpus, loader, &load)).collect();
    PlantingReport { attacks, controls, not_tried }
}

fn row(planting: &Planting, loader: &WeakLoader, tried: LoadTrial, weakly: LoadTrial) -> AttackRow {
    let (verdict, detail) = match tried {
        LoadTrial::Loaded => (Verdict::Pass, "the code would be loaded".to_owned()),
        LoadTrial::Refused(why) | LoadTrial::NotTried(why) => {
            (Verdict::Fail { score: Score::ZERO }, why)
        }
    };
    AttackRow {
        class: AttackClass::PlantedCode,
        name: planting.name,
        idea: planting.idea,
        verdict,
        detail,
        weak_control: loader.name,
        fooled: weakly == LoadTrial::Loaded,
        control_fault: match weakly {
            LoadTrial::NotTried(why) => Some(why),
            LoadTrial::Loaded | LoadTrial::Refused(_) => None,
        },
    }
}

/// A weak loader is one at all: it loads from the honest folder, and not from all.
fn try_loader(
    corpus: &Corpus,
    loader: &WeakLoader,
    load: &impl Fn(&[PlantedEntry], Option<&WeakLoader>) -> LoadTrial,
) -> ControlRow {
    let refused = |planting: &&Planting| {
        matches!(load(&planting.entries, Some(loader)), LoadTrial::Refused(_))
    };
    ControlRow {
        control: loader.name,
        task: "a private cache folder",
        honest_accepted: load(HONEST_FOLDER, Some(loader)) == LoadTrial::Loaded,
        wrong_rejected: count(corpus.plantings.iter().filter(refused)),
    }
}

pub(super) fn read_planting(file: &EmbeddedFile) -> Result<Planting, CorpusError> {
    let lines = file.text.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.map(|line| {
        read_entry(line).ok_or_else(|| file.error(format!("{line:?} is no line of a folder")))
    });
    Ok(Planting {
        name: file.name,
        idea: file.head("idea")?,
        fools: file.head("fools")?,
        entries: entries.collect::<Result<_, _>>()?,
    })
}

/// `folder PATH MODE [OWNER]`, the same for `code`, `digest` and `other`, and
/// `link PATH TARGET`.
fn read_entry(line: &'static str) -> Option<PlantedEntry> {
    let mut words = line.split_whitespace();
    let (kind, path, third) = (words.next()?, words.next()?, words.next()?);
    let kind = match kind {
        "folder" => PlantedKind::Folder,
        "code" => PlantedKind::Code,
        "digest" => PlantedKind::Digest,
        "other" => PlantedKind::OtherDigest,
        "link" => PlantedKind::Link { to: third },
        _ => return None,
    };
    let mode = match kind {
        PlantedKind::Link { .. } => 0,
        _ => u32::from_str_radix(third, 8).ok()?,
    };
    let owner = words.next().map(str::parse).transpose().ok()?;
    words.next().is_none().then_some(PlantedEntry { path, kind, mode, owner })
}

pub(super) fn read_loader(file: &EmbeddedFile) -> Result<WeakLoader, CorpusError> {
    let ask = |name: &str| match name {
        "folder_mode" => Ok(LoaderQuestion::FolderMode),
        "folder_owner" => Ok(LoaderQuestion::FolderOwner),
        "cache_mode" => Ok(LoaderQuestion::CacheMode),
        "digest" => Ok(LoaderQuestion::Digest),
        _ => Err(file.error(format!("{name:?} is nothing that a loader asks"))),
    };
    let asks = file.head("asks")?.split_whitespace().map(ask).collect::<Result<_, _>>()?;
    Ok(WeakLoader { name: file.name, idea: file.head("idea")?, asks })
}
