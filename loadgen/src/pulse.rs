//! The pulse of a server's core: how quick that core is while the server uses it.
//!
//! A thread on the core does a small fixed work every two milliseconds and takes its time: it writes to lines all over a table, as a
//! server with tables does. So it feels what the server feels and what a reading before or after a round cannot know: under a
//! hypervisor a core can be much quicker for as long as its twin has nothing to do, for less than a second at a time, and
//! memory is as near as neighbours leave it.
//!
//! Promises: what the server answers plays no part in a reading; it takes about a percent of the core. Leaves to `find`:
//! what follows from a reading.

use std::cell::{Ref, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{Clock, Nanos, nanos};
use crate::limits::{
    PULSE_EVERY_NS, PULSE_QUICK_ONE_IN, PULSE_SLOW_ONE_IN, PULSE_STILL_NS_MAX, PULSE_TABLE_BYTES,
    PULSE_TOUCHES, START_DELAY_NS,
};
use crate::random::SplitMix64;
use crate::sys::{Pages, Waiter, sleep_precisely};

/// Octets of a line of the processor's caches.
const LINE_BYTES: u64 = 64;

/// A thread that takes the pulse of a core.
#[derive(Debug)]
pub struct Pulse {
    stop: Arc<AtomicBool>,
    taken: Receiver<Beat>,
    thread: JoinHandle<()>,
    core: usize,
    clock: Clock,
    beats: RefCell<Beats>,
}

/// One piece of work.
#[derive(Debug, Clone, Copy)]
struct Beat {
    begun: Nanos,
    took: Nanos,
}

/// The beats of a round, in their order.
#[derive(Debug, Default)]
struct Beats {
    /// When the round's calls begin.
    from: Nanos,
    taken: Vec<Beat>,
}

impl Pulse {
    /// Begins to take the pulse of this core.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(core: core_affinity::CoreId) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (taker, taken) = channel();
        let stopped = Arc::clone(&stop);
        let clock = Clock::start();
        let thread = thread::Builder::new()
            .name("pulse".to_owned())
            .spawn(move || {
                core_affinity::set_for_current(core);
                sleep_precisely();
                take(clock, &stopped, &taker);
            })
            .map_err(|error| format!("thread: {error}"))?;
        Ok(Self {
            stop,
            taken,
            thread,
            core: core.id,
            clock,
            beats: RefCell::default(),
        })
    }

    /// Forgets all beats so far: a round begins, whose calls begin [`START_DELAY_NS`] later.
    pub fn forget(&self) {
        drop(self.heard());
        let mut beats = self.beats.borrow_mut();
        beats.taken.clear();
        beats.from = self.clock.now() + START_DELAY_NS;
    }

    /// The rate that all beats of a round that offers calls for so long reached but for the slowest tenth, in touches per second.
    /// What is beaten while the last calls wait for their answers does not count: the core may have nothing to do then.
    ///
    /// # Errors
    /// There was no beat: the thread is gone, or never got the core.
    pub fn reading(&self, length: Duration) -> Result<f64, String> {
        self.taken_at_all(self.heard().reading(nanos(length)))
    }

    /// What one in [`PULSE_QUICK_ONE_IN`] of so many parts of that length, one after the other, reach: what the core is while it is all the server's,
    /// even if it seldom is.
    ///
    /// # Errors
    /// As [`Self::reading`], of that part.
    pub fn quick_reading(&self, length: Duration, parts: u32) -> Result<f64, String> {
        self.taken_at_all(self.heard().quick_reading(nanos(length), parts))
    }

    fn taken_at_all(&self, rate: f64) -> Result<f64, String> {
        let core = self.core;
        (rate > 0.0)
            .then_some(rate)
            .ok_or_else(|| format!("the pulse of core {core} cannot be taken"))
    }

    /// Takes it no longer, as if nobody ran on the core any more.
    #[cfg(test)]
    pub(crate) fn silence(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the reading of such a round is below `rate`, whatever beats are still to come.
    #[must_use]
    pub fn is_lost(&self, rate: f64, length: Duration) -> bool {
        self.heard().is_lost(rate, nanos(length))
    }

    /// Whether no beat began for longer than [`PULSE_STILL_NS_MAX`] somewhere in such a round, as far as beats tell yet.
    #[must_use]
    pub fn stood_still(&self, length: Duration) -> bool {
        self.heard().longest_pause(nanos(length), 0) > PULSE_STILL_NS_MAX
    }

    /// The same once the round is over: a core of which nothing was heard since stood still, too.
    #[must_use]
    pub fn stood_still_to_its_end(&self, length: Duration) -> bool {
        let now = self.clock.now();
        self.heard().longest_pause(nanos(length), now) > PULSE_STILL_NS_MAX
    }

    /// Ends it.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked has been reported by its panic.
        let _ended = self.thread.join();
    }

    fn heard(&self) -> Ref<'_, Beats> {
        self.beats.borrow_mut().taken.extend(self.taken.try_iter());
        self.beats.borrow()
    }
}

