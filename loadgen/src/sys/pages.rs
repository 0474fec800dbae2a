//! Octets all there at once, in large pages where the system has them to give: buffers that the kernel and we go through for every batch.
//!
//! Promises: zero at first. Kernels from 6.7 on put a mapping of this length where large pages fit; earlier ones may give
//! one large page fewer.

use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::slice;

/// Octets of their own mapping.
#[derive(Debug)]
pub(crate) struct Pages {
    first: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and is plain octets.
unsafe impl Send for Pages {}

/// A large page of x86-64 and of most arm64 kernels.
const LARGE_PAGE: usize = 2 * 1024 * 1024;

impl Pages {
    /// So many octets, rounded up to whole large pages.
    ///
    /// # Panics
    /// If the address space is used up: the buffers of one engine are a few megabytes, and without them it is no use.
    pub(crate) fn zeroed(octets: usize) -> Self {
        let length = octets.max(1).next_multiple_of(LARGE_PAGE);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: mmap(2) without an address and without a file maps fresh pages of zeroes, or returns MAP_FAILED.
        let memory = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        let first = NonNull::new(memory.cast::<u8>()).filter(|_| memory != libc::MAP_FAILED);
        let pages = Self {
            first: first.expect("a few megabytes of address space"),
            length,
        };
        pages.advise(libc::MADV_HUGEPAGE);
        pages.advise(libc::MADV_POPULATE_WRITE);
        pages
    }

    /// What a kernel does not know (the second of the above is of Linux 5.14) it leaves undone.
    fn advise(&self, advice: libc::c_int) {
        // SAFETY: advice about a mapping of ours of so many octets; it changes nothing that can be read.
        let _advised = unsafe { libc::madvise(self.first.as_ptr().cast(), self.length, advice) };
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `first` points to `length` octets that are mapped, and were zeroed, as long as `self` is.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only way to them.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap(2) gave us, and no slice of it outlives `self`.
        let _unmapped = unsafe { libc::munmap(self.first.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_zero_and_keep_what_is_written() {
        let mut pages = Pages::zeroed(LARGE_PAGE + 1);
        assert_eq!(pages.len(), 2 * LARGE_PAGE);
        assert!(pages.iter().all(|&octet| octet == 0));
        pages[LARGE_PAGE] = 7;
        assert_eq!(pages.iter().filter(|&&octet| octet == 7).count(), 1);
    }
}
