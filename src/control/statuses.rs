//! What a domain sends for each answer, and which statuses it may put in place of its profile's.
//!
//! Promises: an override that `policy` would not use is a fault, and so is one that could not be sent as it should.

use crate::policy::Code;
use crate::policy::profile::{default_statuses, override_faults};
use crate::policy::rows::{Profile, StatusOverrides};
use crate::sip::Status;

/// What an override in `statuses` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// `approve`.
    Approve,
    /// `reject`.
    Reject,
    /// `error`.
    Error,
    /// A code of its own, never `A00`.
    Code(Code),
}

impl Answer {
    /// The key in `statuses`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Error => "error",
            Self::Code(code) => code.text(),
        }
    }

    /// The answer that a key of `statuses` is for.
    pub(super) fn from_key(key: &str) -> Option<Self> {
        Self::all().find(|answer| answer.key() == key)
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let codes = Code::ALL.into_iter().filter(|&code| code != Code::A00);
        [Self::Approve, Self::Reject, Self::Error]
            .into_iter()
            .chain(codes.map(Self::Code))
    }

    /// The domain's own status for it.
    pub(super) fn overridden(self, overrides: &StatusOverrides) -> Option<Status> {
        match self {
            Self::Approve => overrides.approve,
            Self::Reject => overrides.reject,
            Self::Error => overrides.error,
            Self::Code(code) => overrides.by_code.get(code.index()).copied().flatten(),
        }
    }

    /// The status on the wire; `None` is RFC 3261's own, of errors only.
    pub(super) fn resolved(self, profile: Profile, overrides: &StatusOverrides) -> Option<Status> {
        let defaults = default_statuses(profile);
        let own = self.overridden(overrides);
        match self {
            Self::Approve => own.or(Some(defaults.approve)),
            Self::Reject => own.or(Some(defaults.reject)),
            Self::Error => own.or(defaults.error),
            Self::Code(_) => own.or_else(|| Self::Reject.resolved(profile, overrides)),
        }
    }
}

/// What is wrong with a domain's overrides: the key and a sentence.
pub(super) fn faults(profile: Profile, overrides: &StatusOverrides) -> Vec<(&'static str, String)> {
    let mut faults: Vec<(&'static str, String)> = override_faults(profile, overrides)
        .into_iter()
        .map(|(key, status, why)| (key, format!("{key} = {}: {why}", status.0)))
        .collect();
    for answer in Answer::all() {
        let Some(status) = answer.overridden(overrides) else {
            continue;
        };
        if (300..=399).contains(&status.0)
            && !has_contact(profile, answer)
            && !faults.iter().any(|&(key, _)| key == answer.key())
        {
            faults.push((
                answer.key(),
                format!(
                    "{} = {}: a redirect without a Contact leads nowhere, and this answer has none in this profile",
                    answer.key(),
                    status.0
                ),
            ));
        }
    }
    faults
}

/// Whether the profile's answer carries a Contact when its status is a 3xx.
fn has_contact(profile: Profile, answer: Answer) -> bool {
    match (profile, answer) {
        (Profile::Redirect | Profile::RedirectCodes, Answer::Approve)
        | (Profile::RedirectCodes, Answer::Reject | Answer::Code(_)) => true,
        (
            Profile::Redirect
            | Profile::RedirectCodes
            | Profile::Failover
            | Profile::NextRoute
            | Profile::Monitor,
            _,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overrides written `reject=603 R03=608`.
    fn overrides(text: &str) -> StatusOverrides {
        let mut overrides = StatusOverrides::default();
        for word in text.split_whitespace() {
            let (key, status) = word.split_once('=').unwrap();
            let status = Some(Status(status.parse().unwrap()));
            match Answer::from_key(key).unwrap() {
                Answer::Approve => overrides.approve = status,
                Answer::Reject => overrides.reject = status,
                Answer::Error => overrides.error = status,
                Answer::Code(code) => overrides.by_code[code.index()] = status,
            }
        }
        overrides
    }

    /// The keys of `text` that are faults in the profile.
    fn check(profile: Profile, text: &str, wrong: &[&str]) {
        let keys: Vec<_> = faults(profile, &overrides(text))
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, wrong, "{profile:?} {text}");
    }

    #[test]
    fn a_rejection_or_an_error_never_enters_the_approving_class() {
        check(Profile::Redirect, "", &[]);
        check(Profile::Redirect, "reject=486 error=500 R03=608", &[]);
        check(Profile::Redirect, "approve=301", &[]);
        check(Profile::Redirect, "approve=404", &["approve"]);
        check(Profile::Redirect, "reject=302", &["reject"]);
        check(Profile::Redirect, "error=300 R03=301", &["error", "R03"]);
        check(Profile::RedirectCodes, "reject=301 R03=603", &[]);
        check(Profile::RedirectCodes, "error=302", &["error"]);
        check(Profile::Failover, "reject=603 error=404", &[]);
        check(Profile::Failover, "approve=513", &[]);
        check(Profile::Failover, "approve=200", &["approve"]);
        check(Profile::Failover, "approve=404", &["approve"]);
        check(Profile::Failover, "reject=302", &["reject"]);
        for congestion in [401, 407, 410, 422, 423, 482, 500, 501, 503, 513, 580, 599] {
            check(
                Profile::Failover,
                &format!("reject={congestion}"),
                &["reject"],
            );
            check(
                Profile::Failover,
                &format!("error={congestion}"),
                &["error"],
            );
            check(Profile::Failover, &format!("R07={congestion}"), &["R07"]);
        }
        check(Profile::NextRoute, "reject=404", &["reject"]);
        check(Profile::NextRoute, "reject=480 error=480", &[]);
        check(Profile::Monitor, "approve=486", &["approve"]);
        check(Profile::Monitor, "R03=486", &["R03"]);
        check(Profile::Monitor, "reject=487", &[]);
        check(Profile::Redirect, "reject=200 R03=700", &["reject", "R03"]);
    }

    #[test]
    fn a_code_without_a_status_of_its_own_is_rejected_like_the_others() {
        let set = overrides("reject=606 R03=608");
        for (answer, status) in [
            (Answer::Code(Code::R03), Some(Status(608))),
            (Answer::Code(Code::R07), Some(Status(606))),
            (Answer::Error, None),
            (Answer::Approve, Some(Status(302))),
        ] {
            assert_eq!(answer.resolved(Profile::Redirect, &set), status);
        }
    }
}
