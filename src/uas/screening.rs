//! The screening headers of a PBX, read into raw facts: `P-tfps`, or `X-tfps` with `P-Received`, `P-UA`, `P-Calls`.
//!
//! Promises: the first family present is used alone; an empty field is an absent one; fields that contradict each
//! other are not guessed at, the call is marked instead.
//! Leaves to `policy`: whether the domain trusts these headers.

use crate::policy::{HeaderFamily, Screening};
use crate::sip::octet::{number, port, rsplit_once, split_once, trim};
use crate::sip::{Header, Request, block, via};
use std::net::IpAddr;

/// What the request's screening headers say.
#[must_use]
pub fn read<'a>(request: &Request<'a>) -> Screening<'a> {
    if let Some(value) = request.value(Header::PTfps) {
        return p_tfps(value, request.differing(Header::PTfps));
    }
    const FAMILY: [Header; 4] = [
        Header::XTfps,
        Header::PReceived,
        Header::PUa,
        Header::PCalls,
    ];
    if FAMILY.into_iter().any(|header| request.has(header)) {
        let suspect = FAMILY.into_iter().any(|header| request.differing(header));
        return x_tfps(request, suspect);
    }
    Screening::NONE
}

/// `user;domain;address;agent;calls`. A sixth field means that one of them held a `;`: usually the agent, which is free
/// text, but a caller may have forged it.
fn p_tfps(value: &[u8], duplicates_differ: bool) -> Screening<'_> {
    let (user, after) = next_field(value);
    let (domain, after) = after.map_or((None, None), next_field);
    let known = Screening {
        family: HeaderFamily::PTfps,
        user,
        domain,
        suspect: duplicates_differ,
        ..Screening::NONE
    };
    let (Some(tail), false) = (after, duplicates_differ) else {
        return known;
    };
    let (first, after) = match split_once(tail, b';') {
        Some((first, after)) => (first, Some(after)),
        None => (tail, None),
    };
    let address = caller_address(trim(first));
    let Some(after) = after else {
        return Screening { address, ..known };
    };
    let Some((mut agent, mut calls)) = split_once(after, b';') else {
        // Four fields.
        return Screening {
            address,
            agent: filled(after),
            ..known
        };
    };
    let more_than_five = block::find(calls, b';').is_some();
    if let (true, Some(last)) = (more_than_five, rsplit_once(after, b';')) {
        (agent, calls) = last;
    }
    if more_than_five && (address.is_none() || after.split(|&octet| octet == b';').any(is_address))
    {
        return Screening {
            suspect: true,
            ..known
        };
    }
    Screening {
        address,
        agent: filled(agent),
        reported_calls: reported_calls(calls),
        ..known
    }
}

/// `P-tfps` of exactly five fields, which stands once.
pub(super) fn five_fields<'a>(fields: [&'a [u8]; 5]) -> Screening<'a> {
    let [user, domain, address, agent, calls] = fields;
    Screening {
        family: HeaderFamily::PTfps,
        user: filled(user),
        domain: filled(domain),
        address: caller_address(trim(address)),
        agent: filled(agent),
        reported_calls: reported_calls(calls),
        suspect: false,
    }
}

fn x_tfps<'a>(request: &Request<'a>, suspect: bool) -> Screening<'a> {
    let identity = request.value(Header::XTfps).unwrap_or_default();
    let mut halves = identity.splitn(2, |&octet| matches!(octet, b'@' | b';'));
    let user = halves.next().and_then(filled);
    let domain = halves.next().and_then(filled);
    let known = Screening {
        family: HeaderFamily::XTfps,
        user,
        domain,
        suspect,
        ..Screening::NONE
    };
    if suspect {
        return known;
    }
    Screening {
        address: request.value(Header::PReceived).and_then(caller_address),
        agent: request.value(Header::PUa).and_then(filled),
        reported_calls: request.value(Header::PCalls).and_then(reported_calls),
        ..known
    }
}

fn next_field(value: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    match split_once(value, b';') {
        Some((field, after)) => (filled(field), Some(after)),
        None => (filled(value), None),
    }
}

