//! The journal against what was sent over the wire: line for line, past its budgets, with a full disk, through a restart.
//!
//! Promises: every call is answered before its line is looked for; every wait has a deadline.
//! `TOLLGATE_JOURNAL_CALLS` says how many calls are compared line for line.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod journal {
    use super::common::answer::Message;
    use super::common::server::{Server, node_toml, scratch, write_files};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::SAMPLE_BUNDLE;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Calls that may lie between the wire and the journal: fewer than its queue holds.
    const AHEAD_MAX: usize = 8000;

    /// Calls that are sent before their answers are read.
    const WINDOW: usize = 32;

    /// A folder with the sample's bundle and a journal of these settings.
    fn folder(name: &str, journal: &Path, settings: &str) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let journal = folder.join(journal);
        let text = format!(
            "{}\n[journal]\npath = {journal:?}\nrotate = \"36500d\"\n{settings}",
            node_toml(&folder)
        );
        write_files(&folder, &[("tollgate.toml", &text)]);
        folder
    }

    fn client(to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// One call as it is sent, and as it should stand in the journal.
    struct Call {
        dialled: String,
        /// After From and before the blank line.
        headers: Vec<u8>,
        wanted: Value,
    }

    /// Calls of every kind in turn; each has a number of its own.
    fn call(index: usize) -> Call {
        let number = index % 1000;
        let (dialled, headers, wanted) = match index % 5 {
            0 => (
                format!("011442071838{number:03}"),
                "P-tfps: 1001;pbx.example;192.0.2.7;Phone 7/1.2;3\r\n",
                json!({
                    "caller": "1001", "address": "192.0.2.7", "agent": "Phone 7/1.2",
                    "reported_calls": 3, "number": format!("+442071838{number:03}"),
                    "country": "GB", "type": "fixed", "verdict": "approve", "code": "A00", "status": 302,
                }),
            ),
            1 => (
                format!("+88162{number:03}1234"),
                "User-Agent: Gerät\r\n",
                json!({
                    "caller": "4100", "agent": "Gerät", "number": format!("+88162{number:03}1234"),
                    "country": "satellite", "type": "mobile", "verdict": "reject", "code": "R06", "rule": "destination", "status": 603,
                }),
            ),
            2 => (
                "00447700900999".to_owned(),
                "",
                json!({
                    "caller": "4100", "number": "+447700900999", "country": "GB", "type": "unknown",
                    "verdict": "reject", "code": "R03", "rule": "lists/numbers.csv:2", "status": 603,
                }),
            ),
            3 => (
                format!("011442071838{number:03}"),
                "P-tfps: 1002;;;sipcli/v1.8;1\r\n",
                json!({
                    "caller": "1002", "agent": "sipcli/v1.8", "reported_calls": 1,
                    "number": format!("+442071838{number:03}"), "country": "GB", "type": "fixed",
                    "verdict": "reject", "code": "R01", "rule": "lists/agents.csv:10", "status": 603,
                }),
            ),
            _ => (
                "who/is/this".to_owned(),
                "",
                json!({
                    "caller": "4100", "verdict": "error", "rule": "address_incomplete", "status": 484,
                }),
            ),
        };
        Call {
            dialled,
            headers: headers.as_bytes().to_vec(),
            wanted,
        }
    }

    fn invite(call: &Call, index: usize, socket: &UdpSocket) -> Vec<u8> {
        let via = socket.local_addr().unwrap();
        let number = &call.dialled;
        let mut text = format!(
            "INVITE sip:{number}@gw.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {via};branch=z9hG4bK{index};rport\r\n\
             From: <sip:4100@127.0.0.1>;tag=f{index}\r\n\
             To: <sip:{number}@gw.example>\r\n\
             Call-ID: call-{index}@127.0.0.1\r\n\
             CSeq: 1 INVITE\r\n\
             Max-Forwards: 70\r\n"
        )
        .into_bytes();
        text.extend_from_slice(&call.headers);
        text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        text
    }

    /// Sends the calls of a window, then reads their answers; the status of each by its index.
    fn ask(socket: &UdpSocket, calls: &[(usize, Call)]) -> BTreeMap<usize, u16> {
        for (index, call) in calls {
            socket.send(&invite(call, *index, socket)).unwrap();
        }
        let mut statuses = BTreeMap::new();
        let mut bytes = vec![0; 5000];
        while statuses.len() < calls.len() {
            let length = socket.recv(&mut bytes).unwrap();
            let answer = Message::read(&bytes[..length]).unwrap();
            let call_id = answer.one("Call-ID").unwrap();
            let index = call_id
                .strip_prefix("call-")
                .unwrap()
                .split('@')
                .next()
                .unwrap();
            let index = index.parse().unwrap();
            assert_eq!(statuses.insert(index, answer.status().unwrap()), None);
        }
        statuses
    }

    /// Sends calls whose indexes are these and sees each answered as the journal should have it.
    fn ask_all(socket: &UdpSocket, indexes: std::ops::Range<usize>) {
        for start in indexes.clone().step_by(WINDOW) {
            let window: Vec<(usize, Call)> = (start..indexes.end.min(start + WINDOW))
                .map(|index| (index, call(index)))
                .collect();
            let statuses = ask(socket, &window);
            for (index, call) in window {
                assert_eq!(call.wanted["status"], statuses[&index], "{}", call.dialled);
            }
        }
    }

    /// Whole lines of a file that grows.
    struct Tail {
        file: BufReader<File>,
        line: String,
    }

    impl Tail {
        fn open(path: &Path) -> Self {
            Self {
                file: BufReader::new(File::open(path).unwrap()),
                line: String::new(),
            }
        }

        /// The next line, if it is whole already.
        fn next(&mut self) -> Option<Value> {
            self.file.read_line(&mut self.line).unwrap();
            if !self.line.ends_with('\n') {
                return None;
            }
            let value = serde_json::from_str(&self.line).unwrap();
            self.line.clear();
            Some(value)
        }
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for `done`, looking now and then.
    fn wait(what: &str, mut done: impl FnMut() -> bool) {
        let clock = Clock::start();
        while !done() {
            let passed = Duration::from_nanos(clock.now().monotonic_ns);
            assert!(passed < PATIENCE, "waited {PATIENCE:?} for {what}");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Holds a line to the call that it is of, and to nothing but it.
    fn check(line: &Value, index: usize, call: &Call) {
        let mut wanted = call.wanted.clone();
        for (field, value) in [
            ("node", json!("test")),
            ("shard", json!(0)),
            ("domain", json!("sample")),
            ("subscriber", json!("unknown")),
            ("peer", json!("127.0.0.1")),
            ("call_id", json!(format!("call-{index}@127.0.0.1"))),
            ("from_tag", json!(format!("f{index}"))),
            ("calling", json!("4100")),
            ("dialled", json!(call.dialled)),
            ("attempt", json!("new")),
            ("weight", json!(1)),
        ] {
            wanted[field] = value;
        }
        let mut line = line.clone();
        let fields = line.as_object_mut().unwrap();
        let time = fields.remove("ts").unwrap();
        let time = time.as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        assert_eq!(fields.remove("gen").unwrap().as_str().unwrap().len(), 64);
        // Which of the sample's reporting limits fire depends on how fast this machine is.
        let reports = fields.remove("reports").unwrap();
        for code in reports.as_array().unwrap() {
            assert!(
                ["X01", "R13", "R11"].contains(&code.as_str().unwrap()),
                "{reports}"
            );
        }
        fields.remove("warned");
        assert_eq!(line, wanted);
    }

    fn metric(admin: SocketAddr, name: &str) -> u64 {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let question = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(question.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().unwrap()
    }

    fn stop(server: Server) -> (Value, String) {
        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        (
            serde_json::from_str(&stopped.stdout).unwrap(),
            stopped.stderr,
        )
    }

    #[test]
    fn the_journal_is_the_calls_line_for_line() {
        let calls: usize =
            std::env::var("TOLLGATE_JOURNAL_CALLS").map_or(4000, |text| text.parse().unwrap());
        let budgets = "approved_per_second = \"all\"\nrejected_per_second = \"all\"\n";
        let folder = folder("lines", Path::new("journal/calls.jsonl"), budgets);
        let server = Server::start(&folder);
        let socket = client(server.udp);
        let path = folder.join("journal/calls.jsonl");
        let mut tail = Tail::open(&path);
        let mut compared = 0;
        let mut compare = |tail: &mut Tail| {
            while let Some(line) = tail.next() {
                check(&line, compared, &call(compared));
                compared += 1;
            }
            compared
        };
        for start in (0..calls).step_by(1024) {
            ask_all(&socket, start..calls.min(start + 1024));
            // The queue is finite by design, and this machine may give the journal little time.
            wait("the journal to follow", || {
                compare(&mut tail) + AHEAD_MAX >= start
            });
        }
        // What the journal has not fetched yet is written by the stop.
        let (sums, _said) = stop(server);
        compare(&mut tail);
        assert_eq!(compared, calls);
        assert_eq!(sums["journal_lines"], calls, "{sums}");
        for nought in ["journal_counted", "journal_lost", "events_dropped"] {
            assert_eq!(sums[nought], 0, "{sums}");
        }
        if calls > 100_000 {
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn past_the_budgets_calls_are_counted_and_the_weights_add_up() {
        const CALLS: usize = 3000;
        let settings = "approved_per_second = 3\nrejected_per_second = 5\n";
        let folder = folder("budgets", Path::new("calls.jsonl"), settings);
        let server = Server::start(&folder);
        ask_all(&client(server.udp), 0..CALLS);
        let (sums, _said) = stop(server);
        let mut weights: BTreeMap<String, u64> = BTreeMap::new();
        let mut per_second: BTreeMap<(String, bool), u64> = BTreeMap::new();
        let (mut counted, mut lines_seen) = (0, 0);
        for line in lines(&folder.join("calls.jsonl")) {
            lines_seen += 1;
            let kind = line.get("code").unwrap_or(&line["rule"]);
            let weight = line["weight"].as_u64().unwrap();
            *weights
                .entry(kind.as_str().unwrap().to_owned())
                .or_default() += weight;
            let second = line["ts"].as_str().unwrap()[..19].to_owned();
            if line.get("call_id").is_some() {
                assert_eq!(weight, 1);
                let approved = line["verdict"] == "approve";
                *per_second.entry((second, approved)).or_default() += 1;
                continue;
            }
            assert_eq!(line["domain"], "sample");
            assert_eq!(line["node"], "test");
            counted += weight;
        }
        let fifth = CALLS as u64 / 5;
        let wanted = ["A00", "R01", "R03", "R06", "address_incomplete"];
        let wanted: BTreeMap<String, u64> = wanted
            .iter()
            .map(|kind| ((*kind).to_owned(), fifth))
            .collect();
        assert_eq!(weights, wanted);
        for ((second, approved), count) in per_second {
            assert!(count <= if approved { 3 } else { 5 }, "{second}: {count}");
        }
        assert_eq!(sums["journal_counted"], counted);
        assert_eq!(sums["journal_lines"], lines_seen);
        assert_eq!(sums["journal_lost"], 0);
    }

    #[test]
    fn a_line_that_a_crash_left_unfinished_is_cut_and_the_rest_kept() {
        let folder = folder("torn", Path::new("calls.jsonl"), "");
        let path = folder.join("calls.jsonl");
        fs::write(&path, "{\"weight\":1}\n{\"ts\":\"2026-11-2").unwrap();
        let server = Server::start(&folder);
        ask_all(&client(server.udp), 0..5);
        assert_eq!(metric(server.admin, "tollgate_journal_torn_lines_total"), 1);
        let (_sums, said) = stop(server);
        assert!(said.contains("an unfinished last line was cut"), "{said}");
        let lines = lines(&path);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], json!({"weight": 1}));
        check(&lines[5], 4, &call(4));
    }

    /// A file system of its own that can be filled; `None` where we may not mount.
    struct SmallDisk(PathBuf);

    impl SmallDisk {
        fn mount(at: PathBuf) -> Option<Self> {
            fs::create_dir_all(&at).unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
                .arg(&at)
                .output();
            mounted
                .is_ok_and(|it| it.status.success())
                .then_some(Self(at))
        }

        fn fill(&self) {
            let mut file = File::create(self.0.join("filler")).unwrap();
            while file.write(&[0; 4096]).is_ok_and(|count| count > 0) {}
        }

        fn free(&self) {
            fs::remove_file(self.0.join("filler")).unwrap();
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _best_effort = Command::new("umount").arg("-l").arg(&self.0).output();
        }
    }

    #[test]
    fn a_full_disk_touches_no_call_and_the_journal_recovers_by_itself() {
        let budgets = "approved_per_second = \"all\"\n";
        let folder = folder("full", Path::new("disk/calls.jsonl"), budgets);
        let path = folder.join("disk/calls.jsonl");
        let Some(disk) = SmallDisk::mount(folder.join("disk")) else {
            return full_device();
        };
        let server = Server::start(&folder);
        let socket = client(server.udp);
        ask_all(&socket, 0..50);
        // The last one may be half written at that moment.
        wait("the first lines", || {
            fs::read_to_string(&path).is_ok_and(|text| text.matches('\n').count() == 50)
        });
        disk.fill();
        ask_all(&socket, 50..2000);
        wait("a failure", || {
            metric(server.admin, "tollgate_journal_write_failures_total") > 1
        });
        disk.free();
        wait("the rest of the lines", || {
            metric(server.admin, "tollgate_journal_lines_total") == 2000
        });
        ask_all(&socket, 2000..2100);
        let (sums, said) = stop(server);
        for (index, line) in lines(&path).iter().enumerate() {
            check(line, index, &call(index));
        }
        assert_eq!(sums["journal_lines"], 2100, "{sums}");
        assert_eq!(sums["journal_lost"], 0, "{sums}");
        let full = said.find("No space left on device");
        let again = said.find("journal: lines are written again");
        assert!(full.is_some() && full < again, "{said}");
    }

    #[test]
    fn a_kill_on_a_full_disk_leaves_no_torn_line_after_the_restart() {
        let budgets = "approved_per_second = \"all\"\n";
        let folder = folder("killed", Path::new("disk/calls.jsonl"), budgets);
        let path = folder.join("disk/calls.jsonl");
        let Some(disk) = SmallDisk::mount(folder.join("disk")) else {
            return full_device();
        };
        let server = Server::start(&folder);
        disk.fill();
        ask_all(&client(server.udp), 0..500);
        wait("a failure", || {
            metric(server.admin, "tollgate_journal_write_failures_total") > 0
        });
        // SIGKILL.
        drop(server);
        disk.free();
        let left = fs::read(&path).unwrap();
        let whole = left.iter().filter(|octet| **octet == b'\n').count();
        let torn = u64::from(!left.is_empty() && left.last() != Some(&b'\n'));
        let server = Server::start(&folder);
        assert_eq!(
            metric(server.admin, "tollgate_journal_torn_lines_total"),
            torn
        );
        ask_all(&client(server.udp), 500..510);
        stop(server);
        let lines = lines(&path);
        assert_eq!(lines.len(), whole + 10);
        for (index, line) in (0..whole).chain(500..510).zip(&lines) {
            check(line, index, &call(index));
        }
    }

    #[test]
    fn names_survive_a_change_of_policy() {
        let folder = folder(
            "swap",
            Path::new("calls.jsonl"),
            "approved_per_second = \"all\"\n",
        );
        // When the row expires the server builds a policy without it.
        let expires = Clock::start().now().unix_s() + 5;
        let day_s = expires % 86_400;
        let days = expires / 86_400;
        let date = Command::new("date")
            .args(["-u", "-d", &format!("@{}", days * 86_400), "+%F"])
            .output()
            .unwrap();
        let date = String::from_utf8(date.stdout).unwrap();
        let expires = format!(
            "{}T{:02}:{:02}:{:02}Z",
            date.trim(),
            day_s / 3600,
            day_s / 60 % 60,
            day_s % 60
        );
        let numbers = folder.join("bundle/lists/numbers.csv");
        let text = fs::read_to_string(&numbers).unwrap();
        let text = format!("{text}system,number,+44207183*,deny,R03,for a moment,test,{expires}\n");
        fs::write(&numbers, text).unwrap();
        let server = Server::start(&folder);
        let socket = client(server.udp);
        let mut statuses = Vec::new();
        wait("the row to expire", || {
            let index = statuses.len() * 5;
            statuses.push(ask(&socket, &[(index, call(index))])[&index]);
            let index = index + 2;
            assert_eq!(ask(&socket, &[(index, call(index))])[&index], 603);
            statuses.last() == Some(&302)
        });
        assert!(statuses.len() > 1);
        let (sums, _said) = stop(server);
        assert_eq!(sums["journal_lost"], 0);
        let lines = lines(&folder.join("calls.jsonl"));
        assert_eq!(lines.len(), 2 * statuses.len());
        for (pair, status) in lines.chunks(2).zip(statuses) {
            let rule = (status == 603).then_some("lists/numbers.csv:3");
            assert_eq!(pair[0]["status"], status);
            assert_eq!(pair[0].get("rule").and_then(Value::as_str), rule);
            assert_eq!(pair[0]["country"], "GB");
            assert_eq!(pair[1]["rule"], "lists/numbers.csv:2");
            assert_eq!(pair[1]["domain"], "sample");
        }
    }

    /// The same where nothing can be mounted: a device that is full for ever.
    fn full_device() {
        let folder = folder("device", Path::new("/dev/full"), "");
        let server = Server::start(&folder);
        ask_all(&client(server.udp), 0..500);
        wait("a failure", || {
            metric(server.admin, "tollgate_journal_write_failures_total") > 0
        });
        let (sums, said) = stop(server);
        assert_eq!(sums["journal_lost"], 500, "{sums}");
        assert!(said.contains("No space left on device"), "{said}");
    }

    #[test]
    fn what_a_stranger_writes_stays_text_on_one_line() {
        let folder = folder("injection", Path::new("calls.jsonl"), "");
        let server = Server::start(&folder);
        let socket = client(server.udp);
        let agents: [(&[u8], &str); 6] = [
            (b"\x1b[2J\x1b]0;owned\x07", "\u{1b}[2J\u{1b}]0;owned\u{7}"),
            (
                b"a\"},{\"verdict\":\"approve",
                "a\"},{\"verdict\":\"approve",
            ),
            (b"\xff\xfe\\x41", "\\xff\\xfe\\x5cx41"),
            ("\u{202e}txt.\u{2028}x".as_bytes(), "\u{202e}txt.\u{2028}x"),
            (b"=HYPERLINK(1)\x7f", "=HYPERLINK(1)\u{7f}"),
            (b"fold\r\n ed\tx", "fold\r\n ed\tx"),
        ];
        for (index, (agent, _)) in agents.iter().enumerate() {
            let mut call = call(2);
            call.headers = [b"User-Agent: ", *agent, b"\r\n"].concat();
            ask(&socket, &[(index, call)]);
        }
        stop(server);
        let text = fs::read(folder.join("calls.jsonl")).unwrap();
        let text = String::from_utf8(text).unwrap();
        let raw = text
            .chars()
            .find(|shown| shown.is_control() && *shown != '\n');
        assert_eq!(raw, None);
        assert!(!text.contains(['\u{202e}', '\u{2028}']));
        let lines = lines(&folder.join("calls.jsonl"));
        assert_eq!(lines.len(), agents.len());
        for (line, (_, shown)) in lines.iter().zip(agents) {
            assert_eq!(line["agent"], shown);
            assert_eq!(line["verdict"], "reject");
        }
    }

    /// What `tollgate rules` says of the node.
    fn rules(folder: &Path) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["rules", "--config"])
            .arg(folder.join("tollgate.toml"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn every_rule_and_list_shows_the_calls_that_it_decided() {
        // Also of calls that have no line of their own.
        let budgets = "approved_per_second = 0\nrejected_per_second = 0\n";
        let folder = folder("hits", Path::new("calls.jsonl"), budgets);
        let server = Server::start(&folder);
        let socket = client(server.udp);
        ask_all(&socket, 0..20);
        // A copy decides nothing.
        ask(&socket, &[(2, call(2))]);
        wait("the rows to be counted", || {
            rules(&folder).contains("lists/agents.csv:10: calls 4\n")
        });
        let said = rules(&folder);
        for line in [
            "A00: calls 4",
            "R01: calls 4",
            "R03: calls 4",
            "R06: calls 4",
            "R07: calls 0",
            "lists/numbers.csv: rows 1, calls 4",
            "lists/numbers.csv:2: calls 4",
        ] {
            assert!(said.lines().any(|found| found == line), "{line} in\n{said}");
        }
        assert_eq!(
            said.lines()
                .filter(|line| line.starts_with("lists/"))
                .count(),
            4
        );

        // With another bundle, rows count anew; rules do not.
        let list = folder.join("bundle/lists/numbers.csv");
        let text = fs::read_to_string(&list).unwrap();
        let (head, rest) = text.split_once('\n').unwrap();
        fs::write(
            &list,
            format!("{head}\nsystem,number,+390612345678,deny,R03,,,\n{rest}"),
        )
        .unwrap();
        let before = metric(server.admin, "tollgate_reload_seconds_count");
        server.signal("HUP");
        wait("the reload", || {
            metric(server.admin, "tollgate_reload_seconds_count") > before
        });
        ask_all(&socket, 20..25);
        wait("the row to be counted", || {
            rules(&folder).contains("lists/numbers.csv:3: calls 1\n")
        });
        let said = rules(&folder);
        assert!(!said.contains("lists/numbers.csv:2:"), "{said}");
        assert!(said.contains("R03: calls 5\n"), "{said}");
        stop(server);
    }

    #[test]
    fn a_copy_of_a_call_is_told_as_it_was_decided_and_as_a_copy() {
        let folder = folder("copies", Path::new("calls.jsonl"), "");
        let server = Server::start(&folder);
        let socket = client(server.udp);
        for _ in 0..3 {
            ask(&socket, &[(2, call(2))]);
        }
        stop(server);
        let lines = lines(&folder.join("calls.jsonl"));
        check(&lines[0], 2, &call(2));
        assert_eq!(lines.len(), 3);
        for line in &lines[1..] {
            for (field, shown) in [
                ("attempt", json!("same")),
                ("verdict", json!("reject")),
                ("code", json!("R03")),
                ("status", json!(603)),
                ("number", json!("+447700900999")),
                ("call_id", json!("call-2@127.0.0.1")),
                ("weight", json!(1)),
            ] {
                assert_eq!(line[field], shown, "{field}");
            }
            assert_eq!(line.get("rule"), None);
        }
    }

    #[test]
    fn masked_digits_are_in_no_field() {
        let folder = folder("mask", Path::new("calls.jsonl"), "mask_digits = 4\n");
        let server = Server::start(&folder);
        ask_all(&client(server.udp), 0..1);
        stop(server);
        let lines = lines(&folder.join("calls.jsonl"));
        for (field, shown) in [
            ("dialled", "01144207183xxxx"),
            ("number", "+44207183xxxx"),
            ("caller", "xxxx"),
            ("calling", "xxxx"),
            ("call_id", "call-0@127.0.0.1"),
        ] {
            assert_eq!(lines[0][field], shown, "{field}");
        }
    }

    #[test]
    fn untrusted_headers_are_no_facts_and_detection_says_what_it_would() {
        let folder = folder(
            "trust",
            Path::new("calls.jsonl"),
            "approved_per_second = 0\n",
        );
        let domains = folder.join("bundle/domains.toml");
        let text = fs::read_to_string(&domains)
            .unwrap()
            .replace("trust_headers = true", "trust_headers = false")
            .replace("mode = \"prevention\"", "mode = \"detection\"")
            .replace(
                "profile =",
                "calling_from = [\"P-Asserted-Identity\", \"From\"]\nprofile =",
            );
        fs::write(&domains, text).unwrap();
        let server = Server::start(&folder);
        let mut call = call(2);
        call.headers = b"P-tfps: 1001;pbx;192.0.2.7;Phone;3\r\nUser-Agent: PBX\r\n\
                         P-Asserted-Identity: <sip:+15551234@x>\r\n"
            .to_vec();
        ask(&client(server.udp), &[(0, call)]);
        stop(server);
        let lines = lines(&folder.join("calls.jsonl"));
        let line = &lines[0];
        for (field, shown) in [
            ("caller", json!("+15551234")),
            ("calling", json!("+15551234")),
            ("agent", json!("PBX")),
            ("address", Value::Null),
            ("reported_calls", Value::Null),
            ("verdict", json!("approve")),
            ("code", json!("A00")),
            ("would", json!("R03")),
            ("rule", json!("lists/numbers.csv:2")),
            ("status", json!(302)),
        ] {
            assert_eq!(*line.get(field).unwrap_or(&Value::Null), shown, "{field}");
        }
    }

    #[test]
    fn config_shows_the_journal_in_force() {
        let folder = folder(
            "config",
            Path::new("j.jsonl"),
            "approved_per_second = \"all\"\n",
        );
        let shown = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("config")
            .arg("--config")
            .arg(folder.join("tollgate.toml"))
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        for line in [
            "[journal]",
            "approved_per_second = \"all\"",
            "rotate = \"36500d\"",
            "keep = \"30d\"",
            "mask_digits = 0",
        ] {
            assert!(shown.lines().any(|it| it == line), "{line} in\n{shown}");
        }
        assert!(shown.contains("rejected_per_second = 20000 # "), "{shown}");
    }
}
