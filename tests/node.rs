//! A node with a UAS of the test's own in place of the real one: what the loop promises whatever the datagrams say.
//!
//! Promises: sockets on loopback, ports of the kernel's choice, every wait with a deadline.
//! Leaves to `serve.rs`: the program, with real calls.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
#[path = "common/rows.rs"]
mod rows;

#[cfg(test)]
mod node {
    use super::rows;
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::{Clock, Now};
    use tollgate::control::Listener;
    use tollgate::e164::E164;
    use tollgate::event::{Event, EventReceiver, Outcome, Said, event_queue};
    use tollgate::limits::{
        BATCH_DATAGRAMS, DATAGRAM_BYTES_MAX, EVENTS_PER_BLOCK, RECEIVE_BUFFER_BYTES,
    };
    use tollgate::net::{Answer, Datagram};
    use tollgate::policy::rows::{ListRow, Pattern, Rows, Scope};
    use tollgate::policy::{Code, Decision, Snapshot};
    use tollgate::process::{Accounting, Node, NodeSetup, Operation};
    use tollgate::shard::Stages;
    use tollgate::uas::{Recall, Touch, TransactionMemory, Uas};

    /// How long an answer may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Sends a datagram back, unless its first octet says otherwise: `s` silence, `o` no call, `p` panic while deciding.
    #[derive(Debug, Clone)]
    struct Echo {
        /// While closed, the shard waits in the middle of a batch.
        open: Arc<AtomicBool>,
        /// Slots cannot be made: a shard that panics before it reads.
        broken: bool,
    }

    impl Echo {
        fn new() -> Self {
            Self {
                open: Arc::new(AtomicBool::new(true)),
                broken: false,
            }
        }
    }

    impl Stages for Echo {
        type Slot = Outcome;

        fn set_draining(&mut self, _draining: bool) {}

        fn slot(&self) -> Outcome {
            assert!(
                !self.broken,
                "a shard that cannot start, as this test wants it"
            );
            Outcome::Unparsable
        }

        /// `x`: can be spared.
        fn is_expendable(&self, _policy: &Snapshot, datagram: &Datagram<'_>) -> bool {
            datagram.bytes.first() == Some(&b'x')
        }

        fn is_stranger(&self, _policy: &Snapshot, _datagram: &Datagram<'_>) -> bool {
            false
        }

        fn scan(&self, _policy: &Snapshot, datagram: &Datagram<'_>, slot: &mut Outcome) {
            while !self.open.load(Ordering::Acquire) {
                thread::yield_now();
            }
            *slot = match datagram.bytes.first() {
                Some(b's') => Outcome::Ack,
                Some(b'o') => Outcome::Options,
                _ => Outcome::Approved,
            };
        }

        fn admit(&self, _policy: &Snapshot, _datagram: &Datagram<'_>, _slot: &mut Outcome) {}

        fn touch(&self, _policy: &Snapshot, _slot: &mut Outcome, _step: Touch) {}

        fn decide(
            &self,
            _policy: &Snapshot,
            datagram: &Datagram<'_>,
            _now: Now,
            _slot: &mut Outcome,
        ) {
            assert_ne!(datagram.bytes.first(), Some(&b'p'), "as this test wants it");
        }

        fn respond(
            &self,
            _policy: &Snapshot,
            datagram: &Datagram<'_>,
            slot: &mut Outcome,
            out: &mut [u8],
        ) -> Option<Answer> {
            if *slot == Outcome::Ack {
                return None;
            }
            let text = format!("{} of {}", datagram.bytes.len(), datagram.full_length);
            out[..text.len()].copy_from_slice(text.as_bytes());
            Some(Answer::fixed(text.len(), datagram.source))
        }

        fn outcome(&self, slot: &Outcome) -> Outcome {
            *slot
        }

        fn decision<'slot>(&self, _slot: &'slot Outcome) -> Option<&'slot Decision> {
            None
        }

        fn recall(&self, _slot: &Outcome) -> Recall {
            Recall::Unasked
        }

