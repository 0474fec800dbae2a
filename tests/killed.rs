//! `kill -9` at moments that nobody chose, under load: every restart serves, by a bundle that was once good, and the journal
//! has no torn line.
//!
//! Promises: the moments come from a seed; every other restart finds its bundle's folder broken; kills fall into reloads,
//! too. `TOLLGATE_KILLS` says how many, `TOLLGATE_RESTART_MS` how long a restart may take until the first call is answered;
//! `tests/long` has 50 and 1,000 ms.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "common/record.rs"]
mod record;

#[cfg(test)]
mod killed {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::record::Record;
    use serde_json::Value;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::SAMPLE_BUNDLE;

    const PATIENCE: Duration = Duration::from_secs(30);
    const WINDOW: u64 = 32;
    /// Denied by one of the two bundles, and in no other list.
    const TURNED: &str = "390612345678";
    const HEADER: &str = "scope,kind,match,verdict,code,reason,source,expires\n";
    /// A server lives so long at most, milliseconds.
    const LIFE_MS: u64 = 250;

    fn setting(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    }

    /// Marsaglia's xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
        }
    }

    fn folder() -> PathBuf {
        let folder = scratch("killed");
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let journal = "[journal]\npath = \"journal/calls.jsonl\"\nrotate = \"1MB\"\napproved_per_second = \"all\"\nrejected_per_second = \"all\"\n";
        let text = node_toml(&folder) + journal;
        write_files(&folder, &[("tollgate.toml", &text)]);
        folder
    }

    /// One of the two bundles, or a folder that is no bundle.
    fn bundle(folder: &Path, deny: bool, whole: bool) {
        let row = if deny {
            format!("system,number,{TURNED},deny,R03,,,\n")
        } else {
            "system,number,390699999999,deny,R03,,,\n".to_owned()
        };
        let policies = SAMPLE_BUNDLE
            .iter()
            .find(|(name, _)| *name == "policies.toml")
            .unwrap()
            .1;
        let policies = if whole { policies } else { "not TOML" };
        write_files(
            folder,
            &[
                ("bundle/lists/turned.csv", &(HEADER.to_owned() + &row)),
                ("bundle/policies.toml", policies),
            ],
        );
    }

    fn invite(call: &str, from: &UdpSocket, to: SocketAddr) -> String {
        let via = from.local_addr().unwrap();
        format!(
            "INVITE sip:{TURNED}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
             From: <sip:1@{via}>;tag=f\r\nTo: <sip:2@{to}>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn client(to: SocketAddr, patience: Duration) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    }

    fn probe(call: &str, to: SocketAddr) -> u16 {
        let socket = client(to, PATIENCE);
        socket.send(invite(call, &socket, to).as_bytes()).unwrap();
        let mut bytes = [0; 4000];
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Calls until told to stop or until nobody is there; how many were answered.
    fn load(round: u64, to: SocketAddr, stop: &AtomicBool) -> u64 {
        let socket = client(to, Duration::from_millis(100));
        let mut bytes = [0; 4000];
        let mut answered = 0;
        let mut sent = 0;
        while !stop.load(Ordering::Acquire) {
            for _ in 0..WINDOW {
                sent += 1;
                if socket
                    .send(invite(&format!("{round}-{sent}"), &socket, to).as_bytes())
                    .is_err()
                {
                    return answered;
                }
            }
            for _ in 0..WINDOW {
                if socket.recv(&mut bytes).is_err() {
                    break;
                }
                answered += 1;
            }
        }
        answered
    }

    fn metric(admin: SocketAddr, name: &str) -> u64 {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    }

    /// Lines of all files of the journal; every one is whole, but for the last of the newest file when it was killed.
    fn journal(folder: &Path) -> (u64, bool) {
        let mut lines = 0;
        let mut torn = false;
        for entry in fs::read_dir(folder.join("journal")).unwrap() {
            let entry = entry.unwrap();
            let text = fs::read(entry.path()).unwrap();
            for line in text.split_inclusive(|octet| *octet == b'\n') {
                if line.last() != Some(&b'\n') {
                    assert_eq!(entry.file_name(), "calls.jsonl");
                    torn = true;
                    continue;
                }
                let line: Value = serde_json::from_slice(line)
                    .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
                assert!(line["weight"].is_u64());
                lines += 1;
            }
        }
        (lines, torn)
    }

    /// How long a process's first thread, which starts the node, has waited for a core: `schedstat` of proc(5).
    fn waited(pid: u32) -> Duration {
        let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        let waited_ns = text.split_whitespace().nth(1).unwrap();
        Duration::from_nanos(waited_ns.parse().unwrap())
    }

    fn milliseconds(time: Duration) -> String {
        format!("{} ms", time.as_millis())
    }

    #[test]
    fn after_every_kill_the_node_serves_again_and_its_journal_is_whole() {
        let kills = setting("TOLLGATE_KILLS", 4);
        let restart_max = Duration::from_millis(setting("TOLLGATE_RESTART_MS", 20_000));
        let mut random = Random(setting("TOLLGATE_KILL_SEED", 0x7011_6a7e));
        let folder = folder();
        bundle(&folder, true, true);
        let mut restarts = Vec::new();
        let (mut answered, mut torn_lines, mut stale_starts) = (0, 0, 0);
        let clock = Clock::start();
        // One round more: the last server is stopped as it should be.
        for round in 0..=kills {
            let whole = round % 2 == 0;
            // A refused bundle leaves the one that was kept before in force, whichever it was.
            let deny = random.below(2) == 0;
            bundle(&folder, deny, whole);
            let began_ns = clock.now().monotonic_ns;
            let server = Server::start(&folder);
            let status = probe(&format!("probe-{round}"), server.udp);
            let took = Duration::from_nanos(clock.now().monotonic_ns - began_ns);
            restarts.push((took, waited(server.pid())));
            if whole {
                assert_eq!(status, if deny { 603 } else { 302 }, "restart {round}");
            } else {
                assert!([302, 603].contains(&status), "{status}");
                stale_starts += 1;
            }
            let stale = metric(server.admin, "tollgate_bundle_stale");
            assert_eq!(stale, u64::from(!whole), "restart {round}");
            torn_lines += metric(server.admin, "tollgate_journal_torn_lines_total");
            if round == 0 {
                // From here on there is a last good bundle: it is there as soon as the state folder names it.
                let kept = folder.join("state/last-good/policies.toml");
                while !kept.exists() {
                    assert!(Duration::from_nanos(clock.now().monotonic_ns) < PATIENCE);
                    thread::park_timeout(Duration::from_millis(5));
                }
            }
            let stop = Arc::new(AtomicBool::new(false));
            let loading = {
                let (stop, to) = (Arc::clone(&stop), server.udp);
                thread::spawn(move || load(round, to, &stop))
            };
            if round == kills {
                thread::park_timeout(Duration::from_millis(LIFE_MS));
                stop.store(true, Ordering::Release);
                answered += loading.join().unwrap();
                assert!(server.stop().status.success());
                continue;
            }
            let life_us = random.below(LIFE_MS * 1000);
            // Into its life, now and then a moment before its end, falls a reload of a good bundle.
            let reload_us = random.below(life_us + 1);
            thread::park_timeout(Duration::from_micros(reload_us));
            bundle(&folder, random.below(2) == 0, true);
            server.signal("HUP");
            thread::park_timeout(Duration::from_micros(life_us - reload_us));
            // SIGKILL.
            drop(server);
            stop.store(true, Ordering::Release);
            answered += loading.join().unwrap();
            journal(&folder);
        }
        let (lines, torn) = journal(&folder);
        assert!(
            !torn,
            "the last server was stopped, and its predecessors' torn lines cut"
        );
        assert!(answered > 0 && stale_starts == kills.div_ceil(2));
        restarts.sort();
        let &(slowest, waited) = restarts.last().unwrap();
        let asked = format!("{} at most", milliseconds(restart_max));
        let mut record = Record::of(
            "killed",
            "`kill -9` at moments that a seed chose, under load and into reloads; every other restart finds its bundle broken. A restart is \
             timed from the call of the program to its first answer to a call.",
        );
        record.figure("kills", kills, "");
        record.figure("slowest restart", milliseconds(slowest), &asked);
        record.figure(
            "of that, its thread waited for a core",
            milliseconds(waited),
            "",
        );
        let median = restarts[restarts.len() / 2].0;
        record.figure("median restart", milliseconds(median), "");
        record.figure(
            "restarts that served the last good bundle, their folder being broken",
            stale_starts,
            "",
        );
        record.figure("calls answered", answered, "");
        record.figure("whole lines of the journal", lines, "");
        record.figure("unfinished lines that restarts cut", torn_lines, "");
        record.figure("torn lines in the journal in the end", 0, "0");
        record.write();
        assert!(slowest <= restart_max, "a restart took {slowest:?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
