//! What is written down of a decided call: the answer that was sent, and what the rules went by.

use crate::harness::{Bench, INVITE, SOURCE, invite_with};
use crate::rows;
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate::counters::{Counters, Size};
use tollgate::event::{Event, Outcome};
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::net::Datagram;
use tollgate::policy::rows::{
    CallingHeader, Count, DomainRow, During, LimitAction, LimitRow, Profile, Rows, Whereto, Who,
    Window,
};
use tollgate::policy::{CallError, Code, Verdict};
use tollgate::shard::Stages;
use tollgate::uas::Uas;

/// What the packet path makes of one datagram: its outcome and its event.
fn record(change: impl FnOnce(&mut Rows), bytes: &[u8]) -> (Outcome, Event) {
    let mut rows = rows::approving();
    change(&mut rows);
    let policy = rows::snapshot(&rows);
    let source: SocketAddr = SOURCE.parse().expect("an address");
    let datagram = Datagram {
        bytes,
        full_length: bytes.len(),
        source,
        local: None,
    };
    let uas = Uas::new([7; 16]);
    let mut slot = uas.slot();
    let mut out = [0; RESPONSE_BYTES_MAX];
    Stages::scan(&uas, &policy, &datagram, &mut slot);
    Stages::admit(&uas, &policy, &datagram, &mut slot);
    Stages::decide(&uas, &policy, &datagram, rows::at_ms(0), &mut slot);
    Stages::respond(&uas, &policy, &datagram, &mut slot, &mut out).expect("an answer");
    let mut event = Event::EMPTY;
    uas.describe(&datagram, &slot, &mut event);
    (uas.outcome(&slot), event)
}

/// A first domain with the same peers, in a profile whose errors are all 403.
fn behind_failover(rows: &mut Rows) {
    let named = DomainRow {
        names: vec!["pbx.example.com".to_owned()],
        ..rows.domains[0].clone()
    };
    rows.domains[0].name = "first".to_owned();
    rows.domains[0].profile = Profile::Failover;
    rows.domains.push(named);
}

/// A From host of a kilobyte would stand in the answer twice (P4). `P-tfps` names the domain in its place.
fn amplifier() -> Vec<u8> {
    let long = "h".repeat(1200);
    let request = String::from_utf8(invite_with("pbx.example.com", &long)).expect("text");
    request
        .replacen(
            "Max-Forwards",
            "P-tfps: 1003;pbx.example.com\r\nMax-Forwards",
            1,
        )
        .into_bytes()
}

#[test]
fn an_error_after_the_domain_is_known_wears_that_domains_profile() {
    let mut bench = Bench::with(behind_failover);
    // Escaped, the user is longer than Asterisk dials.
    let long = format!("sip:{}@127", "#".repeat(30));
    let outcome = bench.send(&invite_with("sip:011442071838750@127", &long));
    assert_eq!(outcome.status(), Some(484));
    assert_eq!(bench.send(&amplifier()).status(), Some(513));
    // The first domain's profile, where the call is the first domain's.
    let elsewhere = invite_with("pbx.example.com", "first");
    assert_eq!(bench.send(&elsewhere).status(), Some(503));
}

#[test]
fn a_call_whose_redirection_could_not_be_sent_is_no_approval() {
    let (outcome, event) = record(|_| {}, &amplifier());
    assert_eq!((outcome, event.status), (Outcome::ErrorTooLarge, Some(513)));
    let verdict = event.decision.map(|decision| decision.verdict);
    assert_eq!(verdict, Some(Verdict::Error(CallError::TooLarge)));
    let (outcome, event) = record(|_| {}, INVITE.as_bytes());
    assert_eq!((outcome, event.status), (Outcome::Approved, Some(302)));
    let verdict = event.decision.map(|decision| decision.verdict);
    assert_eq!(verdict, Some(Verdict::Approve));
}

