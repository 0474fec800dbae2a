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
    /// Approve: 503; reject: 486, or 603 where the operator chose it.
    Failover,
    /// Approve: 404; reject: 603.
    NextRoute,
    /// Every verdict is 487, so only the status can be checked.
    Monitor,
}

impl Profile {
    /// The name in configurations.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::RedirectCodes => "redirect-codes",
            Self::Failover => "failover",
            Self::NextRoute => "next-route",
            Self::Monitor => "monitor",
        }
    }
}

/// What the mix expects of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Expected {
    /// The call may go on.
    #[default]
    Approve,
    /// The call looks like fraud.
    Reject,
    /// A verdict, but which one hangs on microseconds: a limit's window ends or fills right here.
    ApproveOrReject,
    /// No verdict: a final answer of 400 or more that is neither the approval nor the rejection of the profile.
    Error,
    /// Any final answer: nothing is known of the call.
    Any,
    /// No answer at all.
    Silence,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// An approval of this very number.
    Approve,
    /// A rejection.
    Reject,
    /// The answer of a profile whose rejections and errors look alike.
    RejectOrError,
    /// The one answer of a profile that tells nothing apart.
    Either,
    /// A refusal that is no verdict: any other status of 400 or more.
    Error,
    /// Nothing that a server of this profile may say: a success, or a redirection to something else.
    Neither,
}

impl Reading {
    /// Whether this is the verdict that was expected.
    #[must_use]
    pub fn meets(self, expected: Expected) -> bool {
        if expected == Expected::Any {
            return true;
        }
        match self {
            Self::Approve => matches!(expected, Expected::Approve | Expected::ApproveOrReject),
            Self::Reject => matches!(expected, Expected::Reject | Expected::ApproveOrReject),
            Self::RejectOrError => matches!(
                expected,
                Expected::Reject | Expected::ApproveOrReject | Expected::Error
            ),
            Self::Either => expected != Expected::Silence,
            Self::Error => expected == Expected::Error,
            Self::Neither => false,
        }
    }
}

impl Reading {
    /// The word used in the record of calls; `code` is that of the Contact.
    #[must_use]
    pub fn word(self, code: Option<&[u8]>) -> &'static str {
        if code.is_some_and(|code| code.starts_with(b"D")) {
            return "divert";
        }
        match self {
            Self::Approve => "approve",
            Self::Reject | Self::RejectOrError => "reject",
            Self::Either => "either",
            Self::Error | Self::Neither => "error",
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
            Self::ApproveOrReject => "approve or reject",
            Self::Error => "error",
            Self::Any => "any",
            Self::Silence => "silence",
        }
    }
}

/// The code of an approval in a Contact.
const APPROVED: &[u8] = b"A00";

/// The code that stands before the number in the Contact of a redirection, if it has the shape of one.
#[must_use]
pub fn code_of<'a>(
    status: u16,
    contact_user: Option<&'a [u8]>,
    dialled: &[u8],
) -> Option<&'a [u8]> {
    if status != 302 {
        return None;
    }
    code_before(contact_user?, dialled).filter(|code| is_code(code))
}

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
            (Self::Redirect | Self::Failover, 603) | (Self::Failover, 486) => Reading::Reject,
            (Self::NextRoute, 603) => Reading::RejectOrError,
            (Self::Failover, 503) | (Self::NextRoute, 404) => Reading::Approve,
            (Self::Monitor, 487) => Reading::Either,
            // On `failover` a 5xx reads as an approval at many PBXs, whoever meant it; it is nobody's error.
            (Self::Failover, 500..600) => Reading::Neither,
            (_, 400..700) => Reading::Error,
            _ => Reading::Neither,
        }
    }
}

/// What stands before the dialled user part (up to its first `;` or `:`) in a Contact's user part.
fn code_before<'a>(contact_user: &'a [u8], dialled: &[u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr2(b';', b':', dialled).unwrap_or(dialled.len());
    contact_user.strip_suffix(dialled.get(..end)?)
}

