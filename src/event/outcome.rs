//! The one thing that became of a datagram.

/// What became of a datagram that was read. Exactly one each: their sum and the kernel's drops are what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// INVITE: approved, or let through in detection mode.
    Approved = 0,
    /// INVITE: rejected.
    Rejected,
    /// A request that cannot be read, answered 400 (or what the profile says).
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
    /// OPTIONS, answered.
    Options,
    /// CANCEL, answered.
    Cancel,
    /// A method that we do not serve, or an extension that we do not have, refused.
    Refused,
    /// ACK: never answered.
    Ack,
    /// A response: never answered.
    Response,
    /// From nobody's peer: never answered.
    UnknownSource,
    /// From a peer, but no request that could be answered.
    Unparsable,
    /// Line ends or nothing, kept open a NAT binding.
    Keepalive,
    /// Its answer did not fit.
    Unanswerable,
    /// Its batch was lost to a panic of the shard.
    Panicked,
}

impl Outcome {
    /// All outcomes, in the order of their numbers in arrays.
    pub const ALL: [Self; 20] = [
        Self::Approved,
        Self::Rejected,
        Self::ErrorSyntax,
        Self::ErrorVersion,
        Self::ErrorScheme,
        Self::ErrorNoDialog,
        Self::ErrorLoop,
        Self::ErrorAddressIncomplete,
        Self::ErrorTooLarge,
        Self::ErrorUnknownPeer,
        Self::Options,
        Self::Cancel,
        Self::Refused,
        Self::Ack,
        Self::Response,
        Self::UnknownSource,
        Self::Unparsable,
        Self::Keepalive,
        Self::Unanswerable,
        Self::Panicked,
    ];

    /// Its name in metrics and in the sums at stop.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::ErrorSyntax => "error_syntax",
            Self::ErrorVersion => "error_version",
            Self::ErrorScheme => "error_scheme",
            Self::ErrorNoDialog => "error_no_dialog",
            Self::ErrorLoop => "error_loop",
            Self::ErrorAddressIncomplete => "error_address_incomplete",
            Self::ErrorTooLarge => "error_too_large",
            Self::ErrorUnknownPeer => "error_unknown_peer",
            Self::Options => "options",
            Self::Cancel => "cancel",
            Self::Refused => "refused",
            Self::Ack => "ack",
            Self::Response => "response",
            Self::UnknownSource => "unknown_source",
            Self::Unparsable => "unparsable",
            Self::Keepalive => "keepalive",
            Self::Unanswerable => "unanswerable",
            Self::Panicked => "panicked",
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
