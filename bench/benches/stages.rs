//! What each stage of a batch of 32 takes, and the whole: `cargo bench -p tollgate-bench --bench stages`.
//!
//! Promises: every batch is of new packets, taken in before the clock starts; each measurement checks its result, so that
//! a stage that does nothing is not fast but wrong.

use criterion::measurement::{Measurement as _, WallTime};
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use std::time::Duration;
use tollgate::limits::BATCH_DATAGRAMS;
use tollgate::uas::Uas;
use tollgate_bench::work::{Work, policy, policy_without_limits};

type Batch = Work<Uas>;

/// Numbers on the lists beside those that are called.
const LISTED: u64 = 1_000_000;

/// Measures `stage` alone: what it needs is done before, and what it yields is looked at after.
fn measure(
    bencher: &mut Bencher<'_>,
    work: &mut Batch,
    before: fn(&mut Batch),
    stage: fn(&mut Batch),
    after: fn(&mut Batch),
) {
    bencher.iter_custom(|iterations| {
        let mut time = Duration::ZERO;
        for _ in 0..iterations {
            work.receive();
            before(work);
            let start = WallTime.start();
            stage(work);
            time += WallTime.end(start);
            after(work);
        }
        time
    });
}

/// The batch was decided as its numbers ask.
fn decided(work: &mut Batch) {
    let outcomes = work.check_outcomes();
    assert!(outcomes.is_ok(), "{outcomes:?}");
}

/// The batch was answered as its numbers ask.
fn answered(work: &mut Batch) {
    let answers = work.check_answers();
    assert!(answers.is_ok(), "{answers:?}");
}

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch of 32");
    let batch = u64::try_from(BATCH_DATAGRAMS).unwrap_or(0);
    group.throughput(Throughput::Elements(batch));
    let policy = Arc::new(policy(LISTED).expect("the sample is whole: a test holds it to that"));
    for octets in [966, 600, 1400] {
        let work = Work::new(octets, Arc::clone(&policy));
        let mut work = work.expect("these lengths can be made: a test holds them to that");
        let work = &mut work;
        group.bench_function(format!("scan, {octets} octets"), |bencher| {
            // Only what was scanned can be decided.
            measure(
                bencher,
                work,
                |_| {},
                Batch::scan,
                |work| {
                    work.admit();
                    work.decide();
                    work.respond();
                    decided(work);
                },
            );
        });
        group.bench_function(format!("admit, {octets} octets"), |bencher| {
            measure(bencher, work, Batch::scan, Batch::admit, |work| {
                work.decide();
                work.respond();
                decided(work);
            });
        });
        group.bench_function(format!("decide, {octets} octets"), |bencher| {
            let before = |work: &mut Batch| {
                work.scan();
                work.admit();
            };
            let decide = |work: &mut Batch| {
                work.touch();
                work.decide();
            };
            measure(bencher, work, before, decide, |work| {
                work.respond();
                decided(work);
            });
        });
        group.bench_function(format!("respond, {octets} octets"), |bencher| {
            let before = |work: &mut Batch| {
                work.scan();
                work.admit();
                work.touch();
                work.decide();
            };
            measure(bencher, work, before, Batch::respond, answered);
        });
        group.bench_function(format!("whole, {octets} octets"), |bencher| {
            measure(bencher, work, |_| {}, Batch::answer, answered);
        });
    }
    let policy = policy_without_limits(LISTED).expect("the sample is whole");
    let work = Work::new(966, Arc::new(policy));
    let mut work = work.expect("this length can be made: a test holds it to that");
    group.bench_function("whole, 966 octets, no limits", |bencher| {
        measure(bencher, &mut work, |_| {}, Batch::answer, answered);
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
