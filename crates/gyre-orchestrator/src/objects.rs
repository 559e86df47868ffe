//! Where files pass between the driver of a run and its workers: a folder, or a
//! bucket.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gyre_dataset::Layout;
use gyre_folder::{EntryKind, Folder};
use gyre_lineage::RunRow;
use gyre_train::digest_checkpoint;
use gyre_types::{Digest, RunId, to_json};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use crate::config::RunConfig;
use crate::error::Error;
use crate::layout::{DataDir, round_name};
use crate::project::{Project, io};

/// The store of one data folder. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where it is a folder: others write to it too, so that it is read, and what
    /// is in it removed, below this handle.
    folder: Option<Folder>,
    runtime: Handle,
}

impl Objects {
    /// Opens the store that is named, or that of the data folder.
    pub(crate) fn open(
        named: Option<&str>,
        data: &DataDir,
        runtime: &Handle,
    ) -> Result<Self, Error> {
        let runtime = runtime.clone();
        if let Some(url) = named.filter(|named| named.contains("://")) {
            let (store, prefix) = bucket(url)?;
            let opened = Self { store, prefix, folder: None, runtime };
            opened.check(url)?;
            return Ok(opened);
        }
        let folder = named.map_or_else(|| data.root().join("store"), PathBuf::from);
        std::fs::create_dir_all(&folder).map_err(io("make the object store", &folder))?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(failed("open", &folder.display().to_string()))?
            .with_fsync(true);
        let folder = Some(Folder::new(folder));
        Ok(Self { store: Arc::new(store), prefix: Key::default(), folder, runtime })
    }

    /// The store that gets what a run publishes: one that its configuration names, or
    /// the data folder's own where something of it was published there before.
    pub(crate) fn of_run(
        project: &Project,
        run: &RunRow,
        config: &RunConfig,
    ) -> Result<Option<Self>, Error> {
        let named = config.workers.store.as_deref();
        let published = || {
            let folder = project.data.folder().below("store/datasets");
            folder.look_at(run.id.as_str()).is_ok()
        };
        if named.is_none() && !published() {
            return Ok(None);
        }
        Self::open(named, &project.data, project.runtime()).map(Some)
    }

    /// Asks a bucket for something small, so that one that is not there, or does
    /// not let us in, is known before anything depends on it.
    fn check(&self, url: &str) -> Result<(), Error> {
        use futures_util::StreamExt;
        let folder = self.key("work/none");
        let first = self.runtime.block_on(self.store.list(Some(&folder)).next());
        first.transpose().map(drop).map_err(failed("open", url))
    }

    fn key(&self, name: &str) -> Key {
        let parts = self.prefix.parts().map(|part| part.as_ref().to_owned());
        Key::from_iter(parts.chain(name.split('/').map(str::to_owned)))
    }

