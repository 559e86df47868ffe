//! Who holds a lease, and whether that is a process which is known to be gone.

use std::fs::read_to_string;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use gyre_types::Digest;

/// Digits that tell one place, or one process of no known place, from another.
const PLACE_DIGITS: usize = 16;

/// This process: host, process id, when it started, and its [`place`].
///
/// Where the place is not known, a number that no other process has stands for
/// it, so that no two processes are ever taken for one.
pub(crate) fn owner() -> String {
    static PLACE: OnceLock<String> = OnceLock::new();
    let pid = std::process::id();
    let place = PLACE.get_or_init(|| {
        place().unwrap_or_else(|| format!("unknown-{:016x}", RandomState::new().hash_one(pid)))
    });
    format!("{}/{pid}/{}/{place}", host(), started(pid).unwrap_or_default())
}

/// Whether a holder is known to be gone: a process of this very place that ended.
/// Of any other, and where the place is not known, only its expiry tells.
pub(crate) fn is_dead(owner: &str) -> bool {
    place().is_some_and(|place| is_dead_at(&place, owner, started, is_gone))
}

fn is_dead_at(
    here: &str,
    owner: &str,
    started: impl Fn(u32) -> Option<String>,
    is_gone: impl Fn(u32) -> bool,
) -> bool {
    let mut parts = owner.split('/').skip(1);
    let (Some(pid), Some(start), Some(place)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Ok(pid) = pid.parse() else { return false };
    if place != here || start.is_empty() {
        return false;
    }
    match started(pid) {
        Some(now) => now != start,
        // Its entry is missing, or hidden from us: the kernel says which.
        None => is_gone(pid),
    }
}

/// The name of this machine.
pub(crate) fn host() -> String {
    let name = read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().replace('/', "-")
}

/// A digest of where process ids mean what they mean here: this machine, this
/// boot of it, and this namespace of processes (containers of one machine share
/// the first two, and each has a process 1). Nothing where the boot or the
/// namespace is not known, or where `/proc` is of another namespace.
fn place() -> Option<String> {
    let boot = read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let seen_as = read_to_string("/proc/self/stat").ok()?;
    let seen_as: u32 = seen_as.split(' ').next()?.parse().ok()?;
    // Copies of an image may share it or lack it; the boot is random each time.
    let machine = read_to_string("/etc/machine-id").unwrap_or_default();
    let own = std::process::id();
    if seen_as != own || boot.trim().is_empty() || started(own).is_none() {
        return None;
    }
    Some(place_of(machine.trim(), boot.trim(), &namespace.to_string_lossy()))
}

/// The ids themselves are nobody else's business.
fn place_of(machine: &str, boot: &str, namespace: &str) -> String {
    let mut text = Digest::of(format!("{machine}\n{boot}\n{namespace}").as_bytes()).to_hex();
    text.truncate(PLACE_DIGITS);
    text
}

/// The time at which a process started, in the kernel's ticks since boot.
fn started(pid: u32) -> Option<String> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces: count the fields after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Whether the kernel knows of no such process.
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let tried = pid.map(rustix::process::test_kill_process);
    matches!(tried, Some(Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_place_that_ended_is_dead_and_one_that_lives_is_not() {
        assert!(!is_dead(&owner()), "{} is this very process", owner());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let place = place().expect("the tests run on Linux");
        assert!(is_dead(&format!("any-name/{pid}/1/{place}")));
        // The id is another process's by now.
        let own = std::process::id();
        assert!(is_dead(&format!("any-name/{own}/1/{place}")));
        let started = started(own).unwrap();
        assert!(!is_dead(&format!("any-name/{own}/{started}/{place}/a label")));
    }

    #[test]
    fn another_host_of_the_same_name_is_never_dead_before_its_lease_ends() {
        let here = place_of("m", "b", "pid:[1]");
        let others = [
            place_of("n", "b", "pid:[1]"),
            place_of("m", "c", "pid:[1]"),
            place_of("m", "b", "pid:[2]"),
            "unknown-0011223344556677".to_owned(),
            String::new(),
        ];
        let gone = |owner: &str| is_dead_at(&here, owner, |_| None, |_| true);
        assert!(gone(&format!("host/7/5/{here}")));
        for other in others {
            assert_ne!(here, other);
            assert!(!gone(&format!("host/7/5/{other}")), "{other}");
        }
        // As older versions wrote it, and where the start was not known.
        for owner in ["host/7/5", "host/7/5/a label", "host/7//", "host", ""] {
            assert!(!gone(owner), "{owner}");
        }
        assert!(!gone(&format!("host/7//{here}")));
    }

    #[test]
    fn a_process_that_is_hidden_from_us_is_not_dead() {
        let here = place_of("m", "b", "pid:[1]");
        assert!(!is_dead_at(&here, &format!("host/7/5/{here}"), |_| None, |_| false));
    }
}
