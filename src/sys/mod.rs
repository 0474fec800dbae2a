//! The only `unsafe` of the server: batches of datagrams, a few socket options, two scheduling
//! classes, prefetching, and octets compared or marked by the processor's vector instructions.
//!
//! Promises: every function here is safe to call with any argument; each `unsafe` block holds one operation and names
//! the promise of the manual page that it keeps. Nothing here decides anything: errors go up as `io::Error`.
//! Leaves to `net`: sockets, readiness, what an error means.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and setsockopt have no safe form that does not allocate"
)]

mod address;
mod control;
pub mod lanes;
mod lines;
pub mod marks;
mod option;
pub mod prefetch;
mod receive;
mod schedule;
mod segment;
mod send;
mod steer;
mod usage;

pub use lines::{Line, Lines};
#[cfg(test)]
pub use option::send_without_checksums;
pub use option::{
    force_receive_buffer, kernel_dropped, name_local_address, receive_buffer, receive_queue,
    set_receive_buffer, share_port,
};
pub use prefetch::prefetch_read;
pub use receive::ReceiveBatch;
pub use schedule::{idle_class, nice};
pub use segment::{join_datagrams, receive_joined, send_segments};
pub use send::{Run, SendBatch};
pub use steer::{STEERED_OCTETS, STEERED_OCTETS_MIN, steer_by_payload};
pub use usage::{ThreadUsage, thread_time_ns, thread_usage};

/// Errors of the kernel that `net` and `report` must tell apart, by their number.
pub mod errno {
    /// An earlier datagram met a closed port (ICMP).
    pub const CONNECTION_REFUSED: i32 = libc::ECONNREFUSED;
    /// A firewall rule of this machine refused the datagram.
    pub const NOT_PERMITTED: i32 = libc::EPERM;
    /// No memory for the datagram in a queue of this machine.
    pub const NO_BUFFERS: i32 = libc::ENOBUFS;
    /// Malformed; of a run of datagrams also: longer than its path carries, or too many.
    pub const INVALID: i32 = libc::EINVAL;
    /// A run of datagrams on a way without checksum offload; of a file: the disk failed.
    pub const INPUT_OUTPUT: i32 = libc::EIO;
    /// The datagram is longer than its path or its socket carries.
    pub const MESSAGE_SIZE: i32 = libc::EMSGSIZE;
    /// No route to the network.
    pub const NETWORK_UNREACHABLE: i32 = libc::ENETUNREACH;
    /// No route to the host.
    pub const HOST_UNREACHABLE: i32 = libc::EHOSTUNREACH;
}
