//! A sum over a window, in the words of one line, or of two above an hour.
//!
//! Promises: no lock; what is added is in the sum until at least the window has passed, and at most one sub-bucket longer; of
//! amounts that are added at once, each sees those that came before it, so that never more than the maximum pass; a sum at
//! its maximum is read and not written.
//! Leaves to its users: which line is whose, and that new ones are zero.
//!
//! A window is cut into `steps` sub-buckets. The newest is one word, the *head*: 24 bits of its number (the tick) and 40 of
//! amount, exact. When time moves on, the head is first written down in the history, as a field of some bits, and then
//! begins anew. Fields stand in words, each with the number of the lap in which it was written, so that old ones are not
//! read. Sums above what a field holds are kept in steps of a power of two, rounded up: they fire early by at most
//! one field's step for every sub-bucket, never late.

use super::words::{AtomicU64, Line, Ordering};

/// How a window is cut. A run of `steps` + 1 sub-buckets is always there: the partial oldest, whole ones, and the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Sub-buckets in a window.
    pub(super) steps: u64,
    /// Words of history.
    words: u64,
    /// Fields in one word.
    fields: u32,
    /// Bits of a field.
    bits: u32,
}

impl Cut {
    /// For windows up to an hour: one line.
    pub(super) const SHORT: Self = Self::new(5, 4, 13);
    /// For those above it: two.
    pub(super) const LONG: Self = Self::new(13, 5, 12);

    const fn new(words: u64, fields: u32, bits: u32) -> Self {
        assert!(fields * bits < u64::BITS, "some bits are left for the lap");
        Self {
            // The first of the run may stand at the end of its word.
            steps: (words - 1) * fields as u64 + 1,
            words,
            fields,
            bits,
        }
    }

    /// Largest amount of a field.
    pub(super) const fn field_max(self) -> u64 {
        (1 << self.bits) - 1
    }

    fn lap_shift(self) -> u32 {
        self.fields.wrapping_mul(self.bits)
    }

    /// The lap of a group of ticks, as far as a word keeps it.
    fn lap(self, group: u64) -> u64 {
        group.wrapping_div(self.words) & (u64::MAX >> self.lap_shift())
    }

    /// The latest group, up to `newest`, whose place is this one.
    fn group_at(self, place: u64, newest: u64) -> Option<u64> {
        let at = newest.wrapping_rem(self.words);
        let back = if place <= at {
            at.wrapping_sub(place)
        } else {
            at.wrapping_add(self.words).wrapping_sub(place)
        };
        newest.checked_sub(back)
    }

    /// The fields before that of this tick in its word, as bits.
    fn before(self, tick: u64) -> u64 {
        !(u64::MAX << field_shift(self, tick))
    }

    /// Fields of even number. Added up, each has the room of two.
    fn even(self) -> u64 {
        let mut mask = 0;
        let mut field = 0;
        while field < self.fields {
            mask |= self.field_max() << (field * self.bits);
            field += 2;
        }
        mask
    }
}

const _: () = assert!(Cut::SHORT.steps == 17);
const _: () = assert!(
    Cut::LONG.steps >= 51,
    "above an hour, a partial sub-bucket is less than 2 % of the window"
);

/// A head: 24 bits of tick above 40 of amount.
const AMOUNT_BITS: u32 = 40;
pub(super) const AMOUNT_MAX: u64 = (1 << AMOUNT_BITS) - 1;
const TICK_MASK: u64 = u64::MAX >> AMOUNT_BITS;

/// The words of one sum, of two lines when it is `LONG`. The first two of the first line are its user's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a, const LONG: bool> {
    pub(super) first: &'a Line,
    /// Of a long one.
    pub(super) second: Option<&'a Line>,
}

/// What was seen and done by `add`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// The sum, with the amount.
    pub(super) total: u64,
    /// The tick that it was added to; `None`: it was not, the sum was at its maximum.
    pub(super) tick: Option<u64>,
}

/// What an amount is added under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<const LONG: bool> {
    /// Amounts in the history are shifted so far.
    pub(super) shift: u32,
    max: u64,
}

impl<const LONG: bool> Terms<LONG> {
    /// How a window of this kind is cut.
    pub(super) const CUT: Cut = if LONG { Cut::LONG } else { Cut::SHORT };

    /// A field holds the maximum, so a full one is at the maximum.
    pub(super) fn new(max: u64) -> Self {
        let bits = u64::BITS.saturating_sub(max.leading_zeros());
        Self::in_steps(bits.saturating_sub(Self::CUT.bits), max)
    }

    /// With a history in steps of this power of two, whatever the maximum.
    pub(super) fn in_steps(shift: u32, max: u64) -> Self {
        Self { shift, max }
    }

    fn rounded_up(self, amount: u64) -> u64 {
        let rest = 1_u64.unbounded_shl(self.shift).saturating_sub(1);
        amount
            .saturating_add(rest)
            .unbounded_shr(self.shift)
            .min(Self::CUT.field_max())
    }
}

fn head(tick: u64, amount: u64) -> u64 {
    tick << AMOUNT_BITS | amount.min(AMOUNT_MAX)
}

