//! One call on its way through the holds and limits of its policy.
//!
//! Promises: the first rejection decides, else the first diversion; what approved calls reserve is given back when the call
//! is not approved.
//! Leaves to `Counting`: the sums and the holds.

use super::limit::Limit;
use super::told::told;
use super::{Asked, Called, Decider, LimitRuling, Limits, Parties, Stop};
use crate::clock::Now;
use crate::counters::{self, Counted, HoldText, IfFull, Key, NewHold, Owner, Reserved, Seen};
use crate::policy::code::Code;
use crate::policy::counting::Counting;
use crate::policy::rows::{Action, Count, LimitAction, Whereto};
use crate::policy::schedule::Moment;
use std::fmt::{self, Write};

/// One call on its way through the limits.
pub(super) struct Call<'a, C> {
    pub(super) limits: &'a Limits,
    pub(super) asked: &'a Asked<'a>,
    pub(super) moment: Option<Moment>,
    pub(super) counts: &'a C,
    pub(super) now: Now,
}

impl<C: Counting> Call<'_, C> {
    /// Whose share of the counters its keys take.
    pub(super) fn owner(&self) -> Owner {
        self.asked.foreseen.owner()
    }

    /// The limits, each with the key by which it holds.
    pub(super) fn keyed(&self) -> impl Iterator<Item = (&Limit, &Key)> {
        self.limits.limits.iter().zip(&self.asked.foreseen.keys)
    }

    /// The first hold that rejects decides, else the first that diverts.
    pub(super) fn holds(&self, ruling: &mut LimitRuling) {
        for (number, (limit, key)) in (0_u8..).zip(self.keyed()) {
            if limit.hold_s.is_none() || self.counts.held(key, self.now).is_none() {
                continue;
            }
            let held = Decider { number, held: true };
            ruling.act(limit.action, limit.code, held);
            if ruling.is_rejected() {
                return;
            }
        }
    }

    /// Says what the limits came to; another shard that met the same attempt may have been first, and then that stands.
    pub(super) fn settle(&self, ruling: &mut LimitRuling) {
        let stands = self
            .counts
            .settle(&self.asked.foreseen.attempt, told(ruling), self.now);
        ruling.abide_by(stands);
    }

    /// This limit and those after it; once all have spoken and it is settled what stands, what this one reserved is given back
    /// if the call is not approved.
    pub(super) fn limits_from(&self, number: u8, ruling: &mut LimitRuling) {
        let at = usize::from(number);
        let foreseen = self.asked.foreseen;
        let (Some(limit), Some(key), Some(seen)) = (
            self.limits.limits.get(at),
            foreseen.keys.get(at),
            foreseen.seen.get(at),
        ) else {
            self.settle(ruling);
            return;
        };
        let reserved = self.limit(number, limit, (key, *seen), ruling);
        self.limits_from(number + 1, ruling);
        if let Some(reserved) = reserved
            && ruling.stop.is_some()
        {
            self.counts.release(&reserved, self.now);
        }
    }

    /// Counts the call with one limit. What it reserved, if it did.
    fn limit(
        &self,
        number: u8,
        limit: &Limit,
        (key, seen): (&Key, Seen),
        ruling: &mut LimitRuling,
    ) -> Option<Reserved> {
        if !limit.is_in_force(self.moment.as_ref()) {
            return None;
        }
        // A rejected call is still an attempt, but no longer approved.
        let is_attempt = limit.count == Count::Attempts;
        if ruling.is_rejected() && !is_attempt {
            return None;
        }
        let amount = match limit.count {
            Count::Attempts | Count::Approved => 1,
            Count::Exposure => self.asked.exposure_micros,
            Count::ReportedCalls => {
                let calls = self.asked.reported_calls?;
                if u64::from(calls) > limit.max {
                    self.fire(number, limit, key, ruling);
                }
                return None;
            }
        };
        if amount == 0 {
            return None;
        }
        let if_full = match self.limits.unknown_counters {
            Action::Reject => IfFull::Refuse,
            Action::Approve | Action::Report => IfFull::Fold(limit.rest),
        };
        let counted = self.counts.add(
            &counters::Count {
                key: limit.sum_key(key),
                seen,
                owner: self.owner(),
                if_full,
                window: limit.window(self.moment.as_ref())?,
                amount,
                warn: limit.warn,
                max: limit.max,
            },
            self.now,
        );
        let sum = match counted {
            Counted::Sum(sum) => sum,
            Counted::Full => {
                self.no_room(number, ruling);
                return None;
            }
        };
        if sum.is_folded {
            self.no_room(number, ruling);
        }
        if sum.is_warning {
            ruling.facts.warned |= 1_u32.unbounded_shl(number.into());
        }
        if sum.is_over {
            self.fire(number, limit, key, ruling);
        }
        sum.reserved.filter(|_| !is_attempt)
    }

    /// The subscriber's share of the counters is full (R15).
    fn no_room(&self, number: u8, ruling: &mut LimitRuling) {
        let action = match self.limits.unknown_counters {
            Action::Approve => return,
            Action::Report => LimitAction::Report,
            Action::Reject => LimitAction::Reject,
        };
        let decider = Decider {
            number,
            held: false,
        };
        ruling.act(action, Code::R15, decider);
    }

    fn fire(&self, number: u8, limit: &Limit, key: &Key, ruling: &mut LimitRuling) {
        if let Some(seconds) = limit.hold_s {
            let hold = NewHold {
                code: u16::from(limit.code as u8),
                seconds,
                owner: self.owner(),
                text: &self.hold_text(number, limit),
            };
            // Where there is no room for a hold the limit itself goes on firing, and the counters say so.
            let _is_held = self.counts.hold(key, &hold, self.now);
        }
        let decider = Decider {
            number,
            held: false,
        };
        ruling.act(limit.action, limit.code, decider);
    }

    /// Whom and what a hold of this limit is about.
    #[cold]
    pub(super) fn hold_text(&self, number: u8, limit: &Limit) -> HoldText {
        let name = self.limits.name(number);
        let mut text = HoldText::new([b""; 6]);
        (self.asked.tell)(&mut |parties| text = hold_text(parties, name, limit));
        text
    }
}

