//! Large tables of atomic words that take memory only where they are used.
//!
//! Promises: every word is zero at first; of what was never touched, a page nothing of which was costs address space and nothing
//! else. (The allocator would write the zeroes of anything that is aligned to a cache line.)
#![expect(
    unsafe_code,
    reason = "pages that the system zeroes on first use come from mmap only"
)]

use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::AtomicU64;

/// One cache line of words.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line(pub [AtomicU64; 8]);

/// Many lines, zero at first.
#[derive(Debug)]
pub struct Lines {
    first: NonNull<Line>,
    count: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and all that is reached through it are atomic words,
// which any thread may use.
unsafe impl Send for Lines {}
// SAFETY: as above; nothing changes but through atomic words.
unsafe impl Sync for Lines {}

impl Lines {
    /// So many lines.
    ///
    /// # Errors
    /// The address space, or what the system lets us promise of it, is too small.
    pub fn zeroed(count: usize) -> io::Result<Self> {
        let Some(octets) = count.checked_mul(size_of::<Line>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        if octets == 0 {
            return Ok(Self {
                first: NonNull::dangling(),
                count,
            });
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: mmap(2) without an address and without a file maps fresh pages of zeroes, or returns MAP_FAILED.
        let memory = unsafe { libc::mmap(ptr::null_mut(), octets, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Pages are aligned to more than a line, and a mapping is never at null.
        let Some(first) = NonNull::new(memory.cast::<Line>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        Ok(Self { first, count })
    }

    /// The same in large pages and all there at once, for tables that are read all over: each line of them would need an
    /// address translation of its own otherwise, and those are seldom at hand. Where the system has no large pages to give,
    /// small ones. At once, since a large page that is touched for the first time costs whoever does so some milliseconds
    /// under a hypervisor that must find memory for it: at 100,000 calls a second a shard lost 20,000 datagrams by it.
    ///
    /// # Errors
    /// As above.
    pub fn in_large_pages(count: usize) -> io::Result<Self> {
        let lines = Self::zeroed(count)?;
        let octets = count.saturating_mul(size_of::<Line>());
        if octets > 0 {
            lines.advise(octets, libc::MADV_HUGEPAGE);
            lines.advise(octets, libc::MADV_POPULATE_WRITE);
        }
        Ok(lines)
    }

    /// What a kernel does not know (the second of the above is of Linux 5.14) it leaves undone.
    fn advise(&self, octets: usize, advice: libc::c_int) {
        // SAFETY: advice about a mapping of ours of so many octets; it changes nothing that can be read.
        let _advised = unsafe { libc::madvise(self.first.as_ptr().cast(), octets, advice) };
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: `first` is aligned, and points to `count` lines of pages that are mapped as long as `self` is, whose zeroes
        // are valid `AtomicU64` (the same representation as `u64`); of no lines it dangles, which a slice of none may.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let octets = self.count.saturating_mul(size_of::<Line>());
        if octets > 0 {
            // SAFETY: exactly what mmap(2) gave us, and no slice of it outlives `self`.
            let _unmapped = unsafe { libc::munmap(self.first.as_ptr().cast(), octets) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn lines_are_zero_aligned_and_each_its_own() {
        assert!(Lines::zeroed(0).unwrap().is_empty());
        // A gibibyte, of which only four pages are ever there.
        let lines = Lines::zeroed(1 << 24).unwrap();
        assert_eq!(ptr::from_ref(&lines[0]).addr() % 64, 0);
        lines[1 << 23].0[7].store(1, Ordering::Relaxed);
        let sum = |at: usize| -> u64 {
            let words = lines[at].0.iter();
            words.map(|word| word.load(Ordering::Relaxed)).sum()
        };
        assert_eq!(
            [0, (1 << 23) - 1, 1 << 23, (1 << 24) - 1].map(sum),
            [0, 0, 1, 0]
        );
        assert!(Lines::zeroed(usize::MAX).is_err());
    }

    #[test]
    fn lines_in_large_pages_are_the_same() {
        assert!(Lines::in_large_pages(0).unwrap().is_empty());
        let lines = Lines::in_large_pages(1 << 16).unwrap();
        lines[77].0[0].store(1, Ordering::Relaxed);
        let words = lines.iter().flat_map(|line| &line.0);
        let sum: u64 = words.map(|word| word.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 1);
        assert!(Lines::in_large_pages(usize::MAX).is_err());
    }
}