/// The tick of a head, of which 24 bits are there: the one nearest to `tick`. An empty head is as old as can be.
fn tick_of(head: u64, tick: u64) -> u64 {
    let ahead = (head >> AMOUNT_BITS).wrapping_sub(tick) & TICK_MASK;
    if ahead <= TICK_MASK >> 1 && head != 0 {
        return tick.saturating_add(ahead);
    }
    tick.saturating_sub((TICK_MASK + 1).wrapping_sub(ahead))
}

impl<'a, const LONG: bool> Cells<'a, LONG> {
    fn head(self) -> &'a AtomicU64 {
        let [_, _, head, ..] = &self.first.0;
        head
    }

    /// The words of history, in their order.
    fn history(self) -> impl Iterator<Item = &'a AtomicU64> {
        let [_, _, _, first @ ..] = &self.first.0;
        let second = self.second.map(|line| &line.0);
        first.iter().chain(second.into_iter().flatten())
    }

    /// The sum of the fields from `first` to `last`, ends included.
    #[inline]
    fn written(self, terms: Terms<LONG>, first: u64, last: u64) -> u64 {
        let cut = Terms::<LONG>::CUT;
        if first > last {
            return 0;
        }
        let newest = last.wrapping_div(cut.fields.into());
        let oldest = first.wrapping_div(cut.fields.into());
        // Only the words at the ends have fields that lie outside.
        let in_oldest = !cut.before(first);
        let in_newest = (cut.before(last) << cut.bits) | cut.field_max();
        let at = newest.wrapping_rem(cut.words);
        let lap = cut.lap(newest);
        let lap_before = cut.lap(newest.saturating_sub(cut.words));
        let all = !(u64::MAX << cut.lap_shift());
        let even = cut.even();
        let mut sums = 0_u64;
        for (place, word) in (0_u64..).zip(self.history()) {
            let word = word.load(Ordering::Acquire);
            // Of most keys little was ever written down.
            if word == 0 {
                continue;
            }
            let Some(group) = cut.group_at(place, newest) else {
                continue;
            };
            // No division for every place: it is one of two.
            let lap = if place <= at { lap } else { lap_before };
            if word >> cut.lap_shift() != lap || group < oldest {
                continue;
            }
            let mut fields = word & all;
            if group == oldest {
                fields &= in_oldest;
            }
            if group == newest {
                fields &= in_newest;
            }
            sums = sums
                .wrapping_add(fields & even)
                .wrapping_add(fields >> cut.bits & even);
        }
        let mut sum = 0_u64;
        while sums != 0 {
            // Two fields' room is enough: thirteen words of two fields each.
            let room = cut.bits.wrapping_mul(2);
            sum = sum.wrapping_add(sums & !(u64::MAX << room));
            sums >>= room;
        }
        sum.unbounded_shl(terms.shift)
    }

    /// The sum of the window that ends with `tick`, given the head, whose tick is not later.
    #[inline]
    fn window(self, terms: Terms<LONG>, tick: u64, head: u64, head_tick: u64) -> u64 {
        let first = tick.saturating_sub(Terms::<LONG>::CUT.steps);
        let newest = if head_tick >= first {
            head & AMOUNT_MAX
        } else {
            0
        };
        let Some(last) = head_tick.checked_sub(1) else {
            return newest;
        };
        newest.saturating_add(self.written(terms, first, last))
    }

    /// The sum of the window that ends with `tick`.
    pub(super) fn peek(self, terms: Terms<LONG>, tick: u64) -> u64 {
        let head = self.head().load(Ordering::Acquire);
        let head_tick = tick_of(head, tick);
        self.window(terms, tick.max(head_tick), head, head_tick)
    }

    /// Adds, unless the sum is at its maximum. A shard whose clock was read earlier than another's adds to the other's tick.
    #[inline]
    pub(super) fn add(self, terms: Terms<LONG>, tick: u64, amount: u64) -> Added {
        let word = self.head();
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let head_tick = tick_of(seen, tick);
            let tick = tick.max(head_tick);
            let before = self.window(terms, tick, seen, head_tick);
            let total = before.saturating_add(amount);
            if before >= terms.max {
                return Added { total, tick: None };
            }
            let next = if tick == head_tick {
                head(tick, (seen & AMOUNT_MAX).saturating_add(amount))
            } else {
                self.write_down(terms, tick, seen, head_tick);
                head(tick, amount)
            };
            match word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                // Between `seen` and here nobody has added, so `total` is the sum that this one made.
                Ok(_) => {
                    return Added {
                        total,
                        tick: Some(tick),
                    };
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Writes the head down in the history, and clears what is older than the window that ended with the head; when the head
    /// itself is older than the new window, everything. Whoever does so at the same time writes the same; the larger amount
    /// stays. Once another one has moved the head on, the history is that one's, and nothing of it is touched.
    fn write_down(self, terms: Terms<LONG>, tick: u64, head: u64, head_tick: u64) {
        // A new record's head: nothing was written down, and there is nothing to.
        if head == 0 {
            return;
        }
        let cut = Terms::<LONG>::CUT;
        let amount = terms.rounded_up(head & AMOUNT_MAX);
        let newest = head_tick.wrapping_div(cut.fields.into());
        let is_over = head_tick < tick.saturating_sub(cut.steps);
        for (place, word) in (0_u64..).zip(self.history()) {
            let group = cut.group_at(place, newest);
            loop {
                let seen = word.load(Ordering::Acquire);
                // Nobody writes here but at the newest place.
                if seen == 0 && group != Some(newest) {
                    break;
                }
                // A word that somebody wrote after moving the head on is read only when the head can be seen to have moved.
                if self.head().load(Ordering::Acquire) != head {
                    return;
                }
                let kept = match group {
                    Some(group) if !is_over && seen >> cut.lap_shift() == cut.lap(group) => seen,
                    Some(_) | None => 0,
                };
                let next = if group == Some(newest) && !is_over && amount > 0 {
                    set_field(cut, kept, head_tick, amount)
                } else {
                    kept
                };
                if next == seen
                    || word
                        .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
                        .is_ok()
                {
                    break;
                }
            }
        }
    }

    /// Takes back what `add` added at this tick, as far as it is still there.
    pub(super) fn release(self, terms: Terms<LONG>, tick: u64, amount: u64) {
        let cut = Terms::<LONG>::CUT;
        let word = self.head();
        let mut seen = word.load(Ordering::Acquire);
        while tick_of(seen, tick) == tick && seen != 0 {
            let next = head(tick, (seen & AMOUNT_MAX).saturating_sub(amount));
            match word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        let group = tick.wrapping_div(cut.fields.into());
        let place = usize::try_from(group.wrapping_rem(cut.words)).unwrap_or(usize::MAX);
        let Some(word) = self.history().nth(place) else {
            return;
        };
        let shift = field_shift(cut, tick);
        let mut seen = word.load(Ordering::Acquire);
        while seen >> cut.lap_shift() == cut.lap(group) {
            let field = seen >> shift & cut.field_max();
            // A full field may stand for more than it says.
            if field == cut.field_max() {
                return;
            }
            let less = field.saturating_sub(amount.unbounded_shr(terms.shift));
            let next = seen & !(cut.field_max() << shift) | less << shift;
            match word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

fn field_shift(cut: Cut, tick: u64) -> u32 {
    let field = tick.wrapping_rem(cut.fields.into());
    u32::try_from(field).unwrap_or(0).wrapping_mul(cut.bits)
}

/// The word with this amount in the field of this tick, unless a larger one stands there.
fn set_field(cut: Cut, word: u64, tick: u64, amount: u64) -> u64 {
    let lap = cut.lap(tick.wrapping_div(cut.fields.into()));
    let fields = !(u64::MAX << cut.lap_shift());
    let kept = if word >> cut.lap_shift() == lap {
        word & fields
    } else {
        0
    };
    let shift = field_shift(cut, tick);
    let larger = amount.max(kept >> shift & cut.field_max());
    lap << cut.lap_shift() | kept & !(cut.field_max() << shift) | larger << shift
}

/// A sum since the begin of a day or a period: the head alone, with the begin in place of a tick.
pub(super) mod since {
    use super::{AMOUNT_BITS, AMOUNT_MAX, Added, Cells, Ordering, TICK_MASK, head};

    /// Minutes by which another shard's begin may be later than ours and still be right: a batch is decided within that.
    /// Farther ahead, the wall clock has been set back.
    const AHEAD_MINUTES: u64 = 2 * 24 * 60;

    /// What the head keeps of a begin: minutes.
    pub(in super::super) fn tag(start_unix_s: u64) -> u64 {
        (start_unix_s / 60) & TICK_MASK
    }

    fn standing(seen: u64, tag: u64) -> (u64, u64) {
        let ahead = (seen >> AMOUNT_BITS).wrapping_sub(tag) & TICK_MASK;
        if ahead <= AHEAD_MINUTES && seen != 0 {
            return (seen >> AMOUNT_BITS, seen & AMOUNT_MAX);
        }
        (tag, 0)
    }

    /// The sum since the begin.
    pub(in super::super) fn peek(cells: Cells<'_, false>, tag: u64) -> u64 {
        standing(cells.head().load(Ordering::Acquire), tag).1
    }

    /// Adds, unless the sum is at its maximum.
    pub(in super::super) fn add(cells: Cells<'_, false>, tag: u64, amount: u64, max: u64) -> Added {
        let word = cells.head();
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let (tick, before) = standing(seen, tag);
            let total = before.saturating_add(amount);
            if before >= max {
                return Added { total, tick: None };
            }
            match word.compare_exchange(
                seen,
                head(tick, total),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Added {
                        total,
                        tick: Some(tick),
                    };
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Takes back, if the sum is still of that begin.
    pub(in super::super) fn release(cells: Cells<'_, false>, tag: u64, amount: u64) {
        let word = cells.head();
        let mut seen = word.load(Ordering::Acquire);
        while seen >> AMOUNT_BITS == tag {
            let next = head(tag, (seen & AMOUNT_MAX).saturating_sub(amount));
            match word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}