    /// Puts a file there, whole or not at all.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        point("object::putting", "write", name)?;
        let key = self.key(name);
        if let Some(folder) = &self.folder {
            // Refuses what leads elsewhere before the store writes there.
            let parent = Path::new(key.as_ref()).parent().unwrap_or(Path::new(""));
            folder.below(parent).make().map_err(refused("write", name))?;
        }
        let put = self.runtime.block_on(self.store.put(&key, PutPayload::from(bytes)));
        put.map(drop).map_err(failed("write", name))?;
        point("object::put", "write", name)
    }

    /// The bytes of an object.
    pub(crate) fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        if let Some(folder) = &self.folder {
            return folder.read(self.key(name).as_ref()).map_err(refused("read", name));
        }
        let got = self.runtime.block_on(async {
            let found = self.store.get(&self.key(name)).await?;
            found.bytes().await
        });
        got.map(Vec::from).map_err(failed("read", name))
    }

    /// The bytes of an object; none where there is no such object.
    pub(crate) fn get_if_there(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.exists(name)? { self.get(name).map(Some) } else { Ok(None) }
    }

    /// Writes an object to a file, if it is what it must be. Otherwise says what
    /// is wrong with it: it is missing, or its bytes are not those recorded.
    pub(crate) fn fetch(
        &self,
        name: &str,
        sha256: &Digest,
        (folder, file): (&Folder, &str),
    ) -> Result<Result<(), &'static str>, Error> {
        if !self.exists(name)? {
            return Ok(Err("its file is missing"));
        }
        let bytes = self.get(name)?;
        if Digest::of(&bytes) != *sha256 {
            return Ok(Err("the bytes of its file are not those that were recorded"));
        }
        let written = folder.create(file).and_then(|mut file| file.write_all(&bytes));
        written.map_err(io("write", &folder.path().join(file))).map(Ok)
    }

    /// Removes an object, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.delete(&self.key(name))
    }

    fn delete(&self, key: &Key) -> Result<(), Error> {
        let name = key.as_ref();
        point("object::removing", "remove", name)?;
        match &self.folder {
            Some(folder) => {
                match folder.remove_file(name) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    removed => removed.map_err(refused("remove", name))?,
                }
                // Folders go with the last that is in them.
                let above = Path::new(name).ancestors().skip(1);
                let above = above.take_while(|path| !path.as_os_str().is_empty());
                above
                    .map(|path| folder.remove_empty(path))
                    .take_while(Result::is_ok)
                    .for_each(drop);
            }
            None => match self.runtime.block_on(self.store.delete(key)) {
                Err(object_store::Error::NotFound { .. }) => {}
                removed => removed.map_err(failed("remove", name))?,
            },
        }
        point("object::removed", "remove", name)
    }

    fn exists(&self, name: &str) -> Result<bool, Error> {
        if let Some(folder) = &self.folder {
            return match folder.look_at(self.key(name).as_ref()) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                found => Ok(found.map_err(refused("look at", name))?.kind == EntryKind::File),
            };
        }
        match self.runtime.block_on(self.store.head(&self.key(name))) {
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            found => found.map(|_| true).map_err(failed("look at", name)),
        }
    }

    /// Has the published prefix of a run hold what its manifest names, and nothing
    /// else. Files come before the card that names them, and what it no longer
    /// names goes last, so that a reader finds a whole dataset at any moment.
    pub(crate) fn publish(&self, run: &RunId, dataset: &Layout) -> Result<(), Error> {
        use futures_util::TryStreamExt;
        let prefix = format!("datasets/{run}");
        let folder = self.key(&prefix);
        let listed = self.store.list(Some(&folder)).map_ok(|object| (object.location, object.size));
        let listed: HashMap<Key, u64> =
            self.runtime.block_on(listed.try_collect()).map_err(failed("list", &prefix))?;
        let mut named = HashSet::new();
        // Nothing is published before the first commit that names a shard.
        if dataset.folder().look_at("manifest.json").is_ok() {
            point("publish::beginning", "write", &prefix)?;
            let manifest = dataset.read_manifest()?;
            for (path, sha256, bytes) in manifest.files() {
                let name = format!("{prefix}/{path}");
                let key = self.key(&name);
                // Names tell of content, but for those of earlier versions.
                let is_there = manifest.format_version > 1 && listed.get(&key) == Some(&bytes);
                if !is_there {
                    self.put(&name, dataset.read(path, Some(&sha256))?)?;
                }
                named.insert(key);
            }
            let card = manifest.card_sha256.as_ref();
            for (index, sha256) in [("README.md", card), ("manifest.json", None)] {
                let name = format!("{prefix}/{index}");
                self.put(&name, dataset.read(index, sha256)?)?;
                named.insert(self.key(&name));
            }
            point("publish::indexed", "write", &prefix)?;
        }
        for key in listed.keys().filter(|key| !named.contains(*key)) {
            self.delete(key)?;
        }
        Ok(())
    }

    /// The objects that workers put there for a run.
    pub(crate) fn of_workers(&self, run: &RunId) -> Result<Vec<Key>, Error> {
        use futures_util::TryStreamExt;
        let folder = self.key(&format!("work/{run}"));
        let listed = self.store.list(Some(&folder)).map_ok(|object| object.location);
        let listed: Result<Vec<Key>, _> = self.runtime.block_on(listed.try_collect());
        listed.map_err(failed("list", folder.as_ref()))
    }

    /// Removes those of `listed` that nobody can ask for any more. `wanted` must
    /// have been read after they were listed: a worker claims a piece before it
    /// puts the result there, so what was listed under a piece's last claim is in
    /// `wanted`, delivered or not.
    pub(crate) fn sweep(
        &self,
        listed: &[Key],
        wanted: &[(gyre_lineage::WorkKey, u64)],
    ) -> Result<(), Error> {
        let wanted: HashSet<Key> =
            wanted.iter().map(|(key, epoch)| self.key(&piece_name(key, *epoch))).collect();
        listed.iter().filter(|key| !wanted.contains(key)).try_for_each(|key| self.delete(key))
    }

    /// Removes what processes that were killed had begun to write for a run. Only
    /// where nobody writes for it: between rounds.
    pub(crate) fn sweep_begun(&self, run: &RunId) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut left = vec![folder.below("work").below(run.as_str())];
        while let Some(folder) = left.pop() {
            for entry in folder.entries().map_err(io("list", &folder.path()))? {
                if entry.kind == EntryKind::Folder {
                    left.push(folder.below(&entry.name));
                } else if entry.name.to_string_lossy().contains('#') {
                    // So the store calls what it has not moved to its place yet.
                    let removed = folder.remove_file(&entry.name);
                    removed.map_err(io("remove", &folder.path().join(&entry.name)))?;
                }
            }
        }
        Ok(())
    }

    /// Makes a checkpoint's files reachable by its digest. Its list comes last:
    /// where that is, all files are.
    pub(crate) fn put_checkpoint(&self, digest: &Digest, dir: &Path) -> Result<(), Error> {
        let list = checkpoint_list(digest);
        if self.exists(&list)? {
            return Ok(());
        }
        let mut names = Vec::new();
        let folder = Folder::new(dir);
        for entry in folder.entries().map_err(io("list", dir))? {
            let bytes = folder.read(&entry.name).map_err(io("read", &dir.join(&entry.name)))?;
            let name = entry.name.to_string_lossy().into_owned();
            self.put(&format!("checkpoints/{digest}/{name}"), bytes)?;
            names.push(name);
        }
        let text = to_json("the list of a checkpoint's files", &names)?.to_string();
        self.put(&list, text.into_bytes())
    }

    /// A checkpoint's folder in `cache`, fetched where it is not there whole.
    pub(crate) fn checkpoint(&self, digest: &Digest, cache: &Folder) -> Result<PathBuf, Error> {
        let target = digest.to_hex();
        let shown = cache.path().join(&target);
        match cache.resolve(&target) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            there => {
                // A copy that was damaged on this machine is fetched again.
                if let Ok(dir) = there
                    && digest_checkpoint(&dir).is_ok_and(|found| found == *digest)
                {
                    return Ok(dir);
                }
                tracing::warn!(path = %shown.display(), "fetching a damaged checkpoint again");
                cache.remove(&target).map_err(io("remove", &shown))?;
            }
        }
        let list = checkpoint_list(digest);
        let damaged = |why: String| Error::Object { doing: "read", name: list.clone(), why };
        let names: Vec<String> = serde_json::from_slice(&self.get(&list)?)
            .map_err(|error| damaged(error.to_string()))?;
        cache.make().map_err(io("make", &cache.path()))?;
        let partial = fresh_folder(cache, digest)?;
        let fetched = cache.below(&partial);
        let whole = self.fetch_files(digest, &names, &fetched).and_then(|()| {
            let dir = fetched.resolve("").map_err(io("read", &fetched.path()))?;
            if digest_checkpoint(&dir)? == *digest {
                return Ok(());
            }
            Err(damaged(
                "the files are not those of the checkpoint; remove them from the store, and the \
                 run's driver puts them there again"
                    .to_owned(),
            ))
        });
        if whole.is_err() {
            // Best effort: the error tells what is to be done.
            let _ = cache.remove(&partial);
        }
        whole?;
        point("fetched::renaming", "read", &list)?;
        match cache.rename(&partial, &target) {
            // Another of this machine's workers was faster.
            Err(_) if cache.look_at(&target).is_ok_and(|it| it.kind == EntryKind::Folder) => {
                cache.remove(&partial).map_err(io("remove", &fetched.path()))?;
            }
            renamed => renamed.map_err(io("rename", &fetched.path()))?,
        }
        cache.sync().map_err(io("sync", &cache.path()))?;
        point("fetched::renamed", "read", &list)?;
        cache.resolve(&target).map_err(io("read", &shown))
    }

    fn fetch_files(&self, digest: &Digest, names: &[String], to: &Folder) -> Result<(), Error> {
        for name in names {
            let bytes = self.get(&format!("checkpoints/{digest}/{name}"))?;
            to.write(name, &bytes).map_err(io("write", &to.path().join(name)))?;
        }
        to.sync().map_err(io("sync", &to.path()))
    }
}

