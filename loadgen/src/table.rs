//! The calls that have been sent, in the order of sending, with Timers A and B of RFC 3261 §17.1.1.2.
//!
//! Promises: finding a call by its number is one index; no heap and no queue of timers: all intervals are fixed and calls
//! are sent in order, so each timer is a cursor that walks over the calls behind the sender. A call stays until Timer B
//! has passed since its first copy, so a second answer is told from a late one. 24 octets a call.
//! Leaves to `engine`: sending. Time is an argument.

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::limits::{TABLE_CALLS_MAX, TABLE_PREALLOCATED_MAX, TIMER_A_T1S, TIMER_B_T1S};

const TIMER_A_LEVELS: usize = TIMER_A_T1S.len();

/// Where a call stands (RFC 3261 figure 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No answer yet.
    Calling,
    /// A provisional answer came: Timer A is off.
    Proceeding,
    /// The server asked for credentials: a second INVITE with timers of its own is out.
    Challenged,
    /// A final answer came.
    Answered,
    /// Timer B fired.
    Lost,
    /// No answer is to come: no timer runs.
    Silent,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    times: Times,
    state: State,
    /// Copies that Timer A has sent or skipped.
    level: u8,
}

/// When a call was due and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was meant to be sent.
    pub intended: Nanos,
    /// When its first copy was handed to the kernel.
    pub sent: Nanos,
}

/// What an answer means to the call that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The first final answer: the call is over.
    First(Times),
    /// Another final answer to a call that had one.
    Duplicate,
    /// A final answer after Timer B: the call stays lost.
    Late,
    /// An answer to what must have none.
    Unasked,
    /// No such call was sent.
    Unknown,
}

/// The calls of one engine.
#[derive(Debug)]
pub struct Table {
    calls: VecDeque<Entry>,
    /// Number of the first call in `calls`.
    base: u64,
    /// Per timer, the number of the next call that it has to look at.
    cursors: [u64; TIMER_A_LEVELS],
    /// The same for Timer B.
    lost_cursor: u64,
    /// When each copy of Timer A is due, from the first.
    copies_after: [Nanos; TIMER_A_LEVELS],
    lost_after: Nanos,
    retransmit: bool,
    outstanding: u64,
}

impl Table {
    /// A table with room for `capacity` calls (more are taken too, at the price of a move); `t1` in nanoseconds.
    #[must_use]
    pub fn new(capacity: usize, t1: Nanos, retransmit: bool) -> Self {
        Self {
            calls: VecDeque::with_capacity(capacity.min(TABLE_PREALLOCATED_MAX)),
            base: 0,
            cursors: [0; TIMER_A_LEVELS],
            lost_cursor: 0,
            copies_after: TIMER_A_T1S.map(|t1s| t1.saturating_mul(t1s)),
            lost_after: t1.saturating_mul(TIMER_B_T1S),
            retransmit,
            outstanding: 0,
        }
    }

