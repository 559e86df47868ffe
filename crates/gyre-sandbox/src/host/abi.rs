//! Reading and writing the guest's memory in the canonical ABI's layout.

use super::{Call, GuestSide, Stop};

fn side(call: &Call<'_>) -> wasmtime::Result<GuestSide> {
    call.data().guest.clone().ok_or_else(|| Stop::Malformed("no memory").into())
}

/// Copies bytes out of the guest.
pub(super) fn read(call: &Call<'_>, at: u32, size: u32) -> wasmtime::Result<Vec<u8>> {
    let memory = side(call)?.memory;
    let at = at as usize;
    let bytes = memory.data(call).get(at..at.saturating_add(size as usize));
    bytes.map(<[u8]>::to_vec).ok_or_else(outside)
}

/// Copies bytes into the guest.
pub(super) fn write(call: &mut Call<'_>, at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let memory = side(call)?.memory;
    memory.write(call, at as usize, bytes).map_err(|_| outside())
}

/// Allocates in the guest and copies bytes there. An empty list is a pointer
/// to nothing that is aligned and not null.
pub(super) fn give(call: &mut Call<'_>, bytes: &[u8], align: u32) -> wasmtime::Result<u32> {
    if bytes.is_empty() {
        return Ok(align);
    }
    let size = u32::try_from(bytes.len()).map_err(|_| outside())?;
    let realloc = side(call)?.realloc;
    let at = realloc.call(&mut *call, (0, 0, align, size))?;
    write(call, at, bytes)?;
    Ok(at)
}

/// Writes the pointer and length of a list to where a result is expected.
pub(super) fn write_list(
    call: &mut Call<'_>,
    result: u32,
    bytes: &[u8],
    element: Element,
) -> wasmtime::Result<()> {
    let at = give(call, bytes, element.align)?;
    let count = bytes.len() as u32 / element.size;
    write(call, result, &at.to_le_bytes())?;
    write(call, result.wrapping_add(4), &count.to_le_bytes())
}

/// The layout of a list's elements.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub(super) size: u32,
    pub(super) align: u32,
}

pub(super) const BYTE: Element = Element { size: 1, align: 1 };
pub(super) const WORD: Element = Element { size: 4, align: 4 };

fn outside() -> wasmtime::Error {
    Stop::Malformed("a pointer outside its memory").into()
}
