//! How a verdict is worn: the plan of an answer, free of bytes.

use crate::sip::{Phrase, Status};

/// Everything that is not a verdict. What the wire says is the profile's affair; `status` is RFC 3261's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallError {
    /// The request cannot be read; the phrase names the fault (400).
    Syntax(Phrase),
    /// Another SIP version (505).
    VersionNotSupported,
    /// A Request-URI scheme other than sip, sips, tel, or a URN (416).
    UnsupportedScheme,
    /// An INVITE with a To tag: no dialog lives here (481, RFC 3261 §12.2.2).
    NoSuchDialog,
    /// Our own answer came back (482).
    Loop,
    /// Not a dialable number, or one whose Contact would be too long (484).
    AddressIncomplete,
    /// Head, headers or Vias beyond the published limits (513).
    TooLarge,
    /// An unknown peer behind a listed proxy (403).
    UnknownPeer,
}

impl CallError {
    /// RFC 3261's own status and phrase, as a status line has them.
    #[must_use]
    pub fn text(self) -> String {
        let (status, phrase) = self.status();
        format!("{} {}", status.0, phrase.text(status))
    }

    /// RFC 3261's own status and phrase.
    #[must_use]
    pub const fn status(self) -> (Status, Phrase) {
        match self {
            Self::Syntax(phrase) => (Status(400), phrase),
            Self::VersionNotSupported => (Status(505), Phrase::Standard),
            Self::UnsupportedScheme => (Status(416), Phrase::Standard),
            Self::NoSuchDialog => (Status(481), Phrase::Standard),
            Self::Loop => (Status(482), Phrase::Standard),
            Self::AddressIncomplete => (Status(484), Phrase::Standard),
            Self::TooLarge => (Status(513), Phrase::Standard),
            Self::UnknownPeer => (Status(403), Phrase::Standard),
        }
    }
}

/// Whose host stands in our Contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContactHost {
    /// The From URI's host (without port), the default.
    From,
    /// The Request-URI's host.
    RequestUri,
    /// The peer's address.
    Source,
    /// A fixed host; its text is `Snapshot::contact_host(text)`.
    Fixed {
        /// Its number in the snapshot.
        text: u16,
    },
}

/// The Contact of an answer: `<sip:` prefix, the user part as received up to its first `;` or `:`, `@`, host, `>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContactPlan {
    /// No Contact.
    None,
    /// One Contact, in angle brackets, without display name and parameters.
    Redirect {
        /// The wire code before the number, `A00` for an approval.
        prefix: [u8; 3],
        /// The host.
        host: ContactHost,
    },
}

/// All that `uas` needs to write the answer. Small and `Copy`, so that it can be remembered per transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerPlan {
    /// The status on the wire.
    pub status: Status,
    /// Its phrase.
    pub phrase: Phrase,
    /// The Contact.
    pub contact: ContactPlan,
    /// Whether a `Reason` header (RFC 3326, Q.850 cause 21) is written; rejections only.
    pub reason: bool,
    /// Whether the answer goes to the packet's source port although no rport was asked for.
    pub force_rport: bool,
}
