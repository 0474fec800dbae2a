//! What a captured INVITE says of its call.
//!
//! Promises: reads only what a call of ours can say again; what it cannot is refused in a sentence, never changed silently. A caller of
//! `P-tfps` or `X-tfps` that differs from the From's user stands for both.
//! Leaves to `answer`: how header fields are told apart.

use crate::answer::header_lines;
use crate::call::{Call, Family, caller_of, host_of, is_agent, user_of};
use crate::files::shown;
use crate::limits::{
    ADDRESS_BYTES_MAX, AGENT_BYTES_MAX, CALLER_BYTES_MAX, HOST_BYTES_MAX, USER_BYTES_MAX,
};
use crate::listing::unsaid;
use crate::text::Text;
use crate::verdict::Expected;

/// A captured INVITE.
#[derive(Debug)]
pub struct Invite<'m> {
    /// The call that it asks about.
    pub call: Call,
    /// Its Call-ID.
    pub call_id: &'m [u8],
    /// The tag of its From.
    pub from_tag: &'m [u8],
    /// The number of its `CSeq`.
    pub cseq: u32,
    /// Whether its To has a tag: part of a call that is up, not a new one.
    pub in_dialog: bool,
}

/// Header fields by their long and compact names (RFC 3261 §7.3.3).
const NAMES: &[(&str, &str)] = &[("from", "f"), ("to", "t"), ("call-id", "i")];

/// Reads an INVITE.
///
/// # Errors
/// What was expected.
pub fn invite(message: &[u8]) -> Result<Invite<'_>, String> {
    let line_end = message
        .iter()
        .position(|octet| matches!(octet, b'\r' | b'\n'))
        .ok_or("expected a request line")?;
    let line = message.get(..line_end).unwrap_or_default();
    let uri = line
        .split(|octet| *octet == b' ')
        .nth(1)
        .ok_or("expected a Request-URI")?;
    let mut call = unsaid();
    call.expected = Expected::Any;
    call.user = dialled(uri)?;
    let field = |name: &str| field(message, name);
    let from = field("from").ok_or("expected a From")?;
    let call_id = field("call-id").ok_or("expected a Call-ID")?;
    let cseq = field("cseq")
        .and_then(|cseq| str::from_utf8(cseq).ok())
        .and_then(|cseq| cseq.split_ascii_whitespace().next()?.parse().ok())
        .ok_or("expected a CSeq with a number")?;
    let (from_user, from_host) = user_and_host(from);
    if let Some(host) = from_host {
        call.from_host = host_text(host)
            .ok_or_else(|| format!("expected a From host of up to {HOST_BYTES_MAX} characters"))?;
    }
    call.agent.clear();
    if let Some(agent) = field("user-agent") {
        call.agent = agent_text(agent)?;
    }
    screening(message, &mut call, from_user)?;
    Ok(Invite {
        call,
        call_id,
        from_tag: parameter(from, b"tag").unwrap_or_default(),
        cseq,
        in_dialog: field("to").is_some_and(|to| parameter(to, b"tag").is_some()),
    })
}

/// The screening headers, the first family that is there (`P-tfps`, `X-tfps`, `P-Received` and its kin), else the From.
fn screening(message: &[u8], call: &mut Call, from_user: &[u8]) -> Result<(), String> {
    let field = |name: &str| field(message, name);
    let mut caller = from_user;
    if let Some(value) = field("p-tfps").or_else(|| field("p_tfps")) {
        call.family = Family::PTfps;
        let fields: Vec<&[u8]> = value.split(|octet| *octet == b';').collect();
        // An agent may hold `;` itself: the last field is the calls, the first three are what they are.
        let get = |index: usize| fields.get(index).map_or(&b""[..], |it| it.trim_ascii());
        call.domain = optional_host(get(1))?;
        call.address = optional_address(get(2));
        let (agent, calls) = match fields.len() {
            0..=3 => (Vec::new(), &b""[..]),
            4 => (get(3).to_vec(), &b""[..]),
            count => (
                fields.get(3..count - 1).unwrap_or_default().join(&b';'),
                get(count - 1),
            ),
        };
        call.agent = agent_text(&agent)?;
        reported(call, calls);
        if !get(0).is_empty() {
            caller = get(0);
        }
    } else {
        let identity = field("x-tfps").or_else(|| field("x_tfps"));
        let of_kin = |one: &str, other: &str| field(one).or_else(|| field(other));
        let address = of_kin("p-received", "p_received");
        let agent = of_kin("p-ua", "p_ua");
        let calls = of_kin("p-calls", "p_calls");
        let any = address.or(agent).or(calls);
        call.domain.clear();
        call.address.clear();
        call.family = match (identity, any) {
            (Some(_), _) => Family::XTfps,
            (None, Some(_)) => Family::Received,
            (None, None) => Family::Bare,
        };
        if let Some(identity) = identity {
            let mut parts = identity.splitn(2, |octet| matches!(octet, b';' | b'@'));
            let user = parts.next().unwrap_or_default().trim_ascii();
            call.domain = optional_host(parts.next().unwrap_or_default().trim_ascii())?;
            if !user.is_empty() {
                caller = user;
            }
        }
        if let Some(address) = address {
            call.address = optional_address(address);
        }
        if let Some(agent) = agent {
            call.agent = agent_text(agent)?;
        }
        reported(call, calls.unwrap_or_default());
    }
    call.caller = str::from_utf8(caller)
        .ok()
        .and_then(caller_of)
        .ok_or_else(|| {
            format!(
                "expected a caller of 1 to {CALLER_BYTES_MAX} letters, digits, `-`, `_`, `.`, `+` or `*`, found `{}`",
                shown(caller)
            )
        })?;
    Ok(())
}

