//! The kernel's error numbers as words.

use std::io;

/// Why the kernel did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// ICMP said that the target's port is closed (`ECONNREFUSED`).
    PortClosed,
    /// There is nothing to read, or no room to send (`EAGAIN`, `ENOBUFS`).
    NotNow,
    /// A signal came first (`EINTR`).
    Interrupted,
    /// A firewall of this machine forbids it (`EPERM`).
    Forbidden,
    /// There is no route (`ENETUNREACH`, `EHOSTUNREACH`).
    NoRoute,
    /// The address is not this machine's, or has no free port (`EADDRNOTAVAIL`).
    AddressNotHere,
    /// The address is taken (`EADDRINUSE`).
    AddressTaken,
    /// A privilege is missing (`EACCES`).
    NotPrivileged,
    /// Too many files are open (`EMFILE`).
    TooManyFiles,
    /// A run of datagrams cannot be cut up here, or a datagram is too long for the path (`EINVAL`, `EIO`, `EMSGSIZE`).
    NotAsRun,
    /// Something else.
    Other,
}

impl Refusal {
    /// The word for an error.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Self::PortClosed,
            Some(libc::EAGAIN | libc::ENOBUFS) => Self::NotNow,
            Some(libc::EINTR) => Self::Interrupted,
            Some(libc::EPERM) => Self::Forbidden,
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => Self::NoRoute,
            Some(libc::EADDRNOTAVAIL) => Self::AddressNotHere,
            Some(libc::EADDRINUSE) => Self::AddressTaken,
            Some(libc::EACCES) => Self::NotPrivileged,
            Some(libc::EMFILE) => Self::TooManyFiles,
            Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE) => Self::NotAsRun,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_number_has_its_word() {
        for (number, refusal) in [
            (libc::ECONNREFUSED, Refusal::PortClosed),
            (libc::EAGAIN, Refusal::NotNow),
            (libc::ENOBUFS, Refusal::NotNow),
            (libc::EINTR, Refusal::Interrupted),
            (libc::EPERM, Refusal::Forbidden),
            (libc::ENETUNREACH, Refusal::NoRoute),
            (libc::EHOSTUNREACH, Refusal::NoRoute),
            (libc::EADDRNOTAVAIL, Refusal::AddressNotHere),
            (libc::EADDRINUSE, Refusal::AddressTaken),
            (libc::EACCES, Refusal::NotPrivileged),
            (libc::EMFILE, Refusal::TooManyFiles),
            (libc::EMSGSIZE, Refusal::NotAsRun),
            (libc::EINVAL, Refusal::NotAsRun),
            (libc::EIO, Refusal::NotAsRun),
            (libc::ENOMEM, Refusal::Other),
        ] {
            assert_eq!(Refusal::of(&io::Error::from_raw_os_error(number)), refusal);
        }
    }
}
