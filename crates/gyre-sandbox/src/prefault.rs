//! Makes the pages that every program writes to present before it runs.
//!
//! A guest starts as a copy-on-write mapping of one image, and even an empty
//! program writes to some 300 of its pages: refcounts, the allocator, the
//! evaluation stack. Each first write is a page fault, and together they cost
//! more than all else about a small program. They are nearly the same pages
//! each time, so they are learnt once, and asked of the kernel in a few calls
//! at the start of each guest.
//!
//! This changes no byte that a guest can see. Where the kernel does not know
//! the request (it came with Linux 5.14), nothing happens.

use std::ops::Range;

const PAGE_BYTES: usize = 4_096;
/// Two runs of written pages that are this near are made present together: a
/// page copied for nothing is cheaper than another system call.
const GAP_PAGES_MAX: usize = 1;

/// Ranges of a guest's memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HotPages(Vec<Range<usize>>);

impl HotPages {
    /// The pages in which a guest that ran differs from one that did not.
    pub(crate) fn between(fresh: &[u8], used: &[u8]) -> Self {
        let pages = fresh.chunks_exact(PAGE_BYTES).zip(used.chunks_exact(PAGE_BYTES));
        let written = pages.enumerate().filter(|(_, (fresh, used))| fresh != used);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (page, _) in written {
            let start = page * PAGE_BYTES;
            let end = start + PAGE_BYTES;
            match ranges.last_mut() {
                Some(last) if start <= last.end + GAP_PAGES_MAX * PAGE_BYTES => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        Self(ranges)
    }

    /// Makes them present in another guest of the same image.
    pub(crate) fn make_present(&self, memory: &mut [u8]) {
        for range in &self.0 {
            let Some(pages) = memory.get_mut(range.clone()) else { return };
            if !populate(pages) {
                return;
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the one system call that faults in many pages at once has no safe form. It takes \
              whole pages of memory that this function borrows mutably, and changes no byte of \
              them"
)]
fn populate(pages: &mut [u8]) -> bool {
    use rustix::mm::{Advice, madvise};
    // SAFETY: the range is borrowed memory, and populating it for writing is
    // what a write of each page's own content to it would do.
    unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxPopulateWrite) }.is_ok()
}

#[cfg(not(target_os = "linux"))]
fn populate(_pages: &mut [u8]) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_pages_make_one_range() {
        let fresh = vec![0; 10 * PAGE_BYTES];
        let mut used = fresh.clone();
        for page in [1, 2, 4, 8] {
            used[page * PAGE_BYTES + 7] = 1;
        }
        let hot = HotPages::between(&fresh, &used);
        assert_eq!(hot.0, [PAGE_BYTES..5 * PAGE_BYTES, 8 * PAGE_BYTES..9 * PAGE_BYTES]);
    }
}