/// A new folder beside the cached checkpoints that no other process writes to,
/// whatever its process id is elsewhere.
fn fresh_folder(cache: &Folder, digest: &Digest) -> Result<String, Error> {
    let mut ordinal = 0_u32;
    loop {
        let name = format!("{digest}.{}-{ordinal}.partial", std::process::id());
        match cache.make_new(&name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => ordinal += 1,
            made => {
                return made.map(|()| name.clone()).map_err(io("make", &cache.path().join(&name)));
            }
        }
    }
}

/// The object that a worker brings a piece's rollouts in.
pub(crate) fn piece_name(key: &gyre_lineage::WorkKey, epoch: u64) -> String {
    let gyre_lineage::WorkKey { run, round, batch, piece } = key;
    format!("work/{run}/{}/{batch}/piece-{piece:04}-{epoch}.parquet", round_name(*round))
}

fn checkpoint_list(digest: &Digest) -> String {
    format!("checkpoints/{digest}.json")
}

/// A point at which a test may make the store fail; see `gyre_fault::POINTS`.
fn point(at: &str, doing: &'static str, name: &str) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Object {
        doing,
        name: name.to_owned(),
        why: error.to_string(),
    };
    gyre_fault::io_point(at).map_err(failed)
}

fn refused(doing: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> Error {
    let name = name.to_owned();
    move |error| Error::Object { doing, name, why: error.to_string() }
}

fn failed(doing: &'static str, name: &str) -> impl FnOnce(object_store::Error) -> Error {
    let name = name.to_owned();
    move |error| Error::Object { doing, name, why: error.to_string() }
}

fn bucket(url: &str) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
    let name = url.to_owned();
    let refused = |why: String| Error::Object { doing: "open", name: name.clone(), why };
    let rest = url
        .strip_prefix("s3://")
        .ok_or_else(|| refused("it is neither a folder nor s3://BUCKET/PREFIX".to_owned()))?;
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    // One TLS provider serves the whole program. An error says that it is
    // installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = AmazonS3Builder::from_env().with_url(url).build();
    let store = store.map_err(|error| refused(error.to_string()))?;
    Ok((Arc::new(store), Key::from(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store, a checkpoint in it, and a machine's cache.
    fn stored(root: &Path) -> (Objects, Digest, Folder, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let data = DataDir::new(root.join("data"));
        let objects = Objects::open(None, &data, runtime.handle()).unwrap();
        let made = root.join("made");
        std::fs::create_dir_all(&made).unwrap();
        std::fs::write(made.join("model.safetensors"), vec![7; 4_096]).unwrap();
        std::fs::write(made.join("optimizer.safetensors"), vec![9; 4_096]).unwrap();
        let digest = digest_checkpoint(&made).unwrap();
        objects.put_checkpoint(&digest, &made).unwrap();
        (objects, digest, Folder::new(root.join("cache")), runtime)
    }

    fn flip(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[100] ^= 0x40;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_cached_checkpoint_is_believed_only_while_it_is_what_it_was() {
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        for damage in ["model.safetensors", "optimizer.safetensors"] {
            let dir = objects.checkpoint(&digest, &cache).unwrap();
            assert_eq!(dir, cache.path().join(digest.to_hex()));
            flip(&dir.join(damage));
            assert_ne!(digest_checkpoint(&dir).unwrap(), digest);
            let again = objects.checkpoint(&digest, &cache).unwrap();
            assert_eq!(digest_checkpoint(&again).unwrap(), digest, "{damage}");
        }
        std::fs::remove_file(cache.path().join(digest.to_hex()).join("optimizer.safetensors"))
            .unwrap();
        let again = objects.checkpoint(&digest, &cache).unwrap();
        assert_eq!(digest_checkpoint(&again).unwrap(), digest);
        let names: Vec<_> = cache.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [digest.to_hex().as_str()], "nothing half-fetched is left");
        assert_eq!(again, cache.path().join(digest.to_hex()));
    }

    /// As another machine whose process has the same id may be at it right now.
    #[test]
    fn what_another_process_has_begun_to_fetch_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        let theirs = cache.path().join(format!("{digest}.{}-0.partial", std::process::id()));
        std::fs::create_dir_all(&theirs).unwrap();
        std::fs::write(theirs.join("model.safetensors"), "half").unwrap();
        let fetched = objects.checkpoint(&digest, &cache).unwrap();
        assert_eq!(digest_checkpoint(&fetched).unwrap(), digest);
        assert_eq!(std::fs::read(theirs.join("model.safetensors")).unwrap(), b"half");
    }

    #[test]
    fn a_checkpoint_that_was_damaged_in_the_store_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        flip(&root.path().join(format!("data/store/checkpoints/{digest}/model.safetensors")));
        let refused = objects.checkpoint(&digest, &cache).unwrap_err().to_string();
        assert!(refused.contains("not those of the checkpoint"), "{refused}");
        assert_eq!(cache.entries().unwrap(), [], "nothing half-fetched is left");
    }

    /// Others write to the store and to the cache: what they leave there leads
    /// nowhere else, and no file of this user's is read, replaced or removed.
    #[test]
    fn links_in_store_and_cache_lead_nowhere() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        let home = root.path().join("home");
        std::fs::create_dir_all(home.join("run-1/round-0001")).unwrap();
        std::fs::write(home.join("secret"), "secret").unwrap();
        std::fs::write(home.join("run-1/round-0001/piece#1"), "mine").unwrap();
        let store = root.path().join("data/store");
        symlink(&home, store.join("work")).unwrap();
        symlink(home.join("secret"), store.join("linked")).unwrap();

        let folder = Folder::new(root.path().join("data/out"));
        folder.make().unwrap();
        let told = |done: Result<(), Error>| {
            let refused = match done.unwrap_err() {
                Error::Io { source, .. } => source.to_string(),
                refused => refused.to_string(),
            };
            assert!(refused.contains("leads out of the folder"), "{refused}");
        };
        for name in ["linked", "work/secret"] {
            told(objects.get(name).map(drop));
            told(objects.fetch(name, &Digest::of(b"secret"), (&folder, "x")).map(drop));
        }
        told(objects.put("work/new", b"new".to_vec()));
        told(objects.remove("work/secret"));
        told(objects.sweep_begun(&"run-1".parse().unwrap()));
        // A path of the database that climbs is a name like any other.
        let climbing = objects.fetch("../../home/secret", &Digest::of(b"secret"), (&folder, "x"));
        assert!(climbing.unwrap().is_err());

        // A cached copy that is a link is no copy, and what it leads to stays.
        cache.make().unwrap();
        symlink(&home, cache.path().join(digest.to_hex())).unwrap();
        let fetched = objects.checkpoint(&digest, &cache).unwrap();
        assert_eq!(digest_checkpoint(&fetched).unwrap(), digest);
        // A list that names what is not the checkpoint's is refused, wherever it leads.
        let list = serde_json::to_vec(&["model.safetensors", "../../../home/secret"]).unwrap();
        std::fs::write(store.join(checkpoint_list(&digest)), list).unwrap();
        cache.remove(digest.to_hex()).unwrap();
        objects.checkpoint(&digest, &cache).unwrap_err();
        assert_eq!(cache.entries().unwrap(), [], "nothing half-fetched is left");

        assert_eq!(std::fs::read_to_string(home.join("secret")).unwrap(), "secret");
        assert_eq!(home.join("run-1/round-0001").read_dir().unwrap().count(), 1);
        assert_eq!(home.read_dir().unwrap().count(), 2);
        assert_eq!(folder.entries().unwrap(), []);
    }
}
