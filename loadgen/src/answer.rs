//! One pass over a received datagram: the status and the few header fields by which an answer is matched and judged.
//!
//! Promises: time linear in its length, nothing copied; a datagram that is no SIP response with Via branch, From tag, To,
//! Call-ID and `CSeq` is `None`, never a guess. Compact names (RFC 3261 §7.3.3) and folded lines are understood.
//! Leaves to `engine`: whose answer it is.

use crate::sys::scan::{LineFeeds, find, find2};

/// A response, as far as it matters here. Header values are without surrounding white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code, 100 to 699.
    pub status: u16,
    /// The branch of the top Via.
    pub branch: &'a [u8],
    /// The tag of the From.
    pub from_tag: &'a [u8],
    /// The whole value of the To, with its tag: what an ACK repeats.
    pub to: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The number of the `CSeq`.
    pub cseq: u32,
    /// The method of the `CSeq`.
    pub cseq_method: &'a [u8],
    /// The user part of the first Contact, if there is one.
    pub contact_user: Option<&'a [u8]>,
}

impl<'a> Answer<'a> {
    /// Reads a datagram; `None` if it is not a response that could be matched to a call.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut lines = Lines::of(datagram);
        let status = status_of(lines.next()?)?;
        let mut via = None;
        let mut from = None;
        let mut to = None;
        let mut call_id = None;
        let mut cseq = None;
        let mut contact = None;
        let mut ended = false;
        for line in lines.by_ref() {
            if line.is_empty() {
                ended = true;
                break;
            }
            let (name, value) = Name::of_line(line)?;
            let slot = match name {
                Name::Via => &mut via,
                Name::From => &mut from,
                Name::To => &mut to,
                Name::CallId => &mut call_id,
                Name::CSeq => &mut cseq,
                Name::Contact => &mut contact,
                Name::Other => continue,
            };
            if slot.is_none() {
                *slot = Some(trimmed(value));
            }
        }
        if !ended {
            return None;
        }
        let (cseq, cseq_method) = cseq_of(cseq?)?;
        Some(Self {
            status,
            branch: parameter(via?, b"branch")?,
            from_tag: parameter(after_bracket(from?), b"tag")?,
            to: to?,
            call_id: call_id?,
            cseq,
            cseq_method,
            contact_user: contact.and_then(user_of),
        })
    }
}

/// The header fields of a message, each with its name and its value, without surrounding white space.
pub fn header_lines(message: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header_lines_that(message, |_| true)
}

