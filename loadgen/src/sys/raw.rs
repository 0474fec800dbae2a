//! What receiving and sending have in common: structures of the C library that say nothing yet.

use std::mem;
use std::ptr;

/// Octets before the data of a control message: cmsghdr is a length, a level and a type (cmsg(3)).
pub(super) const CONTROL_HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

pub(super) fn no_iovec() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}

pub(super) fn no_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is integers and pointers; all zeros are no name, no iovec, no control, no flags.
    unsafe { mem::zeroed() }
}