fn hold_text(parties: &Parties<'_>, name: &str, limit: &Limit) -> HoldText {
    let Parties {
        caller,
        address,
        number: called,
        prefix,
        domain,
        subscriber,
        country,
    } = *parties;
    let named = |is_named: bool, text| if is_named { text } else { &b""[..] };
    let mut address_text = Small::EMPTY;
    // An address has room.
    let _fits = write!(address_text, "{address}");
    let mut to_text = Small::EMPTY;
    let _fits = match (limit.to, called) {
        (Whereto::Number, Called::Number(number)) => write!(to_text, "+{number}"),
        (Whereto::Number, Called::Other(dialled)) => {
            to_text.push(dialled);
            Ok(())
        }
        (Whereto::Prefix, _) => prefix.map_or(Ok(()), |prefix| write!(to_text, "+{prefix}*")),
        (Whereto::Country, _) => to_text.write_str(country),
        (Whereto::Any, _) => Ok(()),
    };
    HoldText::new([
        domain.as_bytes(),
        named(limit.who.subscriber, subscriber.as_bytes()),
        name.as_bytes(),
        named(limit.who.caller, caller),
        named(limit.who.address, address_text.octets()),
        to_text.octets(),
    ])
}

impl LimitRuling {
    pub(super) fn is_rejected(&self) -> bool {
        matches!(self.stop, Some(Stop::Reject(_)))
    }

    /// The first rejection decides, else the first diversion. After a rejection nothing is added any more.
    fn act(&mut self, action: LimitAction, code: Code, decider: Decider) {
        if self.is_rejected() {
            return;
        }
        match action {
            LimitAction::Report => {
                self.reports.insert(code);
                if code != Code::R15 {
                    self.facts.reported |= 1_u32.unbounded_shl(decider.number.into());
                }
                return;
            }
            LimitAction::Divert if self.stop.is_some() => return,
            LimitAction::Divert => self.stop = Some(Stop::Divert(code)),
            LimitAction::Reject => self.stop = Some(Stop::Reject(code)),
        }
        self.facts.decided = Some(decider);
    }
}

/// Room for an address or a number as text; what does not fit is left out.
struct Small {
    octets: [u8; 48],
    length: usize,
}

impl Small {
    const EMPTY: Self = Self {
        octets: [0; 48],
        length: 0,
    };

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, octets: &[u8]) {
        for (place, octet) in self.octets.iter_mut().skip(self.length).zip(octets) {
            *place = *octet;
            self.length += 1;
        }
    }
}

impl Write for Small {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}
