//! What an input costs: in proportion to its length, and never much more than an ordinary call, whatever it is made of.
//!
//! Promises: costs are processor time of this thread, compared within one run, the least of many tries: no machine is too slow or too
//! busy for it. Leaves to `replay.rs`: what fuzzing found.

use crate::harness::{Bench, INVITE, SOURCE, messages};
use tollgate::limits::{DATAGRAM_BYTES_MAX, RESPONSE_BYTES_MAX};
use tollgate::policy::rows::{ListRow, Pattern, Rows, Scope};
use tollgate::sys::thread_time_ns;
use tollgate::uas::{Packet, Slot};

/// How a hostile datagram is made: what stands before what is repeated, what is repeated, and what stands behind.
type Shape = (&'static str, fn(usize) -> Vec<u8>);

const TRIES: usize = 12;
const IN_A_ROW: usize = 4;

/// An ordinary call of some 450 octets; a datagram is at most nine times as long, and may be made of the dearest octets.
const TIMES_THE_ORDINARY_MAX: u64 = 60;

/// Four times the octets may cost four times as much, and twice that for caches and luck; squared would be sixteen times.
const TIMES_THE_QUARTER_MAX: u64 = 8;

/// How often the two are measured before it is a fault.
const ROUNDS: usize = 5;

/// What the clock itself costs, and more, nanoseconds.
const FREE_NS: u64 = 3_000;

/// `INVITE` with the piece before and behind a filling, as long as `length` allows.
fn filled(length: usize, at: &str, before: &str, filling: &str, behind: &str) -> Vec<u8> {
    let (head, tail) = INVITE.split_at(INVITE.find(at).expect("a place") + at.len());
    let fixed = head.len() + before.len() + behind.len() + tail.len();
    let times = length.saturating_sub(fixed) / filling.len();
    [head, before, &filling.repeat(times), behind, tail]
        .concat()
        .into_bytes()
}

/// A header of its own, after the first line.
fn header(length: usize, before: &str, filling: &str, behind: &str) -> Vec<u8> {
    filled(
        length,
        "SIP/2.0\r\n",
        before,
        filling,
        &format!("{behind}\r\n"),
    )
}

const SHAPES: [Shape; 34] = [
    ("commas", |n| header(n, "Subject: ", ",", "")),
    ("semicolons", |n| header(n, "Subject: ", ";", "")),
    ("commas in a Via", |n| {
        header(n, "Via: SIP/2.0/UDP h", ",", "")
    }),
    ("semicolons in the top Via", |n| {
        header(n, "Via: SIP/2.0/UDP h", ";", "")
    }),
    ("parameters of the top Via", |n| {
        header(n, "Via: SIP/2.0/UDP h", ";a=b", "")
    }),
    ("quoted parameters of a Via", |n| {
        header(n, "Via: SIP/2.0/UDP h;a=\"", "\\\"", "\"")
    }),
    ("a thousand Via values", |n| header(n, "v: a", ",a", "")),
    ("many Vias", |n| {
        header(n, "v: SIP/2.0/UDP h", "\r\nv: SIP/2.0/UDP h", "")
    }),
    ("folds", |n| header(n, "Subject: a", "\r\n a", "")),
    ("empty folds", |n| header(n, "Subject: a", "\r\n ", "")),
    ("folds in a Via", |n| {
        header(n, "Via: SIP/2.0/UDP h", "\r\n ", "")
    }),
    ("folds in P-tfps", |n| header(n, "P-tfps: 1", "\r\n ", ";d")),
    ("quotes", |n| filled(n, "From: ", "", "\"\"", "")),
    ("quoted pairs", |n| filled(n, "From: \"", "", "\\\"", "")),
    ("an open quote", |n| {
        filled(n, "From: \"Bob", "\" \"", "x", "")
    }),
    ("brackets", |n| filled(n, "To: ", "", "<", "")),
    ("brackets and quotes", |n| {
        filled(n, "To: ", "", "<\">\"", "")
    }),
    ("at signs", |n| filled(n, "sip:011", "", "@", "")),
    ("escapes", |n| filled(n, "sip:011", "", "%30", "")),
    ("broken escapes", |n| filled(n, "sip:011", "", "%", "")),
    ("separators", |n| filled(n, "sip:011", "", "-", "")),
    ("digits", |n| filled(n, "sip:011", "", "4", "")),
    ("brackets of IPv6", |n| {
        filled(n, "sip:011442071838750@", "", "[", "")
    }),
    ("P-tfps fields", |n| header(n, "P-tfps: ", ";", "")),
    ("P-tfps addresses", |n| {
        header(n, "P-tfps: 1;d", ";1.2.3.4", "")
    }),
    ("copies of P-tfps", |n| {
        header(n, "P-tfps: 1", "\r\nP-tfps: 1", "")
    }),
    ("copies of P-UA", |n| {
        header(n, "P-UA: 1", "\r\nP_UA: 2", "")
    }),
    ("identities", |n| {
        header(n, "P-Asserted-Identity: <sip:1@h>", ", <sip:1@h>", "")
    }),
    ("extensions", |n| header(n, "Require: a", ",a", "")),
    ("short headers", |n| header(n, "a:", "\r\na:", "")),
    ("blanks before a colon", |n| {
        header(n, "Subject", " ", ": x")
    }),
    ("a long agent", |n| {
        filled(n, "User-Agent: ", "", "sipvicious-aaaaaaab ", "")
    }),
    ("line ends before the start", |n| {
        [
            &b"\r\n".repeat(n.saturating_sub(INVITE.len()) / 2),
            INVITE.as_bytes(),
        ]
        .concat()
    }),
    ("line ends and nothing else", |n| b"\r\n".repeat(n / 2)),
];

/// Agents on the lists: words, and expressions that a backtracking engine would die of.
fn with_agents(rows: &mut Rows) {
    let row = |pattern| ListRow {
        scope: Scope::System,
        pattern,
        deny: None,
        expires_unix_s: None,
        file: 0,
        line: 1,
    };
    rows.list_files.push("lists/agents.csv".to_owned());
    for expression in [
        "(a+)+b$",
        "(a|a)*c",
        "(.*)(.*)(.*)x",
        "(a*)*$",
        "[a-z]{1,40}z",
    ] {
        rows.lists
            .push(row(Pattern::AgentExpression(expression.to_owned())));
    }
    for number in 0..10_000 {
        rows.lists
            .push(row(Pattern::AgentPart(format!("scanner-{number}-x"))));
    }
}

/// Processor time of one answer, nanoseconds.
fn cost_ns(bench: &Bench, slot: &mut Slot, bytes: &[u8]) -> u64 {
    let packet = Packet {
        bytes,
        full_length: bytes.len(),
        source: SOURCE.parse().expect("an address"),
    };
    let mut out = [0; RESPONSE_BYTES_MAX];
    let mut once = |_try| {
        let before = thread_time_ns().expect("a clock");
        for _ in 0..IN_A_ROW {
            let _reply = bench
                .uas
                .answer(&bench.policy, &packet, bench.now, slot, &mut out);
        }
        thread_time_ns().expect("a clock").saturating_sub(before)
    };
    (0..TRIES).map(&mut once).min().unwrap_or(0) / u64::try_from(IN_A_ROW).unwrap()
}

#[test]
fn the_dearest_datagram_costs_in_proportion_to_its_length() {
    let bench = Bench::with(with_agents);
    let mut slot = Slot::new();
    let ordinary = cost_ns(&bench, &mut slot, INVITE.as_bytes());
    let mut faults = Vec::new();
    for (name, shape) in SHAPES {
        let (long, quarter) = (shape(DATAGRAM_BYTES_MAX), shape(DATAGRAM_BYTES_MAX / 4));
        assert!(
            long.len() <= DATAGRAM_BYTES_MAX && long.len() * 10 > DATAGRAM_BYTES_MAX * 9,
            "{name}"
        );
        // A neighbour on this machine can slow one of the two down, but not every time.
        let rounds = (0..ROUNDS).map(|_round| {
            (
                cost_ns(&bench, &mut slot, &long),
                cost_ns(&bench, &mut slot, &quarter),
            )
        });
        let in_proportion =
            |&(whole, part): &(u64, u64)| whole <= part * TIMES_THE_QUARTER_MAX + FREE_NS;
        let mut last = (0, 0);
        let found = rounds.inspect(|round| last = *round).find(in_proportion);
        let (whole, part) = found.unwrap_or(last);
        if found.is_none() {
            faults.push(format!(
                "{name}: {whole} ns, a quarter of it {part} ns: more than in proportion"
            ));
        }
        if whole > ordinary * TIMES_THE_ORDINARY_MAX {
            faults.push(format!(
                "{name}: {whole} ns, an ordinary call {ordinary} ns"
            ));
        }
        println!(
            "{name}: {whole} ns, {part} ns, {} % of an ordinary call",
            whole * 100 / ordinary.max(1)
        );
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn no_message_of_the_corpora_costs_much_more_than_an_ordinary_call() {
    let bench = Bench::new();
    let mut slot = Slot::new();
    let ordinary = cost_ns(&bench, &mut slot, INVITE.as_bytes());
    for (name, bytes) in messages() {
        let cost = cost_ns(&bench, &mut slot, &bytes);
        assert!(
            cost <= ordinary * TIMES_THE_ORDINARY_MAX,
            "{name}: {cost} ns, an ordinary call {ordinary} ns"
        );
    }
}

#[test]
fn a_stranger_costs_the_same_whatever_it_sends() {
    // Threats T1 and T4: nothing of what strangers send is looked at.
    let bench = Bench::new();
    let mut slot = Slot::new();
    let mut cost = |bytes: &[u8]| {
        let packet = Packet {
            bytes,
            full_length: bytes.len(),
            source: "10.0.0.1:5060".parse().expect("an address"),
        };
        let mut out = [0; 1];
        let mut once = |_try| {
            let before = thread_time_ns().expect("a clock");
            for _ in 0..100 {
                assert_eq!(
                    bench
                        .uas
                        .answer(&bench.policy, &packet, bench.now, &mut slot, &mut out),
                    None
                );
            }
            thread_time_ns().expect("a clock").saturating_sub(before)
        };
        (0..TRIES).map(&mut once).min().unwrap_or(0)
    };
    let least = cost(b"x");
    for (name, shape) in SHAPES {
        let long = cost(&shape(DATAGRAM_BYTES_MAX));
        assert!(
            long <= least * 2 + FREE_NS,
            "{name}: {long} ns for 100, {least} ns for one octet each"
        );
    }
}
