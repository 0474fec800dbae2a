//! The rules through the snapshot's own door: a bundle in, an attempt in, a decision out.
//!
//! Promises: each sentence of the semantics that a decision can show has a case here.
//! Leaves to the tables' own files: that a table answers as going through its rows would.

mod answers;
mod exact;
mod limits;
mod order;
mod reach;
mod who;

use super::counting::{Counting, Uncounted};
use super::rows::{
    Action, AddressBlock, CallingHeader, ContactHostRow, Count, DestinationRow, DomainRow, During,
    LimitAction, LimitRow, ListRow, Mode, Pattern, PolicyRow, Profile, Risk, Rows, Scope,
    StatusOverrides, SubscriberRow, TranslateRow, Whereto, Who, Window,
};
use super::{
    CallAttempt, Code, Decision, HeaderFamily, Peer, Reach, Scheme, Screening, Snapshot, Source,
    Verdict,
};
use crate::clock::Now;
use crate::counters::{self, Attempt, Counted, Held, Key, KeyHasher, NewHold, Reserved};
use crate::e164::E164;
use std::net::IpAddr;
use std::sync::Arc;

const PEER: &str = "192.0.2.1";

fn now(unix_s: u64) -> Now {
    Now {
        monotonic_ns: 0,
        unix_us: unix_s * 1_000_000,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn number(digits: &str) -> E164 {
    E164::from_digits(digits.as_bytes()).unwrap()
}

/// `a/bits`, or one address.
fn block(text: &str) -> AddressBlock {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let first = ip(address);
    match first {
        IpAddr::V4(v4) => {
            let bits: u8 = bits.parse().unwrap_or(32);
            let host = u32::MAX.unbounded_shr(bits.into());
            AddressBlock {
                first,
                last: IpAddr::V4((v4.to_bits() | host).into()),
                prefix_bits: bits,
            }
        }
        IpAddr::V6(v6) => {
            let bits: u8 = bits.parse().unwrap_or(128);
            let host = u128::MAX.unbounded_shr(bits.into());
            AddressBlock {
                first,
                last: IpAddr::V6((v6.to_bits() | host).into()),
                prefix_bits: bits,
            }
        }
    }
}

fn wire_codes() -> [[u8; 3]; Code::ALL.len()] {
    Code::ALL.map(|code| code.text().as_bytes().try_into().unwrap())
}

fn domain(name: &str) -> DomainRow {
    DomainRow {
        name: name.to_owned(),
        peers: vec![block(PEER)],
        proxies: Vec::new(),
        names: vec![format!("pbx.{name}.example")],
        mode: Mode::Prevention,
        trust_headers: true,
        default_policy: 0,
        default_subscriber: "unknown".to_owned(),
        profile: Profile::Redirect,
        calling_from: vec![CallingHeader::From],
        bare_e164: true,
        emergency: vec![b"112".to_vec(), b"911".to_vec()],
        contact_host: ContactHostRow::From,
        force_rport: false,
        spoofing_filtered: false,
        wire_codes: wire_codes(),
        statuses: StatusOverrides::default(),
        translations: vec![TranslateRow {
            matches: b"011".to_vec(),
            strip: 3,
            prepend: Vec::new(),
            min_digits: 0,
            max_digits: usize::MAX,
        }],
    }
}

fn policy(name: &str) -> PolicyRow {
    PolicyRow::named(name)
}

fn subscriber(domain: usize, name: &str) -> SubscriberRow {
    SubscriberRow {
        domain,
        name: name.to_owned(),
        policy: None,
        users: Vec::new(),
        user_ranges: Vec::new(),
        peers: Vec::new(),
        tech_prefix: None,
    }
}

fn listed(scope: Scope, pattern: Pattern, deny: Option<Code>) -> ListRow {
    ListRow {
        scope,
        pattern,
        deny,
        expires_unix_s: None,
        file: 0,
        line: 1,
    }
}

fn destination(
    prefix: &str,
    country: &'static str,
    number_type: &'static str,
    risk: Risk,
    continent: &'static str,
) -> DestinationRow {
    DestinationRow {
        prefix: number(prefix),
        country,
        number_type,
        risk,
        continent,
    }
}

/// One domain, one policy, a few destinations.
fn rows() -> Rows {
    Rows {
        generation: "test".to_owned(),
        domains: vec![domain("acme")],
        policies: vec![policy("std")],
        subscribers: Vec::new(),
        lists: Vec::new(),
        list_files: vec!["lists/test.csv".to_owned()],
        destinations: Arc::new([
            destination("44", "GB", "fixed", Risk::Low, "EU"),
            destination("4470", "GB", "personal", Risk::High, "EU"),
            destination("53", "CU", "fixed", Risk::High, "NA"),
            destination("1", "US", "fixed-or-mobile", Risk::Low, "NA"),
            destination("881", "satellite", "mobile", Risk::High, ""),
        ]),
        rates: Vec::new(),
    }
}

/// A limit whose code says what it is; fires with the first call.
fn limit(code: Code) -> LimitRow {
    LimitRow {
        name: format!("limit-{}", code.text()),
        who: Who::default(),
        to: Whereto::Any,
        count: Count::Attempts,
        window: Some(Window::Seconds(60)),
        warn: None,
        max: 0,
        hold_s: None,
        during: During::Always,
        action: LimitAction::Reject,
        code,
    }
}

fn build(rows: &Rows) -> Snapshot {
    Snapshot::build(rows, now(1_000))
}

/// A plain INVITE from the peer to this user part.
fn attempt<'a>(snapshot: &Snapshot, user_part: &'a str) -> CallAttempt<'a> {
    let peer = match snapshot.source(ip(PEER)) {
        Source::Peer(peer) => peer,
        other => panic!("{PEER} is {other:?}"),
    };
    attempt_of(peer, user_part)
}

