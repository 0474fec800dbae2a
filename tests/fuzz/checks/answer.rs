//! A datagram end to end, stage by stage as a shard does it: from a direct peer by the sample's policy, from a peer behind a
//! proxy by one made by hand, and from a stranger. P2–P6 and P8 of every answer. Both policies have limits, and they count.
//!
//! What an input meets hangs on the input alone: memory, counters and clock begin anew with each. To reach what hangs on
//! earlier datagrams it may hold several, and say how they follow each other (`script`).

use crate::rows;
use crate::script::{Part, Script};
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate::clock::Now;
use tollgate::control::{self, Source};
use tollgate::counters::{Counters, Size};
use tollgate::event::Event;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::net::Datagram;
use tollgate::policy::rows::{
    Count, DivertRow, During, LimitAction, LimitRow, RateRow, Rows, ScheduleRow, Whereto, Who,
    Window, WorkingHours,
};
use tollgate::policy::{Code, Snapshot};
use tollgate::shard::{Stages, UasSlot};
use tollgate::uas::{Touch, TransactionMemory, Uas};

/// A server, two policies, and two slots that have seen different datagrams before.
pub(crate) struct Check {
    /// Without memory and counters.
    bare: Uas,
    uas: Uas,
    memory: Arc<TransactionMemory>,
    counters: Arc<Counters>,
    sample: Snapshot,
    made: Snapshot,
    slots: [UasSlot; 2],
    outs: [Vec<u8>; 2],
    event: Event,
    direct: SocketAddr,
    proxied: SocketAddr,
    stranger: SocketAddr,
    /// Whether memory and counters may hold something.
    used: bool,
    decided: u64,
    limited: u64,
    keys_most: u64,
}

/// When an input begins: the first Monday of 1970, six in the morning, UTC.
const START_MS: u64 = (4 * 24 + 6) * 3_600_000;

/// Room that is soon full, so that keys are folded and refused: an owner's share is eight.
const ROOM: Size = Size {
    keys: 128,
    attempts: 64,
};

/// Entries of the transaction memory: as few as it gets, so that they are replaced.
const ENTRIES: usize = 8;

/// Codes that only limits give here.
const LIMITED: [Code; 3] = [Code::R08, Code::R11, Code::R13];

/// The hand-made domain, behind a proxy.
fn proxied() -> Rows {
    let mut rows = rows::approving();
    rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
    rows
}

/// The snapshot of these rows with limits that count everything there is to count, and some of which fire.
fn limited(mut rows: Rows) -> Snapshot {
    rows.rates = vec![RateRow {
        prefix: None,
        micros_per_minute: 1_000_000,
    }];
    let policy = &mut rows.policies[0];
    policy.divert = Some(DivertRow {
        prefix: *b"D00",
        host: None,
    });
    policy.schedule = ScheduleRow {
        hours: vec![WorkingHours {
            months: 0x0fff,
            days: 0x1f,
            from_minute: 9 * 60,
            until_minute: 17 * 60,
        }],
        ..ScheduleRow::default()
    };
    policy.limits.extend(limits());
    rows::snapshot(&rows)
}

fn limits() -> Vec<LimitRow> {
    let [subscriber, caller, address] = [0, 1, 2].map(|which| Who {
        subscriber: which == 0,
        caller: which == 1,
        address: which == 2,
    });
    let minutes = |minutes: u32| Some(Window::Seconds(minutes * 60));
    vec![
        LimitRow {
            window: minutes(30),
            hold_s: Some(60),
            action: LimitAction::Reject,
            ..limit(Code::R13, caller, Whereto::Number, Count::Attempts, 5)
        },
        LimitRow {
            window: Some(Window::Day),
            during: During::WorkingHours,
            action: LimitAction::Divert,
            ..limit(Code::R11, address, Whereto::Country, Count::Approved, 12)
        },
        LimitRow {
            window: minutes(24 * 60),
            ..limit(
                Code::R09,
                subscriber,
                Whereto::Any,
                Count::Exposure,
                40_000_000,
            )
        },
        LimitRow {
            during: During::OffHours,
            action: LimitAction::Reject,
            ..limit(Code::R08, subscriber, Whereto::Any, Count::ReportedCalls, 3)
        },
        LimitRow {
            window: Some(Window::Period),
            ..limit(Code::R10, caller, Whereto::Prefix, Count::Attempts, 12)
        },
    ]
}

/// Memory and counters of a server that has just been started.
fn empty() -> (Arc<TransactionMemory>, Arc<Counters>) {
    let memory = TransactionMemory::new(ENTRIES, [9; 16]).expect("there is address space");
    let counters = Counters::new(ROOM, [3; 32]).expect("address space");
    (Arc::new(memory), Arc::new(counters))
}

/// A limit that only reports.
fn limit(code: Code, who: Who, to: Whereto, count: Count, max: u64) -> LimitRow {
    LimitRow {
        name: code.text().to_owned(),
        who,
        to,
        count,
        window: None,
        warn: Some(max / 2),
        max,
        hold_s: None,
        during: During::Always,
        action: LimitAction::Report,
        code,
    }
}

impl Check {
    /// Everything that is built once.
    pub(crate) fn new() -> Self {
        let loaded = control::load(&Source::Sample).expect("the sample has no fault");
        let mut bare = Uas::new([7; 16]);
        bare.set_listening(&["127.0.0.10:5060".parse().expect("an address")]);
        let (memory, counters) = empty();
        let uas = bare
            .clone()
            .with_memory(Arc::clone(&memory))
            .with_counters(Arc::clone(&counters));
        Self {
            slots: [Stages::slot(&uas), Stages::slot(&uas)],
            bare,
            uas,
            memory,
            counters,
            sample: limited(loaded.rows),
            made: limited(proxied()),
            outs: [(); 2].map(|()| vec![0; RESPONSE_BYTES_MAX]),
            event: Event::EMPTY,
            direct: "127.0.0.1:40000".parse().expect("an address"),
            proxied: "127.0.0.20:5060".parse().expect("an address"),
            stranger: "10.0.0.1:5060".parse().expect("an address"),
            used: false,
            decided: 0,
            limited: 0,
            keys_most: 0,
        }
    }

