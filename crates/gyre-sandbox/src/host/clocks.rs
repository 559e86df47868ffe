//! Virtual clocks.
//!
//! Time is what the guest did: one nanosecond per unit of fuel, and whatever
//! it slept. So a measured duration is plausible, a busy wait ends, sleeping
//! returns at once, and the same program sees the same times everywhere.

use wasmtime::Linker;

use super::{Call, Host, MODULE, POLLABLES_MAX, Stop, abi, enter};

/// The wall clock's start: 2026-01-01T00:00:00Z.
const EPOCH_SECONDS: u64 = 1_767_225_600;
/// The monotonic clock's start, not zero so that differences to "never" hold.
const MONOTONIC_START_NS: u64 = 1_000_000_000;
pub(super) const NS_PER_SECOND: u64 = 1_000_000_000;
/// The wall clock's start, in nanoseconds.
pub(super) const START_NS: u64 = EPOCH_SECONDS * NS_PER_SECOND;

fn elapsed_ns(call: &Call<'_>) -> wasmtime::Result<u64> {
    let host = call.data();
    let burnt = host.limits.fuel_max.saturating_sub(call.get_fuel()?);
    Ok(host.fuel_before.saturating_add(burnt).saturating_add(host.slept_ns))
}

/// Now, in nanoseconds since 1970.
pub(super) fn wall_ns(call: &Call<'_>) -> wasmtime::Result<u64> {
    Ok(elapsed_ns(call)?.saturating_add(START_NS))
}

fn monotonic_ns(call: &Call<'_>) -> wasmtime::Result<u64> {
    Ok(elapsed_ns(call)?.saturating_add(MONOTONIC_START_NS))
}

/// Makes a pollable that is ready at a moment of the monotonic clock.
pub(super) fn subscribe(call: &mut Call<'_>, at_ns: u64) -> wasmtime::Result<u32> {
    let pollables = &mut call.data_mut().pollables;
    let free = pollables.iter().position(Option::is_none).unwrap_or(pollables.len());
    if free == POLLABLES_MAX {
        return Err(Stop::HostCallsExceeded.into());
    }
    if free == pollables.len() {
        pollables.push(None);
    }
    pollables[free] = Some(at_ns);
    Ok(free as u32)
}

fn deadline(call: &Call<'_>, pollable: u32) -> wasmtime::Result<u64> {
    let known = call.data().pollables.get(pollable as usize).copied().flatten();
    known.ok_or_else(|| Stop::Malformed("an unknown pollable").into())
}

/// Moves the clock to a moment, if that is still to come.
fn sleep_until(call: &mut Call<'_>, at_ns: u64) -> wasmtime::Result<()> {
    let ahead = at_ns.saturating_sub(monotonic_ns(call)?);
    let host = call.data_mut();
    host.slept_ns = host.slept_ns.saturating_add(ahead);
    Ok(())
}

/// Waits, in virtual time, for the first of several pollables; gives the
/// positions of all that are ready then.
fn poll(call: &mut Call<'_>, list: u32, count: u32, result: u32) -> wasmtime::Result<()> {
    if count == 0 || count as usize > POLLABLES_MAX {
        return Err(Stop::Malformed("no pollables, or too many").into());
    }
    let handles = abi::read(call, list, count * abi::WORD.size)?;
    let mut deadlines = Vec::with_capacity(count as usize);
    for handle in handles.chunks_exact(4) {
        let handle = u32::from_le_bytes([handle[0], handle[1], handle[2], handle[3]]);
        deadlines.push(deadline(call, handle)?);
    }
    sleep_until(call, deadlines.iter().copied().min().unwrap_or_default())?;
    let now = monotonic_ns(call)?;
    let ready: Vec<u8> = (0_u32..)
        .zip(&deadlines)
        .filter(|(_, at_ns)| **at_ns <= now)
        .flat_map(|(at, _)| at.to_le_bytes())
        .collect();
    abi::write_list(call, result, &ready, abi::WORD)
}

fn write_datetime(call: &mut Call<'_>, result: u32, at_ns: u64) -> wasmtime::Result<()> {
    let nanoseconds = (at_ns % NS_PER_SECOND) as u32;
    abi::write(call, result, &(at_ns / NS_PER_SECOND).to_le_bytes())?;
    abi::write(call, result.wrapping_add(8), &nanoseconds.to_le_bytes())
}

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "wasi:clocks/monotonic-clock#now", |mut call: Call<'_>| {
        enter(&mut call)?;
        monotonic_ns(&call)
    })?;
    linker.func_wrap(
        MODULE,
        "wasi:clocks/monotonic-clock#resolution",
        |mut call: Call<'_>| -> wasmtime::Result<u64> {
            enter(&mut call)?;
            Ok(1)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:clocks/monotonic-clock#subscribe-instant",
        |mut call: Call<'_>, at_ns: u64| {
            enter(&mut call)?;
            subscribe(&mut call, at_ns)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:clocks/monotonic-clock#subscribe-duration",
        |mut call: Call<'_>, ns: u64| {
            enter(&mut call)?;
            let at_ns = monotonic_ns(&call)?.saturating_add(ns);
            subscribe(&mut call, at_ns)
        },
    )?;
    linker.func_wrap(MODULE, "wasi:clocks/wall-clock#now", |mut call: Call<'_>, result: u32| {
        enter(&mut call)?;
        let now = wall_ns(&call)?;
        write_datetime(&mut call, result, now)
    })?;
    linker.func_wrap(
        MODULE,
        "wasi:clocks/wall-clock#resolution",
        |mut call: Call<'_>, result: u32| {
            enter(&mut call)?;
            write_datetime(&mut call, result, 1)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:io/poll#[method]pollable.block",
        |mut call: Call<'_>, pollable: u32| {
            enter(&mut call)?;
            let at_ns = deadline(&call, pollable)?;
            sleep_until(&mut call, at_ns)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:io/poll#[resource-drop]pollable",
        |mut call: Call<'_>, pollable: u32| {
            enter(&mut call)?;
            if let Some(slot) = call.data_mut().pollables.get_mut(pollable as usize) {
                *slot = None;
            }
            Ok(())
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:io/poll#poll",
        |mut call: Call<'_>, list: u32, count: u32, result: u32| {
            enter(&mut call)?;
            poll(&mut call, list, count, result)
        },
    )?;
    Ok(())
}
