//! Folders as handles: what lies below one is opened, and nothing outside.
//!
//! Whoever can write to a database, a manifest, a store or a folder chooses paths
//! and leaves links. A [`Folder`] opens, makes, renames and removes below itself
//! alone: a path or a symbolic link that leads out is refused, whoever chose it,
//! and is not followed even where it is exchanged in between.
//!
//! Invariants:
//! - The root is the caller's own choice, and is followed as it is. All that is
//!   below it may be anybody's.
//! - A file that is made takes no link's place: it is new, under its own name.
//! - What leads out is [`LeadsOut`], never somebody else's content.
//!
//! The handles are cap-std's. Beside the sandbox's caches, which ask more of a
//! folder, nothing outside this crate names them.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

/// Ends the name of a link that has not its place yet.
const LINK_SUFFIX: &str = ".link";

/// A folder, whether it is there or not. Each call opens it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    below: PathBuf,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is; a link is a link, wherever it leads.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a pipe, ….
    Other,
}

/// Why something was not opened: its path, or a link on it, leads out of the
/// folder. Comes as an [`io::Error`] of the kind [`ErrorKind::InvalidData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadsOut;

impl LeadsOut {
    /// Whether an error tells of it.
    pub fn is_told_by(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

impl fmt::Display for LeadsOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its path, or a symbolic link on it, leads out of the folder; remove the link")
    }
}

impl Error for LeadsOut {}

