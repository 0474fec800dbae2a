//! Rounds that count by the pulse of the server's core, taken while they go on.
//!
//! Promises: one rule, fixed before the first round: the pulse of the round is within its band around what one second in eight reached while the
//! first rate was offered, or around what the operator says. What the round showed plays no part,
//! nor how long it waited for the last answers.

use std::cell::Cell;
use std::time::Duration;

use super::{Round, Search, calls_per_second, is_in_band, judge};
use crate::cli::Cores;
use crate::limits::{PULSE_BAND, PULSE_OFFER_NS, PULSE_PARTS, PULSE_ROUNDS_BY_CEILING};
use crate::pulse::Pulse;
use crate::run;

/// The pulse of the server's core and what it is held against, touches per second.
pub(super) struct Held {
    pub(super) pulse: Pulse,
    pub(super) reference: f64,
}

impl Search<'_> {
    /// Begins to take the pulse of this core; without a reference that is given, the first rate is offered to find one.
    pub(super) fn feel(&mut self, core: usize) -> Result<Held, String> {
        let core = run::cores_of(Some(&Cores(vec![core])))?;
        let core = core.first().ok_or("no core has a pulse")?;
        let pulse = Pulse::start(*core)?;
        let reference = match self.args.pulse_reference {
            Some(rate) => calls_per_second(rate),
            None => {
                let rate = run::per_second(self.args.run.rate);
                let length = Duration::from_nanos(PULSE_OFFER_NS);
                pulse.forget();
                let offered = self.offer(rate, length, None)?;
                self.go_on()?;
                if offered.stats.counts.answered == 0 {
                    return Err("the server answered nothing at the first rate, so the pulse of its core says nothing of its work".to_owned());
                }
                pulse.quick_reading(length, PULSE_PARTS)?
            }
        };
        self.progress.note(&format!(
            "the pulse of the server's core: {reference:.0} touches/s; a round counts if its own is from {:.0} to {:.0}",
            reference * (1.0 - PULSE_BAND),
            reference / (1.0 - PULSE_BAND),
        ));
        Ok(Held { pulse, reference })
    }

    /// Makes a round; whether it counts says the pulse. It ends as soon as that is certain.
    pub(super) fn round_by_pulse(&mut self, held: Held, rate: f64) -> Result<Round, String> {
        let length = self.args.run.duration;
        let least = held.reference * (1.0 - PULSE_BAND);
        held.pulse.forget();
        let cut_short = Cell::new(false);
        let lost = || {
            let lost = held.pulse.is_lost(least, length);
            cut_short.set(cut_short.get() || lost);
            lost
        };
        let results = self.offer(rate, length, Some(&lost));
        let (pulse, reference) = (held.pulse.reading(length), held.reference);
        self.pulse = Some(held);
        let results = results?;
        self.go_on()?; // what a signal cut short says nothing
        let pulse = pulse?;
        let discarded = !is_in_band(pulse, reference, PULSE_BAND);
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
