//! Who may ask, and asks in order to learn or to break something: probing for the policy, patterns that cost, a good
//! call sent again and again (T25).
//!
//! Promises: `TOLLGATE_PROBES` calls of each kind are timed (200), in turn, so that a busy machine meets all kinds alike;
//! `TOLLGATE_PROBE_PERCENT` is how far the medians may lie apart (100; `tests/long` asks for 5 of a release build).
//! Leaves to `counters::tests::flooding` keys that meet, to `threats.rs` forged sources.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "common/mutate.rs"]
#[expect(dead_code, reason = "only its dice are thrown here")]
mod mutate;

#[cfg(test)]
mod probing {
    use super::common::answer::Message;
    use super::common::rows;
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::mutate::Dice;
    use std::net::{SocketAddr, UdpSocket};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::limits::{AGENT_EXPRESSIONS_MAX, RESPONSE_BYTES_MAX, SCREENING_VALUE_BYTES_MAX};
    use tollgate::policy::Code;
    use tollgate::policy::rows::{ListRow, Pattern, Scope};
    use tollgate::uas::{Packet, Slot, TransactionMemory, Uas};

    const PATIENCE: Duration = Duration::from_secs(30);
    const ORDINARY: &str = "442071838750";
    /// A call that each of the rules rejects: which one, the number, the caller, its address, its agent.
    const PROBES: [(&str, &str, &str, &str, &str); 7] = [
        ("R01 agent", ORDINARY, "101", "192.0.2.1", "evil-scan"),
        ("R02 address", ORDINARY, "102", "203.0.113.9", "telephone"),
        ("R12 address", ORDINARY, "103", "198.51.100.9", "telephone"),
        (
            "R03 number",
            "442071838751",
            "104",
            "192.0.2.1",
            "telephone",
        ),
        (
            "R06 destination",
            "882161234567",
            "105",
            "192.0.2.1",
            "telephone",
        ),
        (
            "R07 prefix",
            "999123456789",
            "106",
            "192.0.2.1",
            "telephone",
        ),
        ("R13 limit", ORDINARY, "107", "192.0.2.1", "telephone"),
    ];
    const LISTS: &str = "scope,kind,match,verdict,code\nsystem,agent,evil,deny,R01\nsystem,address,203.0.113.0/24,deny,R02\n\
        system,address,198.51.100.0/24,deny,R12\nsystem,number,442071838751,deny,R03\n";
    const POLICIES: &str = "[[policy]]\nname = \"std\"\ndestination = { deny = [\"satellite\"] }\n\
        [[policy.limit]]\nname = \"pair\"\ncode = \"R13\"\nwindow = \"30m\"\nmax = 2\nhold = \"1h\"\n";

    fn setting(name: &str, default: u32) -> u32 {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    }

    fn folder(name: &str, profile: &str, node: impl Fn(String) -> String) -> PathBuf {
        let folder = scratch(name);
        let domain = format!(
            "[[domain]]\nname = \"acme\"\npeers = [\"127.0.0.1\"]\nmode = \"prevention\"\ntrust_headers = true\ndefault_policy = \"std\"\n\
             default_subscriber = \"pbx\"\nprofile = \"{profile}\"\nbare_e164 = true\nspoofing_filtered = true\n"
        );
        write_files(
            &folder,
            &[
                ("tollgate.toml", &node(node_toml(&folder))),
                ("bundle/domains.toml", &domain),
                ("bundle/policies.toml", POLICIES),
                ("bundle/lists/all.csv", LISTS),
            ],
        );
        folder
    }