impl Folder {
    /// The folder at `root`, which the caller chose: links on the way to it are
    /// followed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), below: PathBuf::new() }
    }

    /// A folder below this one. The path may be anybody's, and so may what it
    /// leads over.
    pub fn below(&self, path: impl AsRef<Path>) -> Self {
        Self { root: self.root.clone(), below: self.below.join(path) }
    }

    /// Its path, for messages and comparisons: whoever opens that is not held
    /// below the folder.
    pub fn path(&self) -> PathBuf {
        // Not joined with nothing, which would add a slash.
        if self.below.as_os_str().is_empty() {
            self.root.clone()
        } else {
            self.root.join(&self.below)
        }
    }

    /// Makes the folder and those above it, where they are missing.
    ///
    /// # Errors
    ///
    /// When the system does not let it, and [`LeadsOut`].
    pub fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        if self.below.as_os_str().is_empty() {
            return Ok(());
        }
        match self.root()?.create_dir_all(&self.below).map_err(refused) {
            // Of a link that leads out, the system says that it is there.
            Err(there) if there.kind() == ErrorKind::AlreadyExists => match self.handle() {
                Err(error) if LeadsOut::is_told_by(&error) => Err(error),
                _ => Err(there),
            },
            made => made,
        }
    }

    /// Makes a folder in this one that nobody else made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where something has its name, and as
    /// [`Folder::make`].
    pub fn make_new(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.handle()?.create_dir(name).map_err(refused)
    }

    /// Opens a file. A pipe or a device in its place is refused: whoever opens one
    /// may wait for ever.
    ///
    /// # Errors
    ///
    /// When it is not there or cannot be opened, and [`LeadsOut`].
    pub fn open(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let (folder, name) = (self.handle()?, name.as_ref());
        let about = folder.metadata(name).map_err(refused)?;
        if !about.is_file() && !about.is_dir() {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"));
        }
        folder.open(name).map(cap_std::fs::File::into_std).map_err(refused)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As [`Folder::open`].
    pub fn read(&self, name: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a file of text.
    ///
    /// # Errors
    ///
    /// As [`Folder::open`], and where it is not UTF-8.
    pub fn read_to_string(&self, name: impl AsRef<Path>) -> io::Result<String> {
        let mut text = String::new();
        self.open(name)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Makes a file, in place of any file or link that has its name.
    ///
    /// # Errors
    ///
    /// When the system does not let it, and [`LeadsOut`].
    pub fn create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let (folder, name) = (self.handle()?, name.as_ref());
        match folder.remove_file(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(refused)?,
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No);
        folder.open_with(name, &options).map(cap_std::fs::File::into_std).map_err(refused)
    }

    /// Writes a file as [`Folder::create`] makes it, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// As [`Folder::create`].
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(name)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives something another name in this folder, in place of a file that has it.
    ///
    /// # Errors
    ///
    /// When the system does not let it, and [`LeadsOut`].
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let folder = self.handle()?;
        folder.rename(from, &folder, to).map_err(refused)
    }

    /// Gives a file a second name, in another folder.
    ///
    /// # Errors
    ///
    /// When the system does not let it, and [`LeadsOut`].
    pub fn link(
        &self,
        name: impl AsRef<Path>,
        other: &Self,
        second: impl AsRef<Path>,
    ) -> io::Result<()> {
        self.handle()?.hard_link(name, &other.handle()?, second).map_err(refused)
    }

    /// Puts a symbolic link in this folder, in place of any file or link that has its
    /// name: a reader finds the old one or the new one, never none. `target` is
    /// relative to the folder and should lead to something below it, since nothing
    /// else is followed through a [`Folder`].
    ///
    /// # Errors
    ///
    /// When `target` is absolute or climbs out of the folder, when a folder has the
    /// name, and when the system does not let it, and [`LeadsOut`].
    pub fn replace_link(&self, name: impl AsRef<Path>, target: impl AsRef<Path>) -> io::Result<()> {
        let (folder, name, target) = (self.handle()?, name.as_ref(), target.as_ref());
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !target.components().all(is_plain) {
            return Err(io::Error::new(ErrorKind::InvalidData, LeadsOut));
        }
        let mut temporary = name.as_os_str().to_owned();
        temporary.push(LINK_SUFFIX);
        // A process that was killed may have left one.
        match folder.remove_file(&temporary) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(refused)?,
        }
        folder.symlink(target, &temporary).map_err(refused)?;
        folder.rename(&temporary, &folder, name).map_err(refused)
    }

    /// Where a symbolic link leads, as it was written; nothing where there is no
    /// link of that name.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and [`LeadsOut`] where it is absolute.
    pub fn read_link(&self, name: impl AsRef<Path>) -> io::Result<Option<PathBuf>> {
        let handle = match self.handle() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            handle => handle?,
        };
        match handle.read_link(name).map_err(refused) {
            // What is no link cannot be read as one.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                Ok(None)
            }
            target => target.map(Some),
        }
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    ///
    /// When it is not there or cannot be removed, and [`LeadsOut`].
    pub fn remove_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.handle()?.remove_file(name).map_err(refused)
    }

    /// Removes a file, a link (and not what it leads to), or a folder with all
    /// that is in it.
    ///
    /// # Errors
    ///
    /// As [`Folder::remove_file`].
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let (folder, name) = (self.handle()?, name.as_ref());
        let is_folder = folder.symlink_metadata(name).map_err(refused)?.is_dir();
        let removed =
            if is_folder { folder.remove_dir_all(name) } else { folder.remove_file(name) };
        removed.map_err(refused)
    }

    /// Removes a folder with nothing in it.
    ///
    /// # Errors
    ///
    /// As [`Folder::remove_file`], and where something is in it.
    pub fn remove_empty(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.handle()?.remove_dir(name).map_err(refused)
    }

    /// Makes the names in the folder outlive a loss of power.
    ///
    /// # Errors
    ///
    /// When the system fails, and [`LeadsOut`].
    pub fn sync(&self) -> io::Result<()> {
        // The handle itself is of the kind that only leads further.
        self.open(".")?.sync_all()
    }

    /// What is in the folder, by name; of a folder that is not there, nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and [`LeadsOut`].
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let handle = match self.handle() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            handle => handle?,
        };
        let mut entries = Vec::new();
        for entry in handle.entries().map_err(refused)? {
            let entry = entry?;
            let about = match entry.metadata() {
                // Somebody else removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                about => about?,
            };
            let kind = match (about.is_file(), about.is_dir()) {
                (true, _) => EntryKind::File,
                (_, true) => EntryKind::Folder,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name: entry.file_name(), kind, bytes: about.len() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// What there is under a name, a link taken for what it leads to.
    ///
    /// # Errors
    ///
    /// When it is not there or cannot be looked at, and [`LeadsOut`].
    pub fn look_at(&self, name: impl AsRef<Path>) -> io::Result<Entry> {
        let name = name.as_ref();
        let about = self.handle()?.metadata(name).map_err(refused)?;
        let kind = match (about.is_file(), about.is_dir()) {
            (true, _) => EntryKind::File,
            (_, true) => EntryKind::Folder,
            _ => EntryKind::Other,
        };
        Ok(Entry { name: name.as_os_str().to_owned(), kind, bytes: about.len() })
    }

    /// The path of something with all links followed, for a library that takes
    /// nothing but paths.
    ///
    /// # Errors
    ///
    /// When it is not there, and [`LeadsOut`].
    pub fn resolve(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let (folder, name) = (self.handle()?, name.as_ref());
        let here = name.as_os_str().is_empty();
        let resolved = folder.canonicalize(if here { Path::new(".") } else { name });
        Ok(self.path().join(resolved.map_err(refused)?))
    }

    fn root(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.root, ambient_authority())
    }

    /// The folder, below which alone is opened: below the root, what is not below
    /// this folder is outside too.
    fn handle(&self) -> io::Result<Dir> {
        match self.below.as_os_str().is_empty() {
            true => self.root(),
            false => self.root()?.open_dir(&self.below).map_err(refused),
        }
    }
}

