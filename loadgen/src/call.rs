//! One call as a source of calls describes it: everything that is sent but branch, Call-ID and tags, and what must come back.
//!
//! Promises: owned, of fixed size, filled in place (`Calls::fill`), so that no call allocates. Nothing in it depends on the
//! run: the same source, seed and number give the same call.
//! Leaves to `message`: the octets; to `engine`: when it is sent, and what to make of the answer.

use crate::limits::{
    ADDRESS_BYTES_MAX, AGENT_BYTES_MAX, CALLER_BYTES_MAX, HOST_BYTES_MAX, USER_BYTES_MAX,
};
use crate::text::Text;
use crate::verdict::Expected;

/// Which headers tell the server about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// `P-tfps: caller;domain;address;agent;calls`.
    #[default]
    PTfps,
    /// `X-tfps: caller;domain`, with `P-Received`, `P-UA` and `P-Calls`.
    XTfps,
    /// `P-Received`, `P-UA` and `P-Calls` alone; the From says who calls.
    Received,
    /// None: the From says who calls, the packet's source from where, the User-Agent with what.
    Bare,
}

/// What kind of datagram a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Datagram {
    /// An INVITE without a fault.
    #[default]
    Invite,
    /// An INVITE with one fault on purpose, written by [`crate::fault::spoil`] over the rendered INVITE.
    Faulty(crate::fault::Fault),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// The dialled user part in the spelling that is sent, in Request-URI and To.
    pub user: Text<USER_BYTES_MAX>,
    /// The calling number or extension: the user part of the From and the first field of `P-tfps` and `X-tfps`.
    pub caller: Text<CALLER_BYTES_MAX>,
    /// The account that the call belongs to: what a digest names, and what the record of calls says. Empty: none.
    pub subscriber: Text<CALLER_BYTES_MAX>,
    /// The domain field of `P-tfps` and `X-tfps`.
    pub domain: Text<HOST_BYTES_MAX>,
    /// The host of the From. Empty: the address and port of the socket that sends.
    pub from_host: Text<HOST_BYTES_MAX>,
    /// The headers that tell of the caller.
    pub family: Family,
    /// The telephone's address, as text.
    pub address: Text<ADDRESS_BYTES_MAX>,
    /// The telephone's user agent.
    pub agent: Text<AGENT_BYTES_MAX>,
    /// Calls that the PBX says the subscriber has, this one included. Empty: not said.
    pub reported_calls: Text<5>,
    /// What kind of datagram it is.
    pub datagram: Datagram,
    /// Copies of the datagram, octet for octet, that follow the first at once; each may be answered, all alike.
    pub copies: u8,
    /// What the server must do.
    pub expected: Expected,
    /// The code that it must give, where the profile shows one. Empty: any.
    pub code: Text<3>,
}

impl Call {
    /// Makes it the call that says nothing, without touching what the texts held: cheap enough to do for every call.
    pub fn clear(&mut self) {
        self.user.clear();
        self.caller.clear();
        self.subscriber.clear();
        self.domain.clear();
        self.from_host.clear();
        self.family = Family::default();
        self.address.clear();
        self.agent.clear();
        self.reported_calls.clear();
        self.datagram = Datagram::default();
        self.copies = 0;
        self.expected = Expected::default();
        self.code.clear();
    }
}

/// What a call may give as its agent.
#[must_use]
pub fn is_agent(agent: &[u8]) -> bool {
    agent.len() <= AGENT_BYTES_MAX && agent.iter().all(|&octet| (b' '..0x7F).contains(&octet))
}

/// A user part as RFC 3261 §25.1 lets it stand in a URI.
#[must_use]
pub fn user_of(user: &str) -> Option<Text<USER_BYTES_MAX>> {
    let allowed =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/:".contains(&octet);
    if user.is_empty() || !user.bytes().all(allowed) {
        return None;
    }
    Text::of(user.as_bytes())
}

/// A caller as it may stand in a From and in a field of `P-tfps`.
#[must_use]
pub fn caller_of(caller: &str) -> Option<Text<CALLER_BYTES_MAX>> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.+*".contains(&octet);
    if caller.is_empty() || !caller.bytes().all(allowed) {
        return None;
    }
    Text::of(caller.as_bytes())
}

/// A host name or address as it may stand in a URI.
#[must_use]
pub fn host_of(host: &str) -> Option<Text<HOST_BYTES_MAX>> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-.:[]".contains(&octet);
    if host.is_empty() || !host.bytes().all(allowed) {
        return None;
    }
    Text::of(host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_call_says_nothing() {
        let mut call = Call {
            user: Text::of(b"0114420").unwrap(),
            copies: 3,
            expected: Expected::Silence,
            family: Family::Bare,
            code: Text::of(b"R06").unwrap(),
            ..Call::default()
        };
        call.clear();
        assert_eq!(call, Call::default());
    }

    #[test]
    fn what_could_break_out_of_its_place_is_refused() {
        for (text, user, caller, host) in [
            ("+4420", true, true, false),
            ("4420;npdi", true, false, false),
            ("a@b", false, false, false),
            ("gw.example:5060", true, false, true),
            ("[::1]", false, false, true),
            ("a\r\nb", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!(user_of(text).is_some(), user, "{text}");
            assert_eq!(caller_of(text).is_some(), caller, "{text}");
            assert_eq!(host_of(text).is_some(), host, "{text}");
        }
        assert!(is_agent(b"Yealink; x"));
        assert!(!is_agent(b"a\r\nb"));
    }
}
