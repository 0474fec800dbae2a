//! A call attempt as raw facts: what the request said, nothing concluded yet.

use super::snapshot::Peer;
use std::net::IpAddr;

/// The scheme of a Request-URI that we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
}

/// Which family of screening headers the request carries. The first present is used alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFamily {
    /// `P-tfps: user;domain;address;agent;calls`
    PTfps,
    /// `X-tfps` with `P-Received`, `P-UA`, `P-Calls` (also spelled with `_`).
    XTfps,
    /// None of them.
    None,
}

/// What the screening headers said. An empty field is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screening<'a> {
    /// Which family was present.
    pub family: HeaderFamily,
    /// `P-tfps` field 0, or the user of `X-tfps`.
    pub user: Option<&'a [u8]>,
    /// `P-tfps` field 1, or the domain of `X-tfps`.
    pub domain: Option<&'a [u8]>,
    /// The caller's own address (a telephone's), IPv4-mapped ones as IPv4; not checked for being public.
    pub address: Option<IpAddr>,
    /// The caller's own user agent.
    pub agent: Option<&'a [u8]>,
    /// Simultaneous calls that the PBX reports, this one included.
    pub reported_calls: Option<u32>,
    /// The headers contradict themselves (R14): more than five fields that cannot be split in one way, or differing
    /// duplicates.
    pub suspect: bool,
}

impl Screening<'_> {
    /// No screening header.
    pub const NONE: Self = Self {
        family: HeaderFamily::None,
        user: None,
        domain: None,
        address: None,
        agent: None,
        reported_calls: None,
        suspect: false,
    };
}

/// One INVITE's raw facts. All slices lie in the datagram and are undecoded unless said.
#[derive(Debug, Clone, Copy)]
pub struct CallAttempt<'a> {
    /// Who asks: the packet's source, or who stands behind a listed proxy.
    pub peer: Peer,
    /// The peer's address.
    pub peer_address: IpAddr,
    /// The listed proxy that the packet came from, if any.
    pub proxy_address: Option<IpAddr>,
    /// The Request-URI's scheme.
    pub scheme: Scheme,
    /// The Request-URI's user part as received, before `@`: with its parameters, password and escapes. Of a `tel:` URI
    /// everything after the scheme. Empty when there is none.
    pub user_part: &'a [u8],
    /// User of the From URI as received, empty when there is none.
    pub from_user: &'a [u8],
    /// Host of the From URI without port; IPv6 with its brackets.
    pub from_host: &'a [u8],
    /// User of the first P-Asserted-Identity (RFC 3325), if the header is present and readable.
    pub asserted_identity_user: Option<&'a [u8]>,
    /// User of the first P-Preferred-Identity (RFC 3325).
    pub preferred_identity_user: Option<&'a [u8]>,
    /// User of the first Remote-Party-ID.
    pub remote_party_user: Option<&'a [u8]>,
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The From tag, empty when there is none (RFC 2543).
    pub from_tag: &'a [u8],
    /// The User-Agent header.
    pub user_agent: Option<&'a [u8]>,
    /// The screening headers; used only where the domain trusts them.
    pub screening: Screening<'a>,
    /// Diversion (RFC 5806) or History-Info (RFC 7044) is present.
    pub diverted: bool,
}

/// What the rules ask of an attempt. Most of it is asked seldom, so whoever has it elsewhere need not make a `CallAttempt`.
pub trait Facts {
    /// All of it.
    fn attempt(&self) -> CallAttempt<'_>;

    /// See `CallAttempt::user_part`.
    fn user_part(&self) -> &[u8];

    /// See `CallAttempt::call_id`.
    fn call_id(&self) -> &[u8];

    /// See `CallAttempt::from_tag`.
    fn tag_of_from(&self) -> &[u8];

    /// See `CallAttempt::user_agent`.
    fn user_agent(&self) -> Option<&[u8]>;

    /// See `Screening::user`.
    fn screening_user(&self) -> Option<&[u8]>;

    /// See `Screening::address`.
    fn screening_address(&self) -> Option<IpAddr>;

    /// See `Screening::agent`.
    fn screening_agent(&self) -> Option<&[u8]>;

    /// See `Screening::reported_calls`.
    fn reported_calls(&self) -> Option<u32>;

    /// See `Screening::suspect`.
    fn is_suspect(&self) -> bool;
}

impl Facts for CallAttempt<'_> {
    fn attempt(&self) -> CallAttempt<'_> {
        *self
    }

    fn user_part(&self) -> &[u8] {
        self.user_part
    }

    fn call_id(&self) -> &[u8] {
        self.call_id
    }

    fn tag_of_from(&self) -> &[u8] {
        self.from_tag
    }

    fn user_agent(&self) -> Option<&[u8]> {
        self.user_agent
    }

    fn screening_user(&self) -> Option<&[u8]> {
        self.screening.user
    }

    fn screening_address(&self) -> Option<IpAddr> {
        self.screening.address
    }

    fn screening_agent(&self) -> Option<&[u8]> {
        self.screening.agent
    }

    fn reported_calls(&self) -> Option<u32> {
        self.screening.reported_calls
    }

    fn is_suspect(&self) -> bool {
        self.screening.suspect
    }
}
