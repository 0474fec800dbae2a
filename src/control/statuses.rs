//! Which statuses a domain may put in place of its profile's.
//!
//! Promises: after `faults` found none, no rejection and no error of the domain can be taken for an approval by the
//! PBXs that its profile is made for.

use crate::policy::Code;
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
        match key {
            "approve" => Some(Self::Approve),
            "reject" => Some(Self::Reject),
            "error" => Some(Self::Error),
            _ => Code::from_text(key)
                .filter(|&code| code != Code::A00)
                .map(Self::Code),
        }
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
        let (approve, reject, error) = profile_statuses(profile);
        match self {
            Self::Approve => overrides.approve.or(Some(approve)),
            Self::Reject => overrides.reject.or(Some(reject)),
            Self::Error => overrides.error.or(error),
            Self::Code(_) => self
                .overridden(overrides)
                .or_else(|| Self::Reject.resolved(profile, overrides)),
        }
    }
}

/// The profile's own approve, reject and error; no error means RFC 3261's own status.
pub(super) fn profile_statuses(profile: Profile) -> (Status, Status, Option<Status>) {
    match profile {
        Profile::Redirect => (Status(302), Status(603), None),
        Profile::RedirectCodes => (Status(302), Status(302), None),
        Profile::Failover => (Status(503), Status(486), Some(Status(403))),
        Profile::NextRoute => (Status(404), Status(603), Some(Status(603))),
        Profile::Monitor => (Status(487), Status(487), Some(Status(487))),
    }
}

/// The profile's name in `domains.toml`.
pub(super) fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Redirect => "redirect",
        Profile::RedirectCodes => "redirect-codes",
        Profile::Failover => "failover",
        Profile::NextRoute => "next-route",
        Profile::Monitor => "monitor",
    }
}

/// What is wrong with a domain's overrides, each with the key it is about.
pub(super) fn faults(profile: Profile, overrides: &StatusOverrides) -> Vec<(Answer, String)> {
    let set: Vec<(Answer, Status)> = Answer::all()
        .filter_map(|answer| Some((answer, answer.overridden(overrides)?)))
        .collect();
    let mut faults: Vec<(Answer, String)> = set
        .iter()
        .filter(|(_, status)| !(300..=699).contains(&status.0))
        .map(|&(answer, status)| (answer, out_of_range(answer, status)))
        .collect();
    if set.is_empty() || !faults.is_empty() {
        return faults;
    }
    if profile == Profile::Monitor {
        return monitor_faults(overrides, &set);
    }
    let (approve, ..) = profile_statuses(profile);
    let approve = overrides.approve.unwrap_or(approve);
    if overrides.approve.is_some()
        && let Some(sentence) = approve_fault(profile, approve)
    {
        faults.push((Answer::Approve, sentence));
        return faults;
    }
    for answer in Answer::all().filter(|&answer| answer != Answer::Approve) {
        let own = answer.overridden(overrides);
        // A code without a status of its own repeats `reject`, which is looked at once.
        let Some(status) = own.or_else(|| match answer {
            Answer::Code(_) => None,
            _ => answer.resolved(profile, overrides),
        }) else {
            continue;
        };
        if let Some(why) = looks_like_approval(profile, approve, answer, status) {
            // When the profile's own status collides, the overridden approval is what to change.
            let key = if own.is_some() {
                answer
            } else {
                Answer::Approve
            };
            faults.push((
                key,
                format!(
                    "{} = {} would look like an approval: {why}",
                    answer.key(),
                    status.0
                ),
            ));
        }
    }
    faults
}

fn out_of_range(answer: Answer, status: Status) -> String {
    format!("{} = {}, but must be 300 to 699", answer.key(), status.0)
}

/// SEMANTICS, profile `monitor`: its answers are equal by design, so a caller learns nothing from them.
fn monitor_faults(overrides: &StatusOverrides, set: &[(Answer, Status)]) -> Vec<(Answer, String)> {
    let resolved: Vec<_> = Answer::all()
        .map(|answer| answer.resolved(Profile::Monitor, overrides))
        .collect();
    let all_equal = resolved
        .iter()
        .all(|status| Some(status) == resolved.first());
    let Some(&(first, _)) = set.first() else {
        return Vec::new();
    };
    if !all_equal {
        return vec![(
            first,
            "profile monitor answers everything alike: approve, reject and error must be one status, and no code may differ".to_owned(),
        )];
    }
    set.iter()
        .filter(|(_, status)| status.0 < 400)
        .take(1)
        .map(|&(answer, status)| (answer, needs_contact(answer, status)))
        .collect()
}

