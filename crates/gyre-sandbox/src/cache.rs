//! The compiled guest: made once, kept on disk where that is safe, and loaded in
//! milliseconds afterwards.

mod folder;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gyre_types::Digest;
use wasmtime::{CacheStore, Engine, Module};

use crate::{SandboxError, artefact, engine};
use folder::{NoFolder, PrivateFolder};

/// The folder within the cache folder that is this crate's own, which nobody
/// else may enter.
const FOLDER: &str = "guests";

/// What [`Sandbox::open`](crate::Sandbox::open) is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenProgress {
    /// It looks for a compiled guest.
    Loading,
    /// A compiled guest was there but is not to be trusted; it was removed.
    Discarded {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// What it compiles is not kept: other users could put their own code in
    /// the place of what is loaded from the cache folder.
    NotKept {
        /// The folder that is not to be trusted: the cache folder or one above.
        path: PathBuf,
        /// Who could change what is in it.
        reason: String,
    },
    /// It compiles the guest: told about ten times a second.
    Compiling {
        /// Functions compiled so far.
        functions_done: u32,
        /// Functions to compile.
        functions_total: u32,
    },
    /// It is ready.
    Ready {
        /// Whether a compiled guest was found.
        from_cache: bool,
    },
}

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// A compiled guest takes about 30 MB; a larger file is not ours.
const COMPILED_BYTES_MAX: u64 = 512 << 20;

/// An open file that holds compiled code: one in a private folder whose digest
/// was checked, or one without a name that this process filled.
pub(crate) struct CompiledGuest(File);

impl CompiledGuest {
    /// Holds what was just compiled, where it cannot be kept.
    fn unnamed(code: &[u8]) -> Result<Self, SandboxError> {
        let made = unnamed_file().and_then(|mut file| {
            file.write_all(code)?;
            seal(&file)?;
            file.rewind()?;
            Ok(file)
        });
        made.map(Self).map_err(|error| SandboxError::Engine {
            doing: "holding compiled code in memory",
            message: error.to_string(),
        })
    }

    /// Takes a file that another process of this program has checked.
    pub(crate) fn from_checked(file: File) -> Self {
        Self(file)
    }

    /// The same open file once more.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Its content.
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        // By position: every copy of the file shares one offset.
        let mut bytes = vec![0; usize::try_from(self.0.metadata()?.len()).unwrap_or_default()];
        std::os::unix::fs::FileExt::read_exact_at(&self.0, &mut bytes, 0)?;
        Ok(bytes)
    }

    /// Maps it into memory.
    pub(crate) fn module(&self, engine: &Engine) -> Result<Module, SandboxError> {
        let file = self.0.try_clone().map_err(|error| SandboxError::Engine {
            doing: "mapping the compiled guest",
            message: error.to_string(),
        })?;
        deserialize(engine, file)
            .map_err(|error| SandboxError::engine("mapping the compiled guest", &error))
    }
}

/// Finds the compiled guest in the cache folder, compiling it first if there is
/// no intact one that this engine can load.
pub(crate) fn open(
    cache_dir: &Path,
    progress: &dyn Fn(OpenProgress),
) -> Result<CompiledGuest, SandboxError> {
    progress(OpenProgress::Loading);
    let guest = artefact::digest()?;
    let engine = &engine::for_checking()?;
    let key = Digest::of_parts([
        guest.as_bytes().as_slice(),
        engine::compatibility(engine).as_bytes(),
        artefact::STACK_POINTER.as_bytes(),
    ]);
    let loads = |compiled: &CompiledGuest| {
        compiled.module(engine).map(drop).map_err(|error| error.to_string())
    };
    let compile = || {
        let module = artefact::exporting_stack(&artefact::module()?)?;
        let functions_total = artefact::function_count(&module);
        compile(functions_total, progress, |engine| engine.precompile_module(&module))?
            .map_err(|error| SandboxError::engine("compiling", &error))
    };
    obtain(cache_dir, &format!("python-{}", short(key)), &loads, compile, progress)
}

/// Compiled code by its name: from the cache folder, or made, and kept there if
/// the folder is this user's alone. `check` says what is wrong with what was
/// found, beside its digest.
pub(crate) fn obtain<E: From<SandboxError>>(
    cache_dir: &Path,
    name: &str,
    check: &dyn Fn(&CompiledGuest) -> Result<(), String>,
    compile: impl FnOnce() -> Result<Vec<u8>, E>,
    progress: &dyn Fn(OpenProgress),
) -> Result<CompiledGuest, E> {
    let folder = match PrivateFolder::open(&cache_dir.join(FOLDER)) {
        Ok(folder) => folder,
        Err(NoFolder::Unusable(error)) => return Err(error.into()),
        Err(NoFolder::Untrusted { path, reason }) => {
            tracing::warn!(path = %path.display(), reason, "compiled code is not kept");
            progress(OpenProgress::NotKept { path, reason });
            let compiled = CompiledGuest::unnamed(&compile()?)?;
            progress(OpenProgress::Ready { from_cache: false });
            return Ok(compiled);
        }
    };
    let entry = Entry::new(&folder, name);
    match entry.load(check) {
        Ok(Some(compiled)) => {
            progress(OpenProgress::Ready { from_cache: true });
            return Ok(compiled);
        }
        Ok(None) => {}
        Err(reason) => {
            let path = folder.path_of(&entry.compiled);
            tracing::warn!(path = %path.display(), reason, "discarding compiled code");
            entry.remove()?;
            progress(OpenProgress::Discarded { path, reason });
        }
    }
    entry.store(&compile()?)?;
    let compiled = entry.load(check).ok().flatten().ok_or_else(|| SandboxError::Engine {
        doing: "loading what it compiled",
        message: "the file is not what was written".to_owned(),
    })?;
    progress(OpenProgress::Ready { from_cache: false });
    Ok(compiled)
}

