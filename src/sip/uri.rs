//! SIP and tel URIs, and the values of From and To.
//!
//! Promises: pieces are slices of the input, nothing is unescaped; a URI whose host or port cannot be read is none.
//! Leaves to `policy`: what a user part means. Grammar: RFC 3261 §19.1.1, §20.10 and §25.1; RFC 3966.

use super::octet::{self, Cursor, is, port, split_once};

/// A URI, by what its scheme allows us to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`
    Sip(SipUri<'a>),
    /// `tel:` with everything after it.
    Tel(&'a [u8]),
    /// Another scheme.
    Other,
}

/// A `sip:` or `sips:` URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipUri<'a> {
    /// Whether it is `sips:`.
    pub secure: bool,
    /// Everything between the scheme and `@`: the user with its parameters, its password and its escapes.
    pub user_part: &'a [u8],
    /// The host, IPv6 with its brackets.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    /// What follows, from the first `;` on, without headers.
    pub parameters: &'a [u8],
    /// What follows a `?`; `None` without one.
    pub headers: Option<&'a [u8]>,
}

impl<'a> SipUri<'a> {
    /// The user as received, without its password. Of `1001;phone-context=x` all: the parameters belong to the user.
    #[must_use]
    pub fn user(&self) -> &'a [u8] {
        split_once(self.user_part, b':').map_or(self.user_part, |(user, _)| user)
    }
}

impl<'a> Uri<'a> {
    /// Reads a URI that fills the whole text; `None` when it cannot be read.
    #[must_use]
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = split_once(text, b':')?;
        match scheme.len() {
            3 if scheme.eq_ignore_ascii_case(b"sip") => SipUri::read(rest, false).map(Self::Sip),
            4 if scheme.eq_ignore_ascii_case(b"sips") => SipUri::read(rest, true).map(Self::Sip),
            3 if scheme.eq_ignore_ascii_case(b"tel") => Some(Self::Tel(rest)),
            _ => is_scheme(scheme).then_some(Self::Other),
        }
    }
}

/// RFC 3986 §3.1: a letter, then letters, digits, `+`, `-`, `.`.
fn is_scheme(text: &[u8]) -> bool {
    let mut octets = text.iter();
    octets.next().is_some_and(u8::is_ascii_alphabetic)
        && octets.all(|&octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'))
}

impl<'a> SipUri<'a> {
    fn read(rest: &'a [u8], secure: bool) -> Option<Self> {
        // Neither a parameter nor a header may hold "@" (RFC 3261 §25.1), so the first one ends the user part.
        let (user_part, rest) = split_once(rest, b'@').unwrap_or((b"", rest));
        let mut cursor = Cursor::new(rest);
        let host = take_host(&mut cursor)?;
        let number = if cursor.eat(b':') {
            Some(port(cursor.take_while(|octet| octet.is_ascii_digit()))?)
        } else {
            None
        };
        let tail = cursor.rest();
        let (parameters, headers) = match tail {
            [] => (tail, None),
            _ => match split_once(tail, b'?') {
                Some((parameters, headers)) => (parameters, Some(headers)),
                None => (tail, None),
            },
        };
        if !matches!(parameters, [] | [b';', ..]) {
            return None;
        }
        Some(Self {
            secure,
            user_part,
            host,
            port: number,
            parameters,
            headers,
        })
    }
}

/// Takes a host name, an IPv4 address or an IPv6 address in brackets.
///
/// An IPv6 address is not checked beyond its octets: RFC 5118 §4.10 asks to bear one colon too many.
#[inline]
pub fn take_host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.peek() != Some(b'[') {
        let host = cursor.take_all(octet::HOST);
        return (!host.is_empty()).then_some(host);
    }
    let whole = cursor.rest();
    let length = memchr::memchr(b']', whole)?.checked_add(1)?;
    let (host, rest) = whole.split_at_checked(length)?;
    let inside = host.get(1..length.checked_sub(1)?)?;
    let fits = |octet: &u8| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.');
    if inside.is_empty() || !inside.iter().all(fits) {
        return None;
    }
    *cursor = Cursor::new(rest);
    Some(host)
}

