//! Calls whose server wants credentials: their second INVITE, with Timers A and B of its own (RFC 3261 §22.2, §17.1.1.2).
//!
//! Promises: a call is here from the challenge to its final answer or Timer B; the copies of its INVITE are the same octets.
//! Not every call is challenged, so that this one allocates.

use std::collections::{BTreeSet, HashMap};

use crate::clock::Nanos;
use crate::limits::{TIMER_A_T1S, TIMER_B_T1S};

/// What a timer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The INVITE once more.
    Copy(u64),
    /// The call is lost.
    Lost(u64),
}

#[derive(Debug)]
struct Retry {
    authorization: Box<[u8]>,
    sent: Nanos,
    /// Copies that Timer A has sent.
    copies: usize,
    /// A provisional answer came: Timer A is off.
    proceeding: bool,
}

#[derive(Debug)]
pub(super) struct Retries {
    calls: HashMap<u64, Retry>,
    timers: BTreeSet<(Nanos, u64)>,
    t1: Nanos,
    retransmit: bool,
}

impl Retries {
    pub(super) fn new(t1: Nanos, retransmit: bool) -> Self {
        Self {
            calls: HashMap::new(),
            timers: BTreeSet::new(),
            t1,
            retransmit,
        }
    }

    /// Takes note of a second INVITE with this header line.
    pub(super) fn begin(&mut self, number: u64, authorization: Box<[u8]>, now: Nanos) {
        let retry = Retry {
            authorization,
            sent: now,
            copies: 0,
            proceeding: false,
        };
        self.timers.insert((self.due_of(&retry), number));
        self.calls.insert(number, retry);
    }

    /// The header line of a call's second INVITE.
    pub(super) fn authorization(&self, number: u64) -> Option<&[u8]> {
        self.calls.get(&number).map(|retry| &*retry.authorization)
    }

    /// A provisional answer: Timer A stops.
    pub(super) fn proceeding(&mut self, number: u64) {
        let Some(mut retry) = self.calls.remove(&number) else {
            return;
        };
        self.timers.remove(&(self.due_of(&retry), number));
        retry.proceeding = true;
        self.timers.insert((self.due_of(&retry), number));
        self.calls.insert(number, retry);
    }

    /// The call is over.
    pub(super) fn end(&mut self, number: u64) {
        if let Some(retry) = self.calls.remove(&number) {
            self.timers.remove(&(self.due_of(&retry), number));
        }
    }

    /// When the next timer fires.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.timers.first().map(|&(due, _)| due)
    }

    /// What a timer that has fired wants.
    pub(super) fn take_due(&mut self, now: Nanos) -> Option<Due> {
        let &(due, number) = self.timers.first()?;
        if due > now {
            return None;
        }
        self.timers.remove(&(due, number));
        let mut retry = self.calls.remove(&number)?;
        if due >= self.lost_at(&retry) {
            return Some(Due::Lost(number));
        }
        retry.copies += 1;
        self.timers.insert((self.due_of(&retry), number));
        self.calls.insert(number, retry);
        Some(Due::Copy(number))
    }

    fn due_of(&self, retry: &Retry) -> Nanos {
        let lost_at = self.lost_at(retry);
        let after = TIMER_A_T1S
            .get(retry.copies)
            .filter(|_| self.retransmit && !retry.proceeding);
        after.map_or(lost_at, |t1s| {
            retry.sent.saturating_add(self.t1.saturating_mul(*t1s))
        })
    }

    fn lost_at(&self, retry: &Retry) -> Nanos {
        retry
            .sent
            .saturating_add(self.t1.saturating_mul(TIMER_B_T1S))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Nanos = 500;

    fn fired(retries: &mut Retries, until: Nanos) -> Vec<(Nanos, Due)> {
        let mut all = Vec::new();
        while let Some(due) = retries.next_due().filter(|&due| due <= until) {
            all.extend(retries.take_due(due).map(|what| (due, what)));
        }
        all
    }

    #[test]
    fn a_second_invite_has_timers_a_and_b_of_its_own() {
        let mut retries = Retries::new(T1, true);
        retries.begin(7, b"x"[..].into(), 1000);
        assert_eq!(retries.authorization(7), Some(&b"x"[..]));
        let all = fired(&mut retries, Nanos::MAX);
        let copies =
            [500, 1500, 3500, 7500, 15_500, 31_500].map(|after| (1000 + after, Due::Copy(7)));
        assert_eq!(all[..6], copies);
        assert_eq!(all[6..], [(33_000, Due::Lost(7))]);
        assert_eq!(retries.authorization(7), None);
    }

    #[test]
    fn an_answer_ends_it_and_a_provisional_one_ends_its_copies() {
        let mut retries = Retries::new(T1, true);
        retries.begin(1, b"x"[..].into(), 0);
        retries.begin(2, b"x"[..].into(), 0);
        retries.end(1);
        retries.proceeding(2);
        retries.proceeding(3);
        assert_eq!(fired(&mut retries, Nanos::MAX), [(32_000, Due::Lost(2))]);
        assert_eq!(retries.next_due(), None);
    }

    #[test]
    fn without_retransmission_only_timer_b_runs() {
        let mut retries = Retries::new(T1, false);
        retries.begin(1, b"x"[..].into(), 0);
        assert_eq!(fired(&mut retries, Nanos::MAX), [(32_000, Due::Lost(1))]);
    }
}
