//! A request that comes again: the same answer, once decided, whatever happened to the policy meanwhile.

use crate::harness::{INVITE, SOURCE, invite_with, memory};
use crate::rows;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use tollgate::event::Outcome;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::metrics::{BatchCounts, ShardMetrics};
use tollgate::policy::rows::{Action, ContactHostRow, Profile, Rows};
use tollgate::policy::{Code, Snapshot};
use tollgate::uas::{Packet, Recall, Slot, TransactionMemory, Uas};

/// Milliseconds at which a client sends an INVITE that nobody answers (RFC 3261 §17.1.1.2): T1 doubling, for 64 × T1.
const TIMER_A_MS: [u64; 7] = [0, 500, 1500, 3500, 7500, 15_500, 31_500];

/// What one packet got.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    text: Vec<u8>,
    destination: Option<SocketAddr>,
    recall: Recall,
    outcome: Outcome,
    code: Option<Code>,
    domain: Option<u16>,
}

fn ask_from(source: &str, uas: &Uas, policy: &Snapshot, ms: u64, bytes: &[u8]) -> Got {
    let packet = Packet {
        bytes,
        full_length: bytes.len(),
        source: source.parse().unwrap(),
    };
    let mut slot = Slot::new();
    let mut out = [0xAA; RESPONSE_BYTES_MAX];
    let reply = uas.answer(policy, &packet, rows::at_ms(ms), &mut slot, &mut out);
    let decision = slot.decision();
    Got {
        text: out[..reply.map_or(0, |reply| reply.length)].to_vec(),
        destination: reply.map(|reply| reply.destination),
        recall: slot.recall(),
        outcome: Outcome::of(slot.admission(), decision, slot.recall(), reply.is_some()),
        code: decision.map(|decision| decision.code),
        domain: decision.and_then(|decision| decision.domain),
    }
}

fn ask(uas: &Uas, policy: &Snapshot, ms: u64, bytes: &[u8]) -> Got {
    ask_from(SOURCE, uas, policy, ms, bytes)
}

fn uas(memory: &Arc<TransactionMemory>) -> Uas {
    Uas::new([7; 16]).with_memory(Arc::clone(memory))
}

fn policy(change: impl FnOnce(&mut Rows)) -> Snapshot {
    let mut rows = rows::approving();
    change(&mut rows);
    rows::snapshot(&rows)
}

fn fixed_host(rows: &mut Rows, host: &str) {
    rows.domains[0].contact_host = ContactHostRow::Fixed(host.to_owned());
}

fn rejecting(rows: &mut Rows) {
    rows.policies[0].unknown_prefix = Action::Reject;
}

#[test]
fn a_copy_after_a_policy_swap_gets_the_answer_of_before_octet_for_octet() {
    let approving = || policy(|rows| fixed_host(rows, "old.example"));
    let changes: [fn(&mut Rows); 6] = [
        rejecting,
        |rows| fixed_host(rows, "new.example"),
        |rows| rows.domains[0].contact_host = ContactHostRow::Source,
        |rows| rows.domains[0].profile = Profile::Failover,
        |rows| rows.domains[0].force_rport = true,
        |rows| rows.domains[0].wire_codes[Code::A00.index()] = *b"X42",
    ];
    for change in changes {
        let uas = uas(&memory(1024));
        let first = ask(&uas, &approving(), 0, INVITE.as_bytes());
        assert_eq!(first.outcome, Outcome::Approved);
        let shown = String::from_utf8(first.text.clone()).unwrap();
        assert!(shown.contains("@old.example>"), "{shown}");
        let changed = policy(change);
        let copy = ask(&uas, &changed, 31_500, INVITE.as_bytes());
        let expected = Got {
            recall: Recall::Repeated,
            outcome: Outcome::Repeated,
            ..first.clone()
        };
        assert_eq!(copy, expected);
        // A new transaction and, later, the same octets again are decided by the policy in force.
        let other = invite_with("branch=z9hG4bK48de1b64", "branch=z9hG4bK48de1b65");
        let anew = ask(&uas, &changed, 31_500, &other);
        assert_ne!(anew.outcome, Outcome::Repeated);
        let late = ask(&uas, &changed, 34_000, INVITE.as_bytes());
        assert_ne!(late.outcome, Outcome::Repeated);
        assert_ne!(late.text, first.text);
        assert_eq!(late.code, anew.code);
    }
}