/// The value of From or To.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The URI.
    pub uri: Uri<'a>,
    /// The tag.
    pub tag: Option<&'a [u8]>,
}

impl<'a> Address<'a> {
    /// Reads `name-addr` or `addr-spec` with its header parameters, and nothing after them.
    #[must_use]
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let uri = Uri::read(take_uri(&mut cursor)?)?;
        let mut tag = None;
        while let Some(parameter) = cursor.take_parameter().ok()? {
            if parameter.name.eq_ignore_ascii_case(b"tag") {
                let given = parameter.value?;
                if tag.replace(given).is_some() || !octet::is_token(given) {
                    return None;
                }
            }
        }
        cursor.rest().is_empty().then_some(Self { uri, tag })
    }

    /// The URI of the first value of a list such as P-Asserted-Identity; what follows it is not read.
    #[must_use]
    pub fn first_uri(value: &'a [u8]) -> Option<Uri<'a>> {
        Uri::read(take_uri(&mut Cursor::new(value))?)
    }
}

/// Takes the URI of a `name-addr` (with its display name) or of an `addr-spec`.
fn take_uri<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.skip_lws();
    if cursor.peek() == Some(b'"') {
        cursor.take_quoted()?;
        cursor.skip_lws();
        return take_bracketed(cursor);
    }
    if cursor.peek() == Some(b'<') {
        return take_bracketed(cursor);
    }
    let start = *cursor;
    // RFC 3261 §20.10: without brackets a ";" starts a header parameter, and there is no "," and no "?".
    let spec = cursor.take_until(octet::VALUE_END);
    let mut after = *cursor;
    after.skip_lws();
    if spec.contains(&b':') && matches!(after.peek(), None | Some(b';' | b',')) {
        return Some(spec);
    }
    // A display name of tokens. Octets above 127 are borne: old clients send UTF-8 without quotes.
    *cursor = start;
    cursor.take_while(|octet| is(octet, octet::TOKEN | octet::LWS) || octet >= 0x80);
    take_bracketed(cursor)
}

