//! The journal on a disk that hangs, fails, or takes no larger file: every call is answered, what is lost is counted, and it
//! goes on by itself. (A full disk is tested in `journal.rs`.)
//!
//! Promises: no helper that is not in every Debian: `script` holds the other end of a terminal that stands for the disk.
//! Stopped, it reads nothing, and writing hangs; ended, writing is EIO. `prlimit` bounds the size of files.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod journal_disk {
    use super::common::server::{Server, node_toml, scratch, signal, write_files};
    use serde_json::Value;
    use std::fs::{self, File};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::SAMPLE_BUNDLE;

    const PATIENCE: Duration = Duration::from_secs(60);
    const WINDOW: usize = 32;
    /// More than the queue, the lines that may wait and a terminal take together.
    const TOO_MANY: usize = 100_000;

    fn folder(name: &str, approved_per_second: &str) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let journal = format!(
            "[journal]\npath = \"calls.jsonl\"\nrotate = \"36500d\"\napproved_per_second = {approved_per_second}\n"
        );
        write_files(
            &folder,
            &[("tollgate.toml", &(node_toml(&folder) + &journal))],
        );
        folder
    }

    /// Calls with these numbers, each answered.
    fn ask(to: SocketAddr, calls: std::ops::Range<usize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let via = socket.local_addr().unwrap();
        let mut bytes = [0; 4000];
        for start in calls.clone().step_by(WINDOW) {
            let window = start..calls.end.min(start + WINDOW);
            for call in window.clone() {
                let text = format!(
                    "INVITE sip:011442071838750@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
                     From: <sip:1@{via}>;tag=f\r\nTo: <sip:2@{to}>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
                );
                socket.send(text.as_bytes()).unwrap();
            }
            for _ in window {
                let length = socket.recv(&mut bytes).expect("every call is answered");
                assert!(bytes[..length].starts_with(b"SIP/2.0 302 "));
            }
        }
    }

    fn metric(admin: SocketAddr, name: &str) -> u64 {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if rest.starts_with('{') || rest.starts_with(' ') {
                return rest.rsplit_once(' ')?.1.parse::<u64>().ok();
            }
            None
        });
        values.sum()
    }

    fn wait(what: &str, mut done: impl FnMut() -> bool) {
        let clock = Clock::start();
        while !done() {
            let passed = Duration::from_nanos(clock.now().monotonic_ns);
            assert!(passed < PATIENCE, "waited {PATIENCE:?} for {what}");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn stop(server: Server) -> (Value, String) {
        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        (
            serde_json::from_str(&stopped.stdout).unwrap(),
            stopped.stderr,
        )
    }

    fn count(value: &Value) -> usize {
        usize::try_from(value.as_u64().unwrap()).unwrap()
    }

    /// A terminal that somebody reads into a file, until he is stopped or ended.
    struct Terminal {
        script: Child,
        path: PathBuf,
        read: PathBuf,
    }

    impl Terminal {
        fn open(name: &str) -> Self {
            // Two lines of the terminal itself: its name, and that it is ready.
            let inner = "stty raw -echo; tty; echo ready; exec sleep 600";
            let read = scratch(name).join("read");
            let script = Command::new("script")
                .args(["-q", "-f", "-c", inner, "/dev/null"])
                .stdin(Stdio::null())
                .stdout(File::create(&read).unwrap())
                .spawn()
                .unwrap();
            let mut terminal = Self {
                script,
                path: PathBuf::new(),
                read,
            };
            let mut text = String::new();
            wait("the terminal", || {
                text = fs::read_to_string(&terminal.read).unwrap();
                text.ends_with("ready\n")
            });
            terminal.path = PathBuf::from(text.lines().next().unwrap().trim());
            terminal
        }

        fn tell(&self, name: &str) {
            signal(self.script.id(), name);
        }

        /// What was written to it.
        fn text(&self) -> String {
            let text = fs::read_to_string(&self.read).unwrap();
            text.split_once("ready\n").unwrap().1.to_owned()
        }

        fn lines(&self) -> usize {
            self.text().matches('\n').count()
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            let _ended = self.script.kill();
            let _reaped = self.script.wait();
        }
    }

    /// A server whose journal is a link to the terminal.
    fn on(terminal: &Terminal, name: &str, approved_per_second: &str) -> (PathBuf, Server) {
        let folder = folder(name, approved_per_second);
        symlink(&terminal.path, folder.join("calls.jsonl")).unwrap();
        let server = Server::start(&folder);
        (folder, server)
    }

    #[test]
    fn a_disk_that_hangs_touches_no_call_and_the_journal_goes_on_when_it_does() {
        let terminal = Terminal::open("terminal-hangs");
        let (_folder, server) = on(&terminal, "disk-hangs", "500");
        ask(server.udp, 0..100);
        wait("the first lines", || terminal.lines() == 100);
        terminal.tell("STOP");
        let mut calls = 100;
        while metric(server.admin, "tollgate_events_dropped_total") == 0 {
            assert!(calls < TOO_MANY, "writing does not hang");
            ask(server.udp, calls..calls + 4000);
            calls += 4000;
        }
        terminal.tell("CONT");
        ask(server.udp, calls..calls + 100);
        // Without being told, and while calls come.
        let before = terminal.lines();
        wait("more lines", || terminal.lines() > before);
        let (sums, _said) = stop(server);
        wait("the last lines", || {
            terminal.lines() == count(&sums["journal_lines"])
        });
        let text = terminal.text();
        let weights: usize = text
            .lines()
            .map(|line| count(&serde_json::from_str::<Value>(line).unwrap()["weight"]))
            .sum();
        let lost = count(&sums["events_dropped"]) + count(&sums["journal_lost"]);
        assert_eq!(weights + lost, calls + 100, "{sums}");
    }

    #[test]
    fn a_stop_on_a_disk_that_hangs_counts_what_is_lost() {
        const CALLS: usize = 3000;
        let terminal = Terminal::open("terminal-stop");
        let (_folder, server) = on(&terminal, "disk-stop", "\"all\"");
        terminal.tell("STOP");
        ask(server.udp, 0..CALLS);
        let (sums, said) = stop(server);
        let (lines, dropped, lost) = (
            count(&sums["journal_lines"]),
            count(&sums["events_dropped"]),
            count(&sums["journal_lost"]),
        );
        // What the terminal has in its own buffer was handed over.
        assert!(lost > 0, "{sums}");
        assert_eq!(lines + dropped + lost, CALLS, "{sums}");
        let told = format!("the disk does not answer; calls lost at the end: {lost}");
        assert!(said.contains(&told), "{said}");
    }

    #[test]
    fn a_disk_that_fails_is_tried_again_until_it_does_not() {
        const CALLS: usize = 2000;
        let terminal = Terminal::open("terminal-fails");
        let (folder, server) = on(&terminal, "disk-fails", "\"all\"");
        ask(server.udp, 0..100);
        wait("the first lines", || terminal.lines() == 100);
        // The disk fails under the open file, and a new one is to be had: another terminal of this name would not be it.
        let path = folder.join("calls.jsonl");
        fs::remove_file(&path).unwrap();
        drop(terminal);
        ask(server.udp, 100..CALLS);
        wait("a failure", || {
            metric(server.admin, "tollgate_journal_write_failures_total") > 0
        });
        wait("the rest of the lines", || {
            metric(server.admin, "tollgate_journal_lines_total") >= CALLS as u64
        });
        ask(server.udp, CALLS..CALLS + 10);
        let (sums, said) = stop(server);
        let failed = said.find("Input/output error").or(said.find("I/O error"));
        let again = said.find("journal: lines are written again");
        assert!(failed.is_some() && failed < again, "{said}");
        for nought in ["events_dropped", "journal_lost"] {
            assert_eq!(sums[nought], 0, "{sums}");
        }
        assert_eq!(whole_lines(&path) + 100, CALLS + 10);
    }

    #[test]
    fn a_limit_of_file_sizes_ends_nothing() {
        const CALLS: usize = 2000;
        let folder = folder("disk-limit", "\"all\"");
        let server = Server::start(&folder);
        let limit = |octets: &str| {
            let told = Command::new("prlimit")
                .args(["--pid", &server.pid().to_string()])
                .arg(format!("--fsize={octets}"))
                .status()
                .unwrap();
            assert!(told.success());
        };
        // Within a line.
        limit("20001:unlimited");
        ask(server.udp, 0..CALLS);
        wait("a failure", || {
            metric(server.admin, "tollgate_journal_write_failures_total") > 1
        });
        limit("unlimited:unlimited");
        wait("the rest of the lines", || {
            metric(server.admin, "tollgate_journal_lines_total") == CALLS as u64
        });
        let (sums, said) = stop(server);
        assert!(said.contains("File too large"), "{said}");
        assert_eq!(sums["journal_lost"], 0, "{sums}");
        assert_eq!(whole_lines(&folder.join("calls.jsonl")), CALLS);
    }

    /// Lines of a file, each of which is JSON.
    fn whole_lines(path: &Path) -> usize {
        let file = BufReader::new(File::open(path).unwrap());
        let lines = file.lines().map(Result::unwrap);
        lines
            .inspect(|line| {
                let _whole: Value = serde_json::from_str(line).unwrap();
            })
            .count()
    }
}
