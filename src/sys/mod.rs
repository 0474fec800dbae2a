//! To be written.

pub mod prefetch;

pub use prefetch::prefetch_read;
