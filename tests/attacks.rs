//! The shipped attack mixes against the presets by whose name they go, in the process and with a clock moved by hand; and a
//! business day, which no preset may touch.
//!
//! Promises: what is let through is counted here, exactly and apart from the counters: in no window of a key are more calls
//! approved than the limit's maximum and three.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod attacks {
    use super::common::server::{node_toml, scratch, write_files};
    use std::collections::{HashMap, VecDeque};
    use std::fmt::Write as _;
    use std::net::IpAddr;
    use tollgate::clock::Now;
    use tollgate::control::presets::{PRESETS, find};
    use tollgate::control::{self, Source as ConfigSource};
    use tollgate::counters::{Counters, Size};
    use tollgate::policy::{
        CallAttempt, Code, Decision, HeaderFamily, Scheme, Screening, Snapshot, Source, Verdict,
    };
    use tollgate_loadgen::call::Call;
    use tollgate_loadgen::mix::{Mix, Times, shipped};

    const PEER: &str = "192.0.2.1";
    /// Monday, 2026-11-16, 00:00 UTC: mixes with a calendar begin on a Monday.
    const MONDAY: u64 = 1_794_787_200;

    /// A node with these limits, in one domain with the subscribers of the shipped mixes: a caller's number begins with
    /// its subscriber's.
    struct Node {
        snapshot: Snapshot,
        counters: Counters,
    }

    impl Node {
        fn new(name: &str, limits: &str) -> Self {
            let folder = scratch(name);
            let mut subscribers = "domain,name,policy,users\n".to_owned();
            for number in (1001..=1400).chain(1500..=1510) {
                writeln!(subscribers, "all,pbx{number},,{number}000-{number}999").unwrap();
            }
            write_files(
                &folder,
                &[
                    ("tollgate.toml", &node_toml(&folder)),
                    (
                        "bundle/domains.toml",
                        "[[domain]]\nname = \"all\"\npeers = [\"192.0.2.1\"]\nmode = \"prevention\"\ntrust_headers = true\n\
                         default_policy = \"std\"\ndefault_subscriber = \"unknown\"\nbare_e164 = true\nspoofing_filtered = true\n\
                         [[domain.translate]]\nmatch = \"011\"\nstrip = 3\n[[domain.translate]]\nmatch = \"00\"\nstrip = 2\n",
                    ),
                    (
                        "bundle/policies.toml",
                        &format!(
                            "[[policy]]\nname = \"std\"\ndestination = {{ deny = [\"type:premium\", \"satellite\"] }}\ntime_zone = \"UTC\"\n\
                             working_hours = [\"mon-fri 07:00-19:00\"]\n{limits}"
                        ),
                    ),
                    ("bundle/subscribers.csv", &subscribers),
                ],
            );
            let loaded = control::load(&ConfigSource::File(folder.join("tollgate.toml"))).unwrap();
            let size = Size {
                keys: 1 << 20,
                attempts: 1 << 18,
            };
            Self {
                snapshot: control::build(&loaded.rows, at(0)),
                counters: Counters::new(size, [3; 32]).unwrap(),
            }
        }

        fn decide(&self, number: u64, call: &Call, ns: u64) -> Decision {
            let Source::Peer(peer) = self.snapshot.source(PEER.parse().unwrap()) else {
                panic!("{PEER} is nobody's peer")
            };
            let call_id = number.to_string();
            let caller = caller_of(call);
            let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
            let attempt = CallAttempt {
                peer,
                peer_address: PEER.parse().unwrap(),
                proxy_address: None,
                scheme: Scheme::Sip,
                user_part: call.user.as_bytes(),
                from_user: caller.as_bytes(),
                from_host: b"pbx.example",
                asserted_identity_user: None,
                preferred_identity_user: None,
                remote_party_user: None,
                call_id: call_id.as_bytes(),
                from_tag: b"t",
                user_agent: None,
                screening: Screening {
                    family: HeaderFamily::PTfps,
                    user: Some(caller.as_bytes()),
                    address: text(call.address.as_bytes()).parse::<IpAddr>().ok(),
                    reported_calls: text(call.reported_calls.as_bytes()).parse().ok(),
                    ..Screening::NONE
                },
                diverted: false,
            };
            let prepared = self.snapshot.prepare(&attempt);
            self.snapshot
                .decide(&attempt, &prepared, &self.counters, at(ns))
        }
    }

    fn at(ns: u64) -> Now {
        Now {
            monotonic_ns: 1_000_000_000 + ns,
            unix_us: MONDAY * 1_000_000 + ns / 1000,
        }
    }

    fn caller_of(call: &Call) -> String {
        String::from_utf8(call.caller.as_bytes().to_vec()).unwrap()
    }

    fn mix(name: &str) -> Mix {
        Mix::new(shipped::find(name).unwrap(), 1, Times::Own).unwrap()
    }

    /// What each attack is stopped by, and what that limit counts by: the key of a call.
    type KeyOf = fn(&Call, &Decision) -> String;

    fn subscriber(call: &Call) -> String {
        String::from_utf8(call.subscriber.as_bytes().to_vec()).unwrap()
    }

    fn address(call: &Call) -> String {
        String::from_utf8(call.address.as_bytes().to_vec()).unwrap()
    }

    const ATTACKS: [(&str, &str, u64, usize, u64, KeyOf); 7] = [
        // Mix, preset, seconds of the window, max, calls to make, key.
        (
            "targeted-pumping",
            "targeted-pumping",
            900,
            10,
            4_000,
            |call, decision| format!("{} {:?}", caller_of(call), decision.number),
        ),
        (
            "irsf-burst",
            "fast-pumping",
            300,
            40,
            6_000,
            |call, decision| format!("{} {:?}", subscriber(call), decision.destination),
        ),
        (
            "irsf-slow",
            "slow-pumping",
            86_400,
            40,
            6_000,
            |call, decision| format!("{} {:?}", subscriber(call), decision.number),
        ),
        (
            "number-range",
            "sequential-dialling",
            60,
            10,
            6_000,
            |call, decision| format!("{} {:?}", caller_of(call), decision.destination),
        ),
        ("wangiri", "wangiri", 3600, 25, 6_000, |_call, decision| {
            format!("{:?}", decision.number)
        }),
        (
            "stolen-credentials",
            "theft-of-service",
            600,
            60,
            6_000,
            |call, _decision| format!("{} {}", subscriber(call), address(call)),
        ),
        (
            "many-spellings",
            "dial-format-scanning",
            60,
            4,
            3_000,
            |call, decision| {
                format!(
                    "{} {} {:?}",
                    caller_of(call),
                    address(call),
                    decision.number
                )
            },
        ),
    ];

    #[test]
    fn no_attack_gets_more_than_three_calls_of_a_key_past_its_limit() {
        for (attack, preset, window_s, max, calls, key_of) in ATTACKS {
            // These calls have addresses, so what only reports may reject, as the preset says.
            let text = find(preset).unwrap().text;
            let text = text.replace("action = \"report\"", "action = \"reject\"");
            let node = Node::new(&format!("attack-{attack}"), &text);
            let mix = mix(attack);
            let mut call = Call::default();
            let mut passed: HashMap<String, VecDeque<u64>> = HashMap::new();
            let (mut worst, mut approved, mut by_limits) = (0, 0, 0);
            for number in 0..calls {
                mix.fill(number, &mut call);
                let ns = mix.due(number).unwrap();
                let decision = node.decide(number, &call, ns);
                by_limits += u64::from(decision.limits.decided.is_some());
                if decision.verdict != Verdict::Approve {
                    continue;
                }
                approved += 1;
                let times = passed.entry(key_of(&call, &decision)).or_default();
                times.push_back(ns);
                while times
                    .front()
                    .is_some_and(|first| ns - first >= window_s * 1_000_000_000)
                {
                    times.pop_front();
                }
                worst = worst.max(times.len());
            }
            println!(
                "{attack}: {calls} calls, {approved} approved, {by_limits} stopped by limits; most of one key in {window_s} s: {worst} of {max}"
            );
            assert!(
                worst <= max + 3,
                "{attack}: {worst} calls of one key in {window_s} s, max {max}"
            );
            assert!(by_limits > 0, "{attack}: its preset stops nothing");
        }
    }

    #[test]
    fn no_preset_closes_a_pbx_that_says_no_addresses() {
        let all: String = PRESETS.iter().map(|preset| preset.text).collect();
        let node = Node::new("attack-nowhere", &all);
        let decide = |number: u64, telephone: u64, dialled: &str, second: u64| {
            let mut call = Call::default();
            let caller = format!("1001{:03}", 100 + telephone);
            assert!(call.caller.set(caller.as_bytes()) && call.user.set(dialled.as_bytes()));
            let decision = node.decide(number, &call, (10 * 3600 + second) * 1_000_000_000);
            (decision.code, decision.limits.decided)
        };
        // A hundred telephones of one house, a call each in ten minutes; then eight colleagues and one conference.
        let ranges = ["+4420718387", "+4989123456", "+3312345678", "+1212555010"];
        for (telephone, range) in (0..100).zip(ranges.into_iter().cycle()) {
            let dialled = format!("{range}{}", telephone % 10);
            let decided = decide(telephone, telephone, &dialled, telephone * 6);
            assert_eq!(decided, (Code::A00, None), "telephone {telephone}");
        }
        for colleague in 0..8 {
            let decided = decide(
                1000 + colleague,
                colleague,
                "+498912345678",
                3600 + colleague,
            );
            assert_eq!(decided, (Code::A00, None), "colleague {colleague}");
        }
    }

    #[test]
    fn no_preset_touches_a_business_day() {
        let all: String = PRESETS.iter().map(|preset| preset.text).collect();
        let node = Node::new("attack-none", &all);
        let mix = mix("business-day");
        let mut call = Call::default();
        let mut calls = 0;
        loop {
            let ns = mix.due(calls).unwrap();
            if ns >= 86_400 * 1_000_000_000 {
                break;
            }
            mix.fill(calls, &mut call);
            let decision = node.decide(calls, &call, ns);
            assert_eq!(
                decision.code,
                Code::A00,
                "call {calls}: {:?}",
                decision.limits
            );
            calls += 1;
        }
        assert!(calls > 10_000, "{calls} calls in a day");
        println!("business-day: {calls} calls, 0 rejected");
    }
}
