//! `tollgate serve` as an operator meets it: lines at the start, calls over the wire, sums at the stop, exit codes.
//!
//! Promises: each server has a folder, ports and addresses of its own; silence is proved by an answer that comes after it.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod serve {
    use super::common::answer::{Message, violations};
    use super::common::server::{Server, node_toml, scratch, write_files};
    use serde_json::Value;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::SAMPLE_BUNDLE;
    use tollgate::limits::CONTROL_NICE;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A folder with the sample's bundle, in which only `peers` may ask, and listeners on all of `listen`.
    fn folder(name: &str, peers: &str, listen: &[&str], shards: usize) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            let text = text.replace("[\"127.0.0.0/8\"]", peers);
            write_files(&folder, &[(&format!("bundle/{path}"), &text)]);
        }
        let listeners: String = listen
            .iter()
            .map(|address| format!("[[listen]]\nudp = \"{address}\"\n"))
            .collect();
        let text = node_toml(&folder)
            .replace("shards = 1", &format!("shards = {shards}"))
            .replace("[[listen]]\nudp = \"127.0.0.1:0\"\n", &listeners);
        write_files(&folder, &[("tollgate.toml", &text)]);
        folder
    }

    fn client(from: &str, to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn request(method: &str, number: &str, call: usize, from: &UdpSocket) -> String {
        let via = from.local_addr().unwrap();
        let host = via.ip();
        let host = if via.is_ipv6() {
            format!("[{host}]")
        } else {
            host.to_string()
        };
        format!(
            "{method} sip:{number}@gw.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP {via};branch=z9hG4bK{call};rport\r\n\
         From: <sip:4100@{host}>;tag=f{call}\r\n\
         To: <sip:{number}@gw.example>\r\n\
         Call-ID: call-{call}@{host}\r\n\
         CSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\n\
         Contact: <sip:4100@{via}>\r\n\
         Content-Length: 0\r\n\r\n"
        )
    }

    /// Asks, and holds the answer to RFC 3261 §8.2.6 before anything else.
    fn ask(socket: &UdpSocket, datagram: &str) -> Vec<u8> {
        socket.send(datagram.as_bytes()).unwrap();
        let answer = receive(socket);
        let faults = violations(datagram.as_bytes(), socket.local_addr().unwrap(), &answer);
        assert!(faults.is_empty(), "{faults:?}");
        answer
    }

    fn receive(socket: &UdpSocket) -> Vec<u8> {
        let mut bytes = vec![0; 5000];
        let length = socket.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    /// Status and Contact.
    fn read(answer: &[u8]) -> (u16, Option<String>) {
        let answer = Message::read(answer).unwrap();
        let contact = answer.one("Contact").map(str::to_owned);
        (answer.status().unwrap(), contact)
    }

    fn get(admin: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_second_node_on_the_same_state_folder_is_refused() {
        let folder = folder("one-state", "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 1);
        let config = folder.join("tollgate.toml");
        let first = Server::start(&folder);
        let second = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["serve", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(69), "{said}");
        assert!(said.contains("belongs to another node"), "{said}");
        drop(first);
    }

    /// The sums that a server printed as its only line of standard output.
    fn sums(stdout: &str) -> Value {
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        serde_json::from_str(stdout).unwrap()
    }

    fn outcome(sums: &Value, label: &str) -> u64 {
        let count = &sums["outcomes"][label];
        count
            .as_u64()
            .unwrap_or_else(|| panic!("{label} is missing in {sums}"))
    }

    /// Stops the server; its sums, which are those of `sent` datagrams.
    fn stop(server: Server, sent: u64) -> Value {
        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        let sums = sums(&stopped.stdout);
        let outcomes = sums["outcomes"].as_object().unwrap();
        let total: u64 = outcomes.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sums["datagrams"], total, "{sums}");
        assert_eq!(
            total + sums["kernel_dropped"].as_u64().unwrap(),
            sent,
            "{sums}"
        );
        sums
    }

    /// Scheduling class and nice value of the threads with this name: `stat` of proc(5).
    fn scheduled(pid: u32, name: &str) -> Vec<(u32, i32)> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let stats =
            tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
        let named = stats.filter_map(|stat| {
            let (_, rest) = stat.split_once(&format!("({name}) "))?;
            let fields: Vec<&str> = rest.split(' ').collect();
            // Fields 19 and 41; the first of the rest is the third.
            Some((fields[38].parse().unwrap(), fields[16].parse().unwrap()))
        });
        named.collect()
    }

    #[test]
    fn what_must_be_kept_or_told_gets_on_when_all_cores_are_busy_and_the_rest_gives_way() {
        const OTHER: u32 = 0;
        const IDLE: u32 = 5;
        let folder = scratch("serve-classes");
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let journal = "[journal]\npath = \"calls.jsonl\"\n";
        write_files(
            &folder,
            &[("tollgate.toml", &(node_toml(&folder) + journal))],
        );
        let server = Server::start(&folder);
        let own = scheduled(server.pid(), "tollgate");
        for (name, class, nice) in [
            ("shard-0", OTHER, own[0].1),
            ("keep-holds", OTHER, own[0].1.max(CONTROL_NICE)),
            ("keep-counters", OTHER, own[0].1.max(CONTROL_NICE)),
            ("admin", OTHER, own[0].1.max(CONTROL_NICE)),
            ("renewal", IDLE, own[0].1),
            ("journal", IDLE, own[0].1),
        ] {
            // A thread says of itself what it is.
            let clock = Clock::start();
            while scheduled(server.pid(), name) != [(class, nice)] {
                let passed = Duration::from_nanos(clock.now().monotonic_ns);
                let seen = scheduled(server.pid(), name);
                assert!(passed < PATIENCE, "{name}: {seen:?}");
                thread::park_timeout(Duration::from_millis(5));
            }
        }
        assert!(server.stop().status.success());
    }

    #[test]
    fn calls_get_their_answers_and_strangers_silence() {
        let folder = folder("serve-calls", "[\"127.0.0.1/32\"]", &["127.0.0.1:0"], 1);
        let server = Server::start(&folder);
        let peer = client("127.0.0.1", server.udp);
        let stranger = client("127.0.0.2", server.udp);
        stranger
            .send(request("INVITE", "+390612345678", 1, &stranger).as_bytes())
            .unwrap();
        stranger.send(b"not even SIP").unwrap();

        let approved = ask(&peer, &request("INVITE", "+390612345678", 2, &peer));
        let contact = "<sip:A00+390612345678@127.0.0.1>".to_owned();
        assert_eq!(read(&approved), (302, Some(contact)));
        // The sample lets nobody call satellites and the like.
        let rejected = ask(&peer, &request("INVITE", "+88213300000", 3, &peer));
        assert_eq!(read(&rejected), (603, None));
        let short = ask(&peer, &request("INVITE", "%00", 4, &peer));
        assert_eq!(read(&short), (484, None));
        peer.send(request("ACK", "+390612345678", 2, &peer).as_bytes())
            .unwrap();
        peer.send(b"\r\n\r\n").unwrap();
        peer.send(b"SIP/2.0 200 OK\r\n\r\n").unwrap();
        peer.send(&vec![b'x'; 60_000]).unwrap();
        let options = ask(&peer, &request("OPTIONS", "ping", 5, &peer));
        assert_eq!(read(&options).0, 200, "what went before got silence");

        // An answer leaves before its batch is counted.
        let counted = "outcome=\"options\"} 1\n";
        let texts = std::iter::repeat_with(|| get(server.admin, "/metrics"));
        let text = texts
            .take(1000)
            .find(|text| text.contains(counted))
            .expect("the last batch is counted");
        for line in [
            "tollgate_unknown_sources_total 2\n",
            "tollgate_outcomes_total{shard=\"0\",outcome=\"approved\"} 1\n",
            "tollgate_outcomes_total{shard=\"0\",outcome=\"ack\"} 1\n",
            "tollgate_verdicts_total{domain=\"sample\",code=\"A00\"} 1\n",
            "tollgate_kernel_dropped_total{shard=\"0\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        let listed = get(server.admin, "/v1/unknown-sources");
        let body = "{\"sources\":[{\"address\":\"127.0.0.2\",\"datagrams\":2}]}";
        assert!(listed.ends_with(body), "{listed}");
        assert!(get(server.admin, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));

        stranger.set_nonblocking(true).unwrap();
        assert!(
            stranger.recv(&mut [0; 100]).is_err(),
            "a stranger got an answer"
        );
        let sums = stop(server, 10);
        for (label, count) in [
            ("unknown_source", 2),
            ("approved", 1),
            ("rejected", 1),
            ("error_address_incomplete", 1),
            ("ack", 1),
            ("keepalive", 1),
            ("response", 1),
            ("unparsable", 1),
            ("options", 1),
        ] {
            assert_eq!(outcome(&sums, label), count, "{label}: {sums}");
        }
        assert_eq!(sums["answers"], 4);
    }

    #[test]
    fn calls_over_ipv6_get_their_answers() {
        let folder = folder("serve-v6", "[\"::1/128\"]", &["[::1]:0"], 1);
        let server = Server::start(&folder);
        assert!(server.udp.is_ipv6());
        let peer = client("::1", server.udp);
        let answer = ask(&peer, &request("INVITE", "+390612345678", 1, &peer));
        let contact = "<sip:A00+390612345678@[::1]>".to_owned();
        assert_eq!(read(&answer), (302, Some(contact)));
        let _sums = stop(server, 1);
    }

    #[test]
    fn sums_at_the_stop_are_what_64_ports_sent_to_two_shards() {
        let folder = folder("serve-sums", "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 2);
        let server = Server::start(&folder);
        let clients: Vec<UdpSocket> = (0..64).map(|_| client("127.0.0.1", server.udp)).collect();
        for (number, socket) in clients.iter().enumerate() {
            for call in 0..10 {
                let datagram = request("INVITE", "+390612345678", number * 100 + call, socket);
                socket.send(datagram.as_bytes()).unwrap();
            }
        }
        for socket in &clients {
            for _ in 0..10 {
                assert_eq!(read(&receive(socket)).0, 302);
            }
        }
        let text = get(server.admin, "/metrics");
        for shard in ["0", "1"] {
            let idle = format!("tollgate_datagrams_total{{shard=\"{shard}\"}} 0\n");
            assert!(
                !text.contains(&idle),
                "shard {shard} had nothing to do:\n{text}"
            );
        }
        let sums = stop(server, 640);
        assert_eq!(outcome(&sums, "approved"), 640);
        assert_eq!(sums["answers"], 640);
    }

    #[test]
    fn the_key_outlives_a_restart() {
        let folder = folder("serve-key", "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 1);
        let mut datagram = String::new();
        let mut tags = Vec::new();
        for _ in 0..2 {
            let server = Server::start(&folder);
            let peer = client("127.0.0.1", server.udp);
            if datagram.is_empty() {
                datagram = request("INVITE", "+390612345678", 1, &peer);
            }
            // To the port that rport asks for: the packet's own.
            peer.send(datagram.as_bytes()).unwrap();
            let answer = Message::read(&receive(&peer)).unwrap();
            tags.push(answer.to_tag().unwrap().to_owned());
            let _sums = stop(server, 1);
        }
        assert_eq!(tags[0], tags[1]);
        assert!(!tags[0].is_empty());
    }

    #[test]
    fn nodes_with_one_key_file_give_one_to_tag() {
        let tag = |name: &str, key: Option<&str>, peer: &UdpSocket| {
            let folder = folder(name, "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 1);
            if let Some(key) = key {
                let text = fs::read_to_string(folder.join("tollgate.toml")).unwrap();
                let text = text.replacen("[node]\n", "[node]\nkey_file = \"secret\"\n", 1);
                write_files(&folder, &[("tollgate.toml", &text), ("secret", key)]);
            }
            let server = Server::start(&folder);
            let datagram = request("INVITE", "+390612345678", 1, peer);
            peer.send_to(datagram.as_bytes(), server.udp).unwrap();
            let answer = Message::read(&receive(peer)).unwrap();
            let _sums = stop(server, 1);
            answer.to_tag().unwrap().to_owned()
        };
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let key = "sixteen octets or more";
        let one = tag("serve-key-one", Some(key), &peer);
        assert_eq!(tag("serve-key-two", Some(key), &peer), one);
        assert_ne!(
            tag("serve-key-three", Some("seventeen octets or so"), &peer),
            one
        );
        assert_ne!(tag("serve-key-none", None, &peer), one);
    }

    /// Runs `serve` to its end; exit code and standard error.
    fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .arg("--config")
            .arg(folder.join("tollgate.toml"))
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.stdout.is_empty());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    }

    #[test]
    fn what_is_not_to_be_had_ends_it_with_69_and_a_sentence() {
        let first = folder("serve-first", "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 2);
        let server = Server::start(&first);
        let taken = server.udp.to_string();
        let second = folder("serve-second", "[\"127.0.0.0/8\"]", &[&taken], 2);
        assert_eq!(
            refused(&second, &[]),
            (
                Some(69),
                format!(
                    "tollgate serve: udp {taken} is in use by another process; stop it or listen elsewhere\n"
                )
            )
        );
        let third = folder("serve-third", "[\"127.0.0.0/8\"]", &["127.0.0.1:0"], 1);
        write_files(&third, &[("state/key", "short")]);
        let (code, text) = refused(&third, &[]);
        assert_eq!(code, Some(69));
        assert!(
            text.contains("state/key does not hold a key of 16 octets"),
            "{text}"
        );
        let (code, text) = refused(&third, &["--shards", "1", "--cores", "63"]);
        assert_eq!(code, Some(69), "{text}");
        assert!(
            text.contains("core 63 is not one that this process may use"),
            "{text}"
        );
        // The first one has noticed nothing.
        let peer = client("127.0.0.1", server.udp);
        let answer = ask(&peer, &request("INVITE", "+390612345678", 1, &peer));
        assert_eq!(read(&answer).0, 302);
        let _sums = stop(server, 1);
    }

    #[test]
    fn the_start_says_what_runs_and_what_to_type_next() {
        let folder = folder(
            "serve-text",
            "[\"127.0.0.0/8\"]",
            &["127.0.0.1:0", "127.0.0.3:0"],
            1,
        );
        let server = Server::start(&folder);
        let (udp, admin) = (server.udp, server.admin);
        assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
        let stopped = server.stop();
        let text = &stopped.stderr;
        assert!(
            text.starts_with(&format!(
                "tollgate {}: 1 shard on core ",
                env!("CARGO_PKG_VERSION")
            )),
            "{text}"
        );
        assert!(text.contains("tollgate.toml: domains 1, "), "{text}");
        assert!(text.contains("receive buffer "), "{text}");
        assert!(text.contains("\nlistening udp 127.0.0.3:"), "{text}");
        assert!(text.contains(&format!("listening udp {udp}\n")), "{text}");
        // The generator's mix fits the sample only.
        assert!(!text.contains("tollgate-loadgen"), "{text}");
        assert!(
            text.contains(&format!("next: curl http://{admin}/metrics\n")),
            "{text}"
        );
        assert!(text.ends_with("\nready\n"), "{text}");
    }
}
