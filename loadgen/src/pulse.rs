//! The pulse of a server's core: how quick that core is while the server uses it.
//!
//! A thread on the core does a small fixed work every two milliseconds and takes its time: it writes to lines all over a table, as a
//! server with tables does. So it feels what the server feels and what a reading before or after a round cannot know: under a
//! hypervisor a core is half as quick again for as long as its twin has nothing to do, some tenths of a second at a time, and
//! memory is as near as neighbours leave it.
//!
//! Promises: what the server answers plays no part in a reading; it takes about half a percent of the core. Leaves to `find`:
//! what follows from a reading.

use std::cell::{Ref, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{Clock, Nanos};
use crate::limits::{PULSE_EVERY_NS, PULSE_SLOW_ONE_IN, PULSE_TABLE_BYTES, PULSE_TOUCHES};
use crate::random::SplitMix64;
use crate::sys::{Pages, Waiter, sleep_precisely};

/// Octets of a line of the processor's caches.
const LINE_BYTES: u64 = 64;

/// A thread that takes the pulse of a core.
#[derive(Debug)]
pub struct Pulse {
    stop: Arc<AtomicBool>,
    taken: Receiver<Nanos>,
    thread: JoinHandle<()>,
    /// What each piece of work took since they were last forgotten, in their order.
    beats: RefCell<Vec<Nanos>>,
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
        let thread = thread::Builder::new()
            .name("pulse".to_owned())
            .spawn(move || {
                core_affinity::set_for_current(core);
                sleep_precisely();
                take(&stopped, &taker);
            })
            .map_err(|error| format!("thread: {error}"))?;
        Ok(Self {
            stop,
            taken,
            thread,
            beats: RefCell::default(),
        })
    }

    /// Forgets all beats so far.
    pub fn forget(&self) {
        drop(self.heard());
        self.beats.borrow_mut().clear();
    }

    /// The rate that all beats since then reached but for the slowest tenth, in touches per second; 0 without a beat.
    #[must_use]
    pub fn reading(&self) -> f64 {
        rate_of(&self.heard())
    }

    /// The middle one of the readings of so many parts, one after the other.
    #[must_use]
    pub fn middle_reading(&self, parts: usize) -> f64 {
        let beats = self.heard();
        let length = beats.len().div_ceil(parts).max(1);
        let mut readings: Vec<f64> = beats.chunks(length).map(rate_of).collect();
        readings.sort_by(f64::total_cmp);
        readings.get(readings.len() / 2).copied().unwrap_or(0.0)
    }

    /// Whether the reading of a round that takes this long in all is below `rate`, whatever beats are still to come.
    #[must_use]
    pub fn is_lost(&self, rate: f64, length: Duration) -> bool {
        is_lost(&self.heard(), rate, length)
    }

    /// Ends it.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked has been reported by its panic.
        let _ended = self.thread.join();
    }

    fn heard(&self) -> Ref<'_, Vec<Nanos>> {
        self.beats.borrow_mut().extend(self.taken.try_iter());
        self.beats.borrow()
    }
}

/// Touches per second that these beats reached but for the slowest tenth.
fn rate_of(beats: &[Nanos]) -> f64 {
    let mut sorted = beats.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    match sorted.get(sorted.len() / PULSE_SLOW_ONE_IN) {
        Some(&beat) if beat > 0 => {
            f64::from(PULSE_TOUCHES) / Duration::from_nanos(beat).as_secs_f64()
        }
        _ => 0.0,
    }
}

/// Whether more of these beats are below `rate` than one in so many of all that a round of this length can have.
fn is_lost(beats: &[Nanos], rate: f64, length: Duration) -> bool {
    let all = length.as_nanos() / u128::from(PULSE_EVERY_NS);
    let allowed = usize::try_from(all).unwrap_or(usize::MAX) / PULSE_SLOW_ONE_IN;
    let slow = |beat: &&Nanos| rate_of(&[**beat]) < rate;
    beats.iter().filter(slow).count() > allowed
}

/// Does the work again and again until told to end, and says what it took.
fn take(stop: &AtomicBool, taker: &Sender<Nanos>) {
    let clock = Clock::start();
    let mut waiter = Waiter::new([]);
    let mut table = Pages::zeroed(PULSE_TABLE_BYTES);
    let mut places = SplitMix64::of(0, 0);
    while !stop.load(Ordering::Relaxed) {
        if waiter.wait(PULSE_EVERY_NS).is_err() {
            return;
        }
        let begun = clock.now();
        touch(&mut table, &mut places);
        if taker.send(clock.now() - begun).is_err() {
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

    #[test]
    fn the_slowest_tenth_of_the_beats_does_not_count() {
        let rate = |nanos: u32| f64::from(PULSE_TOUCHES) * 1e9 / f64::from(nanos);
        let mut beats = vec![5_000; 19];
        beats.push(4_000_000);
        assert!((rate_of(&beats) - rate(5_000)).abs() < 1.0);
        beats.extend([8_000, 9_000]); // three of 22: one more than a tenth
        assert!((rate_of(&beats) - rate(8_000)).abs() < 1.0);
        assert_eq!(rate_of(&[]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_round_is_lost_when_no_further_beat_can_save_it() {
        let length = Duration::from_nanos(PULSE_EVERY_NS * 100); // a hundred beats, of which ten may be slow
        let (quick, slow) = (5_000, 6_000);
        let bound = rate_of(&[quick]);
        let mut beats = vec![slow; 10];
        assert!(!is_lost(&beats, bound, length));
        beats.push(slow);
        assert!(is_lost(&beats, bound, length));
        assert!(!is_lost(&vec![quick; 100], bound, length));
        beats.extend([quick; 89]);
        assert!(rate_of(&beats) < bound, "and so it is at its end");
    }

    #[test]
    fn a_pulse_is_taken_until_it_ends() {
        let core = crate::run::cores_of(Some(&crate::cli::Cores(vec![0]))).unwrap();
        let pulse = Pulse::start(core[0]).unwrap();
        while pulse.heard().len() < 3 {
            thread::yield_now();
        }
        assert!(pulse.reading() > 0.0);
        pulse.finish();
    }
}
