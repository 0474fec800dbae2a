//! SIP messages out of a stream of octets (RFC 3261 §18.3): a message ends where its Content-Length says.
//!
//! Promises: a message is handed out once, whole, in order; a stream whose next message cannot end within a bound is broken.
//! Leaves to the caller: reading and what a message means.

use crate::answer::header_lines;
use crate::limits::STREAM_MESSAGE_BYTES_MAX;

/// What has been read and not handed out.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    start: usize,
}

/// What a stream holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// Not a whole message yet.
    Partial,
    /// Nothing that could become a message: the stream is of no more use.
    Broken,
}

impl Framer {
    /// Adds what was read.
    pub fn add(&mut self, octets: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(octets);
    }

    /// The next message. Line ends between messages are passed over (RFC 5626 §3.5.1: keep-alives).
    pub fn next_frame(&mut self) -> Frame<'_> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let blank = rest
            .iter()
            .take_while(|&&octet| octet == b'\r' || octet == b'\n')
            .count();
        self.start += blank;
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some(head) = memchr::memmem::find(rest, b"\r\n\r\n") else {
            if rest.len() > STREAM_MESSAGE_BYTES_MAX {
                return Frame::Broken;
            }
            return Frame::Partial;
        };
        let Some(body) = content_length(rest.get(..head + 4).unwrap_or_default()) else {
            return Frame::Broken;
        };
        let end = head + 4 + body;
        if end > STREAM_MESSAGE_BYTES_MAX {
            return Frame::Broken;
        }
        let Some(message) = rest.get(..end) else {
            return Frame::Partial;
        };
        self.start += end;
        Frame::Message(message)
    }
}

/// RFC 3261 §18.3: on a stream Content-Length must be there.
fn content_length(head: &[u8]) -> Option<usize> {
    let (_, value) = header_lines(head).find(|(name, _)| {
        name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l")
    })?;
    str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let stream = b"\r\n\r\nA x\r\nContent-Length: 3\r\n\r\nabcB y\r\nl:  0\r\n\r\n\r\n";
        for step in 1..stream.len() {
            let mut framer = Framer::default();
            let mut messages = Vec::new();
            for piece in stream.chunks(step) {
                framer.add(piece);
                while let Frame::Message(message) = framer.next_frame() {
                    messages.push(message.to_vec());
                }
            }
            assert_eq!(messages.len(), 2, "{step}");
            assert_eq!(messages[0], b"A x\r\nContent-Length: 3\r\n\r\nabc");
            assert_eq!(messages[1], b"B y\r\nl:  0\r\n\r\n");
            assert_eq!(framer.next_frame(), Frame::Partial);
        }
    }

    #[test]
    fn a_stream_that_cannot_go_on_is_broken() {
        for text in [
            "A x\r\n\r\n".to_owned(),
            "A x\r\nl: many\r\n\r\n".to_owned(),
            format!("A x\r\nl: {STREAM_MESSAGE_BYTES_MAX}\r\n\r\n"),
            "x".repeat(STREAM_MESSAGE_BYTES_MAX + 1),
        ] {
            let mut framer = Framer::default();
            framer.add(text.as_bytes());
            assert_eq!(framer.next_frame(), Frame::Broken);
        }
    }
}
