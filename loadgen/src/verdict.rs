//! What an answer means under a profile, and whether that is what the mix expects.
//!
//! Promises: a status that a profile gives to neither verdict is [`Reading::Neither`], so an error never passes for an
//! approval or a rejection. Leaves to `answer`: where status and Contact stand in the datagram.

/// How the server under test wears its verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Approve: 302 with Contact user `A00` + user part; reject: 603.
    Redirect,
    /// Approve: 302 with `A00` + user part; reject: 302 with another code + user part.
    RedirectCodes,
    /// Approve: 503; reject: 486 or 603.
    Failover,
    /// Approve: 404; reject: 603.
    NextRoute,
    /// Every verdict is 487, so only the status can be checked.
    Monitor,
}

/// What the mix expects of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The call may go on.
    Approve,
    /// The call looks like fraud.
    Reject,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// An approval of this very number.
    Approve,
    /// A rejection.
    Reject,
    /// The one answer of a profile that tells nothing apart.
    Either,
    /// Neither: an error, or a redirection to something else.
    Neither,
}

impl Reading {
    /// Whether this is the verdict that was expected.
    #[must_use]
    pub fn meets(self, expected: Expected) -> bool {
        match self {
            Self::Approve => expected == Expected::Approve,
            Self::Reject => expected == Expected::Reject,
            Self::Either => true,
            Self::Neither => false,
        }
    }
}

impl Expected {
    /// The word used in files of calls and in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// The code of an approval in a Contact.
const APPROVED: &[u8] = b"A00";

impl Profile {
    /// Reads a final answer: its status, the user part of its Contact if it has one, and the user part that was dialled.
    #[must_use]
    pub fn read(self, status: u16, contact_user: Option<&[u8]>, dialled: &[u8]) -> Reading {
        let code = if status == 302 {
            contact_user.and_then(|user| code_before(user, dialled))
        } else {
            None
        };
        match (self, status) {
            (Self::Redirect | Self::RedirectCodes, 302) if code == Some(APPROVED) => {
                Reading::Approve
            }
            (Self::RedirectCodes, 302) if code.is_some_and(is_code) => Reading::Reject,
            (Self::Redirect | Self::NextRoute | Self::Failover, 603) | (Self::Failover, 486) => {
                Reading::Reject
            }
            (Self::Failover, 503) | (Self::NextRoute, 404) => Reading::Approve,
            (Self::Monitor, 487) => Reading::Either,
            _ => Reading::Neither,
        }
    }
}

/// What stands before the dialled user part (up to its first `;` or `:`) in a Contact's user part.
fn code_before<'a>(contact_user: &'a [u8], dialled: &[u8]) -> Option<&'a [u8]> {
    let end = dialled
        .iter()
        .position(|&octet| octet == b';' || octet == b':')
        .unwrap_or(dialled.len());
    contact_user.strip_suffix(dialled.get(..end)?)
}

fn is_code(code: &[u8]) -> bool {
    matches!(code, [letter, tens, ones]
        if letter.is_ascii_uppercase() && tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_wears_its_verdicts_in_its_own_way() {
        use Profile::{Failover, Monitor, NextRoute, Redirect, RedirectCodes};
        use Reading::{Approve, Either, Neither, Reject};
        for (profile, status, contact, reading) in [
            (Redirect, 302, Some("A0001144"), Approve),
            (Redirect, 302, Some("R0601144"), Neither),
            (Redirect, 302, Some("A00"), Neither), // an approval of nothing
            (Redirect, 302, Some("A0001145"), Neither), // of another number
            (Redirect, 302, Some("01144"), Neither), // without a code
            (Redirect, 302, None, Neither),
            (Redirect, 301, Some("A0001144"), Neither),
            (Redirect, 603, None, Reject),
            (Redirect, 486, None, Neither),
            (Redirect, 503, None, Neither),
            (Redirect, 200, None, Neither),
            (RedirectCodes, 302, Some("A0001144"), Approve),
            (RedirectCodes, 302, Some("R0601144"), Reject),
            (RedirectCodes, 302, Some("D0001144"), Reject),
            (RedirectCodes, 302, Some("r0601144"), Neither),
            (RedirectCodes, 302, Some("R0601145"), Neither),
            (RedirectCodes, 302, Some("01144"), Neither),
            (RedirectCodes, 603, None, Neither),
            (Failover, 503, None, Approve),
            (Failover, 486, None, Reject),
            (Failover, 603, None, Reject),
            (Failover, 403, None, Neither),
            (Failover, 500, None, Neither), // CONGESTION on chan_sip, yet no approval
            (Failover, 302, Some("A0001144"), Neither),
            (NextRoute, 404, None, Approve),
            (NextRoute, 603, None, Reject),
            (NextRoute, 403, None, Neither),
            (Monitor, 487, None, Either),
            (Monitor, 603, None, Neither),
        ] {
            assert_eq!(
                profile.read(status, contact.map(str::as_bytes), b"01144"),
                reading,
                "{profile:?} {status} {contact:?}"
            );
        }
    }

    #[test]
    fn user_parameters_of_the_dialled_number_are_not_expected_back() {
        let reading = Profile::Redirect.read(302, Some(b"A00+4420"), b"+4420;npdi");
        assert_eq!(reading, Reading::Approve);
    }

    #[test]
    fn only_the_expected_verdict_meets_it() {
        for (reading, approve, reject) in [
            (Reading::Approve, true, false),
            (Reading::Reject, false, true),
            (Reading::Either, true, true),
            (Reading::Neither, false, false),
        ] {
            assert_eq!(reading.meets(Expected::Approve), approve, "{reading:?}");
            assert_eq!(reading.meets(Expected::Reject), reject, "{reading:?}");
        }
    }
}
