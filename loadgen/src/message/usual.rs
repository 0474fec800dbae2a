//! Answers as nearly all servers write them, held against what was sent instead of searched through.
//!
//! Promises: what it reads is what [`Answer::parse`] reads of the same octets, and branch, From tag, Call-ID and `CSeq` are all
//! those of one call of this socket; of an answer in any other form it says nothing. Linear, copies nothing. Half of what a
//! checked call cost was the general reading of its answer.

use super::{BRANCH_COOKIE, CSEQ, RUN_DIGITS, SEQUENCE_DIGITS, number_of};
use crate::answer::{Answer, status_of};
use crate::sys::scan::{find, find3};

/// Octets that branch, From tag and Call-ID have in common: run and number of the call.
const NAME_OCTETS: usize = RUN_DIGITS + SEQUENCE_DIGITS;
/// Octets of a From tag, with the `as` before the name.
const TAG_OCTETS: usize = 2 + NAME_OCTETS;

/// What a socket's answers repeat.
#[derive(Debug, Clone)]
pub(super) struct Usual {
    /// The Via line up to the call's number.
    via: Box<[u8]>,
    /// What follows the name in the Call-ID.
    call_id_tail: Box<[u8]>,
    /// The whole `CSeq` line.
    cseq: Box<[u8]>,
}

/// The lines of an answer that matter, without their names.
#[derive(Default)]
struct Found<'a> {
    branch: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq_method: Option<&'a [u8]>,
    contact_user: Option<&'a [u8]>,
}

impl Usual {
    /// Of a socket whose Via lines begin with `via`, up to and with the run, and whose Call-IDs end with `call_id_tail`.
    pub(super) fn new(via: String, call_id_tail: &[u8]) -> Self {
        Self {
            via: via.into_bytes().into(),
            call_id_tail: call_id_tail.into(),
            cseq: format!("CSeq: {CSEQ} INVITE").into_bytes().into(),
        }
    }

    /// An answer to a call's first INVITE, and the call's number.
    pub(super) fn read<'a>(&self, datagram: &'a [u8]) -> Option<(Answer<'a>, u64)> {
        let (first, mut rest) = line_of(datagram)?;
        let status = status_of(first)?;
        let mut found = Found::default();
        while !rest.starts_with(b"\r\n") {
            let (line, behind) = line_of(rest)?;
            self.note(line, &mut found)?;
            rest = behind;
        }
        let branch = found.branch?;
        let name = branch.get(branch.len().checked_sub(NAME_OCTETS)?..)?;
        let from_tag = tag_of(found.from?, name)?;
        let call_id = found.call_id?;
        if call_id.strip_prefix(name)? != &*self.call_id_tail {
            return None;
        }
        let answer = Answer {
            status,
            branch,
            from_tag,
            to: found.to?,
            call_id,
            cseq: CSEQ,
            cseq_method: found.cseq_method?,
            contact_user: found.contact_user,
        };
        Some((answer, number_of(name.get(RUN_DIGITS..)?)?))
    }

    /// Takes note of a header line; `None` if it is not in its usual form, or the second of its name.
    fn note<'a>(&self, line: &'a [u8], found: &mut Found<'a>) -> Option<()> {
        let (slot, value) = match line.split_first_chunk::<4>()? {
            (b"Via:", _) => (&mut found.branch, self.branch_of(line)?),
            (b"From", [b':', b' ', value @ ..]) => (&mut found.from, value),
            (b"To: ", value) => (&mut found.to, untrimmed(value)?),
            (b"Call", [b'-', b'I', b'D', b':', b' ', value @ ..]) => (&mut found.call_id, value),
            (b"CSeq", _) if line == &*self.cseq => {
                (&mut found.cseq_method, line.get(line.len() - 6..)?)
            }
            (b"Cont", [b'a', b'c', b't', b':', b' ', value @ ..]) => {
                (&mut found.contact_user, user_of(value)?)
            }
            // A name of eight octets or more is none that matters.
            (b"Cont", [b'e', b'n', b't', b'-', rest @ ..]) => return find(b':', rest).map(drop),
            (&[first, ..], _) => return is_other(first, line).then_some(()),
        };
        slot.replace(value).is_none().then_some(())
    }

    /// The branch in a Via line that begins like ours.
    fn branch_of<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let behind = line.strip_prefix(&*self.via)?;
        if !matches!(behind.get(SEQUENCE_DIGITS), None | Some(b';' | b',')) {
            return None;
        }
        let before = self
            .via
            .len()
            .checked_sub(BRANCH_COOKIE.len() + RUN_DIGITS)?;
        line.get(before..self.via.len() + SEQUENCE_DIGITS)
    }
}

