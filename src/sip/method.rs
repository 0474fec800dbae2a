//! Request methods, case-sensitive (RFC 3261 §7.1).
//!
//! Promises: nothing is unescaped or folded to another case.
//! Leaves to `uas`: what each method gets.

/// A request's method, as far as a redirect server tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// INVITE
    Invite,
    /// ACK
    Ack,
    /// CANCEL
    Cancel,
    /// OPTIONS
    Options,
    /// BYE, UPDATE, PRACK, INFO: they live in a dialog or a transaction, and there is none here.
    InDialog,
    /// A method of an RFC that is not served.
    NotAllowed,
    /// No method that we know.
    #[default]
    Unknown,
}

impl Method {
    /// The method with this name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"BYE" | b"UPDATE" | b"PRACK" | b"INFO" => Self::InDialog,
            b"REGISTER" | b"MESSAGE" | b"SUBSCRIBE" | b"NOTIFY" | b"PUBLISH" | b"REFER" => {
                Self::NotAllowed
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_is_case_sensitive_and_never_unescaped() {
        assert_eq!(Method::of(b"INVITE"), Method::Invite);
        for name in ["invite", "Invite", "INVITE ", "INVIT%45", ""] {
            assert_eq!(Method::of(name.as_bytes()), Method::Unknown, "{name}");
        }
        assert_eq!(Method::of(b"BYE"), Method::InDialog);
        assert_eq!(Method::of(b"REGISTER"), Method::NotAllowed);
    }
}
