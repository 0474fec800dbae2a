//! Asking the processor for a cache line before it is needed.
//!
//! Promises: never reads or writes through the reference as far as the program can tell; a no-op where the processor
//! has no such instruction that we know.
#![expect(
    unsafe_code,
    reason = "the prefetch instruction is an intrinsic, which is unsafe to call"
)]

/// Starts to load the cache line of `place` into all cache levels. Costs about a nanosecond; never faults.
#[inline]
pub fn prefetch_read<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: PREFETCHT0 is part of SSE, which every x86_64 has; it changes no memory and cannot fault, and the
        // pointer comes from a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _: &T = place;
    }
}