/// Whether a line of this first octet has a name, and none that matters in any spelling.
fn is_other(first: u8, line: &[u8]) -> bool {
    let matters = matches!(
        first.to_ascii_lowercase(),
        b'v' | b'f' | b't' | b'i' | b'c' | b'm' | 0..=b' '
    );
    !matters && find(b':', line).is_some()
}

/// The first line, up to its CRLF, and what follows. A line that goes on there begins with white space (RFC 3261 §7.3.1), as no
/// usual one does.
#[inline(always)]
fn line_of(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let feed = find(b'\n', octets)?;
    let rest = octets.get(feed + 1..)?;
    let line = octets.get(..feed)?.strip_suffix(b"\r")?;
    Some((line, rest))
}

/// A value without white space at either end.
fn untrimmed(value: &[u8]) -> Option<&[u8]> {
    let (first, last) = (value.first()?, value.last()?);
    (*first > b' ' && *last > b' ').then_some(value)
}

/// The tag of a From that ends with it, if it is that of the call of this name.
fn tag_of<'a>(from: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (before, tag) = from.split_at_checked(from.len().checked_sub(TAG_OCTETS)?)?;
    (before.ends_with(b">;tag=") && tag.strip_prefix(b"as")? == name).then_some(tag)
}

/// The user part of a Contact that is a SIP URI in brackets.
fn user_of(contact: &[u8]) -> Option<&[u8]> {
    let uri = contact.strip_prefix(b"<sip:")?;
    let end = find3(b'@', b'>', b',', uri)?;
    (uri.get(end) == Some(&b'@')).then_some(uri.get(..end)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Attempt, Echo, Messages, Name, Shape};
    use crate::random::SplitMix64;

    fn messages() -> Messages {
        Messages::new(
            "127.0.0.1:5070".parse().unwrap(),
            "127.0.0.1:5060".parse().unwrap(),
            0x00c0_ffee,
            Shape::UdpRuns,
        )
    }

    const ANSWER: &str = "SIP/2.0 302 Moved Temporarily\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK00c0ffee000000002a;received=127.0.0.1\r\n\
        From: <sip:1003@pbx>;tag=as00c0ffee000000002a\r\n\
        To: <sip:1442@127.0.0.1:5060>;tag=t1\r\n\
        Call-ID: 00c0ffee000000002a@127.0.0.1:5070\r\n\
        CSeq: 102 INVITE\r\n\
        Contact: <sip:A001442@127.0.0.1:5070>\r\n\
        Server: one\r\n\
        Content-Length: 0\r\n\r\n";

    /// Whether the usual reading says something; what it says must be what the general one does.
    fn reads(messages: &Messages, octets: &[u8]) -> bool {
        let Some((answer, name)) = messages.read_usual(octets) else {
            return false;
        };
        let text = octets.escape_ascii();
        assert_eq!(Some(answer), Answer::parse(octets), "{text}");
        assert_eq!(messages.name_of(answer.branch), Some(name), "{text}");
        assert!(messages.agree(&Echo::of(&answer)), "{text}");
        assert_eq!((answer.cseq, answer.cseq_method), (CSEQ, &b"INVITE"[..]));
        true
    }

    #[test]
    fn an_answer_in_its_usual_form_is_read_as_the_general_reading_does() {
        let ours = messages();
        let name = Name {
            sequence: 42,
            attempt: Attempt::Plain,
        };
        assert_eq!(ours.read_usual(ANSWER.as_bytes()).unwrap().1, name);
        let contact = "Contact: <sip:A001442@127.0.0.1:5070>\r\n";
        let via = ";received=127.0.0.1";
        for text in [
            ANSWER,
            &ANSWER.replace(contact, ""),
            &ANSWER.replace(via, ""),
            &ANSWER.replace(via, ", SIP/2.0/UDP h;branch=z9hG4bK1"),
            &ANSWER.replace("302 Moved Temporarily", "603 Decline"),
            &ANSWER.replace("Server: one\r\n", "Allow: INVITE\r\nServer: x\r\n"),
            &format!("{ANSWER} a body"),
        ] {
            assert!(reads(&ours, text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_answer_with_a_wrong_field_is_not_taken_for_the_calls() {
        let ours = messages();
        for (from, to) in [
            (
                "branch=z9hG4bK00c0ffee000000002a",
                "branch=z9hG4bK00c0ffee000000002b",
            ),
            ("branch=z9hG4bK00c0ffee", "branch=z9hG4bK00c0ffef"),
            ("branch=z9hG4bK", "branch=z9hG4bk"),
            ("000000002a;received", "000000002aa;received"),
            ("tag=as00c0ffee000000002a", "tag=as00c0ffee000000002b"),
            ("tag=as00c0ffee000000002a", "tag=as00c0ffee000000002a1"),
            (">;tag=as00", ">;gat=as00"),
            ("tag=as00c0ffee000000002a", "tag=1;x=as00c0ffee000000002a"),
            ("Call-ID: 00c0ffee000000002a", "Call-ID: 00c0ffee000000002b"),
            ("2a@127.0.0.1:5070\r\nCSeq", "2a@127.0.0.1:5071\r\nCSeq"),
            ("CSeq: 102 INVITE", "CSeq: 103 INVITE"),
            ("CSeq: 102 INVITE", "CSeq: 102 OPTIONS"),
            ("To: ", "Tu: "),
            ("SIP/2.0 302", "SIP/2.0 3020"),
            ("Server: one", "Server one"),
            ("Server: one", " folded: one"),
            ("Server: one", "i: 00c0ffee000000002a@127.0.0.1:5070"),
            ("\r\n\r\n", "\r\n"),
        ] {
            let changed = ANSWER.replacen(from, to, 1);
            assert_ne!(changed, ANSWER, "{from}");
            assert!(!reads(&ours, changed.as_bytes()), "{changed}");
        }
    }

    #[test]
    fn whatever_the_octets_it_says_what_the_general_reading_says_or_nothing() {
        let ours = messages();
        let mut random = SplitMix64::of(5, 5);
        let marks = b"\r\n \t:;,<>@=avftimcVFTIMC0\x00\x0c\xff";
        let pick = |random: &mut SplitMix64, below: usize| {
            usize::try_from(random.below(u32::try_from(below).unwrap())).unwrap()
        };
        let mut read = 0;
        for _ in 0..300_000 {
            let mut octets = ANSWER.as_bytes().to_vec();
            for _ in 0..=random.below(2) {
                let at = pick(&mut random, octets.len());
                let mark = marks[pick(&mut random, marks.len())];
                match random.below(4) {
                    0 => octets.insert(at, mark),
                    1 => drop(octets.remove(at)),
                    2 => octets.truncate(octets.len().max(at + 1) - random.below(2) as usize),
                    _ => octets[at] = mark,
                }
            }
            read += u32::from(reads(&ours, &octets));
        }
        assert!(read > 10_000, "{read} of the changed answers were read");
    }

    #[test]
    fn header_lines_may_come_in_any_order() {
        let ours = messages();
        let (head, rest) = ANSWER.split_once("\r\n").unwrap();
        let lines: Vec<&str> = rest.trim_end().split("\r\n").collect();
        for turn in 0..lines.len() {
            let mut turned = lines.clone();
            turned.rotate_left(turn);
            let text = format!("{head}\r\n{}\r\n\r\n", turned.join("\r\n"));
            assert!(reads(&ours, text.as_bytes()), "{text}");
        }
    }
}
