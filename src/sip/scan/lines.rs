//! The lines of a head, folds joined to the line that they continue.
//!
//! Promises: each octet is looked at once, sixty-four at a time; bare CRs are told without a second pass.
//! Leaves to `scan`: what a line says.

use crate::sip::block;
use crate::sip::octet::split_once;

/// Octets that are compared at once.
const BLOCK: usize = 64;

/// Where a line lies, with the lines folded into it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// Its first octet.
    pub(super) start: usize,
    /// Behind its last octet, before its line end.
    pub(super) end: usize,
    /// Behind its line end.
    pub(super) next: usize,
    /// Whether its line end, and that of each fold, is CR and LF.
    pub(super) crlf: bool,
}

/// The lines of a head from some place on. Behind the empty line nothing is to be asked of it.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    head: &'a [u8],
    /// Where the next line starts.
    at: usize,
    /// What has not been compared yet.
    rest: &'a [u8],
    /// Offset of the block that is being read.
    block: usize,
    /// Bit n: octet n of the block is an LF that no line has ended at yet.
    feeds: u64,
    /// Bit n: octet n of the block is an LF and none follows a CR, or the reverse.
    odd: u64,
    /// Whether the block before ends in a CR: bit 0.
    carried: u64,
    /// Whether a block before had an odd octet.
    odd_before: bool,
}

impl<'a> Lines<'a> {
    /// From `start` on.
    #[inline]
    pub(super) fn new(head: &'a [u8], start: usize) -> Self {
        Self {
            head,
            at: start,
            rest: head.get(start..).unwrap_or_default(),
            block: start.wrapping_sub(BLOCK),
            feeds: 0,
            odd: 0,
            carried: 0,
            odd_before: false,
        }
    }

    /// The whole head.
    pub(super) fn head(&self) -> &'a [u8] {
        self.head
    }

    /// The next line; `None` when it does not end. The empty line is not folded, whatever follows it.
    ///
    /// Inlined, so that the loop over the lines keeps its place in registers: 700 instructions a head.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Line> {
        let start = self.at;
        let mut crlf = true;
        loop {
            let feed = self.next_feed()?;
            let next = feed.wrapping_add(1);
            let end = match feed.checked_sub(1) {
                Some(before) if before >= start && self.head.get(before) == Some(&b'\r') => before,
                _ => {
                    crlf = false;
                    feed
                }
            };
            if end == start || !matches!(self.head.get(next), Some(b' ' | b'\t')) {
                self.at = next;
                return Some(Line {
                    start,
                    end,
                    next,
                    crlf,
                });
            }
        }
    }

    /// Where the next LF stands.
    #[inline]
    fn next_feed(&mut self) -> Option<usize> {
        while self.feeds == 0 {
            self.compare_block()?;
        }
        let place = self.feeds.trailing_zeros() as usize;
        self.feeds &= self.feeds.wrapping_sub(1);
        Some(self.block.wrapping_add(place))
    }

    #[inline]
    fn compare_block(&mut self) -> Option<()> {
        let last;
        let octets = match self.rest.split_first_chunk::<BLOCK>() {
            Some((octets, rest)) => {
                self.rest = rest;
                octets
            }
            None => {
                last = self.take_last_block()?;
                &last
            }
        };
        self.block = self.block.wrapping_add(BLOCK);
        self.odd_before |= self.odd != 0;
        let feeds = block::equal_64(octets, b'\n');
        let returns = block::equal_64(octets, b'\r');
        self.odd = (returns << 1 | self.carried) ^ feeds;
        self.carried = returns >> 63;
        self.feeds = feeds;
        Some(())
    }

    /// What is left, with zeros behind it; `None` when nothing is.
    #[cold]
    fn take_last_block(&mut self) -> Option<[u8; BLOCK]> {
        let mut last = [0; BLOCK];
        let place = last.get_mut(..self.rest.len())?;
        place.copy_from_slice(self.rest);
        let left = !self.rest.is_empty();
        self.rest = &[];
        left.then_some(last)
    }

    /// Whether the lines so far hold a CR that no LF follows, if all of their line ends are CR and LF.
    pub(super) fn passed_bare_cr(&self) -> bool {
        match self.at.checked_sub(self.block) {
            // The block holds the end of the last line.
            Some(passed) if passed <= BLOCK => {
                let behind = u32::try_from(passed).unwrap_or(0);
                self.odd_before || self.odd & !u64::MAX.unbounded_shl(behind) != 0
            }
            // The last line did not end: further blocks were compared in vain.
            _ => {
                let mut rest = self.head.get(..self.at).unwrap_or_default();
                while let Some((_, after)) = split_once(rest, b'\r') {
                    if after.first() != Some(&b'\n') {
                        return true;
                    }
                    rest = after;
                }
                false
            }
        }
    }
}
