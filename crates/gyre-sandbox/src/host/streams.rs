//! Standard streams: stdin is at its end, stdout and stderr are one bounded
//! buffer, in the order of writing. Other streams are of the workspace's files.

use wasmtime::Linker;

use super::files::{self, Failure};
use super::{Call, Host, MODULE, Stop, abi, charge, clocks, enter};

const STDIN: u32 = 1;
const STDOUT: u32 = 2;
const STDERR: u32 = 3;
/// What one write may carry.
const WRITE_BYTES_MAX: u64 = files::TRANSFER_BYTES_MAX;

/// The case numbers of `result` and `stream-error`.
const OK: u8 = 0;
const ERROR: u8 = 1;
const FAILED: u8 = 0;
const CLOSED: u8 = 1;
/// Every error is the same: there is nothing to ask of it.
const ERROR_HANDLE: u32 = 1;

fn write_output(call: &mut Call<'_>, at: u32, size: u32) -> wasmtime::Result<()> {
    let host = call.data();
    let room = host.limits.stdout_bytes_max.saturating_sub(host.output.len() as u64);
    let taken = u64::from(size).min(room) as u32;
    charge(call, u64::from(taken))?;
    let bytes = abi::read(call, at, taken)?;
    call.data_mut().output.extend_from_slice(&bytes);
    if taken < size {
        return Err(Stop::OutputExceeded.into());
    }
    Ok(())
}

fn check_writable(call: &Call<'_>, stream: u32) -> wasmtime::Result<()> {
    match stream {
        STDOUT | STDERR => Ok(()),
        _ if stream > STDERR && call.data().workspace.is_some() => Ok(()),
        _ => Err(Stop::Malformed("an unknown stream").into()),
    }
}

/// Reads from a file; the guest is told that the stream is closed at its end,
/// and where the stream is none.
fn read_file(call: &mut Call<'_>, stream: u32, size: u64, result: u32) -> wasmtime::Result<()> {
    match files::read_stream(call, stream, size) {
        Ok(Some(bytes)) => {
            let at = abi::give(call, &bytes, 1)?;
            abi::write(call, result, &[OK])?;
            let list = [at, bytes.len() as u32].map(u32::to_le_bytes).concat();
            abi::write(call, result.wrapping_add(4), &list)
        }
        Ok(None) | Err(Failure::Told(_)) => abi::write(call, result, &[ERROR, 0, 0, 0, CLOSED]),
        Err(Failure::Stopped(stop)) => Err(stop),
    }
}

/// Writes to a file; where that fails, the guest is told so, and no more.
fn write_file(
    call: &mut Call<'_>,
    stream: u32,
    content: (u32, u32),
    result: u32,
) -> wasmtime::Result<()> {
    match files::write_stream(call, stream, content) {
        Ok(()) => abi::write(call, result, &[OK]),
        Err(Failure::Told(_)) => {
            let failed = [u32::from(ERROR), u32::from(FAILED), ERROR_HANDLE];
            abi::write(call, result, &failed.map(u32::to_le_bytes).concat())
        }
        Err(Failure::Stopped(stop)) => Err(stop),
    }
}

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for (name, stream) in [
        ("wasi:cli/stdin#get-stdin", STDIN),
        ("wasi:cli/stdout#get-stdout", STDOUT),
        ("wasi:cli/stderr#get-stderr", STDERR),
    ] {
        linker.func_wrap(MODULE, name, move |mut call: Call<'_>| -> wasmtime::Result<u32> {
            enter(&mut call)?;
            Ok(stream)
        })?;
    }
    // No stream is a terminal.
    for name in [
        "wasi:cli/terminal-stdin#get-terminal-stdin",
        "wasi:cli/terminal-stdout#get-terminal-stdout",
        "wasi:cli/terminal-stderr#get-terminal-stderr",
    ] {
        linker.func_wrap(MODULE, name, |mut call: Call<'_>, result: u32| {
            enter(&mut call)?;
            abi::write(&mut call, result, &[0])
        })?;
    }
    linker.func_wrap(
        MODULE,
        "wasi:io/streams#[method]input-stream.read",
        |mut call: Call<'_>, stream: u32, size: u64, result: u32| {
            enter(&mut call)?;
            if stream > STDERR && call.data().workspace.is_some() {
                return read_file(&mut call, stream, size, result);
            }
            abi::write(&mut call, result, &[ERROR, 0, 0, 0, CLOSED])
        },
    )?;
    for name in ["input-stream", "output-stream"] {
        let name = format!("wasi:io/streams#[resource-drop]{name}");
        linker.func_wrap(MODULE, &name, |mut call: Call<'_>, stream: u32| {
            enter(&mut call)?;
            if let Some(workspace) = &mut call.data_mut().workspace {
                workspace.drop_handle(stream);
            }
            Ok(())
        })?;
    }
    // A subscription to a stream is always ready.
    for name in [
        "wasi:io/streams#[method]input-stream.subscribe",
        "wasi:io/streams#[method]output-stream.subscribe",
    ] {
        linker.func_wrap(MODULE, name, |mut call: Call<'_>, _stream: u32| {
            enter(&mut call)?;
            clocks::subscribe(&mut call, 0)
        })?;
    }
    linker.func_wrap(
        MODULE,
        "wasi:io/streams#[method]output-stream.check-write",
        |mut call: Call<'_>, stream: u32, result: u32| {
            enter(&mut call)?;
            check_writable(&call, stream)?;
            abi::write(&mut call, result, &[OK])?;
            abi::write(&mut call, result.wrapping_add(8), &WRITE_BYTES_MAX.to_le_bytes())
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:io/streams#[method]output-stream.write",
        |mut call: Call<'_>, stream: u32, at: u32, size: u32, result: u32| {
            enter(&mut call)?;
            check_writable(&call, stream)?;
            if stream > STDERR {
                return write_file(&mut call, stream, (at, size), result);
            }
            write_output(&mut call, at, size)?;
            abi::write(&mut call, result, &[OK])
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:io/streams#[method]output-stream.blocking-flush",
        |mut call: Call<'_>, stream: u32, result: u32| {
            enter(&mut call)?;
            check_writable(&call, stream)?;
            abi::write(&mut call, result, &[OK])
        },
    )?;
    Ok(())
}
