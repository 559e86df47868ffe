//! Takes from a worker process whatever it could do beside running guests.
//!
//! A guest that broke out of the engine would find a process without files,
//! network, children, environment or rights. Each layer is asked for by
//! itself: where the kernel lacks one, the rest still holds, and the layer
//! says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::layers::Layer;

/// Address space that a worker may still take once it is set up, for messages
/// and the allocator. The guests' memory was set aside before.
const ADDRESS_SPACE_LEFT_BYTES: u64 = 4 << 30;
/// The newest version of Landlock whose rules are asked for. An older kernel
/// enforces the part that it knows.
const LANDLOCK_ABI: ABI = ABI::V6;

/// What is done first: the worker ends with its parent, and holds no
/// descriptor that it was not meant to have.
pub(crate) fn begin() -> Vec<Layer> {
    let dies = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let dies = dies.map(|()| "it is killed when its parent ends".to_owned());
    vec![
        Layer::new("parent", dies.map_err(|error| error.to_string())),
        Layer::new("descriptors", close_descriptors()),
        Layer::new("environment", check_environment()),
    ]
}

#[expect(
    unsafe_code,
    reason = "closing what is not ours has no safe form. Nothing in this process has opened a \
              descriptor yet, so no object loses one"
)]
fn close_descriptors() -> Result<String, String> {
    // SAFETY: the call takes no pointers; see the reason above.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    match closed {
        0 => Ok("only its channel and the compiled guest are open".to_owned()),
        _ => Err(format!("cannot close the rest: {}", std::io::Error::last_os_error())),
    }
}

#[expect(clippy::disallowed_methods, reason = "it must be empty, and this is what checks it")]
fn check_environment() -> Result<String, String> {
    match std::env::vars_os().count() {
        0 => Ok("empty".to_owned()),
        count => Err(format!("{count} variables are set")),
    }
}

/// Rights that threads made later inherit; called while there is one thread.
pub(crate) fn give_up_rights() -> Vec<Layer> {
    let nothing = || CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let no_new = rustix::thread::set_no_new_privs(true);
    let none = rustix::thread::set_capabilities(None, nothing());
    vec![
        said("no new privileges", no_new, "nothing that it starts could gain rights"),
        said("capabilities", none, "none, whoever the user is"),
        Layer::new("landlock", landlock()),
    ]
}

fn said(name: &str, done: rustix::io::Result<()>, detail: &str) -> Layer {
    Layer::new(name, done.map(|()| detail.to_owned()).map_err(|error| error.to_string()))
}

/// Denies every access to files, ports and processes outside: a set of rules
/// that allows nothing.
fn landlock() -> Result<String, String> {
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(LANDLOCK_ABI)))
        .and_then(|rules| rules.scope(Scope::from_all(LANDLOCK_ABI)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced => Ok("no file, port or process outside".to_owned()),
        RulesetStatus::PartiallyEnforced => Ok("as far as this kernel knows it".to_owned()),
        RulesetStatus::NotEnforced => {
            Err(format!("this kernel has none: {:?}", restricted.landlock))
        }
    }
}

/// The last layers, on the thread that will run guests, which is the last
/// thread that this process makes.
pub(crate) fn finish(channel: BorrowedFd<'_>, address_space_bytes: Option<u64>) -> Vec<Layer> {
    let mut layers = vec![Layer::new("limits", limit(address_space_bytes))];
    layers.push(Layer::new("seccomp", filter(channel)));
    layers.push(Layer::new("tried", try_to_break_out()));
    layers
}

/// The address space that this process has now, as the kernel counts it.
pub(crate) fn address_space_bytes() -> Option<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split_whitespace().next()?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn limit(address_space_bytes: Option<u64>) -> Result<String, String> {
    let none = [
        Resource::Core,
        Resource::Fsize,
        Resource::Nofile,
        Resource::Nproc,
        Resource::Memlock,
        Resource::Msgqueue,
    ];
    let mut missing = Vec::new();
    for resource in none {
        let zero = Rlimit { current: Some(0), maximum: Some(0) };
        if let Err(error) = rustix::process::setrlimit(resource, zero) {
            missing.push(format!("{resource:?}: {error}"));
        }
    }
    let most = address_space_bytes.map(|bytes| bytes.saturating_add(ADDRESS_SPACE_LEFT_BYTES));
    if let Some(most) = most {
        // Whoever started this may have set a bound that cannot be raised.
        let bound = rustix::process::getrlimit(Resource::As).maximum;
        let most = bound.map_or(most, |bound| most.min(bound));
        let most = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = rustix::process::setrlimit(Resource::As, most) {
            missing.push(format!("address space: {error}"));
        }
    }
    match missing.is_empty() {
        true => Ok("no files, processes, core or written bytes; bounded address space".to_owned()),
        false => Err(missing.join(", ")),
    }
}

/// Allows the few system calls that running guests takes; any other fails.
fn filter(channel: BorrowedFd<'_>) -> Result<String, String> {
    let program = compile(channel).map_err(|error| error.to_string())?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    Ok(format!("{ALLOWED_COUNT} system calls on memory and its channel, no other"))
}

/// System calls without a condition: memory, locks, signals, the end.
const ALLOWED: [i64; 15] = [
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
const ALLOWED_COUNT: usize = ALLOWED.len() + 5;
/// Stands for this process where a descriptor of a process is asked for.
const PIDFD_SELF: i32 = -10_000;

fn compile(channel: BorrowedFd<'_>) -> Result<BpfProgram, seccompiler::BackendError> {
    let condition = |argument, operator, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        Ok::<_, seccompiler::BackendError>(vec![SeccompRule::new(vec![condition])?])
    };
    let on_channel = || condition(0, SeccompCmpOp::Eq, channel.as_raw_fd() as u64);
    let executable = libc::PROT_EXEC as u64;
    let not_executable = || condition(2, SeccompCmpOp::MaskedEq(executable), 0);
    let own = u64::from(PIDFD_SELF as u32);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_read, on_channel()?);
    rules.insert(libc::SYS_write, on_channel()?);
    rules.insert(libc::SYS_mmap, not_executable()?);
    rules.insert(libc::SYS_mprotect, not_executable()?);
    rules.insert(libc::SYS_process_madvise, condition(0, SeccompCmpOp::Eq, own)?);
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()
}

/// Whether this process has given up its rights: asked right before the first
/// guest runs.
pub(crate) fn require_no_rights() -> Result<String, String> {
    match File::open("/") {
        Err(_) => Ok("it ran after the rights were given up".to_owned()),
        Ok(_) => Err("it ran while the process could open files".to_owned()),
    }
}

/// Tries what must not work any more.
fn try_to_break_out() -> Result<String, String> {
    let mut worked = Vec::new();
    if File::open("/").is_ok() {
        worked.push("open a file");
    }
    if std::net::UdpSocket::bind("127.0.0.1:0").is_ok() {
        worked.push("open a socket");
    }
    if std::thread::Builder::new().spawn(|| ()).is_ok() {
        worked.push("start a thread");
    }
    if let Ok(mut child) = std::process::Command::new("/proc/self/exe").spawn() {
        worked.push("start a process");
        // It is the program without arguments, which only says how to use it.
        let _ = child.kill();
    }
    match worked.is_empty() {
        true => Ok("it could open no file or socket, start no thread or process".to_owned()),
        false => Err(format!("it could {}", worked.join(", "))),
    }
}
