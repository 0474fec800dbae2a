//! What the limits would make of a call, in words. Nothing is counted by asking.

use super::call::Call;
use super::limit::Limit;
use super::{Asked, Limits};
use crate::clock::Now;
use crate::counters::{self, Counted, IfFull, Key, Seen};
use crate::policy::counting::Counting;
use crate::policy::rows::{Count, LimitAction};

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
            format!("{verb}: held for {} s more", held.left_s)
        } else if limit.is_in_force(self.moment.as_ref()) {
            let (sum, fires) = self.sum(limit, key);
            format!("{}: {sum}", if fires { verb } else { "passes" })
        } else {
            "passes: not in force at this hour".to_owned()
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
                let unit = if limit.count == Count::Exposure {
                    " millionths"
                } else {
                    ""
                };
                let said = format!("with this call {}{unit}, max {}", sum.total, limit.max);
                (said, sum.is_over && amount > 0)
            }
            Counted::Full => ("no room to count by".to_owned(), true),
        }
    }
}
