//! Where a piece of a datagram lies, without borrowing it.
//!
//! Promises: a span made from a piece gives that piece back from the same datagram; from any other it gives what lies
//! there, or nothing, and never panics.
//! Leaves to its users: keeping a datagram and its spans together.

/// A range of octets in a head (offsets fit `u16`, see `limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The empty span.
    pub const NOWHERE: Self = Self { start: 0, end: 0 };

    /// The span of `part`, which must be a slice of `whole`; any other slice gives an empty or a meaningless span.
    #[must_use]
    pub fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self::new(start, start.wrapping_add(part.len()))
    }

    /// From `start` up to but without `end`; empty when they do not fit a head.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    /// From `start` up to but without `end`, which lie in a head: not checked, so that it takes no more than a shift.
    #[must_use]
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "offsets into a head are u16, see `limits`"
    )]
    pub(super) fn short(start: usize, end: usize) -> Self {
        Self {
            start: start as u16,
            end: end as u16,
        }
    }

    /// The octets of this span in `whole`; empty when it does not lie in it.
    #[must_use]
    #[inline]
    pub fn within(self, whole: &[u8]) -> &[u8] {
        whole
            .get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }

    /// Offset of the first octet.
    #[must_use]
    pub fn start(self) -> usize {
        usize::from(self.start)
    }

    /// Offset after the last octet.
    #[must_use]
    pub fn end(self) -> usize {
        usize::from(self.end)
    }

    /// How many octets it has.
    #[must_use]
    #[inline]
    pub fn len(self) -> usize {
        usize::from(self.end.saturating_sub(self.start))
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_gives_its_piece_back() {
        let whole = b"INVITE sip:1@b SIP/2.0";
        for (start, end) in [(0, 6), (7, 14), (15, 22), (3, 3)] {
            let part = &whole[start..end];
            assert_eq!(Span::of(part, whole).within(whole), part);
        }
    }

    #[test]
    fn a_span_outside_gives_nothing() {
        assert_eq!(Span::new(3, 9).within(b"short"), b"");
        assert_eq!(Span::new(70_000, 70_001), Span::default());
        assert_eq!(Span::new(4, 2).within(b"short"), b"");
    }
}
