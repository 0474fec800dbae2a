//! A caller that we did not write: Debian's `SIPp` against `tollgate serve`.
//!
//! Promises: an approved call ends with `A00` and its number, a listed one with 603, and 500 calls of which a tenth of all datagrams is lost
//! (`-lost 10`, in both directions) all end as they should through `SIPp`'s own retransmissions. Every run is bounded by `SIPp`'s `-timeout`.
//! Fails, and says which package is missing, where `SIPp` is not installed. `TOLLGATE_SIPP_CALLS` changes the 500.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod sipp {
    use super::common::server::{self, Server};
    use std::{
        collections::HashMap,
        env, fs, io,
        net::UdpSocket,
        path::{Path, PathBuf},
        process::{Command, Stdio},
    };

    /// Mapped to GB, in no list.
    const ORDINARY: &str = "011442071838750";
    /// Denied by `data/sipp/bundle/lists/numbers.csv`.
    const LISTED: &str = "011442079460000";
    /// `SIPp`'s exit code when it could not bind its port; any other failure is ours.
    const CANNOT_BIND: i32 = 254;

    fn data() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sipp")
    }

    fn server() -> (PathBuf, Server) {
        let folder = server::scratch("sipp");
        let read = |path: &str| fs::read_to_string(data().join(path)).unwrap();
        server::write_files(
            &folder,
            &[
                ("tollgate.toml", &server::node_toml(&folder)),
                ("bundle/domains.toml", &read("bundle/domains.toml")),
                ("bundle/policies.toml", &read("bundle/policies.toml")),
                (
                    "bundle/lists/numbers.csv",
                    &read("bundle/lists/numbers.csv"),
                ),
            ],
        );
        let server = Server::start(&folder);
        (folder, server)
    }

    /// How a run of `SIPp` ended.
    struct Run {
        code: Option<i32>,
        /// The last line of its statistics, by column.
        counts: HashMap<String, String>,
        /// What it would have shown on its screen, and its log of errors.
        text: String,
    }

    impl Run {
        fn count(&self, column: &str) -> u64 {
            let value = self
                .counts
                .get(column)
                .unwrap_or_else(|| panic!("SIPp counts no {column}:\n{}", self.text));
            value.parse().unwrap()
        }

        fn all_calls_ended_well(&self, calls: u64) {
            assert_eq!(self.code, Some(0), "{}", self.text);
            assert_eq!(self.count("SuccessfulCall(C)"), calls, "{}", self.text);
            assert_eq!(self.count("FailedCall(C)"), 0, "{}", self.text);
        }
    }

    /// `SIPp` calls `number` after `scenario`, from a port that was free a moment ago; another one if it no longer is.
    fn call(
        folder: &Path,
        server: &Server,
        scenario: &str,
        number: &str,
        calls: u64,
        more: &[&str],
    ) -> Run {
        let statistics = folder.join("sipp.csv");
        let errors = folder.join("sipp-errors.log");
        let seconds = format!("{}s", 90 + calls / 100);
        for _attempt in 0..10 {
            let port = UdpSocket::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let output = Command::new("sipp")
                .arg(server.udp.to_string())
                .arg("-sf")
                .arg(data().join(scenario))
                .args(["-s", number, "-i", "127.0.0.1", "-p", &port.to_string()])
                .args(["-m", &calls.to_string(), "-r", "200"])
                .args(["-timeout", &seconds, "-timeout_error", "-nostdin"])
                .args(["-trace_stat", "-fd", "1", "-stf"])
                .arg(&statistics)
                .args(["-trace_err", "-error_file"])
                .arg(&errors)
                .args(more)
                .current_dir(folder)
                .stdin(Stdio::null())
                .output();
            let output = match output {
                Ok(output) => output,
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                    panic!(
                        "SIPp is not installed; it is in Debian's package `sip-tester` (apt-get install sip-tester)"
                    )
                }
                Err(error) => panic!("SIPp cannot be started: {error}"),
            };
            if output.status.code() == Some(CANNOT_BIND) {
                continue;
            }
            let table = fs::read_to_string(&statistics).unwrap_or_default();
            let mut lines = table.lines();
            let heading = lines
                .next()
                .unwrap_or_default()
                .split(';')
                .map(str::to_owned);
            let last = lines
                .last()
                .unwrap_or_default()
                .split(';')
                .map(str::to_owned);
            let text = [
                String::from_utf8_lossy(&output.stdout).into_owned(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
                fs::read_to_string(&errors).unwrap_or_default(),
            ];
            return Run {
                code: output.status.code(),
                counts: heading.zip(last).collect(),
                text: text.join("\n"),
            };
        }
        panic!("ten free ports in a row were taken before SIPp could bind them");
    }

    #[test]
    fn an_approved_call_is_redirected_to_a00_and_its_number() {
        let (folder, server) = server();
        call(&folder, &server, "approved.xml", ORDINARY, 20, &[]).all_calls_ended_well(20);
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_listed_number_is_declined() {
        let (folder, server) = server();
        call(&folder, &server, "listed.xml", LISTED, 20, &[]).all_calls_ended_well(20);
        assert!(server.stop().status.success());
    }

    #[test]
    fn the_scenarios_tell_an_approval_from_a_rejection() {
        let (folder, server) = server();
        for (scenario, number) in [("approved.xml", LISTED), ("listed.xml", ORDINARY)] {
            let run = call(&folder, &server, scenario, number, 3, &[]);
            assert_eq!(run.code, Some(1), "{scenario} {number}\n{}", run.text);
            assert_eq!(
                run.count("FailedCall(C)"),
                3,
                "{scenario} {number}\n{}",
                run.text
            );
        }
        server.stop();
    }

    #[test]
    fn calls_end_well_when_a_tenth_of_all_datagrams_is_lost() {
        let calls = env::var("TOLLGATE_SIPP_CALLS").map_or(500, |calls| {
            calls.parse().expect("TOLLGATE_SIPP_CALLS is a number")
        });
        let (folder, server) = server();
        // A transmission and its answer both arrive with 0.81, so that eleven in a row fail for one call in a hundred million.
        let run = call(
            &folder,
            &server,
            "approved.xml",
            ORDINARY,
            calls,
            &["-lost", "10", "-max_invite_retrans", "10"],
        );
        run.all_calls_ended_well(calls);
        // A tenth of 500 INVITEs and a tenth of their answers were lost: without retransmissions nothing was tested.
        assert!(
            run.count("Retransmissions(C)") > calls / 20,
            "{} retransmissions\n{}",
            run.count("Retransmissions(C)"),
            run.text
        );
        assert!(server.stop().status.success());
    }
}