fn take_bracketed<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if !cursor.eat(b'<') {
        return None;
    }
    let (uri, rest) = split_once(cursor.rest(), b'>')?;
    if octet::has_lws(uri) {
        return None;
    }
    *cursor = Cursor::new(rest);
    Some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> Option<(String, String, Option<u16>)> {
        match Uri::read(text.as_bytes())? {
            Uri::Sip(uri) => Some((
                String::from_utf8_lossy(uri.user_part).into_owned(),
                String::from_utf8_lossy(uri.host).into_owned(),
                uri.port,
            )),
            Uri::Tel(_) | Uri::Other => None,
        }
    }

    fn wanted(user: &str, host: &str, port: Option<u16>) -> Option<(String, String, Option<u16>)> {
        Some((user.into(), host.into(), port))
    }

    #[test]
    fn sip_uris_are_split() {
        for (text, user, host, port) in [
            ("sip:1@b", "1", "b", None),
            (
                "SIP:+39069876543@gw:5070;user=phone",
                "+39069876543",
                "gw",
                Some(5070),
            ),
            (
                "sips:a;x=1:pw@[::1]:5061;transport=tls",
                "a;x=1:pw",
                "[::1]",
                Some(5061),
            ),
            ("sip:127.0.0.4", "", "127.0.0.4", None),
            ("sip:[2001:db8::10:5070]", "", "[2001:db8::10:5070]", None),
            (
                "sip:user@[2001:db8:::192.0.2.1]",
                "user",
                "[2001:db8:::192.0.2.1]",
                None,
            ), // RFC 5118 §4.10
            (
                "sip:user;par=u%40example.net@example.com",
                "user;par=u%40example.net",
                "example.com",
                None,
            ),
        ] {
            assert_eq!(sip(text), wanted(user, host, port), "{text}");
        }
    }

    #[test]
    fn unreadable_uris_are_none() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:0",
            "sip:a@b:99999",
            "sip:2001:db8::10", // RFC 5118 §4.2
            "sip:a@b@c",
            "sip:a@[::1",
            "sip:a@[]",
            "sip:a@[::g]",
            "sip:a@b>",
            "<sip:a@b>",
            "1sip:a@b",
            ":a",
        ] {
            assert_eq!(Uri::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn headers_and_other_schemes_are_told() {
        let Some(Uri::Sip(uri)) = Uri::read(b"sip:u@h;a?Route=x") else {
            panic!("a SIP URI");
        };
        assert_eq!(
            (uri.parameters, uri.headers),
            (&b";a"[..], Some(&b"Route=x"[..]))
        );
        assert_eq!(
            Uri::read(b"tel:+39-06;phone-context=x"),
            Some(Uri::Tel(b"+39-06;phone-context=x"))
        );
        for other in [
            "urn:service:sos",
            "soap.beep://192.0.2.103:3002",
            "nobodyKnowsThisScheme:totallyopaquecontent",
        ] {
            assert_eq!(Uri::read(other.as_bytes()), Some(Uri::Other), "{other}");
        }
    }

    #[test]
    fn from_and_to_values_are_read() {
        for (value, user, tag) in [
            ("sip:a@b", "a", None),
            ("sip:a@b;tag=1", "a", Some("1")),
            ("<sip:a@b;tag=no>;tag=yes", "a", Some("yes")),
            ("sip:a@b ;   tag    = 1918181833n", "a", Some("1918181833n")),
            (
                "\"J \\\\\\\"\"  <sip:a@b>\r\n  ;\r\n  tag = 98asjd8",
                "a",
                Some("98asjd8"),
            ),
            ("caller<sip:a@b>;tag=323", "a", Some("323")),
            ("T. Watson <sip:a@b>", "a", None),
            ("Jos\u{e9} <sip:a@b>", "a", None),
            ("\"a, b; <c>\" <sip:a:pw@b>;x;y=\"z\"", "a", None),
        ] {
            let address = Address::read(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            let Uri::Sip(uri) = address.uri else {
                panic!("{value}");
            };
            assert_eq!(uri.user(), user.as_bytes(), "{value}");
            assert_eq!(address.tag, tag.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn unknown_schemes_in_from_and_to_are_no_fault() {
        assert_eq!(
            Address::read(b"isbn:2983792873").map(|a| a.uri),
            Some(Uri::Other)
        ); // RFC 4475 §3.3.4
        assert_eq!(
            Address::read(b"<http://www.example.com>;tag=3").map(|a| a.uri),
            Some(Uri::Other)
        );
    }

    #[test]
    fn broken_from_and_to_values_are_none() {
        for value in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>", // RFC 4475 §3.1.2.6
            "\"Watson, Thomas\" < sip:t.watson@example.org >", // §3.1.2.14
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43", // §3.1.2.15
            "<sip:a@b",
            "sip:a@b;tag=",
            "sip:a@b;tag=1;tag=2",
            "sip:a@b, sip:c@d",
            "<sip:a@b> x",
            "<sip:a@>",
            "\"x\" sip:a@b",
        ] {
            assert_eq!(Address::read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn first_identity_of_a_list_is_read() {
        let Some(Uri::Sip(uri)) = Address::first_uri(b"\"Bob\" <sip:1001@h>, <tel:+1>") else {
            panic!("a SIP URI");
        };
        assert_eq!(uri.user(), b"1001");
        assert_eq!(
            Address::first_uri(b"<tel:+1555>, <sip:a@b>"),
            Some(Uri::Tel(b"+1555"))
        );
        assert_eq!(Address::first_uri(b";;,,;"), None);
    }
}
