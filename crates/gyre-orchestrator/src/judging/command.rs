//! Verifiers that are programs of this machine: trusted, pinned, and bounded
//! in time and in what they say.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use gyre_types::Digest;
use gyre_verify::{
    ExternalReply, ExternalVerifier, REPORT_BYTES_MAX, Verifier, VerifierFault, VerifierKind,
    command_digest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinSet;

/// Programs that run at once.
const AT_ONCE: usize = 4;

/// Bytes of a program's stderr that a fault repeats.
const STDERR_BYTES_MAX: u64 = 2_000;

/// "Exec format error": the file is neither a binary of this machine nor a
/// script with a first line that names an interpreter.
const ENOEXEC: i32 = 8;

/// A program that judges.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    sha256: Digest,
    wall_ms_max: u64,
    folder: PathBuf,
}

/// Makes a command ready: its program must be there, with the pinned digest.
pub(super) fn ready(
    argv: &[String],
    sha256: Digest,
    wall_ms_max: u64,
    folder: &Path,
) -> Result<Verifier, String> {
    let (name, arguments) = argv.split_first().ok_or("its command names no program")?;
    let folder = folder.canonicalize().map_err(|e| format!("{}: {e}", folder.display()))?;
    let program = Program {
        path: folder.join(name),
        arguments: arguments.to_vec(),
        sha256,
        wall_ms_max,
        folder,
    };
    program.require_pinned().map_err(|fault| format!("the command {name:?} {fault}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("a runtime for its command cannot be made: {error}"))?;
    let program = Arc::new(program);
    let verify = move |outcomes: &[String]| runtime.block_on(verify_all(&program, outcomes));
    Ok(Verifier::External(ExternalVerifier {
        digest: command_digest(&sha256, argv),
        kind: VerifierKind::Command,
        name: name.clone(),
        verify: Arc::new(verify),
    }))
}

type Reply = Result<ExternalReply, VerifierFault>;

/// Verifies outcomes, a few programs at once; replies in their order.
async fn verify_all(program: &Arc<Program>, outcomes: &[String]) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(outcomes.len());
    for batch in outcomes.chunks(AT_ONCE) {
        let mut running = JoinSet::new();
        for (at, outcome) in batch.iter().enumerate() {
            let (program, outcome) = (Arc::clone(program), outcome.clone());
            running.spawn(async move { (at, program.verify(&outcome).await) });
        }
        let mut done = running.join_all().await;
        done.sort_by_key(|(at, _)| *at);
        replies.extend(done.into_iter().map(|(_, reply)| reply));
    }
    replies
}

/// What a program left behind.
struct Left {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: std::process::ExitStatus,
}

impl Program {
    /// The file is read before each run. Between the two it can be changed by
    /// somebody with rights to it, whom nothing here confines anyway.
    fn require_pinned(&self) -> Result<(), VerifierFault> {
        let bytes = std::fs::read(&self.path).map_err(|error| {
            let why = format!("cannot be read: {error}");
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => VerifierFault::Verifier(why),
                _ => VerifierFault::Infrastructure(why),
            }
        })?;
        let now = Digest::of(&bytes);
        if now == self.sha256 {
            return Ok(());
        }
        let (now, pinned) = (now.short(), self.sha256.short());
        Err(VerifierFault::Verifier(format!(
            "is another program ({now}…) than the one that is pinned ({pinned}…)"
        )))
    }

    async fn verify(&self, outcome: &str) -> Reply {
        self.require_pinned()?;
        let mut child = self.spawn()?;
        let wall = Duration::from_millis(self.wall_ms_max);
        let left = match tokio::time::timeout(wall, converse(&mut child, outcome)).await {
            Ok(left) => left?,
            Err(_) => {
                // With all that it started.
                kill_group(&child);
                let ms = self.wall_ms_max;
                return Err(VerifierFault::Verifier(format!("ran longer than {ms} ms")));
            }
        };
        if left.stdout.len() > REPORT_BYTES_MAX {
            let why = format!("wrote more than {REPORT_BYTES_MAX} bytes");
            return Err(VerifierFault::Verifier(why));
        }
        if !left.status.success() {
            let said = String::from_utf8_lossy(&left.stderr);
            let why = format!("ended with {}: {}", left.status, said.trim());
            return Err(VerifierFault::Verifier(why.trim_end_matches([':', ' ']).to_owned()));
        }
        match String::from_utf8(left.stdout) {
            Ok(report) => Ok(ExternalReply { report, fuel: 0 }),
            Err(_) => Err(VerifierFault::Verifier("wrote what is not UTF-8".to_owned())),
        }
    }

    fn spawn(&self) -> Result<Child, VerifierFault> {
        let spawned = Command::new(&self.path)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        spawned.map_err(|error| {
            let why = format!("cannot be started: {error}");
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => VerifierFault::Verifier(why),
                _ if error.raw_os_error() == Some(ENOEXEC) => VerifierFault::Verifier(why),
                _ => VerifierFault::Infrastructure(why),
            }
        })
    }
}

/// Gives a program its outcome, and takes what it says, until it has ended or
/// said too much.
async fn converse(child: &mut Child, outcome: &str) -> Result<Left, VerifierFault> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        let Some(mut stdin) = stdin else { return Ok(()) };
        match stdin.write_all(outcome.as_bytes()).await {
            // It need not read all, or anything, to make up its mind.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    };
    let (written, read, said) = tokio::join!(write, read_report(stdout), read_complaint(stderr));
    let pipe = |error: std::io::Error| VerifierFault::Infrastructure(format!("a pipe: {error}"));
    written.map_err(pipe)?;
    let (stdout, stderr) = (read.map_err(pipe)?, said.map_err(pipe)?);
    if stdout.len() > REPORT_BYTES_MAX {
        kill_group(child);
    }
    let status = child.wait().await.map_err(pipe)?;
    Ok(Left { stdout, stderr, status })
}

/// Reads at most one byte more than a report may have, and hangs up.
async fn read_report(from: Option<ChildStdout>) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(REPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Reads the beginning of what a program complains of, and hears out the rest.
async fn read_complaint(from: Option<ChildStderr>) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(STDERR_BYTES_MAX).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// Kills a program with all that it started and that stayed in its group.
fn kill_group(child: &Child) {
    let id =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = id {
        // Gone already is as good.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}
