//! The guest that this binary carries.

use gyre_types::Digest;

use crate::SandboxError;

/// The guest, compressed by zstd.
static COMPRESSED: &[u8] = include_bytes!("../../../sandboxes/python/guest.wasm.zst");
/// The digests of both forms, as `sha256sum` writes them.
static DIGESTS: &str = include_str!("../../../sandboxes/python/guest.sha256");
/// The module's size is about 20 MB; what claims to be far more is not ours.
const MODULE_BYTES_MAX: usize = 128 << 20;

/// The digest of the guest's core module, as it was built.
pub(crate) fn digest() -> Result<Digest, SandboxError> {
    recorded("guest.wasm")
}

/// The guest's core module, checked.
pub(crate) fn module() -> Result<Vec<u8>, SandboxError> {
    if Digest::of(COMPRESSED) != recorded("guest.wasm.zst")? {
        return Err(SandboxError::GuestDamaged {
            what: "the compressed module has another digest",
        });
    }
    let module = zstd::bulk::decompress(COMPRESSED, MODULE_BYTES_MAX)
        .map_err(|_| SandboxError::GuestDamaged { what: "the module does not decompress" })?;
    if Digest::of(&module) != digest()? {
        return Err(SandboxError::GuestDamaged { what: "the module has another digest" });
    }
    Ok(module)
}

fn recorded(name: &str) -> Result<Digest, SandboxError> {
    DIGESTS
        .lines()
        .filter_map(|line| line.split_once("  "))
        .find(|(_, file)| *file == name)
        .and_then(|(digest, _)| digest.parse().ok())
        .ok_or(SandboxError::GuestDamaged { what: "its digest is not recorded" })
}

/// How many functions a core module defines, for the progress of compiling it.
pub(crate) fn function_count(module: &[u8]) -> u32 {
    const FUNCTION_SECTION: u8 = 3;
    let mut rest = module.get(8..).unwrap_or_default();
    while let Some((&kind, after)) = rest.split_first() {
        let Some((size, body)) = leb(after) else { return 0 };
        if kind == FUNCTION_SECTION {
            return leb(body).map_or(0, |(count, _)| count);
        }
        rest = body.get(size as usize..).unwrap_or_default();
    }
    0
}

fn leb(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
