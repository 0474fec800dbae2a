//! One pass over a received datagram: the status and the few header fields by which an answer is matched and judged.
//!
//! Promises: time linear in its length, nothing copied; a datagram that is no SIP response with Via branch, From tag, To,
//! Call-ID and `CSeq` is `None`, never a guess. Compact names (RFC 3261 §7.3.3) and folded lines are understood.
//! Leaves to `engine`: whose answer it is.

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
        let mut lines = Lines { rest: datagram };
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
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at_checked(colon)?;
            let slot = match Name::of(name.trim_ascii()) {
                Name::Via => &mut via,
                Name::From => &mut from,
                Name::To => &mut to,
                Name::CallId => &mut call_id,
                Name::CSeq => &mut cseq,
                Name::Contact => &mut contact,
                Name::Other => continue,
            };
            if slot.is_none() {
                *slot = Some(value.get(1..).unwrap_or_default().trim_ascii());
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
    Lines { rest: message }
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
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
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut end = 0;
        loop {
            let unread = self.rest.get(end..)?;
            end += memchr::memchr(b'\n', unread)?;
            let line = self.rest.get(..end)?;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let next = self.rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() && matches!(next.first(), Some(b' ' | b'\t')) {
                end += 1;
                continue;
            }
            self.rest = next;
            return Some(line);
        }
    }
}

fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"SIP/2.0 ")?;
    let (code, rest) = rest.split_at_checked(3)?;
    if !matches!(rest.first(), None | Some(b' ')) || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = str::from_utf8(code).ok()?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}

fn cseq_of(value: &[u8]) -> Option<(u32, &[u8])> {
    let space = value.iter().position(u8::is_ascii_whitespace)?;
    let (number, method) = value.split_at_checked(space)?;
    let number = str::from_utf8(number).ok()?.parse().ok()?;
    Some((number, method.trim_ascii()))
}

/// What follows the `>` of a name-addr, or the whole value: header parameters never stand inside the brackets.
fn after_bracket(value: &[u8]) -> &[u8] {
    value
        .iter()
        .rposition(|&octet| octet == b'>')
        .and_then(|at| value.get(at..))
        .unwrap_or(value)
}

/// The value of a parameter of the first of possibly several values in a header.
fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let first = value.split(|&octet| octet == b',').next()?;
    first
        .split(|&octet| octet == b';')
        .skip(1)
        .find_map(|item| {
            let equals = item.iter().position(|&octet| octet == b'=')?;
            let (key, rest) = item.split_at_checked(equals)?;
            key.trim_ascii()
                .eq_ignore_ascii_case(name)
                .then(|| rest.get(1..).unwrap_or_default().trim_ascii())
        })
}

/// The user part of the first URI of a Contact.
fn user_of(value: &[u8]) -> Option<&[u8]> {
    let uri = match value.iter().position(|&octet| octet == b'<') {
        Some(at) => value.get(at + 1..)?,
        None => value,
    };
    let end = uri
        .iter()
        .position(|&octet| octet == b'>' || octet == b',')
        .unwrap_or(uri.len());
    let uri = uri.get(..end)?;
    let colon = uri.iter().position(|&octet| octet == b':')?;
    let (scheme, rest) = uri.split_at_checked(colon)?;
    let rest = rest.get(1..)?;
    if scheme.eq_ignore_ascii_case(b"tel") {
        return rest.split(|&octet| octet == b';').next();
    }
    if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
        return None;
    }
    let at = rest.iter().position(|&octet| octet == b'@')?;
    rest.get(..at)
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
