//! Limits of any kind against what the semantics say, written a second time.

use super::*;
use proptest::prelude::*;

/// A limit of any kind, small enough to fire.
fn any_limit() -> impl Strategy<Value = LimitRow> {
    let who =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(subscriber, caller, address)| {
            Who {
                subscriber,
                caller,
                address,
            }
        });
    let to = prop_oneof![
        Just(Whereto::Number),
        Just(Whereto::Prefix),
        Just(Whereto::Country),
        Just(Whereto::Any)
    ];
    let count = prop_oneof![
        Just(Count::Attempts),
        Just(Count::Approved),
        Just(Count::Exposure),
        Just(Count::ReportedCalls)
    ];
    let window = prop_oneof![
        (1_u32..40).prop_map(Window::Seconds),
        Just(Window::Day),
        Just(Window::Period)
    ];
    let during = prop_oneof![
        Just(During::Always),
        Just(During::WorkingHours),
        Just(During::OffHours)
    ];
    let action = prop_oneof![
        Just(LimitAction::Report),
        Just(LimitAction::Divert),
        Just(LimitAction::Reject)
    ];
    let hold = prop_oneof![3 => Just(None), 1 => (1_u32..60).prop_map(Some)];
    (who, to, count, window, during, action, hold, 0_u64..6).prop_map(
        |(who, to, count, window, during, action, hold_s, max)| LimitRow {
            who,
            to,
            count,
            window: (count != Count::ReportedCalls).then_some(window),
            during,
            action,
            hold_s,
            max: if count == Count::Exposure {
                max * 300_000
            } else {
                max
            },
            ..limit(Code::R13)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the limits: the decision follows from which of them fired, in file order; detection changes the answer
    /// and nothing else; and what is not approved has taken nothing of what only approved calls take.
    #[test]
    fn the_order_of_limits_holds_and_detection_moves_the_same_state(
        limits in proptest::collection::vec(any_limit(), 1..5),
        calls in proptest::collection::vec((0_usize..3, 0_usize..3, 0_u64..20, proptest::option::of(0_u32..8)), 1..60),
    ) {
        let mut rows = rows();
        rows.policies[0].schedule = office();
        rows.policies[0].divert = Some(DivertRow { prefix: *b"D00", host: None });
        rows.rates = vec![RateRow { prefix: None, micros_per_minute: 100_000 }];
        let codes = [Code::R08, Code::R09, Code::R10, Code::R11];
        rows.policies[0].limits = limits.into_iter().zip(codes).map(|(row, code)| LimitRow { name: code.text().to_owned(), code, ..row }).collect();
        let prevention = Node::new(&rows);
        rows.domains[0].mode = Mode::Detection;
        let detection = Node::new(&rows);
        let mut model = model::Model::new(&rows.policies[0].limits);
        for node in [&prevention, &detection] {
            node.wait(9 * 3600 - 30);
        }
        for (from, to, wait, reported) in calls {
            let caller = Caller {
                from: ["1001", "1002", "1003"][from],
                to: ["+442071838750", "+447012345678", "+12125550100"][to],
                reported,
                ..CALL
            };
            prevention.wait(wait);
            detection.wait(wait);
            let decision = prevention.decide(caller);
            let detected = detection.decide(caller);
            let want = model.decide(&caller, MONDAY + prevention.second.get());
            let got = (decision.verdict, decision.code);
            prop_assert_eq!(got, want);
            prop_assert_eq!(decision.reports, detected.reports);
            prop_assert_eq!(detected.verdict, Verdict::Approve);
            prop_assert_eq!(detected.code, Code::A00);
            let would = Some(decision.code).filter(|code| *code != Code::A00);
            prop_assert_eq!(detected.would, would);
        }
    }
}

/// What the limits should say, written from the semantics and from nothing else.
mod model {
    use super::*;
    use std::collections::HashMap;

    type Key = (usize, String);

    pub(super) struct Model<'a> {
        limits: &'a [LimitRow],
        sums: HashMap<Key, Vec<(u64, u64)>>,
        holds: HashMap<Key, u64>,
    }

    impl<'a> Model<'a> {
        pub(super) fn new(limits: &'a [LimitRow]) -> Self {
            Self {
                limits,
                sums: HashMap::new(),
                holds: HashMap::new(),
            }
        }

        fn key(&self, at: usize, caller: &Caller<'_>) -> Key {
            let row = &self.limits[at];
            let mut text = String::new();
            if row.who.caller {
                text += caller.from;
            }
            text += match (row.to, caller.to) {
                (Whereto::Number, number) => number,
                (Whereto::Prefix, "+442071838750") => "44",
                (Whereto::Prefix, "+447012345678") => "4470",
                (Whereto::Prefix | Whereto::Country, "+12125550100") => "1",
                (Whereto::Country, _) => "GB",
                (Whereto::Any, _) => "",
                (Whereto::Prefix, other) => panic!("{other}"),
            };
            (at, text)
        }

        /// What counts at this moment in the window of a limit.
        fn sum(&self, key: &Key, at_s: u64) -> u64 {
            let row = &self.limits[key.0];
            let all = self.sums.get(key).into_iter().flatten();
            let in_window = |moment: u64| match row.window.unwrap() {
                Window::Seconds(seconds) => at_s - moment < u64::from(seconds),
                Window::Day => at_s / 86_400 == moment / 86_400,
                Window::Period => stretch(at_s) == stretch(moment),
            };
            all.filter(|(moment, _)| in_window(*moment))
                .map(|(_, amount)| *amount)
                .sum()
        }

        pub(super) fn decide(&mut self, caller: &Caller<'_>, at_s: u64) -> (Verdict, Code) {
            let mut stops: Vec<(LimitAction, Code)> = Vec::new();
            for (at, row) in self.limits.iter().enumerate() {
                let until = self.holds.get(&self.key(at, caller));
                if until.is_some_and(|until| at_s < *until) {
                    stops.push((row.action, row.code));
                }
            }
            if let Some(stop) = first(&stops) {
                return stop;
            }
            stops.clear();
            let mut reserved = Vec::new();
            for (at, row) in self.limits.iter().enumerate() {
                let working = stretch(at_s).1;
                let in_force = match row.during {
                    During::Always => true,
                    During::WorkingHours => working,
                    During::OffHours => !working,
                };
                let is_rejected = stops
                    .iter()
                    .any(|(action, _)| *action == LimitAction::Reject);
                if !in_force || (is_rejected && row.count != Count::Attempts) {
                    continue;
                }
                let key = self.key(at, caller);
                let fires = match row.count {
                    Count::ReportedCalls => caller
                        .reported
                        .is_some_and(|calls| u64::from(calls) > row.max),
                    Count::Attempts | Count::Approved | Count::Exposure => {
                        let amount = if row.count == Count::Exposure {
                            300_000
                        } else {
                            1
                        };
                        let before = self.sum(&key, at_s);
                        if before < row.max {
                            self.sums
                                .entry(key.clone())
                                .or_default()
                                .push((at_s, amount));
                            if row.count != Count::Attempts {
                                reserved.push(key.clone());
                            }
                        }
                        before + amount > row.max
                    }
                };
                if fires {
                    if let Some(seconds) = row.hold_s {
                        let until = self.holds.entry(key).or_insert(0);
                        if *until <= at_s {
                            *until = at_s + u64::from(seconds);
                        }
                    }
                    stops.push((row.action, row.code));
                }
            }
            let Some(stop) = first(&stops) else {
                return (Verdict::Approve, Code::A00);
            };
            for key in reserved {
                self.sums.get_mut(&key).unwrap().pop();
            }
            stop
        }
    }

    /// The first reject, else the first divert.
    fn first(stops: &[(LimitAction, Code)]) -> Option<(Verdict, Code)> {
        let of = |wanted| stops.iter().find(|(action, _)| *action == wanted);
        let reject = of(LimitAction::Reject).map(|(_, code)| (Verdict::Reject, *code));
        reject.or_else(|| of(LimitAction::Divert).map(|(_, code)| (Verdict::Divert, *code)))
    }

    /// Which stretch of the office's hours a moment lies in, and whether it is a working one.
    fn stretch(at_s: u64) -> (u64, bool) {
        let (day, second) = ((at_s - MONDAY) / 86_400, at_s % 86_400);
        let works = day % 7 < 5 && (32_400..61_200).contains(&second);
        if works {
            return (2 * day + 1, true);
        }
        // A night belongs to the evening that it begins on, a week-end to its Friday.
        let of_day = if second < 32_400 {
            day.wrapping_sub(1)
        } else {
            day
        };
        let since_monday = of_day.wrapping_add(7) % 7;
        let evening = if since_monday > 4 {
            of_day.wrapping_sub(since_monday - 4)
        } else {
            of_day
        };
        (evening.wrapping_mul(2).wrapping_add(2), false)
    }
}
