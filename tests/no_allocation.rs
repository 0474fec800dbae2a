//! From scan to respond nothing is allocated, whatever the datagram is.

#![expect(unsafe_code, reason = "a counting allocator is an allocator")]

#[cfg(test)]
#[path = "common/counting_allocator.rs"]
#[expect(dead_code, reason = "frees are watched by another test")]
mod counting_allocator;
#[cfg(test)]
#[path = "common/rows.rs"]
mod rows;

#[cfg(test)]
mod no_allocation {
    use super::counting_allocator::{Counting, allocations};
    use super::rows;
    use std::fs;
    use std::hint::black_box;
    use std::net::UdpSocket;
    use std::path::Path;
    use std::sync::Arc;
    use tollgate::counters::{Counters, Size};
    use tollgate::event::Event;
    use tollgate::limits::{BATCH_DATAGRAMS, RECEIVE_BUFFER_BYTES, RESPONSE_BYTES_MAX};
    use tollgate::net::{Answer, RxBatch, Stretch, TxBatch, bind_group};
    use tollgate::policy::Code;
    use tollgate::policy::rows::{Count, During, LimitAction, LimitRow, Whereto, Who, Window};
    use tollgate::uas::{Packet, Slot, Touch, TransactionMemory, Uas};

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn the_counter_counts() {
        let before = allocations();
        black_box(Vec::<u8>::with_capacity(black_box(10)));
        assert!(allocations() > before);
    }

    #[test]
    fn no_message_makes_us_allocate() {
        let mut rows = rows::approving();
        rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
        // Some calls are counted, some reach the maximum, some are held.
        rows.policies[0].limits = [Whereto::Number, Whereto::Country]
            .map(|to| LimitRow {
                name: format!("{to:?}"),
                who: Who {
                    subscriber: true,
                    caller: true,
                    ..Who::default()
                },
                to,
                count: Count::Attempts,
                window: Some(Window::Seconds(60)),
                warn: Some(1),
                max: 2,
                hold_s: Some(60),
                during: During::Always,
                action: LimitAction::Reject,
                code: Code::R13,
            })
            .to_vec();
        let policy = rows::snapshot(&rows);
        let memory =
            Arc::new(TransactionMemory::new(4096, [9; 16]).expect("there is address space"));
        let size = Size {
            keys: 4096,
            attempts: 4096,
        };
        let counters = Arc::new(Counters::new(size, [5; 32]).expect("address space"));
        let uas = Uas::new([7; 16])
            .with_memory(memory)
            .with_counters(Arc::clone(&counters));
        let now = rows::at_ms(0);
        let mut slot = Slot::new();
        let mut out = [0_u8; RESPONSE_BYTES_MAX];
        let mut event = Event::EMPTY;
        let mut answered = 0;
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for folder in [
            "captures",
            "rfc4475",
            "rfc5118",
            "rfc5118-cl-fixed",
            "../fuzz/corpus/answer",
            "../fuzz/corpus/scan",
        ] {
            for entry in fs::read_dir(data.join(folder)).expect("a folder") {
                let path = entry.expect("an entry").path();
                let Ok(bytes) = fs::read(&path) else { continue };
                for source in [
                    "127.0.0.1:40000",
                    "127.0.0.20:5060",
                    "[::1]:5060",
                    "10.0.0.1:5060",
                ] {
                    let packet = Packet {
                        bytes: &bytes,
                        full_length: bytes.len(),
                        source: source.parse().expect("an address"),
                    };
                    let before = allocations();
                    uas.scan(&policy, &packet, &mut slot);
                    uas.admit(&policy, &packet, &mut slot);
                    for step in Touch::STEPS {
                        uas.touch(&policy, &mut slot, step);
                    }
                    uas.decide(&policy, &packet, now, &mut slot);
                    let reply = uas.respond(&policy, &packet, &slot, &mut out);
                    let attempt = slot.attempt(&bytes);
                    if let Some(attempt) = &attempt {
                        let calling = slot.calling_number(&bytes).unwrap_or_default();
                        event.set_attempt(attempt, slot.screening_trusted(), calling);
                    }
                    assert_eq!(allocations(), before, "{}", path.display());
                    answered += usize::from(black_box(reply).is_some());
                    black_box(attempt);
                }
            }
        }
        assert!(answered > 200, "{answered}");
        let usage = counters.usage();
        assert!(usage.used > 10 && usage.holds > 0, "{usage:?}");
    }

    #[test]
    fn receiving_and_sending_runs_allocates_nothing() {
        let any = "0.0.0.0:0".parse().expect("an address");
        let mut group = bind_group(any, 1, RECEIVE_BUFFER_BYTES).expect("a socket");
        let to = ("127.0.0.1", group[0].address().port());
        let peers = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let mut rx = RxBatch::new();
        let mut tx = TxBatch::new();
        let mut in_runs = 0;
        for round in 0..20 {
            group[0].set_sends_runs(round % 2 == 0);
            for number in 0..BATCH_DATAGRAMS {
                let length = 100 + 7 * number;
                let peer = &peers[number % peers.len()];
                peer.send_to(&[b'x'; 400][..length], to).expect("room");
            }
            let before = allocations();
            black_box(rx.receive(&group[0]));
            for datagram in rx.iter() {
                let out = tx.next_slot().expect("room");
                let length = datagram.bytes.len();
                out[..length].copy_from_slice(datagram.bytes);
                let answer = Answer {
                    stretch: Stretch {
                        at: length - 5,
                        length_max: 2 * length,
                    },
                    ..Answer::fixed(length, datagram.source)
                };
                tx.commit(answer, datagram.local);
            }
            let report = tx.send(&group[0], 0);
            assert_eq!(allocations(), before, "round {round}");
            assert_eq!(report.sent, 32);
            in_runs += report.in_runs;
        }
        assert!(in_runs >= 250, "{in_runs}");
    }
}
