//! How each profile wears the three answers, and which statuses an operator must not put in their place.
//!
//! Promises: an error never looks like an approval, whatever was configured: an override that would is not used, even
//! if nobody refused it before.
//! Leaves to `control`: refusing such an override with file and line (`override_faults` says which and why).

use super::answer::{AnswerPlan, CallError, ContactHost, ContactPlan};
use super::code::Code;
use super::rows::{Profile, StatusOverrides};
use crate::sip::{Phrase, Status};

/// A profile's own statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultStatuses {
    /// Approvals.
    pub approve: Status,
    /// Rejections.
    pub reject: Status,
    /// Errors; `None`: RFC 3261's own.
    pub error: Option<Status>,
}

/// What each profile sends when nothing is overridden (SEMANTICS: three answers).
#[must_use]
pub const fn default_statuses(profile: Profile) -> DefaultStatuses {
    let (approve, reject, error) = match profile {
        Profile::Redirect => (302, 603, None),
        Profile::RedirectCodes => (302, 302, None),
        Profile::Failover => (503, 486, Some(403)),
        Profile::NextRoute => (404, 603, Some(603)),
        Profile::Monitor => (487, 487, Some(487)),
    };
    DefaultStatuses {
        approve: Status(approve),
        reject: Status(reject),
        error: match error {
            Some(status) => Some(Status(status)),
            None => None,
        },
    }
}

/// Whether a PBX that follows this profile's recipe takes the answer for an approval.
#[must_use]
pub const fn approving_class(
    profile: Profile,
    status: Status,
    contact_begins_with_a00: bool,
) -> bool {
    match profile {
        Profile::Redirect | Profile::RedirectCodes => {
            status.0 >= 300 && status.0 <= 399 && contact_begins_with_a00
        }
        // Everything that gave DIALSTATUS=CONGESTION with chan_sip or PJSIP when measured; 407 by chan_sip's code.
        Profile::Failover => matches!(
            status.0,
            401 | 407 | 410 | 423 | 482 | 500 | 502 | 503 | 504 | 513 | 580
        ),
        Profile::NextRoute => status.0 == 404,
        Profile::Monitor => false,
    }
}

/// Statuses that `failover` never sends, but for its approval.
const fn failover_forbids(status: Status) -> bool {
    matches!(status.0, 401 | 407 | 410 | 422 | 423 | 482 | 500..=599)
}

/// Which of the three answers a status was put in place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// `approve`
    Approve,
    /// `reject` or a code
    Reject,
    /// `error`
    Error,
}

/// Why this status cannot stand for this answer; `None`: it can.
#[must_use]
pub fn override_fault(profile: Profile, kind: AnswerKind, status: Status) -> Option<&'static str> {
    if !(300..=699).contains(&status.0) {
        return Some("an INVITE is answered with 300 to 699 only");
    }
    if profile == Profile::Monitor && status != default_statuses(profile).approve {
        return Some("the answers of `monitor` are all 487, so that none can win the call");
    }
    match kind {
        AnswerKind::Approve => match profile {
            Profile::Redirect | Profile::RedirectCodes if status.0 > 399 => {
                Some("this profile approves with a Contact, which only 3xx answers carry")
            }
            Profile::Failover if status.0 < 500 || !approving_class(profile, status, false) => {
                Some("no switch takes it for `try the next route`; 503 is what all of them do")
            }
            Profile::Redirect
            | Profile::RedirectCodes
            | Profile::Failover
            | Profile::NextRoute
            | Profile::Monitor => None,
        },
        AnswerKind::Reject | AnswerKind::Error => {
            if profile == Profile::Failover && failover_forbids(status) {
                return Some(
                    "`failover` never sends 401, 407, 410, 422, 423, 482 or 5xx but to approve",
                );
            }
            if approving_class(profile, status, false) {
                return Some("the caller's switch would take it for an approval");
            }
            None
        }
    }
}

/// Every override that cannot stand: its key in `statuses`, the status, and why.
#[must_use]
pub fn override_faults(
    profile: Profile,
    overrides: &StatusOverrides,
) -> Vec<(&'static str, Status, &'static str)> {
    let by_code = Code::ALL.into_iter().filter_map(|code| {
        let status = overrides.by_code.get(code.index()).copied().flatten()?;
        Some((code.text(), AnswerKind::Reject, Some(status)))
    });
    let mut faults: Vec<_> = [
        ("approve", AnswerKind::Approve, overrides.approve),
        ("reject", AnswerKind::Reject, overrides.reject),
        ("error", AnswerKind::Error, overrides.error),
    ]
    .into_iter()
    .chain(by_code)
    .filter_map(|(key, kind, status)| {
        let status = status?;
        override_fault(profile, kind, status).map(|why| (key, status, why))
    })
    .collect();
    if let Some(status) = overrides.approve
        && faults.is_empty()
        && approves_like_others(profile, &usable(profile, overrides), status)
    {
        faults.push((
            "approve",
            status,
            "rejections or errors of this domain have the same status",
        ));
    }
    faults
}

