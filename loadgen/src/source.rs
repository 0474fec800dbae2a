//! Where calls come from: one number, a mix, or a list that was read from a file.
//!
//! Promises: the call with a number, and when it is due if the source says so, follow from the source, its seed and that
//! number alone, so that a copy is rendered again instead of being kept, in any order and on any thread. Allocates nothing per call.
//! Leaves to `message`: branch, Call-ID and tags, which carry the run; to `pace`: times where the source has none of its own.

use crate::call::Call;
use crate::clock::Nanos;
use crate::limits::USER_BYTES_MAX;
use crate::mix::Mix;
use crate::text::Text;
use crate::verdict::Expected;

/// A call of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCall {
    /// When it is due, in nanoseconds from the first call of the list.
    pub due: Nanos,
    /// The call.
    pub call: Call,
}

/// Where calls come from.
#[derive(Debug, Clone)]
pub enum Calls {
    /// One number for every call; the rest as in the mix.
    Fixed {
        /// Callers, agents and addresses.
        mix: Mix,
        /// The dialled user part.
        user: Text<USER_BYTES_MAX>,
        /// The verdict that the server must reach.
        expected: Expected,
    },
    /// A mix, at its own times or for a pace.
    Mix(Mix),
    /// The calls of a file, in the order of their times; never empty.
    Listed {
        /// The calls.
        calls: Vec<ListedCall>,
        /// Whether they are made at their own times; otherwise the pace says when, and after the last comes the first.
        own_times: bool,
        /// What the report calls them.
        label: String,
    },
}

impl Calls {
    /// Fills in the call with this number.
    pub fn fill(&self, number: u64, call: &mut Call) {
        match self {
            Self::Fixed {
                mix,
                user,
                expected,
            } => {
                mix.fill(number, call);
                call.user = *user;
                call.agent.set(crate::mix::numbers::FIXED_AGENT);
                call.expected = *expected;
                call.code.clear();
            }
            Self::Mix(mix) => mix.fill(number, call),
            Self::Listed { calls, .. } => {
                let count = u64::try_from(calls.len()).unwrap_or(u64::MAX).max(1);
                let index = usize::try_from(number % count).unwrap_or(0);
                match calls.get(index) {
                    Some(listed) => call.clone_from(&listed.call),
                    None => call.clear(),
                }
            }
        }
    }

    /// The call with this number.
    #[must_use]
    pub fn call(&self, number: u64) -> Call {
        let mut call = Call::default();
        self.fill(number, &mut call);
        call
    }

    /// Whether [`Self::due`] says when calls are made, instead of the pace.
    #[must_use]
    pub fn has_own_times(&self) -> bool {
        match self {
            Self::Fixed { .. } => false,
            Self::Mix(mix) => mix.has_own_times(),
            Self::Listed { own_times, .. } => *own_times,
        }
    }

    /// When the call with this number is due by the source's own times, in nanoseconds from the start. `None`: after
    /// the last call, or the source has no times of its own. Never earlier than the call before.
    #[must_use]
    pub fn due(&self, number: u64) -> Option<Nanos> {
        match self {
            Self::Fixed { .. } => None,
            Self::Mix(mix) => mix.due(number),
            Self::Listed {
                calls, own_times, ..
            } => {
                let listed = calls.get(usize::try_from(number).ok()?)?;
                own_times.then_some(listed.due)
            }
        }
    }

    /// What the report calls this source.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Fixed { .. } => "one number",
            Self::Mix(mix) => mix.label(),
            Self::Listed { label, .. } => label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(own_times: bool) -> Calls {
        let call = |user: &[u8], due| ListedCall {
            due,
            call: Call {
                user: Text::of(user).unwrap(),
                ..Call::default()
            },
        };
        Calls::Listed {
            calls: vec![call(b"0114420", 0), call(b"8816", 5)],
            own_times,
            label: "a file".to_owned(),
        }
    }

    #[test]
    fn a_list_at_a_rate_comes_round_again() {
        let calls = listed(false);
        for (number, user) in [(0, "0114420"), (1, "8816"), (2, "0114420")] {
            assert_eq!(calls.call(number).user.as_bytes(), user.as_bytes());
        }
        assert_eq!(calls.due(0), None);
    }

    #[test]
    fn a_list_at_its_own_times_ends() {
        let calls = listed(true);
        assert!(calls.has_own_times());
        assert_eq!([0, 1, 2].map(|n| calls.due(n)), [Some(0), Some(5), None]);
    }
}