/// Why a status cannot stand for an approval of the profile.
fn approve_fault(profile: Profile, status: Status) -> Option<String> {
    let (right, wanted) = match profile {
        // 380 is not followed by chan_sip even with a Contact.
        Profile::Redirect | Profile::RedirectCodes => (
            matches!(status.0, 300 | 301 | 302 | 305),
            "a redirect that PBXs follow: 300, 301, 302 or 305",
        ),
        Profile::Failover => (
            matches!(status.0, 500 | 502 | 503 | 504 | 513 | 580),
            "one that gives CONGESTION: 503, 513 or 580 (on chan_sip also 500, 502 and 504)",
        ),
        Profile::NextRoute => (status.0 >= 400, "400 to 699"),
        Profile::Monitor => (true, ""),
    };
    (!right).then(|| {
        format!(
            "approve = {} is no approval in profile {}; it must be {wanted}",
            status.0,
            profile_name(profile)
        )
    })
}

/// Why a status of a rejection or error would be taken for an approval, or cannot be sent at all.
fn looks_like_approval(
    profile: Profile,
    approve: Status,
    answer: Answer,
    status: Status,
) -> Option<&'static str> {
    match profile {
        Profile::Redirect => {
            (status.0 < 400).then_some("profile redirect approves with every 3xx")
        }
        // A rejection's Contact begins with its code; an error has no code to begin with.
        Profile::RedirectCodes => (status.0 < 400 && answer == Answer::Error)
            .then_some("profile redirect-codes approves with a 3xx, and an error has no code"),
        Profile::Failover => failover_reads_congestion(status)
            .then_some("profile failover approves with every status that gives CONGESTION on chan_sip or PJSIP"),
        Profile::NextRoute => (status.0 == 404 || status == approve)
            .then_some("profile next-route approves with 404 and with its own approve"),
        Profile::Monitor => None,
    }
}

fn needs_contact(answer: Answer, status: Status) -> String {
    format!(
        "{} = {} needs a Contact, which this profile does not send; 400 to 699",
        answer.key(),
        status.0
    )
}

/// CONGESTION on chan_sip or PJSIP as measured, 422, which hangs chan_sip, and every 5xx.
fn failover_reads_congestion(status: Status) -> bool {
    matches!(status.0, 401 | 407 | 410 | 422 | 423 | 482 | 500..=599)
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

    #[test]
    fn a_rejection_or_an_error_never_enters_the_approving_class() {
        let check = |profile, text, wrong: &[&str]| {
            let keys: Vec<_> = faults(profile, &overrides(text))
                .into_iter()
                .map(|(answer, _)| answer.key())
                .collect();
            assert_eq!(keys, wrong, "{profile:?} {text}");
        };
        check(Profile::Redirect, "", &[]);
        check(Profile::Redirect, "reject=486 error=500 R03=608", &[]);
        check(Profile::Redirect, "approve=301", &[]);
        check(Profile::Redirect, "approve=404", &["approve"]);
        check(Profile::Redirect, "approve=380", &["approve"]);
        check(Profile::Redirect, "reject=302", &["reject"]);
        check(Profile::Redirect, "error=300 R03=301", &["error", "R03"]);
        check(Profile::RedirectCodes, "reject=301 R03=603", &[]);
        check(Profile::RedirectCodes, "error=302", &["error"]);
        check(Profile::Failover, "reject=603 error=404", &[]);
        check(Profile::Failover, "approve=513", &[]);
        check(Profile::Failover, "approve=200", &["approve"]);
        check(Profile::Failover, "approve=404", &["approve"]);
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
        check(Profile::NextRoute, "approve=480", &[]);
        check(Profile::NextRoute, "approve=480 error=480", &["error"]);
        check(Profile::NextRoute, "approve=603", &["approve", "approve"]);
        check(Profile::Monitor, "approve=486", &["approve"]);
        check(Profile::Monitor, "R03=486", &["R03"]);
        check(Profile::Monitor, "approve=486 reject=486 error=486", &[]);
        check(
            Profile::Monitor,
            "approve=302 reject=302 error=302",
            &["approve"],
        );
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