/// The overrides that can stand one by one.
fn usable(profile: Profile, overrides: &StatusOverrides) -> StatusOverrides {
    let stands = |kind, status: Option<Status>| {
        status.filter(|status| override_fault(profile, kind, *status).is_none())
    };
    StatusOverrides {
        approve: stands(AnswerKind::Approve, overrides.approve),
        reject: stands(AnswerKind::Reject, overrides.reject),
        error: stands(AnswerKind::Error, overrides.error),
        by_code: overrides
            .by_code
            .map(|status| stands(AnswerKind::Reject, status)),
    }
}

/// Whether an approval with this status could not be told from a rejection or an error. Where approvals carry a Contact
/// the Contact tells; `monitor` wants them equal.
fn approves_like_others(profile: Profile, usable: &StatusOverrides, approve: Status) -> bool {
    let own = default_statuses(profile);
    match profile {
        Profile::Redirect | Profile::RedirectCodes | Profile::Monitor => false,
        Profile::Failover | Profile::NextRoute => {
            let reject = usable.reject.unwrap_or(own.reject);
            let error = usable.error.or(own.error);
            let by_code = usable.by_code.contains(&Some(approve));
            reject == approve || error == Some(approve) || by_code
        }
    }
}

/// A domain's answers, made once.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    approve: AnswerPlan,
    reject: [AnswerPlan; Code::ALL.len()],
    /// `None`: RFC 3261's own.
    error: Option<Status>,
    force_rport: bool,
    /// `None`: the profile has no redirects.
    redirect_host: Option<ContactHost>,
}

/// The part of a domain that its answers depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerSettings<'a> {
    pub(super) profile: Profile,
    pub(super) overrides: &'a StatusOverrides,
    pub(super) wire_codes: &'a [[u8; 3]; Code::ALL.len()],
    pub(super) host: ContactHost,
    pub(super) force_rport: bool,
}

impl Answers {
    /// The answers of a domain with these settings.
    pub(super) fn new(settings: AnswerSettings<'_>) -> Self {
        let AnswerSettings {
            profile,
            overrides,
            wire_codes,
            host,
            force_rport,
        } = settings;
        let default = default_statuses(profile);
        let usable = usable(profile, overrides);
        let plan = |status: Status, prefix: Option<[u8; 3]>, reason| AnswerPlan {
            status,
            phrase: Phrase::Standard,
            contact: match prefix {
                Some(prefix) if (300..=399).contains(&status.0) => {
                    ContactPlan::Redirect { prefix, host }
                }
                _ => ContactPlan::None,
            },
            reason,
            force_rport,
        };
        let wire = |code: Code| wire_codes.get(code.index()).copied();
        let redirects = matches!(profile, Profile::Redirect | Profile::RedirectCodes);
        let approve = usable
            .approve
            .filter(|status| !approves_like_others(profile, &usable, *status))
            .unwrap_or(default.approve);
        let reject = Code::ALL.map(|code| {
            let own = usable.by_code.get(code.index()).copied().flatten();
            let status = own.or(usable.reject).unwrap_or(default.reject);
            let prefix = wire(code).filter(|_| profile == Profile::RedirectCodes);
            // RFC 3326 on rejections; never in `monitor`, whose answers are all equal.
            plan(status, prefix, profile != Profile::Monitor)
        });
        Self {
            approve: plan(approve, wire(Code::A00).filter(|_| redirects), false),
            reject,
            error: usable.error.or(default.error),
            force_rport,
            redirect_host: redirects.then_some(host),
        }
    }

    /// The approval.
    pub(super) fn approve(&self) -> AnswerPlan {
        self.approve
    }

    /// The rejection with this code.
    pub(super) fn reject(&self, code: Code) -> AnswerPlan {
        self.reject
            .get(code.index())
            .copied()
            .unwrap_or(self.approve)
    }

    /// The redirect of a diverted call; `None`: this profile has none. `host`: another one than the domain's.
    pub(super) fn divert(&self, prefix: [u8; 3], host: Option<ContactHost>) -> Option<AnswerPlan> {
        let own = self.redirect_host?;
        Some(AnswerPlan {
            status: Status(302),
            phrase: Phrase::Standard,
            contact: ContactPlan::Redirect {
                prefix,
                host: host.unwrap_or(own),
            },
            reason: false,
            force_rport: self.force_rport,
        })
    }

    /// The error.
    pub(super) fn error(&self, error: CallError) -> AnswerPlan {
        let (status, phrase) = match self.error {
            Some(status) => (status, Phrase::Standard),
            None => error.status(),
        };
        error_plan(status, phrase, self.force_rport)
    }

    /// Whether answers go to the source port always.
    pub(super) fn force_rport(&self) -> bool {
        self.force_rport
    }
}

/// An answer without Contact and Reason.
pub(super) const fn error_plan(status: Status, phrase: Phrase, force_rport: bool) -> AnswerPlan {
    AnswerPlan {
        status,
        phrase,
        contact: ContactPlan::None,
        reason: false,
        force_rport,
    }
}
