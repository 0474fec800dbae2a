//! An allocator that counts, for tests that promise to allocate nothing.
//!
//! Promises: counts every allocation of the calling thread, and only its own; and how often a watched thread frees much.
//! Leaves to the test: what runs between two readings.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is much to free, octets: past it an allocator may have to give pages back.
pub(crate) const LARGE_BYTES: usize = 4096;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

static LARGE_FREES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator with a counter before it.
pub(crate) struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the promises of `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`, and they are those of `System::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() > LARGE_BYTES && WATCHED.with(Cell::get) {
            LARGE_FREES.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: `pointer` came from `alloc` above with this layout, so from `System::alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocations of this thread since it began.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Watches the calling thread, or no longer.
pub(crate) fn watch(watched: bool) {
    WATCHED.with(|flag| flag.set(watched));
}

/// How often watched threads freed more than `LARGE_BYTES` at once.
pub(crate) fn large_frees() -> u64 {
    LARGE_FREES.load(Ordering::Relaxed)
}
