//! What limits count, over the wire and through restarts: attempts, holds, the state folder, `tollgate hold`.
//!
//! Promises: each server has a folder, ports and addresses of its own; what is on the disk is waited for by asking the server.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod counters {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use std::fs;
    use std::net::UdpSocket;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;
    use tollgate::clock::Clock;

    const PATIENCE: Duration = Duration::from_secs(30);
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const DOMAIN: &str = "[[domain]]\nname = \"one\"\npeers = [\"127.0.0.1\"]\nmode = \"prevention\"\ntrust_headers = true\n\
        default_policy = \"std\"\ndefault_subscriber = \"unknown\"\nprofile = \"redirect\"\nbare_e164 = true\n";
    const APPROVED: u16 = 302;
    const REJECTED: u16 = 603;

    fn folder(name: &str, limit: &str) -> PathBuf {
        let folder = scratch(name);
        let text = node_toml(&folder).replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
        let policy = format!("[[policy]]\nname = \"std\"\n[[policy.limit]]\n{limit}");
        write_files(
            &folder,
            &[
                ("tollgate.toml", &text),
                ("token", &format!("{TOKEN}\n")),
                ("bundle/domains.toml", DOMAIN),
                ("bundle/policies.toml", &policy),
            ],
        );
        folder
    }

    const PAIRS: &str = "name = \"pairs\"\nper = [\"subscriber\", \"caller\"]\nto = \"number\"\ncount = \"attempts\"\n\
        window = \"1h\"\nmax = 3\naction = \"reject\"\ncode = \"R13\"\n";

    struct Caller {
        socket: UdpSocket,
        asked: u32,
    }

    impl Caller {
        fn of(server: &Server) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(server.udp).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            Self { socket, asked: 0 }
        }

        /// The status of one INVITE.
        fn invite(&mut self, branch: &str, cseq: u32, call_id: &str, number: &str) -> u16 {
            let via = self.socket.local_addr().unwrap();
            let text = format!(
                "INVITE sip:{number}@gw.example SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{branch}\r\n\
                 From: <sip:4100@pbx.example>;tag=f{call_id}\r\nTo: <sip:{number}@gw.example>\r\n\
                 Call-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            self.socket.send(text.as_bytes()).unwrap();
            let mut bytes = [0; 5000];
            let length = self.socket.recv(&mut bytes).unwrap();
            let answer = String::from_utf8_lossy(&bytes[..length]).into_owned();
            answer.split(' ').nth(1).unwrap().parse().unwrap()
        }

        /// A call of its own.
        fn call(&mut self, number: &str) -> u16 {
            self.asked += 1;
            let name = format!(
                "{}-{}",
                self.socket.local_addr().unwrap().port(),
                self.asked
            );
            self.invite(&name, 1, &name, number)
        }

        /// Makes calls, to another number each, until the file says what is wanted: it is written within a second.
        fn until(&mut self, file: &Path, is_there: impl Fn(&[u8]) -> bool) {
            for number in 0..2_000_000_u32 {
                if fs::read(file).is_ok_and(|octets| is_there(&octets)) {
                    return;
                }
                self.call(&format!("3906{number:08}"));
            }
            panic!("{} does not come", file.display());
        }
    }

    fn hold(folder: &Path, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("hold")
            .args(arguments)
            .arg("--config")
            .arg(folder.join("tollgate.toml"))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    const VICTIM: &str = "390612345678";

    #[test]
    fn retransmissions_forks_and_authentication_retries_are_one_attempt() {
        let folder = folder("attempts", PAIRS);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        for call in ["a", "b", "c"] {
            let first = format!("{call}1");
            assert_eq!(caller.invite(&first, 1, call, VICTIM), APPROVED);
            // The same datagram; two branches of a fork; the same call with the next CSeq, as after a challenge.
            assert_eq!(caller.invite(&first, 1, call, VICTIM), APPROVED);
            assert_eq!(
                caller.invite(&format!("{call}2"), 1, call, VICTIM),
                APPROVED
            );
            assert_eq!(
                caller.invite(&format!("{call}3"), 1, call, VICTIM),
                APPROVED
            );
            assert_eq!(
                caller.invite(&format!("{call}4"), 2, call, VICTIM),
                APPROVED
            );
        }
        // Three attempts were counted; the fourth is one too many, and so are its own forks.
        assert_eq!(caller.invite("d1", 1, "d", VICTIM), REJECTED);
        assert_eq!(caller.invite("d2", 1, "d", VICTIM), REJECTED);
        // Another number is another attempt, with the same Call-ID, too.
        assert_eq!(caller.invite("d3", 1, "d", "390612345679"), APPROVED);
        server.stop();
    }

    #[test]
    fn the_fifth_transaction_counts_anew() {
        let folder = folder("fifth", &PAIRS.replace("max = 3", "max = 1"));
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        let statuses =
            [1, 2, 3, 4, 5].map(|branch| caller.invite(&format!("a{branch}"), 1, "a", VICTIM));
        assert_eq!(statuses, [APPROVED, APPROVED, APPROVED, APPROVED, REJECTED]);
        server.stop();
    }

    #[test]
    fn a_drain_and_a_restart_lose_no_count() {
        let folder = folder("drained", PAIRS);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        assert_eq!([0; 2].map(|_| caller.call(VICTIM)), [APPROVED; 2]);
        let stopped = server.stop();
        assert!(stopped.status.success());
        let mut server = Server::start(&folder);
        server.wait_for("ready");
        let mut caller = Caller::of(&server);
        assert_eq!([0; 2].map(|_| caller.call(VICTIM)), [APPROVED, REJECTED]);
        let stopped = server.stop();
        assert!(
            stopped.stderr.contains("counters: 1 of before the start"),
            "{}",
            stopped.stderr
        );
    }

    #[test]
    fn a_hold_outlives_kill_9_and_is_listed_and_released() {
        let held = format!("{PAIRS}hold = \"1h\"\n");
        let folder = folder("held", &held);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        assert_eq!(
            hold(&folder, &["list"]),
            (0, "no hold is in force\n".to_owned())
        );
        let statuses = [0; 4].map(|_| caller.call(VICTIM));
        assert_eq!(statuses, [APPROVED, APPROVED, APPROVED, REJECTED]);
        caller.until(&folder.join("state/holds"), |octets| {
            octets
                .windows(VICTIM.len())
                .any(|part| part == VICTIM.as_bytes())
        });
        server.signal("KILL");
        server.ended();
        // The counts of a minute ago are gone, the hold is not.
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        assert_eq!(caller.call(VICTIM), REJECTED);
        let (code, listed) = hold(&folder, &["list"]);
        assert_eq!(code, 0, "{listed}");
        assert_eq!(listed.lines().count(), 1, "{listed}");
        for part in [
            " R13 ",
            "domain one",
            "subscriber unknown",
            "limit pairs",
            "caller 4100",
            VICTIM,
        ] {
            assert!(listed.contains(part), "{part}: {listed}");
        }
        let id = listed.split(' ').next().unwrap();
        let (code, said) = hold(&folder, &["release", id]);
        assert_eq!(
            (code, said.as_str()),
            (0, format!("released {id}\n").as_str())
        );
        assert_eq!(caller.call(VICTIM), APPROVED);
        let (code, said) = hold(&folder, &["release", id]);
        assert_eq!(
            (code, said),
            (65, format!("tollgate: no hold {id} is in force\n"))
        );
        assert_eq!(hold(&folder, &["release", "xyz"]).0, 64);
        server.stop();
    }

    /// Holds that are placed and cut off a second later, each by a `kill -9` of its own.
    const KILLS: u32 = 2;

    #[test]
    fn every_hold_older_than_a_second_is_there_after_kill_9() {
        let held = format!("{PAIRS}hold = \"1h\"\n");
        let folder = folder("killed", &held);
        let mut victims: Vec<String> = Vec::new();
        for kill in 0..KILLS {
            let server = Server::start(&folder);
            let mut caller = Caller::of(&server);
            for victim in &victims {
                assert_eq!(caller.call(victim), REJECTED, "{victim} after kill {kill}");
            }
            let victim = format!("39061234567{kill}");
            let statuses = [0; 4].map(|_| caller.call(&victim));
            assert_eq!(statuses[3], REJECTED, "{statuses:?}");
            // Whatever else the node has to do meanwhile.
            let clock = Clock::start();
            let until_ns = clock.now().monotonic_ns + 1_000_000_000;
            let mut others = 0;
            while clock.now().monotonic_ns < until_ns {
                others += 1;
                assert_eq!(caller.call(&format!("3906{others:08}")), APPROVED);
            }
            server.signal("KILL");
            server.ended();
            victims.push(victim);
        }
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        for victim in &victims {
            assert_eq!(caller.call(victim), REJECTED, "{victim}");
        }
        server.stop();
    }

    /// `TOLLGATE_COUNTED_S` is after how many seconds the node is killed; less than a minute proves nothing.
    #[test]
    fn what_was_counted_a_minute_before_kill_9_is_there() {
        let Some(seconds) = std::env::var("TOLLGATE_COUNTED_S").ok() else {
            return;
        };
        let seconds: u64 = seconds.parse().unwrap();
        assert!(seconds >= 60);
        let folder = folder("minute", PAIRS);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        let clock = Clock::start();
        let until_ns = clock.now().monotonic_ns + seconds * 1_000_000_000;
        assert_eq!([0; 3].map(|_| caller.call(VICTIM)), [APPROVED; 3]);
        let mut others = 0;
        while clock.now().monotonic_ns < until_ns {
            others += 1;
            // They fill the share of the one subscriber that there is.
            let _status = caller.call(&format!("3906{others:08}"));
        }
        server.signal("KILL");
        server.ended();
        let server = Server::start(&folder);
        assert_eq!(Caller::of(&server).call(VICTIM), REJECTED);
        server.stop();
    }

    #[test]
    fn with_another_key_holds_are_set_aside_and_the_right_key_finds_them() {
        let held = format!("{PAIRS}hold = \"1h\"\n");
        let folder = folder("rekeyed", &held);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        assert_eq!([0; 4].map(|_| caller.call(VICTIM))[3], REJECTED);
        server.stop();
        let state = folder.join("state");
        let (key, holds) = (state.join("key"), state.join("holds"));
        let (old_key, old_holds) = (fs::read(&key).unwrap(), fs::read(&holds).unwrap());
        fs::write(&key, [7; 16]).unwrap();
        let mut server = Server::start(&folder);
        server.wait_for("ready");
        assert_eq!(Caller::of(&server).call(VICTIM), APPROVED);
        let said = server.stop().stderr;
        let told = "holds was written by a node with another key; it is ignored, and the holds begin anew; it is set aside as ";
        let (_, after) = said.split_once(told).expect(&said);
        assert!(after.contains("put the key of before back"), "{said}");
        let aside = Path::new(after.split(';').next().unwrap());
        assert_eq!(fs::read(aside).unwrap(), old_holds);
        // As the sentence says.
        fs::write(&key, old_key).unwrap();
        fs::rename(aside, &holds).unwrap();
        let server = Server::start(&folder);
        assert_eq!(Caller::of(&server).call(VICTIM), REJECTED);
        server.stop();
    }

    #[test]
    fn a_torn_or_foreign_file_is_said_and_set_aside() {
        let folder = folder("torn", PAIRS);
        let server = Server::start(&folder);
        let mut caller = Caller::of(&server);
        assert_eq!([0; 4].map(|_| caller.call(VICTIM))[3], REJECTED);
        server.stop();
        let file = folder.join("state/counters");
        let mut octets = fs::read(&file).unwrap();
        octets.pop();
        fs::write(&file, &octets).unwrap();
        fs::write(folder.join("state/holds"), "something else").unwrap();
        let mut server = Server::start(&folder);
        server.wait_for("ready");
        let mut caller = Caller::of(&server);
        assert_eq!(caller.call(VICTIM), APPROVED);
        let said = server.stop().stderr;
        assert!(
            said.contains("counters is torn: it was cut short or changed; it is ignored"),
            "{said}"
        );
        assert!(
            said.contains("holds is no file of this version of tollgate; it is ignored"),
            "{said}"
        );
        let refused = fs::read_dir(folder.join("state")).unwrap();
        let refused = refused.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut refused: Vec<String> = refused.filter(|name| name.contains(".refused-")).collect();
        refused.sort();
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert_eq!(
            fs::read(folder.join("state").join(&refused[0])).unwrap(),
            octets
        );
    }

    #[test]
    fn a_subscriber_without_room_is_answered_as_the_policy_says() {
        // A share is a sixteenth of 64: four keys.
        for (unknown, fifth) in [
            ("reject", REJECTED),
            ("report", APPROVED),
            ("approve", APPROVED),
        ] {
            let folder = folder("full", PAIRS);
            let toml = fs::read_to_string(folder.join("tollgate.toml")).unwrap();
            let toml = toml.replace("[node]\n", "[node]\ncounters_capacity = 64\n");
            let policies = fs::read_to_string(folder.join("bundle/policies.toml")).unwrap();
            let policies = policies.replace(
                "name = \"std\"\n",
                &format!("name = \"std\"\nunknown = {{ counters = \"{unknown}\" }}\n"),
            );
            write_files(
                &folder,
                &[
                    ("tollgate.toml", &toml),
                    ("bundle/policies.toml", &policies),
                ],
            );
            let server = Server::start(&folder);
            let mut caller = Caller::of(&server);
            let statuses = [0, 1, 2, 3, 4].map(|last| caller.call(&format!("39061234567{last}")));
            assert_eq!(
                statuses,
                [APPROVED, APPROVED, APPROVED, APPROVED, fifth],
                "{unknown}"
            );
            // What found no room counts together: its maximum is met by rotated numbers, too.
            let more = [5, 6, 7].map(|last| caller.call(&format!("39061234567{last}")));
            let last = if unknown == "reject" { fifth } else { REJECTED };
            assert_eq!(more[2], last, "{unknown}: {more:?}");
            server.stop();
        }
    }
}
