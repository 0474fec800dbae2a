//! What is asked of the counters, and what they answer.
//!
//! Promises: small, `Copy`, without heap.
//! Leaves to `policy`: what codes and results mean; here they are numbers.

use super::key::{Key, LimitId, Part};
use crate::plain::is_unsafe;
use std::fmt::Write as _;

/// The stretch of time that a sum is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so many seconds, 1 to 86,400, by the monotonic clock. What is older than the window is counted for at most
    /// one sub-bucket longer (a 17th of the window, a 61st above an hour), never shorter.
    Seconds(u32),
    /// A day or a period, by the wall clock, as the policy's time zone and schedule have it. A sum of another `start` begins
    /// anew.
    Since {
        /// When it began, seconds since 1970 UTC.
        start_unix_s: u64,
        /// When it ends: after that the sum may be forgotten. If the schedule is edited meanwhile, so is the end.
        end_unix_s: u64,
    },
}

/// Whose share of the table a key takes: a subscriber, by a part made of its domain's and its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub Part);

/// What happens to a new key when its owner's share, or the table, is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfFull {
    /// It is not counted: `Counted::Full`.
    Refuse,
    /// It counts together with all of its owner's that do not fit, under the key of this identity and the owner. The key is
    /// made only when it is wanted.
    Fold(LimitId),
}

/// What `fetch` saw of a key: of use to the `add` that follows in the same batch, which need not look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seen {
    /// Nothing.
    #[default]
    Unseen,
    /// Its record, as far as that can be told without reading it.
    Record(u32),
    /// It had none.
    Absent,
    /// It had none, and the share of its owner had no room for one.
    Full,
}

/// Something to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Where.
    pub key: Key,
    /// What was seen of it in this batch.
    pub seen: Seen,
    /// Whose.
    pub owner: Owner,
    /// What is done when there is no room for another key.
    pub if_full: IfFull,
    /// Over what time.
    pub window: Window,
    /// How much: 1 for an attempt or an approved call, micro-units for exposure. Less than 2^40.
    pub amount: u64,
    /// The sum at which a warning is due once per window.
    pub warn: Option<u64>,
    /// The largest sum that does not fire; less than 2^40.
    pub max: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It was counted, or its sum was past the maximum already.
    Sum(Sum),
    /// There is no room for its key, and it was to be refused.
    Full,
}

/// A sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// The sum in the window with this amount in it.
    pub total: u64,
    /// Whether it is above the maximum: the limit fires.
    pub is_over: bool,
    /// Whether this is the call to warn of: the first at or above `warn` in its window.
    pub is_warning: bool,
    /// Whether it was counted under the key for what did not fit.
    pub is_folded: bool,
    /// For `release`, when the call is rejected after all. `None`: nothing was added, because the sum was at the maximum
    /// before, or because nothing is written here.
    pub reserved: Option<Reserved>,
}

/// What was added, and where, so that it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    pub(crate) key: Key,
    /// The number of the sub-bucket, as the shape has it.
    pub(crate) tick: u64,
    pub(crate) amount: u64,
    pub(crate) max: u64,
    pub(crate) window: Window,
}

/// What limits said of an attempt, as the policy writes it: less than `Told::COUNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told(pub u16);

impl Told {
    /// Values there are.
    pub const COUNT: u16 = (1 << 12) - 1;
}

/// Whether a transaction is one of an attempt that was seen in the last 32 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is the first, or there were four already: the limits are evaluated, and `settle` is told the result.
    New,
    /// The limits have been evaluated, with this result. `None`: another shard is just at it; the limits are read, nothing is
    /// added, and `settle` says whose result stands.
    Same(Option<Told>),
}

/// A hold that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The code that it answers with, as `NewHold` had it.
    pub code: u16,
    /// How long it still lasts, seconds, rounded up.
    pub left_s: u32,
}

/// A hold to be placed. One that is in force is not extended.
#[derive(Debug, Clone, Copy)]
pub struct NewHold<'a> {
    /// The code that it is to answer with.
    pub code: u16,
    /// How long, seconds.
    pub seconds: u32,
    /// Whose share of the table it takes.
    pub owner: Owner,
    /// Whom and what it holds, for whoever lists and releases holds.
    pub text: &'a HoldText,
}

/// What a hold is about, in words: domain, subscriber, limit, caller, address, number or prefix or country. Octets that are
/// not UTF-8 are shown as `\xNN`, and so are those of a backslash, of a control and of what moves a terminal or turns the
/// direction of writing; what is too long is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldText {
    octets: [u8; Self::BYTES],
    length: u8,
}

