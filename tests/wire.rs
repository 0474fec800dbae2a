//! RFC 3261 over UDP as a client meets it: rules that need sockets, and every message of every corpus over the wire.
//!
//! Promises: every socket and every server is of one test; silence is proved by the answer to what was sent after it, where there is one shard.
//! `TOLLGATE_QUIET_MS` is how long a client that never sends ACK listens for a second answer (500).
//! Leaves to `uas.rs`: the octets of each answer.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "fuzz/checks/script.rs"]
#[expect(dead_code, reason = "a server's clock cannot be told how time passes")]
mod script;

#[cfg(test)]
mod wire {
    use super::common::answer::{Message, violations};
    use super::common::server::{Server, Stopped, node_toml, scratch, write_files};
    use super::script::Script;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::env;
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::time::Duration;
    use tollgate::clock::Clock;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn tests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
    }

    /// A server with the conformance bundle, which `change` may change, on these addresses.
    fn start(
        name: &str,
        listen: &[&str],
        shards: usize,
        change: impl Fn(String) -> String,
    ) -> Server {
        let folder = scratch(name);
        for file in ["domains.toml", "policies.toml"] {
            let text = fs::read_to_string(tests().join("conformance/bundle").join(file)).unwrap();
            write_files(&folder, &[(&format!("bundle/{file}"), &change(text))]);
        }
        let listeners: String = listen
            .iter()
            .map(|address| format!("[[listen]]\nudp = \"{address}\"\nsteering = \"kernel\"\n"))
            .collect();
        let text = node_toml(&folder)
            .replace("shards = 1", &format!("shards = {shards}"))
            .replace("[[listen]]\nudp = \"127.0.0.1:0\"\n", &listeners);
        write_files(&folder, &[("tollgate.toml", &text)]);
        Server::start(&folder)
    }

    fn one(name: &str) -> Server {
        start(name, &["127.0.0.1:0"], 1, |text| text)
    }

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; 70_000];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        bytes.truncate(length);
        (bytes, from)
    }

    fn request(method: &str, call: &str, from: SocketAddr) -> String {
        format!(
            "{method} sip:+390612345678@gw.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK{call}\r\n\
             From: <sip:4100@pbx.example>;tag=f{call}\r\n\
             To: <sip:+390612345678@gw.example>\r\n\
             Call-ID: {call}@wire.test\r\n\
             CSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    fn call_id(answer: &[u8]) -> Option<String> {
        Message::read(answer)
            .ok()?
            .one("Call-ID")
            .map(str::to_owned)
    }

    /// Sends two good INVITEs, one after the other, and returns what else came before the second one's answer, and that answer. Answers of one
    /// batch may leave in another order than its datagrams came, so the first may overtake; the second comes after all of them.
    fn until_the_next_call(
        socket: &UdpSocket,
        to: SocketAddr,
        call: &str,
    ) -> (Vec<Vec<u8>>, Vec<u8>) {
        let at = socket.local_addr().unwrap();
        let mut before = Vec::new();
        let mut last = Vec::new();
        for turn in ["first", "second"] {
            let call = format!("{turn}-{call}");
            socket
                .send_to(request("INVITE", &call, at).as_bytes(), to)
                .unwrap();
            loop {
                let (octets, from) = hear(socket);
                // P3: from where the request went to.
                assert_eq!(from, to);
                if call_id(&octets) == Some(format!("{call}@wire.test")) {
                    last = octets;
                    break;
                }
                before.push(octets);
            }
        }
        (before, last)
    }

    fn status(answer: &[u8]) -> Option<u16> {
        std::str::from_utf8(answer.get(8..11)?).ok()?.parse().ok()
    }

    fn sums(stopped: &Stopped) -> Value {
        assert!(stopped.status.success(), "{}", stopped.stderr);
        serde_json::from_str(stopped.stdout.trim()).unwrap()
    }

    /// The different datagrams of an input of the fuzz corpora, in order.
    fn datagrams(input: &[u8]) -> Vec<Vec<u8>> {
        let rounds = Script::new(input)
            .flat_map(|part| (0..part.rounds).map(move |round| part.datagram(round).into_owned()));
        let mut datagrams: Vec<Vec<u8>> = rounds.collect();
        datagrams.dedup();
        datagrams
    }

    /// Name, octets and the best answer (`-`: silence); `None` where no table has one.
    fn corpora() -> Vec<(String, Vec<u8>, Option<String>)> {
        let mut all = Vec::new();
        for corpus in ["rfc4475", "rfc5118", "rfc5118-cl-fixed"] {
            let folder = tests().join("data").join(corpus);
            let table = fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap();
            let mut lines = table.lines();
            let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
            let best_at = columns.iter().position(|name| *name == "best").unwrap();
            for line in lines {
                let cells: Vec<&str> = line.split('\t').collect();
                let (file, best) = (cells[0], cells[best_at]);
                let bytes = fs::read(folder.join(file)).unwrap();
                all.push((format!("{corpus}/{file}"), bytes, Some(best.to_owned())));
            }
        }
        for folder in ["data/captures", "fuzz/corpus/answer", "fuzz/corpus/scan"] {
            for entry in fs::read_dir(tests().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let is_message = path.extension().is_none_or(|ending| ending == "sip");
                if is_message && path.is_file() {
                    let input = fs::read(&path).unwrap();
                    for (number, bytes) in datagrams(&input).into_iter().enumerate() {
                        all.push((format!("{} {number:02}", path.display()), bytes, None));
                    }
                }
            }
        }
        all.sort();
        all
    }

    #[test]
    fn every_message_of_every_corpus_gets_its_best_answer_and_the_next_call_its_verdict() {
        // P1, P2, P3, P4, P5, P9, SIP-021
        let server = one("wire-corpora");
        let socket = socket("127.0.0.1");
        let clock = Clock::start();
        let mut faults = Vec::new();
        let messages = corpora();
        for (number, (name, bytes, best)) in messages.iter().enumerate() {
            socket.send_to(bytes, server.udp).unwrap();
            let (answers, _) = until_the_next_call(&socket, server.udp, &number.to_string());
            let got = match &answers[..] {
                [] => "-".to_owned(),
                [answer] => status(answer).map_or("?".to_owned(), |status| status.to_string()),
                more => format!("{} answers", more.len()),
            };
            if best.as_ref().is_some_and(|best| *best != got) || got.contains("answers") {
                faults.push(format!("{name}: {got}, best {best:?}"));
            }
            if answers.iter().any(|answer| {
                answer.len() > bytes.len() + 250
                    || (bytes.len() >= 300 && answer.len() * 2 > bytes.len() * 3)
            }) {
                faults.push(format!("{name}: an amplifier"));
            }
            // P9: 50 ms, given that a busy machine may take one of three tries away.
            let quick = (0..3).any(|turn| {
                let before = clock.now().monotonic_ns;
                let (late, answer) =
                    until_the_next_call(&socket, server.udp, &format!("{number}-{turn}"));
                assert_eq!(
                    (late.len(), status(&answer)),
                    (0, Some(302)),
                    "after {name}"
                );
                clock.now().monotonic_ns - before < 50_000_000
            });
            if !quick {
                faults.push(format!("{name}: the next call waited more than 50 ms"));
            }
        }
        assert!(messages.len() > 700, "{}", messages.len());
        assert_eq!(faults, Vec::<String>::new());
        let sums = sums(&server.stop());
        assert_eq!(sums["outcomes"]["panicked"], 0, "{sums}");
    }

    /// Resident memory of a process, KiB.
    fn resident_kib(server: &Server) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn memory_stays_flat() {
        // P10
        let server = one("wire-memory");
        let socket = socket("127.0.0.1");
        let messages = corpora();
        let mut round = |number: usize| {
            for (at, (_, bytes, _)) in messages.iter().enumerate() {
                socket.send_to(bytes, server.udp).unwrap();
                if at % 16 == 0 {
                    let _before =
                        until_the_next_call(&socket, server.udp, &format!("{number}-{at}"));
                }
            }
            let _before = until_the_next_call(&socket, server.udp, &format!("{number}"));
            resident_kib(&server)
        };
        let first = (0..5).map(&mut round).max().unwrap();
        let last = (5..40).map(&mut round).max().unwrap();
        // Pages that were never touched before may still come in; a leak of one message in a hundred would be more.
        assert!(last <= first + 512, "{first} KiB grew to {last} KiB");
        let _sums = sums(&server.stop());
    }

    #[test]
    fn an_invite_of_60_kb_is_answered() {
        // SIP-002
        let server = one("wire-60kb");
        let socket = socket("127.0.0.1");
        let at = socket.local_addr().unwrap();
        let long =
            request("INVITE", "long", at).replace("Content-Length: 0", "Content-Length: 60000");
        let whole = long + &"x".repeat(60_000);
        socket.send_to(whole.as_bytes(), server.udp).unwrap();
        assert_eq!(status(&hear(&socket).0), Some(302));
        let short = &whole[..whole.len() - 1];
        socket.send_to(short.as_bytes(), server.udp).unwrap();
        assert_eq!(status(&hear(&socket).0), Some(400));
        let _sums = sums(&server.stop());
    }

    #[test]
    fn an_answer_leaves_from_the_address_and_port_that_was_asked() {
        // SIP-015
        let listen = ["127.0.0.1:0", "127.0.0.6:0"];
        let server = start("wire-two-addresses", &listen, 2, |text| text);
        let mut listeners = BTreeSet::from([server.udp]);
        listeners.extend(server.listening());
        assert_eq!(listeners.len(), 2);
        let socket = socket("127.0.0.1");
        let at = socket.local_addr().unwrap();
        for (number, listener) in listeners.into_iter().enumerate() {
            let datagram = request("INVITE", &format!("leaves-{number}"), at);
            socket.send_to(datagram.as_bytes(), listener).unwrap();
            let (answer, from) = hear(&socket);
            assert_eq!(from, listener);
            assert_eq!(
                violations(datagram.as_bytes(), at, &answer),
                Vec::<String>::new()
            );
        }
        let _sums = sums(&server.stop());
    }

    #[test]
    fn answers_that_nobody_hears_stop_nothing() {
        // SIP-020: each answer is refused by ICMP, and the error comes back on the server's socket.
        let server = start("wire-icmp", &["127.0.0.1:0"], 1, |text| {
            text.replace("force_rport = true\n", "")
        });
        let socket = socket("127.0.0.1");
        let closed = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        for turn in 0..40 {
            let datagram = request("INVITE", &format!("unheard-{turn}"), closed);
            socket.send_to(datagram.as_bytes(), server.udp).unwrap();
        }
        let (before, answer) = until_the_next_call(&socket, server.udp, "heard");
        assert_eq!((before.len(), status(&answer)), (0, Some(302)));
        let sums = sums(&server.stop());
        assert_eq!(sums["outcomes"]["approved"], 42, "{sums}");
    }

    #[test]
    fn host_names_are_never_looked_up() {
        // SIP-019: names in every place where one may stand; nothing in the product can resolve one.
        let server = one("wire-names");
        let socket = socket("127.0.0.1");
        let at = socket.local_addr().unwrap();
        let datagram = request("INVITE", "names", at)
            .replace(&at.to_string(), "nowhere.invalid;maddr=elsewhere.invalid")
            .replace("sip:+39", "sip:39")
            .replace(
                "Max-Forwards",
                "Route: <sip:proxy.invalid;lr>\r\nMax-Forwards",
            );
        socket.send_to(datagram.as_bytes(), server.udp).unwrap();
        let answer = Message::read(&hear(&socket).0).unwrap();
        assert_eq!(answer.status(), Some(302));
        assert!(answer.one("Via").unwrap().ends_with(";received=127.0.0.1"));
        let _sums = sums(&server.stop());

        let mut files = Vec::new();
        sources(&tests().join("../src"), &mut files);
        assert!(files.len() > 50, "{}", files.len());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for resolver in [
                "ToSocketAddrs",
                "to_socket_addrs",
                "lookup_host",
                "getaddrinfo",
            ] {
                assert!(!text.contains(resolver), "{}: {resolver}", file.display());
            }
        }
    }

    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push(path);
            }
        }
    }

    #[test]
    fn a_client_that_never_sends_ack_hears_one_final_answer() {
        // SIP-081, SIP-082: no 1xx before, no retransmission after.
        let quiet = env::var("TOLLGATE_QUIET_MS").map_or(500, |text| text.parse().unwrap());
        let server = one("wire-no-ack");
        let socket = socket("127.0.0.1");
        let datagram = request("INVITE", "no-ack", socket.local_addr().unwrap());
        socket.send_to(datagram.as_bytes(), server.udp).unwrap();
        assert_eq!(status(&hear(&socket).0), Some(302));
        socket
            .set_read_timeout(Some(Duration::from_millis(quiet)))
            .unwrap();
        assert!(socket.recv_from(&mut [0; 100]).is_err(), "a second answer");
        let sums = sums(&server.stop());
        assert_eq!(sums["answers"], 1);
    }

    #[test]
    fn every_shard_gives_the_same_octets_to_the_same_request() {
        // SIP-080: the kernel spreads the ports over the shards, by `steering = "kernel"`; the Via names an address without a port of ours.
        let server = start("wire-same-tag", &["127.0.0.1:0"], 2, |text| text);
        let named = "127.0.0.1:5070".parse().unwrap();
        let datagram = request("INVITE", "same", named);
        let answers: BTreeSet<Vec<u8>> = (0..32)
            .map(|_| {
                let socket = socket("127.0.0.1");
                socket.send_to(datagram.as_bytes(), server.udp).unwrap();
                hear(&socket).0
            })
            .collect();
        assert_eq!(answers.len(), 1);
        let text = get(server.admin, "/metrics");
        for shard in ["0", "1"] {
            let idle = format!("tollgate_datagrams_total{{shard=\"{shard}\"}} 0\n");
            assert!(!text.contains(&idle), "shard {shard} had nothing to do");
        }
        let _sums = sums(&server.stop());
    }

    #[test]
    fn our_own_address_below_the_top_via_is_a_loop_and_is_counted() {
        // SIP-092
        let server = one("wire-own-via");
        let socket = socket("127.0.0.1");
        let at = socket.local_addr().unwrap();
        let us = server.udp;
        let (neighbour, no_port) = (SocketAddr::new(us.ip(), 9), us.ip());
        for (call, below, number, wanted) in [
            ("own", us.to_string(), "+390612345678", 482),
            ("own-emergency", us.to_string(), "112", 302),
            ("neighbour", neighbour.to_string(), "+390612345678", 302),
            ("no-port", no_port.to_string(), "+390612345678", 302),
        ] {
            let datagram = request("INVITE", call, at)
                .replacen("sip:+390612345678@", &format!("sip:{number}@"), 1)
                .replace(
                    "From: ",
                    &format!("Via: SIP/2.0/UDP {below};branch=z9hG4bKbelow\r\nFrom: "),
                );
            socket.send_to(datagram.as_bytes(), us).unwrap();
            let (answer, _) = hear(&socket);
            assert_eq!(status(&answer), Some(wanted), "{call}");
            assert_eq!(
                violations(datagram.as_bytes(), at, &answer),
                Vec::<String>::new()
            );
        }
        let sums = sums(&server.stop());
        assert_eq!(sums["outcomes"]["error_loop"], 1, "{sums}");
    }

    fn get(admin: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn nothing_that_a_caller_writes_comes_out_of_the_admin_port() {
        // What operators read is made of our own words, numbers and addresses.
        let server = start("wire-injection", &["127.0.0.1:0"], 1, |text| {
            text.replace("127.0.0.0/8", "127.0.0.1")
        });
        let (peer, stranger) = (socket("127.0.0.1"), socket("127.0.0.5"));
        let at = peer.local_addr().unwrap();
        let marks = [
            "\0",
            "\x1b[2J",
            "\"",
            "\\",
            "\u{7f}",
            "\u{202e}",
            "</script>",
            "evil 1\nevil",
        ];
        for (turn, mark) in marks.into_iter().enumerate() {
            let datagram = request("INVITE", &format!("inject-{turn}"), at).replace(
                "Max-Forwards",
                &format!("User-Agent: evil{mark}\r\nP-tfps: evil{mark};evil;;evil{mark};1\r\nMax-Forwards"),
            );
            stranger.send_to(datagram.as_bytes(), server.udp).unwrap();
            peer.send_to(datagram.as_bytes(), server.udp).unwrap();
            // Those that can be read are approved, those with a bare LF refused; all are answered.
            assert!(
                matches!(status(&hear(&peer).0), Some(302 | 400)),
                "{mark:?}"
            );
        }
        for path in [
            "/metrics",
            "/v1/unknown-sources",
            "/readyz",
            "/nothing%0aevil",
        ] {
            let answer = get(server.admin, path);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(!head.contains("evil"), "{head}");
            assert!(path.contains("evil") || !body.contains("evil"), "{body}");
            let plain = |octet: u8| octet == b'\n' || (0x20..0x7f).contains(&octet);
            assert!(body.bytes().all(plain), "{path}: {body:?}");
            if path == "/v1/unknown-sources" {
                let read: Value = serde_json::from_str(body).unwrap();
                assert_eq!(read["sources"][0]["address"], "127.0.0.5");
                assert_eq!(read["sources"][0]["datagrams"], marks.len());
            }
            if path.contains("evil") {
                let read: Value = serde_json::from_str(body).unwrap();
                assert_eq!(read["status"], 404);
            }
        }
        let stopped = server.stop();
        assert!(!stopped.stderr.contains("evil") && !stopped.stdout.contains("evil"));
        let sums = sums(&stopped);
        assert_eq!(sums["outcomes"]["unknown_source"], marks.len());
    }
}
