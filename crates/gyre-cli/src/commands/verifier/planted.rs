//! Prepared folders of the corpus, made for real in a folder of their own.
//!
//! The "code" in them is a line of text: what is asked is whether it would be
//! loaded, and nothing is.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use gyre_sandbox::{CachedCode, cached_code};
use gyre_types::Digest;
use gyre_verify::corpus::{LoadTrial, LoaderQuestion, PlantedEntry, PlantedKind, WeakLoader};

const CODE: &[u8] = b"code that somebody else put here\n";
/// The name of the code in every prepared folder.
const NAME: &str = "planted";
/// Permissions with which users other than the owner may write.
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;

/// A folder below the shared temporary one, gone when this is dropped.
pub(crate) struct Ground(PathBuf);

impl Ground {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("gyre-planted-{}", std::process::id()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        Ok(Self(path))
    }

    /// Makes a prepared folder afresh, and says what a loader does with it: a weak
    /// one, or the sandbox's own.
    pub(crate) fn load(&self, entries: &[PlantedEntry], loader: Option<&WeakLoader>) -> LoadTrial {
        let root = self.0.join("root");
        if let Err(error) = plant(&root, entries) {
            let why = match entries.iter().find_map(|entry| entry.owner) {
                Some(owner) if error.kind() == io::ErrorKind::PermissionDenied => {
                    format!("only root can make files of another user, here {owner}")
                }
                _ => format!("it cannot be made: {error}"),
            };
            return LoadTrial::NotTried(why);
        }
        let cache = root.join("cache");
        match loader {
            None => load_as_the_sandbox_does(&cache),
            Some(loader) => self.load_weakly(&cache, loader),
        }
    }

    fn load_weakly(&self, cache: &Path, loader: &WeakLoader) -> LoadTrial {
        let folder = cache.join("guests");
        let code = folder.join(format!("{NAME}.cwasm"));
        let answers = |question: &LoaderQuestion| -> io::Result<bool> {
            Ok(match question {
                LoaderQuestion::FolderMode => fs::metadata(&folder)?.mode() & OTHERS == 0,
                LoaderQuestion::FolderOwner => {
                    fs::metadata(&folder)?.uid() == fs::metadata(&self.0)?.uid()
                }
                LoaderQuestion::CacheMode => fs::metadata(cache)?.mode() & OTHERS_WRITE == 0,
                LoaderQuestion::Digest => {
                    let recorded = fs::read_to_string(folder.join(format!("{NAME}.sha256")))?;
                    Digest::of(&fs::read(&code)?).to_string() == recorded
                }
            })
        };
        let refused = loader.asks.iter().find(|question| !answers(question).unwrap_or(false));
        match refused {
            Some(question) => LoadTrial::Refused(format!("{question:?}")),
            None if code.is_file() => LoadTrial::Loaded,
            None => LoadTrial::Refused("there is no code".to_owned()),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Should it stay, it holds a few lines of text.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plant(root: &Path, entries: &[PlantedEntry]) -> io::Result<()> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir(root)?,
    }
    fs::set_permissions(root, PermissionsExt::from_mode(0o700))?;
    entries.iter().try_for_each(|entry| plant_entry(&root.join(entry.path), entry))
}

fn plant_entry(path: &Path, entry: &PlantedEntry) -> io::Result<()> {
    match entry.kind {
        PlantedKind::Folder => fs::create_dir_all(path)?,
        PlantedKind::Code => fs::write(path, CODE)?,
        PlantedKind::Digest => fs::write(path, Digest::of(CODE).to_string())?,
        PlantedKind::OtherDigest => fs::write(path, Digest::of(b"other code").to_string())?,
        PlantedKind::Link { to } => return symlink(to, path),
    }
    // Whatever the umask is.
    fs::set_permissions(path, PermissionsExt::from_mode(entry.mode))?;
    entry.owner.map_or(Ok(()), |owner| chown(path, Some(owner), None))
}

fn load_as_the_sandbox_does(cache: &Path) -> LoadTrial {
    match cached_code(cache, NAME) {
        Ok(CachedCode::Trusted) => LoadTrial::Loaded,
        Ok(CachedCode::Missing) => LoadTrial::Refused("no digest vouches for it".to_owned()),
        Ok(CachedCode::Refused { reason, .. }) => LoadTrial::Refused(reason),
        Err(error) => LoadTrial::Refused(error.to_string()),
    }
}