fn dialled(uri: &[u8]) -> Result<Text<USER_BYTES_MAX>, String> {
    let user = match uri.split(|octet| *octet == b':').next() {
        Some(b"sip" | b"sips") => {
            let rest = uri
                .splitn(2, |octet| *octet == b':')
                .nth(1)
                .unwrap_or_default();
            let at = rest.iter().rposition(|octet| *octet == b'@');
            rest.get(..at.unwrap_or(0)).unwrap_or_default()
        }
        _ => b"",
    };
    str::from_utf8(user).ok().and_then(user_of).ok_or_else(|| {
        format!(
            "expected sip:USER@… with a user of 1 to {USER_BYTES_MAX} characters, found `{}`",
            shown(uri)
        )
    })
}

fn host_text(host: &[u8]) -> Option<Text<HOST_BYTES_MAX>> {
    host_of(str::from_utf8(host).ok()?)
}

fn optional_host(host: &[u8]) -> Result<Text<HOST_BYTES_MAX>, String> {
    if host.is_empty() {
        return Ok(Text::new());
    }
    host_text(host).ok_or_else(|| format!("expected a host, found `{}`", shown(host)))
}

/// What does not read as an address, with or without port, is replayed as no address.
fn optional_address(text: &[u8]) -> Text<ADDRESS_BYTES_MAX> {
    let mut address = Text::new();
    let Ok(text) = str::from_utf8(text) else {
        return address;
    };
    let with_port: Option<std::net::SocketAddr> = text.parse().ok();
    let ip = with_port.map(|it| it.ip()).or_else(|| text.parse().ok());
    if let Some(ip) = ip {
        address.set(ip.to_string().as_bytes());
    }
    address
}

fn agent_text(agent: &[u8]) -> Result<Text<AGENT_BYTES_MAX>, String> {
    let fits = is_agent(agent).then(|| Text::of(agent)).flatten();
    fits.ok_or_else(|| {
        format!(
            "expected an agent of at most {AGENT_BYTES_MAX} printable ASCII characters, found `{}`",
            shown(agent)
        )
    })
}

fn reported(call: &mut Call, calls: &[u8]) {
    if calls.len() <= 5 && calls.iter().all(u8::is_ascii_digit) {
        call.reported_calls.set(calls);
    }
}

/// The first field of this name.
fn field<'m>(message: &'m [u8], name: &str) -> Option<&'m [u8]> {
    let compact = NAMES.iter().find(|(long, _)| *long == name);
    header_lines(message)
        .find(|(found, _)| {
            found.eq_ignore_ascii_case(name.as_bytes())
                || compact.is_some_and(|(_, short)| found.eq_ignore_ascii_case(short.as_bytes()))
        })
        .map(|(_, value)| value)
}

/// User and host of the URI in a From.
fn user_and_host(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let uri = match value.iter().position(|octet| *octet == b'<') {
        Some(open) => {
            let rest = value.get(open + 1..).unwrap_or_default();
            let close = rest.iter().position(|octet| *octet == b'>');
            rest.get(..close.unwrap_or(rest.len())).unwrap_or_default()
        }
        None => value
            .split(|octet| *octet == b';')
            .next()
            .unwrap_or_default(),
    };
    let rest = uri
        .splitn(2, |octet| *octet == b':')
        .nth(1)
        .unwrap_or_default();
    let (user, host) = match rest.iter().rposition(|octet| *octet == b'@') {
        Some(at) => (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 1..).unwrap_or_default(),
        ),
        None => (&b""[..], rest),
    };
    let host = host
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    (user, (!host.is_empty()).then_some(host))
}

/// A parameter of the field, behind the URI.
fn parameter<'m>(value: &'m [u8], name: &[u8]) -> Option<&'m [u8]> {
    let after = value
        .iter()
        .rposition(|octet| *octet == b'>')
        .map_or(value, |close| value.get(close + 1..).unwrap_or_default());
    after
        .split(|octet| *octet == b';')
        .skip(1)
        .find_map(|part| {
            let equals = part.iter().position(|octet| *octet == b'=')?;
            let (key, value) = part.split_at(equals);
            key.trim_ascii()
                .eq_ignore_ascii_case(name)
                .then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
}