/// Requests whose From host, which stands in the Contact as well, is of lengths around what their answers may have; those
/// that are too long come first.
fn hosts_of_many_lengths() -> impl Iterator<Item = Vec<u8>> {
    let hosts = (1..420).rev().step_by(3).map(|length| "h".repeat(length));
    hosts.enumerate().flat_map(|(number, host)| {
        let text = String::from_utf8(invite_with("pbx.example.com", &host)).expect("text");
        let text = text.replacen("5070;branch", "5070;rport;branch", 1);
        // With nothing but what an answer repeats, as short as can be, and with more.
        let unrepeated = ["Contact", "User-Agent", "Content-", "Max-Forwards", "v=0"];
        let is_repeated = |line: &&str| !unrepeated.iter().any(|name| line.starts_with(name));
        let lean: String = text.split_inclusive('\n').filter(is_repeated).collect();
        let lean = [("Via: ", "v:"), ("From: ", "f:"), ("To: ", "t:")]
            .into_iter()
            .fold(lean, |lean, (name, short)| lean.replacen(name, short, 1));
        let padding = format!("X-Padding: {}\r\nCSeq", "p".repeat(300));
        let padded = text.replacen("CSeq", &padding, 1);
        [("lean", lean), ("padded", padded)].map(|(name, text)| {
            text.replacen("Call-ID: ", &format!("Call-ID: {name}{number}-"), 1)
                .into_bytes()
        })
    })
}

#[test]
fn a_call_whose_redirection_could_not_be_sent_is_no_attempt_and_no_approved_call() {
    let statuses = |count: Count, max: u64| {
        let mut bench = Bench::with(|rows| {
            rows.policies[0].limits = vec![LimitRow {
                name: "all".to_owned(),
                who: Who::default(),
                to: Whereto::Any,
                count,
                window: Some(Window::Seconds(3600)),
                warn: None,
                max,
                hold_s: None,
                during: During::Always,
                action: LimitAction::Reject,
                code: Code::R13,
            }];
        });
        let size = Size {
            keys: 64,
            attempts: 1 << 12,
        };
        let counters = Counters::new(size, [1; 32]).expect("there is address space");
        bench.uas = bench.uas.with_counters(Arc::new(counters));
        let mut found = [0_u64; 3];
        for request in hosts_of_many_lengths() {
            let status = bench.send(&request).status().expect("an answer");
            let place = [302, 513, 603].iter().position(|known| *known == status);
            found[place.unwrap_or_else(|| panic!("{status}"))] += 1;
        }
        found
    };
    for count in [Count::Attempts, Count::Approved] {
        let [approved, too_long, _] = statuses(count, 100_000);
        assert!(approved > 20 && too_long > 20, "{approved} {too_long}");
        // Just enough for those that were approved, so no other one counts; and one too few.
        assert_eq!(statuses(count, approved), [approved, too_long, 0]);
        assert_eq!(statuses(count, approved - 1), [approved - 1, too_long, 1]);
    }
}

#[test]
fn screening_headers_that_the_domain_does_not_trust_are_no_facts() {
    let request = invite_with(
        "User-Agent: ",
        "P-tfps: 1001;d;192.0.2.1;A;7\r\nUser-Agent: ",
    );
    for (trusted, caller, agent, address, calls) in [
        (true, "1001", "A", Some("192.0.2.1"), Some(7)),
        (false, "1003", "Asterisk PBX 16.28.0", None, None),
    ] {
        let (_, event) = record(|rows| rows.domains[0].trust_headers = trusted, &request);
        assert_eq!(event.caller().bytes(), caller.as_bytes(), "{trusted}");
        assert_eq!(event.agent().bytes(), agent.as_bytes(), "{trusted}");
        assert_eq!(
            event.address,
            address.map(|text| text.parse().expect("an address"))
        );
        assert_eq!(event.reported_calls, calls, "{trusted}");
    }
    // SEMANTICS: the first family is used alone, and an empty field is an absent one.
    let (_, event) = record(
        |_| {},
        &invite_with("User-Agent: ", "P-tfps: 1;d;;;7\r\nUser-Agent: "),
    );
    assert_eq!(event.agent().bytes(), b"");
}

#[test]
fn the_calling_number_is_the_first_present_of_the_configured_headers() {
    use CallingHeader::{AssertedIdentity, From, PreferredIdentity, RemotePartyId};
    let fields =
        "P-Asserted-Identity: <sip:+3906111@x>\r\nRemote-Party-ID: <tel:+3906222>\r\nUser-Agent: ";
    let request = invite_with("User-Agent: ", fields);
    for (headers, want) in [
        (&[From][..], "1003"),
        (&[AssertedIdentity, From], "+3906111"),
        (&[PreferredIdentity, RemotePartyId, From], "+3906222"),
        (&[PreferredIdentity, From], "1003"),
        (&[PreferredIdentity], ""),
    ] {
        let (_, event) = record(
            |rows| rows.domains[0].calling_from = headers.to_vec(),
            &request,
        );
        let seen = String::from_utf8_lossy(event.calling().bytes()).into_owned();
        assert_eq!(seen, want, "{headers:?}");
    }
}
