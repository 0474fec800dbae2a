//! SEMANTICS, Limits: what counts, when a limit fires, what holds, what is given back, and the order of it all.

mod actions;
mod attempts;
mod explained;
mod keys;
mod order;
mod sums;

use super::exact::Exact;
use super::*;
use crate::policy::rows::{
    DestinationTerm, DivertRow, OffsetRow, RateRow, ScheduleRow, WorkingHours,
};
use crate::policy::{ContactHost, ContactPlan, Decider, Foreseen};
use std::cell::{Cell, RefCell};

const SECOND_NS: u64 = 1_000_000_000;
/// A Monday, 00:00 UTC.
const MONDAY: u64 = 1_767_571_200;

/// A node with exact counters and a clock that is moved by hand.
struct Node {
    snapshot: Snapshot,
    counts: Exact,
    second: Cell<u64>,
    calls: Cell<u32>,
    /// Filled anew for every call, as in a slot.
    foreseen: RefCell<Foreseen>,
}

/// One call; each has a Call-ID of its own unless it says one.
#[derive(Clone, Copy)]
struct Caller<'a> {
    from: &'a str,
    to: &'a str,
    address: &'a str,
    reported: Option<u32>,
    call_id: Option<&'a str>,
}

const CALL: Caller<'static> = Caller {
    from: "1001",
    to: "+442071838750",
    address: "198.51.100.7",
    reported: None,
    call_id: None,
};

impl Node {
    fn new(rows: &Rows) -> Self {
        Self {
            snapshot: Snapshot::build(rows, now(MONDAY)),
            counts: Exact::new(),
            second: Cell::new(0),
            calls: Cell::new(0),
            foreseen: RefCell::default(),
        }
    }

    /// One policy with these limits.
    fn with(limits: Vec<LimitRow>) -> Self {
        let mut rows = rows();
        rows.policies[0].limits = limits;
        Self::new(&rows)
    }

    fn wait(&self, seconds: u64) {
        self.second.set(self.second.get() + seconds);
    }

    fn now(&self) -> Now {
        Now {
            monotonic_ns: (1000 + self.second.get()) * SECOND_NS,
            unix_us: (MONDAY + self.second.get()) * 1_000_000,
        }
    }

    fn decide(&self, caller: Caller<'_>) -> Decision {
        self.calls.set(self.calls.get() + 1);
        let fresh = self.calls.get().to_string();
        let mut call = attempt(&self.snapshot, caller.to);
        call.from_user = caller.from.as_bytes();
        call.call_id = caller.call_id.unwrap_or(&fresh).as_bytes();
        call.screening = Screening {
            address: Some(ip(caller.address)),
            reported_calls: caller.reported,
            ..screening()
        };
        let (snapshot, counts) = (&self.snapshot, &self.counts);
        let prepared = snapshot.prepare(&call);
        if self.calls.get().is_multiple_of(3) {
            return snapshot.decide(&call, &prepared, counts, self.now());
        }
        // How far a call was foreseen changes nothing, nor what was foreseen of the call before.
        let mut foreseen = self.foreseen.borrow_mut();
        snapshot.foresee(&call, &prepared, counts.hasher(), &mut foreseen);
        snapshot.touch_attempt(&foreseen, counts);
        if self.calls.get() % 3 == 2 {
            snapshot.touch_counters(&prepared, &mut foreseen, counts);
            snapshot.fetch_counters(&prepared, &mut foreseen, counts);
        }
        snapshot.decide_foreseen(&call, &prepared, &foreseen, (counts, self.now()))
    }

    fn code(&self, caller: Caller<'_>) -> &'static str {
        self.decide(caller).code.text()
    }

    /// The codes of so many calls, told apart by runs: `A00*3 R13*2`.
    fn codes(&self, count: usize, caller: Caller<'_>) -> String {
        let mut runs: Vec<(&str, usize)> = Vec::new();
        for _ in 0..count {
            let code = self.code(caller);
            match runs.last_mut() {
                Some((last, length)) if *last == code => *length += 1,
                _ => runs.push((code, 1)),
            }
        }
        let words: Vec<String> = runs
            .iter()
            .map(|(code, length)| format!("{code}*{length}"))
            .collect();
        words.join(" ")
    }
}

fn max(max: u64, row: LimitRow) -> LimitRow {
    LimitRow { max, ..row }
}

const SUBSCRIBER_AND_CALLER: Who = Who {
    subscriber: true,
    caller: true,
    address: false,
};

/// 09:00 to 17:00 on weekdays, UTC.
fn office() -> ScheduleRow {
    ScheduleRow {
        zone: "UTC".to_owned(),
        offsets: vec![OffsetRow {
            from_unix_s: 0,
            offset_s: 0,
        }],
        hours: vec![WorkingHours {
            months: 0x0fff,
            days: 0x1f,
            from_minute: 540,
            until_minute: 1020,
        }],
        holidays: Vec::new(),
    }
}
