//! What an answer is held against, for the calls that were sent last: made once when the INVITE was, read when its answer comes.
//!
//! Promises: what it says of a call is what the source of calls says; one that is no longer here is made again. Fixed memory.
//! Leaves to `source`: what a call is.

use crate::call::Call;
use crate::limits::{CALLER_BYTES_MAX, HOST_BYTES_MAX, RECENT_CALLS, USER_BYTES_MAX};
use crate::text::Text;
use crate::verdict::Expected;

/// What of a call is needed when its answer comes.
#[derive(Debug, Clone, Default)]
pub struct Brief {
    /// The dialled user part.
    pub user: Text<USER_BYTES_MAX>,
    /// The user part of the From.
    pub caller: Text<CALLER_BYTES_MAX>,
    /// The host of the From; empty: the socket's address.
    pub from_host: Text<HOST_BYTES_MAX>,
    /// The code that must be given; empty: any.
    pub code: Text<3>,
    /// The verdict that must be reached.
    pub expected: Expected,
}

impl Brief {
    /// Takes over what is needed of a call.
    pub fn set(&mut self, call: &Call) {
        self.user.clear();
        self.user.push_octets(call.user.octets());
        self.caller.clear();
        self.caller.push_octets(call.caller.octets());
        self.from_host.clear();
        self.from_host.push_octets(call.from_host.octets());
        self.code = call.code;
        self.expected = call.expected;
    }
}

/// The last calls of an engine, by their numbers.
#[derive(Debug)]
pub struct Recent {
    slots: Box<[(u64, Brief)]>,
}

impl Recent {
    /// No calls yet.
    #[must_use]
    pub fn new() -> Self {
        let slots = usize::try_from(RECENT_CALLS).unwrap_or(1);
        Self {
            slots: vec![(u64::MAX, Brief::default()); slots].into(),
        }
    }

    /// Remembers the engine's call of this number.
    pub fn keep(&mut self, number: u64, call: &Call) {
        if let Some((kept, brief)) = self.slots.get_mut(slot_of(number)) {
            *kept = number;
            brief.set(call);
        }
    }

    /// The engine's call of this number; `make` makes it again if it is no longer here.
    pub fn get(&mut self, number: u64, make: impl FnOnce() -> Call) -> &Brief {
        let slot = slot_of(number);
        if self.slots.get(slot).is_none_or(|(kept, _)| *kept != number) {
            self.keep(number, &make());
        }
        // A slot of a number is below the number of slots.
        self.slots
            .get(slot)
            .map_or(const { &NO_CALL }, |(_, brief)| brief)
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

const NO_CALL: Brief = Brief {
    user: Text::new(),
    caller: Text::new(),
    from_host: Text::new(),
    code: Text::new(),
    expected: Expected::Silence,
};

fn slot_of(number: u64) -> usize {
    usize::try_from(number % RECENT_CALLS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(user: &[u8]) -> Call {
        Call {
            user: Text::of(user).unwrap(),
            ..Call::default()
        }
    }

    #[test]
    fn a_call_is_made_again_when_another_took_its_place() {
        let mut recent = Recent::new();
        recent.keep(3, &call(b"1"));
        let not_made = || -> Call { panic!("it was kept") };
        assert_eq!(recent.get(3, not_made).user.as_bytes(), b"1");
        recent.keep(3 + RECENT_CALLS, &call(b"2"));
        assert_eq!(recent.get(3, || call(b"1")).user.as_bytes(), b"1");
        assert_eq!(recent.get(3, not_made).user.as_bytes(), b"1");
        assert_eq!(
            recent.get(3 + RECENT_CALLS, || call(b"2")).user.as_bytes(),
            b"2"
        );
    }
}