    /// Nothing was ever asked.
    fn begin_anew(&mut self) {
        if !self.used {
            return;
        }
        self.used = false;
        (self.memory, self.counters) = empty();
        self.uas = self
            .bare
            .clone()
            .with_memory(Arc::clone(&self.memory))
            .with_counters(Arc::clone(&self.counters));
    }

    /// Holds the datagrams of an input to the rules, one after another.
    pub(crate) fn input(&mut self, input: &[u8]) {
        self.begin_anew();
        let mut now_ms = START_MS;
        for part in Script::new(input) {
            self.part(&part, &mut now_ms);
        }
        self.keys_most = self.keys_most.max(self.counters.usage().used);
    }

    fn part(&mut self, part: &Part<'_>, now_ms: &mut u64) {
        self.uas.set_draining(part.is_draining);
        for round in 0..part.rounds {
            *now_ms += part.step_ms;
            self.datagram(&part.datagram(round), rows::at_ms(*now_ms));
        }
        if part.sweeps {
            self.used = true; // the counters know when they were swept
            let now = rows::at_ms(*now_ms);
            self.memory.sweep(now);
            self.counters.sweep(now);
        }
    }

    /// Holds one datagram to the rules.
    fn datagram(&mut self, bytes: &[u8], now: Now) {
        for (source, order) in [(self.direct, [0, 1]), (self.proxied, [1, 0])] {
            let datagram = Datagram {
                bytes,
                full_length: bytes.len(),
                source,
                local: None,
            };
            let [first, again] = order.map(|slot| self.answer(&datagram, slot, now));
            assert_eq!(first, again, "P8");
            let Some(length) = first else { continue };
            assert_eq!(self.outs[0][..length], self.outs[1][..length], "P8");
            let text = &self.outs[0][..length];
            check_answer(bytes, text);
        }
        let datagram = Datagram {
            bytes,
            full_length: bytes.len(),
            source: self.stranger,
            local: None,
        };
        assert_eq!(
            self.answer(&datagram, 0, now),
            None,
            "P4: a stranger was answered"
        );
    }

    /// How many answers had a decision, how many of these a limit rejected or diverted, and how many keys had counts at most.
    #[expect(
        clippy::allow_attributes,
        reason = "the replay asks, the fuzzer does not"
    )]
    #[allow(dead_code, reason = "the fuzzer only looks at what is wrong")]
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.decided, self.limited, self.keys_most)
    }

    /// The length of the answer.
    fn answer(&mut self, datagram: &Datagram<'_>, slot: usize, now: Now) -> Option<usize> {
        let policy = if datagram.source == self.direct {
            &self.sample
        } else {
            &self.made
        };
        let (uas, slot, out) = (&self.uas, &mut self.slots[slot], &mut self.outs[slot]);
        Stages::scan(uas, policy, datagram, slot);
        Stages::admit(uas, policy, datagram, slot);
        for step in Touch::STEPS {
            Stages::touch(uas, policy, slot, step);
        }
        Stages::decide(uas, policy, datagram, now, slot);
        let answer = Stages::respond(uas, policy, datagram, slot, out);
        let _outcome = Stages::outcome(uas, slot);
        Stages::describe(uas, datagram, slot, &mut self.event);
        let decision = self.event.decision.as_ref();
        self.used |= decision.is_some();
        let is_limited = decision.is_some_and(|decision| LIMITED.contains(&decision.code));
        self.decided += u64::from(decision.is_some());
        self.limited += u64::from(is_limited);
        let answer = answer?;
        assert_eq!(answer.destination.ip(), datagram.source.ip(), "P3");
        assert!(
            answer.stretch.at <= answer.length,
            "blanks inside the answer"
        );
        let longest = answer.length.max(answer.stretch.length_max);
        assert!(is_no_amplifier(datagram.bytes, longest), "P4: stretched");
        Some(answer.length)
    }
}

/// Whether so many octets are no more than the answer to this request may have.
fn is_no_amplifier(bytes: &[u8], octets: usize) -> bool {
    octets <= bytes.len() + 250 && (bytes.len() < 300 || octets * 2 <= bytes.len() * 3)
}

/// What is true of every answer to a peer.
fn check_answer(bytes: &[u8], text: &[u8]) {
    assert!(is_no_amplifier(bytes, text.len()), "P4");
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let start = &bytes[bytes.iter().position(|octet| !blank(octet)).unwrap_or(0)..];
    assert!(
        !start.starts_with(b"SIP/2.0") && !start.starts_with(b"ACK "),
        "P5"
    );
    assert!(text.starts_with(b"SIP/2.0 "), "P6");
    assert!(
        text.ends_with(b":0\r\n\r\n") || text.ends_with(b": 0\r\n\r\n"),
        "P6"
    );
    let (mut before, mut line_ends, mut blank_lines) = (0, 0, 0);
    for &octet in text {
        assert_eq!(before == b'\r', octet == b'\n', "P6: CRLF only");
        match octet {
            b'\n' => line_ends += 1,
            b'\r' => {}
            _ => line_ends = 0,
        }
        blank_lines += usize::from(octet == b'\n' && line_ends == 2);
        before = octet;
    }
    assert_eq!(blank_lines, 1, "P6: nothing behind the blank line");
}
