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
    use tollgate_loadgen::cli::{Cli, Command};
    use tollgate_loadgen::mix::shipped::SHIPPED;
    use tollgate_loadgen::mix::{bundle, select};
    use tollgate_loadgen::report::Results;
    use tollgate_loadgen::verdict::Profile;

    /// A node for all shipped mixes at once.
    fn node(profile: Profile) -> Server {
        let folder = scratch("mixes");
        let all: Vec<_> = SHIPPED
            .iter()
            .map(|(name, _)| select::selected(name).unwrap())
            .collect();
        for (path, text) in bundle::files(&select::combined(&all).unwrap(), profile) {
            let text = text
                .replace("127.0.0.1:5060", "127.0.0.1:0")
                .replace("127.0.0.1:8060", "127.0.0.1:0")
                .replace("[node]", "[node]\nshards = 1\ndrain_time = \"0s\"");
            write_files(&folder, &[(path, &text)]);
        }
        Server::start(&folder)
    }

    fn play(server: &Server, mix: &str, profile: Profile) -> Results {
        // A busy machine makes the generator late and copies due; neither is what this is about.
        let line = format!(
            "tollgate-loadgen run --target {} --mix {mix} --profile {} -r 2000 -m 400 --t1 1s --lateness-max 60s",
            server.udp,
            profile.word()
        );
        let Command::Run(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("{line}");
        };
        tollgate_loadgen::run::run(&args, &mut Vec::new()).unwrap()
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