        fn describe(&self, datagram: &Datagram<'_>, _slot: &Outcome, event: &mut Event) {
            event.say(&Said {
                dialled: datagram.bytes,
                ..Said::default()
            });
        }
    }

    fn setup(listeners: &[&str], shards: usize) -> NodeSetup {
        NodeSetup {
            listeners: listeners
                .iter()
                .map(|text| Listener::at(text.parse().unwrap()))
                .collect(),
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            admin: "127.0.0.1:0".parse().unwrap(),
            cores: vec![None; shards],
            rows: Rows::default(),
            memory: None,
            events: Vec::new(),
            operation: Operation::default(),
            journal: None,
        }
    }

    fn start(shards: usize, echo: &Echo) -> Node {
        Node::start(setup(&["127.0.0.1:0"], shards), echo).unwrap()
    }

    fn client(to: SocketAddr) -> UdpSocket {
        let any = if to.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn ask(socket: &UdpSocket, datagram: &[u8]) -> String {
        socket.send(datagram).unwrap();
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Every datagram is read or dropped by the kernel, and what was read has one outcome each.
    fn check_sums(sums: &Accounting, sent: u64) {
        assert_eq!(
            sums.outcomes.iter().sum::<u64>(),
            sums.datagrams,
            "{sums:?}"
        );
        assert_eq!(sums.datagrams + sums.kernel_dropped, sent, "{sums:?}");
    }

    /// Status and body of `path`.
    fn get(admin: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn metric(admin: SocketAddr, series: &str) -> u64 {
        let (status, _, text) = get(admin, "GET", "/metrics");
        assert_eq!(status, 200);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .unwrap_or_else(|| panic!("{series} is missing in\n{text}"));
        line.trim().parse().unwrap()
    }

    #[test]
    fn two_shards_share_the_calls_of_64_ports() {
        let node = start(2, &Echo::new());
        let clients: Vec<UdpSocket> = (0..64).map(|_| client(node.listeners()[0])).collect();
        for socket in &clients {
            for _ in 0..5 {
                assert_eq!(ask(socket, b"hello"), "5 of 5");
            }
        }
        let shares: Vec<u64> = ["0", "1"]
            .iter()
            .map(|shard| {
                metric(
                    node.admin(),
                    &format!("tollgate_answers_total{{shard=\"{shard}\"}}"),
                )
            })
            .collect();
        assert!(shares.iter().all(|share| *share >= 5), "{shares:?}");
        let sums = node.stop();
        check_sums(&sums, 320);
        assert_eq!(sums.answers, 320);
        assert_eq!(shares.iter().sum::<u64>(), 320);
    }

    #[test]
    fn a_panic_costs_its_batch_and_nothing_else() {
        const PANICS: u64 = 10;
        let node = start(1, &Echo::new());
        let socket = client(node.listeners()[0]);
        for number in 1..=PANICS {
            socket.send(b"panic").unwrap();
            let deadline = deadline();
            while metric(node.admin(), "tollgate_shard_panics_total") < number {
                assert!(!deadline.passed(), "panic {number} was not counted");
            }
            // The shard goes on with its own socket: the same port answers.
            assert_eq!(ask(&socket, b"next"), "4 of 4");
        }
        assert_eq!(get(node.admin(), "GET", "/readyz").0, 200);
        let sums = node.stop();
        check_sums(&sums, 2 * PANICS);
        assert_eq!(sums.outcome(Outcome::Panicked), PANICS);
        assert_eq!(sums.panics, PANICS);
    }

    #[test]
    fn a_shard_that_panics_without_reading_stays_down_and_unready() {
        let echo = Echo {
            broken: true,
            ..Echo::new()
        };
        let node = start(1, &echo);
        let deadline = deadline();
        let (body, head) = loop {
            let (status, head, body) = get(node.admin(), "GET", "/readyz");
            if status == 503 {
                break (body, head);
            }
            assert!(!deadline.passed(), "still {status}");
        };
        assert!(
            body.contains("\"detail\":\"not running: shard 0\""),
            "{head}{body}"
        );
        assert_eq!(get(node.admin(), "GET", "/healthz").0, 200);
        assert!(node.stop().panics > 0);
    }

    #[test]
    fn a_datagram_of_60_kb_is_cut_and_known_to_be() {
        let node = start(1, &Echo::new());
        let socket = client(node.listeners()[0]);
        assert_eq!(
            ask(&socket, &vec![b'x'; 60_000]),
            format!("{DATAGRAM_BYTES_MAX} of 60000")
        );
        assert_eq!(ask(&socket, b""), "0 of 0");
        check_sums(&node.stop(), 2);
    }

    /// RFC 3261 §18.4: an ICMP error about an answer ends nothing.
    #[test]
    fn answers_to_closed_ports_do_not_stop_the_loop() {
        let node = start(1, &Echo::new());
        let to = node.listeners()[0];
        for _ in 0..50 {
            client(to).send(b"and gone").unwrap();
        }
        let socket = client(to);
        for _ in 0..50 {
            client(to).send(b"and gone").unwrap();
            assert_eq!(ask(&socket, b"here"), "4 of 4");
        }
        let sums = node.stop();
        assert_eq!(sums.outcomes.iter().sum::<u64>(), sums.datagrams);
        assert_eq!(sums.datagrams, 150);
        assert_eq!(sums.answers + sums.send_failed, 150);
    }

    #[test]
    fn one_shard_serves_listeners_of_both_families() {
        let listeners = ["[::1]:0", "127.0.0.1:0", "127.0.0.2:0"];
        let node = Node::start(setup(&listeners, 1), &Echo::new()).unwrap();
        let distinct: BTreeSet<&SocketAddr> = node.listeners().iter().collect();
        assert_eq!(distinct.len(), 3);
        for to in node.listeners() {
            assert_eq!(ask(&client(*to), b"hello"), "5 of 5", "{to}");
        }
        check_sums(&node.stop(), 3);
    }

    #[test]
    fn what_the_kernel_dropped_and_what_was_read_is_what_was_sent() {
        const SENT: u64 = 20_000;
        let echo = Echo::new();
        echo.open.store(false, Ordering::Release);
        let node = start(1, &echo);
        let socket = client(node.listeners()[0]);
        for _ in 0..SENT {
            socket.send(&[b's'; 1000]).unwrap();
        }
        echo.open.store(true, Ordering::Release);
        // The stop serves what the socket holds.
        let sums = node.stop();
        assert!(sums.kernel_dropped > 0 && sums.datagrams > 0, "{sums:?}");
        check_sums(&sums, SENT);
    }

    /// The first batch was read before there was anything behind it; from then on what can be spared is given up.
    #[test]
    fn under_overload_the_expendable_go_unread_and_are_counted_as_such() {
        for (datagrams, overload) in [(1000, true), (40, false)] {
            let echo = Echo::new();
            echo.open.store(false, Ordering::Release);
            let (sender, receiver) = event_queue(100);
            let node = Node::start(
                NodeSetup {
                    events: vec![sender],
                    receive_buffer_bytes: 1 << 20,
                    ..setup(&["127.0.0.1:0"], 1)
                },
                &echo,
            )
            .unwrap();
            let socket = client(node.listeners()[0]);
            for _ in 0..datagrams {
                socket.send(&[b'x'; 600]).unwrap();
                socket.send(&[b's'; 600]).unwrap();
            }
            echo.open.store(true, Ordering::Release);
            let sums = node.stop();
            check_sums(&sums, 2 * datagrams);
            let shed = sums.outcome(Outcome::Shed);
            assert_eq!(shed > 0, overload, "{sums:?}");
            // Of what cannot be spared all that was read went through every stage.
            let others = sums.datagrams - shed;
            assert_eq!(
                sums.outcome(Outcome::Ack) + sums.outcome(Outcome::Approved),
                others
            );
            assert!(sums.outcome(Outcome::Ack) > shed / 2, "{sums:?}");
            let told = collect(&receiver);
            assert_eq!(
                u64::try_from(told.len()).unwrap(),
                sums.outcome(Outcome::Approved),
                "no event tells of the others"
            );
        }
    }

    #[test]
    fn a_flooded_listener_does_not_hold_up_the_other() {
        let echo = Echo::new();
        echo.open.store(false, Ordering::Release);
        let (sender, receiver) = event_queue(100);
        let node = Node::start(
            NodeSetup {
                events: vec![sender],
                ..setup(&["127.0.0.1:0", "127.0.0.1:0"], 1)
            },
            &echo,
        )
        .unwrap();
        for flooded in [0, 1] {
            echo.open.store(false, Ordering::Release);
            let flood = client(node.listeners()[flooded]);
            for _ in 0..20 * BATCH_DATAGRAMS {
                flood.send(b"flood").unwrap();
            }
            let other = client(node.listeners()[1 - flooded]);
            other.send(b"here").unwrap();
            echo.open.store(true, Ordering::Release);
            assert_eq!(other.recv(&mut [0; 100]).unwrap(), 6);
            let deadline = deadline();
            let mut events = Vec::new();
            while events.len() < 20 * BATCH_DATAGRAMS + 1 {
                events.extend(collect(&receiver));
                assert!(!deadline.passed(), "{} events", events.len());
            }
            let place = events.iter().position(|(_, text, _)| text == b"here");
            // One batch was under way, one more may have been due.
            let place = place.unwrap();
            assert!(
                place <= 3 * BATCH_DATAGRAMS,
                "listener {flooded}: after {place}"
            );
        }
        let _sums = node.stop();
    }

    /// RFC 3581 §4: an answer leaves from the very address and port that the request came to.
    #[test]
    fn a_wildcard_listener_answers_from_the_address_that_was_asked() {
        for (listener, targets) in [
            ("0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.0.0.3"][..]),
            ("[::]:0", &["::1"][..]),
            ("127.0.0.2:0", &["127.0.0.2"][..]),
        ] {
            let node = Node::start(setup(&[listener], 2), &Echo::new()).unwrap();
            let port = node.listeners()[0].port();
            let any = if listener.starts_with('[') {
                "[::1]:0"
            } else {
                "127.0.0.1:0"
            };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            for target in targets {
                let target = SocketAddr::new(target.parse().unwrap(), port);
                for _ in 0..3 {
                    socket.send_to(b"hello", target).unwrap();
                }
                for _ in 0..3 {
                    let (_, from) = socket.recv_from(&mut [0; 100]).unwrap();
                    assert_eq!(from, target, "{listener}");
                }
            }
            check_sums(&node.stop(), 3 * u64::try_from(targets.len()).unwrap());
        }
    }

    #[test]
    fn what_was_sent_before_the_stop_is_answered() {
        let echo = Echo::new();
        echo.open.store(false, Ordering::Release);
        let node = start(2, &echo);
        let clients: Vec<UdpSocket> = (0..8).map(|_| client(node.listeners()[0])).collect();
        for socket in &clients {
            for _ in 0..40 {
                socket.send(b"hello").unwrap();
            }
        }
        echo.open.store(true, Ordering::Release);
        let sums = node.stop();
        check_sums(&sums, 320);
        assert_eq!(sums.answers, 320);
        for socket in &clients {
            for _ in 0..40 {
                assert_eq!(socket.recv(&mut [0; 100]).unwrap(), 6);
            }
        }
    }

    fn invite(call: usize, from: &UdpSocket) -> String {
        let via = from.local_addr().unwrap();
        format!(
            "INVITE sip:+442071838750@gw.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {via};branch=z9hG4bK{call}\r\n\
             From: <sip:1003@pbx.example.com>;tag=f{call}\r\n\
             To: <sip:+442071838750@gw.example>\r\n\
             Call-ID: {call}@pbx.example.com\r\n\
             CSeq: 1 INVITE\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// RFC 3261 §17.1.1.2: a client sends its INVITE again for 32 seconds. A list row that expires puts a new snapshot in
    /// force meanwhile.
    #[test]
    fn a_retransmission_after_a_snapshot_swap_gets_the_answer_of_before() {
        const DENIED_S: u64 = 3;
        // Room for all the calls by which the test waits for the expiry.
        let memory =
            Arc::new(TransactionMemory::new(1 << 20, [5; 16]).expect("there is address space"));
        let mut rows = rows::approving();
        rows.lists.push(ListRow {
            scope: Scope::System,
            pattern: Pattern::Number(E164::from_digits(b"442071838750").unwrap()),
            deny: Some(Code::R03),
            expires_unix_s: Some(Clock::start().now().unix_s() + DENIED_S),
            file: 0,
            line: 1,
        });
        let node = Node::start(
            NodeSetup {
                rows,
                memory: Some(Arc::clone(&memory)),
                ..setup(&["127.0.0.1:0"], 2)
            },
            &Uas::new([7; 16]).with_memory(memory),
        )
        .unwrap();
        // Another port is another shard, more often than not.
        let sockets: Vec<UdpSocket> = (0..8).map(|_| client(node.listeners()[0])).collect();
        let packet = invite(0, &sockets[0]).replace("branch", "rport;branch");
        let rport = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap().port().to_string());
        let rports: Vec<String> = rport.collect();
        let answers = || -> Vec<String> {
            let ask_all = sockets.iter().zip(&rports);
            ask_all
                .map(|(socket, port)| {
                    let answer = ask_long(socket, packet.as_bytes());
                    answer.replacen(&format!("rport={port}"), "rport=PORT", 1)
                })
                .collect()
        };
        let before = answers();
        assert!(before[0].starts_with("SIP/2.0 603 "), "{}", before[0]);
        // Until a call of its own is approved, the row has not expired.
        let deadline = deadline();
        let mut others = 0;
        loop {
            others += 1;
            let packet = invite(others, &sockets[0]).replace("branch", "rport;branch");
            if ask_long(&sockets[0], packet.as_bytes()).starts_with("SIP/2.0 302 ") {
                break;
            }
            assert!(!deadline.passed(), "the row never expired");
        }
        let after = answers();
        assert_eq!(after, before);
        assert!(after.iter().all(|answer| *answer == after[0]), "{after:?}");
        let series = "tollgate_verdicts_total{domain=\"loopback\",code=\"A00\"}";
        assert_eq!(metric(node.admin(), series), 1);
        let sums = node.stop();
        assert_eq!(sums.outcome(Outcome::Repeated), 15);
        assert_eq!(sums.outcome(Outcome::Approved), 1);
        // One for the call that was repeated, one for each that came before the expiry.
        assert_eq!(
            sums.outcome(Outcome::Rejected),
            u64::try_from(others).unwrap()
        );
        check_sums(&sums, u64::try_from(others + 16).unwrap());
    }

    fn ask_long(socket: &UdpSocket, datagram: &[u8]) -> String {
        socket.send(datagram).unwrap();
        let mut bytes = [0; 2000];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn collect(receiver: &EventReceiver) -> Vec<(Outcome, Vec<u8>, SocketAddr)> {
        let mut events = Vec::new();
        receiver.drain(|event| {
            let text = event.dialled().bytes().to_vec();
            events.push((event.outcome, text, event.source));
        });
        events
    }

    #[test]
    fn every_call_is_one_event_for_whoever_wants_them_and_nothing_else_is() {
        let (sender, receiver) = event_queue(4);
        let node = Node::start(
            NodeSetup {
                events: vec![sender],
                ..setup(&["127.0.0.1:0"], 1)
            },
            &Echo::new(),
        )
        .unwrap();
        let socket = client(node.listeners()[0]);
        let from = socket.local_addr().unwrap();
        let mut expected = Vec::new();
        for number in 0..EVENTS_PER_BLOCK + 3 {
            let text = format!("{number}");
            socket.send(b"silent").unwrap();
            assert_eq!(ask(&socket, b"options"), "7 of 7");
            assert_eq!(
                ask(&socket, text.as_bytes()),
                format!("{0} of {0}", text.len())
            );
            expected.push((Outcome::Approved, text.into_bytes(), from));
        }
        // An idle shard keeps nothing back, so all of it is there before the stop.
        let mut events = Vec::new();
        let deadline = deadline();
        while events.len() < expected.len() {
            events.extend(collect(&receiver));
            assert!(!deadline.passed(), "{} events", events.len());
        }
        assert_eq!(events, expected);
        assert_eq!(node.stop().events_dropped, 0);
        assert_eq!(collect(&receiver), []);
    }

    #[test]
    fn events_that_nobody_fetches_are_dropped_and_the_calls_answered() {
        let (sender, receiver) = event_queue(1);
        let node = Node::start(
            NodeSetup {
                events: vec![sender],
                ..setup(&["127.0.0.1:0"], 1)
            },
            &Echo::new(),
        )
        .unwrap();
        let socket = client(node.listeners()[0]);
        for _ in 0..3 * EVENTS_PER_BLOCK {
            assert_eq!(ask(&socket, b"hello"), "5 of 5");
        }
        let admin = node.admin();
        let dropped = metric(admin, "tollgate_events_dropped_total{shard=\"0\"}");
        let sums = node.stop();
        let kept = u64::try_from(collect(&receiver).len()).unwrap();
        assert!(dropped > 0);
        assert_eq!(kept + sums.events_dropped, sums.datagrams);
    }

    #[test]
    fn the_admin_port_says_what_is_and_what_is_not_there() {
        let node = start(1, &Echo::new());
        let admin = node.admin();
        assert_eq!(get(admin, "GET", "/healthz").0, 200);
        let (status, _, body) = get(admin, "GET", "/readyz");
        assert_eq!((status, &*body), (200, "ready\n"));
        let (status, head, text) = get(admin, "GET", "/metrics");
        assert_eq!(status, 200);
        assert!(
            head.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        assert!(
            text.contains("# TYPE tollgate_datagrams_total counter\n"),
            "{text}"
        );
        for (method, path, status) in [
            ("GET", "/nothing", 404),
            ("GET", "/", 404),
            ("POST", "/metrics", 405),
        ] {
            let (found, head, body) = get(admin, method, path);
            assert_eq!(found, status, "{method} {path}");
            assert!(
                head.contains("content-type: application/problem+json"),
                "{head}"
            );
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], status);
            assert!(problem["detail"].as_str().unwrap().contains(path), "{body}");
        }
        // A connection that says nothing does not hold up the stop.
        let silent = TcpStream::connect(admin).unwrap();
        let deadline = deadline();
        let _sums = node.stop();
        assert!(!deadline.passed());
        drop(silent);
    }

    #[test]
    fn a_port_in_use_starts_nothing() {
        let node = start(2, &Echo::new());
        let taken = node.listeners()[0].to_string();
        let error = Node::start(setup(&["127.0.0.1:0", &taken], 2), &Echo::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("udp {taken} is in use by another process; stop it or listen elsewhere")
        );
        let other = NodeSetup {
            admin: node.admin(),
            ..setup(&["127.0.0.1:0"], 1)
        };
        let error = Node::start(other, &Echo::new()).unwrap_err().to_string();
        assert!(error.contains(&node.admin().to_string()), "{error}");
        assert_eq!(ask(&client(node.listeners()[0]), b"hello"), "5 of 5");
        let _sums = node.stop();
    }

    /// When a wait has been too long.
    struct Deadline(Clock);

    impl Deadline {
        fn passed(&self) -> bool {
            Duration::from_nanos(self.0.now().monotonic_ns) > PATIENCE
        }
    }

    fn deadline() -> Deadline {
        Deadline(Clock::start())
    }
}
