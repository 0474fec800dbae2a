//! A policy for tests that stand below the configuration: rows made by hand.
//!
//! Promises: everything is approved, from `127.0.0.0/8` and `::1`, through the proxies that a test names.
//! Leaves to each test: what it changes of it.

use std::net::{IpAddr, Ipv4Addr};
use tollgate::clock::Now;
use tollgate::policy::rows::{
    Action, AddressBlock, CallingHeader, ContactHostRow, DomainRow, Mode, PolicyRow, Profile, Rows,
    StatusOverrides, TranslateRow,
};
use tollgate::policy::{Code, Snapshot};

/// One address.
pub(crate) fn single(address: &str) -> AddressBlock {
    let address: IpAddr = address.parse().expect("an address");
    AddressBlock {
        first: address,
        last: address,
        prefix_bits: if address.is_ipv4() { 32 } else { 128 },
    }
}

/// A domain of loopback that approves every call in the `redirect` profile, and its policy.
pub(crate) fn approving() -> Rows {
    let loopback = AddressBlock {
        first: Ipv4Addr::new(127, 0, 0, 0).into(),
        last: Ipv4Addr::new(127, 255, 255, 255).into(),
        prefix_bits: 8,
    };
    let domain = DomainRow {
        name: "loopback".to_owned(),
        peers: vec![loopback, single("::1")],
        proxies: Vec::new(),
        names: Vec::new(),
        mode: Mode::Prevention,
        trust_headers: true,
        default_policy: 0,
        default_subscriber: "unknown".to_owned(),
        profile: Profile::Redirect,
        calling_from: vec![CallingHeader::From],
        bare_e164: true,
        emergency: vec![b"112".to_vec()],
        contact_host: ContactHostRow::From,
        force_rport: false,
        spoofing_filtered: false,
        wire_codes: Code::ALL.map(|code| code.text().as_bytes().try_into().expect("three octets")),
        statuses: StatusOverrides::default(),
        translations: vec![
            TranslateRow {
                matches: b"011".to_vec(),
                strip: 3,
                prepend: Vec::new(),
                min_digits: 0,
                max_digits: 40,
            },
            TranslateRow {
                matches: b"1".to_vec(),
                strip: 1,
                prepend: Vec::new(),
                min_digits: 12,
                max_digits: 40,
            },
        ],
    };
    let policy = PolicyRow {
        unknown_prefix: Action::Approve,
        unknown_identity: Action::Approve,
        ..PolicyRow::named("all")
    };
    Rows {
        generation: "test".to_owned(),
        domains: vec![domain],
        policies: vec![policy],
        ..Rows::default()
    }
}

/// The snapshot of these rows, at a moment of no importance.
pub(crate) fn snapshot(rows: &Rows) -> Snapshot {
    Snapshot::build(rows, at_ms(0))
}

/// A moment of a clock that tests move by hand.
pub(crate) fn at_ms(ms: u64) -> Now {
    Now {
        monotonic_ns: ms * 1_000_000,
        unix_us: ms * 1000,
    }
}