impl Beats {
    fn reading(&self, length: Nanos) -> f64 {
        rate_of(self.within(0, length))
    }

    fn quick_reading(&self, length: Nanos, parts: u32) -> f64 {
        let part = length / u64::from(parts.max(1));
        let mut readings: Vec<f64> = (0..u64::from(parts))
            .map(|number| rate_of(self.within(number * part, part)))
            .collect();
        readings.sort_by(|one, other| other.total_cmp(one));
        let quick = readings.len() / PULSE_QUICK_ONE_IN;
        readings
            .get(quick.saturating_sub(1))
            .copied()
            .unwrap_or(0.0)
    }

    /// Whether more beats are below `rate` than one in so many of all that a round of this length can have.
    fn is_lost(&self, rate: f64, length: Nanos) -> bool {
        let all = usize::try_from(length.div_ceil(PULSE_EVERY_NS)).unwrap_or(usize::MAX);
        let slow = self
            .within(0, length)
            .filter(|&took| rate_of([took]) < rate);
        slow.count() > all / PULSE_SLOW_ONE_IN
    }

    /// The longest time in the round without the beginning of a beat. Behind the last one nothing is known but that none was heard up to `heard_until`.
    fn longest_pause(&self, length: Nanos, heard_until: Nanos) -> Nanos {
        let end = self.from.saturating_add(length);
        let begun = self.taken.iter().map(|beat| beat.begun);
        let begun = begun.filter(|&begun| begun >= self.from);
        let mut last = self.from;
        let mut longest = 0;
        for begun in begun.chain([heard_until]) {
            let begun = begun.min(end);
            longest = longest.max(begun.saturating_sub(last));
            last = last.max(begun);
        }
        longest
    }

    /// What the beats took that began in a part of the round: from so long after its beginning, so long.
    fn within(&self, after: Nanos, length: Nanos) -> impl Iterator<Item = Nanos> {
        let from = self.from.saturating_add(after);
        let part = from..from.saturating_add(length);
        let beats = self.taken.iter();
        beats
            .filter(move |beat| part.contains(&beat.begun))
            .map(|beat| beat.took)
    }
}

/// Touches per second that beats which took this long reached but for the slowest tenth; 0 without a beat.
fn rate_of(took: impl IntoIterator<Item = Nanos>) -> f64 {
    let mut sorted: Vec<Nanos> = took.into_iter().collect();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    match sorted.get(sorted.len() / PULSE_SLOW_ONE_IN) {
        Some(&beat) if beat > 0 => {
            f64::from(PULSE_TOUCHES) / Duration::from_nanos(beat).as_secs_f64()
        }
        _ => 0.0,
    }
}

/// Does the work again and again until told to end, and says what it took.
fn take(clock: Clock, stop: &AtomicBool, taker: &Sender<Beat>) {
    let mut waiter = Waiter::new([]);
    let mut table = Pages::zeroed(PULSE_TABLE_BYTES);
    let mut places = SplitMix64::of(0, 0);
    while !stop.load(Ordering::Relaxed) {
        if waiter.wait(PULSE_EVERY_NS).is_err() {
            return; // the next reading finds no beat
        }
        let begun = clock.now();
        touch(&mut table, &mut places);
        let took = clock.now() - begun;
        if taker.send(Beat { begun, took }).is_err() {
            return; // nobody takes it any more
        }
    }
}