fn filled(field: &[u8]) -> Option<&[u8]> {
    let field = trim(field);
    (!field.is_empty()).then_some(field)
}

fn reported_calls(field: &[u8]) -> Option<u32> {
    number(trim(field), u32::MAX)
}

fn is_address(field: &[u8]) -> bool {
    caller_address(trim(field)).is_some()
}

/// `ip`, `ip:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; IPv4-mapped ones as IPv4.
fn caller_address(text: &[u8]) -> Option<IpAddr> {
    if !matches!(text.first()?, b'[' | b':' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') {
        return None;
    }
    if let Some(address) = via::address(text) {
        return Some(address);
    }
    let (host, number) = rsplit_once(text, b':')?;
    // A bare IPv6 address with a port cannot be told from a longer address, so only a bracket lets one follow.
    if host.contains(&b':') && host.last() != Some(&b']') {
        return None;
    }
    port(number)?;
    via::address(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Layout;

    struct Wanted {
        family: HeaderFamily,
        user: &'static str,
        domain: &'static str,
        address: &'static str,
        agent: &'static str,
        calls: Option<u32>,
        suspect: bool,
    }

    fn check(fields: &str, wanted: &Wanted) {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{fields}\r\n\r\n");
        let mut layout = Layout::new();
        layout.scan(text.as_bytes(), false);
        let screening = read(&Request::new(text.as_bytes(), &layout));
        let shown = |value: Option<&[u8]>| {
            value
                .map(String::from_utf8_lossy)
                .unwrap_or_default()
                .into_owned()
        };
        assert_eq!(screening.family, wanted.family, "{fields}");
        assert_eq!(shown(screening.user), wanted.user, "{fields}");
        assert_eq!(shown(screening.domain), wanted.domain, "{fields}");
        assert_eq!(screening.address, wanted.address.parse().ok(), "{fields}");
        assert_eq!(shown(screening.agent), wanted.agent, "{fields}");
        assert_eq!(screening.reported_calls, wanted.calls, "{fields}");
        assert_eq!(screening.suspect, wanted.suspect, "{fields}");
    }

    const NOTHING: Wanted = Wanted {
        family: HeaderFamily::None,
        user: "",
        domain: "",
        address: "",
        agent: "",
        calls: None,
        suspect: false,
    };
    const P: Wanted = Wanted {
        family: HeaderFamily::PTfps,
        ..NOTHING
    };
    const X: Wanted = Wanted {
        family: HeaderFamily::XTfps,
        ..NOTHING
    };

    #[test]
    fn p_tfps_fields_are_positional_and_may_be_missing() {
        check("P-tfps:", &P);
        check("P-tfps: 1001", &Wanted { user: "1001", ..P });
        check(
            "P-tfps: ;;;;1",
            &Wanted {
                calls: Some(1),
                ..P
            },
        );
        check(
            "P-tfps: 1;d",
            &Wanted {
                user: "1",
                domain: "d",
                ..P
            },
        );
        check(
            "P-tfps: 1;d;192.0.2.1",
            &Wanted {
                user: "1",
                domain: "d",
                address: "192.0.2.1",
                ..P
            },
        );
        // Calls only from five or more fields.
        check(
            "P-tfps: 1;d;;7",
            &Wanted {
                user: "1",
                domain: "d",
                agent: "7",
                ..P
            },
        );
        check(
            "p-TFPS: 1003;pbx.example.com;127.0.0.1;Phone x;2",
            &Wanted {
                user: "1003",
                domain: "pbx.example.com",
                address: "127.0.0.1",
                agent: "Phone x",
                calls: Some(2),
                ..P
            },
        );
        check(
            "P-tfps: 1;d;host;A;x",
            &Wanted {
                user: "1",
                domain: "d",
                agent: "A",
                ..P
            },
        );
        check(
            "P-tfps: 1;d;;A;4294967296",
            &Wanted {
                user: "1",
                domain: "d",
                agent: "A",
                ..P
            },
        );
    }

    #[test]
    fn semicolons_in_the_agent_are_borne_when_the_split_is_certain() {
        check(
            "P-tfps: 1;d;127.0.0.1;Zoiper rv2.10;11;7 \"x\", y;2",
            &Wanted {
                user: "1",
                domain: "d",
                address: "127.0.0.1",
                agent: "Zoiper rv2.10;11;7 \"x\", y",
                calls: Some(2),
                ..P
            },
        );
        // A shifted field: a caller number of "5551;x=y".
        check(
            "P-tfps: 5551;x=y;d;127.0.0.1;A;1",
            &Wanted {
                user: "5551",
                domain: "x=y",
                suspect: true,
                ..P
            },
        );
        // Two fields read as addresses: which one is the caller's?
        check(
            "P-tfps: 1;d;127.0.0.1;A;10.0.0.1;1",
            &Wanted {
                user: "1",
                domain: "d",
                suspect: true,
                ..P
            },
        );
        check(
            "P-tfps: 1;d;127.0.0.1;A;x;10.0.0.1",
            &Wanted {
                user: "1",
                domain: "d",
                suspect: true,
                ..P
            },
        );
        check(
            "P-tfps: 1;d;;A;x;1",
            &Wanted {
                user: "1",
                domain: "d",
                suspect: true,
                ..P
            },
        );
    }

    #[test]
    fn addresses_are_read_in_every_spelling() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:5062", "192.0.2.1"),
            ("[2001:db8::1]:5062", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"), // SIP-022
            ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
            (" 192.0.2.1 ", "192.0.2.1"),
            ("192.0.2.1:0", ""),
            ("192.0.2.1:x", ""),
            ("192.0.2.1:", ""),
            ("192.0.2", ""),
            ("2001:db8::1::5060", ""),
            ("pbx", ""),
        ] {
            check(
                &format!("P-tfps: 1;d;{text}"),
                &Wanted {
                    user: "1",
                    domain: "d",
                    address,
                    ..P
                },
            );
        }
    }

    #[test]
    fn x_tfps_family_is_read_in_both_spellings() {
        check(
            "X-tfps: 1001@d",
            &Wanted {
                user: "1001",
                domain: "d",
                ..X
            },
        );
        check(
            "X_tfps: 1001;d",
            &Wanted {
                user: "1001",
                domain: "d",
                ..X
            },
        );
        check("X-tfps: 1001", &Wanted { user: "1001", ..X });
        check("P-UA: A", &Wanted { agent: "A", ..X });
        check(
            "P_Calls: 3",
            &Wanted {
                calls: Some(3),
                ..X
            },
        );
        check("P-Received:", &X);
        check(
            "X-tfps: u;d\r\nP_Received: 192.0.2.1:5060\r\nP-UA: B\r\nP_Calls: 2",
            &Wanted {
                user: "u",
                domain: "d",
                address: "192.0.2.1",
                agent: "B",
                calls: Some(2),
                ..X
            },
        );
    }

    #[test]
    fn the_first_family_is_used_alone() {
        check(
            "X-tfps: u;d\r\nP-UA: B\r\nP-tfps: 1",
            &Wanted { user: "1", ..P },
        );
        check("Subject: x", &NOTHING);
    }

    #[test]
    fn differing_duplicates_are_suspect() {
        check(
            "P-tfps: 1;d;127.0.0.1;A;1\r\nP-tfps: 1;d;127.0.0.1;A;1",
            &Wanted {
                user: "1",
                domain: "d",
                address: "127.0.0.1",
                agent: "A",
                calls: Some(1),
                ..P
            },
        );
        check(
            "P-tfps: 1;d;127.0.0.1;A;1\r\nP-tfps: 2",
            &Wanted {
                user: "1",
                domain: "d",
                suspect: true,
                ..P
            },
        );
        check(
            "P-UA: A\r\nP_UA: B\r\nP-Received: 127.0.0.1",
            &Wanted { suspect: true, ..X },
        );
    }
}
