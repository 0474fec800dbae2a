//! A datagram end to end, stage by stage as a shard does it: from a direct peer by the sample's policy, from a peer behind a
//! proxy by one made by hand, and from a stranger. P2–P6 and P8 of every answer.

use crate::rows;
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate::clock::Now;
use tollgate::control::{self, Source};
use tollgate::event::Event;
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::net::Datagram;
use tollgate::policy::Snapshot;
use tollgate::shard::{Stages, UasSlot};
use tollgate::uas::{Touch, TransactionMemory, Uas};

/// A server, two policies, and two slots that have seen different datagrams before.
pub(crate) struct Check {
    uas: Uas,
    memory: Arc<TransactionMemory>,
    sample: Snapshot,
    made: Snapshot,
    slots: [UasSlot; 2],
    outs: [Vec<u8>; 2],
    event: Event,
    direct: SocketAddr,
    proxied: SocketAddr,
    stranger: SocketAddr,
    seconds: u64,
}

impl Check {
    /// Everything that is built once.
    pub(crate) fn new() -> Self {
        let loaded = control::load(&Source::Sample).expect("the sample has no fault");
        let mut rows = rows::approving();
        rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
        // As small as it gets, so that entries are replaced.
        let memory = Arc::new(TransactionMemory::new(8, [9; 16]));
        let mut uas = Uas::new([7; 16]).with_memory(Arc::clone(&memory));
        uas.set_listening(&["127.0.0.10:5060".parse().expect("an address")]);
        Self {
            slots: [Stages::slot(&uas), Stages::slot(&uas)],
            uas,
            memory,
            sample: control::build(&loaded.rows, rows::at_ms(0)),
            made: rows::snapshot(&rows),
            outs: [(); 2].map(|()| vec![0; RESPONSE_BYTES_MAX]),
            event: Event::EMPTY,
            direct: "127.0.0.1:40000".parse().expect("an address"),
            proxied: "127.0.0.20:5060".parse().expect("an address"),
            stranger: "10.0.0.1:5060".parse().expect("an address"),
            seconds: 0,
        }
    }

    /// Holds one datagram to the rules.
    pub(crate) fn input(&mut self, bytes: &[u8]) {
        // What was remembered of datagrams before this one has been forgotten by now.
        self.seconds += 40;
        let now = rows::at_ms(self.seconds * 1000);
        self.memory.sweep(now);
        for (source, order) in [(self.direct, [0, 1]), (self.proxied, [1, 0])] {
            let datagram = Datagram {
                bytes,
                full_length: bytes.len(),
                source,
                local: None,
            };
            let [first, again] = order.map(|slot| self.answer(&datagram, slot, now));
            assert_eq!(first, again, "P8");
            let Some(length) = first else { continue };
            assert_eq!(self.outs[0][..length], self.outs[1][..length], "P8");
            check_answer(bytes, &self.outs[0][..length]);
        }
        let datagram = Datagram {
            bytes,
            full_length: bytes.len(),
            source: self.stranger,
            local: None,
        };
        assert_eq!(
            self.answer(&datagram, 0, now),
            None,
            "P4: a stranger was answered"
        );
    }

    /// The length of the answer.
    fn answer(&mut self, datagram: &Datagram<'_>, slot: usize, now: Now) -> Option<usize> {
        let policy = if datagram.source == self.direct {
            &self.sample
        } else {
            &self.made
        };
        let (uas, slot, out) = (&self.uas, &mut self.slots[slot], &mut self.outs[slot]);
        Stages::scan(uas, policy, datagram, slot);
        for step in Touch::STEPS {
            Stages::touch(uas, policy, slot, step);
        }
        Stages::decide(uas, policy, datagram, now, slot);
        let answer = Stages::respond(uas, policy, datagram, slot, out);
        let _outcome = Stages::outcome(uas, slot);
        Stages::describe(uas, datagram, slot, &mut self.event);
        let answer = answer?;
        assert_eq!(answer.destination.ip(), datagram.source.ip(), "P3");
        assert!(
            answer.stretch.at <= answer.length,
            "blanks inside the answer"
        );
        Some(answer.length)
    }
}

/// What is true of every answer to a peer.
fn check_answer(bytes: &[u8], text: &[u8]) {
    assert!(text.len() <= bytes.len() + 250, "P4");
    assert!(bytes.len() < 300 || text.len() * 2 <= bytes.len() * 3, "P4");
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let start = &bytes[bytes.iter().position(|octet| !blank(octet)).unwrap_or(0)..];
    assert!(
        !start.starts_with(b"SIP/2.0") && !start.starts_with(b"ACK "),
        "P5"
    );
    assert!(text.starts_with(b"SIP/2.0 "), "P6");
    assert!(
        text.ends_with(b":0\r\n\r\n") || text.ends_with(b": 0\r\n\r\n"),
        "P6"
    );
    let (mut before, mut line_ends, mut blank_lines) = (0, 0, 0);
    for &octet in text {
        assert_eq!(before == b'\r', octet == b'\n', "P6: CRLF only");
        match octet {
            b'\n' => line_ends += 1,
            b'\r' => {}
            _ => line_ends = 0,
        }
        blank_lines += usize::from(octet == b'\n' && line_ends == 2);
        before = octet;
    }
    assert_eq!(blank_lines, 1, "P6: nothing behind the blank line");
}
