//! Two nodes behind Debian's Kamailio with `tuning/kamailio.cfg`, under load: each node in turn is drained, restarted,
//! killed. Every call gets its verdict, whatever happens to the nodes.
//!
//! Promises: the shipped file is used, with addresses of the test's own put in; calls repeat as RFC 3261 §17.1.1.2 says;
//! everything is bounded. Fails, and says which package is missing, where Kamailio is not installed.
//! `TOLLGATE_BALANCER_RATE` changes the 150 calls a second.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod balancer {
    use super::common::server::{Server, node_toml, scratch, signal, write_files};
    use std::collections::BTreeMap;
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;
    use std::{env, fs, thread};
    use tollgate::clock::Clock;

    /// How long anything may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// In the UK and in no list.
    const ORDINARY: &str = "442071838750";
    /// In the list of every node.
    const LISTED: &str = "442079460000";
    const LIST: &str = "scope,kind,match,verdict,code,reason,source,expires\nsystem,number,442079460000,deny,,,,\n";
    /// Users that call, so that the hash has something to spread.
    const USERS: u64 = 64;

    fn shipped() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning/kamailio.cfg");
        fs::read_to_string(path).unwrap()
    }

    fn kamailio() -> Command {
        Command::new("kamailio")
    }

    /// `start`, with a sentence where Kamailio is not installed.
    fn spawned<T>(outcome: io::Result<T>) -> T {
        match outcome {
            Ok(started) => started,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => panic!(
                "Kamailio is not installed; it is in Debian's package `kamailio` (apt-get install kamailio)"
            ),
            Err(error) => panic!("kamailio: {error}"),
        }
    }

    #[test]
    fn kamailio_accepts_the_shipped_configuration() {
        let folder = scratch("kamailio-check");
        write_files(&folder, &[("kamailio.cfg", &shipped())]);
        let output = spawned(
            kamailio()
                .args(["-c", "-f"])
                .arg(folder.join("kamailio.cfg"))
                .output(),
        );
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }

    /// A running Kamailio, ended with its children when it goes.
    struct Balancer {
        child: Child,
        udp: SocketAddr,
    }

    impl Drop for Balancer {
        fn drop(&mut self) {
            // Its main process ends its children, which an outright kill would leave behind.
            signal(self.child.id(), "TERM");
            let _ended = self.child.wait();
        }
    }

    /// Kamailio on `host`, on a port that was free a moment ago; another one if it no longer is.
    fn balancer(folder: &Path, host: &str, nodes: &[SocketAddr]) -> Balancer {
        let list: String = nodes.iter().map(|node| format!("1 sip:{node}\n")).collect();
        for _attempt in 0..10 {
            let udp = UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap();
            let list_file = folder.join("dispatcher.list");
            let mut text = shipped();
            for (from, to) in [
                ("udp:192.0.2.10:5060", format!("udp:{udp}")),
                (
                    "/etc/kamailio/dispatcher.list",
                    list_file.display().to_string(),
                ),
                ("sip:keepalive@192.0.2.10", format!("sip:keepalive@{udp}")),
                ("log_stderror=no", "log_stderror=yes".to_owned()),
                ("children=4", "children=2".to_owned()),
            ] {
                assert_eq!(
                    text.matches(from).count(),
                    1,
                    "{from} in tuning/kamailio.cfg"
                );
                text = text.replace(from, &to);
            }
            write_files(
                folder,
                &[("kamailio.cfg", &text), ("dispatcher.list", &list)],
            );
            let log = fs::File::create(folder.join("kamailio.log")).unwrap();
            let child = spawned(
                kamailio()
                    .args(["-DD", "-E", "-m", "256", "-M", "8", "-f"])
                    .arg(folder.join("kamailio.cfg"))
                    .arg("-Y")
                    .arg(folder)
                    .current_dir(folder)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(log)
                    .spawn(),
            );
            let mut balancer = Balancer { child, udp };
            if answers(&mut balancer) {
                return balancer;
            }
        }
        let log = fs::read_to_string(folder.join("kamailio.log")).unwrap_or_default();
        panic!("Kamailio does not answer:\n{log}");
    }

    /// Waits until it answers OPTIONS; false when it ended instead.
    fn answers(balancer: &mut Balancer) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let deadline = Clock::start();
        while elapsed(&deadline) < PATIENCE {
            let from = socket.local_addr().unwrap();
            let options = format!(
                "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKo{}\r\nMax-Forwards: 9\r\n\
                 From: <sip:t@{from}>;tag=t\r\nTo: <sip:lb>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                balancer.udp,
                deadline.now().monotonic_ns,
            );
            // Refused while nobody listens there.
            let _sent = socket.send_to(options.as_bytes(), balancer.udp);
            let mut bytes = [0; 2000];
            if socket.recv(&mut bytes).is_ok() {
                return true;
            }
            if balancer.child.try_wait().unwrap().is_some() {
                return false;
            }
        }
        false
    }

    fn elapsed(since: &Clock) -> Duration {
        Duration::from_nanos(since.now().monotonic_ns)
    }

    /// A call that waits for its verdict.
    struct Call {
        text: String,
        expected: u16,
        began: Duration,
        /// When it is sent again, and how long after that (RFC 3261 §17.1.1.2, timer A).
        again: Duration,
        interval: Duration,
    }

    /// What became of the calls.
    #[derive(Debug, Default)]
    struct Calls {
        /// By status; what was expected is among them.
        statuses: BTreeMap<u16, u64>,
        /// Calls with another status than expected, or none.
        wrong: Vec<String>,
        longest: Duration,
    }

    /// Calls `to` until told to stop, then waits for the verdicts that are under way.
    fn call(
        to: SocketAddr,
        rate: u64,
        approved: u16,
        rejected: u16,
        stop: &AtomicBool,
        done: &AtomicU64,
    ) -> Calls {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let via = socket.local_addr().unwrap();
        let clock = Clock::start();
        let mut calls = Calls::default();
        let mut waiting: BTreeMap<u64, Call> = BTreeMap::new();
        let mut next = 0;
        let mut bytes = [0; 4000];
        loop {
            let now = elapsed(&clock);
            let stopped = stop.load(Ordering::Acquire);
            while !stopped && next < u64::try_from(now.as_micros()).unwrap() * rate / 1_000_000 {
                let (number, expected) = if next % 4 == 3 {
                    (LISTED, rejected)
                } else {
                    (ORDINARY, approved)
                };
                let user = next % USERS;
                let text = format!(
                    "INVITE sip:{number}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{next}\r\nMax-Forwards: 70\r\n\
                     From: <sip:{user}@{via}>;tag=f{next}\r\nTo: <sip:{number}@{to}>\r\nCall-ID: {next}\r\nCSeq: 1 INVITE\r\n\
                     Contact: <sip:{user}@{via}>\r\nContent-Length: 0\r\n\r\n"
                );
                let interval = Duration::from_millis(500);
                // A full buffer is a lost datagram: it is sent again.
                let _sent = socket.send(text.as_bytes());
                waiting.insert(
                    next,
                    Call {
                        text,
                        expected,
                        began: now,
                        again: now + interval,
                        interval,
                    },
                );
                next += 1;
            }
            if let Ok(length) = socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
                let id = text
                    .split("Call-ID: ")
                    .nth(1)
                    .unwrap()
                    .split("\r\n")
                    .next()
                    .unwrap();
                let id: u64 = id.parse().unwrap();
                if status < 200 {
                    // RFC 3261 §17.1.1.2: a provisional answer ends the repeating.
                    if let Some(call) = waiting.get_mut(&id) {
                        call.again = Duration::MAX;
                    }
                    continue;
                }
                let to_line = text.lines().find(|line| line.starts_with("To:")).unwrap();
                let Some(call) = waiting.get(&id) else {
                    continue;
                };
                let ack = call
                    .text
                    .replace("INVITE", "ACK")
                    .lines()
                    .map(|line| {
                        if line.starts_with("To:") {
                            to_line
                        } else {
                            line
                        }
                    })
                    .fold(String::new(), |text, line| text + line + "\r\n");
                let _sent = socket.send(ack.as_bytes());
                *calls.statuses.entry(status).or_default() += 1;
                calls.longest = calls.longest.max(now.saturating_sub(call.began));
                if status != call.expected {
                    calls.wrong.push(format!("call {id}: {text}"));
                }
                waiting.remove(&id);
                done.fetch_add(1, Ordering::Relaxed);
            }
            for (id, call) in &mut waiting {
                if now >= call.again {
                    let _sent = socket.send(call.text.as_bytes());
                    call.interval *= 2;
                    call.again = now + call.interval;
                }
                assert!(
                    now.saturating_sub(call.began) < PATIENCE,
                    "call {id} has no answer: {calls:?}"
                );
            }
            if stopped && waiting.is_empty() {
                return calls;
            }
        }
    }

    /// A node of its own address, whose port stays the same over restarts.
    struct Node {
        folder: PathBuf,
        server: Option<Server>,
    }

    impl Node {
        fn new(test: &str, host: &str, lb: &str, profile: &str) -> Self {
            let folder = scratch(test);
            let domain = format!(
                "[[domain]]\nname = \"d\"\npeers = [\"127.0.0.1\"]\nproxies = [\"{lb}\"]\nmode = \"prevention\"\n\
                 trust_headers = false\ndefault_policy = \"std\"\ndefault_subscriber = \"unknown\"\nbare_e164 = true\n{profile}"
            );
            let toml = |udp: &str| {
                node_toml(&folder)
                    .replace("udp = \"127.0.0.1:0\"", &format!("udp = \"{udp}\""))
                    .replace("drain_time = \"0s\"", "drain_time = \"5s\"")
            };
            write_files(
                &folder,
                &[
                    ("tollgate.toml", &toml(&format!("{host}:0"))),
                    ("bundle/domains.toml", &domain),
                    ("bundle/policies.toml", "[[policy]]\nname = \"std\"\n"),
                    ("bundle/lists/a.csv", LIST),
                ],
            );
            let server = Server::start(&folder);
            write_files(
                &folder,
                &[("tollgate.toml", &toml(&server.udp.to_string()))],
            );
            Self {
                folder,
                server: Some(server),
            }
        }

        fn server(&self) -> &Server {
            self.server.as_ref().unwrap()
        }

        /// Drains and, when it has ended, starts it again.
        fn drain_and_restart(&mut self) {
            let before = self.server().udp;
            // SIGTERM drains; it ends when the drain time does.
            let stopped = self.server.take().unwrap().stop();
            assert!(stopped.status.success(), "{}", stopped.stderr);
            assert!(
                stopped.stderr.contains("draining for 5 s"),
                "{}",
                stopped.stderr
            );
            self.start(before);
        }

        fn kill_and_restart(&mut self, meanwhile: impl FnOnce()) {
            let before = self.server().udp;
            self.server().signal("KILL");
            drop(self.server.take());
            meanwhile();
            self.start(before);
        }

        fn start(&mut self, before: SocketAddr) {
            let server = Server::start(&self.folder);
            assert_eq!(server.udp, before);
            self.server = Some(server);
        }

        /// INVITEs that got a verdict here.
        fn verdicts(&self) -> u64 {
            let mut stream = TcpStream::connect(self.server().admin).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text.lines()
                .filter(|line| line.starts_with("tollgate_verdicts_total{"))
                .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
                .sum()
        }

        /// Waits until calls come here (again).
        fn called(&self) {
            let before = self.verdicts();
            let since = Clock::start();
            while self.verdicts() < before + 20 {
                assert!(
                    elapsed(&since) < PATIENCE,
                    "no calls come to {}",
                    self.server().udp
                );
                thread::yield_now();
            }
        }
    }

    /// How often the balancer may lose sight of both nodes before it is taken for a fault: it does when the machine gives
    /// its keep-alives or the nodes no processor for two seconds, and then no node can help it.
    const TRIES: usize = 3;

    fn every_call_gets_its_verdict(
        test: &str,
        hosts: [&str; 3],
        profile: &str,
        approved: u16,
        rejected: u16,
    ) {
        let blind = (0..TRIES).all(|_try| {
            !every_call_that_finds_a_node_gets_its_verdict(test, hosts, profile, approved, rejected)
        });
        assert!(!blind, "the balancer found no node in any of {TRIES} runs");
    }

    /// Whether the balancer saw a node at all times.
    fn every_call_that_finds_a_node_gets_its_verdict(
        test: &str,
        hosts: [&str; 3],
        profile: &str,
        approved: u16,
        rejected: u16,
    ) -> bool {
        let [lb, one, two] = hosts;
        let mut nodes = [one, two].map(|host| Node::new(test, host, lb, profile));
        let addresses = nodes.each_ref().map(|node| node.server().udp);
        let folder = scratch(test);
        let balancer = balancer(&folder, lb, &addresses);
        let rate = env::var("TOLLGATE_BALANCER_RATE").map_or(150, |text| text.parse().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let caller = {
            let (stop, done, to) = (Arc::clone(&stop), Arc::clone(&done), balancer.udp);
            thread::spawn(move || call(to, rate, approved, rejected, &stop, &done))
        };
        for node in &nodes {
            node.called();
        }
        for node in &mut nodes {
            node.drain_and_restart();
            node.called();
        }
        // Without any warning the calls under way lose a second, and no verdict.
        nodes[0].kill_and_restart(|| {
            let since = Clock::start();
            let target = done.load(Ordering::Relaxed) + 4 * rate;
            while done.load(Ordering::Relaxed) < target {
                assert!(elapsed(&since) < PATIENCE, "no verdicts any more");
                thread::yield_now();
            }
        });
        nodes[0].called();
        stop.store(true, Ordering::Release);
        let calls = caller.join().unwrap();
        let log = fs::read_to_string(folder.join("kamailio.log")).unwrap_or_default();
        let wrong = calls.wrong.len();
        if wrong > 0 && calls.wrong.iter().all(|answer| answer.contains(" No Node")) {
            return false;
        }
        assert!(
            wrong == 0,
            "{wrong} wrong, the first: {}\n{log}",
            calls.wrong[0]
        );
        assert_eq!(calls.statuses.keys().copied().collect::<Vec<_>>(), {
            let mut both = vec![approved, rejected];
            both.sort_unstable();
            both
        });
        assert!(
            calls.statuses.values().all(|count| *count > 100),
            "{calls:?}"
        );
        for node in nodes {
            node.server().signal("INT");
            let stopped = node.server.unwrap().ended();
            assert!(stopped.status.success(), "{}", stopped.stderr);
        }
        true
    }

    #[test]
    fn redirects_survive_drain_restart_and_death_of_a_node() {
        // SIP-144
        let hosts = ["127.0.0.20", "127.0.0.21", "127.0.0.22"];
        every_call_gets_its_verdict(
            "balancer-redirect",
            hosts,
            "profile = \"redirect\"\n",
            302,
            603,
        );
    }

    /// Wire fact: a balancer that turns 503 into 500, or avoids a node that answers it, breaks every approved call.
    #[test]
    fn approvals_by_503_survive_drain_restart_and_death_of_a_node() {
        let hosts = ["127.0.0.30", "127.0.0.31", "127.0.0.32"];
        let profile = "profile = \"failover\"\nproxy_passes_503 = true\n";
        every_call_gets_its_verdict("balancer-failover", hosts, profile, 503, 486);
    }
}