    fn client(to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// All calls are of one length, but for what a probe is about.
    fn invite(call: u32, number: &str, caller: &str, address: &str, agent: &str) -> String {
        let call = format!("{call:08}");
        format!(
            "INVITE sip:{number}@gw SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{call};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{caller}@pbx>;tag=f\r\nTo: <sip:{number}@gw>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\
             P-tfps: {caller};;{address};{agent};1\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn ask(socket: &UdpSocket, call: &str) -> Vec<u8> {
        socket.send(call.as_bytes()).unwrap();
        let mut bytes = vec![0; 4000];
        let length = socket.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    /// An answer without what it repeats of the request, and without the To tag.
    fn shape(answer: &[u8]) -> Vec<String> {
        let message = Message::read(answer).unwrap();
        let text = String::from_utf8_lossy(answer).into_owned();
        let repeated = ["Via", "From", "To", "Call-ID", "CSeq"];
        let fields = text.lines().skip(1).take_while(|line| !line.is_empty());
        let fields = fields.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let said = if repeated.contains(&name) {
                ""
            } else {
                value.trim()
            };
            format!("{name}: {said}")
        });
        std::iter::once(message.start).chain(fields).collect()
    }

    /// Places the hold that the last probe meets.
    fn place_the_hold(socket: &UdpSocket) {
        for call in 0..4 {
            ask(
                socket,
                &invite(call, ORDINARY, "107", "192.0.2.1", "telephone"),
            );
        }
    }

    #[test]
    fn no_answer_tells_by_which_rule_a_call_was_rejected() {
        for (profile, status) in [
            ("redirect", "603"),
            ("failover", "486"),
            ("next-route", "603"),
            ("monitor", "487"),
        ] {
            let folder = folder(&format!("probing-shape-{profile}"), profile, |toml| toml);
            let server = Server::start(&folder);
            let socket = client(server.udp);
            place_the_hold(&socket);
            let mut shapes = Vec::new();
            for (call, (rule, number, caller, address, agent)) in (100..).zip(PROBES) {
                let answer = ask(&socket, &invite(call, number, caller, address, agent));
                let shape = shape(&answer);
                assert!(shape[0].contains(status), "{profile} {rule}: {shape:?}");
                shapes.push((rule, shape));
            }
            for (rule, shape) in &shapes {
                assert_eq!(shape, &shapes[0].1, "{profile} {rule}");
            }
            if profile == "monitor" {
                // Not even whether it was.
                let call = invite(900, ORDINARY, "199", "192.0.2.1", "telephone");
                assert_eq!(shape(&ask(&socket, &call)), shapes[0].1);
            }
            assert!(server.stop().status.success());
        }
    }

    #[test]
    fn no_answers_time_tells_by_which_rule_a_call_was_rejected() {
        let folder = folder("probing-time", "redirect", |toml| toml);
        let server = Server::start(&folder);
        let socket = client(server.udp);
        place_the_hold(&socket);
        let probes = setting("TOLLGATE_PROBES", 200);
        // What counts takes its memory page by page as calls come: what a page costs is no rule's doing.
        for call in 0..5 * probes {
            let caller = format!("{call}");
            ask(
                &socket,
                &invite(
                    50_000_000 + call,
                    ORDINARY,
                    &caller,
                    "192.0.2.1",
                    "telephone",
                ),
            );
        }
        let clock = Clock::start();
        let mut times = vec![Vec::new(); PROBES.len()];
        let mut call = 1000;
        for _ in 0..probes {
            for (times, (_, number, caller, address, agent)) in times.iter_mut().zip(PROBES) {
                call += 1;
                let invite = invite(call, number, caller, address, agent);
                let from_ns = clock.now().monotonic_ns;
                let answer = ask(&socket, &invite);
                times.push(clock.now().monotonic_ns - from_ns);
                assert!(answer.starts_with(b"SIP/2.0 603 "));
            }
        }
        let medians: Vec<u64> = times
            .iter_mut()
            .map(|times| {
                times.sort_unstable();
                times[times.len() / 2]
            })
            .collect();
        for ((rule, ..), median) in PROBES.iter().zip(&medians) {
            println!("{rule}: median {median} ns");
        }
        let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        let percent = 100 * (most - least) / least;
        println!("apart by {percent} %");
        assert!(percent <= u64::from(setting("TOLLGATE_PROBE_PERCENT", 100)));
        assert!(server.stop().status.success());
    }

    #[test]
    fn an_agent_that_was_made_to_cost_costs_a_bounded_time() {
        // Ten thousand parts, and as many expressions as a bundle may have: such as backtracking dies of, and such as have a
        // state for every way in which an agent can go on.
        let mut rows = rows::approving();
        rows.list_files.push("lists/agents.csv".to_owned());
        let row = |line, pattern| ListRow {
            scope: Scope::System,
            pattern,
            deny: Some(Code::R01),
            expires_unix_s: None,
            file: 0,
            line,
        };
        let parts = (0..10_000).map(|n| row(n, Pattern::AgentPart(format!("a1a1{n:05}b"))));
        rows.lists.extend(parts);
        let expressions = (0..AGENT_EXPRESSIONS_MAX).map(|n| match n % 2 {
            0 => format!("([a1]+)+(aa|a|1)*[b-f].{{0,{n}}}[g-k]"),
            _ => format!("a[a1]{{{n}}}[bc]"),
        });
        rows.lists
            .extend(expressions.map(|text| row(0, Pattern::AgentExpression(text))));
        let policy = rows::snapshot(&rows);
        let memory = Arc::new(TransactionMemory::new(64, [9; 16]).unwrap());
        let uas = Uas::new([7; 16]).with_memory(memory);
        let mut slot = Slot::new();
        let clock = Clock::start();
        let mut dice = Dice::new(17);
        let mut times_ns = Vec::new();
        for call in 0..setting("TOLLGATE_PROBES", 200).div_ceil(10) {
            // Another agent each time, so that none is among those met lately.
            let agent: String = (0..3 * SCREENING_VALUE_BYTES_MAX)
                .map(|_| if dice.below(2) == 0 { 'a' } else { '1' })
                .collect();
            let bytes = invite(call, ORDINARY, "1", "192.0.2.1", &agent);
            let packet = Packet {
                bytes: bytes.as_bytes(),
                full_length: bytes.len(),
                source: SocketAddr::from(([127, 0, 0, 1], 5060)),
            };
            let mut out = [0; RESPONSE_BYTES_MAX];
            let from_ns = clock.now().monotonic_ns;
            let reply = uas.answer(&policy, &packet, rows::at_ms(0), &mut slot, &mut out);
            times_ns.push(clock.now().monotonic_ns - from_ns);
            assert_eq!(reply.map(|reply| reply.status.0), Some(302));
        }
        times_ns.sort_unstable();
        let median_ns = times_ns[times_ns.len() / 2];
        println!(
            "median {median_ns} ns, most {} ns",
            times_ns[times_ns.len() - 1]
        );
        // An unoptimised build takes fifty times as long; backtracking would take longer than the world has been there.
        let most_ns = if cfg!(debug_assertions) {
            1_000_000_000
        } else {
            1_000_000
        };
        assert!(median_ns < most_ns, "{median_ns}");
    }

    #[test]
    fn a_good_call_that_is_sent_again_a_thousand_times_counts_once() {
        // T25: from many ports, to shards that the kernel chooses.
        let steering = "udp = \"127.0.0.1:0\"\nsteering = \"kernel\"\n";
        let folder = folder("probing-replay", "redirect", |toml| {
            let toml = toml.replace("shards = 1", "shards = 2");
            toml.replace("udp = \"127.0.0.1:0\"\n", steering)
        });
        let server = Server::start(&folder);
        let good = invite(1, ORDINARY, "107", "192.0.2.1", "telephone");
        let mut answers = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let socket = client(server.udp);
            for _ in 0..50 {
                let answer = ask(&socket, &good);
                // The port that it came from stands in the top Via.
                let via = Message::read(&answer)
                    .unwrap()
                    .one("Via")
                    .unwrap()
                    .to_owned();
                let text = String::from_utf8(answer).unwrap();
                answers.insert(text.replace(&via, ""));
            }
        }
        assert_eq!(answers.len(), 1, "{answers:#?}");
        assert!(answers.first().unwrap().starts_with("SIP/2.0 302 "));
        // Two pass, the third fires: the thousand were one.
        let socket = client(server.udp);
        let status = |call| {
            let answer = ask(
                &socket,
                &invite(call, ORDINARY, "107", "192.0.2.1", "telephone"),
            );
            Message::read(&answer).unwrap().status()
        };
        assert_eq!([2, 3, 4].map(status), [Some(302), Some(603), Some(603)]);
        assert!(server.stop().status.success());
    }
}
