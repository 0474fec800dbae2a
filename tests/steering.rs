//! Sharing the calls of one source port among the shards, by what the datagrams say.
//!
//! Promises: INVITEs as PBXs and proxies write them, all to one number from one caller: what is new in a call is its
//! branch, tag and Call-ID. They are sent one by one: a run of datagrams is steered as one.
//! The proxy that we did not write is Debian's `kamailio`; where it is not installed its test fails and names the package.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod steering {
    use super::common::{rows, server};
    use std::collections::HashSet;
    use std::fs;
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;
    use tollgate::control::{Listener, Steering};
    use tollgate::event::Outcome;
    use tollgate::limits::RECEIVE_BUFFER_BYTES;
    use tollgate::net::{Received, RxBatch, Socket, bind_group, steer};
    use tollgate::process::{Node, NodeSetup};
    use tollgate::uas::Uas;

    const CALLS: usize = 20_000;

    /// How long an answer may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A captured INVITE, and which of its octets are new in every call.
    struct Shape {
        name: &'static str,
        invite: Vec<u8>,
        /// Where they stand; every octet is a hexadecimal digit.
        varying: Vec<std::ops::Range<usize>>,
    }

    impl Shape {
        /// `tokens` are parts of the message that another call would have otherwise.
        fn of(name: &'static str, invite: Vec<u8>, tokens: &[&str]) -> Self {
            let mut varying = Vec::new();
            for token in tokens {
                let token = token.as_bytes();
                let mut found = invite.windows(token.len()).enumerate();
                let at = found.find(|(_, part)| *part == token);
                let (at, _) = at.unwrap_or_else(|| panic!("{name} has no {token:?}"));
                varying.push(at..at + token.len());
            }
            Self {
                name,
                invite,
                varying,
            }
        }

        fn captured(name: &'static str, tokens: &[&str]) -> Self {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
            Self::of(name, fs::read(folder.join(name)).unwrap(), tokens)
        }

        /// The INVITE of one call.
        fn call(&self, number: usize) -> Vec<u8> {
            let mut invite = self.invite.clone();
            let mut digits = random(number);
            for place in self.varying.iter().cloned().flatten() {
                if invite[place] != b'-' {
                    invite[place] = b"0123456789abcdef"[digits.next().unwrap()];
                }
            }
            invite
        }
    }

    /// Hexadecimal digits that no call shares with another (`SplitMix64`).
    fn random(number: usize) -> impl Iterator<Item = usize> {
        let mut state = u64::try_from(number).unwrap();
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            usize::try_from(mixed >> 60).unwrap()
        })
    }

    /// What PBXs and proxies send.
    fn shapes() -> Vec<Shape> {
        let proxied = "INVITE sip:011442071838750@127.0.0.20:5062 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.20:5062;branch=z9hG4bKcydzigwkX\r\n\
             Via: SIP/2.0/UDP 127.0.0.30:5090;received=127.0.0.30;branch=z9hG4bK2193413a;rport=5090\r\n\
             Max-Forwards: 69\r\n\
             From: <sip:1001@127.0.0.30:5090>;tag=as1\r\n\
             To: <sip:011442071838750@127.0.0.20>\r\n\
             Call-ID: c21934-13@127.0.0.30\r\n\
             CSeq: 102 INVITE\r\n\r\n";
        vec![
            Shape::captured(
                "chan_sip-m2-verbatim-invite.sip",
                &["6b854513", "34167ff0", "6a7685f36faf1e1a22798c904b74c003"],
            ),
            Shape::captured(
                "pjsip16-m1-invite.sip",
                &[
                    "dc8c88cc-e50c-461c-bc97-2de1cac10502",
                    "9d0d6da2-b80c-4b92-8cd8-bbdeb6b938b2",
                    "9d60c37a-4a87-4d82-95cd-506afc8c076f",
                ],
            ),
            // A PBX that the proxy knows by its branch alone: tag and Call-ID stay the same.
            Shape::captured(
                "pjsip16-m1-invite.sip",
                &["dc8c88cc-e50c-461c-bc97-2de1cac10502"],
            ),
            Shape::captured(
                "kamailio-trelay-rr-invite.sip",
                &["08c5", "fb7ed031628a339e3f54b5e77f480c82"],
            ),
            Shape::captured(
                "kamailio-stateless-invite.sip",
                &["eb8a", "8bd6a2b9b6fe14d59b4c1ab8127142be"],
            ),
            // A proxy without state that gives every request the same branch: only the Via below is new.
            Shape::of("a constant top branch", proxied.into(), &["2193413a"]),
        ]
    }

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn peer() -> UdpSocket {
        let peer = UdpSocket::bind(loopback()).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer
    }

    /// Datagrams that lie in the socket.
    fn drain(socket: &Socket, rx: &mut RxBatch) -> Vec<Vec<u8>> {
        let mut read = Vec::new();
        loop {
            let received = rx.receive(socket);
            read.extend(rx.iter().map(|datagram| datagram.bytes.to_vec()));
            if received != Received::Full {
                return read;
            }
        }
    }

    /// Sends from one port to a steered group; what each socket got. On loopback a datagram that was sent is there.
    fn share(shards: usize, datagrams: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
        let group = bind_group(loopback(), shards, 1 << 21).unwrap();
        steer(&group).unwrap();
        let peer = peer();
        let mut rx = RxBatch::new();
        let mut shares = vec![Vec::new(); shards];
        let mut collect = || {
            for (socket, share) in group.iter().zip(shares.iter_mut()) {
                share.extend(drain(socket, &mut rx));
            }
        };
        for (number, datagram) in datagrams.enumerate() {
            peer.send_to(&datagram, group[0].address()).unwrap();
            if number % 256 == 0 {
                collect();
            }
        }
        collect();
        for socket in &group {
            assert_eq!(socket.kernel_dropped(), Some(0));
        }
        shares
    }

    #[test]
    fn calls_to_one_number_from_one_port_are_shared_evenly() {
        for shape in shapes() {
            for shards in [2, 3] {
                let shares = share(shards, (0..CALLS).map(|number| shape.call(number)));
                let sizes: Vec<usize> = shares.iter().map(Vec::len).collect();
                assert_eq!(sizes.iter().sum::<usize>(), CALLS, "{}", shape.name);
                let even = CALLS / shards;
                for size in &sizes {
                    let percent = size * 100 / even;
                    assert!((80..=120).contains(&percent), "{}: {sizes:?}", shape.name);
                }
            }
        }
    }

    /// As our own generator numbers its calls: nearly all octets of two calls are the same.
    #[test]
    fn calls_that_are_only_numbered_are_shared_evenly() {
        let calls = (0..CALLS).map(|number| {
            format!(
                "INVITE sip:011442071838750@127.0.0.1:5060 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK0badcafe{number:010x}\r\n\
                 Max-Forwards: 70\r\n\
                 From: <sip:1002@127.0.0.1:5070>;tag=as0badcafe{number:010x}\r\n\
                 To: <sip:011442071838750@127.0.0.1:5060>\r\n\
                 Call-ID: 0badcafe{number:010x}@127.0.0.1:5070\r\n\
                 CSeq: 102 INVITE\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes()
        });
        let sizes: Vec<usize> = share(2, calls).iter().map(Vec::len).collect();
        let even = 2 * CALLS / 5..=3 * CALLS / 5;
        assert!(sizes.iter().all(|size| even.contains(size)), "{sizes:?}");
    }

    #[test]
    fn a_retransmission_reaches_the_shard_of_its_call() {
        for shape in shapes() {
            let calls = (0..2000).map(|number| shape.call(number));
            let shares = share(2, calls.clone().chain(calls));
            for share in &shares {
                let once: HashSet<&Vec<u8>> = share.iter().collect();
                assert_eq!(once.len() * 2, share.len(), "{}", shape.name);
            }
        }
    }

    /// A load past the end of a datagram would put it on socket 0.
    #[test]
    fn short_datagrams_are_left_to_the_kernel() {
        // Their octets are all different, and they come from one port: one shard gets all of them, whichever it is.
        for length in [0, 1, 64, 192, 255] {
            let texts = (0..200).map(|number| {
                let digits = random(number).take(length);
                digits.map(|digit| b"0123456789abcdef"[digit]).collect()
            });
            let shares = share(2, texts);
            let sizes: Vec<usize> = shares.iter().map(Vec::len).collect();
            assert!(
                sizes.contains(&200) && sizes.contains(&0),
                "{length}: {sizes:?}"
            );
        }
        // From many ports all shards get some, so it was not socket 0 that got them.
        let group = bind_group(loopback(), 2, 1 << 20).unwrap();
        steer(&group).unwrap();
        for _ in 0..64 {
            peer().send_to(b"\r\n\r\n", group[0].address()).unwrap();
        }
        let mut rx = RxBatch::new();
        for socket in &group {
            assert!(drain(socket, &mut rx).len() >= 5);
        }
        // From 256 octets on they are steered.
        let texts = (0..200).map(|number| {
            let digits = random(number).take(256);
            digits.map(|digit| b"0123456789abcdef"[digit]).collect()
        });
        let shares = share(2, texts);
        assert!(shares.iter().all(|share| share.len() >= 60));
    }

    fn node(listener: Listener, shards: usize) -> Node {
        let setup = NodeSetup {
            listeners: vec![listener],
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            admin: loopback(),
            cores: vec![None; shards],
            rows: rows::approving(),
            memory: None,
            events: Vec::new(),
        };
        Node::start(setup, &Uas::new([7; 16])).unwrap()
    }

    /// Datagrams read, by shard.
    fn read_by_shard(admin: SocketAddr, shards: usize) -> Vec<u64> {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (0..shards)
            .map(|shard| {
                let series = format!("tollgate_datagrams_total{{shard=\"{shard}\"}} ");
                let value = text.lines().find_map(|line| line.strip_prefix(&series));
                value.unwrap().parse().unwrap()
            })
            .collect()
    }

    /// Calls from one port, few at a time, until all are answered.
    fn call_all(to: SocketAddr, shape: &Shape, calls: usize) {
        const AT_A_TIME: usize = 32;
        let peer = peer();
        let port = peer.local_addr().unwrap().port();
        let mut bytes = [0; 5000];
        for first in (0..calls).step_by(AT_A_TIME) {
            let these = first..(first + AT_A_TIME).min(calls);
            for number in these.clone() {
                // So that the answer finds us, whoever wrote the Via.
                let invite = String::from_utf8(shape.call(number)).unwrap();
                let invite = invite.replace("127.0.0.1:5070;", &format!("127.0.0.1:{port};"));
                peer.send_to(invite.as_bytes(), to).unwrap();
            }
            let mut answered = HashSet::new();
            while answered.len() < these.len() {
                let length = peer.recv(&mut bytes).unwrap();
                let answer = String::from_utf8_lossy(&bytes[..length]);
                // Proxies with state say that they are trying.
                if !answer.starts_with("SIP/2.0 100 ") {
                    assert!(answer.starts_with("SIP/2.0 302 "), "{answer}");
                    peer.send_to(acknowledge(&answer).as_bytes(), to).unwrap();
                    answered.extend(number_of(&answer, shape, these.clone()));
                }
            }
        }
    }

    /// RFC 3261 §17.1.1.3: the ACK of a final answer that is no 2xx.
    fn acknowledge(answer: &str) -> String {
        let kept = answer.split("\r\n").filter(|line| {
            ["Via: ", "From: ", "To: ", "Call-ID: "]
                .iter()
                .any(|name| line.starts_with(name))
        });
        let kept: Vec<&str> = kept.collect();
        format!(
            "ACK sip:011442071838750@127.0.0.1:5060 SIP/2.0\r\n{}\r\nCSeq: 102 ACK\r\nMax-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n",
            kept.join("\r\n")
        )
    }

    /// Which of these calls is answered, by its Call-ID; a proxy with state may answer twice.
    fn number_of(answer: &str, shape: &Shape, calls: std::ops::Range<usize>) -> Option<usize> {
        let call_id = |text: &str| {
            let line = text
                .split("\r\n")
                .find(|line| line.starts_with("Call-ID: "));
            line.unwrap().to_owned()
        };
        let wanted = call_id(answer);
        let mut calls = calls;
        calls.find(|number| call_id(&String::from_utf8(shape.call(*number)).unwrap()) == wanted)
    }

    fn even(shares: &[u64]) -> bool {
        let sum: u64 = shares.iter().sum();
        shares
            .iter()
            .all(|share| (40..=60).contains(&(share * 100 / sum)))
    }

    #[test]
    fn two_shards_share_the_calls_of_one_port_unless_the_kernel_steers() {
        let shape = &shapes()[0];
        for steering in [Steering::Payload, Steering::Kernel] {
            let listener = Listener {
                steering,
                ..Listener::at(loopback())
            };
            let node = node(listener, 2);
            call_all(node.listeners()[0], shape, CALLS);
            let shares = read_by_shard(node.admin(), 2);
            match steering {
                Steering::Payload => assert!(even(&shares), "{shares:?}"),
                Steering::Kernel => assert!(shares.contains(&0), "{shares:?}"),
            }
            let sums = node.stop();
            assert_eq!(usize::try_from(sums.outcome(Outcome::Approved)), Ok(CALLS));
            assert_eq!(usize::try_from(sums.outcome(Outcome::Ack)), Ok(CALLS));
            assert_eq!(usize::try_from(sums.answers), Ok(CALLS));
        }
    }

    /// A `kamailio` that forwards INVITEs to one address; ends with the test.
    struct Kamailio {
        child: Child,
        address: SocketAddr,
    }

    impl Kamailio {
        /// `forward`: the statement that sends a request on.
        fn start(name: &str, forward: &str) -> Self {
            let folder = server::scratch(name);
            for _attempt in 0..10 {
                let address = peer().local_addr().unwrap();
                let port = address.port();
                let text = format!(
                    "debug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\ndns=no\n\
                     rev_dns=no\nlisten=udp:127.0.0.1:{port}\n\
                     loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n\
                     modparam(\"tm\", \"wt_timer\", 500)\n\
                     request_route {{\n  if (method == \"OPTIONS\") {{ sl_send_reply(\"200\", \"Here\"); exit; }}\n  {forward}\n}}\n"
                );
                server::write_files(&folder, &[("kamailio.cfg", &text)]);
                let child = Command::new("kamailio")
                    .args(["-DD", "-E", "-m", "256", "-f"])
                    .arg(folder.join("kamailio.cfg"))
                    .args(["-Y"])
                    .arg(&folder)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                let mut child = match child {
                    Ok(child) => child,
                    Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                        panic!("kamailio is not installed; it is in Debian's package `kamailio`")
                    }
                    Err(error) => panic!("kamailio cannot be started: {error}"),
                };
                if answers(address, &mut child) {
                    return Self { child, address };
                }
                // Somebody else has the port by now, or it cannot start; its end tells no more.
                let _killed = child.kill();
                let _ended = child.wait();
            }
            panic!("kamailio did not start with {}", folder.display());
        }
    }

    impl Drop for Kamailio {
        fn drop(&mut self) {
            // SIGTERM, so that it ends its children as well.
            let id = self.child.id().to_string();
            let _told = Command::new("kill").args(["-TERM", &id]).status();
            let _ended = self.child.wait();
        }
    }

    /// Whether an OPTIONS is answered before the process ends.
    fn answers(address: SocketAddr, child: &mut Child) -> bool {
        let socket = UdpSocket::bind(loopback()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let from = socket.local_addr().unwrap();
        for attempt in 0..200 {
            let options = format!(
                "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{attempt};rport\r\n\
                 From: <sip:a@{from}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: {attempt}\r\nCSeq: 1 OPTIONS\r\n\
                 Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            // Refused while nobody listens yet.
            let _sent = socket.send_to(options.as_bytes(), address);
            if socket.recv(&mut [0; 2000]).is_ok() {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
        }
        false
    }

    #[test]
    fn two_shards_share_the_calls_of_one_proxy() {
        let shape = &shapes()[0];
        for (name, stateful) in [("kamailio-tm", true), ("kamailio-stateless", false)] {
            let node = node(Listener::at(loopback()), 2);
            let to = node.listeners()[0];
            let forward = if stateful {
                format!("t_relay_to_udp(\"{}\", \"{}\");", to.ip(), to.port())
            } else {
                format!("forward_udp(\"{}\", {});", to.ip(), to.port())
            };
            let kamailio = Kamailio::start(name, &forward);
            call_all(kamailio.address, shape, CALLS);
            let shares = read_by_shard(node.admin(), 2);
            assert!(even(&shares), "{name}: {shares:?}");
            drop(kamailio);
            let sums = node.stop();
            let approved = usize::try_from(sums.outcome(Outcome::Approved)).unwrap();
            assert!(approved >= CALLS, "{name}: {sums:?}");
        }
    }
}