#[test]
fn a_rejection_and_an_error_are_repeated_as_well() {
    for (bytes, outcome) in [
        (INVITE.as_bytes().to_vec(), Outcome::Rejected),
        (
            invite_with("sip:011442071838750@127.0.0.1:5060 ", "sip:a!b@127.0.0.1 "),
            Outcome::ErrorAddressIncomplete,
        ),
        (
            invite_with(
                "sip:011442071838750@127.0.0.1:5060 ",
                "sip:A00123@127.0.0.1 ",
            ),
            Outcome::ErrorLoop,
        ),
    ] {
        let uas = uas(&memory(1024));
        let first = ask(&uas, &policy(rejecting), 0, &bytes);
        assert_eq!(first.outcome, outcome);
        let monitor = policy(|rows| rows.domains[0].profile = Profile::Monitor);
        let copy = ask(&uas, &monitor, 500, &bytes);
        assert_eq!(copy.outcome, Outcome::Repeated);
        assert_eq!(copy.text, first.text);
    }
}

/// RFC 3261 §8.1.1.7: another branch is another transaction; and what the decision depends on is part of it.
#[test]
fn whatever_differs_that_counts_makes_another_transaction() {
    let uas = uas(&memory(1024));
    let policy = policy(|_| {});
    let asked = |source: &str, bytes: &[u8]| ask_from(source, &uas, &policy, 0, bytes).recall;
    assert!(matches!(
        asked(SOURCE, INVITE.as_bytes()),
        Recall::Remembered { .. }
    ));
    let changed = |from: &str, to: &str| invite_with(from, to);
    for bytes in [
        changed(
            "sip:011442071838750@127.0.0.1:5060 SIP",
            "sip:011442071838751@127.0.0.1:5060 SIP",
        ),
        changed("branch=z9hG4bK48de1b64", "branch=z9hG4bK48de1b6"),
        changed("127.0.0.1:5070;branch", "127.0.0.2:5070;branch"),
        changed("sip:1003@pbx", "sip:1004@pbx"),
        changed("tag=as74dd9bd9", "tag=as74dd9bd8"),
        changed("Call-ID: 2", "Call-ID: 3"),
        changed("CSeq: 102", "CSeq: 103"),
        changed("User-Agent: Asterisk", "User-Agent: asterisk"),
        changed("User-Agent: ", "P-tfps: 1001;d\r\nUser-Agent: "),
        changed("User-Agent: ", "P-tfps: 1002;d\r\nUser-Agent: "),
        changed("User-Agent: ", "X-tfps: 1001;d\r\nUser-Agent: "),
        changed("User-Agent: ", "X-tfps: 1001;d\r\nP-UA: x\r\nUser-Agent: "),
        changed(
            "User-Agent: ",
            "X-tfps: 1001;d\r\nP-Calls: x\r\nUser-Agent: ",
        ),
        changed(
            "User-Agent: ",
            "X-tfps: 1001;d\r\nX-tfps: 2\r\nUser-Agent: ",
        ),
        changed(
            "User-Agent: ",
            "P-Asserted-Identity: <sip:1@d>\r\nUser-Agent: ",
        ),
        changed(
            "User-Agent: ",
            "P-Preferred-Identity: <sip:1@d>\r\nUser-Agent: ",
        ),
        changed("User-Agent: ", "Remote-Party-ID: <sip:1@d>\r\nUser-Agent: "),
        changed("User-Agent: ", "Diversion: <sip:1@d>\r\nUser-Agent: "),
    ] {
        let shown = String::from_utf8_lossy(&bytes);
        assert!(
            matches!(asked(SOURCE, &bytes), Recall::Remembered { .. }),
            "{shown}"
        );
        assert_eq!(asked(SOURCE, &bytes), Recall::Repeated, "{shown}");
    }
    // Another peer is another caller; another port of the same peer is not.
    assert!(matches!(
        asked("127.0.0.9:40000", INVITE.as_bytes()),
        Recall::Remembered { .. }
    ));
    assert_eq!(
        asked("127.0.0.1:40001", INVITE.as_bytes()),
        Recall::Repeated
    );
}

#[test]
fn strangers_and_what_is_no_call_never_touch_the_memory() {
    let uas = uas(&memory(1024));
    let policy = policy(|_| {});
    for (source, bytes) in [
        ("10.0.0.1:5060", INVITE.as_bytes().to_vec()),
        (SOURCE, crate::harness::request("OPTIONS").into_bytes()),
        (SOURCE, crate::harness::request("ACK").into_bytes()),
        (SOURCE, crate::harness::request("CANCEL").into_bytes()),
        (SOURCE, invite_with("CSeq: 102 INVITE", "CSeq: 102 BYE")),
        (SOURCE, invite_with("5060>", "5060>;tag=1")),
    ] {
        for ms in [0, 500] {
            let got = ask_from(source, &uas, &policy, ms, &bytes);
            assert_eq!(got.recall, Recall::Unasked);
            assert_ne!(got.outcome, Outcome::Repeated);
        }
    }
}

