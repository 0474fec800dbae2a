//! The own pace of a mix: calls a second, and how hours and weekdays share them.
//!
//! Promises: exact whole-number arithmetic, so that every machine has the same times; the time of a call follows from its number alone,
//! and calls are in the order of their numbers.

use crate::clock::Nanos;

/// An hour in nanoseconds.
pub const HOUR: Nanos = 3_600_000_000_000;
/// Hours of a week.
pub const WEEK_HOURS: usize = 168;

/// How many calls are made when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Calls per 1,000 seconds, on the average of a week.
    pub milli: u64,
    /// The hour of the week (0: Monday, midnight to one) at which the mix begins.
    pub begins: usize,
    /// Weight of each hour of the week, from `begins` on, added up: element `h` is the sum of the hours before `h`.
    sums: Box<[u64]>,
}

impl Shape {
    /// The same pace at all times.
    #[must_use]
    pub fn even(milli: u64) -> Self {
        Self::new(milli, 0, &[1; 24], &[1; 7])
    }

    /// A pace that hours of the day and days of the week (from Monday) share by weight; at least one of each is not 0.
    #[must_use]
    pub fn new(milli: u64, begins: usize, hours: &[u64; 24], weekdays: &[u64; 7]) -> Self {
        let mut sums = Vec::with_capacity(WEEK_HOURS + 1);
        let mut sum = 0;
        sums.push(0);
        for hour in 0..WEEK_HOURS {
            let of_week = (begins + hour) % WEEK_HOURS;
            let weight = hours.get(of_week % 24).copied().unwrap_or(0)
                * weekdays.get(of_week / 24).copied().unwrap_or(0);
            sum += weight;
            sums.push(sum);
        }
        Self {
            milli,
            begins,
            sums: sums.into(),
        }
    }

    /// Both paces added; the hours are those of the livelier one.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let livelier = if other.milli > self.milli {
            other
        } else {
            self
        };
        Self {
            milli: self.milli + other.milli,
            ..livelier.clone()
        }
    }

    /// Weight of a whole week, in weight × hours.
    fn week(&self) -> u128 {
        u128::from(self.sums.last().copied().unwrap_or(1).max(1))
    }

    /// Calls of a whole week, in thousandths.
    fn week_milli(&self) -> u128 {
        u128::from(self.milli.max(1)) * 604_800
    }

    /// When call `number` is due, at `within` (of 2³²) of the time that belongs to it.
    #[must_use]
    pub fn time_of(&self, number: u64, within: u32) -> Nanos {
        let numbers = (u128::from(number) << 32) + u128::from(within);
        let (week, calls) = (self.week(), self.week_milli() << 32);
        // numbers × 1000 / calls weeks: whole weeks first, then whole hours' weights, so that no product overflows
        // (calls < 2⁸⁶ by RATE_MAX, week < 2²⁸ by the weights' bound).
        let thousandths = numbers * 1000;
        let weeks = thousandths / calls;
        let weighed = thousandths % calls * week;
        let into = weighed / calls * u128::from(HOUR) + weighed % calls * u128::from(HOUR) / calls;
        let hour_weight = into / u128::from(HOUR);
        let hour = self
            .sums
            .partition_point(|&sum| u128::from(sum) <= hour_weight)
            .clamp(1, WEEK_HOURS)
            - 1;
        let before = self.sums.get(hour).copied().unwrap_or(0);
        let after = self.sums.get(hour + 1).copied().unwrap_or(before);
        let weight = u128::from((after - before).max(1));
        let rest = (into - u128::from(before) * u128::from(HOUR)) / weight;
        let hours = weeks * (WEEK_HOURS as u128) + hour as u128;
        u64::try_from(hours * u128::from(HOUR) + rest).unwrap_or(Nanos::MAX)
    }

    /// The number of the first call that can be due at `time` or later.
    #[must_use]
    pub fn number_at(&self, time: Nanos) -> u64 {
        let (mut low, mut high) = (0_u64, 1_u64);
        while self.time_of(high, 0) < time && high < 1 << 40 {
            high *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time_of(middle, 0) < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn an_even_pace_is_even() {
        let shape = Shape::even(2000);
        for (number, time) in [(0, 0), (1, SECOND / 2), (2, SECOND), (7200, HOUR)] {
            assert_eq!(shape.time_of(number, 0), time, "{number}");
            assert_eq!(shape.number_at(time), number, "{time}");
        }
        assert_eq!(shape.time_of(0, u32::MAX) / 1000, 499_999);
    }

    #[test]
    fn hours_and_days_have_their_shares() {
        let mut hours = [0; 24];
        hours[9] = 3;
        hours[10] = 1;
        let mut days = [0; 7];
        days[0] = 1; // Monday
        days[1] = 1;
        // A thousand calls a week.
        let shape = Shape::new(1_000_000 / 604_800, 0, &hours, &days);
        let calls = shape.week_milli() / 1000;
        let mut seen = [0_u128; WEEK_HOURS];
        for number in 0..u64::try_from(calls).unwrap() {
            seen[usize::try_from(shape.time_of(number, 0) / HOUR).unwrap()] += 1;
        }
        for (hour, share) in [(9, 3), (10, 1), (33, 3), (34, 1)] {
            assert!(seen[hour].abs_diff(calls * share / 8) <= 1, "{hour}");
        }
        assert_eq!(seen.iter().sum::<u128>(), calls);
    }

    #[test]
    fn a_mix_may_begin_within_the_week() {
        let mut hours = [1; 24];
        hours[8] = 100;
        let monday_eight = Shape::new(1000, 8, &hours, &[1; 7]);
        let midnight = Shape::new(1000, 0, &hours, &[1; 7]);
        assert!(monday_eight.number_at(HOUR) > 20 * midnight.number_at(HOUR));
    }

    #[test]
    fn times_never_go_back() {
        let hours = [
            1, 0, 0, 0, 0, 0, 1, 3, 9, 12, 12, 11, 8, 10, 12, 11, 9, 6, 3, 2, 2, 1, 1, 1,
        ];
        let shape = Shape::new(123_456, 13, &hours, &[5, 5, 5, 5, 4, 1, 1]);
        let mut before = 0;
        for number in (0..200_000_000).step_by(99_991) {
            let time = shape.time_of(number, u32::MAX);
            assert!(time >= before, "{number}");
            before = shape.time_of(number + 1, 0);
            assert!(before >= time, "{number}");
        }
    }
}
