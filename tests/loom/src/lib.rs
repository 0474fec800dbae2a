//! The algorithms of `src/counters` as they are, over words whose interleavings are tried one after another, all that can make
//! a difference.
//!
//! Promises: a key that two shards enter at once gets one record, whatever a sweep frees meanwhile; what is found is not freed;
//! what passes a limit is never more than its maximum, nor lost, when time moves on between two shards; each test
//! says how many interleavings it tried.
//! Leaves to `src/counters/tests`: what the sums are.
#![allow(dead_code)]
#![cfg(test)]

/// Switches of thread that nothing forced.
const SWITCHES: usize = 4;

mod small;
mod sums;

/// Runs `test` in every interleaving that can make a difference, and says how many there were.
fn model(name: &str, test: impl Fn() + Sync + Send + 'static) {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let mut model = loom::model::Builder::new();
    model.max_branches = 100_000;
    model.preemption_bound = Some(SWITCHES);
    model.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        test();
    });
    let runs = runs.load(std::sync::atomic::Ordering::Relaxed);
    println!("{name}: {runs} interleavings");
}
