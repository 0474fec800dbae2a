//! Which rates a search tries, and what follows from whether a server held them.
//!
//! Three steps: the rate grows by half until a round fails; the gap is halved until it is small; then rounds go up a step
//! after each success and down a step after each failure, and the mean of their rates is the answer.

use crate::limits::{FIND_GAP, FIND_GROWTH, FIND_STEP, RATE_MAX};
use crate::run;

/// One search: the rates it tries, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    step: Step,
    rate: f64,
    rounds: usize,
    /// Rates that count.
    rates: Vec<f64>,
    /// The middle of the gap.
    middle: f64,
    /// Why there is nothing to be found.
    fault: Option<String>,
}

/// What a search is at.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Each rate held so far, this one last.
    Growing { good: f64 },
    /// The highest rate that held and the lowest that did not.
    Halving { good: f64, bad: f64 },
    /// Up after a success, down after a failure: how the last round went, and after how many more rates count at the latest.
    Walking {
        last: Option<bool>,
        on_its_way: usize,
    },
}

impl Walk {
    /// A search that begins at this rate and counts so many rounds of its walk.
    pub(super) fn begin(start: f64, rounds: usize) -> Self {
        Self {
            step: Step::Growing { good: 0.0 },
            rate: start,
            rounds,
            rates: Vec::with_capacity(rounds),
            middle: start,
            fault: None,
        }
    }

    /// The rate to try; none when the search is over.
    pub(super) fn rate(&self) -> Option<f64> {
        let over = self.fault.is_some() || self.rates.len() >= self.rounds;
        (!over).then_some(self.rate)
    }

    /// The rate that was found and how far it is uncertain to either side, if all searches ended like this.
    ///
    /// # Errors
    /// Why there is none: what this search met, or what ended all of them before it was over.
    pub(super) fn found(&self, ended: &Result<(), String>) -> Result<(f64, f64), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.rate().is_some() {
            ended.clone()?;
        }
        Ok(estimate(&self.rates, self.middle * FIND_STEP))
    }

    /// Goes on from whether the server kept up with the rate.
    pub(super) fn tell(&mut self, held: bool) {
        self.fault = self.next(held).err();
    }

    fn next(&mut self, held: bool) -> Result<(), String> {
        match self.step {
            Step::Growing { .. } if held => self.grow(),
            Step::Growing { good } => self.halve(good, self.rate),
            Step::Halving { bad, .. } if held => self.halve(self.rate, bad),
            Step::Halving { good, .. } => self.halve(good, self.rate),
            Step::Walking { last, on_its_way } => {
                self.walk(held, last, on_its_way);
                Ok(())
            }
        }
    }

    fn grow(&mut self) -> Result<(), String> {
        let good = self.rate;
        self.step = Step::Growing { good };
        self.rate *= FIND_GROWTH;
        if self.rate > run::per_second(RATE_MAX * 1000) {
            return Err(format!(
                "the server keeps up with {good:.0} calls/s and more"
            ));
        }
        Ok(())
    }

    fn halve(&mut self, good: f64, bad: f64) -> Result<(), String> {
        self.rate = f64::midpoint(good, bad);
        if bad - good <= bad * FIND_GAP {
            self.middle = self.rate;
            self.step = Step::Walking {
                last: None,
                on_its_way: self.rounds,
            };
            return Ok(());
        }
        if self.rate < 1.0 {
            return Err("the server does not even keep up with one call/s".to_owned());
        }
        self.step = Step::Halving { good, bad };
        Ok(())
    }

    /// The mean of the rates is where half of the rounds succeed. Until it first turns, the walk is on its way there from where luck
    /// put the gap, and its rates do not count (Levitt 1971); but not for ever.
    fn walk(&mut self, held: bool, last: Option<bool>, on_its_way: usize) {
        let turned = last.is_some_and(|last| last != held);
        let on_its_way = if turned { 0 } else { on_its_way };
        if on_its_way == 0 {
            self.rates.push(self.rate);
        }
        self.rate *= if held {
            1.0 + FIND_STEP
        } else {
            1.0 - FIND_STEP
        };
        self.step = Step::Walking {
            last: Some(held),
            on_its_way: on_its_way.saturating_sub(1),
        };
    }
}

/// Searches that take turns, round by round, until all are over; each turn begins with the next of them. `holds` says whether the server
/// keeps up with a rate of the search of this number.
///
/// # Errors
/// That of `holds`, which ends all searches that are not over yet.
pub(super) fn turns(
    walks: &mut [Walk],
    holds: &mut dyn FnMut(usize, f64) -> Result<bool, String>,
) -> Result<(), String> {
    let mut first = 0;
    while walks.iter().any(|walk| walk.rate().is_some()) {
        for place in 0..walks.len() {
            let number = (first + place) % walks.len();
            let Some(walk) = walks.get_mut(number) else {
                continue;
            };
            if let Some(rate) = walk.rate() {
                walk.tell(holds(number, rate)?);
            }
        }
        first += 1;
    }
    Ok(())
}

