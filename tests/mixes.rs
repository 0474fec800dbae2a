//! Every mix that the load generator ships, short and seeded, against a node that was configured by `mix bundle`.
//!
//! Promises: verdicts, codes, errors and silence are the generator's own expectation; nothing here repeats them.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod mixes {
    use super::common::server::{Server, scratch, write_files};
    use clap::Parser;
    use std::path::Path;
    use tollgate_loadgen::cli::{Cli, Command};
    use tollgate_loadgen::mix::shipped::SHIPPED;
    use tollgate_loadgen::mix::{Definition, bundle, select};
    use tollgate_loadgen::report::Results;
    use tollgate_loadgen::verdict::{Expected, Profile};

    /// A node for all shipped mixes at once.
    fn node(profile: Profile) -> Server {
        node_with(profile, "")
    }

    /// The same, with more in its `tollgate.toml`.
    fn node_with(profile: Profile, more: &str) -> Server {
        let all: Vec<_> = SHIPPED
            .iter()
            .map(|(name, _)| select::selected(name).unwrap())
            .collect();
        let mut definition = select::combined(&all).unwrap();
        // Each mix has limits for itself, which is another test's affair.
        definition.limits.clear();
        node_for(&definition, profile, more)
    }

    fn node_for(definition: &Definition, profile: Profile, more: &str) -> Server {
        let folder = scratch("mixes");
        for (path, text) in bundle::files(definition, profile) {
            let text = text
                .replace("127.0.0.1:5060", "127.0.0.1:0")
                .replace("127.0.0.1:8060", "127.0.0.1:0")
                .replace("[node]", "[node]\nshards = 1\ndrain_time = \"0s\"");
            let text = if path == "tollgate.toml" {
                text + more
            } else {
                text
            };
            write_files(&folder, &[(path, &text)]);
        }
        Server::start(&folder)
    }

    fn play(server: &Server, mix: &str, profile: Profile) -> Results {
        play_with(server, mix, profile, "off")
    }

    fn play_with(server: &Server, mix: &str, profile: Profile, limits: &str) -> Results {
        // A busy machine makes the generator late and copies due; neither is what this is about.
        let line = format!(
            "tollgate-loadgen run --target {} --mix {mix} --profile {} --limits {limits} -r 2000 -m 400 --t1 1s --lateness-max 60s",
            server.udp,
            profile.word()
        );
        let Command::Run(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("{line}");
        };
        tollgate_loadgen::run::run_open(&args, None, &mut tollgate_loadgen::screen::Silent).unwrap()
    }

    fn as_expected(mix: &str, results: &Results) {
        let stats = &results.stats;
        let counts = &stats.counts;
        assert_eq!(counts.wrong, 0, "{mix}: {:#?}", stats.wrong_calls);
        assert_eq!(counts.sent, 400, "{mix}");
        assert_eq!(counts.answered + counts.silent, 400, "{mix}: {counts:#?}");
        assert_eq!(counts.unexpected(), 0, "{mix}: {counts:#?}");
    }

    #[test]
    fn every_shipped_mix_gets_the_verdicts_and_codes_that_it_says() {
        let server = node(Profile::RedirectCodes);
        for (mix, _) in SHIPPED {
            let results = play(&server, mix, Profile::RedirectCodes);
            as_expected(mix, &results);
        }
        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
    }

    #[test]
    fn what_limits_make_of_an_attack_is_what_the_generators_own_model_says() {
        for (mix, _) in SHIPPED {
            let definition = select::definition(mix).unwrap();
            if definition.limits.is_empty() {
                continue;
            }
            let server = node_for(&definition, Profile::RedirectCodes, "");
            let results = play_with(&server, mix, Profile::RedirectCodes, "on");
            as_expected(mix, &results);
            // The attack is stopped, in the model and on the wire: most of it must be rejected.
            let calls = &results.plan.calls;
            let rejected = (0..400)
                .filter(|n| calls.call(*n).expected == Expected::Reject)
                .count();
            assert!(rejected >= 140, "{mix}: {rejected}");
            server.stop();
        }
    }

    /// A mix of its own: ordinary callers, all kinds of limits but those of the shipped mixes.
    const LIMITED: &str = r#"
