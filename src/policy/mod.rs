//! From a raw call attempt to a verdict and a plan for the answer: domain, subscriber, number, rules, profile.
//!
//! Promises: a snapshot is immutable and answers alike for the same attempt; a decision takes no lock, allocates
//! nothing and panics on nothing. Nothing here knows bytes on the wire, sockets, clocks or files.
//! Leaves to `control`: reading and checking configuration; to `uas`: reading and writing SIP.

pub mod answer;
pub mod attempt;
pub mod cell;
pub mod code;
pub mod expression;
pub mod rows;
pub mod snapshot;

pub use answer::{AnswerPlan, CallError, ContactHost, ContactPlan};
pub use attempt::{CallAttempt, HeaderFamily, Scheme, Screening};
pub use cell::PolicyCell;
pub use code::{Code, CodeSet};
pub use snapshot::{Decision, Peer, Prepared, Snapshot, Source, Verdict};