fn attempt_of(peer: Peer, user_part: &str) -> CallAttempt<'_> {
    CallAttempt {
        peer,
        peer_address: ip(PEER),
        proxy_address: None,
        scheme: Scheme::Sip,
        user_part: user_part.as_bytes(),
        from_user: b"1001",
        from_host: b"192.0.2.1",
        asserted_identity_user: None,
        preferred_identity_user: None,
        remote_party_user: None,
        call_id: b"1",
        from_tag: b"a",
        user_agent: Some(b"Asterisk PBX"),
        screening: Screening::NONE,
        diverted: false,
    }
}

fn screening<'a>() -> Screening<'a> {
    Screening {
        family: HeaderFamily::PTfps,
        ..Screening::NONE
    }
}

fn decide(snapshot: &Snapshot, attempt: &CallAttempt<'_>) -> Decision {
    let prepared = snapshot.prepare(attempt);
    snapshot.touch(&prepared);
    snapshot.touch_entries(&prepared);
    let decision = snapshot.decide(attempt, &prepared, &Tight::default(), now(1_000));
    // Whatever is decided here could be foreseen.
    for code in [Some(decision.code), decision.would].into_iter().flatten() {
        assert_eq!(snapshot.reach(code), Reach::Decides, "{code:?}");
    }
    let reported = Code::ALL
        .into_iter()
        .filter(|code| decision.reports.contains(*code));
    for code in reported {
        assert!(snapshot.reach(code) >= Reach::Reports, "{code:?}");
    }
    decision
}

/// Counters that are empty, and have no room for a limit with this maximum.
#[derive(Default)]
struct Tight(Uncounted);

const NO_ROOM_MAX: u64 = 77;

impl Counting for Tight {
    fn hasher(&self) -> &KeyHasher {
        self.0.hasher()
    }

    fn touch(&self, _key: &Key) {}

    fn fetch(&self, _key: &Key, _owner: counters::Owner) -> counters::Seen {
        counters::Seen::Unseen
    }

    fn add(&self, count: &counters::Count, now: Now) -> Counted {
        if count.max == NO_ROOM_MAX {
            return Counted::Full;
        }
        self.0.add(count, now)
    }

    fn peek(&self, count: &counters::Count, now: Now) -> Counted {
        self.0.peek(count, now)
    }

    fn release(&self, _reserved: &Reserved, _now: Now) {}

    fn held(&self, _key: &Key, _now: Now) -> Option<Held> {
        None
    }

    fn hold(&self, _key: &Key, _hold: &NewHold<'_>, _now: Now) -> bool {
        true
    }

    fn touch_hold(&self, _key: &Key) {}

    fn touch_attempt(&self, _key: &Key) {}

    fn attempt(&self, _key: &Key, _now: Now) -> Attempt {
        Attempt::New
    }

    fn told(&self, _key: &Key, _now: Now) -> Option<counters::Told> {
        None
    }

    fn settle(&self, _key: &Key, told: counters::Told, _now: Now) -> counters::Told {
        told
    }
}

/// What a call to `user_part` comes to: its code, or the error.
fn outcome(snapshot: &Snapshot, user_part: &str) -> String {
    words(&decide(snapshot, &attempt(snapshot, user_part)))
}

fn words(decision: &Decision) -> String {
    match decision.verdict {
        Verdict::Error(error) => format!("{error:?}"),
        Verdict::Approve | Verdict::Reject | Verdict::Divert => decision.code.text().to_owned(),
    }
}
