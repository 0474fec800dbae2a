//! Rounds that count by the pulse of the server's core, and of the generator's, taken while they go on.
//!
//! Promises: one rule, fixed before the first round: the pulse of the round is within its band around what one in eight parts as long as a round
//! reached while the first rate was offered, or around what the operator says; and that of the generator's core, if it is taken, is not
//! too far below its own. What the round showed plays no part, nor how long it waited for the last answers.

use std::cell::Cell;
use std::time::Duration;

use super::{Round, Search, calls_per_second, is_in_band, judge};
use crate::cli::Cores;
use crate::limits::{
    PULSE_BAND, PULSE_OFFER_NS, PULSE_OWN_BAND, PULSE_PARTS_MIN, PULSE_PROBE_NS,
    PULSE_ROUNDS_BY_CEILING,
};
use crate::pulse::Pulse;
use crate::run;

/// The pulse of a core and what it is held against, touches per second.
pub(super) struct Held {
    pulse: Pulse,
    pub(super) reference: f64,
}

/// The pulses of a search.
pub(super) struct Pulses {
    /// Of the server's core.
    pub(super) server: Held,
    /// Of the generator's.
    pub(super) own: Option<Held>,
}

impl Held {
    fn is_lost(&self, band: f64, length: Duration) -> bool {
        self.pulse.is_lost(self.reference * (1.0 - band), length)
    }
}

impl Pulses {
    pub(super) fn finish(self) {
        self.server.pulse.finish();
        if let Some(own) = self.own {
            own.pulse.finish();
        }
    }

    fn forget(&self) {
        self.server.pulse.forget();
        if let Some(own) = &self.own {
            own.pulse.forget();
        }
    }

    /// Whether a round of this length cannot count any more.
    fn are_lost(&self, length: Duration) -> bool {
        let own = self.own.as_ref();
        self.server.is_lost(PULSE_BAND, length)
            || own.is_some_and(|own| own.is_lost(PULSE_OWN_BAND, length))
    }
}

/// Whether the generator's core is what it was: how much quicker it is plays no part, since its speed is not what is measured.
fn is_quick_enough(pulse: f64, reference: f64) -> bool {
    pulse >= reference * (1.0 - PULSE_OWN_BAND)
}

/// How many rounds' lengths of beats a reference is taken from.
fn parts_of(offered: Duration, round: Duration) -> u32 {
    let parts = offered.as_nanos() / round.as_nanos().max(1);
    u32::try_from(parts)
        .unwrap_or(u32::MAX)
        .max(PULSE_PARTS_MIN)
}

impl Search<'_> {
    /// Begins to take the pulse of these cores; without references that are given, the first rate is offered to find them.
    pub(super) fn feel(&mut self, server: usize) -> Result<Pulses, String> {
        let server = begin(server)?;
        let own = self.args.own_pulse_core.map(begin).transpose()?;
        let given = self.args.pulse_reference.map(calls_per_second);
        let own_given = self.args.own_pulse_reference.map(calls_per_second);
        let length = Duration::from_nanos(PULSE_OFFER_NS);
        if given.is_none() || own.is_some() && own_given.is_none() {
            let rate = run::per_second(self.args.run.rate);
            let short = Duration::from_nanos(PULSE_PROBE_NS);
            let tried = self.offer(rate, short, None)?;
            self.go_on()?;
            if tried.stats.counts.answered == 0 {
                return Err("the server answered nothing at the first rate, so the pulse of its core says nothing of its work".to_owned());
            }
            server.forget();
            if let Some(own) = &own {
                own.forget();
            }
            self.offer(rate, length, None)?;
            self.go_on()?;
        }
        let parts = parts_of(length, self.args.run.duration);
        let held = |pulse: Pulse, given: Option<f64>| -> Result<Held, String> {
            let reference = given.map_or_else(|| pulse.quick_reading(length, parts), Ok)?;
            Ok(Held { pulse, reference })
        };
        let pulses = Pulses {
            server: held(server, given)?,
            own: own.map(|own| held(own, own_given)).transpose()?,
        };
        let reference = pulses.server.reference;
        self.progress.note(&format!(
            "the pulse of the server's core: {reference:.0} touches/s; a round counts if its own is from {:.0} to {:.0}",
            reference * (1.0 - PULSE_BAND),
            reference / (1.0 - PULSE_BAND),
        ));
        if let Some(own) = &pulses.own {
            self.progress.note(&format!(
                "the pulse of the generator's core: {:.0} touches/s; a round counts if its own is not below {:.0}",
                own.reference,
                own.reference * (1.0 - PULSE_OWN_BAND),
            ));
        }
        Ok(pulses)
    }

    /// Makes a round; whether it counts say the pulses. It ends as soon as that is certain.
    pub(super) fn round_by_pulse(&mut self, held: Pulses, rate: f64) -> Result<Round, String> {
        let length = self.args.run.duration;
        held.forget();
        let cut_short = Cell::new(false);
        let lost = || {
            let lost = held.are_lost(length);
            cut_short.set(cut_short.get() || lost);
            lost
        };
        let results = self.offer(rate, length, Some(&lost));
        let pulse = held.server.pulse.reading(length);
        let own = held.own.as_ref();
        let own = own.map(|own| (own.pulse.reading(length), own.reference));
        let reference = held.server.reference;
        self.pulses = Some(held);
        let results = results?;
        self.go_on()?; // what a signal cut short says nothing
        let pulse = pulse?;
        let mut discarded = !is_in_band(pulse, reference, PULSE_BAND);
        let mut own_pulse = None;
        if let Some((pulse, reference)) = own {
            let pulse = pulse?;
            discarded |= !is_quick_enough(pulse, reference);
            own_pulse = Some(pulse);
        }
        let before = self.before;
        let after = self.ceiling_after(discarded)?;
        let round = judge(rate, &results, (before, after));
        self.environment = Some(results.environment_json());
        Ok(Round {
            discarded,
            pulse: Some(pulse),
            own_pulse,
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

    #[test]
    fn the_generators_core_may_be_quicker_and_a_fifth_slower() {
        for (pulse, quick) in [(790.0, false), (810.0, true), (2000.0, true)] {
            assert_eq!(is_quick_enough(pulse, 1000.0), quick, "{pulse}");
        }
    }

    #[test]
    fn a_reference_is_of_parts_as_long_as_a_round() {
        let parts = |round| parts_of(Duration::from_secs(40), Duration::from_millis(round));
        assert_eq!(parts(400), 100);
        assert_eq!(parts(1000), 40);
        assert_eq!(parts(60_000), PULSE_PARTS_MIN);
    }
}
