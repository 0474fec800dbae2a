//! The journal against the generator's own record of the same calls: what `tests/long journal-record` runs.
//!
//! Promises: two programs that share no code wrote down every call; the two writings are held against each other by
//! Call-ID, one line for one line, in what was dialled, the verdict, the code and the status. A call that only one of them
//! knows fails it, and so does a lost event.
//!
//! `TOLLGATE_LOADGEN` names the generator's program; `TOLLGATE_JOURNAL_CALLS` (1,000,000), `TOLLGATE_JOURNAL_RATE` (20,000
//! calls a second) and `TOLLGATE_JOURNAL_SHARDS` (1) change what is done.

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
mod journal_record {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::record::Record;
    use serde_json::Value;
    use std::collections::HashMap;
    use std::fs::{self, File};
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use tollgate::control::SAMPLE_BUNDLE;

    /// What both wrote down of a call.
    #[derive(Debug, PartialEq, Eq)]
    struct Call {
        dialled: String,
        verdict: String,
        /// The generator sees the code of a Contact only.
        code: Option<String>,
        status: u64,
    }

    fn setting(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    }

    fn lines(path: &Path) -> impl Iterator<Item = Value> + use<> {
        let file = BufReader::new(File::open(path).unwrap());
        let lines = file.lines().map(Result::unwrap);
        lines.map(|line| {
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
    }

    fn text(line: &Value, field: &str) -> String {
        let text = line[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {line}"))
            .to_owned()
    }

    #[test]
    fn the_journal_is_the_generators_record_line_for_line() {
        let calls = setting("TOLLGATE_JOURNAL_CALLS", 1_000_000);
        let rate = setting("TOLLGATE_JOURNAL_RATE", 20_000);
        let shards = setting("TOLLGATE_JOURNAL_SHARDS", 1);
        let folder = scratch("journal-record");
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let toml = node_toml(&folder).replace("shards = 1", &format!("shards = {shards}"));
        let journal = "[journal]\npath = \"calls.jsonl\"\nrotate = \"36500d\"\napproved_per_second = \"all\"\n";
        write_files(&folder, &[("tollgate.toml", &(toml + journal))]);
        let server = Server::start(&folder);
        let record = folder.join("record.jsonl");
        let program = std::env::var("TOLLGATE_LOADGEN")
            .expect("TOLLGATE_LOADGEN is to name the generator's program, as tests/long does");
        let generated = Command::new(program)
            .args(["run", "--target", &server.udp.to_string()])
            .args([
                "--rate",
                &rate.to_string(),
                "--calls-max",
                &calls.to_string(),
            ])
            .args(["--duration", &format!("{}s", calls / rate.max(1) + 2)])
            .arg("--calls")
            .arg(&record)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        println!("{}", String::from_utf8_lossy(&generated.stdout));
        // 3: the generator was late, and its times are not to be believed. Its record is.
        let code = generated.status.code();
        assert!(matches!(code, Some(0 | 3)), "{generated:?}");

        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        let sums: Value = serde_json::from_str(&stopped.stdout).unwrap();
        for nought in [
            "events_dropped",
            "journal_lost",
            "journal_counted",
            "kernel_dropped",
        ] {
            assert_eq!(
                sums[nought], 0,
                "{nought}: the journal gives way to every other program, and its queue bridges 1.6 s at 20,000 calls a second. Free the \
                 machine, or lower TOLLGATE_JOURNAL_RATE. {sums}"
            );
        }

        let mut recorded: HashMap<String, Call> = HashMap::new();
        for line in lines(&record) {
            let code = line["code"].as_str().filter(|code| !code.is_empty());
            let call = Call {
                dialled: text(&line, "dialled"),
                verdict: text(&line, "verdict"),
                code: code.map(str::to_owned),
                status: line["status"].as_u64().unwrap(),
            };
            let again = recorded.insert(text(&line, "call_id"), call);
            assert!(again.is_none(), "{line}");
        }
        assert_eq!(recorded.len() as u64, calls);
        let (mut compared, mut copies, mut rejected) = (0, 0, 0);
        for line in lines(&folder.join("calls.jsonl")) {
            if line["attempt"] == "same" {
                // A retransmission: the generator has one line for the call.
                copies += 1;
                continue;
            }
            let Some(call) = recorded.remove(&text(&line, "call_id")) else {
                panic!("the generator does not know, or has had already: {line}");
            };
            let own_code = line["code"].as_str().map(str::to_owned);
            rejected += u64::from(call.verdict == "reject");
            assert_eq!(call.code.is_none(), call.verdict == "reject", "{call:?}");
            let journalled = Call {
                dialled: text(&line, "dialled"),
                verdict: text(&line, "verdict"),
                code: if call.code.is_some() { own_code } else { None },
                status: line["status"].as_u64().unwrap(),
            };
            assert_eq!(journalled, call, "{line}");
            assert_eq!(line["weight"], 1, "{line}");
            compared += 1;
        }
        assert!(
            recorded.is_empty(),
            "not in the journal: {} calls",
            recorded.len()
        );
        assert_eq!(compared, calls);
        assert_eq!(sums["journal_lines"], compared + copies, "{sums}");
        let about = format!(
            "The generator's own record of its calls (`--calls`) against the journal (`approved_per_second = \"all\"`), at {rate} calls a second to \
             {shards} shard(s), with the sample bundle: joined by Call-ID, and compared in what was dialled, verdict, code and status."
        );
        let mut record = Record::of("journal-record", &about);
        record.figure("calls", calls, "");
        record.figure("lines equal", compared, &calls.to_string());
        record.figure("of rejections", rejected, "");
        record.figure("calls of one record only, lines that differ", 0, "0");
        record.figure("lines of retransmissions beside them", copies, "");
        record.figure(
            "events dropped, lines lost, calls only counted, datagrams dropped by the kernel",
            0,
            "0",
        );
        record.write();
        fs::remove_dir_all(&folder).unwrap();
    }
}
