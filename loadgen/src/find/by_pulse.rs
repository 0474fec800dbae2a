//! Rounds that count by the pulse of the server's core, taken while they go on.
//!
//! Promises: one rule, fixed before the first round: the pulse of the round is within its band around what one second in eight reached while the
//! first rate was offered, or around what the operator says; and no core whose pulse is taken stood still in it. What the round
//! showed plays no part, nor how long it waited for the last answers.

use std::cell::Cell;
use std::time::Duration;

use super::{Round, Search, calls_per_second, is_in_band, judge};
use crate::cli::Cores;
use crate::limits::{
    PULSE_BAND, PULSE_OFFER_NS, PULSE_PARTS, PULSE_PROBE_NS, PULSE_ROUNDS_BY_CEILING,
};
use crate::pulse::Pulse;
use crate::run;

/// The pulses of a search.
pub(super) struct Pulses {
    /// Of the server's core.
    server: Pulse,
    /// What that is held against, touches per second.
    pub(super) reference: f64,
    /// Of the generator's core.
    own: Option<Pulse>,
}

impl Pulses {
    pub(super) fn finish(self) {
        self.server.finish();
        if let Some(own) = self.own {
            own.finish();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Pulse> {
        std::iter::once(&self.server).chain(&self.own)
    }

    fn forget(&self) {
        self.all().for_each(Pulse::forget);
    }

    /// Whether a round of this length cannot count any more.
    fn are_lost(&self, length: Duration) -> bool {
        let least = self.reference * (1.0 - PULSE_BAND);
        self.server.is_lost(least, length) || self.all().any(|pulse| pulse.stood_still(length))
    }

    /// The pulse of the server's core during a round of this length, and whether the round counts by it.
    fn reading(&self, length: Duration) -> Result<(f64, bool), String> {
        let pulse = self.server.reading(length)?;
        let mut all = self.all();
        let stood_still = all.any(|pulse| pulse.stood_still_to_its_end(length));
        let in_band = is_in_band(pulse, self.reference, PULSE_BAND);
        Ok((pulse, in_band && !stood_still))
    }
}

impl Search<'_> {
    /// Begins to take the pulse of this core, and of the generator's if that is asked for; without a reference that is given, the first rate is
    /// offered to find one.
    pub(super) fn feel(&mut self, core: usize) -> Result<Pulses, String> {
        let server = begin(core)?;
        let own = self.args.own_pulse_core.map(begin).transpose()?;
        let reference = match self.args.pulse_reference {
            Some(rate) => calls_per_second(rate),
            None => self.reference_of(&server)?,
        };
        self.progress.note(&format!(
            "the pulse of the server's core: {reference:.0} touches/s; a round counts if its own is from {:.0} to {:.0}",
            reference * (1.0 - PULSE_BAND),
            reference / (1.0 - PULSE_BAND),
        ));
        Ok(Pulses {
            server,
            reference,
            own,
        })
    }

    fn reference_of(&mut self, server: &Pulse) -> Result<f64, String> {
        let rate = run::per_second(self.args.run.rate);
        let tried = self.offer(rate, Duration::from_nanos(PULSE_PROBE_NS), None)?;
        self.go_on()?;
        if tried.stats.counts.answered == 0 {
            return Err("the server answered nothing at the first rate, so the pulse of its core says nothing of its work".to_owned());
        }
        let length = Duration::from_nanos(PULSE_OFFER_NS);
        server.forget();
        self.offer(rate, length, None)?;
        self.go_on()?;
        server.quick_reading(length, PULSE_PARTS)
    }

    /// Makes a round; whether it counts say the pulses. It ends as soon as that is certain.
    pub(super) fn round_by_pulse(&mut self, pulses: Pulses, rate: f64) -> Result<Round, String> {
        let length = self.args.run.duration;
        pulses.forget();
        let cut_short = Cell::new(false);
        let lost = || {
            let lost = pulses.are_lost(length);
            cut_short.set(cut_short.get() || lost);
            lost
        };
        let results = self.offer(rate, length, Some(&lost));
        let reading = pulses.reading(length);
        self.pulses = Some(pulses);
        let results = results?;
        self.go_on()?; // what a signal cut short says nothing
        let (pulse, counts) = reading?;
        let discarded = !counts;
        let before = self.before;
        let after = self.ceiling_after(discarded)?;
        let round = judge(rate, &results, (before, after));
        self.environment = Some(results.environment_json());
        Ok(Round {
            discarded,
            pulse: Some(pulse),
            cut_short: cut_short.get(),
            ..round
        })
    }

    /// The yardstick, if it is time to read it again.
    fn ceiling_after(&mut self, discarded: bool) -> Result<Option<f64>, String> {
        self.counted += usize::from(!discarded);
        if discarded || !self.counted.is_multiple_of(PULSE_ROUNDS_BY_CEILING) {
            return Ok(None);
        }
        self.read_yardstick().map(Some)
    }
}

fn begin(core: usize) -> Result<Pulse, String> {
    let core = run::cores_of(Some(&Cores(vec![core])))?;
    Pulse::start(*core.first().ok_or("no core has a pulse")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::nanos;
    use crate::limits::START_DELAY_NS;
    use crate::sys::Waiter;

    /// Whether a round counts in which the server's core did not stand still and had its reference's pulse. A busy machine stands still now and then.
    fn counts(pulses: &mut Pulses) -> bool {
        let length = Duration::from_millis(20);
        for _ in 0..500 {
            pulses.forget();
            // The calls of a round begin somewhat later than it.
            let both = Duration::from_nanos(START_DELAY_NS) + length * 2;
            Waiter::new([]).wait(nanos(both)).unwrap();
            let Ok(pulse) = pulses.server.reading(length) else {
                continue;
            };
            if !pulses.server.stood_still_to_its_end(length) {
                pulses.reference = pulse;
                return pulses.reading(length).unwrap().1;
            }
        }
        panic!("the server's core is never heard of");
    }

    #[test]
    fn a_round_counts_only_while_the_generators_core_is_heard_of() {
        let mut pulses = Pulses {
            server: begin(0).unwrap(),
            reference: 1.0,
            own: Some(begin(0).unwrap()),
        };
        assert!((0..50).any(|_| counts(&mut pulses)));
        pulses.own.iter().for_each(Pulse::silence);
        counts(&mut pulses); // a last beat
        assert!(!(0..5).any(|_| counts(&mut pulses)));
        pulses.finish();
    }
}
