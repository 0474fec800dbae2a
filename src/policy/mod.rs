//! From a raw call attempt to a verdict and a plan for the answer: domain, subscriber, number, rules, profile.
//!
//! Promises: a snapshot is immutable and answers alike for the same attempt; a decision takes no lock, allocates
//! nothing and panics on nothing. Nothing here knows bytes on the wire, sockets, clocks or files.
//! Leaves to `control`: reading and checking configuration; to `uas`: reading and writing SIP.

mod address_table;
pub mod agents;
pub mod answer;
pub mod attempt;
mod byte_map;
pub mod cell;
pub mod code;
pub mod counting;
pub mod data;
pub mod destinations;
mod dialled;
pub(crate) mod hash;
mod interval;
mod limits;
mod lists;
mod number_table;
pub mod profile;
mod rates;
pub mod rows;
pub mod schedule;
mod slots;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod who;
pub mod words;

pub use answer::{AnswerPlan, CallError, ContactHost, ContactPlan};
pub use attempt::{CallAttempt, Facts, HeaderFamily, Scheme, Screening};
pub use cell::PolicyCell;
pub use code::{Code, CodeSet};
pub use counting::Counting;
pub use destinations::DestinationClass;
pub use limits::{Decider, Foreseen, LimitFacts, Step};
pub use slots::DomainSlots;
pub use snapshot::{Decision, Peer, Prepared, Reach, ShownLimit, Snapshot, Source, Told, Verdict};
