//! The scanner alone: no allocation, every slice inside the datagram, the same layout from a used slot.

use tollgate::sip::{Kind, Layout, Request};

/// Layouts as a shard keeps them, and who counts the thread's allocations.
pub(crate) struct Check {
    used: Layout,
    again: Layout,
    allocations: fn() -> u64,
}

impl Check {
    /// `allocations` says how many the calling thread has made so far.
    pub(crate) fn new(allocations: fn() -> u64) -> Self {
        Self {
            used: Layout::new(),
            again: Layout::new(),
            allocations,
        }
    }

    /// Holds one datagram to the rules. Whether it was cut on the wire is in its first octet.
    pub(crate) fn input(&mut self, bytes: &[u8]) {
        let cut = bytes.first().is_some_and(|octet| octet % 2 == 1);
        let before = (self.allocations)();
        let kind = self.used.scan(bytes, cut);
        let request = Request::new(bytes, &self.used);
        let mut octets = 0_usize;
        for (name, value) in request.fields() {
            octets += name.len() + value.len();
        }
        for via in request.via_fields() {
            octets += via.len();
        }
        assert_eq!((self.allocations)(), before, "the scanner allocated");
        if kind == Kind::Request {
            assert!(
                octets <= 3 * bytes.len(),
                "more octets in fields than in the datagram"
            );
            assert!(request.body_start().unwrap_or(0) <= bytes.len());
        }
        // One of the two has seen another datagram last, so that what it left behind would show.
        assert_eq!(self.again.scan(bytes, cut), kind);
        let again = Request::new(bytes, &self.again);
        assert_eq!(request.fault(), again.fault());
        if kind == Kind::Request {
            assert_eq!(request.uri(), again.uri());
            assert!(request.via_fields().eq(again.via_fields()));
        }
        if bytes.len().is_multiple_of(2) {
            std::mem::swap(&mut self.used, &mut self.again);
        } else {
            self.again
                .scan(b"INVITE sip:1@h SIP/2.0\r\nv:a\r\nv:b\r\ni:c\r\n\r\n", true);
        }
    }
}
