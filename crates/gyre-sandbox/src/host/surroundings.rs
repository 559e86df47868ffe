//! What surrounds a process, of which a guest has next to nothing: no
//! arguments, no environment, no network, and randomness by seed.

use rand_chacha::rand_core::Rng;
use wasmtime::Linker;

use super::{Call, Host, MODULE, Stop, abi, charge, enter};

/// What one call for randomness may ask for; the guest's libc asks for far
/// less at a time.
const RANDOM_BYTES_MAX: u64 = 1 << 20;
/// `error-code::access-denied` of `wasi:sockets/network`.
const SOCKET_ACCESS_DENIED: u8 = 1;

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for name in ["wasi:cli/environment#get-environment", "wasi:cli/environment#get-arguments"] {
        linker.func_wrap(MODULE, name, |mut call: Call<'_>, result: u32| {
            enter(&mut call)?;
            abi::write_list(&mut call, result, &[], abi::WORD)
        })?;
    }
    linker.func_wrap(
        MODULE,
        "wasi:cli/exit#exit",
        |_: Call<'_>, _status: u32| -> wasmtime::Result<()> { Err(Stop::Exited.into()) },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:random/random#get-random-bytes",
        |mut call: Call<'_>, size: u64, result: u32| {
            enter(&mut call)?;
            if size > RANDOM_BYTES_MAX {
                return Err(Stop::Malformed("too large a request for randomness").into());
            }
            charge(&mut call, size)?;
            let mut bytes = vec![0; size as usize];
            call.data_mut().rng.fill_bytes(&mut bytes);
            abi::write_list(&mut call, result, &bytes, abi::BYTE)
        },
    )?;
    for name in [
        "wasi:sockets/tcp-create-socket#create-tcp-socket",
        "wasi:sockets/udp-create-socket#create-udp-socket",
    ] {
        linker.func_wrap(MODULE, name, |mut call: Call<'_>, _family: u32, result: u32| {
            enter(&mut call)?;
            abi::write(&mut call, result, &[1, 0, 0, 0, SOCKET_ACCESS_DENIED])
        })?;
    }
    linker.func_wrap(
        MODULE,
        "wasi:sockets/instance-network#instance-network",
        |mut call: Call<'_>| -> wasmtime::Result<u32> {
            enter(&mut call)?;
            Ok(0)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:sockets/ip-name-lookup#resolve-addresses",
        |mut call: Call<'_>, _network: u32, _name: u32, _size: u32, result: u32| {
            enter(&mut call)?;
            abi::write(&mut call, result, &[1, 0, 0, 0, SOCKET_ACCESS_DENIED])
        },
    )?;
    Ok(())
}
