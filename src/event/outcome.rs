//! The one thing that became of a datagram.

use crate::policy::{CallError, Decision, Verdict};
use crate::uas::{Admission, Recall};

/// What became of a datagram that was read. Exactly one each: their sum and the kernel's drops are what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// INVITE: approved, or let through in detection mode.
    Approved = 0,
    /// INVITE: rejected.
    Rejected,
    /// INVITE: sent to the policy's divert target.
    Diverted,
    /// INVITE that was decided before: a copy, answered as the first one was.
    Repeated,
    /// INVITE that cannot be read: 400, or what the profile says; so are the errors that follow.
    ErrorSyntax,
    /// Another SIP version.
    ErrorVersion,
    /// A Request-URI scheme that we do not serve.
    ErrorScheme,
    /// INVITE with a To tag.
    ErrorNoDialog,
    /// Our own answer came back.
    ErrorLoop,
    /// Not a dialable number.
    ErrorAddressIncomplete,
    /// Beyond the published limits.
    ErrorTooLarge,
    /// An unknown peer behind a listed proxy.
    ErrorUnknownPeer,
    /// OPTIONS: 200.
    Options,
    /// OPTIONS while the node drains: 503 to proxies, silence to direct peers.
    OptionsDraining,
    /// CANCEL: 200.
    Cancel,
    /// A request that requires an extension: 420.
    BadExtension,
    /// BYE and the like: 481.
    NoTransaction,
    /// A known method that is not served: 405.
    MethodNotAllowed,
    /// An unknown method: 501.
    MethodUnknown,
    /// Another fault of a request that is no INVITE: its own status.
    Refused,
    /// ACK: never answered.
    Ack,
    /// A response: never answered.
    Response,
    /// From nobody's peer: never answered.
    UnknownSource,
    /// From a peer, but no request that could be answered.
    Unparsable,
    /// Line ends or nothing: it keeps a NAT binding open.
    Keepalive,
    /// It was to be answered, but no answer could be written within the limits.
    Unanswerable,
    /// Its batch was lost to a panic of the shard.
    Panicked,
    /// Given up unread under overload: an OPTIONS, or from nobody's peer.
    Shed,
}

impl Outcome {
    /// All outcomes, in the order of their numbers in arrays.
    pub const ALL: [Self; 28] = [
        Self::Approved,
        Self::Rejected,
        Self::Diverted,
        Self::Repeated,
        Self::ErrorSyntax,
        Self::ErrorVersion,
        Self::ErrorScheme,
        Self::ErrorNoDialog,
        Self::ErrorLoop,
        Self::ErrorAddressIncomplete,
        Self::ErrorTooLarge,
        Self::ErrorUnknownPeer,
        Self::Options,
        Self::OptionsDraining,
        Self::Cancel,
        Self::BadExtension,
        Self::NoTransaction,
        Self::MethodNotAllowed,
        Self::MethodUnknown,
        Self::Refused,
        Self::Ack,
        Self::Response,
        Self::UnknownSource,
        Self::Unparsable,
        Self::Keepalive,
        Self::Unanswerable,
        Self::Panicked,
        Self::Shed,
    ];

    /// What became of a datagram, by what the UAS made of it. `answered`: whether an answer was written.
    #[must_use]
    pub fn of(
        admission: Admission,
        decision: Option<&Decision>,
        recall: Recall,
        answered: bool,
    ) -> Self {
        let outcome = match admission {
            Admission::UnknownSource => return Self::UnknownSource,
            Admission::KeepAlive => return Self::Keepalive,
            Admission::Response => return Self::Response,
            Admission::Ack => return Self::Ack,
            Admission::Unparsable => return Self::Unparsable,
            Admission::OptionsDrainingPeer => return Self::OptionsDraining,
            Admission::OptionsDrainingProxy => Self::OptionsDraining,
            Admission::Options => Self::Options,
            Admission::BadExtension => Self::BadExtension,
            Admission::Cancel => Self::Cancel,
            Admission::NoTransaction => Self::NoTransaction,
            Admission::MethodNotAllowed => Self::MethodNotAllowed,
            Admission::MethodUnknown => Self::MethodUnknown,
            Admission::Refused(_) => Self::Refused,
            Admission::CallError(error) => Self::of_error(error),
            Admission::Call if recall == Recall::Repeated => Self::Repeated,
            Admission::Call => match decision.map(|decision| decision.verdict) {
                Some(Verdict::Approve) => Self::Approved,
                Some(Verdict::Reject) => Self::Rejected,
                Some(Verdict::Divert) => Self::Diverted,
                Some(Verdict::Error(error)) => Self::of_error(error),
                None => Self::Unanswerable,
            },
        };
        // Whatever it was, its sender has heard nothing.
        if answered {
            outcome
        } else {
            Self::Unanswerable
        }
    }

