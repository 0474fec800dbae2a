//! A thousand reloads at half load, beside the same load without any: what `tests/long reload` runs.
//!
//! Promises: fails when a call is lost or gets a wrong verdict, when a transaction has answers of two policies, when the
//! kernel drops a datagram, when a shard frees more than 4 KiB at once, or when a reload does not change the policy in force.
//! Times are of this machine at this moment: they are told as differences and ratios within the run, and judged only with
//! `TOLLGATE_RELOAD_STRICT=1`.
//!
//! `TOLLGATE_LOADGEN` names the generator's program; `TOLLGATE_RELOADS` (1,000), `TOLLGATE_RELOAD_RATE` (100,000 calls a
//! second), `TOLLGATE_RELOAD_SECONDS` (10, of each of 20 runs), `TOLLGATE_RELOAD_SHARDS` (1) and `TOLLGATE_RELOAD_THREADS` (1,
//! of the generator) change what is done.

#![expect(unsafe_code, reason = "a counting allocator is an allocator")]

#[cfg(test)]
#[path = "common/counting_allocator.rs"]
#[expect(dead_code, reason = "allocations are counted by another test")]
mod counting_allocator;

#[cfg(test)]
#[path = "common/watched.rs"]
mod watched;

#[cfg(test)]
mod reload_load {
    use super::counting_allocator::{Counting, LARGE_BYTES, large_frees};
    use super::watched::{Rounds, Watched};
    use serde_json::Value;
    use std::fs;
    use std::net::{SocketAddr, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;
    use tollgate::clock::Clock;
    use tollgate::control::{self, Listener, SAMPLE_BUNDLE, Source};
    use tollgate::limits::RECEIVE_BUFFER_BYTES;
    use tollgate::process::{Node, NodeSetup, Operation};
    use tollgate::shard::allowed_cores;
    use tollgate::uas::{TransactionMemory, Uas, entries_for};

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    const PATIENCE: Duration = Duration::from_secs(120);
    /// Pairs of runs, one with reloads and one without, in turns first.
    const PAIRS: usize = 10;
    /// The number that is denied by every other bundle. No call of the generator dials it.
    const TURNED: &str = "390612345678";
    /// A swap is surrounded by these milliseconds: building goes before it.
    const BEFORE_MS: u64 = 30;
    const AFTER_MS: u64 = 20;
    /// What the socket must be granted, octets as the kernel charges them.
    const GRANTED_MIN: u64 = 8 << 20;
    /// What is aimed at.
    const GAP_MORE_US_MAX: f64 = 100.0;
    const P99_RATIO_MAX: f64 = 1.25;

    fn setting(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    }

    fn folder() -> PathBuf {
        let unique = format!("reload-load-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(folder.join("bundle/lists")).unwrap();
        let config = "[[listen]]\nudp = \"127.0.0.1:0\"\n[bundle]\npath = \"bundle\"\n";
        fs::write(folder.join("tollgate.toml"), config).unwrap();
        for (path, text) in SAMPLE_BUNDLE {
            fs::write(folder.join("bundle").join(path), text).unwrap();
        }
        folder
    }

    /// Denies the turned number or not, besides others that make the table large.
    fn list(folder: &Path, deny: bool) {
        let mut rows = "scope,kind,match,verdict,code,reason,source,expires\n".to_owned();
        if deny {
            rows += &format!("system,number,{TURNED},deny,,,,\n");
        }
        for number in 0..2000 {
            rows += &format!("system,number,39069{number:07},deny,,,,\n");
        }
        fs::write(folder.join("bundle/lists/turned.csv"), rows).unwrap();
    }

    /// Calls the turned number over and over, each call twice; how often it was approved and rejected, and how often it
    /// was asked again for want of an answer.
    fn twice(to: SocketAddr, stop: &AtomicBool) -> [u64; 3] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        let via = socket.local_addr().unwrap();
        let mut seen = [0; 3];
        let mut again = 0;
        let mut round = 0_u64;
        let mut bytes = [0; 4000];
        while !stop.load(Ordering::Acquire) {
            round += 1;
            let call = format!(
                "INVITE sip:{TURNED}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKt{round}\r\nMax-Forwards: 70\r\n\
                 From: <sip:1@{via}>;tag=f\r\nTo: <sip:2@{to}>\r\nCall-ID: t{round}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            );
            let mut ask = || {
                // RFC 3261 §17.1.1.2: Timer A doubles from T1, Timer B gives up.
                let mut patience = Duration::from_millis(500);
                while patience < PATIENCE {
                    socket.send(call.as_bytes()).unwrap();
                    socket.set_read_timeout(Some(patience)).unwrap();
                    while let Ok(length) = socket.recv(&mut bytes) {
                        let answer = String::from_utf8_lossy(&bytes[..length]).into_owned();
                        // Else a late one to a call that was sent again.
                        if answer.contains(&format!("Call-ID: t{round}\r\n")) {
                            return answer;
                        }
                    }
                    patience *= 2;
                    again += 1;
                }
                panic!("no answer to call {round}");
            };
            let first = ask();
            assert_eq!(first, ask(), "two policies in one transaction");
            match first.split(' ').nth(1) {
                Some("302") => seen[0] += 1,
                Some("603") => seen[1] += 1,
                _ => panic!("{first}"),
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        seen[2] = again;
        seen
    }

    fn generator(to: SocketAddr, seconds: u64, run: u64, json: &Path) -> Child {
        let program = std::env::var("TOLLGATE_LOADGEN")
            .expect("TOLLGATE_LOADGEN is to name the generator's program, as tests/long does");
        Command::new(program)
            .args(["run", "--target", &to.to_string()])
            .args([
                "--rate",
                &setting("TOLLGATE_RELOAD_RATE", 100_000).to_string(),
            ])
            .args([
                "--duration",
                &format!("{seconds}s"),
                "--seed",
                &run.to_string(),
            ])
            .args([
                "--threads",
                &setting("TOLLGATE_RELOAD_THREADS", 1).to_string(),
            ])
            .arg("--json")
            .arg(json)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// What one run of the generator came to.
    struct Run {
        p99_us: f64,
        answered: u64,
        valid: bool,
    }

    fn judged(json: &Path) -> Run {
        let text = fs::read_to_string(json).expect("the generator wrote its results");
        let result: Value = serde_json::from_str(&text).unwrap();
        for nought in ["lost", "wrong", "unexpected"] {
            assert_eq!(result[nought], 0, "{nought} in {result}");
        }
        Run {
            p99_us: result["latency_us"]["intended"]["p99"].as_f64().unwrap(),
            answered: result["answered"].as_u64().unwrap(),
            valid: result["valid"] == Value::Bool(true),
        }
    }

    fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 1 {
            return values[middle];
        }
        f64::midpoint(values[middle - 1], values[middle])
    }

    /// The longest gap around each of these moments.
    fn gaps_us(rounds: &Rounds, moments: &[Vec<u64>]) -> Vec<f64> {
        let each = moments.iter().enumerate().flat_map(|(shard, moments)| {
            moments.iter().filter_map(move |at| {
                let longest =
                    rounds.longest_us(shard, at.saturating_sub(BEFORE_MS), at + AFTER_MS)?;
                Some(f64::from(longest))
            })
        });
        each.collect()
    }

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "one experiment from its set-up to its figures"
    )]
    fn a_thousand_reloads_at_half_load_are_not_noticed() {
        let reloads = setting("TOLLGATE_RELOADS", 1000);
        let seconds = setting("TOLLGATE_RELOAD_SECONDS", 10);
        let rate = setting("TOLLGATE_RELOAD_RATE", 100_000);
        let shards = usize::try_from(setting("TOLLGATE_RELOAD_SHARDS", 1)).unwrap();
        let folder = folder();
        list(&folder, true);
        let loaded = control::load(&Source::File(folder.join("tollgate.toml"))).unwrap();
        let memory = Arc::new(TransactionMemory::new(entries_for(rate), [7; 16]));
        let cores = allowed_cores();
        let setup = NodeSetup {
            listeners: vec![Listener::at("127.0.0.1:0".parse().unwrap())],
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            admin: "127.0.0.1:0".parse().unwrap(),
            // On cores of their own if there are so many, and one for everything else.
            cores: (0..shards)
                .map(|number| cores.get(number).copied().filter(|_| shards < cores.len()))
                .collect(),
            operation: Operation {
                bundles: Some(loaded.bundles()),
                ..Operation::default()
            },
            rows: loaded.rows,
            memory: Some(Arc::clone(&memory)),
            events: Vec::new(),
            journal: None,
        };
        let clock = Clock::start();
        // A run ends 32 s after its last call at the latest, when calls were lost; then it fails.
        let room_ms = usize::try_from(2 * seconds + 70).unwrap() * PAIRS * 1000;
        let policies = usize::try_from(reloads).unwrap() + 8;
        let rounds = Rounds::new(shards, room_ms, policies);
        let stages = Watched::new(Uas::new([1; 16]).with_memory(memory)).timed(Arc::clone(&rounds));
        let node = Node::start(setup, &stages).unwrap();
        let granted = node.receive_buffer_bytes();
        assert!(
            granted >= GRANTED_MIN,
            "the socket was granted {granted} octets; raise net.core.rmem_max to {}",
            GRANTED_MIN / 2
        );
        let to = node.listeners()[0];
        let stop = Arc::new(AtomicBool::new(false));
        let caller = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || twice(to, &stop))
        };
        // What a shard frees when it first sees a datagram is its own.
        thread::park_timeout(Duration::from_millis(100));
        let frees_before = large_frees();

        let (tell, told) = mpsc::channel();
        let mut deny = false;
        let mut done = 0;
        let mut ratios = Vec::new();
        let mut quiet_moments: Vec<Vec<u64>> = vec![Vec::new(); shards];
        let (mut answered, mut invalid) = (0, 0);
        let json = folder.join("results.json");
        let each_ns = PAIRS as u64 * seconds * 1_000_000_000 / reloads.max(1);
        for pair in 0..PAIRS {
            let mut p99_us = [0.0; 2];
            for turn in 0..2 {
                let with_reloads = (pair + turn) % 2 == 1;
                let run = u64::try_from(2 * pair + turn).unwrap();
                let mut generating = generator(to, seconds, run, &json);
                let began_ns = clock.now().monotonic_ns;
                let wanted = reloads * (pair as u64 + 1) / PAIRS as u64;
                let mut due_ns = began_ns + each_ns / 2;
                while generating.try_wait().unwrap().is_none() {
                    let now_ns = clock.now().monotonic_ns;
                    if now_ns < due_ns {
                        thread::park_timeout(
                            Duration::from_nanos(due_ns - now_ns).min(Duration::from_millis(20)),
                        );
                        continue;
                    }
                    if now_ns > began_ns + seconds * 1_000_000_000 {
                        due_ns = u64::MAX;
                        continue;
                    }
                    due_ns += each_ns;
                    if !with_reloads {
                        // The node's clock began a little later than this one: any moment without a swap is as good.
                        for moments in &mut quiet_moments {
                            moments.push(now_ns / 1_000_000);
                        }
                        continue;
                    }
                    if done < wanted {
                        deny = !deny;
                        list(&folder, !deny);
                        let tell = tell.clone();
                        node.reload(move |outcome| tell.send(outcome).unwrap());
                        let outcome = told.recv_timeout(PATIENCE).unwrap();
                        assert!(outcome.unwrap().changed);
                        done += 1;
                    }
                }
                let _exit = generating.wait().unwrap();
                let run = judged(&json);
                p99_us[usize::from(with_reloads)] = run.p99_us;
                answered += run.answered;
                invalid += u32::from(!run.valid);
            }
            println!(
                "pair {}: p99 without reloads {} µs, with {} µs; reloads so far {done}",
                pair + 1,
                p99_us[0],
                p99_us[1]
            );
            ratios.push(p99_us[1] / p99_us[0].max(1.0));
        }
        stop.store(true, Ordering::Release);
        let [approved, rejected, again] = caller.join().unwrap();
        let frees = large_frees() - frees_before;
        let sums = node.stop();

        let swaps = rounds.swaps();
        let swapped: usize = swaps.iter().map(Vec::len).sum();
        let mut with = gaps_us(&rounds, &swaps);
        let mut without = gaps_us(&rounds, &quiet_moments);
        assert!(!with.is_empty() && !without.is_empty());
        let (with_us, without_us) = (median(&mut with), median(&mut without));
        let ratio = median(&mut ratios);
        println!(
            "offered {rate} calls a second to {shards} shard(s), receive buffer {granted} octets granted"
        );
        println!("reloads {done}, swaps seen by shards {swapped}, calls answered {answered}");
        println!(
            "lost 0, wrong verdicts 0, answers of two policies 0 (approved {approved}, rejected {rejected}, asked again {again})"
        );
        println!(
            "frees over {LARGE_BYTES} octets on shards {frees}, dropped by the kernel {}",
            sums.kernel_dropped
        );
        println!(
            "longest loop gap around a swap, median {with_us} µs of {}; without swaps {without_us} µs of {}: {} µs more (aim: {GAP_MORE_US_MAX} at most)",
            with.len(),
            without.len(),
            with_us - without_us
        );
        println!(
            "p99 with reloads by p99 without, median of {PAIRS} pairs: {ratio:.3} (aim: {P99_RATIO_MAX} at most)"
        );
        println!(
            "runs in which the generator was too late to be believed: {invalid} of {}",
            2 * PAIRS
        );
        assert_eq!(frees, 0);
        assert_eq!(sums.kernel_dropped, 0);
        assert!(approved > 0 && rejected > 0);
        // A reload that came while no call did is seen with the next one.
        assert!(
            done + 10 >= reloads,
            "there was time for {done} of {reloads} reloads only; raise TOLLGATE_RELOAD_SECONDS"
        );
        assert!(swapped > 0);
        if std::env::var("TOLLGATE_RELOAD_STRICT").is_ok_and(|strict| strict == "1") {
            assert_eq!(invalid, 0);
            assert!(with_us - without_us <= GAP_MORE_US_MAX && ratio <= P99_RATIO_MAX);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
