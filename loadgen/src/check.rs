//! Reads our own messages back with an independent parser, once before anything is sent.
//!
//! Promises: a run sends only messages that `rsip` reads as what they are meant to be. It never sees an answer.

use std::net::SocketAddr;

use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use rsip::{Header, Method, Request};

use crate::call::{Call, Datagram, Family};
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::message::{Attempt, CSEQ, Messages, Name, in_uri};
use crate::recent::Brief;
use crate::source::Calls;

/// Calls of the mix that are read back.
const CALLS_CHECKED: u64 = 64;

/// The To of the answer that the ACK is checked with.
const TAGGED_TO: &str = "<sip:1@h>;tag=check";

/// Reads INVITE and ACK of the first calls of a mix back.
///
/// `addresses` are those that stand in the messages.
///
/// # Errors
/// What a message says instead of what is meant.
pub fn messages(
    messages: &Messages,
    calls: &Calls,
    addresses: &[SocketAddr],
) -> Result<(), String> {
    for sequence in 0..CALLS_CHECKED {
        let call = calls.call(sequence);
        let mut slot = [0; DATAGRAM_BYTES_MAX];
        let length = messages
            .invite(&call, sequence, &mut slot)
            .ok_or("an INVITE does not fit into a datagram")?;
        if call.datagram != Datagram::Invite {
            continue; // a fault on purpose: nothing to read
        }
        let invite = read(slot.get(..length).unwrap_or_default(), addresses)?;
        check_invite(&invite, &call).map_err(|fault| format!("INVITE: {fault}"))?;
        let branch = branch_of(&invite)?;
        let name = Name {
            sequence,
            attempt: Attempt::Plain,
        };
        if messages.name_of(branch.as_bytes()) != Some(name) {
            return Err(format!(
                "INVITE: branch {branch} is not that of call {sequence}"
            ));
        }
        let mut slot = [0; DATAGRAM_BYTES_MAX];
        let mut brief = Brief::default();
        brief.set(&call);
        let length = messages
            .ack(&brief, name, TAGGED_TO.as_bytes(), &mut slot)
            .ok_or("an ACK does not fit into a datagram")?;
        let ack = read(slot.get(..length).unwrap_or_default(), addresses)?;
        check_ack(&ack, &invite).map_err(|fault| format!("ACK: {fault}"))?;
    }
    let mut slot = [0; DATAGRAM_BYTES_MAX];
    let length = messages
        .options(0, &mut slot)
        .ok_or("an OPTIONS does not fit into a datagram")?;
    let options = read(slot.get(..length).unwrap_or_default(), addresses)?;
    same("method", &options.method, &Method::Options)?;
    let branch = branch_of(&options)?;
    same("probe", &messages.probe_of(branch.as_bytes()), &Some(0))
}

/// Reads a request. `rsip` knows no IPv6 reference before a port (RFC 3261 §25.1 does), so that it is shown an IPv4
/// address in the place of ours; the body is left alone.
fn read(octets: &[u8], addresses: &[SocketAddr]) -> Result<Request, String> {
    let mut text = String::from_utf8(octets.to_vec()).map_err(|error| error.to_string())?;
    for address in addresses.iter().filter(|address| address.is_ipv6()) {
        text = text.replace(&in_uri(*address), &format!("192.0.2.1:{}", address.port()));
    }
    Request::try_from(text.as_bytes()).map_err(|error| format!("rsip does not read it: {error}"))
}

fn check_invite(invite: &Request, call: &Call) -> Result<(), String> {
    let dialled = String::from_utf8_lossy(call.user.as_bytes()).into_owned();
    same("method", &invite.method, &Method::Invite)?;
    let start = format!("sip:{dialled}@");
    if !invite.uri.to_string().starts_with(&start) {
        return Err(format!("Request-URI is {}, not {start}…", invite.uri));
    }
    let to = invite.to_header().map_err(|error| error.to_string())?;
    if !to.value().contains(&start) || to.value().contains("tag=") {
        return Err(format!("To is {to}"));
    }
    let from = invite
        .from_header()
        .map_err(|error| error.to_string())?
        .typed()
        .map_err(|error| error.to_string())?;
    let caller = String::from_utf8_lossy(call.caller.as_bytes()).into_owned();
    same(
        "From user",
        &from.uri.user().unwrap_or_default(),
        &caller.as_str(),
    )?;
    if from.tag().is_none() {
        return Err("From has no tag".to_owned());
    }
    check_cseq(invite, &Method::Invite)?;
    let length = invite.headers().iter().find_map(|header| match header {
        Header::ContentLength(length) => Some(length.value().to_owned()),
        _ => None,
    });
    same(
        "Content-Length",
        &length,
        &Some(invite.body().len().to_string()),
    )?;
    check_screening(invite, call, &caller)
}

/// What the headers of the call's family say of the caller.
fn check_screening(invite: &Request, call: &Call, caller: &str) -> Result<(), String> {
    let agent = String::from_utf8_lossy(call.agent.as_bytes()).into_owned();
    let calls = String::from_utf8_lossy(call.reported_calls.as_bytes()).into_owned();
    let single = |name: &str, meant: &str| {
        let found = header(invite, name);
        same(name, &found.unwrap_or_default(), &meant)
    };
    if call.family == Family::Bare {
        let presented = invite.headers().iter().find_map(|header| match header {
            Header::UserAgent(agent) => Some(agent.value().to_owned()),
            _ => None,
        });
        return same("User-Agent", &presented, &Some(agent));
    }
    if call.family != Family::PTfps {
        let address = String::from_utf8_lossy(call.address.as_bytes()).into_owned();
        let domain = String::from_utf8_lossy(call.domain.as_bytes()).into_owned();
        if call.family == Family::XTfps {
            single("X-tfps", &format!("{caller};{domain}"))?;
        }
        single("P-Received", &address)?;
        single("P-UA", agent.trim())?;
        return single("P-Calls", &calls);
    }
    let value = header(invite, "P-tfps").ok_or("there is no P-tfps")?;
    let fields: Vec<String> = value.split(';').map(str::to_owned).collect();
    let [first, .., last] = fields.as_slice() else {
        return Err("P-tfps has fewer than two fields".to_owned());
    };
    same("P-tfps user", first, &caller.to_owned())?;
    same(
        "P-tfps calls",
        &last.as_bytes(),
        &call.reported_calls.as_bytes(),
    )?;
    // An agent of a file of calls may hold a `;` itself, as those of telephones do.
    let named = fields
        .get(3..fields.len() - 1)
        .unwrap_or_default()
        .join(";");
    same("P-tfps agent", &named, &agent)
}