/// Those of them whose first octet is `wanted`.
pub fn header_lines_that(
    message: &[u8],
    wanted: impl Fn(u8) -> bool,
) -> impl Iterator<Item = (&[u8], &[u8])> {
    Lines::of(message)
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(move |line| line.first().copied().is_some_and(&wanted))
        .filter_map(|line| {
            let colon = find(b':', line)?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
}

enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Other,
}

impl Name {
    /// The name of a header line and what follows its colon; `None` if it has no colon.
    fn of_line(line: &[u8]) -> Option<(Self, &[u8])> {
        // As most servers write them, which costs no search.
        match line.split_first_chunk::<4>().unwrap_or((b"    ", b"")) {
            (b"Via:", value) => return Some((Self::Via, value)),
            (b"From", [b':', value @ ..]) => return Some((Self::From, value)),
            (b"CSeq", [b':', value @ ..]) => return Some((Self::CSeq, value)),
            (b"Call", [b'-', b'I', b'D', b':', value @ ..]) => return Some((Self::CallId, value)),
            (b"Cont", [b'a', b'c', b't', b':', value @ ..]) => return Some((Self::Contact, value)),
            ([b'T', b'o', b':', b' '], value) => return Some((Self::To, value)),
            _ => {}
        }
        let colon = find(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((Self::of(name.trim_ascii()), value.get(1..)?))
    }

    fn of(name: &[u8]) -> Self {
        let is = |long: &str, short: &str| {
            name.eq_ignore_ascii_case(long.as_bytes())
                || name.eq_ignore_ascii_case(short.as_bytes())
        };
        match name.len() {
            1 | 3 if is("Via", "v") => Self::Via,
            1 | 4 if is("From", "f") => Self::From,
            1 | 2 if is("To", "t") => Self::To,
            1 | 7 if is("Call-ID", "i") => Self::CallId,
            1 | 7 if is("Contact", "m") => Self::Contact,
            4 if is("CSeq", "CSeq") => Self::CSeq,
            _ => Self::Other,
        }
    }
}

/// Lines up to their CRLF (or LF); a line that begins with white space belongs to the one before.
struct Lines<'a> {
    octets: &'a [u8],
    feeds: LineFeeds<'a>,
    /// Where the next line begins.
    begin: usize,
}

impl<'a> Lines<'a> {
    fn of(octets: &'a [u8]) -> Self {
        Self {
            octets,
            feeds: LineFeeds::of(octets),
            begin: 0,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let feed = self.feeds.next()?;
            let line = self.octets.get(self.begin..feed)?;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let behind = self.octets.get(feed + 1);
            if matches!(behind, Some(b' ' | b'\t')) && !line.is_empty() {
                continue;
            }
            self.begin = feed + 1;
            return Some(line);
        }
    }
}

/// The status in a first line; `None` if it is none of a SIP response.
pub(crate) fn status_of(line: &[u8]) -> Option<u16> {
    let (code, rest) = line.strip_prefix(b"SIP/2.0 ")?.split_at_checked(3)?;
    if !matches!(rest.first(), None | Some(b' ')) {
        return None;
    }
    let status = u16::try_from(decimal(code)?).ok()?;
    (100..700).contains(&status).then_some(status)
}

fn cseq_of(value: &[u8]) -> Option<(u32, &[u8])> {
    let space = value.iter().position(u8::is_ascii_whitespace)?;
    let (number, method) = value.split_at_checked(space)?;
    Some((decimal(number)?, method.trim_ascii()))
}

/// The number that decimal digits, at least one, stand for.
fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, &digit| {
        let value = digit.wrapping_sub(b'0');
        (value < 10)
            .then(|| number.checked_mul(10)?.checked_add(u32::from(value)))
            .flatten()
    })
}

/// A header's value without the white space around it: mostly one blank before it.
fn trimmed(value: &[u8]) -> &[u8] {
    match value {
        [b' ', inner @ ..] if !at_edge(inner.first()) && !at_edge(inner.last()) => inner,
        _ => value.trim_ascii(),
    }
}

fn at_edge(octet: Option<&u8>) -> bool {
    octet.is_none_or(u8::is_ascii_whitespace)
}

/// What follows the last `>` of a name-addr, or the whole value: header parameters never stand inside the brackets.
fn after_bracket(value: &[u8]) -> &[u8] {
    let mut from = 0;
    while let Some(at) = value.get(from..).and_then(|rest| find(b'>', rest)) {
        from += at + 1;
    }
    value.get(from..).unwrap_or_default()
}

/// The value of a parameter of the first of possibly several values in a header.
fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = value;
    loop {
        let mark = find2(b';', b',', rest)?;
        let [b';', items @ ..] = rest.get(mark..)? else {
            return None;
        };
        rest = items;
        let item = until(rest, b';', b',');
        let found = named(item, name);
        if found.is_some() {
            return found;
        }
    }
}

/// The value of an item `name=value`, if that is its name.
fn named<'a>(item: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if let Some([b'=', value @ ..]) = item.strip_prefix(name) {
        return Some(value.trim_ascii());
    }
    let equals = find(b'=', item)?;
    let (key, value) = item.split_at_checked(equals)?;
    key.trim_ascii()
        .eq_ignore_ascii_case(name)
        .then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

/// What stands before the first of two octets, or all of it.
fn until(octets: &[u8], one: u8, other: u8) -> &[u8] {
    find2(one, other, octets)
        .and_then(|end| octets.get(..end))
        .unwrap_or(octets)
}

