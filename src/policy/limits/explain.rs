//! What the limits would make of a call, in words. Nothing is counted by asking.

use super::call::Call;
use super::limit::Limit;
use super::{Asked, Limits};
use crate::clock::Now;
use crate::counters::{self, Counted, IfFull, Key, Seen};
use crate::policy::counting::Counting;
use crate::policy::rows::{Count, During, LimitAction, Window};
use crate::policy::schedule::{Moment, Stretch};
use crate::policy::words;

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is looked at.
    pub what: String,
    /// What it comes to.
    pub answer: String,
}

impl Limits {
    /// What each limit would make of a call, and what it counts it by. Nothing is counted.
    pub(in crate::policy) fn explain<C: Counting>(
        &self,
        asked: &Asked<'_>,
        counts: &C,
        now: Now,
    ) -> Vec<Step> {
        let call = self.call(asked, counts, now);
        (0_u8..)
            .zip(call.keyed())
            .map(|(number, (limit, key))| call.explain(number, limit, key))
            .collect()
    }
}

impl<C: Counting> Call<'_, C> {
    fn explain(&self, number: u8, limit: &Limit, key: &Key) -> Step {
        let text = self.hold_text(number, limit);
        let by: Vec<&str> = text
            .fields()
            .into_iter()
            .enumerate()
            .filter(|(field, text)| *field != 2 && !text.is_empty())
            .map(|(_, text)| text)
            .collect();
        let what = format!(
            "{} limit {}, by {}",
            limit.code.text(),
            self.limits.name(number),
            by.join(" ")
        );
        let verb = match limit.action {
            LimitAction::Report => "reports",
            LimitAction::Divert => "DIVERTS",
            LimitAction::Reject => "REJECTS",
        };
        let held = limit.hold_s.and_then(|_| self.counts.held(key, self.now));
        let answer = if let Some(held) = held {
            format!(
                "{verb}: held for {} more",
                words::stretch(held.left_s.into())
            )
        } else if limit.is_in_force(self.moment.as_ref()) {
            let (sum, fires) = self.sum(limit, key);
            format!("{}: {sum}", if fires { verb } else { "passes" })
        } else {
            format!("passes: {}", self.not_in_force(limit.during))
        };
        Step { what, answer }
    }

    /// What the call would come to with this limit, and whether it fires.
    fn sum(&self, limit: &Limit, key: &Key) -> (String, bool) {
        let amount = match limit.count {
            Count::Attempts | Count::Approved => 1,
            Count::Exposure => self.asked.exposure_micros,
            Count::ReportedCalls => {
                return match self.asked.reported_calls {
                    Some(calls) => (
                        format!("reported calls {calls}, max {}", limit.max),
                        u64::from(calls) > limit.max,
                    ),
                    None => ("no reported calls".to_owned(), false),
                };
            }
        };
        let Some(window) = limit.window(self.moment.as_ref()) else {
            return ("no window".to_owned(), false);
        };
        let counted = self.counts.peek(
            &counters::Count {
                key: limit.sum_key(key),
                seen: Seen::Unseen,
                owner: self.owner(),
                if_full: IfFull::Refuse,
                window,
                amount,
                warn: limit.warn,
                max: limit.max,
            },
            self.now,
        );
        match counted {
            Counted::Sum(sum) => {
                let said = |count: u64| match limit.count {
                    Count::Exposure => words::amount(count),
                    _ => count.to_string(),
                };
                let text = format!(
                    "with this call {}, max {} {}",
                    said(sum.total),
                    said(limit.max),
                    self.window_text(limit)
                );
                (text, sum.is_over && amount > 0)
            }
            Counted::Full => ("no room to count by".to_owned(), true),
        }
    }

    /// In which time a limit's maximum is one.
    fn window_text(&self, limit: &Limit) -> String {
        match limit.window {
            None => String::new(),
            Some(Window::Seconds(seconds)) => format!("in {}", words::stretch(seconds.into())),
            Some(Window::Day) => match self.moment {
                Some(Moment { day, .. }) => format!("in the day {}", self.since(day)),
                None => "in a day".to_owned(),
            },
            Some(Window::Period) => match self.moment {
                Some(Moment {
                    working, stretch, ..
                }) => format!("in the {} {}", hours(working), self.since(stretch)),
                None => "in a period".to_owned(),
            },
        }
    }

    fn since(&self, stretch: Stretch) -> String {
        match stretch.start_unix_s {
            0 => "that began longer ago than is known".to_owned(),
            start => format!("since {}", self.clock(start)),
        }
    }

    fn not_in_force(&self, during: During) -> String {
        let begin = match self.moment {
            Some(Moment { stretch, .. }) if stretch.end_unix_s < u64::MAX => {
                format!("which begin {}", self.clock(stretch.end_unix_s))
            }
            _ => "which do not begin as far as is known".to_owned(),
        };
        format!(
            "in force in {} only, {begin}",
            hours(during == During::WorkingHours)
        )
    }

    fn clock(&self, unix_s: u64) -> String {
        let schedule = self.limits.schedule.as_ref();
        schedule.map_or_else(String::new, |schedule| schedule.clock(unix_s))
    }
}

fn hours(working: bool) -> &'static str {
    if working {
        "working hours"
    } else {
        "off hours"
    }
}