fn touch(table: &mut [u8], places: &mut SplitMix64) {
    let lines = u64::try_from(table.len()).unwrap_or(u64::MAX) / LINE_BYTES;
    for _ in 0..PULSE_TOUCHES {
        let at = usize::try_from(places.below_u64(lines) * LINE_BYTES).unwrap_or(0);
        if let Some(octet) = table.get_mut(at) {
            *octet = octet.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Nanos = 7_000_000;
    /// A hundred beats, of which ten may be slow.
    const LENGTH: Nanos = PULSE_EVERY_NS * 100;
    const QUICK: Nanos = 5_000;
    const SLOW: Nanos = 6_000;

    /// Beats one after the other, the first when the round begins.
    fn beats(took: impl IntoIterator<Item = Nanos>) -> Beats {
        let begun = (0..).map(|number| FROM + number * PULSE_EVERY_NS);
        let beat = |(begun, took)| Beat { begun, took };
        Beats {
            from: FROM,
            taken: begun.zip(took).map(beat).collect(),
        }
    }

    fn some(took: Nanos, count: usize) -> impl Iterator<Item = Nanos> {
        std::iter::repeat_n(took, count)
    }

    fn same(one: f64, other: f64) -> bool {
        one.to_bits() == other.to_bits()
    }

    #[test]
    fn the_slowest_tenth_of_the_beats_does_not_count() {
        let rate = |nanos: u32| f64::from(PULSE_TOUCHES) * 1e9 / f64::from(nanos);
        let mut took = vec![5_000; 19];
        took.push(4_000_000);
        assert!((rate_of(took.clone()) - rate(5_000)).abs() < 1.0);
        took.extend([8_000, 9_000]); // three of 22: one more than a tenth
        assert!((rate_of(took) - rate(8_000)).abs() < 1.0);
        assert!(same(rate_of([]), 0.0));
    }

    #[test]
    fn a_core_stood_still_where_no_beat_began() {
        let longest = |beats: &Beats| beats.longest_pause(LENGTH, 0);
        assert_eq!(longest(&beats(some(QUICK, 100))), PULSE_EVERY_NS);
        let mut with_a_gap = beats(some(QUICK, 100));
        with_a_gap.taken.drain(40..44);
        assert_eq!(longest(&with_a_gap), 5 * PULSE_EVERY_NS);
        let mut late = beats(some(QUICK, 10));
        late.taken.drain(..3);
        assert_eq!(longest(&late), 3 * PULSE_EVERY_NS);
        // What comes behind the round tells how long its end was without.
        let mut ended = beats(some(QUICK, 200));
        ended.taken.drain(95..150);
        assert_eq!(longest(&ended), 6 * PULSE_EVERY_NS);
        // What was not heard by its end never came.
        let silent = beats([]);
        assert_eq!(longest(&silent), 0, "nothing is known yet");
        assert_eq!(silent.longest_pause(LENGTH, FROM + 9), 9);
        assert_eq!(silent.longest_pause(LENGTH, FROM + 2 * LENGTH), LENGTH);
        assert_eq!(
            late.longest_pause(LENGTH, FROM + LENGTH),
            91 * PULSE_EVERY_NS
        );
    }

    #[test]
    fn a_round_is_lost_when_no_further_beat_can_save_it() {
        let bound = rate_of([QUICK]);
        assert!(!beats(some(SLOW, 10)).is_lost(bound, LENGTH));
        assert!(beats(some(SLOW, 11)).is_lost(bound, LENGTH));
        assert!(!beats(some(QUICK, 100)).is_lost(bound, LENGTH));
        let ended = beats(some(SLOW, 11).chain(some(QUICK, 1000)));
        assert!(ended.is_lost(bound, LENGTH));
        assert!(ended.reading(LENGTH) < bound, "and so it is at its end");
    }

    #[test]
    fn what_is_beaten_while_the_last_calls_wait_does_not_count() {
        let bound = rate_of([QUICK]);
        let drained = beats(some(SLOW, 100).chain(some(QUICK, 5000)));
        assert!(same(drained.reading(LENGTH), rate_of([SLOW])));
        assert!(same(drained.quick_reading(LENGTH, 20), rate_of([SLOW])));
        let drowned = beats(some(QUICK, 100).chain(some(SLOW, 5000)));
        assert!(same(drowned.reading(LENGTH), bound));
        assert!(!drowned.is_lost(bound, LENGTH));
        // Nor what is beaten before the first call.
        let late = Beats {
            from: FROM + LENGTH,
            ..beats(some(SLOW, 100).chain(some(QUICK, 100)))
        };
        assert!(same(late.reading(LENGTH), bound));
    }

    #[test]
    fn a_core_is_what_it_reaches_in_an_eighth_of_the_time() {
        // Parts of five beats; two of three beats in the slow ones did not come, for the server had the core.
        let quick = rate_of([QUICK]);
        for (quick_beats, reached) in [(15, true), (10, true), (5, false), (0, false)] {
            let mut some = beats(some(QUICK, quick_beats).chain(some(SLOW, 100 - quick_beats)));
            let mut number = 0;
            some.taken.retain(|beat| {
                number += 1;
                beat.took == QUICK || number % 3 == 0
            });
            let reading = some.quick_reading(LENGTH, 20);
            assert_eq!(same(reading, quick), reached, "{quick_beats}");
            assert!(reading > 0.0);
        }
        assert!(same(beats([QUICK]).quick_reading(LENGTH, 0), 0.0));
    }

    #[test]
    fn a_pulse_is_taken_until_it_ends() {
        let core = crate::run::cores_of(Some(&crate::cli::Cores(vec![0]))).unwrap();
        let pulse = Pulse::start(core[0]).unwrap();
        while pulse.heard().taken.len() < 3 {
            thread::yield_now();
        }
        let long = Duration::from_secs(60);
        assert!(pulse.reading(long).unwrap() > 0.0);
        assert!(pulse.quick_reading(long, 1).unwrap() > 0.0);
        pulse.stop.store(true, Ordering::Relaxed);
        while !pulse.thread.is_finished() {
            thread::yield_now();
        }
        pulse.forget();
        let fault = "the pulse of core 0 cannot be taken";
        assert_eq!(pulse.reading(long).unwrap_err(), fault);
        assert_eq!(pulse.quick_reading(long, 20).unwrap_err(), fault);
        pulse.finish();
    }
}