fn is_code(code: &[u8]) -> bool {
    matches!(code, [letter, tens, ones]
        if letter.is_ascii_uppercase() && tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses that the help names are those that are read so, all of them and no other.
    #[test]
    fn the_help_of_each_profile_names_the_statuses_of_its_verdicts() {
        use clap::ValueEnum as _;
        let numbers = |text: &str| -> Vec<u16> {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            words.filter_map(|word| word.parse().ok()).collect()
        };
        for profile in Profile::value_variants() {
            let value = profile.to_possible_value().unwrap();
            let help = value.get_help().unwrap().to_string();
            let read = |code: &str, wanted: &[Reading]| -> Vec<u16> {
                let contact = format!("{code}1144");
                let reads = |status: &u16| {
                    wanted.contains(&profile.read(*status, Some(contact.as_bytes()), b"1144"))
                };
                (300..700).filter(reads).collect()
            };
            let Some((approve, reject)) = help.split_once("; reject: ") else {
                assert_eq!(numbers(&help), read("A00", &[Reading::Either]), "{help}");
                continue;
            };
            assert_eq!(numbers(approve), read("A00", &[Reading::Approve]), "{help}");
            let rejections = [Reading::Reject, Reading::RejectOrError];
            assert_eq!(numbers(reject), read("R03", &rejections), "{help}");
        }
    }

    #[test]
    fn each_profile_wears_its_verdicts_in_its_own_way() {
        use Profile::{Failover, Monitor, NextRoute, Redirect, RedirectCodes};
        use Reading::{Approve, Either, Error, Neither, Reject, RejectOrError};
        for (profile, status, contact, reading) in [
            (Redirect, 302, Some("A0001144"), Approve),
            (Redirect, 302, Some("R0601144"), Neither),
            (Redirect, 302, Some("A00"), Neither), // an approval of nothing
            (Redirect, 302, Some("A0001145"), Neither), // of another number
            (Redirect, 302, Some("01144"), Neither), // without a code
            (Redirect, 302, None, Neither),
            (Redirect, 301, Some("A0001144"), Neither),
            (Redirect, 603, None, Reject),
            (Redirect, 486, None, Error),
            (Redirect, 503, None, Error),
            (Redirect, 200, None, Neither),
            (RedirectCodes, 302, Some("A0001144"), Approve),
            (RedirectCodes, 302, Some("R0601144"), Reject),
            (RedirectCodes, 302, Some("D0001144"), Reject),
            (RedirectCodes, 302, Some("r0601144"), Neither),
            (RedirectCodes, 302, Some("R0601145"), Neither),
            (RedirectCodes, 302, Some("01144"), Neither),
            (RedirectCodes, 603, None, Error),
            (Failover, 503, None, Approve),
            (Failover, 486, None, Reject),
            (Failover, 603, None, Reject),
            (Failover, 403, None, Error),
            (Failover, 500, None, Neither), // CONGESTION on chan_sip, yet no approval
            (Failover, 302, Some("A0001144"), Neither),
            (NextRoute, 404, None, Approve),
            (NextRoute, 603, None, RejectOrError),
            (NextRoute, 403, None, Error),
            (Monitor, 487, None, Either),
            (Monitor, 603, None, Error),
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
    fn a_redirection_to_a_diverting_code_is_no_rejection_in_the_record() {
        for (status, contact, code, word) in [
            (302, Some("A0001144"), Some("A00"), "approve"),
            (302, Some("R0601144"), Some("R06"), "reject"),
            (302, Some("D0001144"), Some("D00"), "divert"),
            (302, Some("x0001144"), None, "error"),
            (603, None, None, "error"),
            (603, Some("A0001144"), None, "error"),
        ] {
            let contact = contact.map(str::as_bytes);
            let found = code_of(status, contact, b"01144");
            assert_eq!(found, code.map(str::as_bytes), "{status} {contact:?}");
            let reading = Profile::RedirectCodes.read(status, contact, b"01144");
            assert_eq!(reading.word(found), word, "{status} {contact:?}");
        }
    }

    #[test]
    fn only_the_expected_verdict_meets_it() {
        for (reading, met) in [
            (Reading::Approve, [true, false, true, false, false]),
            (Reading::Reject, [false, true, true, false, false]),
            (Reading::RejectOrError, [false, true, true, true, false]),
            (Reading::Either, [true, true, true, true, false]),
            (Reading::Error, [false, false, false, true, false]),
            (Reading::Neither, [false, false, false, false, false]),
        ] {
            let all = [
                Expected::Approve,
                Expected::Reject,
                Expected::ApproveOrReject,
                Expected::Error,
                Expected::Silence,
            ];
            assert!(reading.meets(Expected::Any));
            assert_eq!(
                all.map(|expected| reading.meets(expected)),
                met,
                "{reading:?}"
            );
        }
    }
}