/// The user part of the first URI of a Contact.
fn user_of(value: &[u8]) -> Option<&[u8]> {
    let uri = match find(b'<', value) {
        Some(at) => value.get(at + 1..)?,
        None => value,
    };
    let uri = until(uri, b'>', b',');
    let rest = match uri {
        [b's', b'i', b'p', b':', rest @ ..] => rest,
        _ => {
            let colon = find(b':', uri)?;
            let (scheme, rest) = uri.split_at_checked(colon)?;
            let rest = rest.get(1..)?;
            if scheme.eq_ignore_ascii_case(b"tel") {
                return rest.split(|&octet| octet == b';').next();
            }
            if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
                return None;
            }
            rest
        }
    };
    rest.get(..find(b'@', rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "SIP/2.0 302 Moved Temporarily\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;received=127.0.0.1\r\n\
        From: <sip:1003@127.0.0.1:5070>;tag=as1\r\n\
        To: <sip:1442@127.0.0.1:5060>;tag=t1\r\n\
        Call-ID: id1@h\r\n\
        CSeq: 102 INVITE\r\n\
        Contact: <sip:A001442@127.0.0.1:5070>\r\n\
        Content-Length: 0\r\n\r\n";

    fn expected() -> Answer<'static> {
        Answer {
            status: 302,
            branch: b"z9hG4bK1",
            from_tag: b"as1",
            to: b"<sip:1442@127.0.0.1:5060>;tag=t1",
            call_id: b"id1@h",
            cseq: 102,
            cseq_method: b"INVITE",
            contact_user: Some(b"A001442"),
        }
    }

    #[test]
    fn an_answer_is_read_in_every_spelling_of_it() {
        let compact = PLAIN
            .replace("Via:", "v:")
            .replace("From:", "f :")
            .replace("To:", "t:")
            .replace("Call-ID:", "I:")
            .replace("Contact:", "m:");
        let folded = PLAIN.replace("UDP 127.0.0.1:5070;", "UDP 127.0.0.1:5070\r\n ;");
        let line_feeds = PLAIN.replace("\r\n", "\n");
        let lower = PLAIN.replace("Call-ID", "call-id").replace("CSeq", "cseq");
        let two_vias = PLAIN.replace(";received=127.0.0.1", ", SIP/2.0/UDP h;branch=other");
        for text in [PLAIN, &compact, &folded, &line_feeds, &lower, &two_vias] {
            assert_eq!(Answer::parse(text.as_bytes()), Some(expected()), "{text}");
        }
    }

    #[test]
    fn a_display_name_or_password_does_not_confuse_the_contact() {
        for (contact, user) in [
            ("\"A00\" <sip:R06@h>", Some("R06")),
            ("sip:A0044@h;x=y", Some("A0044")),
            ("<tel:A00+44;x=y>", Some("A00+44")),
            ("<sips:A001@h>, <sip:A002@h>", Some("A001")),
            ("<sip:h>", None),
            ("<http://a@b>", None),
            ("*", None),
        ] {
            let text = PLAIN.replace("<sip:A001442@127.0.0.1:5070>", contact);
            let answer = Answer::parse(text.as_bytes()).unwrap();
            assert_eq!(answer.contact_user, user.map(str::as_bytes), "{contact}");
        }
    }

    #[test]
    fn what_is_no_response_is_none() {
        let cut = PLAIN.trim_end();
        for text in [
            "",
            "\r\n\r\n",
            "hello",
            cut,
            &PLAIN.replace("SIP/2.0 302", "SIP/2.0 3O2"),
            &PLAIN.replace("SIP/2.0 302", "SIP/2.0 099"),
            &PLAIN.replace("SIP/2.0 302", "SIP/2.0 3022"),
            &PLAIN.replace("SIP/2.0 302 Moved Temporarily", "OPTIONS sip:a SIP/2.0"),
            &PLAIN.replace("branch=", "brunch="),
            &PLAIN.replace(";tag=as1", ""),
            &PLAIN.replace("To:", "Two:"),
            &PLAIN.replace("Call-ID", "Call-IT"),
            &PLAIN.replace("102 INVITE", "INVITE"),
            &PLAIN.replace("102 INVITE", "x INVITE"),
            &PLAIN.replace("Content-Length: 0", "Content-Length"),
        ] {
            assert_eq!(Answer::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn no_octets_make_it_panic() {
        for at in 0..PLAIN.len() {
            for octet in [0, b'\n', b':', b';', b'<', 0xFF] {
                let mut octets = PLAIN.as_bytes().to_vec();
                octets[at] = octet;
                let _read = Answer::parse(&octets);
                let _cut = Answer::parse(&octets[..at]);
            }
        }
    }
}
