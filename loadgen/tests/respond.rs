//! `tollgate-loadgen` against `tollgate-loadgen respond`: each fault on purpose is found, and nothing else.
//!
//! Everything stays on loopback, on ports that the kernel chooses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails where it stands"
)]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tollgate-loadgen");

/// A running `respond`.
struct Responder {
    child: Child,
    target: String,
}

impl Responder {
    fn start(options: &str) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["respond", "--listen", "127.0.0.1:0", "--json", "-"])
            .args(options.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let target = line
            .trim_end()
            .strip_prefix("listening udp and tcp ")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Self { child, target }
    }

    /// Ends it as Ctrl-C does; returns what it saw.
    fn finish(self) -> Value {
        let killed = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A run against it, with a bound of lateness that no busy machine breaks; T1 so long that no copy is sent.
fn run(responder: &Responder, options: &str) -> (i32, Value) {
    let output = Command::new(PROGRAM)
        .args(["run", "--target", &responder.target, "--json", "-"])
        .args(["--lateness-max", "60s"])
        .args(["--t1", "10s"].iter().filter(|_| !options.contains("--t1")))
        .args(options.split_whitespace())
        .output()
        .unwrap();
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

fn count(json: &Value, pointer: &str) -> u64 {
    json.pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no number at {pointer} in {json:#}"))
}

#[test]
fn every_switch_of_runs_gives_the_same_counts() {
    let responder = Responder::start("--threads 2");
    for options in [
        "",
        "--gso off",
        "--gro off",
        "--gso off --gro off --source-ports 4",
    ] {
        let (exit, json) = run(&responder, &format!("-r 5000 -m 1000 {options}"));
        assert_eq!(exit, 0, "{options}: {json:#}");
        assert_eq!(count(&json, "/answered"), 1000);
        assert_eq!(count(&json, "/unexpected"), 0);
    }
    let seen = responder.finish();
    assert_eq!(
        (count(&seen, "/invites"), count(&seen, "/acks")),
        (4000, 4000)
    );
    assert_eq!(count(&seen, "/unparsable"), 0);
}

#[test]
fn one_flipped_verdict_in_ten_thousand_is_reported_with_its_call() {
    let responder = Responder::start("--flip 1/10000");
    let (exit, json) = run(&responder, "-r 10000 -m 20000");
    let seen = responder.finish();
    assert_eq!((exit, count(&json, "/wrong")), (1, 2), "{json:#}");
    assert_eq!(count(&seen, "/flipped"), 2);
    let calls = json["wrong_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert!(!call["dialled"].as_str().unwrap().is_empty());
        assert!(call["call_id"].as_str().unwrap().contains("@127.0.0.1:"));
        assert_eq!(call["expected"] == "approve", call["status"] == 603);
    }
}

#[test]
fn wrong_verdicts_that_are_not_listed_are_counted_behind_the_list() {
    let responder = Responder::start("--flip 1/2");
    let (_, json) = run(&responder, "-r 2000 -m 24");
    assert_eq!(count(&json, "/wrong"), 12);
    assert_eq!(json["wrong_calls"].as_array().unwrap().len(), 10);
    assert_eq!(count(&json, "/wrong_calls_unlisted"), 2);
    let output = Command::new(PROGRAM)
        .args(["run", "--target", &responder.target, "--t1", "10s"])
        .args(["-r", "2000", "-m", "24"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nwrong         and 2 more\n"), "{text}");
    responder.finish();
}

#[test]
fn credentials_are_shown_when_asked_for() {
    for algorithm in ["md5", "sha256"] {
        let responder = Responder::start(&format!("--challenge {algorithm} --auth-password open"));
        let (exit, json) = run(
            &responder,
            "-r 500 -m 100 --auth-password open --auth-user gw",
        );
        assert_eq!(exit, 0, "{algorithm}: {json:#}");
        assert_eq!(
            (count(&json, "/challenged"), count(&json, "/answered")),
            (100, 100)
        );
        assert_eq!(count(&json, "/acks"), 200);
        // A wrong password, and none, are what the server says they are: no verdict.
        let (exit, json) = run(&responder, "-r 500 -m 10 --auth-password shut");
        assert_eq!((exit, count(&json, "/statuses/403")), (1, 10));
        let (exit, json) = run(&responder, "-r 500 -m 10");
        assert_eq!((exit, count(&json, "/statuses/401")), (1, 10));
        let seen = responder.finish();
        assert_eq!(
            (count(&seen, "/challenged"), count(&seen, "/forbidden")),
            (120, 10)
        );
    }
}

#[test]
fn probes_are_counted_apart() {
    let responder = Responder::start("");
    let (exit, json) = run(&responder, "-r 100 -m 50 --options-every 50ms");
    let seen = responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    let sent = count(&json, "/options/sent");
    assert!(sent >= 2, "{json:#}");
    assert_eq!(count(&json, "/options/answered"), sent);
    assert_eq!(count(&json, "/options/statuses/200"), sent);
    assert_eq!(count(&seen, "/options"), sent);
    assert_eq!(
        (count(&json, "/answered"), count(&json, "/unexpected")),
        (50, 0)
    );
}

#[test]
fn doubled_answers_are_counted_and_acknowledged() {
    let responder = Responder::start("--duplicate 100");
    let (exit, json) = run(&responder, "-r 2000 -m 200");
    assert_eq!((exit, count(&json, "/duplicates")), (0, 200), "{json:#}");
    assert_eq!(count(&responder.finish(), "/acks"), 400);
}

#[test]
fn datagrams_lost_on_purpose_come_again_by_timer_a() {
    let responder = Responder::start("--drop 10");
    let output = Command::new(PROGRAM)
        .args(["run", "--target", &responder.target, "--json", "-"])
        .args(["--lateness-max", "60s", "--t1", "100ms", "--lose", "10"])
        .args(["-r", "2000", "-m", "400"])
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seen = responder.finish();
    assert_eq!(output.status.code(), Some(0), "{json:#}");
    assert_eq!(count(&json, "/answered"), 400);
    assert!(count(&json, "/network/lost_on_purpose") > 40, "{json:#}");
    assert!(count(&json, "/retransmitted") > 40 && count(&seen, "/dropped") > 10);
}

#[test]
fn every_family_is_understood() {
    let responder = Responder::start("");
    for family in ["p-tfps", "x-tfps", "received", "bare"] {
        let (exit, json) = run(&responder, &format!("-r 2000 -m 500 --family {family}"));
        assert_eq!((exit, count(&json, "/wrong")), (0, 0), "{family}: {json:#}");
    }
    responder.finish();
}

fn quantile(json: &Value, pointer: &str) -> f64 {
    json.pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no number at {pointer} in {json:#}"))
}

#[test]
fn a_server_that_stands_still_is_seen_from_the_intended_time_of_sending() {
    let responder = Responder::start("--stall 200ms/700ms");
    let (exit, json) = run(&responder, "-r 2000 --duration 1500ms");
    let seen = responder.finish();
    assert_eq!((exit, count(&json, "/lost")), (0, 0), "{json:#}");
    assert!(count(&seen, "/stalls") >= 2);
    assert!(
        quantile(&json, "/latency_us/intended/p99") >= 100_000.0,
        "{json:#}"
    );
}

#[test]
fn a_generator_that_stood_still_is_invalid_and_does_not_blame_the_server() {
    let responder = Responder::start("");
    let mut child = Command::new(PROGRAM)
        .args(["run", "--target", &responder.target, "--json", "-"])
        .args(["-r", "2000", "--duration", "3s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.contains("sent"), "{line}");
    let pid = child.id();
    let stopped = Command::new("sh")
        .args([
            "-c",
            &format!("kill -STOP {pid}; sleep 0.2; kill -CONT {pid}"),
        ])
        .status()
        .unwrap();
    assert!(stopped.success());
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    responder.finish();
    assert_eq!(output.status.code(), Some(3), "{json:#}");
    assert_eq!(json["valid"], false);
    assert!(
        json["reason"]
            .as_str()
            .unwrap()
            .contains("the generator was late")
    );
    let intended = quantile(&json, "/latency_us/intended/p99");
    let sent = quantile(&json, "/latency_us/sent/p99");
    assert!(
        intended >= 100_000.0 && sent < intended / 2.0,
        "{intended} {sent}"
    );
}

#[test]
fn what_a_run_leaves_on_the_disk_says_the_same_as_its_json() {
    let folder =
        std::env::temp_dir().join(format!("tollgate-loadgen-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let (csv, hgrm, log) = (path("seconds.csv"), path("all.hgrm"), path("seconds.hlog"));
    let responder = Responder::start("");
    let (exit, json) = run(
        &responder,
        &format!(
            "-r 400 --duration 1500ms --threads 2 --csv {csv} --hgrm {hgrm} --interval-log {log}"
        ),
    );
    responder.finish();
    assert_eq!(exit, 0, "{json:#}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let (csv, hgrm, log) = (read(&csv), read(&hgrm), read(&log));
    std::fs::remove_dir_all(&folder).unwrap();
    let seconds = json["intervals"].as_array().unwrap().len();
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(';').collect();
    let column = names
        .iter()
        .position(|name| *name == "OutgoingCall(C)")
        .unwrap();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(';').collect()).collect();
    assert_eq!(rows.len(), seconds);
    assert_eq!(
        rows.last().unwrap()[column],
        count(&json, "/sent").to_string()
    );
    assert!(
        hgrm.contains(&format!("Total count    = {:>12}]", count(&json, "/sent"))),
        "{hgrm}"
    );
    let histograms = log.lines().filter(|line| line.contains(",HISTFAA"));
    assert_eq!(histograms.count(), seconds);
}

#[test]
fn bounds_that_are_missed_end_with_one() {
    let responder = Responder::start("--stall 100ms/400ms");
    let (exit, json) = run(&responder, "-r 1000 --duration 900ms --p99-max 20ms");
    responder.finish();
    assert_eq!(exit, 1, "{json:#}");
    assert!(
        json["reason"].as_str().unwrap().starts_with("p99 "),
        "{json:#}"
    );
    let silent = Responder::start("--drop 100");
    let (exit, _) = run(
        &silent,
        "-r 100 -m 5 --retransmit off --t1 5ms --lost-max 100%",
    );
    assert_eq!(exit, 0);
    let (exit, _) = run(
        &silent,
        "-r 100 -m 5 --retransmit off --t1 5ms --lost-max 4",
    );
    assert_eq!(exit, 1);
    silent.finish();
}

#[test]
fn the_generators_own_ceiling_marks_what_is_near_it() {
    let responder = Responder::start("");
    let (exit, json) = run(&responder, "-r 500 -m 300 --ceiling measure");
    assert_eq!(exit, 0, "{json:#}");
    assert!(quantile(&json, "/ceiling_per_s") > 1000.0, "{json:#}");
    assert_eq!(json["generator_bound"], false);
    let (_, json) = run(&responder, "-r 500 -m 300 --ceiling 550");
    assert_eq!(json["generator_bound"], true);
    let (_, json) = run(&responder, "-r 500 -m 300");
    assert_eq!(json["generator_bound"], Value::Null);
    responder.finish();
}

fn find_max(target: &str, options: &str) -> (i32, Value) {
    let output = Command::new(PROGRAM)
        .args(["find-max", "--target", target, "--json", "-"])
        .args(options.split_whitespace())
        .output()
        .unwrap();
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

#[test]
fn a_search_holds_its_result_against_the_least_ceiling_beside_a_round_that_counts() {
    let silent = Responder::start("--drop 100");
    let quick = "-r 8 --duration 200ms --t1 1ms --yardstick 20ms";
    let (exit, json) = find_max(&silent.target, quick);
    assert_eq!(exit, 3, "{json:#}");
    let rounds = json["rounds"].as_array().unwrap();
    let counted = rounds.iter().filter(|round| round["discarded"] == false);
    let readings = counted.flat_map(|round| {
        ["yardstick_before_per_s", "yardstick_after_per_s"]
            .map(|name| round[name].as_f64().unwrap())
    });
    let least = readings.reduce(f64::min);
    let reference = quantile(&json, "/reference_per_s");
    assert_eq!(
        quantile(&json, "/ceiling_per_s").to_bits(),
        least.unwrap_or(reference).to_bits(),
        "{json:#}"
    );
    silent.finish();
}

#[test]
fn a_search_goes_by_the_reference_that_it_is_given() {
    let responder = Responder::start("");
    let options = "-r 8 --yardstick 20ms --yardstick-reference 100";
    let mut search = search(&responder.target, options);
    let mut said = BufReader::new(search.stderr.take().unwrap()).lines();
    let told = said.find(|line| line.as_ref().unwrap().contains("own ceiling here"));
    let told = told.unwrap().unwrap();
    assert!(told.contains("is from 80 to 125,"), "{told}");
    search.kill().unwrap();
    search.wait().unwrap();
    responder.finish();
}

#[test]
fn a_search_goes_by_the_pulse_that_it_is_given_and_cuts_rounds_short() {
    let responder = Responder::start("");
    // No core has a hundred times a pulse like this: every round is lost after a tenth of it.
    let options =
        "-r 100 --duration 2s --yardstick 20ms --pulse-core 0 --pulse-reference 1000000000000";
    let mut hurried = search(&responder.target, options);
    let said = BufReader::new(hurried.stderr.take().unwrap()).lines();
    let mut said = said.map(Result::unwrap);
    assert!(said.any(|line| line.contains("from 920000000000 to 1086956521739")));
    assert!(said.any(|line| line.contains("cut short")));
    let (exit, json) = terminated(hurried);
    assert_eq!((exit, &json["reason"]), (3, &"ended by a signal".into()));
    assert_eq!(json["pulse_reference_per_s"], 1e12);
    let round = &json["rounds"][0];
    assert_eq!(round["discarded"], true, "{json:#}");
    assert_eq!(round["cut_short"], true);
    assert_eq!(round["yardstick_after_per_s"], Value::Null);
    let pulse = round["pulse_per_s"].as_f64().unwrap();
    assert!(pulse > 0.0 && pulse < 1e12, "{pulse}");
    responder.finish();
}

#[test]
fn a_round_in_which_a_core_stood_still_does_not_count() {
    let responder = Responder::start("");
    // The pulse is far above its band, so its rounds do not count, and nothing of it cuts them short.
    let options = "-r 100 --duration 3s --yardstick 20ms --pulse-core 0 --own-pulse-core 0 --pulse-reference 1";
    let mut search = search(&responder.target, options);
    let said = BufReader::new(search.stderr.take().unwrap()).lines();
    let mut said = said.map(Result::unwrap);
    assert!(said.any(|line| line.contains("the pulse of the server's core")));
    // As a hypervisor does it: nothing runs for a while.
    let pid = search.id();
    let stopped = Command::new("sh")
        .args([
            "-c",
            &format!("sleep 0.7; kill -STOP {pid}; sleep 0.7; kill -CONT {pid}"),
        ])
        .status();
    assert!(stopped.unwrap().success());
    let line = said.find(|line| line.contains("calls/s  ")).unwrap();
    assert!(line.contains("cut short"), "{line}");
    let (_, json) = terminated(search);
    assert_eq!(json["rounds"][0]["discarded"], true, "{json:#}");
    responder.finish();
}

#[test]
fn a_search_takes_no_pulse_beside_a_server_that_answers_nothing() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = nobody.local_addr().unwrap().to_string();
    let mut vain = search(&target, "-r 100 --yardstick 20ms --t1 2ms --pulse-core 0");
    let mut stdout = vain.stdout.take().unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(vain.wait().unwrap().code(), Some(2));
    let mut said = String::new();
    vain.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert!(
        said.contains("the server answered nothing at the first rate"),
        "{said}"
    );
}

/// Sends a signal to a search and waits for what it writes, but at most a minute.
fn terminated(mut search: Child) -> (i32, Value) {
    let killed = Command::new("kill")
        .args(["-TERM", &search.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let mut stdout = search.stdout.take().unwrap();
    let (sent, written) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        sent.send(text).unwrap();
    });
    let text = written.recv_timeout(Duration::from_secs(60));
    if text.is_err() {
        search.kill().unwrap();
    }
    let exit = search.wait().unwrap().code();
    let text = text.expect("it goes on");
    (exit.unwrap(), serde_json::from_str(&text).unwrap())
}

fn search(target: &str, options: &str) -> Child {
    Command::new(PROGRAM)
        .args(["find-max", "--target", target, "--json", "-"])
        .args(options.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_signal_ends_a_search_while_calls_are_out_and_between_rounds() {
    // A server that never answers, with a Timer B of ten minutes: the round that has begun would take that long.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let quick = "-r 8 --duration 200ms --yardstick 20ms";
    // No ceiling is within 20 % of one call a second: the search waits for the machine.
    let mut waiting = search(&target, &format!("{quick} --yardstick-reference 1"));
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("own ceiling here")));
    let (exit, json) = terminated(waiting);
    assert_eq!((exit, &json["reason"]), (3, &"ended by a signal".into()));
    assert_eq!(json["rounds"], Value::Array(Vec::new()));
    // Readings long enough to agree with each other beside other tests: the round waits for that.
    let mut draining = search(&target, "-r 8 --duration 200ms --yardstick 200ms --t1 10s");
    let drained = std::thread::spawn({
        let stderr = draining.stderr.take().unwrap();
        move || BufReader::new(stderr).lines().count()
    });
    silent
        .set_read_timeout(Some(Duration::from_secs(300)))
        .unwrap();
    // A round has begun. A process that was stopped and goes on is interrupted.
    while let Err(error) = silent.recv(&mut [0; 2048]) {
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
    }
    let (exit, json) = terminated(draining);
    assert_eq!((exit, &json["reason"]), (3, &"ended by a signal".into()));
    assert_eq!(json["valid"], false);
    assert!(drained.join().unwrap() > 0);
}

#[test]
fn searches_that_take_turns_have_results_of_their_own() {
    let responder = Responder::start("");
    let options = "-r 8 --yardstick 20ms --yardstick-reference 1 --searches 3 --seed 7";
    let mut waiting = search(&responder.target, options);
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("own ceiling here")));
    let (exit, json) = terminated(waiting);
    assert_eq!((exit, &json["valid"]), (3, &false.into()));
    let searches = json["searches"].as_array().unwrap();
    let seeds: Vec<u64> = searches
        .iter()
        .map(|one| one["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, [7, 8, 9]);
    for one in searches {
        assert_eq!(one["reason"], "ended by a signal");
        assert_eq!(one["reference_per_s"], 1.0);
    }
    responder.finish();
}

#[test]
fn searches_that_take_turns_offer_calls_of_their_own() {
    let first_of = |seed: u64| {
        let options = format!("-r 100 -m 1 --t1 1ms --retransmit off --seed {seed}");
        dialled_in("run", &options).0.pop().unwrap()
    };
    let firsts = [7, 8, 9].map(first_of);
    assert!(firsts[0] != firsts[1] && firsts[1] != firsts[2]);
    // Nobody answers: no search finds a rate. On a busy machine some may not come to their turn.
    let options =
        "-r 8 --duration 200ms --t1 1ms --rounds 4 --yardstick 20ms --searches 3 --seed 7";
    let (dialled, exit, json) = dialled_in("find-max", options);
    assert_eq!((exit, &json["valid"]), (3, &false.into()));
    assert_eq!(json["exit"], 3);
    let searches = json["searches"].as_array().unwrap();
    for (one, first) in searches.iter().zip(firsts) {
        let begun = one["rounds"].as_array().is_some_and(|all| !all.is_empty());
        assert_eq!(dialled.contains(&first), begun, "{json:#}");
    }
}

/// The numbers that a command dials at a server that never answers, its exit status and its JSON.
fn dialled_in(command: &str, options: &str) -> (Vec<String>, i32, Value) {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let output = Command::new(PROGRAM)
        .args([command, "--target", &target, "--json", "-"])
        .args(options.split_whitespace())
        .output()
        .unwrap();
    silent.set_nonblocking(true).unwrap();
    let mut dialled = Vec::new();
    let mut datagram = [0; 4096];
    while let Ok(length) = silent.recv(&mut datagram) {
        let text = String::from_utf8_lossy(&datagram[..length]);
        let number = text.strip_prefix("INVITE sip:").unwrap().split('@').next();
        dialled.push(number.unwrap().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let json =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (dialled, output.status.code().unwrap(), json)
}

#[test]
fn what_belongs_to_one_run_is_refused_for_many() {
    let output = Command::new(PROGRAM)
        .args(["find-max", "--target", "127.0.0.1:9", "--csv", "/tmp/x"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("are of one run"));
}

#[test]
fn calls_travel_on_tcp_connections_too() {
    let responder = Responder::start("");
    let (exit, json) = run(
        &responder,
        "-r 2000 -m 600 --transport tcp --source-ports 3 --threads 2 --options-every 100ms",
    );
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(
        (count(&json, "/answered"), count(&json, "/acks")),
        (600, 600)
    );
    assert_eq!(count(&json, "/retransmitted"), 0);
    assert_eq!(json["environment"]["transport"], "tcp");
    let seen = responder.finish();
    assert_eq!(
        (count(&seen, "/invites"), count(&seen, "/acks")),
        (600, 600)
    );
    assert_eq!(count(&seen, "/options"), count(&json, "/options/answered"));
}

#[test]
fn a_connection_that_the_server_ends_is_named_and_its_calls_are_lost() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let output = Command::new(PROGRAM)
        .args([
            "run",
            "--target",
            &target,
            "--transport",
            "tcp",
            "--json",
            "-",
        ])
        .args([
            "--lateness-max",
            "60s",
            "--t1",
            "5ms",
            "-r",
            "100",
            "-m",
            "5",
        ])
        .output()
        .unwrap();
    server.join().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{json:#}");
    assert_eq!(count(&json, "/lost"), 5);
    assert_eq!(count(&json, "/network/connections_lost"), 1);
}
