//! `tollgate-loadgen run` against a responder with faults on purpose: what it counts, and how it exits.
//!
//! Everything stays on loopback, on ports that the kernel chooses. T1 is short where a test waits for Timer B.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails where it stands"
)]

mod responder;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use responder::{Invite, Responder, right};
use serde_json::Value;

/// A machine that is too busy makes a run invalid, which only one of these tests is about.
const LATENESS_MAX: &str = "60s";

fn command(target: &str, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-loadgen"));
    command.args(["run", "--target", target, "--lateness-max", LATENESS_MAX]);
    command.args(options.split_whitespace());
    command
}

/// Runs to the end; returns the exit status and the JSON.
fn run(target: &str, options: &str) -> (i32, Value) {
    let output = command(target, options)
        .args(["--json", "-"])
        .output()
        .unwrap();
    let text = str::from_utf8(&output.stdout).unwrap();
    let json = serde_json::from_str(text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap(), json)
}

fn count(json: &Value, pointer: &str) -> u64 {
    json.pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no number at {pointer} in {json:#}"))
}

/// T1 so long that no copy is sent.
const CALM: &str = "-r 1000 -m 500 --t1 2000ms";

#[test]
fn right_answers_meet_and_every_final_answer_is_acknowledged() {
    let responder = Responder::start("127.0.0.1", right);
    let (exit, json) = run(&responder.target(), CALM);
    let seen = responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(seen.copies.len(), 500);
    assert_eq!(seen.acks.len(), 500);
    for (branch, acks) in &seen.acks {
        let invite = str::from_utf8(&seen.copies[branch][0]).unwrap();
        let (line, to) = &acks[0];
        // RFC 3261 §17.1.1.3: the INVITE's Request-URI and branch, the answer's To.
        assert_eq!(
            line.replacen("ACK", "INVITE", 1),
            invite.lines().next().unwrap()
        );
        assert_eq!(
            *to,
            format!(
                "{};tag=responder",
                responder::between(invite, "\r\nTo: ", "\r\n")
            )
        );
    }
    for (pointer, value) in [
        ("/sent", 500),
        ("/answered", 500),
        ("/lost", 0),
        ("/wrong", 0),
        ("/unexpected", 0),
    ] {
        assert_eq!(count(&json, pointer), value, "{pointer}");
    }
    let statuses = count(&json, "/statuses/302") + count(&json, "/statuses/603");
    assert_eq!(statuses, 500);
    assert!(count(&json, "/statuses/603") > 10);
}

#[test]
fn the_json_has_the_names_that_others_depend_on() {
    let responder = Responder::start("127.0.0.1", right);
    let (_, json) = run(&responder.target(), "-r 100 -m 20 --seed 42");
    assert_eq!(json["schema"], "tollgate-loadgen/1");
    assert_eq!(json["valid"], true);
    assert_eq!(json["reason"], Value::Null);
    assert_eq!(json["seed"], 42);
    assert_eq!(json["offered_per_s"], 100.0);
    assert!(json["command"].as_str().unwrap().contains("--seed 42"));
    assert_eq!(json["environment"]["target"], responder.target());
    assert!(count(&json, "/environment/receive_buffer_bytes") > 0);
    for histogram in ["/latency_us/intended", "/latency_us/sent", "/lateness_us"] {
        let mut before = 0.0;
        for name in ["p50", "p90", "p99", "p999", "p9999", "max"] {
            let value = json
                .pointer(&format!("{histogram}/{name}"))
                .unwrap()
                .as_f64()
                .unwrap();
            assert!(value >= before && value > 0.0, "{histogram} {name}");
            before = value;
        }
    }
    for name in [
        "sent",
        "answered",
        "lost",
        "wrong",
        "unexpected",
        "duplicates",
        "retransmitted",
    ] {
        assert!(json[name].is_u64(), "{name}");
        let in_seconds: u64 = json["intervals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i[name].as_u64().unwrap())
            .sum();
        assert_eq!(
            in_seconds,
            count(&json, &format!("/{name}")),
            "{name} of all intervals"
        );
    }
}

#[test]
fn one_wrong_verdict_among_many_is_found_with_its_call() {
    fn flip(invite: &Invite<'_>) -> Vec<String> {
        let answer = if invite.index == 123 {
            invite.flipped
        } else {
            invite.right
        };
        vec![answer.to_owned()]
    }
    let responder = Responder::start("127.0.0.1", flip);
    let (exit, json) = run(&responder.target(), CALM);
    let seen = responder.finish();
    assert_eq!(exit, 1);
    assert_eq!(count(&json, "/wrong"), 1);
    assert_eq!(json["valid"], true);
    let wrong = &json["wrong_calls"][0];
    assert_eq!(wrong["dialled"], seen.users[123]);
    assert_eq!(
        wrong["call_id"]
            .as_str()
            .unwrap()
            .split_once('@')
            .unwrap()
            .1,
        {
            let (port, _) = seen.ports.iter().next().unwrap();
            format!("127.0.0.1:{port}")
        }
    );
}

#[test]
fn a_silent_server_loses_every_call_at_timer_b() {
    let responder = Responder::start("127.0.0.1", |_| Vec::new());
    let (exit, json) = run(&responder.target(), "-r 500 -m 50 --t1 10ms");
    let seen = responder.finish();
    assert_eq!(exit, 1);
    assert_eq!(count(&json, "/lost"), 50);
    assert_eq!(count(&json, "/answered"), 0);
    assert_eq!(count(&json, "/retransmitted"), seen.invites - 50);
    // A lost call counts at its timeout, not nowhere.
    assert!(json["latency_us"]["sent"]["p50"].as_f64().unwrap() >= 640_000.0);
    for copies in seen.copies.values() {
        // Seven copies, fewer where the machine stood still meanwhile; all the same octets.
        assert!((2..=7).contains(&copies.len()), "{}", copies.len());
        assert!(copies.iter().all(|copy| copy == &copies[0]));
    }
}

#[test]
fn without_retransmission_each_call_is_sent_once() {
    let responder = Responder::start("127.0.0.1", |_| Vec::new());
    let (exit, json) = run(
        &responder.target(),
        "-r 500 -m 20 --t1 5ms --retransmit off",
    );
    assert_eq!(
        (exit, count(&json, "/lost"), count(&json, "/retransmitted")),
        (1, 20, 0)
    );
    assert_eq!(responder.finish().invites, 20);
}

#[test]
fn what_is_lost_on_the_way_is_answered_after_a_retransmission() {
    fn lose(invite: &Invite<'_>) -> Vec<String> {
        let lost = invite.copy == 0 && invite.index.is_multiple_of(2);
        if lost {
            Vec::new()
        } else {
            vec![invite.right.to_owned()]
        }
    }
    let responder = Responder::start("127.0.0.1", lose);
    let (exit, json) = run(&responder.target(), "-r 500 -m 200 --t1 100ms");
    let seen = responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(count(&json, "/answered"), 200);
    assert!(count(&json, "/retransmitted") >= 50);
    assert_eq!(count(&json, "/retransmitted"), seen.invites - 200);
    assert!(json["latency_us"]["intended"]["max"].as_f64().unwrap() >= 100_000.0);
}

#[test]
fn answers_that_should_not_come_are_counted_by_kind() {
    fn trouble(invite: &Invite<'_>) -> Vec<String> {
        let right = invite.right.to_owned();
        match invite.index % 8 {
            0 => vec![right.clone(), right],
            1 => vec!["hello".to_owned(), right],
            2 => vec![
                right.replace("branch=z9hG4bK", "branch=z9hG4bKother"),
                right,
            ],
            3 => vec![right.replace("Call-ID: ", "Call-ID: other"), right],
            4 => vec![
                right.replacen("SIP/2.0 ", "SIP/2.0 100 Trying\r\nX-Was: ", 1),
                right,
            ],
            5 => vec![right.replace("CSeq: 102", "CSeq: 103"), right],
            6 => vec![format!("{right}{}", "x".repeat(4000)), right],
            _ => vec![right],
        }
    }
    let responder = Responder::start("127.0.0.1", trouble);
    let (exit, json) = run(&responder.target(), "-r 800 -m 160 --t1 2000ms");
    let seen = responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    for (pointer, value) in [
        ("/answered", 160),
        ("/duplicates", 20),
        ("/unexpected", 120),
        ("/unexpected_kinds/unparsable", 40),
        ("/unexpected_kinds/foreign", 20),
        ("/unexpected_kinds/mismatched", 40),
        ("/unexpected_kinds/provisional", 20),
    ] {
        assert_eq!(count(&json, pointer), value, "{pointer}");
    }
    // Every copy of a final answer is acknowledged (RFC 3261 §17.1.1.2).
    assert_eq!(seen.acks.values().map(Vec::len).sum::<usize>(), 180);
}

#[test]
fn a_2xx_is_a_wrong_verdict_and_not_acknowledged() {
    fn accept(invite: &Invite<'_>) -> Vec<String> {
        vec![invite.right.replacen("302 Moved Temporarily", "200 OK", 1)]
    }
    let responder = Responder::start("127.0.0.1", accept);
    let (exit, json) = run(&responder.target(), "-r 100 -m 10 -s 442079460000");
    assert_eq!(
        (
            exit,
            count(&json, "/wrong"),
            count(&json, "/unexpected_kinds/success")
        ),
        (1, 10, 10)
    );
    assert!(responder.finish().acks.is_empty());
}

#[test]
fn acks_can_be_left_out() {
    let responder = Responder::start("127.0.0.1", right);
    let (exit, json) = run(&responder.target(), "-r 100 -m 10 --acks off");
    assert_eq!((exit, count(&json, "/acks")), (0, 0));
    assert!(responder.finish().acks.is_empty());
}

#[test]
fn ipv6_threads_and_source_ports_share_the_calls() {
    let responder = Responder::start("::1", right);
    let (exit, json) = run(
        &responder.target(),
        "-r 1000 -m 403 --threads 2 --source-ports 5 --arrival poisson",
    );
    let seen = responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(count(&json, "/answered"), 403);
    assert_eq!(seen.ports.len(), 5);
    assert!(
        seen.ports.values().all(|&calls| calls > 40),
        "{:?}",
        seen.ports
    );
}

#[test]
fn the_same_seed_makes_the_same_calls_in_the_same_order() {
    let users = |seed: &str| {
        let responder = Responder::start("127.0.0.1", right);
        let (exit, _) = run(
            &responder.target(),
            &format!("-r 1000 -m 100 --t1 2000ms --seed {seed}"),
        );
        assert_eq!(exit, 0);
        responder.finish().users
    };
    let first = users("7");
    assert_eq!(first, users("7"));
    assert_ne!(first, users("8"));
}

#[test]
fn a_closed_port_is_named_and_does_not_end_the_run() {
    let closed = Responder::start("127.0.0.1", right);
    let target = closed.target();
    closed.finish();
    let (exit, json) = run(&target, "-r 200 -m 20 --t1 5ms");
    assert_eq!((exit, count(&json, "/lost")), (1, 20));
    assert!(count(&json, "/network/refused") > 0);
}

#[test]
fn calls_of_a_file_get_the_verdicts_that_it_says() {
    let path = std::env::temp_dir().join(format!("tollgate-loadgen-{}.csv", std::process::id()));
    std::fs::write(
        &path,
        "dialled,expected,agent\n442079460000,approve,\n+881612345678,reject,\n0114930234567,reject,sipcli\n",
    )
    .unwrap();
    let responder = Responder::start("127.0.0.1", right);
    let (exit, json) = run(
        &responder.target(),
        &format!("-r 100 -m 9 --mix {}", path.display()),
    );
    assert_eq!(
        (
            exit,
            count(&json, "/statuses/302"),
            count(&json, "/statuses/603")
        ),
        (0, 3, 6)
    );
    std::fs::write(&path, "dialled,expected\n442079460000,aprove\n").unwrap();
    let output = command(&responder.target(), &format!("--mix {}", path.display()))
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    check_usage(&output, ":2:");
    check_usage(&output, "aprove");
    assert_eq!(responder.finish().invites, 9);
}

fn check_usage(output: &Output, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(part), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_sent() {
    for (target, options, part) in [
        ("192.0.2.1:5060", "", "--i-may-load-this-host"),
        (
            "127.0.0.1:5060",
            "-i 192.0.2.1",
            "no address of this machine",
        ),
        ("127.0.0.1:5060", "--cores 4000", "core 4000"),
        ("127.0.0.1:5060", "--mix /no/such/file", "/no/such/file"),
        ("127.0.0.1:5060", "--calls /no/such/file", "/no/such/file"),
        ("127.0.0.1:5060", "--rate much", "calls per second"),
    ] {
        check_usage(&command(target, options).output().unwrap(), part);
    }
}

#[test]
fn a_signal_ends_the_offering_and_the_results_are_written() {
    let responder = Responder::start("127.0.0.1", right);
    let mut child = command(&responder.target(), "-r 100 --duration 1h --json -")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress says that calls are under way.
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.contains("sent"), "{line}");
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{json:#}");
    assert_eq!(json["reason"], "ended early by a signal");
    assert!(count(&json, "/sent") >= 50);
    assert_eq!(count(&json, "/answered"), count(&json, "/sent"));
}

#[test]
fn the_summary_says_what_was_granted_and_sent_again() {
    let responder = Responder::start("127.0.0.1", right);
    let output = command(&responder.target(), "-r 100 -m 10")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "receive buffer",
        "KiB granted",
        "INVITEs retransmitted",
        "result        met",
        "default (synthetic)",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn a_generator_that_is_late_makes_the_run_invalid() {
    let responder = Responder::start("127.0.0.1", right);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-loadgen"));
    // Twenty thousand calls in two milliseconds are more than any machine offers.
    command.args([
        "run",
        "--target",
        &responder.target(),
        "--json",
        "-",
        "--lateness-max",
        "1ms",
    ]);
    command.args(["-r", "10000000", "-m", "20000", "--t1", "20ms"]);
    let output = command.output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &json["valid"]),
        (Some(3), &Value::Bool(false))
    );
    assert!(
        json["reason"]
            .as_str()
            .unwrap()
            .contains("the generator was late")
    );
    assert_eq!(count(&json, "/sent"), 20_000);
    assert_eq!(count(&json, "/answered") + count(&json, "/lost"), 20_000);
}

#[test]
fn the_json_goes_into_a_file_that_is_opened_first() {
    let responder = Responder::start("127.0.0.1", right);
    let path = std::env::temp_dir().join(format!("tollgate-loadgen-{}.json", std::process::id()));
    let options = format!("-r 100 -m 5 --json {}", path.display());
    let output = command(&responder.target(), &options).output().unwrap();
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(count(&json, "/answered"), 5);
    assert!(String::from_utf8_lossy(&output.stdout).contains("result        met"));
    let nowhere = command(&responder.target(), "-m 5 --json /no/such/folder/x")
        .output()
        .unwrap();
    check_usage(&nowhere, "/no/such/folder/x");
    assert_eq!(responder.finish().invites, 5);
}

#[test]
fn the_record_of_calls_has_a_line_for_each_whatever_became_of_it() {
    fn some(invite: &Invite<'_>) -> Vec<String> {
        match invite.index % 10 {
            0 => Vec::new(),
            1 => vec![invite.flipped.to_owned(), invite.right.to_owned()],
            _ => vec![invite.right.to_owned()],
        }
    }
    let responder = Responder::start("127.0.0.1", some);
    let path = std::env::temp_dir().join(format!("tollgate-loadgen-{}.calls", std::process::id()));
    let options = format!(
        "-r 1000 -m 300 --threads 2 --t1 15ms --retransmit off --calls {}",
        path.display()
    );
    let (exit, json) = run(&responder.target(), &options);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let seen = responder.finish();
    assert_eq!((exit, count(&json, "/lost")), (1, 30), "{json:#}");
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        columns[..5],
        ["call_id", "dialled", "verdict", "code", "status"]
    );
    let mut dialled: Vec<String> = Vec::new();
    let mut wrong = 0;
    let mut lost = 0;
    let mut ids = std::collections::HashSet::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), columns.len(), "{line}");
        assert!(ids.insert(fields[0].to_owned()), "twice: {line}");
        dialled.push(fields[1].to_owned());
        match (fields[2], fields[3], fields[4]) {
            ("approve", "A00", "302") | ("reject", "", "603") => {
                wrong += u64::from(fields[2] != fields[5]);
            }
            ("lost", "", "") => lost += 1,
            _ => panic!("{line}"),
        }
        let latency: u64 = fields[7].parse().unwrap();
        assert!(fields[2] != "lost" || latency >= 960_000, "{line}");
    }
    assert_eq!((lost, wrong), (30, count(&json, "/wrong")));
    let mut users = seen.users;
    users.sort_unstable();
    dialled.sort_unstable();
    assert_eq!(dialled, users);
}
