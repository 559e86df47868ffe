//! Where files pass between the driver of a run and its workers: a folder, or a
//! bucket.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gyre_dataset::Layout;
use gyre_learner::Checkpoint;
use gyre_types::{Digest, RunId, to_json};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::layout::{DataDir, round_name};
use crate::project::io;

/// The store of one data folder. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where it is a folder.
    folder: Option<PathBuf>,
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
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), prefix: Key::default(), folder: Some(folder), runtime })
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
    pub(crate) fn put(&self, name: &str, file: &Path) -> Result<(), Error> {
        self.put_bytes(name, std::fs::read(file).map_err(io("read", file))?)
    }

    fn put_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        point("object::putting", "write", name)?;
        let put = self.runtime.block_on(self.store.put(&self.key(name), PutPayload::from(bytes)));
        put.map(drop).map_err(failed("write", name))?;
        point("object::put", "write", name)
    }

    /// The bytes of an object.
    pub(crate) fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        let got = self.runtime.block_on(async {
            let found = self.store.get(&self.key(name)).await?;
            found.bytes().await
        });
        got.map(Vec::from).map_err(failed("read", name))
    }

    /// Writes an object to a file, if it is what it must be. Otherwise says what
    /// is wrong with it: it is missing, or its bytes are not those recorded.
    pub(crate) fn fetch(
        &self,
        name: &str,
        sha256: &Digest,
        file: &Path,
    ) -> Result<Result<(), &'static str>, Error> {
        if !self.exists(name)? {
            return Ok(Err("its file is missing"));
        }
        let bytes = self.get(name)?;
        if Digest::of(&bytes) != *sha256 {
            return Ok(Err("the bytes of its file are not those that were recorded"));
        }
        std::fs::write(file, bytes).map_err(io("write", file)).map(Ok)
    }

    /// Removes an object, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.delete(&self.key(name))
    }

    fn delete(&self, key: &Key) -> Result<(), Error> {
        point("object::removing", "remove", key.as_ref())?;
        match self.runtime.block_on(self.store.delete(key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed("remove", key.as_ref())(error)),
        }
        point("object::removed", "remove", key.as_ref())
    }

    fn exists(&self, name: &str) -> Result<bool, Error> {
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
        if dataset.root().join("manifest.json").is_file() {
            point("publish::beginning", "write", &prefix)?;
            let manifest = dataset.read_manifest()?;
            for (path, bytes) in manifest.files() {
                let name = format!("{prefix}/{path}");
                let key = self.key(&name);
                // Names tell of content, but for those of earlier versions.
                let is_there = manifest.format_version > 1 && listed.get(&key) == Some(&bytes);
                if !is_there {
                    self.put(&name, &dataset.resolve(path))?;
                }
                named.insert(key);
            }
            for index in ["README.md", "manifest.json"] {
                let name = format!("{prefix}/{index}");
                self.put(&name, &dataset.resolve(index))?;
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
        let mut left = vec![folder.join("work").join(run.as_str())];
        while let Some(folder) = left.pop() {
            let entries = match folder.read_dir() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(io("list", &folder))?,
            };
            for entry in entries {
                let path = entry.map_err(io("list", &folder))?.path();
                if path.is_dir() {
                    left.push(path);
                } else if path.to_string_lossy().contains('#') {
                    // So the store calls what it has not moved to its place yet.
                    std::fs::remove_file(&path).map_err(io("remove", &path))?;
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
        for entry in dir.read_dir().map_err(io("list", dir))? {
            let path = entry.map_err(io("list", dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.put(&format!("checkpoints/{digest}/{name}"), &path)?;
            names.push(name);
        }
        names.sort();
        let text = to_json("the list of a checkpoint's files", &names)?.to_string();
        self.put_bytes(&list, text.into_bytes())
    }

    /// A checkpoint's folder in `cache`, fetched where it is not there whole.
    pub(crate) fn checkpoint(&self, digest: &Digest, cache: &Path) -> Result<PathBuf, Error> {
        let target = cache.join(digest.to_hex());
        if target.is_dir() {
            // A copy that was damaged on this machine is fetched again.
            if Checkpoint::digest(&target).is_ok_and(|found| found == *digest) {
                return Ok(target);
            }
            tracing::warn!(path = %target.display(), "fetching a damaged checkpoint again");
            std::fs::remove_dir_all(&target).map_err(io("remove", &target))?;
        }
        let list = checkpoint_list(digest);
        let damaged = |why: String| Error::Object { doing: "read", name: list.clone(), why };
        let names: Vec<String> = serde_json::from_slice(&self.get(&list)?)
            .map_err(|error| damaged(error.to_string()))?;
        std::fs::create_dir_all(cache).map_err(io("make", cache))?;
        let partial = fresh_folder(cache, digest)?;
        for name in &names {
            let path = partial.join(Path::new(name).file_name().unwrap_or_default());
            let bytes = self.get(&format!("checkpoints/{digest}/{name}"))?;
            write_synced(&path, &bytes).map_err(io("write", &path))?;
        }
        if Checkpoint::digest(&partial)? != *digest {
            std::fs::remove_dir_all(&partial).map_err(io("remove", &partial))?;
            return Err(damaged(
                "the files are not those of the checkpoint; remove them from the store, and the \
                 run's driver puts them there again"
                    .to_owned(),
            ));
        }
        sync_folder(&partial)?;
        point("fetched::renaming", "read", &list)?;
        match std::fs::rename(&partial, &target) {
            // Another of this machine's workers was faster.
            Err(_) if target.is_dir() => {
                std::fs::remove_dir_all(&partial).map_err(io("remove", &partial))?;
            }
            renamed => renamed.map_err(io("rename", &partial))?,
        }
        sync_folder(cache)?;
        point("fetched::renamed", "read", &list)?;
        Ok(target)
    }
}

/// A new folder beside the cached checkpoints that no other process writes to,
/// whatever its process id is elsewhere.
fn fresh_folder(cache: &Path, digest: &Digest) -> Result<PathBuf, Error> {
    let mut ordinal = 0_u32;
    loop {
        let path = cache.join(format!("{digest}.{}-{ordinal}.partial", std::process::id()));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => ordinal += 1,
            made => return made.map(|()| path.clone()).map_err(io("make", &path)),
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder outlive a loss of power.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(io("sync", folder))
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
    fn stored(root: &Path) -> (Objects, Digest, PathBuf, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let data = DataDir::new(root.join("data"));
        let objects = Objects::open(None, &data, runtime.handle()).unwrap();
        let made = root.join("made");
        std::fs::create_dir_all(&made).unwrap();
        std::fs::write(made.join("model.safetensors"), vec![7; 4_096]).unwrap();
        std::fs::write(made.join("optimizer.safetensors"), vec![9; 4_096]).unwrap();
        let digest = Checkpoint::digest(&made).unwrap();
        objects.put_checkpoint(&digest, &made).unwrap();
        (objects, digest, root.join("cache"), runtime)
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
            assert_eq!(dir, cache.join(digest.to_hex()));
            flip(&dir.join(damage));
            assert_ne!(Checkpoint::digest(&dir).unwrap(), digest);
            let again = objects.checkpoint(&digest, &cache).unwrap();
            assert_eq!(Checkpoint::digest(&again).unwrap(), digest, "{damage}");
        }
        std::fs::remove_file(cache.join(digest.to_hex()).join("optimizer.safetensors")).unwrap();
        let again = objects.checkpoint(&digest, &cache).unwrap();
        assert_eq!(Checkpoint::digest(&again).unwrap(), digest);
        let names: Vec<_> = cache.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names, [again], "nothing half-fetched is left");
    }

    /// As another machine whose process has the same id may be at it right now.
    #[test]
    fn what_another_process_has_begun_to_fetch_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        let theirs = cache.join(format!("{digest}.{}-0.partial", std::process::id()));
        std::fs::create_dir_all(&theirs).unwrap();
        std::fs::write(theirs.join("model.safetensors"), "half").unwrap();
        let fetched = objects.checkpoint(&digest, &cache).unwrap();
        assert_eq!(Checkpoint::digest(&fetched).unwrap(), digest);
        assert_eq!(std::fs::read(theirs.join("model.safetensors")).unwrap(), b"half");
    }

    #[test]
    fn a_checkpoint_that_was_damaged_in_the_store_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (objects, digest, cache, _runtime) = stored(root.path());
        flip(&root.path().join(format!("data/store/checkpoints/{digest}/model.safetensors")));
        let refused = objects.checkpoint(&digest, &cache).unwrap_err().to_string();
        assert!(refused.contains("not those of the checkpoint"), "{refused}");
        assert_eq!(cache.read_dir().unwrap().count(), 0, "nothing half-fetched is left");
    }
}
