//! `tollgate rules` on limits: how many calls each limit of a running node decided, reported and warned of.
//!
//! Promises: a call counts once, whatever its transactions; counts go by the names of policy and limit, so that a reload
//! keeps those of the limits that stay.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod rules {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use std::net::UdpSocket;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;

    const PATIENCE: Duration = Duration::from_secs(30);
    /// One by action, one that only reports, one that never fires; the same name in another policy.
    const POLICIES: &str = r#"
[[policy]]
name = "std"
[[policy.limit]]
name = "pair"
code = "R13"
per = ["subscriber"]
to = "number"
window = "1h"
warn = 2
max = 2
hold = "1h"
[[policy.limit]]
name = "watch"
code = "X01"
per = ["subscriber"]
to = "any"
count = "attempts"
window = "1h"
max = 3
action = "report"
[[policy.limit]]
name = "many"
code = "R08"
max = 99
during = "always"
[[policy]]
name = "other"
[[policy.limit]]
name = "pair"
code = "R13"
window = "1h"
max = 2
"#;

    fn domain(mode: &str) -> String {
        format!(
            "[[domain]]\nname = \"acme\"\npeers = [\"127.0.0.1\"]\nmode = \"{mode}\"\ntrust_headers = true\ndefault_policy = \"std\"\n\
             default_subscriber = \"pbx\"\nprofile = \"redirect\"\nbare_e164 = true\nspoofing_filtered = true\n"
        )
    }

    fn folder(name: &str, mode: &str, journal: bool) -> PathBuf {
        let folder = scratch(name);
        let mut config = node_toml(&folder);
        if journal {
            // Also of calls that have no line of their own.
            config += &format!(
                "[journal]\npath = {:?}\napproved_per_second = 0\nrejected_per_second = 0\n",
                folder.join("calls.jsonl")
            );
        }
        write_files(
            &folder,
            &[
                ("tollgate.toml", &config),
                ("bundle/domains.toml", &domain(mode)),
                ("bundle/policies.toml", POLICIES),
            ],
        );
        folder
    }

    /// One INVITE; its status.
    fn ask(server: &Server, call: u32, branch: &str, number: &str) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.udp).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let via = socket.local_addr().unwrap();
        let invite = format!(
            "INVITE sip:{number}@gw SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{call}{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:1@{via}>;tag=f\r\nTo: <sip:2@gw>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(invite.as_bytes()).unwrap();
        let mut bytes = [0; 4000];
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The lines on limits of what `tollgate rules` prints.
    fn limits(folder: &Path) -> Vec<String> {
        let mut lines = rules(folder);
        lines.retain(|line| line.starts_with("limit "));
        lines
    }

    /// The lines of `tollgate rules`.
    fn rules(folder: &Path) -> Vec<String> {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["rules", "--config"])
            .arg(folder.join("tollgate.toml"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until these are the lines: events reach the journal a moment after the answer.
    fn wait_for(folder: &Path, want: &[&str]) {
        let clock = Clock::start();
        loop {
            let found = limits(folder);
            if found == want {
                return;
            }
            assert!(
                Duration::from_nanos(clock.now().monotonic_ns) < PATIENCE,
                "{found:#?}"
            );
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Two that pass, one that fires, two that are held, each with a second transaction; one to another number.
    fn calls(server: &Server) -> Vec<u16> {
        let mut statuses = Vec::new();
        for call in 1..=5 {
            statuses.push(ask(server, call, "", "442071838750"));
            assert_eq!(
                ask(server, call, "fork", "442071838750"),
                statuses[statuses.len() - 1]
            );
        }
        statuses.push(ask(server, 6, "", "442071838751"));
        statuses
    }

    #[test]
    fn every_limit_shows_the_calls_that_it_decided_reported_and_warned_of() {
        let folder = folder("rules-limits", "prevention", true);
        let server = Server::start(&folder);
        let none = [
            "limit pair of std, reject R13: calls 0",
            "limit watch of std, report X01: calls 0",
            "limit many of std, reject R08: calls 0",
            "limit pair of other, reject R13: calls 0",
        ];
        wait_for(&folder, &none);
        assert_eq!(calls(&server), [302, 302, 603, 603, 603, 302]);
        wait_for(
            &folder,
            &[
                "limit pair of std, reject R13: calls 3, of them by its hold 2, warnings 1",
                "limit watch of std, report X01: calls 1",
                none[2],
                none[3],
            ],
        );

        // Another bundle: who stays keeps its count, a new name begins at none.
        let renamed = POLICIES.replace("\"watch\"", "\"watched\"");
        write_files(&folder, &[("bundle/policies.toml", &renamed)]);
        server.signal("HUP");
        wait_for(
            &folder,
            &[
                "limit pair of std, reject R13: calls 3, of them by its hold 2, warnings 1",
                "limit watched of std, report X01: calls 0",
                none[2],
                none[3],
            ],
        );
        assert_eq!(ask(&server, 7, "", "442071838750"), 603);
        wait_for(
            &folder,
            &[
                "limit pair of std, reject R13: calls 4, of them by its hold 3, warnings 1",
                "limit watched of std, report X01: calls 0",
                none[2],
                none[3],
            ],
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_code_that_cannot_come_is_shown_with_what_would_make_it() {
        let folder = folder("rules-reach", "prevention", false);
        let server = Server::start(&folder);
        let limit = "a [[policy.limit]] of that code that rejects or diverts";
        let agents = "a row of lists/*.csv with kind agent and verdict deny";
        let shown = rules(&folder);
        for line in [
            "R07: calls 0",
            "R08: calls 0",
            "R13: calls 0",
            "R15: calls 0",
            &format!("X01: calls 0; it only reports without {limit}"),
            &format!("R09 to R11, X02 to X16: never without {limit}"),
            &format!("R01: never without {agents}"),
        ] {
            assert!(
                shown.iter().any(|found| found == line),
                "{line}\n{shown:#?}"
            );
        }
        // With the row, the code can come.
        let row =
            "scope,kind,match,verdict,code,reason,source,expires\nsystem,agent,scan,deny,,,,\n";
        write_files(&folder, &[("bundle/lists/a.csv", row)]);
        server.signal("HUP");
        let clock = Clock::start();
        while !rules(&folder).iter().any(|found| found == "R01: calls 0") {
            assert!(Duration::from_nanos(clock.now().monotonic_ns) < PATIENCE);
            thread::park_timeout(Duration::from_millis(20));
        }
        assert!(server.stop().status.success());
    }

    #[test]
    fn in_detection_a_limit_shows_what_it_would_have_decided() {
        let folder = folder("rules-detection", "detection", true);
        let server = Server::start(&folder);
        assert_eq!(calls(&server), [302; 6]);
        wait_for(
            &folder,
            &[
                "limit pair of std, reject R13: calls 3, of them by its hold 2, warnings 1",
                "limit watch of std, report X01: calls 1",
                "limit many of std, reject R08: calls 0",
                "limit pair of other, reject R13: calls 0",
            ],
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn without_a_journal_limits_are_shown_and_not_counted() {
        let folder = folder("rules-uncounted", "prevention", false);
        let server = Server::start(&folder);
        calls(&server);
        let shown = limits(&folder);
        assert_eq!(
            shown[0],
            "limit pair of std, reject R13: calls not counted without [journal]"
        );
        assert_eq!(shown.len(), 4);
        assert!(server.stop().status.success());
    }
}
