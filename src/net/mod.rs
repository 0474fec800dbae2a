//! UDP sockets, their readiness, and batches of datagrams as safe slices.
//!
//! Promises: a port that another process holds is never joined; one socket per shard and listener, in order, for the
//! life of the process; every datagram that could not be sent is counted by its reason.
//! Leaves to `sys`: the system calls; to `shard`: when to read; to `uas`: what a datagram says.

mod answers;
mod barred;
mod batch;
mod delivery;
mod poll;
mod socket;

pub use answers::{Answer, Stretch, TxBatch};
pub use batch::{Datagram, Received, RxBatch};
pub use delivery::{SendFailure, SendReport};
pub use poll::{Poller, Readiness, Waker};
pub use socket::{BindError, Socket, bind_group, steer};
