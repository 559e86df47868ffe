//! The pages that nearly every program writes to.
//!
//! A guest starts as a copy-on-write mapping of one image, and even an empty
//! program writes to some 300 of its pages: refcounts, the allocator, the
//! evaluation stack. Each first write is a page fault, and together they cost
//! more than all else about a small program. They are nearly the same pages
//! each time, so they are learnt once, and asked of the kernel in a few calls
//! at the start of a guest in a new instance, or copied back where an instance is
//! used again (see [`recycle`](crate::recycle)).
//!
//! Neither changes a byte that a guest can see. Where the kernel does not know
//! how to make pages present (that came with Linux 5.14), nothing happens.

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

    /// Gives a guest's memory the bytes of `fresh`: these pages by copying them, so
    /// that they stay present, all others by discarding what was written to them.
    /// Says whether that could be done; else the memory is of no more use.
    pub(crate) fn restore(&self, memory: &mut [u8], fresh: &[u8]) -> bool {
        if memory.len() != fresh.len() {
            return false;
        }
        let mut rest = memory;
        let mut start = 0;
        let mut between = Vec::with_capacity(self.0.len() + 1);
        for range in &self.0 {
            let (cold, behind) = rest.split_at_mut(range.start - start);
            let (hot, behind) = behind.split_at_mut(range.len());
            hot.copy_from_slice(&fresh[range.clone()]);
            between.push(cold);
            (rest, start) = (behind, range.end);
        }
        between.push(rest);
        between.retain(|pages| !pages.is_empty());
        discard(&mut between)
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

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the system calls that take back what was written to a private mapping have no \
              safe form. They take whole pages of memory that this function borrows mutably, and \
              leave bytes in them, whatever was there"
)]
fn discard(ranges: &mut [&mut [u8]]) -> bool {
    use rustix::mm::{Advice, madvise};
    /// Stands for this process where a descriptor of a process is asked for.
    const PIDFD_SELF: libc::c_int = -10_000;
    const NO_FLAGS: libc::c_uint = 0;
    // One call for all of them flushes other processors' view of the memory once;
    // it came with Linux 6.13.
    let bytes: usize = ranges.iter().map(|pages| pages.len()).sum();
    let discarded = ranges.chunks_mut(libc::UIO_MAXIOV as usize).try_fold(0, |sum, some| {
        let vectors: Vec<libc::iovec> = some
            .iter_mut()
            .map(|pages| libc::iovec { iov_base: pages.as_mut_ptr().cast(), iov_len: pages.len() })
            .collect();
        // SAFETY: as below; the kernel reads the vectors during the call alone.
        let done = unsafe {
            let (at, count) = (vectors.as_ptr(), vectors.len());
            let advice = libc::MADV_DONTNEED;
            libc::syscall(libc::SYS_process_madvise, PIDFD_SELF, at, count, advice, NO_FLAGS)
        };
        usize::try_from(done).ok().map(|done| sum + done)
    });
    if discarded == Some(bytes) {
        return true;
    }
    ranges.iter_mut().all(|pages| {
        // SAFETY: each range is borrowed memory of plain bytes. A guest's memory is a
        // private mapping of its image (and of zeros behind it), whose pages come back
        // as they were first.
        unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxDontNeed) }.is_ok()
    })
}

#[cfg(not(target_os = "linux"))]
fn discard(_ranges: &mut [&mut [u8]]) -> bool {
    false
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
