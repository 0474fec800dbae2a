//! Yardsticks and generators of data for Tollgate: what one core can do with the same packets, with and without us.
//!
//! ```text
//! packet (what is sent) → peer (who sends and reads) → variant (who answers: reflect, loops, kamailio) → runner → record
//! ```
//!
//! Promises: every variant of a round gets the same packets on the same core, in turn with the others; an answer that is
//! missing or wrong is reported beside the figure, never left out of it.

pub mod gate;
pub mod kamailio;
pub mod own;
pub mod packet;
pub mod peer;
pub mod record;
pub mod reflect;
pub mod runner;
pub mod serve;
pub mod variant;
pub mod work;
