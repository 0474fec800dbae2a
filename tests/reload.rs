//! Reloads under load: nothing is lost, no transaction is answered by two policies, and no shard ever frees a snapshot.
//!
//! `TOLLGATE_RELOADS` changes their number; `tests/long` has 1,000.

#![expect(unsafe_code, reason = "a counting allocator is an allocator")]

#[cfg(test)]
#[path = "common/counting_allocator.rs"]
#[expect(dead_code, reason = "allocations are counted by another test")]
mod counting_allocator;

#[cfg(test)]
#[path = "common/watched.rs"]
#[expect(dead_code, reason = "when the loops go round is another test's affair")]
mod watched;

#[cfg(test)]
mod reload {
    use super::counting_allocator::{Counting, LARGE_BYTES, large_frees, watch};
    use super::watched::Watched;
    use std::fs;
    use std::hint::black_box;
    use std::net::{SocketAddr, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;
    use tollgate::control::{self, Listener, Source};
    use tollgate::limits::RECEIVE_BUFFER_BYTES;
    use tollgate::process::{Node, NodeSetup, Operation};
    use tollgate::uas::{TransactionMemory, Uas};

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    const PATIENCE: Duration = Duration::from_secs(60);
    /// Calls that wait for their answers at a time.
    const WINDOW: usize = 32;
    /// Between two rounds of calls.
    const PACE: Duration = Duration::from_millis(8);
    const HEADER: &str = "scope,kind,match,verdict,code,reason,source,expires\n";

    fn folder() -> PathBuf {
        let unique = format!("reload-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(folder.join("bundle/lists")).unwrap();
        for (path, text) in [
            (
                "tollgate.toml",
                "[[listen]]\nudp = \"127.0.0.1:0\"\n[bundle]\npath = \"bundle\"\n",
            ),
            (
                "bundle/domains.toml",
                "[[domain]]\nname = \"d\"\npeers = [\"127.0.0.1\"]\nmode = \"prevention\"\ntrust_headers = false\n\
                 default_policy = \"std\"\ndefault_subscriber = \"unknown\"\nprofile = \"redirect\"\nbare_e164 = true\n",
            ),
            ("bundle/policies.toml", "[[policy]]\nname = \"std\"\n"),
        ] {
            fs::write(folder.join(path), text).unwrap();
        }
        folder
    }

    /// The number that is called, and enough others that the table of them is large.
    fn list(folder: &Path, deny: bool) {
        let mut rows = HEADER.to_owned();
        if deny {
            rows += "system,number,390612345678,deny,,,,\n";
        }
        for number in 0..2000 {
            rows += &format!("system,number,39069{number:07},deny,,,,\n");
        }
        fs::write(folder.join("bundle/lists/a.csv"), rows).unwrap();
    }

    /// What the caller saw.
    #[derive(Debug, Default)]
    struct Seen {
        approved: u64,
        rejected: u64,
        repeated: u64,
    }

    /// Calls again and again, each twice: the second is a retransmission of the first, and its answer must be the same,
    /// whatever policy is in force by then.
    fn call(to: SocketAddr, stop: &AtomicBool) -> Seen {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let via = socket.local_addr().unwrap();
        let mut seen = Seen::default();
        let mut round = 0_u64;
        let mut bytes = [0; 4000];
        let mut receive = || {
            let length = socket
                .recv(&mut bytes)
                .expect("an answer: none may be lost");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        while !stop.load(Ordering::Acquire) {
            let calls: Vec<String> = (0..WINDOW)
                .map(|call| {
                    format!(
                        "INVITE sip:390612345678@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{round}-{call}\r\n\
                         Max-Forwards: 70\r\nFrom: <sip:1@{via}>;tag=f\r\nTo: <sip:2@{to}>\r\nCall-ID: {round}-{call}\r\n\
                         CSeq: 1 INVITE\r\nContact: <sip:1@{via}>\r\nContent-Length: 0\r\n\r\n"
                    )
                })
                .collect();
            let mut answers: [Vec<String>; 2] = [Vec::new(), Vec::new()];
            for answers in &mut answers {
                for call in &calls {
                    socket.send(call.as_bytes()).unwrap();
                }
                answers.extend(calls.iter().map(|_| receive()));
                answers.sort();
            }
            assert_eq!(answers[0], answers[1], "two policies in one transaction");
            for answer in &answers[0] {
                match answer.split(' ').nth(1) {
                    Some("302") => seen.approved += 1,
                    Some("603") => seen.rejected += 1,
                    _ => panic!("{answer}"),
                }
            }
            seen.repeated += u64::try_from(WINDOW).unwrap();
            round += 1;
            // A pace, so that a machine of few cores has time left for building policies, which gives way to calls.
            thread::park_timeout(PACE);
        }
        seen
    }

    #[test]
    fn a_large_free_on_a_watched_thread_is_seen() {
        // A thread of its own, so that only this free is counted there.
        thread::spawn(|| {
            watch(true);
            let before = large_frees();
            drop(black_box(vec![0_u8; LARGE_BYTES + 1]));
            assert!(large_frees() > before);
            LARGE_FREES_OF_THE_TEST.store(true, Ordering::Release);
        })
        .join()
        .unwrap();
    }

    /// The two tests share one counter, and this one must not count what the other frees.
    static LARGE_FREES_OF_THE_TEST: AtomicBool = AtomicBool::new(false);

    #[test]
    fn reloads_lose_nothing_and_no_shard_frees_a_policy() {
        let reloads: u64 =
            std::env::var("TOLLGATE_RELOADS").map_or(12, |text| text.parse().unwrap());
        let folder = folder();
        list(&folder, false);
        let loaded = control::load(&Source::File(folder.join("tollgate.toml"))).unwrap();
        let memory =
            Arc::new(TransactionMemory::new(1 << 20, [7; 16]).expect("there is address space"));
        let setup = NodeSetup {
            listeners: vec![Listener::at("127.0.0.1:0".parse().unwrap())],
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            admin: "127.0.0.1:0".parse().unwrap(),
            cores: vec![None; 2],
            operation: Operation {
                bundles: Some(loaded.bundles()),
                ..Operation::default()
            },
            rows: loaded.rows,
            memory: Some(Arc::clone(&memory)),
            events: Vec::new(),
            journal: None,
        };
        let node =
            Node::start(setup, &Watched::new(Uas::new([1; 16]).with_memory(memory))).unwrap();
        let to = node.listeners()[0];
        let stop = Arc::new(AtomicBool::new(false));
        // Several ports, so that both shards are called.
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || call(to, &stop))
            })
            .collect();
        while !LARGE_FREES_OF_THE_TEST.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let before = large_frees();
        let (tell, told) = mpsc::channel();
        for number in 0..reloads {
            list(&folder, number % 2 == 0);
            let tell = tell.clone();
            node.reload(move |outcome| tell.send(outcome).unwrap());
            let outcome = told.recv_timeout(PATIENCE).unwrap();
            assert!(outcome.unwrap().changed);
        }
        stop.store(true, Ordering::Release);
        let mut sum = Seen::default();
        for caller in callers {
            let seen = caller.join().unwrap();
            sum.approved += seen.approved;
            sum.rejected += seen.rejected;
            sum.repeated += seen.repeated;
        }
        let freed = large_frees() - before;
        let sums = node.stop();
        assert_eq!(
            freed, 0,
            "a shard freed more than {LARGE_BYTES} octets at once"
        );
        assert!(sum.approved > 100 && sum.rejected > 100, "{sum:?}");
        assert_eq!(sums.kernel_dropped, 0);
        assert_eq!(sums.answers, 2 * sum.repeated, "{sum:?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
