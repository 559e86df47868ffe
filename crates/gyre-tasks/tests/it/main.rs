//! Families, imports and answers, over real guests.

mod answers;
mod differential;
mod families;
mod humaneval;
mod planted;
mod quixbugs;
mod task_files;
mod verifiers;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gyre_sandbox::{Sandbox, SandboxConfig, SandboxError};
use gyre_tasks::Family;
use gyre_types::{SandboxJob, SandboxReport};

fn execute(jobs: Vec<SandboxJob>) -> Vec<Result<SandboxReport, SandboxError>> {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let open = || {
        let config = SandboxConfig::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache"));
        Sandbox::open(&config, &|_| {}).unwrap()
    };
    SANDBOX.get_or_init(open).execute(jobs)
}

fn shipped(name: &str) -> Family {
    let tasks = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tasks");
    Family::load(&tasks.join(name)).unwrap()
}