/// The mean of the walk's rates and how far it is uncertain: two standard errors, but at least a step.
///
/// A rate is one step from the one before, so that neighbours know of each other and so many rates say as much as fewer would that are apart:
/// with a correlation of r between neighbours, as (1 - r) / (1 + r) of them. Without that, searches minutes apart did not overlap.
fn estimate(rates: &[f64], step: f64) -> (f64, f64) {
    let count = f64::from(u32::try_from(rates.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean = rates.iter().sum::<f64>() / count;
    let spread = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>();
    let pairs = rates.iter().zip(rates.iter().skip(1));
    let together = pairs.map(|(one, next)| (one - mean) * (next - mean));
    let known = (together.sum::<f64>() / spread.max(f64::MIN_POSITIVE)).clamp(0.0, CORRELATION_MAX);
    let apart = count * (1.0 - known) / (1.0 + known);
    let error = (spread / (count - 1.0).max(1.0) / apart).sqrt();
    (mean, (2.0 * error).max(step))
}

/// The correlation of neighbours that is reckoned with at most: a walk that only rose or fell has one near 1, and its interval is wide enough.
const CORRELATION_MAX: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(
        start: f64,
        rounds: usize,
        holds: &mut dyn FnMut(f64) -> Result<bool, String>,
    ) -> Result<(f64, f64), String> {
        let mut walks = [Walk::begin(start, rounds)];
        let ended = turns(&mut walks, &mut |_, rate| holds(rate));
        walks[0].found(&ended)
    }

    #[test]
    fn searches_take_turns_and_each_turn_begins_with_the_next() {
        let mut walks = vec![Walk::begin(100.0, 4); 3];
        let mut order = Vec::new();
        let ended = turns(&mut walks, &mut |number, rate| {
            order.push(number);
            Ok(rate < 1000.0 * if number == 2 { 2.0 } else { 1.0 })
        });
        assert_eq!(ended, Ok(()));
        assert_eq!(order[..9], [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        for (walk, rate) in walks.iter().zip([1000.0, 1000.0, 2000.0]) {
            let found = walk.found(&ended).unwrap().0;
            assert!((found - rate).abs() < rate * 0.03, "{walk:?}");
        }
    }

    #[test]
    fn a_search_keeps_its_result_and_its_fault_whatever_ends_the_others() {
        let mut walks = vec![Walk::begin(800.0, 4), Walk::begin(800.0, 4)];
        walks.push(Walk::begin(800.0, 400));
        let mut rounds = [0; 3];
        // The server keeps up with the second whatever it offers; a signal comes when the first is long over and the third is not.
        let ended = turns(&mut walks, &mut |number, rate| {
            rounds[number] += 1;
            match rounds[2] {
                200 => Err("ended by a signal".to_owned()),
                _ => Ok(number == 1 || rate < 1000.0),
            }
        });
        let [first, second, third] = [0, 1, 2].map(|number| walks[number].found(&ended));
        assert!((first.unwrap().0 - 1000.0).abs() < 30.0);
        assert!(second.unwrap_err().contains("and more"));
        assert_eq!(third.unwrap_err(), "ended by a signal");
        assert!(rounds[0] < 30 && rounds[1] < 60, "{rounds:?}");
    }

    #[test]
    fn the_rate_at_which_half_of_the_rounds_hold_is_found() {
        for (capacity, start) in [(43_210.0, 1000.0), (900.0, 5000.0), (5000.0, 5000.0)] {
            let mut random = crate::random::SplitMix64::of(1, 0);
            let mut noisy = |rate: f64| {
                // A server whose capacity wavers by 2 % to either side.
                let wavering = capacity * (0.98 + 0.04 * random.unit());
                Ok(rate <= wavering)
            };
            let (rate, half) = steps(start, 16, &mut noisy).unwrap();
            assert!(
                (rate - capacity).abs() <= half.max(capacity * 0.03),
                "{rate} ± {half}"
            );
            assert!(half <= capacity * 0.05, "{half}");
        }
    }

    #[test]
    fn rates_on_the_way_from_where_luck_put_the_gap_do_not_count() {
        // The first rounds hold whatever is offered: the gap ends around 122,000, the server holds 100,000.
        let mut made = 0;
        let mut holds = |rate: f64| {
            made += 1;
            Ok(made < 3 || rate <= 100_000.0)
        };
        let (rate, half) = steps(80_000.0, 24, &mut holds).unwrap();
        // It needs some eight of them to turn, not the 24 after which they count at the latest.
        assert!(made < 24 + 24, "{made}");
        assert!((rate - 100_000.0).abs() <= 100_000.0 * FIND_STEP, "{rate}");
        assert!(half <= rate * 0.05, "{half}");
        // A server that never turns the walk is not followed for ever.
        let mut tried = 0;
        let mut worse = |_: f64| {
            tried += 1;
            Ok(tried == 1)
        };
        assert!(steps(1e6, 4, &mut worse).is_ok());
    }

    #[test]
    fn a_server_that_never_or_always_keeps_up_has_no_rate() {
        let fault = |holds| steps(100.0, 4, &mut |_| Ok(holds)).unwrap_err();
        assert!(fault(false).contains("not even"));
        assert!(fault(true).contains("and more"));
        let ended = steps(100.0, 4, &mut |_| Err("ended by a signal".to_owned()));
        assert_eq!(ended.unwrap_err(), "ended by a signal");
    }

    #[test]
    fn the_estimate_is_the_mean_and_no_surer_than_a_step() {
        assert_eq!(estimate(&[100.0, 102.0, 100.0, 102.0], 2.5), (101.0, 2.5));
        let (mean, half) = estimate(&[80.0, 120.0, 80.0, 120.0], 2.5);
        assert!((mean - 100.0).abs() < 1e-9 && half > 20.0, "{half}");
    }

    #[test]
    fn rates_that_follow_each_other_closely_say_less() {
        let back_and_forth = estimate(&[1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0], 0.0);
        let there = estimate(&[1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0], 0.0);
        assert!((back_and_forth.0 - there.0).abs() < 1e-9);
        // The second's neighbours have a correlation of 5/8: as many as 8 * 3/13 apart.
        let wider = (13.0_f64 / 3.0).sqrt();
        assert!(
            (there.1 - wider * back_and_forth.1).abs() < 1e-9,
            "{there:?}"
        );
        assert!(estimate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.0).1.is_finite());
        assert_eq!(estimate(&[2.0, 2.0], 0.5), (2.0, 0.5));
    }
}