/// RFC 3261 §17.1.1.3: the INVITE's Request-URI, branch, From, Call-ID and `CSeq` number; the answer's To; no body.
fn check_ack(ack: &Request, invite: &Request) -> Result<(), String> {
    same("method", &ack.method, &Method::Ack)?;
    same("Request-URI", &ack.uri, &invite.uri)?;
    same("branch", &branch_of(ack)?, &branch_of(invite)?)?;
    same(
        "From",
        &ack.from_header().map_err(|error| error.to_string())?,
        &invite.from_header().map_err(|error| error.to_string())?,
    )?;
    same(
        "To",
        &ack.to_header().map_err(|error| error.to_string())?.value(),
        &TAGGED_TO,
    )?;
    same(
        "Call-ID",
        &ack.call_id_header().map_err(|error| error.to_string())?,
        &invite.call_id_header().map_err(|error| error.to_string())?,
    )?;
    check_cseq(ack, &Method::Ack)?;
    same("body", &ack.body().len(), &0)
}

fn check_cseq(request: &Request, method: &Method) -> Result<(), String> {
    let cseq = request
        .cseq_header()
        .map_err(|error| error.to_string())?
        .typed()
        .map_err(|error| error.to_string())?;
    same("CSeq number", &cseq.seq, &CSEQ)?;
    same("CSeq method", &cseq.method, method)
}

fn branch_of(request: &Request) -> Result<String, String> {
    let via = request
        .via_header()
        .map_err(|error| error.to_string())?
        .typed()
        .map_err(|error| error.to_string())?;
    let branch = via.branch().ok_or("Via has no branch")?;
    Ok(branch.to_string())
}

fn header<'a>(invite: &'a Request, wanted: &str) -> Option<&'a str> {
    invite.headers().iter().find_map(|header| match header {
        Header::Other(name, value) if name.eq_ignore_ascii_case(wanted) => Some(value.as_str()),
        _ => None,
    })
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, meant: &T) -> Result<(), String> {
    if found == meant {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, not {meant:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Shape;
    use crate::mix::Mix;

    fn mix() -> Calls {
        Calls::Mix(Mix::standard(7))
    }

    #[test]
    fn rsip_reads_both_messages_as_they_are_meant() {
        for (local, target) in [
            ("127.0.0.1:5070", "127.0.0.1:5060"),
            ("[::1]:40000", "[::1]:5060"),
            ("192.0.2.1:5070", "198.51.100.1:5060"),
        ] {
            let (local, target) = (local.parse().unwrap(), target.parse().unwrap());
            let ours = Messages::new(local, target, 0xfeed, Shape::UdpRuns);
            messages(&ours, &mix(), &[local, target]).unwrap();
        }
    }

    #[test]
    fn the_longest_call_of_a_file_fits() {
        let text = format!(
            "dialled,expected,caller,domain,from_host,agent\n{},approve,{},{},{},{}\n",
            "9".repeat(64),
            "8".repeat(32),
            "d".repeat(64),
            "f".repeat(64),
            "a;".repeat(128)
        );
        let mix = Calls::Listed {
            calls: crate::listing::parse(text.as_bytes(), "f").unwrap(),
            own_times: false,
            label: String::new(),
        };
        let target = "[2001:db8:1111:2222:3333:4444:5555:6666]:50600"
            .parse()
            .unwrap();
        messages(
            &Messages::new(target, target, 1, Shape::UdpRuns),
            &mix,
            &[target],
        )
        .unwrap();
    }

    #[test]
    fn a_message_that_says_something_else_is_found() {
        let ours = Messages::new(
            "127.0.0.1:5070".parse().unwrap(),
            "127.0.0.1:5060".parse().unwrap(),
            1,
            Shape::Udp,
        );
        let mut slot = [0; DATAGRAM_BYTES_MAX];
        let call = mix().call(3);
        let length = ours.invite(&call, 3, &mut slot).unwrap();
        let text = String::from_utf8(slot[..length].to_vec()).unwrap();
        let caller = String::from_utf8_lossy(call.caller.as_bytes()).into_owned();
        let invite = |text: &str| check_invite(&read(text.as_bytes(), &[]).unwrap(), &call);
        assert_eq!(invite(&text), Ok(()));
        for (from, to) in [
            ("INVITE sip:", "INVITE sip:9"),
            ("To: <sip:", "To: <sip:9"),
            ("CSeq: 102", "CSeq: 103"),
            ("CSeq: 102 INVITE", "CSeq: 102 ACK"),
            ("Content-Length: ", "Content-Length: 1"),
            (";tag=as", ";gat=as"),
            (&format!("From: <sip:{caller}"), "From: <sip:bob"),
            (&format!("P-tfps: {caller}"), "P-tfps: bob"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert!(invite(&changed).is_err(), "{from} → {to}");
        }
    }
}
