//! Answers that leave in runs are what RFC 3261 wants of each of them.
//!
//! Promises: calls that are asked together, of many lengths, from several ports, to a listener on all addresses.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod runs {
    use super::common::answer::{Message, violations};
    use super::common::rows;
    use std::collections::HashMap;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::time::Duration;
    use tollgate::control::Listener;
    use tollgate::event::Outcome;
    use tollgate::limits::RECEIVE_BUFFER_BYTES;
    use tollgate::process::{Node, NodeSetup};
    use tollgate::sys::SendBatch;
    use tollgate::uas::Uas;

    const CALLS: usize = 32;
    const ROUNDS: usize = 40;

    fn node(gso: bool) -> Node {
        let listener = Listener {
            gso,
            ..Listener::at("0.0.0.0:0".parse().unwrap())
        };
        let setup = NodeSetup {
            listeners: vec![listener],
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            admin: "127.0.0.1:0".parse().unwrap(),
            cores: vec![None],
            rows: rows::approving(),
            memory: None,
            events: Vec::new(),
        };
        Node::start(setup, &Uas::new([7; 16])).unwrap()
    }

    /// An INVITE, about 240 octets and as many more as `filler`.
    fn invite(call: usize, filler: usize, from: SocketAddr) -> Vec<u8> {
        let filler = "x".repeat(filler);
        format!(
            "INVITE sip:+390612345678@gw SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK{call};rport\r\n\
             From: <sip:4100@a>;tag=f{call}\r\nTo: <sip:+390612345678@gw>\r\n\
             Call-ID: {call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
             Subject: {filler}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// Sends all calls at once, and each call's answer by its Call-ID. All answers come from where the calls went.
    fn ask(peer: &UdpSocket, to: SocketAddr, calls: &[Vec<u8>]) -> HashMap<String, Vec<u8>> {
        let mut batch = SendBatch::new(CALLS, 4096);
        for call in calls {
            batch.next_slot().unwrap()[..call.len()].copy_from_slice(call);
            batch.commit(call.len(), to);
        }
        assert_eq!(batch.send(peer.as_fd(), 0).unwrap(), calls.len());
        let mut answers = HashMap::new();
        for _ in calls {
            let mut bytes = vec![0; 5000];
            let (length, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(from, to);
            bytes.truncate(length);
            let call_id = Message::read(&bytes)
                .unwrap()
                .one("Call-ID")
                .unwrap()
                .to_owned();
            assert!(answers.insert(call_id, bytes).is_none(), "answered twice");
        }
        answers
    }

    fn peer() -> UdpSocket {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        peer
    }

    fn in_runs(admin: SocketAddr) -> u64 {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("\ntollgate_gso_fallback_total 0\n"), "{text}");
        let series = "tollgate_answers_in_runs_total{shard=\"0\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap().parse().unwrap()
    }

    #[test]
    fn every_answer_of_a_run_is_whole_and_no_amplifier() {
        for gso in [true, false] {
            let node = node(gso);
            let peer = peer();
            let from = peer.local_addr().unwrap();
            let port = node.listeners()[0].port();
            for round in 0..ROUNDS {
                let address = if round % 2 == 0 {
                    "127.0.0.1"
                } else {
                    "127.0.0.2"
                };
                let to = SocketAddr::new(address.parse().unwrap(), port);
                let calls: Vec<Vec<u8>> = (0..CALLS)
                    .map(|call| invite(round * CALLS + call, call * round % 97, from))
                    .collect();
                let answers = ask(&peer, to, &calls);
                for (call, bytes) in calls.iter().enumerate() {
                    let answer = &answers[&(round * CALLS + call).to_string()];
                    let faults = violations(bytes, from, answer);
                    assert!(faults.is_empty(), "{faults:?}");
                    assert!(answer.starts_with(b"SIP/2.0 302 "));
                    assert!(
                        !gso || answer.len().is_multiple_of(64),
                        "{} octets",
                        answer.len()
                    );
                }
            }
            let in_runs = in_runs(node.admin());
            let sums = node.stop();
            let all = u64::try_from(CALLS * ROUNDS).unwrap();
            assert_eq!((sums.outcome(Outcome::Approved), sums.answers), (all, all));
            // How many come together is up to the machine; that none do in all these rounds is not.
            assert_eq!(in_runs > 0, gso, "{in_runs}");
        }
    }

    #[test]
    fn a_retransmission_is_answered_with_the_same_octets_alone_or_in_a_run() {
        let node = node(true);
        let peer = peer();
        let from = peer.local_addr().unwrap();
        let port = node.listeners()[0].port();
        let to = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        let calls: Vec<Vec<u8>> = (0..CALLS)
            .map(|call| invite(call, 3 * call, from))
            .collect();
        let together = ask(&peer, to, &calls);
        for call in &calls {
            for (call_id, answer) in ask(&peer, to, std::slice::from_ref(call)) {
                assert_eq!(answer, together[&call_id]);
            }
        }
        let _sums = node.stop();
    }
}
