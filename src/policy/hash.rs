//! The hasher of tables that are built once: seeded at random, since traffic chooses the keys that are looked up.
//!
//! Promises: built with `cfg(fuzzing)` the seed is fixed, so that an input takes the same way through the tables each time.

#[cfg(all(fuzzing, not(debug_assertions)))]
compile_error!(
    "cfg(fuzzing) fixes the seeds of hashes: for fuzzers, which have debug assertions, and no node"
);
#[cfg(fuzzing)]
pub(crate) use foldhash::fast::FixedState as Seeded;
#[cfg(not(fuzzing))]
pub(crate) use foldhash::fast::RandomState as Seeded;