/// What a cache folder holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachedCode {
    /// Nothing that a digest vouches for.
    Missing,
    /// Code that would be loaded if the engine takes it.
    Trusted,
    /// Something that is not loaded.
    Refused {
        /// The file, or the folder that is not to be trusted.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether code of a name would be loaded from a cache folder, by who could have
/// put it there and by its digest. The code is not looked at.
///
/// # Errors
///
/// When the folder cannot be made or read.
pub fn cached_code(cache_dir: &Path, name: &str) -> Result<CachedCode, SandboxError> {
    let folder = match PrivateFolder::open(&cache_dir.join(FOLDER)) {
        Ok(folder) => folder,
        Err(NoFolder::Unusable(error)) => return Err(error),
        Err(NoFolder::Untrusted { path, reason }) => {
            return Ok(CachedCode::Refused { path, reason });
        }
    };
    let entry = Entry::new(&folder, name);
    Ok(match entry.load(&|_| Ok(())) {
        Ok(None) => CachedCode::Missing,
        Ok(Some(_)) => CachedCode::Trusted,
        Err(reason) => CachedCode::Refused { path: folder.path_of(&entry.compiled), reason },
    })
}

/// As much of a key as names a file.
pub(crate) fn short(key: Digest) -> String {
    key.to_string()[..32].to_owned()
}

/// Two files: the compiled code, and beside it the digest that vouches for it.
/// The digest is written last, so compiled code without one is the rest of a
/// crash, and is made again.
struct Entry<'a> {
    folder: &'a PrivateFolder,
    compiled: String,
    digest: String,
}

impl<'a> Entry<'a> {
    fn new(folder: &'a PrivateFolder, name: &str) -> Self {
        let (compiled, digest) = (format!("{name}.cwasm"), format!("{name}.sha256"));
        Self { folder, compiled, digest }
    }

    /// The compiled code, `None` if there is none, or what is wrong with it.
    fn load(
        &self,
        check: &dyn Fn(&CompiledGuest) -> Result<(), String>,
    ) -> Result<Option<CompiledGuest>, String> {
        let read = |name| self.folder.read(name).map_err(|error| format!("{name}: {error}"));
        let Some(recorded) = read(&self.digest)? else { return Ok(None) };
        let recorded = bounded(&recorded).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| io::Error::other("it is not a text"))
        });
        let recorded = recorded.map_err(|e| format!("its digest cannot be read: {e}"))?;
        let Some(mut file) = read(&self.compiled)? else {
            return Err("its digest is there and it is not".to_owned());
        };
        let content = bounded(&file).map_err(|error| error.to_string())?;
        if Digest::of(&content).to_string() != recorded.trim_end() {
            return Err("it is damaged: its digest does not match".to_owned());
        }
        file.rewind().map_err(|error| error.to_string())?;
        let compiled = CompiledGuest(file);
        check(&compiled)?;
        Ok(Some(compiled))
    }

    fn store(&self, compiled: &[u8]) -> Result<(), SandboxError> {
        self.folder.write(&self.compiled, compiled)?;
        self.folder.write(&self.digest, Digest::of(compiled).to_string().as_bytes())
    }

    fn remove(&self) -> Result<(), SandboxError> {
        self.folder.remove(&self.digest)?;
        self.folder.remove(&self.compiled)
    }
}

fn bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(COMPILED_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that no name leads to.
#[cfg(target_os = "linux")]
fn unnamed_file() -> io::Result<File> {
    use rustix::fs::MemfdFlags;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(rustix::fs::memfd_create("gyre-compiled", flags)?))
}

#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> io::Result<File> {
    tempfile::tempfile()
}

/// Takes the right to change the file from whoever gets its descriptor.
#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::SealFlags;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(rustix::fs::fcntl_add_seals(file, seals)?)
}

#[cfg(not(target_os = "linux"))]
fn seal(_file: &File) -> io::Result<()> {
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "loading machine code is what a compilation cache is for. The file has no name and \
              this process wrote it, or it is this user's own, in a folder that nobody else can \
              write to or exchange (see `PrivateFolder`); its whole content matched the digest \
              that was written after compiling it, and the file that was checked is the open one \
              that is loaded, never a path that could be swapped in between. Another process of \
              the same user could forge both files, but could as well replace this program"
)]
fn deserialize(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: see the reason above; files are replaced by rename only, so the
    // mapping is never truncated underneath.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// Compiles on a thread of its own, and tells how far it is.
pub(crate) fn compile(
    functions_total: u32,
    progress: &dyn Fn(OpenProgress),
    precompile: impl FnOnce(&Engine) -> wasmtime::Result<Vec<u8>> + Send,
) -> Result<wasmtime::Result<Vec<u8>>, SandboxError> {
    let counter = Arc::new(Counter::default());
    let engine = engine::for_compiling(Arc::<Counter>::clone(&counter))?;
    std::thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        scope.spawn(move || done.send(precompile(&engine)));
        loop {
            let functions_done = counter.0.load(Ordering::Relaxed).min(functions_total);
            progress(OpenProgress::Compiling { functions_done, functions_total });
            match is_done.recv_timeout(PROGRESS_INTERVAL) {
                Ok(compiled) => return Ok(compiled),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(SandboxError::WorkerLost),
            }
        }
    })
}

/// Counts compiled functions. The engine offers each to a cache of single
/// functions, of which this is the empty one.
#[derive(Debug, Default)]
struct Counter(AtomicU32);

impl CacheStore for Counter {
    fn get(&self, _key: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}
