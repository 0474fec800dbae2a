//! What later transactions of an attempt are told: a ruling in one word, and back.

use super::{LimitFacts, LimitRuling, Stop};
use crate::counters;
use crate::policy::code::{Code, CodeSet};

const TOLD_DIVERT: u16 = 1 << 5;
const TOLD_REJECT: u16 = 2 << 5;
const TOLD_CODE: u16 = (1 << 5) - 1;
const _: () = assert!(
    Code::ALL.len() <= TOLD_CODE as usize + 1 && TOLD_REJECT | TOLD_CODE < counters::Told::COUNT,
    "what is told fits what is kept of an attempt"
);

/// What later transactions of the same attempt are told. Which limit it was is not: the policy may be another one by then.
pub(super) fn told(ruling: &LimitRuling) -> counters::Told {
    let code = |code: Code| u16::from(code as u8);
    counters::Told(match ruling.stop {
        None => 0,
        Some(Stop::Divert(by)) => TOLD_DIVERT | code(by),
        Some(Stop::Reject(by)) => TOLD_REJECT | code(by),
    })
}

pub(super) fn retold(told: counters::Told) -> LimitRuling {
    LimitRuling {
        stop: stop(told),
        reports: CodeSet::default(),
        facts: LimitFacts {
            same_attempt: true,
            ..LimitFacts::default()
        },
    }
}

fn stop(told: counters::Told) -> Option<Stop> {
    let code = Code::ALL
        .get(usize::from(told.0 & TOLD_CODE))
        .copied()
        .unwrap_or(Code::R13);
    match told.0 & !TOLD_CODE {
        TOLD_DIVERT => Some(Stop::Divert(code)),
        TOLD_REJECT => Some(Stop::Reject(code)),
        _ => None,
    }
}

impl LimitRuling {
    /// What another transaction of the attempt was told stands in place of this.
    pub(super) fn abide_by(&mut self, stands: counters::Told) {
        if stands != told(self) {
            self.stop = stop(stands);
            self.facts.decided = None;
            self.facts.same_attempt = true;
        }
    }
}
