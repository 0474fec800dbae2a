//! Nothing gets lost uncounted: what a source sent is what became of it, above what the server can bear.
//!
//! Promises: a bounded burst, faster than one shard answers, into a receive buffer too small for it: the source sends in
//! runs (`UDP_SEGMENT`), the server answers one by one.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod accounting {
    use super::common::rows;
    use serde_json::Value;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsFd;
    use tollgate::control::Listener;
    use tollgate::event::Outcome;
    use tollgate::process::{Accounting, Node, NodeSetup, Operation};
    use tollgate::sys::{Run, SendBatch};
    use tollgate::uas::{Packet, Uas};

    /// Datagrams of one run, all of one size.
    const RUN: usize = 32;
    const RUNS: usize = 2_000;
    const DATAGRAM_BYTES: usize = 1_000;

    /// One shard with room for some 25 INVITEs, which answers one by one.
    fn node() -> Node {
        let listener = Listener {
            gso: false,
            ..Listener::at("127.0.0.1:0".parse().unwrap())
        };
        let setup = NodeSetup {
            listeners: vec![listener],
            receive_buffer_bytes: 32 * 1024,
            admin: "127.0.0.1:0".parse().unwrap(),
            cores: vec![None],
            rows: rows::approving(),
            memory: None,
            events: Vec::new(),
            operation: Operation::default(),
            journal: None,
        };
        Node::start(setup, &Uas::new([7; 16])).unwrap()
    }

    /// A request of exactly `DATAGRAM_BYTES`.
    fn request(method: &str, number: usize, from: SocketAddr) -> Vec<u8> {
        let head = format!(
            "{method} sip:+390612345678@gw.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK{number};rport\r\n\
             From: <sip:4100@{from}>;tag=f{number}\r\n\
             To: <sip:+390612345678@gw.example>\r\n\
             Call-ID: call-{number}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nSubject: "
        );
        let end = "\r\nContent-Length: 0\r\n\r\n";
        let filler = "x".repeat(DATAGRAM_BYTES - head.len() - end.len());
        (head + &filler + end).into_bytes()
    }

    /// Sends `RUNS` runs of these methods in turn, as fast as the kernel takes them; how many datagrams it took.
    fn send(source: &UdpSocket, methods: &[&str], to: SocketAddr) -> u64 {
        let from = source.local_addr().unwrap();
        let order: Vec<u8> = (0..).take(RUN).collect();
        let mut sent = 0;
        for run in 0..RUNS {
            let mut batch = SendBatch::new(RUN, DATAGRAM_BYTES);
            for slot in 0..RUN {
                let method = methods[slot % methods.len()];
                let datagram = request(method, run * RUN + slot, from);
                batch.next_slot().unwrap().copy_from_slice(&datagram);
                batch.commit(datagram.len(), to);
            }
            let message = Run {
                first: 0,
                count: RUN,
                segment: u16::try_from(DATAGRAM_BYTES).ok(),
                local: None,
            };
            // A full queue takes nothing of it.
            if batch.send_runs(source.as_fd(), &order, &[message]).is_ok() {
                sent += u64::try_from(RUN).unwrap();
            }
        }
        sent
    }

    /// What the line at the stop says, read as a program would.
    fn check(sums: &Accounting, sent: u64) {
        let line: Value = serde_json::from_str(&sums.json()).unwrap();
        let outcomes = line["outcomes"].as_object().unwrap();
        let total: u64 = outcomes.values().map(|count| count.as_u64().unwrap()).sum();
        let dropped = line["kernel_dropped"].as_u64().unwrap();
        assert!(dropped > 0, "the burst was none: {line}");
        assert!(total > 0, "nothing was read: {line}");
        assert_eq!(total + dropped, sent, "{line}");
    }

    #[test]
    fn outcomes_and_kernel_drops_are_what_was_sent() {
        let node = node();
        let source = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = send(&source, &["INVITE"], node.listeners()[0]);
        let sums = node.stop();
        check(&sums, sent);
        // Every INVITE that was read was decided and answered.
        assert_eq!(sums.outcome(Outcome::Approved), sums.datagrams);
        assert_eq!(sums.answers + sums.send_failed, sums.datagrams);
    }

    #[test]
    fn invites_are_decided_while_options_and_strangers_go_unread() {
        // SIP-096
        let mut rows = rows::approving();
        rows.domains[0].peers = vec![rows::single("127.0.0.1")];
        let listener = Listener {
            gso: false,
            ..Listener::at("0.0.0.0:0".parse().unwrap())
        };
        let setup = NodeSetup {
            listeners: vec![listener],
            receive_buffer_bytes: 256 * 1024,
            admin: "127.0.0.1:0".parse().unwrap(),
            cores: vec![None],
            rows,
            memory: None,
            events: Vec::new(),
            operation: Operation::default(),
            journal: None,
        };
        let node = Node::start(setup, &Uas::new([7; 16])).unwrap();
        let port = node.listeners()[0].port();
        let to = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
        let mut sent = 0;
        std::thread::scope(|scope| {
            let strangers = scope.spawn(|| send(&stranger, &["INVITE"], to));
            sent += send(&peer, &["INVITE", "OPTIONS"], to);
            sent += strangers.join().unwrap();
        });
        let sums = node.stop();
        check(&sums, sent);
        assert!(sums.outcome(Outcome::Shed) > 0, "{sums:?}");
        let known = [
            Outcome::Approved,
            Outcome::Options,
            Outcome::UnknownSource,
            Outcome::Shed,
        ];
        let counted: u64 = known.iter().map(|outcome| sums.outcome(*outcome)).sum();
        assert_eq!(counted, sums.datagrams, "{sums:?}");
        let answered = sums.outcome(Outcome::Approved) + sums.outcome(Outcome::Options);
        assert_eq!(sums.answers + sums.send_failed, answered);
    }

    #[test]
    fn what_can_be_spared_is_strangers_and_options_of_direct_peers() {
        let mut rows = rows::approving();
        rows.domains[0].proxies = vec![rows::single("127.0.0.9")];
        let policy = rows::snapshot(&rows);
        let uas = Uas::new([7; 16]);
        for (from, text, expendable) in [
            ("127.0.0.1:5060", "INVITE sip:1@a SIP/2.0\r\n", false),
            ("127.0.0.1:5060", "ACK sip:1@a SIP/2.0\r\n", false),
            ("127.0.0.1:5060", "CANCEL sip:1@a SIP/2.0\r\n", false),
            ("127.0.0.1:5060", "OPTIONSX sip:1@a SIP/2.0\r\n", false),
            ("127.0.0.1:5060", "", false),
            ("127.0.0.1:5060", "OPTIONS sip:a SIP/2.0\r\n", true),
            (
                "[::ffff:127.0.0.1]:5060",
                "INVITE sip:1@a SIP/2.0\r\n",
                false,
            ),
            ("192.0.2.1:5060", "INVITE sip:1@a SIP/2.0\r\n", true),
            ("192.0.2.1:5060", "OPTIONS sip:a SIP/2.0\r\n", true),
            ("192.0.2.1:5060", "", true),
            // Without an answer the balancer would give this node's calls to the others.
            ("127.0.0.9:5060", "OPTIONS sip:a SIP/2.0\r\n", false),
            (
                "[::ffff:127.0.0.9]:5060",
                "OPTIONS sip:a SIP/2.0\r\n",
                false,
            ),
            ("127.0.0.9:5060", "INVITE sip:1@a SIP/2.0\r\n", false),
        ] {
            let packet = Packet {
                bytes: text.as_bytes(),
                full_length: text.len(),
                source: from.parse().unwrap(),
            };
            assert_eq!(
                uas.is_expendable(&policy, &packet),
                expendable,
                "{from} {text}"
            );
        }
    }
}
