//! The compiled guest on disk: made once, loaded in milliseconds afterwards.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gyre_types::Digest;
use wasmtime::{CacheStore, Engine, Module};

use crate::{SandboxError, artefact, engine};

/// The folder within the cache folder that is this crate's own, which nobody
/// else may enter.
pub(crate) const FOLDER: &str = "guests";

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

/// An open file that holds the compiled guest, whose digest was checked.
pub(crate) struct CompiledGuest(File);

impl CompiledGuest {
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

/// Finds the compiled guest in the cache folder, compiling it into there first
/// if there is no intact one that this engine can load.
pub(crate) fn open(
    cache_dir: &Path,
    progress: &dyn Fn(OpenProgress),
) -> Result<CompiledGuest, SandboxError> {
    progress(OpenProgress::Loading);
    let guest = artefact::digest()?;
    let engine = &engine::for_checking()?;
    let key =
        Digest::of_parts([guest.as_bytes().as_slice(), engine::compatibility(engine).as_bytes()]);
    let folder = cache_dir.join(FOLDER);
    make_private(&folder)?;
    let entry = Entry::new(&folder, "python", key);
    match entry.load(engine) {
        Ok(Some(compiled)) => {
            progress(OpenProgress::Ready { from_cache: true });
            return Ok(compiled);
        }
        Ok(None) => {}
        Err(reason) => {
            tracing::warn!(path = %entry.compiled.display(), reason, "discarding a compiled guest");
            entry.remove()?;
            progress(OpenProgress::Discarded { path: entry.compiled.clone(), reason });
        }
    }
    make_folder(&folder)?;
    let module = artefact::module()?;
    let functions_total = artefact::function_count(&module);
    let compiled = compile(functions_total, progress, |engine| engine.precompile_module(&module))?
        .map_err(|error| SandboxError::engine("compiling", &error))?;
    entry.store(&compiled)?;
    let compiled = entry.load(engine).ok().flatten().ok_or_else(|| SandboxError::Engine {
        doing: "loading what it compiled",
        message: "the compiled guest does not load".to_owned(),
    })?;
    progress(OpenProgress::Ready { from_cache: false });
    Ok(compiled)
}

/// Two files: the compiled guest, and beside it the digest that vouches for
/// it. The digest is written last, so a compiled guest without one is the
/// rest of a crash, and is made again.
pub(crate) struct Entry {
    pub(crate) compiled: PathBuf,
    digest: PathBuf,
}

impl Entry {
    pub(crate) fn new(folder: &Path, kind: &str, key: Digest) -> Self {
        let name = format!("{kind}-{}", &key.to_string()[..32]);
        Self {
            compiled: folder.join(format!("{name}.cwasm")),
            digest: folder.join(format!("{name}.sha256")),
        }
    }

    /// The compiled guest, `None` if there is none, or what is wrong with it.
    fn load(&self, engine: &Engine) -> Result<Option<CompiledGuest>, String> {
        let Some(compiled) = self.checked()? else { return Ok(None) };
        compiled.module(engine).map_err(|error| error.to_string())?;
        Ok(Some(compiled))
    }

    /// The open file after comparing it with the digest that vouches for it;
    /// `None` if there is none.
    pub(crate) fn checked(&self) -> Result<Option<CompiledGuest>, String> {
        let Some((mut file, _)) = self.read()? else { return Ok(None) };
        file.rewind().map_err(|error| error.to_string())?;
        Ok(Some(CompiledGuest(file)))
    }

    /// The file and its content, after comparing it with the digest that
    /// vouches for it; `None` if there is none.
    pub(crate) fn read(&self) -> Result<Option<(File, Vec<u8>)>, String> {
        let recorded = match fs::read_to_string(&self.digest) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(format!("its digest cannot be read: {error}")),
        };
        let mut file = File::open(&self.compiled).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let mut bounded = (&mut file).take(COMPILED_BYTES_MAX);
        bounded.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if Digest::of(&bytes).to_string() != recorded.trim_end() {
            return Err("it is damaged: its digest does not match".to_owned());
        }
        Ok(Some((file, bytes)))
    }

    pub(crate) fn store(&self, compiled: &[u8]) -> Result<(), SandboxError> {
        write_whole(&self.compiled, compiled)?;
        write_whole(&self.digest, Digest::of(compiled).to_string().as_bytes())
    }

    pub(crate) fn remove(&self) -> Result<(), SandboxError> {
        for path in [&self.digest, &self.compiled] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unusable(path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[expect(
    unsafe_code,
    reason = "loading machine code is what a compilation cache is for. The file is in a folder \
              that only this user may write, its whole content matched the digest that was \
              written after compiling it, and the file that was checked is the open one that is \
              loaded, never a path that could be swapped in between. Another process of the same \
              user could forge both files, but could as well replace this program"
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

pub(crate) fn make_folder(folder: &Path) -> Result<(), SandboxError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(unusable(folder))
}

/// Takes others' rights from the folder if it is there already: machine code
/// is loaded from it.
pub(crate) fn make_private(folder: &Path) -> Result<(), SandboxError> {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(folder) {
        use std::os::unix::fs::PermissionsExt;
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
                .map_err(unusable(folder))?;
        }
    }
    Ok(())
}

/// Also where a folder of the path is a file: making the folder will tell.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Writes a file such that, after a crash at any point, it is whole or absent.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let turn = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{turn}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // Nothing more can be done about it if this fails too.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(unusable(path))
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::CacheUnusable { path, source }
}