about = "Calls of four subscribers to three blocks of numbers."
destinations = ["447911100,GB,mobile,low", "447911101,GB,mobile,low", "336123450,FR,mobile,low"]
rates = ["4479,0.25", "336,0.5", "*,0.1"]
assumed_minutes = 2
working_hours = ["mon-sun 00:00-24:00"]
{limit}
[[numbers]]
name = "blocks"
ranges = { "447911100##" = 2, "447911101##" = 1, "336123450##" = 1 }

[[part]]
name = "calls"
numbers = "blocks"
subscribers = "1001-1004"
callers = "100-101"
expect = "approve"
"#;

    #[test]
    fn limits_by_prefix_country_exposure_and_hours_are_those_of_the_generators_own_model() {
        for (keys, rejected_min) in [
            (
                "per = [\"subscriber\"]\nto = \"prefix\"\ncount = \"attempts\"\nwindow = \"1h\"\nmax = 12",
                150,
            ),
            (
                "per = [\"subscriber\"]\nto = \"country\"\ncount = \"attempts\"\nwindow = \"1h\"\nmax = 12",
                200,
            ),
            (
                "per = [\"subscriber\", \"caller\"]\nto = \"country\"\ncount = \"approved\"\nwindow = \"1h\"\nmax = 5\nhold = \"1h\"",
                200,
            ),
            (
                "per = [\"subscriber\"]\nto = \"any\"\ncount = \"exposure\"\nwindow = \"1h\"\nmax = 12.5",
                200,
            ),
            (
                "per = [\"caller\"]\nto = \"prefix\"\ncount = \"exposure\"\nwindow = \"day\"\nmax = 4.0",
                100,
            ),
            (
                "per = [\"subscriber\"]\nto = \"any\"\ncount = \"attempts\"\nwindow = \"day\"\nmax = 20",
                200,
            ),
            (
                "per = [\"subscriber\"]\nto = \"any\"\ncount = \"approved\"\nwindow = \"period\"\nmax = 20\nduring = \"working-hours\"",
                200,
            ),
            (
                "per = [\"subscriber\"]\nto = \"any\"\ncount = \"attempts\"\nwindow = \"1h\"\nmax = 5\nduring = \"off-hours\"",
                0,
            ),
        ] {
            let folder = scratch("mixes-limited");
            let limit = format!("\n[[limit]]\nname = \"own\"\ncode = \"X01\"\n{keys}\n");
            write_files(
                &folder,
                &[("limited.toml", &LIMITED.replace("{limit}", &limit))],
            );
            let file = folder.join("limited.toml");
            let mix = file.to_str().unwrap();
            let server = node_for(
                &select::definition(mix).unwrap(),
                Profile::RedirectCodes,
                "",
            );
            let results = play_with(&server, mix, Profile::RedirectCodes, "on");
            as_expected(keys, &results);
            let expected = |wanted: Expected| {
                let calls = &results.plan.calls;
                (0..400)
                    .filter(|n| calls.call(*n).expected == wanted)
                    .count()
            };
            let rejected = expected(Expected::Reject);
            // What either verdict is right for says nothing: it must be little, but at midnight, when a day begins anew.
            let either = expected(Expected::ApproveOrReject);
            let day = 86_400_000_000_000;
            let midnight =
                (tollgate_loadgen::clock::wall_ns() + 10_000_000_000) % day < 20_000_000_000;
            assert!(rejected >= rejected_min || midnight, "{keys}: {rejected}");
            assert!(either <= 100 || midnight, "{keys}: {either}");
            server.stop();
        }
    }

    #[test]
    fn verdicts_errors_and_silence_are_told_apart_in_every_profile() {
        for profile in [
            Profile::Redirect,
            Profile::Failover,
            Profile::NextRoute,
            Profile::Monitor,
        ] {
            let server = node(profile);
            for mix in ["default", "malformed"] {
                as_expected(mix, &play(&server, mix, profile));
            }
            server.stop();
        }
    }

    #[test]
    fn a_retransmission_storm_is_one_answer_many_times() {
        let server = node(Profile::Redirect);
        let results = play(&server, "retransmission-storm", Profile::Redirect);
        let counts = results.stats.counts;
        assert_eq!(counts.copies, 1600);
        assert_eq!(
            counts.duplicates,
            1600 + counts.retransmitted,
            "{counts:#?}"
        );
        // One decision a call, and the memory of transactions for the rest: the node says it itself.
        let stopped = server.stop();
        let repeated = format!("\"repeated\":{}", 1600 + counts.retransmitted);
        assert!(stopped.stdout.contains(&repeated), "{}", stopped.stdout);
    }

    fn parsed(line: &str) -> Command {
        Cli::parse_from(line.split_whitespace()).command
    }

    /// What `mix make` prints.
    fn made(options: &str) -> String {
        let Command::Mix(args) = parsed(&format!("tollgate-loadgen mix make {options}")) else {
            panic!("{options}");
        };
        let mut text = Vec::new();
        tollgate_loadgen::mix::command::run(&args, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn replay(server: &Server, file: &Path, options: &str) -> Result<Results, String> {
        let line = format!(
            "tollgate-loadgen replay {} --target {} --profile redirect-codes --t1 1s --lateness-max 60s {options}",
            file.display(),
            server.udp
        );
        let Command::Replay(args) = parsed(&line) else {
            panic!("{line}");
        };
        tollgate_loadgen::replay::command::run(&args, &mut tollgate_loadgen::screen::Silent)
    }

    #[test]
    fn what_mix_make_prints_is_replayed_at_its_times_and_the_nodes_journal_of_it_once_more() {
        let folder = scratch("mixes-replay");
        let journal = folder.join("journal/calls.jsonl");
        let server = node_with(
            Profile::RedirectCodes,
            &format!("[journal]\npath = {journal:?}\napproved_per_second = \"all\"\n"),
        );
        let calls = made("default:9 scanners:1 --rate 500 --duration 400ms --seed 5");
        assert_eq!(calls.lines().count(), 201, "{calls}");
        assert_eq!(
            calls,
            made("default:9 scanners:1 --rate 500 --duration 400ms --seed 5")
        );
        write_files(&folder, &[("calls.csv", &calls)]);
        let results = replay(&server, &folder.join("calls.csv"), "--speed 2").unwrap();
        let counts = results.stats.counts;
        assert_eq!(
            (counts.sent, counts.answered, counts.wrong),
            (200, 200, 0),
            "{:#?}",
            results.stats.wrong_calls
        );
        // 199 gaps of 2 ms, twice as fast: the last call does not leave before.
        let (_, ended) = results.stats.sending.unwrap();
        assert!(ended >= results.plan.start + 199_000_000);
        server.stop();
        // A new node: nothing remembers the Call-IDs of then, and none of them is sent.
        let again = node(Profile::RedirectCodes);
        let results = replay(&again, &journal, "--at-rate 1000").unwrap();
        let counts = results.stats.counts;
        assert_eq!(
            (counts.sent, counts.answered, counts.wrong),
            (200, 200, 0),
            "{:#?}",
            results.stats.wrong_calls
        );
        again.stop();
    }

    #[test]
    fn a_file_with_faults_sends_nothing() {
        let folder = scratch("mixes-faults");
        let server = node(Profile::RedirectCodes);
        write_files(
            &folder,
            &[
                (
                    "calls.csv",
                    "dialled,expected\n0114420,approve\n01144 20,approve\n0114420,perhaps\n",
                ),
                (
                    "journal.jsonl",
                    "{\"ts\":\"2026-11-23T01:00:00Z\",\"dialled\":\"1\"}\n{\"ts\":\"?\"}\n",
                ),
            ],
        );
        for (file, faults) in [
            ("calls.csv", [":3: `dialled`", ":4: `expected`"]),
            ("journal.jsonl", [":2: expected `ts`", ""]),
        ] {
            let said = replay(&server, &folder.join(file), "").unwrap_err();
            for fault in faults {
                assert!(said.contains(fault), "{said}");
            }
        }
        let stopped = server.stop();
        assert!(
            stopped.stdout.contains("\"datagrams\":0,"),
            "{}",
            stopped.stdout
        );
    }

    #[test]
    fn a_mix_that_expects_something_else_is_found_out() {
        let folder = scratch("mixes-wrong");
        let text = select::definition("tdos")
            .map(|_| tollgate_loadgen::mix::shipped::text("tdos").unwrap());
        let wrong = text
            .unwrap()
            .replace("expect = \"approve\"", "expect = \"silence\"");
        write_files(&folder, &[("wrong.toml", &wrong)]);
        let server = node(Profile::Redirect);
        let mix = folder.join("wrong.toml");
        let results = play(&server, mix.to_str().unwrap(), Profile::Redirect);
        assert_eq!(results.stats.counts.wrong, 400);
        assert_eq!(results.stats.wrong_calls[0].expected, "silence");
        server.stop();
    }
}