impl From<&Path> for Folder {
    fn from(root: &Path) -> Self {
        Self::new(root)
    }
}

impl From<&PathBuf> for Folder {
    fn from(root: &PathBuf) -> Self {
        Self::new(root)
    }
}

impl From<&Folder> for Folder {
    fn from(folder: &Folder) -> Self {
        folder.clone()
    }
}

/// Tells what the handle refused from what the system did.
fn refused(error: io::Error) -> io::Error {
    let by_handle = error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none();
    if by_handle { io::Error::new(ErrorKind::InvalidData, LeadsOut) } else { error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root with a folder `in` of its own, beside something that is not its.
    fn place() -> (tempfile::TempDir, Folder) {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("root");
        fs::create_dir_all(root.join("in/deep")).unwrap();
        fs::create_dir_all(above.path().join("other/folder")).unwrap();
        fs::write(above.path().join("other/secret"), "secret").unwrap();
        fs::write(root.join("in/own"), "own").unwrap();
        symlink(above.path().join("other"), root.join("in/out")).unwrap();
        symlink("../../other", root.join("in/up")).unwrap();
        symlink(above.path().join("other/secret"), root.join("in/link")).unwrap();
        (above, Folder::new(root))
    }

    fn led_out<T: fmt::Debug>(done: io::Result<T>, what: &str) {
        let error = done.expect_err(what);
        assert!(LeadsOut::is_told_by(&error), "{what}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}");
    }

    #[test]
    fn nothing_outside_is_read_written_or_removed() {
        let (above, root) = place();
        let folder = root.below("in");
        let absolute = above.path().join("other/secret").display().to_string();
        let outside = [
            "../../other/secret",
            "../../../../../../../../etc/passwd",
            "deep/../../../other/secret",
            "out/secret",
            "up/secret",
            "link",
            absolute.as_str(),
        ];
        for path in outside {
            led_out(folder.open(path), path);
            led_out(folder.read(path), path);
            led_out(folder.look_at(path), path);
            led_out(folder.resolve(path), path);
        }
        for path in outside.into_iter().filter(|path| *path != "link") {
            led_out(folder.create(path), path);
            led_out(folder.write(path, b"x"), path);
            led_out(folder.remove_file(path), path);
            led_out(folder.remove(path), path);
            led_out(folder.rename("own", path), path);
            led_out(folder.link("own", &folder, path), path);
        }
        for path in ["in/out", "in/up", "../other", "in/../../other"] {
            led_out(root.below(path).open("secret"), path);
            led_out(root.below(path).entries(), path);
            led_out(root.below(path).make(), path);
            led_out(root.below(path).below("new").make(), path);
            led_out(root.below(path).sync(), path);
        }
        assert_eq!(fs::read_to_string(above.path().join("other/secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(above.path().join("other")).unwrap().count(), 2);
        // The root is the caller's own choice.
        let linked = Folder::new(above.path().join("root/in/out"));
        assert_eq!(linked.read("secret").unwrap(), b"secret");
    }

    /// The folder itself is the border, not its root.
    #[test]
    fn what_lies_beside_a_folder_is_outside_too() {
        let (_above, root) = place();
        root.below("beside").make().unwrap();
        root.below("beside").write("file", b"beside").unwrap();
        symlink("../beside/file", root.path().join("in/neighbour")).unwrap();
        led_out(root.below("in").open("neighbour"), "neighbour");
        assert_eq!(root.read("in/neighbour").unwrap(), b"beside");
    }

    #[test]
    fn a_link_is_replaced_or_removed_and_never_written_through() {
        let (above, root) = place();
        let folder = root.below("in");
        folder.write("link", b"new").unwrap();
        assert_eq!(folder.look_at("link").unwrap().bytes, 3);
        folder.write("fresh", b"fresh").unwrap();
        folder.rename("fresh", "out").unwrap();
        assert_eq!(folder.read("out").unwrap(), b"fresh");
        folder.remove("up").unwrap();
        let other = above.path().join("other");
        assert_eq!(fs::read_to_string(other.join("secret")).unwrap(), "secret");
        assert!(other.join("folder").is_dir());
        symlink(&other, root.path().join("in/deep/out")).unwrap();
        folder.remove("deep").unwrap();
        assert!(other.join("folder").is_dir(), "what a link leads to is not removed with it");
        let names: Vec<_> =
            folder.entries().unwrap().into_iter().map(|e| (e.name, e.kind)).collect();
        let file = |name: &str| (OsString::from(name), EntryKind::File);
        assert_eq!(names, ["link", "out", "own"].map(file));
    }

    #[test]
    fn a_link_is_put_in_place_of_a_link_and_never_leads_out() {
        let (above, root) = place();
        let folder = root.below("in");
        assert_eq!(folder.read_link("latest").unwrap(), None);
        assert_eq!(root.below("none").read_link("latest").unwrap(), None);
        assert_eq!(folder.read_link("own").unwrap(), None, "a file is no link");
        folder.below("deep/one").make().unwrap();
        folder.below("deep/two").make().unwrap();
        for target in ["deep/one", "deep/two", "deep/two"] {
            folder.replace_link("latest", target).unwrap();
            assert_eq!(folder.read_link("latest").unwrap(), Some(PathBuf::from(target)));
            assert_eq!(folder.resolve("latest").unwrap(), folder.path().join(target));
        }
        // What a killed process left, and links that somebody else put there.
        symlink("nowhere", root.path().join("in/latest.link")).unwrap();
        for name in ["latest", "link", "out"] {
            folder.replace_link(name, "deep/one").unwrap();
            assert_eq!(folder.resolve(name).unwrap(), folder.path().join("deep/one"));
        }
        let names = folder.entries().unwrap().into_iter().map(|entry| entry.name);
        assert_eq!(names.filter(|name| name == "latest.link").count(), 0);
        let absolute = above.path().join("other").display().to_string();
        for target in ["../../other", "deep/../../in", absolute.as_str(), ".."] {
            led_out(folder.replace_link("latest", target), target);
        }
        led_out(root.below("in/up").replace_link("latest", "folder"), "in/up");
        // A folder is nobody's link, and is not replaced.
        folder.replace_link("deep", "deep/one").unwrap_err();
        assert!(folder.path().join("deep/one").is_dir());
        assert_eq!(fs::read_dir(above.path().join("other")).unwrap().count(), 2);
    }

    /// Nobody ever writes to it, so that whoever opened it would wait.
    #[test]
    fn a_pipe_is_not_waited_for() {
        let (_above, root) = place();
        let pipe = root.path().join("in/pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let refused = root.below("in").read("pipe").unwrap_err();
        assert_eq!(refused.to_string(), "it is not a regular file");
        let entry = root.below("in").look_at("pipe").unwrap();
        assert_eq!(entry.kind, EntryKind::Other);
        root.below("in").write("pipe", b"a file").unwrap();
        assert_eq!(root.below("in").read("pipe").unwrap(), b"a file");
    }

    #[test]
    fn a_folder_is_made_when_it_is_asked_for() {
        let above = tempfile::tempdir().unwrap();
        let folder = Folder::new(above.path().join("a/b")).below("c").below("d");
        assert_eq!(folder.entries().unwrap(), []);
        assert_eq!(folder.open("x").unwrap_err().kind(), ErrorKind::NotFound);
        folder.make().unwrap();
        folder.make().unwrap();
        folder.write("x", b"1").unwrap();
        folder.write("x", b"22").unwrap();
        folder.sync().unwrap();
        let second = Folder::new(folder.path());
        folder.link("x", &second, "y").unwrap();
        assert_eq!(second.read_to_string("y").unwrap(), "22");
        assert_eq!(second.resolve("y").unwrap(), above.path().join("a/b/c/d/y"));
        folder.remove_file("x").unwrap();
        let entry = Entry { name: "y".into(), kind: EntryKind::File, bytes: 2 };
        assert_eq!(folder.entries().unwrap(), [entry]);
    }
}
