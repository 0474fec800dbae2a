//! The records of a key whose histories are in other steps than the one that its maximum asks for: an edit of the maximum
//! leaves them behind.
//!
//! Promises: until it is old, what they have counts, whichever of them an edit makes the key's own; while there are none, a
//! sum costs one comparison more.
//! Leaves to `live`: making records, and freeing them when they are expired.

use super::key::Key;
use super::live::{Counters, Kind, LONG, Moment, SHIFT_BITS};
use super::sum::Terms;
use super::types::Window;
use super::words::Ordering;

/// How long an expired record may wait for the sweeps that free it, seconds: they may be late while a snapshot is built.
const LEFT_SECONDS: u64 = 600;

/// What a key's other records have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Others {
    pub(super) total: u64,
    /// The last warning, as a record has it.
    pub(super) warned: u64,
    are_there: bool,
}

impl Counters {
    /// What the other records of a key have, if any key may have some.
    #[inline]
    pub(super) fn others(
        &self,
        key: &Key,
        window: Window,
        terms: (Kind, u32),
        at: Moment,
    ) -> Others {
        let until_s = self.steps_differ_until_s.load(Ordering::Acquire);
        // Of a day or a period each key has one record.
        if until_s == 0 || until_s < at.now_s || matches!(terms, (Kind::Since(_), _)) {
            return Others::default();
        }
        let others = self.look_for_others(key, terms);
        if others.are_there {
            // As long as both are there, either may be the one that an edit makes the key's own again.
            self.expect_others(Self::expiry(window, at).1);
        }
        others
    }

    /// As above, also when none are expected.
    #[cold]
    pub(super) fn look_for_others(&self, key: &Key, (kind, shift): (Kind, u32)) -> Others {
        let mut others = Others::default();
        let is_long = matches!(kind, Kind::Long(_));
        let name = Self::name(key, shift);
        self.others_of(key.place, name, is_long, |record, shift| {
            let total = match kind {
                // Of these each key has one record.
                Kind::Since(_) => None,
                Kind::Short(tick) => self
                    .cells(record)
                    .map(|cells| cells.peek(Terms::<false>::in_steps(shift, 0), tick)),
                Kind::Long(tick) => self
                    .cells(record)
                    .map(|cells| cells.peek(Terms::<true>::in_steps(shift, 0), tick)),
            };
            others.total = others.total.saturating_add(total.unwrap_or(0));
            others.warned = others.warned.max(self.meta(record) & 0xffff_ffff);
            others.are_there = true;
        });
        others
    }

    /// A record was made at a place that others have: if they are of the same key, they are looked for from now on. Afterwards,
    /// not before: of two shards that make two of them at once, the later one sees the other's (`index.rs` says why).
    #[cold]
    pub(super) fn entered_beside_others(
        &self,
        place: u64,
        name: u64,
        is_long: bool,
        record: Option<u32>,
    ) {
        let until_s = record.map_or(0, |record| self.meta(record) >> 32);
        let until_s = u32::try_from(until_s).unwrap_or(u32::MAX);
        self.others_of(place, name, is_long, |_, _| self.expect_others(until_s));
    }

    /// Until then, and until what is expired by then has been swept away, keys may have several records.
    pub(super) fn expect_others(&self, until_s: u32) {
        let until_s = u64::from(until_s).saturating_add(LEFT_SECONDS);
        self.steps_differ_until_s
            .fetch_max(until_s, Ordering::AcqRel);
    }

    /// Goes over the other records of a key: their numbers, and in which steps their histories are.
    fn others_of(&self, place: u64, name: u64, is_long: bool, mut each: impl FnMut(u32, u32)) {
        self.index.each(place, |record| {
            let other = self.lines(record).first().map_or(0, |line| {
                let [there, ..] = &line.0;
                there.load(Ordering::Acquire)
            });
            if (record & LONG != 0) == is_long
                && other != name
                && other & !SHIFT_BITS == name & !SHIFT_BITS
            {
                each(record, u32::try_from(other & SHIFT_BITS).unwrap_or(0));
            }
        });
    }
}
