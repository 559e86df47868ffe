//! What the standard library would bring, without its imports: memory, and what
//! a panic does. There is nothing to change here.

use alloc::alloc::{Layout, alloc, realloc};
use core::arch::wasm32::unreachable;

// C's memory functions, which the compiler calls.
#[link(name = "c")]
unsafe extern "C" {}

#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}

/// By this the host puts an outcome into the component's memory.
///
/// # Safety
///
/// The canonical ABI's: `old` is what this gave for `old_size` and `align`.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    size: usize,
) -> *mut u8 {
    if size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    let layout = |size| Layout::from_size_align(size, align).unwrap_or_else(|_| unreachable());
    // SAFETY: sizes are not zero, and the caller keeps the ABI.
    let at = unsafe {
        if old_size == 0 { alloc(layout(size)) } else { realloc(old, layout(old_size), size) }
    };
    if at.is_null() { unreachable() } else { at }
}
