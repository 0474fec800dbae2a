//! What counting takes: one key again and again, and batches of 32 keys out of many that are live, each asked for before any
//! is added to: `cargo bench -p tollgate-bench --bench counters`. `TOLLGATE_LIVE_KEYS` says how many are live (10,000,000 want
//! about 1.5 GB; 100,000 unless said).
//!
//! Promises: every addition is counted and looked at; the times are for one addition with the making of its key.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tollgate::clock::Now;
use tollgate::counters::{
    Count, Counted, Counters, IfFull, LimitId, Owner, Part, Seen, Size, Window,
};
use tollgate::limits::BATCH_DATAGRAMS;

/// Owners, so that no share is full.
const OWNERS: u64 = 10_000;

fn now(ns: u64) -> Now {
    Now {
        monotonic_ns: ns,
        unix_us: 1_790_000_000_000_000 + ns / 1000,
    }
}

fn count(counters: &Counters, limit: LimitId, number: u64, window: Window) -> Count {
    let parts = [Part::of_word(number), Part::of_word(number >> 7)];
    Count {
        seen: Seen::Unseen,
        key: counters.hasher().key(limit, &parts),
        owner: Owner(Part::of_word(number % OWNERS + 1)),
        if_full: IfFull::Refuse,
        window,
        amount: 1,
        warn: None,
        max: 1 << 30,
    }
}

/// The sum; 0 when there was no room, which no measurement takes.
fn added(counted: Counted) -> u64 {
    match counted {
        Counted::Sum(sum) => sum.total,
        Counted::Full => 0,
    }
}

fn windows() -> [(&'static str, Window); 3] {
    let day = Window::Since {
        start_unix_s: 1_790_000_040,
        end_unix_s: 1_790_086_440,
    };
    [
        ("15 minutes", Window::Seconds(900)),
        ("a day's seconds", Window::Seconds(86_400)),
        ("day", day),
    ]
}

fn warm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("counters, warm");
    let size = Size {
        keys: 1 << 16,
        attempts: 1 << 10,
    };
    let counters = Counters::new(size, [9; 32]).expect("there is address space");
    for (name, window) in windows() {
        // As limits have it: another window is another sum.
        let limit = LimitId::new(&["bench", name]);
        let mut at_ns = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at_ns += 1000;
                let count = count(&counters, limit, black_box(1), window);
                assert!(added(counters.add(&count, now(at_ns))) > 0);
            });
        });
    }
    group.finish();
}

fn many(criterion: &mut Criterion) {
    let keys = std::env::var("TOLLGATE_LIVE_KEYS").unwrap_or_default();
    let keys: u64 = keys.parse().unwrap_or(100_000);
    let mut group = criterion.benchmark_group(format!("counters, batch of 32 of {keys} live keys"));
    let batch = u64::try_from(BATCH_DATAGRAMS).unwrap_or(0);
    group.throughput(Throughput::Elements(batch));
    // Twice the room: with every place promised, a few of a hundred thousand keys meet a full set.
    let size = Size {
        keys: u32::try_from(keys * 2 + 64).expect("no more than a table can have"),
        attempts: 1 << 10,
    };
    let limit = LimitId::new(&["bench"]);
    for (name, window) in windows() {
        let counters = Counters::new(size, [9; 32]).expect("there is address space");
        for number in 0..keys {
            added(counters.add(&count(&counters, limit, number, window), now(0)));
        }
        assert_eq!(counters.usage().used, keys);
        let mut random = 1_u64;
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    [(); BATCH_DATAGRAMS].map(|()| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        (random >> 20) % keys
                    })
                },
                |numbers| {
                    let mut counts = numbers.map(|number| count(&counters, limit, number, window));
                    counts.iter().for_each(|count| counters.touch(&count.key));
                    for count in &mut counts {
                        count.seen = counters.fetch(&count.key, count.owner);
                    }
                    for count in &counts {
                        assert!(added(counters.add(count, now(1000))) > 1);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, warm, many);
criterion_main!(benches);