    /// Calls without a final answer whose Timer B has not fired.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Whether no more calls may be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.len() >= TABLE_CALLS_MAX
    }

    /// The number that the next call gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.base + self.length()
    }

    /// Takes note of a call; its number is [`Self::next_number`]. Calls come in the order of `sent`.
    pub fn push(&mut self, times: Times) {
        self.calls.push_back(Entry {
            times,
            state: State::Calling,
            level: 0,
        });
        self.outstanding += 1;
    }

    /// Takes note of a call that is to have no answer; it is over at once, and kept like the others.
    pub fn push_silent(&mut self, times: Times) {
        self.calls.push_back(Entry {
            times,
            state: State::Silent,
            level: 0,
        });
    }

    /// A provisional answer: Timer A stops (RFC 3261 §17.1.1.2). False if no such call is open.
    pub fn proceeding(&mut self, number: u64) -> bool {
        let Some(entry) = self.entry_mut(number) else {
            return false;
        };
        match entry.state {
            State::Calling | State::Proceeding => {
                entry.state = State::Proceeding;
                true
            }
            State::Challenged | State::Answered | State::Lost | State::Silent => false,
        }
    }

    /// A final answer.
    pub fn answered(&mut self, number: u64) -> Match {
        if number < self.base {
            return Match::Duplicate;
        }
        let Some(entry) = self.entry_mut(number) else {
            return Match::Unknown;
        };
        match entry.state {
            State::Calling | State::Proceeding => {
                entry.state = State::Answered;
                let times = entry.times;
                self.outstanding -= 1;
                Match::First(times)
            }
            // A challenge that came twice: the second INVITE is out already.
            State::Answered | State::Challenged => Match::Duplicate,
            State::Lost => Match::Late,
            State::Silent => Match::Unasked,
        }
    }

    /// Whether the call waits for the answer to its first INVITE.
    #[must_use]
    pub fn is_open(&self, number: u64) -> bool {
        self.entry(number)
            .is_some_and(|entry| matches!(entry.state, State::Calling | State::Proceeding))
    }

    /// The server asked for credentials: the call's own timers stop, it stays open. False if no such call is open.
    pub fn challenged(&mut self, number: u64) -> bool {
        let open = self.is_open(number);
        if let Some(entry) = self.entry_mut(number).filter(|_| open) {
            entry.state = State::Challenged;
        }
        open
    }

    /// A final answer to a call's second INVITE.
    pub fn answered_again(&mut self, number: u64) -> Match {
        if self.is_open(number) {
            return Match::Unknown; // no second INVITE was sent
        }
        let challenged = self
            .entry_mut(number)
            .filter(|entry| entry.state == State::Challenged);
        let Some(entry) = challenged else {
            return self.answered(number);
        };
        entry.state = State::Answered;
        let times = entry.times;
        self.outstanding -= 1;
        Match::First(times)
    }

    /// Timer B of a second INVITE fired; `None` if the call does not wait for its answer.
    pub fn lose(&mut self, number: u64) -> Option<Times> {
        let entry = self
            .entry_mut(number)
            .filter(|entry| entry.state == State::Challenged)?;
        entry.state = State::Lost;
        let times = entry.times;
        self.outstanding -= 1;
        Some(times)
    }

    /// A call that is still open; it is lost from here on.
    pub fn next_open(&mut self) -> Option<(u64, Times)> {
        if let Some(found) = self.next_lost(Nanos::MAX) {
            return Some(found);
        }
        let challenged = self
            .calls
            .iter()
            .position(|entry| entry.state == State::Challenged)?;
        let number = self.base + u64::try_from(challenged).ok()?;
        Some((number, self.lose(number)?))
    }

    /// The number of a call that Timer A wants sent again now. After a stall one copy is sent for all that were missed.
    pub fn next_copy(&mut self, now: Nanos) -> Option<u64> {
        if !self.retransmit {
            return None;
        }
        self.unanswered()?;
        // From the last copy to the first, so that of several missed ones the latest counts.
        for level in (0..TIMER_A_LEVELS).rev() {
            while let Some((number, due)) = self.waiting_at(level) {
                if due > now {
                    break;
                }
                self.set_cursor(level, number + 1);
                let Some(entry) = self.entry_mut(number) else {
                    continue;
                };
                let level = u8::try_from(level).unwrap_or(u8::MAX);
                if entry.level <= level {
                    entry.level = level + 1;
                    return Some(number);
                }
            }
        }
        None
    }

    /// A call whose Timer B has fired now; it is lost from here on.
    pub fn next_lost(&mut self, now: Nanos) -> Option<(u64, Times)> {
        let (number, due) = self.unanswered()?;
        if due > now {
            return None;
        }
        let entry = self.entry_mut(number)?;
        entry.state = State::Lost;
        let times = entry.times;
        self.outstanding -= 1;
        self.lost_cursor = number + 1;
        Some((number, times))
    }

    /// Drops what is older than Timer B and over.
    pub fn forget(&mut self, now: Nanos) {
        while let Some(entry) = self.calls.front() {
            let over = matches!(entry.state, State::Answered | State::Lost | State::Silent);
            if !over || entry.times.sent.saturating_add(self.lost_after) > now {
                return;
            }
            self.calls.pop_front();
            self.base += 1;
        }
    }

    /// When the next timer fires.
    pub fn next_due(&mut self) -> Option<Nanos> {
        // First, so that the others need not pass what it has passed.
        let mut due = self.unanswered().map(|(_, due)| due);
        if self.retransmit && due.is_some() {
            for level in 0..TIMER_A_LEVELS {
                if let Some((_, copy)) = self.waiting_at(level) {
                    due = Some(due.map_or(copy, |due| due.min(copy)));
                }
            }
        }
        due
    }

    /// The first call at or after a level's cursor that still waits for its first answer, and when its copy is due.
    /// Calls that are over need no timer, so the cursor passes them at once; those that Timer B's cursor has passed, unseen.
    fn waiting_at(&mut self, level: usize) -> Option<(u64, Nanos)> {
        let cursor = self.cursors.get(level).copied()?;
        let mut number = cursor.max(self.lost_cursor).max(self.base);
        let after = self.copies_after.get(level).copied()?;
        let found = loop {
            let Some(entry) = self.entry(number) else {
                break None;
            };
            if entry.state == State::Calling {
                break Some((number, entry.times.sent.saturating_add(after)));
            }
            number += 1;
        };
        self.set_cursor(level, number);
        found
    }

    fn unanswered(&mut self) -> Option<(u64, Nanos)> {
        let mut number = self.lost_cursor.max(self.base);
        let found = loop {
            let Some(entry) = self.entry(number) else {
                break None;
            };
            if matches!(entry.state, State::Calling | State::Proceeding) {
                break Some((number, entry.times.sent.saturating_add(self.lost_after)));
            }
            number += 1;
        };
        self.lost_cursor = number;
        found
    }

    fn set_cursor(&mut self, level: usize, number: u64) {
        if let Some(cursor) = self.cursors.get_mut(level) {
            *cursor = number;
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.base)?).ok()
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.calls.get(self.index(number)?)
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let index = self.index(number)?;
        self.calls.get_mut(index)
    }

    fn length(&self) -> u64 {
        u64::try_from(self.calls.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Nanos = 500;

    fn table(calls: u64) -> Table {
        let mut table = Table::new(8, T1, true);
        for n in 0..calls {
            assert_eq!(table.next_number(), n);
            table.push(Times {
                intended: n,
                sent: n,
            });
        }
        table
    }

    fn copies(table: &mut Table, now: Nanos) -> Vec<u64> {
        std::iter::from_fn(|| table.next_copy(now)).collect()
    }

    fn lost(table: &mut Table, now: Nanos) -> Vec<u64> {
        std::iter::from_fn(|| table.next_lost(now).map(|(n, _)| n)).collect()
    }

    #[test]
    fn a_silent_server_sees_seven_copies_and_then_the_call_is_lost() {
        let mut table = table(1);
        let mut seen = Vec::new();
        let mut lost_at = None;
        for now in 0..40_000 {
            for _ in copies(&mut table, now) {
                seen.push(now);
            }
            if !lost(&mut table, now).is_empty() {
                lost_at = Some(now);
            }
        }
        assert_eq!(seen, [500, 1500, 3500, 7500, 15_500, 31_500]); // as chan_sip sends them
        assert_eq!(lost_at, Some(32_000));
        assert_eq!(table.outstanding(), 0);
        assert_eq!(table.next_due(), None);
    }

    #[test]
    fn the_next_timer_is_known_in_advance() {
        let mut table = table(2);
        for (now, due) in [(0, 500), (500, 501), (501, 1500), (1501, 3500)] {
            copies(&mut table, now);
            assert_eq!(table.next_due(), Some(due), "at {now}");
        }
        table.answered(0);
        assert_eq!(table.next_due(), Some(3501));
        table.answered(1);
        assert_eq!(table.next_due(), None);
    }

    #[test]
    fn an_answered_call_is_not_sent_again_nor_lost() {
        let mut table = table(3);
        assert!(matches!(table.answered(1), Match::First(_)));
        assert_eq!(copies(&mut table, 600), [0, 2]);
        assert_eq!(lost(&mut table, 40_000), [0, 2]);
    }

    #[test]
    fn what_is_to_have_no_answer_has_no_timer_and_an_answer_is_told() {
        let mut table = table(1);
        table.push_silent(Times {
            intended: 1,
            sent: 1,
        });
        table.answered(0);
        assert_eq!(table.outstanding(), 0);
        assert_eq!(table.next_due(), None);
        assert_eq!(copies(&mut table, 40_000), Vec::<u64>::new());
        assert_eq!(lost(&mut table, 40_000), Vec::<u64>::new());
        assert_eq!(table.answered(1), Match::Unasked);
        assert!(!table.proceeding(1));
        table.forget(40_000);
        assert_eq!(table.calls.len(), 0);
    }

    #[test]
    fn a_provisional_answer_stops_timer_a_but_the_call_can_be_lost() {
        let mut table = table(1);
        assert!(table.proceeding(0));
        assert!(!table.proceeding(1));
        assert_eq!(copies(&mut table, 31_999), Vec::<u64>::new());
        assert_eq!(lost(&mut table, 32_000), [0]);
        assert!(!table.proceeding(0));
    }

    #[test]
    fn after_a_stall_one_copy_is_sent_for_all_that_were_missed() {
        let mut table = table(1);
        assert_eq!(copies(&mut table, 4000), [0]);
        assert_eq!(copies(&mut table, 7499), Vec::<u64>::new());
        assert_eq!(copies(&mut table, 7500), [0]);
    }

    #[test]
    fn answers_are_first_duplicate_late_or_unknown() {
        let mut table = table(2);
        let times = Times {
            intended: 0,
            sent: 0,
        };
        assert_eq!(table.answered(0), Match::First(times));
        assert_eq!(table.answered(0), Match::Duplicate);
        assert_eq!(table.answered(2), Match::Unknown);
        assert_eq!(lost(&mut table, 33_000), [1]);
        assert_eq!(table.answered(1), Match::Late);
        table.forget(33_000);
        assert_eq!(table.answered(0), Match::Duplicate); // forgotten, but it was one of ours
        assert_eq!(table.next_number(), 2);
    }

    #[test]
    fn nothing_is_forgotten_before_timer_b_or_while_it_waits() {
        let mut table = table(3);
        table.answered(0);
        table.forget(31_999);
        assert_eq!(table.calls.len(), 3);
        table.answered(2);
        table.forget(40_000);
        assert_eq!(table.calls.len(), 2); // call 1 waits, and call 2 behind it
        assert_eq!(lost(&mut table, 40_000), [1]);
        table.forget(40_000);
        assert_eq!(table.calls.len(), 0);
    }

    #[test]
    fn a_challenged_call_stays_open_until_its_second_invite_is_answered_or_lost() {
        let mut table = table(3);
        for number in 0..3 {
            assert!(table.is_open(number) && table.challenged(number));
            assert!(!table.is_open(number) && !table.challenged(number));
        }
        assert_eq!(table.outstanding(), 3);
        assert_eq!(copies(&mut table, 40_000), Vec::<u64>::new());
        assert_eq!(lost(&mut table, 40_000), Vec::<u64>::new());
        assert_eq!(table.answered(0), Match::Duplicate);
        assert!(matches!(table.answered_again(0), Match::First(_)));
        assert_eq!(table.answered_again(0), Match::Duplicate);
        assert!(table.lose(1).is_some() && table.lose(1).is_none());
        assert_eq!(table.answered_again(1), Match::Late);
        assert_eq!(table.next_open().map(|(number, _)| number), Some(2));
        assert_eq!((table.next_open(), table.outstanding()), (None, 0));
        table.push(Times {
            intended: 3,
            sent: 3,
        });
        assert_eq!(table.answered_again(3), Match::Unknown);
    }

    #[test]
    fn without_retransmission_only_timer_b_runs() {
        let mut table = Table::new(1, T1, false);
        table.push(Times {
            intended: 0,
            sent: 0,
        });
        assert_eq!(table.next_due(), Some(32_000));
        assert_eq!(table.next_copy(31_999), None);
        assert_eq!(lost(&mut table, 32_000), [0]);
    }
}
