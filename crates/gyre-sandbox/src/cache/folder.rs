//! A folder that machine code may be loaded from.
//!
//! Whoever can put a file there runs code with this user's rights, and whoever
//! can rename a folder above it can put another in its place. So the folder is
//! reached from the root by descriptors, name by name, without following a
//! link, and each is asked who may write to it: the one that is held open is
//! the one that was asked about.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, MetadataExt, OpenOptions, OpenOptionsExt};

use crate::SandboxError;

/// Others may add files of theirs to a folder with this bit, and touch no
/// other's: the shared temporary folder has it.
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;
const ROOT: u32 = 0;

/// An open folder that only this user can write to, itself or by way of a
/// folder above.
pub(crate) struct PrivateFolder {
    dir: Dir,
    path: PathBuf,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum NoFolder {
    /// It cannot be made, opened or read.
    Unusable(SandboxError),
    /// Somebody else could have put files there.
    Untrusted { path: PathBuf, reason: String },
}

impl PrivateFolder {
    /// Opens a folder, making what is missing of its path.
    pub(crate) fn open(path: &Path) -> Result<Self, NoFolder> {
        let failed = |source| NoFolder::Unusable(unusable(path)(source));
        let (there, missing) = resolve(path).map_err(failed)?;
        let root = Dir::open_ambient_dir("/", cap_std::ambient_authority()).map_err(failed)?;
        let mut folder = Self { dir: root, path: PathBuf::from("/") };
        folder.require_safe_parent()?;
        let names = names(&there).chain(missing.iter().map(|name| (name.as_os_str(), true)));
        let names: Vec<_> = names.collect();
        for (at, (name, may_make)) in names.iter().enumerate() {
            let next = folder.path.join(name);
            let dir = folder.enter(name, *may_make).map_err(failed)?;
            folder = Self { dir, path: next };
            if at + 1 < names.len() {
                folder.require_safe_parent()?;
            }
        }
        folder.take_for_this_user()?;
        Ok(folder)
    }

    /// The path, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file to read; `None` if there is none. A file that somebody else
    /// owns or may write to is an error, as is a link.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        let file = match self.dir.open_with(name, &options) {
            Ok(file) => file.into_std(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        let (owner, mode) = {
            use std::os::unix::fs::MetadataExt as _;
            (found.uid(), found.mode())
        };
        let own = this_user();
        match (found.is_file(), owner == own, mode & OTHERS_WRITE) {
            (false, ..) => Err(io::Error::other("it is not a regular file")),
            (_, false, _) => Err(io::Error::other(format!("user {owner} owns it, not {own}"))),
            (true, true, 0) => Ok(Some(file)),
            _ => Err(io::Error::other("users other than its owner may write to it")),
        }
    }

    /// Writes a file such that, after a crash at any point, it is whole or
    /// absent.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), SandboxError> {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let turn = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{name}.{}-{turn}.tmp", std::process::id());
        let written = self.write_to(&temporary, content).and_then(|()| {
            self.dir.rename(&temporary, &self.dir, name)?;
            self.itself()?.sync_all()
        });
        if written.is_err() {
            // Nothing more can be done about it if this fails too.
            let _ = self.dir.remove_file(&temporary);
        }
        written.map_err(unusable(&self.path_of(name)))
    }

    fn write_to(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = self.dir.open_with(name, &options)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), SandboxError> {
        match self.dir.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unusable(&self.path_of(name))(error))
            }
            _ => Ok(()),
        }
    }

    fn enter(&self, name: &OsStr, may_make: bool) -> io::Result<Dir> {
        match self.dir.open_dir_nofollow(name) {
            Err(error) if may_make && error.kind() == io::ErrorKind::NotFound => {
                let mut private = DirBuilder::new();
                private.mode(0o700);
                match self.dir.create_dir_with(name, &private) {
                    // Another process of this user may have been quicker.
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => self.dir.open_dir_nofollow(name),
                }
            }
            opened => opened,
        }
    }

    /// Nobody but root and this user can exchange what is in a folder above.
    fn require_safe_parent(&self) -> Result<(), NoFolder> {
        let found = self.dir.dir_metadata().map_err(|error| self.failed(error))?;
        let (owner, mode) = (found.uid(), found.mode());
        if owner != ROOT && owner != this_user() {
            return Err(self.untrusted(format!("user {owner} owns it")));
        }
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            let mode = mode & 0o7777;
            return Err(self.untrusted(format!(
                "users other than its owner may rename what is in it (mode {mode:o}; `chmod \
                 go-w` takes that right away)"
            )));
        }
        Ok(())
    }

    /// The folder itself is this user's, whom alone it lets in.
    fn take_for_this_user(&self) -> Result<(), NoFolder> {
        let found = self.dir.dir_metadata().map_err(|error| self.failed(error))?;
        let (owner, own) = (found.uid(), this_user());
        if owner != own {
            return Err(self.untrusted(format!("user {owner} owns it, not {own}")));
        }
        if found.mode() & OTHERS == 0 {
            return Ok(());
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let made = self.itself().and_then(|dir| dir.set_permissions(private));
        made.map_err(|error| self.failed(error))
    }

    /// The same folder by a descriptor that more can be asked of: the handle's own
    /// only leads to what is in it.
    fn itself(&self) -> io::Result<File> {
        self.dir.open(".").map(cap_std::fs::File::into_std)
    }

    fn untrusted(&self, reason: String) -> NoFolder {
        NoFolder::Untrusted { path: self.path.clone(), reason }
    }

    fn failed(&self, error: io::Error) -> NoFolder {
        NoFolder::Unusable(unusable(&self.path)(error))
    }
}

