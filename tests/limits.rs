//! SEMANTICS, Limits, over the wire: R08 to R11 and R13 under each way of answering, in detection, and diverted.
//!
//! Promises: one server, one domain for each way of answering, told apart by the address that asks.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod limits {
    use super::common::answer::Message;
    use super::common::server::{Server, node_toml, scratch, write_files};
    use serde_json::Value;
    use std::fmt::Write as _;
    use std::fs;
    use std::net::UdpSocket;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whoever asks from 127.0.0.N is the domain with this name; mode and profile.
    const DOMAINS: [(u8, &str, &str, &str); 5] = [
        (2, "redirect", "prevention", "redirect"),
        (3, "codes", "prevention", "redirect-codes"),
        (4, "failover", "prevention", "failover"),
        (5, "detection", "detection", "redirect"),
        (6, "silent", "detection", "failover"),
    ];

    /// All days of the year: a house that never works.
    fn all_days() -> String {
        let months = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let days = (1..).zip(months).flat_map(|(month, days)| {
            (1..=days).map(move |day| format!("\"{month:02}-{day:02}\""))
        });
        days.collect::<Vec<_>>().join(", ")
    }

    fn policies() -> String {
        let always = "time_zone = \"UTC\"\nworking_hours = [\"daily 00:00-24:00\"]\n";
        let never = format!("{always}holidays = [{}]\n", all_days());
        let limit = |name: &str, code: &str, rest: &str| {
            format!("[[policy.limit]]\nname = \"{name}\"\ncode = \"{code}\"\n{rest}\n")
        };
        let policy = |name: &str, keys: &str, limits: &[String]| {
            format!(
                "[[policy]]\nname = \"{name}\"\nassumed_minutes = 4\n{keys}{}",
                limits.concat()
            )
        };
        [
            policy("std", "", &[]),
            policy("night", &never, &[limit("night-calls", "R08", "max = 5"), limit("night-quota", "R09", "max = 2")]),
            policy("day", always, &[limit("day-calls", "R10", "max = 5"), limit("day-quota", "R11", "max = 2")]),
            policy("pair", "", &[limit("pair", "R13", "window = \"1h\"\nwarn = 1\nmax = 2\nhold = \"1h\"")]),
            policy(
                "spent",
                "",
                &[limit("spent", "X07", "per = [\"subscriber\"]\nto = \"any\"\ncount = \"exposure\"\nwindow = \"1h\"\nmax = 1.5")],
            ),
            policy(
                "divert",
                "divert = { target = \"sip:D00{number}@ivr.example:5070\" }\n",
                &[limit("pumped", "R13", "window = \"1h\"\nmax = 1\naction = \"divert\"")],
            ),
        ]
        .concat()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = scratch(name);
        let mut domains = String::new();
        let mut subscribers = "domain,name,policy,users\n".to_owned();
        let all = DOMAINS.into_iter().chain([
            (7, "divert", "prevention", "redirect"),
            (8, "divert-detection", "detection", "redirect"),
        ]);
        for (host, name, mode, profile) in all {
            writeln!(
                domains,
                "[[domain]]\nname = \"{name}\"\npeers = [\"127.0.0.{host}\"]\nmode = \"{mode}\"\ntrust_headers = true\ndefault_policy = \"std\"\n\
                 default_subscriber = \"unknown\"\nprofile = \"{profile}\"\nbare_e164 = true\nspoofing_filtered = true\ncodes = {{ X07 = \"Q42\" }}"
            )
            .unwrap();
            for (policy, users) in [
                ("night", "2000 2001"),
                ("day", "3000 3001"),
                ("pair", "4000"),
                ("spent", "5000"),
            ] {
                for user in users.split(' ') {
                    writeln!(subscribers, "{name},{policy}-{user},{policy},{user}").unwrap();
                }
            }
        }
        subscribers
            .push_str("divert,diverted,divert,6000\ndivert-detection,diverted,divert,6000\n");
        let journal = format!(
            "[journal]\npath = {:?}\napproved_per_second = \"all\"\n",
            folder.join("calls.jsonl")
        );
        write_files(
            &folder,
            &[
                ("tollgate.toml", &(node_toml(&folder) + &journal)),
                ("bundle/domains.toml", &domains),
                ("bundle/policies.toml", &policies()),
                ("bundle/subscribers.csv", &subscribers),
                (
                    "bundle/rates.csv",
                    "prefix,rate_per_minute\n39,0.125\n*,0\n",
                ),
            ],
        );
        folder
    }

    struct Caller {
        socket: UdpSocket,
        asked: u32,
    }

    impl Caller {
        fn of(server: &Server, host: u8) -> Self {
            let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
            socket.connect(server.udp).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            Self { socket, asked: 0 }
        }

        /// One call: its status, and the first three characters of the Contact's user with its host, if there is one.
        fn call(&mut self, user: &str, number: &str, reported: &str) -> String {
            self.asked += 1;
            let name = format!(
                "{}-{}",
                self.socket.local_addr().unwrap().port(),
                self.asked
            );
            let via = self.socket.local_addr().unwrap();
            let text = format!(
                "INVITE sip:{number}@gw.example SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{name}\r\n\
                 From: <sip:{user}@pbx.example>;tag=f{name}\r\nTo: <sip:{number}@gw.example>\r\n\
                 Call-ID: {name}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nP-tfps: {user};;10.0.0.1;phone;{reported}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            self.socket.send(text.as_bytes()).unwrap();
            let mut bytes = [0; 5000];
            let length = self.socket.recv(&mut bytes).unwrap();
            let answer = Message::read(&bytes[..length]).unwrap();
            let status = answer.status().unwrap();
            match answer.one("Contact") {
                None => status.to_string(),
                Some(contact) => {
                    let uri = contact.trim_start_matches("<sip:").trim_end_matches('>');
                    let (prefixed, host) = uri.split_once('@').unwrap();
                    assert_eq!(prefixed.get(3..), Some(number), "{contact}");
                    format!("{status} {}@{host}", &prefixed[..3])
                }
            }
        }
    }

    const NUMBER: &str = "390612345678";

    /// What a subscriber of each policy does, and the code that its last call earns; those before it are approved.
    const ATTACKS: [(&str, &[&str], &str); 6] = [
        ("2000", &["5", "6"], "R08"),
        ("2001", &["1", "1", "1"], "R09"),
        ("3000", &["5", "6"], "R10"),
        ("3001", &["1", "1", "1"], "R11"),
        ("4000", &["1", "1", "1"], "R13"),
        ("5000", &["1", "1", "1", "1"], "X07"),
    ];

    fn journal(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join("calls.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn each_code_is_worn_as_the_profile_wears_it_and_detection_approves_and_says_what_would_have_been()
     {
        let folder = folder("limits-wire");
        let server = Server::start(&folder);
        for (host, domain, mode, profile) in DOMAINS {
            let mut caller = Caller::of(&server, host);
            for (user, reported, code) in ATTACKS {
                let (last, before) = reported.split_last().unwrap();
                let approved = if profile == "failover" {
                    "503"
                } else {
                    "302 A00@pbx.example"
                };
                for calls in before {
                    assert_eq!(
                        caller.call(user, NUMBER, calls),
                        approved,
                        "{domain} {code}"
                    );
                }
                let wire = if code == "X07" { "Q42" } else { code };
                let rejected = match (mode, profile) {
                    ("detection", _) => approved.to_owned(),
                    (_, "redirect-codes") => format!("302 {wire}@pbx.example"),
                    (_, "failover") => "486".to_owned(),
                    _ => "603".to_owned(),
                };
                assert_eq!(caller.call(user, NUMBER, last), rejected, "{domain} {code}");
                // A hold answers for its limit; without one, what is no attempt of the key passes.
                let other = caller.call(user, "441632960000", "1");
                let quota = ["R09", "R11"].contains(&code);
                assert_eq!(
                    other,
                    if quota { rejected } else { approved.to_owned() },
                    "{domain} {code}"
                );
            }
            // What a hold answers is an approval in detection only.
            let held = caller.call("4000", NUMBER, "1");
            let is_approved = held == "503" || held.starts_with("302 A00");
            assert_eq!(is_approved, mode == "detection", "{domain}: {held}");
        }
        let stopped = server.stop();
        assert!(stopped.status.success());
        let lines = journal(&folder);
        for (_, domain, mode, _) in DOMAINS {
            let of_domain: Vec<&Value> = lines
                .iter()
                .filter(|line| line["domain"] == domain)
                .collect();
            for (user, reported, code) in ATTACKS {
                let of_user: Vec<&&Value> = of_domain
                    .iter()
                    .filter(|line| line["caller"] == user)
                    .collect();
                let line = of_user[reported.len() - 1];
                let prevents = mode == "prevention";
                let verdict = if prevents { "reject" } else { "approve" };
                assert_eq!(line["verdict"], verdict, "{line}");
                assert_eq!(line["code"], if prevents { code } else { "A00" }, "{line}");
                assert_eq!(
                    line["would"],
                    if prevents { Value::Null } else { code.into() },
                    "{line}"
                );
                assert_eq!(line["exposure"], 0.5, "{line}");
                let rule = line["rule"].as_str().unwrap();
                let name = match code {
                    "R08" => "night-calls",
                    "R09" => "night-quota",
                    "R10" => "day-calls",
                    "R11" => "day-quota",
                    "R13" => "pair",
                    _ => "spent",
                };
                assert_eq!(rule, format!("limit:{name}"), "{line}");
                if code == "R13" {
                    assert_eq!(
                        of_user[0]["warned"],
                        serde_json::json!(["pair"]),
                        "{}",
                        of_user[0]
                    );
                    assert_eq!(of_user[1]["warned"], Value::Null);
                    assert_eq!(of_user.last().unwrap()["rule"], "hold:pair");
                }
            }
        }
    }

    #[test]
    fn a_diverted_call_goes_to_the_target_and_not_to_the_number() {
        let folder = folder("limits-divert");
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server, 7);
        assert_eq!(caller.call("6000", NUMBER, "1"), "302 A00@pbx.example");
        for _ in 0..3 {
            assert_eq!(caller.call("6000", NUMBER, "1"), "302 D00@ivr.example:5070");
        }
        // It comes back: our own answer, so a loop.
        let back = format!("D00{NUMBER}");
        assert_eq!(caller.call("6000", &back, "1"), "482");
        let mut detected = Caller::of(&server, 8);
        for _ in 0..3 {
            assert_eq!(detected.call("6000", NUMBER, "1"), "302 A00@pbx.example");
        }
        let stopped = server.stop();
        assert!(stopped.status.success());
        let lines = journal(&folder);
        let of = |domain: &str| {
            lines
                .iter()
                .filter(|line| line["domain"] == domain)
                .cloned()
                .collect::<Vec<Value>>()
        };
        let told: Vec<String> = of("divert")
            .iter()
            .map(|line| {
                format!(
                    "{} {}",
                    line["verdict"].as_str().unwrap(),
                    line["code"].as_str().unwrap_or("-")
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "approve A00",
                "divert R13",
                "divert R13",
                "divert R13",
                "error -"
            ]
        );
        let would: Vec<Value> = of("divert-detection")
            .iter()
            .map(|line| line["would"].clone())
            .collect();
        assert_eq!(would, [Value::Null, "R13".into(), "R13".into()]);
    }

    fn explain(folder: &Path, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["explain", "--config"])
            .arg(folder.join("tollgate.toml"))
            .args(arguments)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    #[test]
    fn explain_says_what_a_call_would_meet_and_moves_nothing() {
        let folder = folder("limits-explain");
        let of_pair = ["39-0612345678", "--domain", "redirect", "--caller", "4000"];
        let (code, alone) = explain(&folder, &of_pair);
        assert_eq!(code, 0, "{alone}");
        for line in [
            "# by the configuration alone: no running node answers at admin.http, so all counts are empty",
            "# asked as 127.0.0.2, one of the domain's peers; --peer asks as another",
            "peer: 127.0.0.2",
            "domain: redirect, prevention, profile redirect",
            "subscriber: pair-4000 (row 5 of subscribers.csv)",
            "dialled: 39-0612345678",
            "without separators: 390612345678",
            "number: +390612345678",
            "R13 limit pair, by redirect pair-4000 4000 +390612345678: passes: with this call 1, max 2 in 1 h",
            "exposure: 0.5: 4 assumed minutes at 0.125 each by rates.csv",
            "verdict: approved, A00",
        ] {
            assert!(alone.lines().any(|said| said == line), "{line}\n{alone}");
        }
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server, 2);
        for _ in 0..2 {
            assert_eq!(caller.call("4000", NUMBER, "1"), "302 A00@pbx.example");
        }
        for _ in 0..2 {
            let (code, live) = explain(&folder, &of_pair);
            assert_eq!(code, 0, "{live}");
            assert!(
                live.starts_with("# by the running node, generation "),
                "{live}"
            );
            assert!(
                live.contains(": REJECTS: with this call 3, max 2 in 1 h\n"),
                "{live}"
            );
            assert!(
                live.contains("\nverdict: rejected, R13\nanswer: 603\n"),
                "{live}"
            );
        }
        assert_eq!(caller.call("4000", NUMBER, "1"), "603");
        let (_, held) = explain(&folder, &of_pair);
        assert!(held.contains(": REJECTS: held for "), "{held}");
        // What is no call, and who is nobody, is said.
        for (arguments, part) in [
            (
                &["1", "--peer", "192.0.2.99"][..],
                "192.0.2.99 is nobody's peer",
            ),
            (
                &["1", "--domain", "nobody"],
                "domain \"nobody\" is not in domains.toml",
            ),
            (
                &["--datagram", "/dev/null"],
                "no INVITE that is decided: line ends, blanks or nothing: silence",
            ),
        ] {
            let (code, said) = explain(&folder, arguments);
            assert_eq!((code, said.contains(part)), (65, true), "{said}");
        }
        assert!(server.stop().status.success());
    }
}
