//! What a node tells of itself after traffic that was made to swell it: `promtool` finds no fault in the text, its series
//! are those of before, and the process has not grown.
//!
//! Promises: every INVITE has names of its own wherever a stranger may choose one; each is answered before the next window is sent.
//! `TOLLGATE_SCRAPE_CALLS` changes their number; `tests/long` has 200,000.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod scrape {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::SAMPLE_BUNDLE;

    const PATIENCE: Duration = Duration::from_secs(60);
    /// Calls that are sent before their answers are read.
    const WINDOW: usize = 32;
    /// What a node with the sample may occupy, octets, when a house of 200 telephones calls.
    const RESIDENT_MAX: u64 = 64 << 20;
    /// And when every call has a caller of its own, so that each page of the tables that count is touched once. They are of
    /// fixed size (`node.counters_capacity`), so it ends there.
    const RESIDENT_HOSTILE_MAX: u64 = 112 << 20;

    /// The sample, but that only one address is a peer, so that the others of this machine are strangers.
    fn folder(name: &str) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            let text = text.replace("\"127.0.0.0/8\"", "\"127.0.0.1\"");
            write_files(&folder, &[(&format!("bundle/{path}"), &text)]);
        }
        write_files(&folder, &[("tollgate.toml", &node_toml(&folder))]);
        folder
    }

    fn client(from: Ipv4Addr, to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Numbers that look random and are the same in every run (Marsaglia, xorshift64*).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }
    }

    /// A call with one of so many names and numbers.
    fn invite(random: &mut Random, names: u64, index: usize, from: &UdpSocket) -> String {
        let via = from.local_addr().unwrap();
        let name = random.next() % names;
        let number = 442_071_000_000 + random.next() % names % 1_000_000;
        format!(
            "INVITE sip:011{number}@gw-{name:x}.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {via};branch=z9hG4bK{index}-{name:x}\r\n\
             From: \"{name}\" <sip:u{name}@host-{name:x}.example>;tag=f{name:x}\r\n\
             To: <sip:011{number}@to-{name:x}.example>\r\n\
             Call-ID: {index}-{name:x}@id-{name:x}.example\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
             User-Agent: agent {name:x}\r\nP-tfps: u{name};domain-{name:x}.example;192.0.2.{};phone {name:x};{}\r\n\
             Content-Length: 0\r\n\r\n",
            name % 256,
            name % 100,
        )
    }

    /// Sends so many calls, each answered, and as many datagrams of strangers as there are windows, never answered.
    fn traffic(seed: u64, names: u64, calls: usize, to: SocketAddr) {
        let mut random = Random(seed);
        let peer = client(Ipv4Addr::LOCALHOST, to);
        let mut bytes = [0; 5000];
        for start in (0..calls).step_by(WINDOW) {
            let window = start..calls.min(start + WINDOW);
            for index in window.clone() {
                peer.send(invite(&mut random, names, index, &peer).as_bytes())
                    .unwrap();
            }
            let [a, b, c, _, _, _, _, _] = random.next().to_be_bytes();
            let stranger = client(Ipv4Addr::new(127, 1 + a / 2, b, c), to);
            stranger
                .send(invite(&mut random, names, start, &stranger).as_bytes())
                .unwrap();
            for _ in window {
                let length = peer.recv(&mut bytes).expect("every call is answered");
                assert!(bytes[..length].starts_with(b"SIP/2.0 "));
            }
        }
    }

    fn metrics(admin: SocketAddr) -> String {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Names and labels, without values.
    fn series(text: &str) -> BTreeSet<&str> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect()
    }

    /// The scrape that has so many verdicts: a batch is counted after its answers have left.
    fn counted(admin: SocketAddr, calls: u64) -> String {
        let clock = Clock::start();
        loop {
            let text = metrics(admin);
            let verdicts = text
                .lines()
                .filter(|line| line.starts_with("tollgate_verdicts_total{"));
            let sum: u64 = verdicts
                .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
                .sum();
            if sum == calls {
                return text;
            }
            let passed = Duration::from_nanos(clock.now().monotonic_ns);
            assert!(passed < PATIENCE, "{sum} verdicts of {calls} calls");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn calls() -> usize {
        std::env::var("TOLLGATE_SCRAPE_CALLS").map_or(10_000, |text| text.parse().unwrap())
    }

    /// `VmRSS` of proc(5), octets.
    fn resident(pid: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib * 1024
    }

    #[test]
    fn nothing_that_traffic_chooses_swells_the_metrics_or_the_process() {
        let folder = folder("scrape-bounded");
        let server = Server::start(&folder);
        // So many that every verdict, answer and outcome of these calls has been seen.
        traffic(1, u64::MAX, 1000, server.udp);
        let before = counted(server.admin, 1000);
        let calls = calls();
        traffic(2, u64::MAX, calls, server.udp);
        let after = counted(server.admin, 1000 + u64::try_from(calls).unwrap());
        assert_eq!(series(&before), series(&after));
        let resident = resident(server.pid());
        println!(
            "series {} before and after {calls} calls; resident {} KiB",
            series(&after).len(),
            resident / 1024
        );
        assert!(resident < RESIDENT_HOSTILE_MAX, "{resident}");
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_node_with_the_sample_stays_small() {
        let folder = folder("scrape-small");
        let server = Server::start(&folder);
        let calls = calls();
        traffic(3, 200, calls, server.udp);
        let resident = resident(server.pid());
        println!("resident {} KiB after {calls} calls", resident / 1024);
        assert!(resident < RESIDENT_MAX, "{resident}");
        assert!(server.stop().status.success());
    }

    #[test]
    fn promtool_finds_no_fault() {
        let folder = folder("scrape-promtool");
        let server = Server::start(&folder);
        traffic(1, u64::MAX, 1000, server.udp);
        let text = metrics(server.admin);
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut promtool = match promtool {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // tests/run says so, too.
                println!("NOT CHECKED: promtool is not installed (apt-get install prometheus)");
                return;
            }
            other => other.unwrap(),
        };
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let said = promtool.wait_with_output().unwrap();
        let faults = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && faults.is_empty(), "{faults}");
        assert!(server.stop().status.success());
    }
}
