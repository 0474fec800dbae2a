//! RFC 3261 bytes: what a datagram says, and how an answer is written. Allocates nothing, knows no policy.
//!
//! Promises: every slice lies inside the datagram; time linear in its length; no input panics.
//! Leaves to `uas`: whether the request makes sense.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod block;
pub mod header;
pub mod method;
pub mod octet;
pub mod scan;
pub mod span;
pub mod status;
pub mod uri;
pub mod via;
pub mod write;

pub use header::Header;
pub use method::Method;
pub use scan::{Fault, Kind, Layout, Parts, Request, Version};
pub use span::Span;
pub use status::{Phrase, Status};
pub use uri::{Address, SipUri, Uri};
pub use via::Via;
pub use write::{ViaChanges, Writer};