/// What is there of a path, free of links, and the names below it that are
/// still to be made. Links are resolved here once; where they led is checked
/// like any other path.
fn resolve(path: &Path) -> io::Result<(PathBuf, Vec<std::ffi::OsString>)> {
    let absolute = std::path::absolute(path)?;
    let mut there = absolute.as_path();
    let mut missing = Vec::new();
    loop {
        match fs::canonicalize(there) {
            Ok(found) => {
                missing.reverse();
                return Ok((found, missing));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(error);
                };
                missing.push(name.to_owned());
                there = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The names of a path without links, none of which is to be made.
fn names(path: &Path) -> impl Iterator<Item = (&OsStr, bool)> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some((name, false)),
        _ => None,
    })
}

fn this_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(super) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::CacheUnusable { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> String {
        match PrivateFolder::open(path) {
            Err(NoFolder::Untrusted { path, reason }) => format!("{}: {reason}", path.display()),
            Err(NoFolder::Unusable(error)) => panic!("{error:?}"),
            Ok(_) => panic!("{} was trusted", path.display()),
        }
    }

    #[test]
    fn what_is_missing_is_made_for_this_user_alone() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("a/b/guests");
        let folder = PrivateFolder::open(&path).unwrap();
        folder.write("x", b"content").unwrap();
        for made in ["a", "a/b", "a/b/guests"] {
            let mode = fs::metadata(above.path().join(made)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
        let mode = fs::metadata(path.join("x")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        assert!(folder.read("x").unwrap().is_some());
        assert!(folder.read("y").unwrap().is_none());
    }

    #[test]
    fn a_folder_below_one_that_others_may_write_to_is_not_trusted() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("shared/own/guests");
        fs::create_dir_all(&path).unwrap();
        let shared = above.path().join("shared");
        for mode in [0o777, 0o770, 0o722] {
            set_mode(&shared, mode);
            let said = refused(&path);
            assert!(said.contains("shared: users other"), "{said}");
        }
        // Whom the sticky bit keeps from renaming what is not theirs.
        set_mode(&shared, 0o1777);
        PrivateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_link_leads_to_where_it_leads_and_that_is_checked() {
        let above = tempfile::tempdir().unwrap();
        let shared = above.path().join("shared");
        fs::create_dir_all(shared.join("guests")).unwrap();
        set_mode(&shared, 0o777);
        let own = above.path().join("own");
        fs::create_dir(&own).unwrap();
        symlink(shared.join("guests"), own.join("guests")).unwrap();
        assert!(refused(&own.join("guests")).contains("shared: users other"));
    }

    #[test]
    fn a_file_that_others_may_write_to_or_that_is_a_link_is_not_read() {
        let above = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(above.path()).unwrap();
        folder.write("x", b"content").unwrap();
        symlink("x", above.path().join("link")).unwrap();
        assert!(folder.read("link").is_err());
        set_mode(&above.path().join("x"), 0o620);
        assert!(folder.read("x").unwrap_err().to_string().contains("may write to it"));
        fs::create_dir(above.path().join("folder")).unwrap();
        assert!(folder.read("folder").is_err());
    }

    /// Only root can make files of another user, who is what it takes here.
    #[test]
    fn what_another_user_owns_is_not_trusted() {
        if this_user() != ROOT {
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("gyre/guests");
        let folder = PrivateFolder::open(&path).unwrap();
        folder.write("x", b"content").unwrap();
        std::os::unix::fs::chown(path.join("x"), Some(4_711), None).unwrap();
        assert!(folder.read("x").unwrap_err().to_string().contains("user 4711 owns it"));
        std::os::unix::fs::chown(&path, Some(4_711), None).unwrap();
        assert!(refused(&path).contains("guests: user 4711 owns it"));
        std::os::unix::fs::chown(above.path().join("gyre"), Some(4_711), None).unwrap();
        assert!(refused(&path).contains("gyre: user 4711 owns it"));
    }
}