impl HoldText {
    /// Octets of all fields with a line end after each.
    pub const BYTES: usize = 232;
    /// Fields that there are.
    pub const FIELDS: usize = 6;
    /// Octets of one field.
    pub const FIELD_BYTES: usize = 37;

    /// In this order: domain, subscriber, limit, caller, address, what the limit counts to. One that does not matter to the
    /// limit is empty.
    #[must_use]
    pub fn new(fields: [&[u8]; Self::FIELDS]) -> Self {
        let mut writer = Writer(Self {
            octets: [0; Self::BYTES],
            length: 0,
        });
        for field in fields {
            let end = usize::from(writer.0.length).saturating_add(Self::FIELD_BYTES);
            for chunk in field.utf8_chunks() {
                for letter in chunk.valid().chars() {
                    // A line end would pass for one of ours.
                    if is_unsafe(letter) || letter == '\\' {
                        for octet in letter.encode_utf8(&mut [0; 4]).bytes() {
                            let _fits = write!(writer.until(end), "\\x{octet:02x}");
                        }
                    } else {
                        let _fits = writer.until(end).write_char(letter);
                    }
                }
                for octet in chunk.invalid() {
                    let _fits = write!(writer.until(end), "\\x{octet:02x}");
                }
            }
            writer.push(b"\n");
        }
        writer.0
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> [&str; Self::FIELDS] {
        let octets = self.octets.get(..usize::from(self.length));
        let text = octets.and_then(|octets| str::from_utf8(octets).ok());
        let mut lines = text.unwrap_or_default().lines();
        [(); Self::FIELDS].map(|()| lines.next().unwrap_or_default())
    }

    /// The octets that are kept, and how many of them count.
    pub(super) fn parts(&self) -> (&[u8; Self::BYTES], u8) {
        (&self.octets, self.length)
    }

    /// From octets that were kept; `None` if that was never one.
    pub(super) fn from_parts(octets: [u8; Self::BYTES], length: u8) -> Option<Self> {
        let text = octets.get(..usize::from(length))?;
        (str::from_utf8(text).ok()?.lines().count() == Self::FIELDS)
            .then_some(Self { octets, length })
    }
}

const _: () = assert!(
    HoldText::FIELDS * (HoldText::FIELD_BYTES + 1) <= HoldText::BYTES
        && HoldText::BYTES <= u8::MAX as usize
);

struct Writer(HoldText);

impl Writer {
    fn push(&mut self, octets: &[u8]) {
        let from = usize::from(self.0.length);
        let to = from.saturating_add(octets.len());
        if let (Some(room), Ok(length)) = (self.0.octets.get_mut(from..to), u8::try_from(to)) {
            room.copy_from_slice(octets);
            self.0.length = length;
        }
    }

    /// Writes up to this length and no further.
    fn until(&mut self, end: usize) -> Until<'_> {
        Until { writer: self, end }
    }
}

struct Until<'a> {
    writer: &'a mut Writer,
    end: usize,
}

impl std::fmt::Write for Until<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let to = usize::from(self.writer.0.length).saturating_add(text.len());
        if to > self.end {
            // Nothing shorter may follow: the field would have a hole.
            self.end = 0;
            return Err(std::fmt::Error);
        }
        self.writer.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holds_text_keeps_its_fields_apart_whatever_is_in_them() {
        let long = [b'9'; 100];
        let text = HoldText::new([
            "acme\u{85}".as_bytes(),
            b"line\nend \\",
            "Zürich\u{202e}\u{feff}".as_bytes(),
            b"\xff\x00",
            &long,
            b"",
        ]);
        let nines = "9".repeat(HoldText::FIELD_BYTES);
        let want = [
            "acme\\xc2\\x85",
            "line\\x0aend \\x5c",
            "Zürich\\xe2\\x80\\xae\\xef\\xbb\\xbf",
            "\\xff\\x00",
            &nines,
            "",
        ];
        assert_eq!(text.fields(), want);
        let (octets, length) = text.parts();
        assert_eq!(HoldText::from_parts(*octets, length), Some(text));
        assert_eq!(HoldText::from_parts(*octets, length - 1), None);
        let full = HoldText::new([&long; HoldText::FIELDS]);
        assert_eq!(full.fields(), [nines.as_str(); HoldText::FIELDS]);
    }
}