/// Calls by `number`, each with its own branch, Call-ID, tag and called number.
fn call(number: u64) -> Vec<u8> {
    INVITE
        .replace("z9hG4bK48de1b64", &format!("z9hG4bK{number:08}"))
        .replace("2250b2316e4f", &format!("{number:012}"))
        .replace("as74dd9bd9", &format!("as{number:08}"))
        .replace("011442071838750", &format!("01144207{number:07}"))
        .into_bytes()
}

/// A storm: every INVITE seven times over 32 seconds, calls coming all the time, to two shards by turns.
fn storm(calls: u64, per_second: u64, entries: usize) -> (ShardMetrics, u64) {
    let memory = memory(entries);
    let shards = [uas(&memory), uas(&memory)];
    let mut rules = rows::approving();
    rules.lists = Vec::new();
    let policies = [rows::snapshot(&rules), policy(rejecting)];
    let mut sent: Vec<(u64, u64)> = (0..calls)
        .flat_map(|number| TIMER_A_MS.map(|after| (number * 1000 / per_second + after, number)))
        .collect();
    sent.sort_unstable();
    let metrics = ShardMetrics::new();
    let mut answers: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut answered_differently = 0;
    for (place, (ms, number)) in sent.into_iter().enumerate() {
        // The policy is swapped every ten seconds.
        let swapped = &policies[usize::try_from(ms / 10_000 % 2).unwrap()];
        let got = ask(&shards[place % 2], swapped, ms, &call(number));
        let mut counts = BatchCounts::new(&metrics);
        counts.outcome(got.outcome);
        counts.recall(got.recall);
        metrics.count_batch(&counts);
        if got.recall != Recall::Repeated {
            metrics.count_verdict(0, got.code.unwrap(), None);
        }
        let first = answers.entry(number).or_insert_with(|| got.text.clone());
        answered_differently += u64::from(*first != got.text);
        if place % 1000 == 0 {
            memory.sweep(rows::at_ms(ms));
        }
    }
    (metrics, answered_differently)
}

fn outcome(metrics: &ShardMetrics, outcome: Outcome) -> u64 {
    metrics.outcomes[outcome.index()].get()
}

#[test]
fn in_a_storm_each_call_is_decided_once_and_answered_alike_each_time() {
    const CALLS: u64 = 2000;
    let (metrics, answered_differently) = storm(CALLS, 40, tollgate::uas::entries_for(100));
    assert_eq!(answered_differently, 0);
    let decided = outcome(&metrics, Outcome::Approved) + outcome(&metrics, Outcome::Rejected);
    assert_eq!(decided, CALLS);
    assert_eq!(outcome(&metrics, Outcome::Repeated), 6 * CALLS);
    assert_eq!(metrics.datagrams.get(), 7 * CALLS);
    assert_eq!(metrics.verdicts(0).iter().sum::<u64>(), CALLS);
    // Both policies decided some.
    assert!(metrics.verdicts(0)[Code::A00.index()] > 100);
    assert!(metrics.verdicts(0)[Code::R07.index()] > 100);
    assert_eq!(metrics.transactions_evicted_young.get(), 0);
    assert!(metrics.transactions_depth_us.get() > 32_000_000);
}

#[test]
fn when_the_memory_is_too_small_for_the_storm_its_metrics_say_so() {
    const CALLS: u64 = 2000;
    // 512 entries for 40 calls a second, most of which come back when they are forgotten: no more than 12 seconds.
    let (metrics, answered_differently) = storm(CALLS, 40, 512);
    assert!(answered_differently > 0);
    assert!(metrics.verdicts(0).iter().sum::<u64>() > CALLS);
    assert!(metrics.transactions_evicted_young.get() > 1000);
    let depth_s = metrics.transactions_depth_us.get() / 1_000_000;
    assert!((4..=20).contains(&depth_s), "{depth_s}");
    assert_eq!(metrics.datagrams.get(), 7 * CALLS);
}

/// Two shards that get the same packets at once, by different policies: one decides, the other answers as that one.
#[test]
fn copies_that_reach_two_shards_at_once_are_decided_once_and_answered_alike() {
    const CALLS: u64 = 3000;
    let memory = memory(1 << 16);
    let barrier = Arc::new(Barrier::new(2));
    let shards: Vec<_> = [policy(|_| {}), policy(rejecting)]
        .into_iter()
        .map(|policy| {
            let (uas, barrier) = (uas(&memory), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                (0..CALLS)
                    .map(|number| ask(&uas, &policy, 0, &call(number)))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut answers = shards.into_iter().map(|shard| shard.join().unwrap());
    let (one, other) = (answers.next().unwrap(), answers.next().unwrap());
    let mut decided = [0, 0];
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.text, other.text);
        assert_eq!(one.code, other.code);
        let firsts = [one, other].map(|got| got.recall != Recall::Repeated);
        assert!(firsts[0] != firsts[1]);
        decided[usize::from(firsts[1])] += 1;
    }
    assert_eq!(decided[0] + decided[1], CALLS);
}
