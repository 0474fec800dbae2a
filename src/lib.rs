//! Tollgate: a SIP redirect server that decides, before a PBX sends a call to an expensive destination, whether the
//! call looks like toll fraud.
//!
//! The modules stand in layers; a layer names only lower ones (`tests/tidy.rs` holds the table, `ARCHITECTURE.md`
//! explains it). A call goes through them like this:
//!
//! ```text
//! Datagram (net) → Request (sip) → CallAttempt (uas) → Verdict + AnswerPlan (policy) → Response (uas, sip) → Datagram (net)
//! ```

// Layer 0
pub mod clock;
pub mod e164;
pub mod limits;
mod plain;
pub mod sys;
// Layer 1
pub mod counters;
pub mod net;
pub mod sip;
// Layer 2
pub mod policy;
// Layer 3
pub mod uas;
// Layer 4
pub mod event;
// Layer 5
pub mod metrics;
// Layer 6
pub mod control;
pub mod report;
pub mod shard;
pub mod study;
// Layer 7
pub mod admin;
// Layer 8
pub mod cli;
pub mod process;