    const fn of_error(error: CallError) -> Self {
        match error {
            CallError::Syntax(_) => Self::ErrorSyntax,
            CallError::VersionNotSupported => Self::ErrorVersion,
            CallError::UnsupportedScheme => Self::ErrorScheme,
            CallError::NoSuchDialog => Self::ErrorNoDialog,
            CallError::Loop => Self::ErrorLoop,
            CallError::AddressIncomplete => Self::ErrorAddressIncomplete,
            CallError::TooLarge => Self::ErrorTooLarge,
            CallError::UnknownPeer => Self::ErrorUnknownPeer,
        }
    }

    /// Whether it may be of an INVITE, so that an event is made of it. Of everything else only counts are kept: a flood
    /// of strangers must not take the blocks that calls need.
    #[must_use]
    pub const fn is_of_call(self) -> bool {
        match self {
            Self::Approved
            | Self::Rejected
            | Self::Diverted
            | Self::Repeated
            | Self::ErrorSyntax
            | Self::ErrorVersion
            | Self::ErrorScheme
            | Self::ErrorNoDialog
            | Self::ErrorLoop
            | Self::ErrorAddressIncomplete
            | Self::ErrorTooLarge
            | Self::ErrorUnknownPeer
            | Self::Unanswerable => true,
            Self::Options
            | Self::OptionsDraining
            | Self::Cancel
            | Self::BadExtension
            | Self::NoTransaction
            | Self::MethodNotAllowed
            | Self::MethodUnknown
            | Self::Refused
            | Self::Ack
            | Self::Response
            | Self::UnknownSource
            | Self::Unparsable
            | Self::Keepalive
            | Self::Shed
            | Self::Panicked => false,
        }
    }

    /// Its name in metrics and in the sums at stop.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Diverted => "diverted",
            Self::Repeated => "repeated",
            Self::ErrorSyntax => "error_syntax",
            Self::ErrorVersion => "error_version",
            Self::ErrorScheme => "error_scheme",
            Self::ErrorNoDialog => "error_no_dialog",
            Self::ErrorLoop => "error_loop",
            Self::ErrorAddressIncomplete => "error_address_incomplete",
            Self::ErrorTooLarge => "error_too_large",
            Self::ErrorUnknownPeer => "error_unknown_peer",
            Self::Options => "options",
            Self::OptionsDraining => "options_draining",
            Self::Cancel => "cancel",
            Self::BadExtension => "bad_extension",
            Self::NoTransaction => "no_transaction",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MethodUnknown => "method_unknown",
            Self::Refused => "refused",
            Self::Ack => "ack",
            Self::Response => "response",
            Self::UnknownSource => "unknown_source",
            Self::Unparsable => "unparsable",
            Self::Keepalive => "keepalive",
            Self::Unanswerable => "unanswerable",
            Self::Panicked => "panicked",
            Self::Shed => "shed",
        }
    }

    /// Its place in arrays that count by outcome.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Phrase;

    #[test]
    fn silence_is_an_outcome_of_its_own_only_where_an_answer_was_due() {
        for (admission, answered, silent) in [
            (
                Admission::UnknownSource,
                Outcome::UnknownSource,
                Outcome::UnknownSource,
            ),
            (Admission::Ack, Outcome::Ack, Outcome::Ack),
            (Admission::Options, Outcome::Options, Outcome::Unanswerable),
            (
                Admission::OptionsDrainingPeer,
                Outcome::OptionsDraining,
                Outcome::OptionsDraining,
            ),
            (
                Admission::CallError(CallError::Syntax(Phrase::BadVia)),
                Outcome::ErrorSyntax,
                Outcome::Unanswerable,
            ),
            (
                Admission::Refused(CallError::TooLarge),
                Outcome::Refused,
                Outcome::Unanswerable,
            ),
            (
                Admission::Call,
                Outcome::Unanswerable,
                Outcome::Unanswerable,
            ),
        ] {
            assert_eq!(
                Outcome::of(admission, None, Recall::Unasked, true),
                answered
            );
            assert_eq!(Outcome::of(admission, None, Recall::Unasked, false), silent);
        }
    }

    #[test]
    fn a_copy_is_no_decision() {
        for (recall, outcome) in [
            (Recall::Unasked, Outcome::Unanswerable),
            (Recall::Unremembered, Outcome::Unanswerable),
            (
                Recall::Remembered { replaced_age_s: 1 },
                Outcome::Unanswerable,
            ),
            (Recall::Repeated, Outcome::Repeated),
        ] {
            assert_eq!(Outcome::of(Admission::Call, None, recall, true), outcome);
            assert_eq!(
                Outcome::of(Admission::Call, None, recall, false),
                Outcome::Unanswerable
            );
            assert_eq!(
                Outcome::of(Admission::Cancel, None, recall, true),
                Outcome::Cancel
            );
        }
    }

    #[test]
    fn every_outcome_has_its_own_name_and_place() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index(), index);
            let label = outcome.label();
            assert!(
                label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{label}"
            );
            let same = Outcome::ALL.iter().filter(|other| other.label() == label);
            assert_eq!(same.count(), 1, "{label}");
        }
    }
}
