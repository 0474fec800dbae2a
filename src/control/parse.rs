//! The small languages of the bundle: numbers, addresses, agents, hosts, dates. Text in, typed values out.
//!
//! Promises: a refusal is a sentence that quotes what it refuses and says what would be right.

use crate::e164::E164;
use crate::limits::{E164_DIGITS_MAX, FIXED_HOST_BYTES_MAX, SCREENING_VALUE_BYTES_MAX};
use crate::policy::agents::check_agent_expression;
use crate::policy::rows::{AddressBlock, Pattern};
use crate::policy::words;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a domain, policy or subscriber, octets.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// What a number list matches: `+390612`, `+3906*`, `+390610-+390619`.
pub(super) fn number_pattern(text: &str) -> Result<Pattern, String> {
    if let Some(prefix) = text.strip_suffix('*') {
        return number("prefix", prefix).map(Pattern::NumberPrefix);
    }
    let Some((from, to)) = text.split_once('-') else {
        return number("number", text).map(Pattern::Number);
    };
    let (first, last) = (number("range start", from)?, number("range end", to)?);
    if first.len() != last.len() {
        return Err(format!(
            "range \"{text}\" has ends of {} and {} digits; they must be of one length",
            first.len(),
            last.len()
        ));
    }
    if first > last {
        return Err(format!("range \"{text}\" ends before it begins"));
    }
    Ok(Pattern::NumberRange(first, last))
}

/// The digits of an international number or of its beginning, `+` allowed before them.
pub(super) fn number(noun: &str, text: &str) -> Result<E164, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() {
        return Err(format!("{noun} \"{text}\" has no digits"));
    }
    digits_only(noun, text, digits)?;
    if digits.starts_with('0') {
        return Err(format!(
            "{noun} \"{text}\" begins with 0; an international number begins with its country code"
        ));
    }
    E164::from_digits(digits.as_bytes()).ok_or_else(|| {
        format!(
            "{noun} \"{text}\" has {} digits; {E164_DIGITS_MAX} at most",
            digits.len()
        )
    })
}

/// That `part` of `text` is decimal digits.
pub(super) fn digits_only(noun: &str, text: &str, part: &str) -> Result<(), String> {
    match part.chars().find(|character| !character.is_ascii_digit()) {
        None => Ok(()),
        Some(letter) if letter.is_alphabetic() => Err(format!(
            "{noun} \"{text}\" has the letter {letter}; digits only"
        )),
        Some(other) => Err(format!(
            "{noun} \"{text}\" has the character {other:?}; digits only"
        )),
    }
}

/// An address, or a block as CIDR. IPv4-mapped IPv6 becomes IPv4.
pub(super) fn address_block(text: &str) -> Result<AddressBlock, String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let no_address =
        || format!("\"{text}\" is no address and no block, like \"192.0.2.1\" or \"192.0.2.0/28\"");
    let parsed: IpAddr = address.parse().map_err(|_bad| no_address())?;
    let width = width(parsed);
    let bits = match bits {
        None => width,
        Some(bits) if bits.bytes().all(|octet| octet.is_ascii_digit()) => bits
            .parse()
            .ok()
            .filter(|&bits: &u8| bits <= width)
            .ok_or_else(|| format!("\"{text}\" has a prefix length beyond {width}"))?,
        Some(_) => return Err(no_address()),
    };
    let (parsed, bits) = unmapped(parsed, bits).ok_or_else(|| {
        format!("\"{text}\" covers more than the IPv4-mapped addresses; write IPv4")
    })?;
    let block = block(parsed, bits);
    if block.first != parsed {
        return Err(format!(
            "\"{text}\" has bits set beyond its prefix length; \"{}/{bits}\" is the block",
            block.first
        ));
    }
    Ok(block)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// IPv4-mapped IPv6 as IPv4; `None` for a mapped block that reaches beyond the mapped addresses.
fn unmapped(address: IpAddr, bits: u8) -> Option<(IpAddr, u8)> {
    let IpAddr::V6(v6) = address else {
        return Some((address, bits));
    };
    let Some(v4) = v6.to_ipv4_mapped() else {
        return Some((address, bits));
    };
    Some((IpAddr::V4(v4), bits.checked_sub(96)?))
}

/// The block of `bits` around an address.
fn block(address: IpAddr, bits: u8) -> AddressBlock {
    let (first, last) = match address {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            let first = u32::from(v4) & !host;
            (
                IpAddr::V4(Ipv4Addr::from(first)),
                IpAddr::V4(Ipv4Addr::from(first | host)),
            )
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            let first = u128::from(v6) & !host;
            (
                IpAddr::V6(Ipv6Addr::from(first)),
                IpAddr::V6(Ipv6Addr::from(first | host)),
            )
        }
    };
    AddressBlock {
        first,
        last,
        prefix_bits: bits,
    }
}

/// Whether two blocks share an address.
pub(super) fn overlap(left: &AddressBlock, right: &AddressBlock) -> bool {
    left.first.is_ipv4() == right.first.is_ipv4()
        && left.first <= right.last
        && right.first <= left.last
}

/// What an agent list matches: a part, `^whole$`, or `re:expression`.
pub(super) fn agent_pattern(text: &str) -> Result<Pattern, String> {
    if let Some(expression) = text.strip_prefix("re:") {
        if expression.is_empty() {
            return Err("agent \"re:\" has no expression".to_owned());
        }
        return check_agent_expression(expression)
            .map(|()| Pattern::AgentExpression(expression.to_owned()))
            // The engine draws the pattern with a caret below it; the last line is the sentence.
            .map_err(|drawing| {
                let sentence = drawing.lines().last().unwrap_or("cannot be read");
                format!(
                    "agent \"{text}\": {}",
                    sentence.trim_start_matches("error: ")
                )
            });
    }
    let anchored = (text.starts_with('^'), text.len() > 1 && text.ends_with('$'));
    let (part, whole) = match anchored {
        (true, true) => (text.get(1..text.len() - 1).unwrap_or(""), true),
        (false, false) => (text, false),
        (true, false) | (false, true) => {
            return Err(format!(
                "agent \"{text}\" has only one of ^ and $; both mean the whole agent, none a part of it, and re: an expression"
            ));
        }
    };
    if part.is_empty() {
        return Err(format!("agent \"{text}\" is empty and would match nothing"));
    }
    if part.len() > SCREENING_VALUE_BYTES_MAX {
        return Err(format!(
            "agent has {} octets; {SCREENING_VALUE_BYTES_MAX} at most are compared",
            part.len()
        ));
    }
    Ok(if whole {
        Pattern::AgentWhole(part.to_owned())
    } else {
        Pattern::AgentPart(part.to_owned())
    })
}

/// A host as it stands in a URI: a name, an IPv4 address, or an IPv6 address in brackets. No port.
pub(super) fn host(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("host is empty".to_owned());
    }
    if text.len() > FIXED_HOST_BYTES_MAX {
        return Err(format!(
            "host has {} characters; {FIXED_HOST_BYTES_MAX} at most",
            text.len()
        ));
    }
    if let Some(inner) = text.strip_prefix('[') {
        return match inner.strip_suffix(']').map(str::parse::<Ipv6Addr>) {
            Some(Ok(_address)) => Ok(()),
            _ => Err(format!("host \"{text}\" is no IPv6 address in brackets")),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("host \"{text}\" is written \"[{text}]\""));
    }
    // RFC 3261 §25.1: host labels are letters, digits and hyphens. The underscore is not, but is met in the wild.
    let bad = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
    match bad {
        None => Ok(()),
        Some(':') => Err(format!(
            "host \"{text}\" has a port; the host alone is wanted"
        )),
        Some(bad) => Err(format!("host \"{text}\" has the character {bad:?}")),
    }
}

/// A host, and a port if there is one behind it.
pub(super) fn host_and_port(text: &str) -> Result<(), String> {
    let bare_ipv6 = text.ends_with(']');
    let (before, port) = match text.rsplit_once(':') {
        Some((before, port)) if !bare_ipv6 => (before, Some(port)),
        _ => (text, None),
    };
    host(before)?;
    let is_port = |port: &str| {
        port.bytes().all(|octet| octet.is_ascii_digit())
            && port.parse().is_ok_and(|port: u16| port > 0)
    };
    match port {
        Some(port) if !is_port(port) => Err(format!("\"{port}\" is no port")),
        _ if text.len() > FIXED_HOST_BYTES_MAX => Err(format!(
            "host and port have {} characters; {FIXED_HOST_BYTES_MAX} at most",
            text.len()
        )),
        _ => Ok(()),
    }
}

/// A whole number and one of `s`, `m`, `h`, `d`, as seconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let scales = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let (number, scale) = scales
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Digits of the fraction of an amount.
const MICRO_DIGITS: usize = 6;

/// An amount with at most six digits behind the point, as millionths.
pub(super) fn micros(text: &str, max: u64) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > MICRO_DIGITS {
        return Err(format!(
            "\"{text}\" is no amount; digits, and a point with up to six more, like \"0.035\""
        ));
    }
    let micros = format!("{whole}{fraction:0<MICRO_DIGITS$}");
    micros
        .parse()
        .ok()
        .filter(|micros| *micros <= max)
        .ok_or_else(|| format!("\"{text}\" is more than {}", words::amount(max)))
}

/// A name of a domain, policy or subscriber: it appears in headers, lists, labels and on command lines.
pub(super) fn name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!(
            "the name has {} octets; {NAME_BYTES_MAX} at most",
            text.len()
        ));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == '"') {
        None => Ok(()),
        Some(bad) => Err(format!(
            "name \"{}\" has the character {bad:?}; visible ASCII without spaces and quotes",
            text.escape_debug()
        )),
    }
}

/// What may stand in a dialled string that is compared: digits, letters and `+*#._-`.
pub(super) fn dialled(noun: &str, text: &str) -> Result<(), String> {
    let bad = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '#' | '.' | '_' | '-')));
    match bad {
        None => Ok(()),
        Some(bad) => Err(format!(
            "{noun} \"{}\" has the character {bad:?}; digits, letters and +*#._- only",
            text.escape_debug()
        )),
    }
}

/// An emergency number: digits, with `+`, `*` and `#` where a country has them.
pub(super) fn emergency(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("an emergency number is empty".to_owned());
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_digit() || matches!(c, '+' | '*' | '#')))
    {
        Some(bad) => Err(format!(
            "emergency number \"{}\" has the character {bad:?}; digits and +*# only",
            text.escape_debug()
        )),
        None if !text.bytes().any(|octet| octet.is_ascii_digit()) => {
            Err(format!("emergency number \"{text}\" has no digits"))
        }
        None => Ok(()),
    }
}

/// The first second (since 1970 UTC) at which a row with this `expires` no longer counts. A date alone means its first
/// second in UTC; a date-time is RFC 3339 with its offset.
pub(super) fn expires(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "expires \"{text}\" is no date, like \"2026-12-31\" or \"2026-12-31T18:00:00Z\" (RFC 3339)"
        )
    };
    if !text.is_ascii() {
        return Err(bad());
    }
    let (date, time) = match text.split_at_checked(10) {
        Some((date, "")) => (date, None),
        Some((date, rest)) => match rest.strip_prefix(['T', 't', ' ']) {
            Some(time) => (date, Some(time)),
            None => return Err(bad()),
        },
        None => return Err(bad()),
    };
    let days = days_of(date).ok_or_else(bad)?;
    let seconds = match time {
        None => 0,
        Some(time) => seconds_of(time).ok_or_else(bad)?,
    };
    u64::try_from(days * 86_400 + seconds)
        .map_err(|_early| format!("expires \"{text}\" lies before 1970"))
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = fixed_digits(parts.next()?, 4)?;
    let month = fixed_digits(parts.next()?, 2)?;
    let day = fixed_digits(parts.next()?, 2)?;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=month_days).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days_before_year =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(days_before_year + day_of_year - 719_468)
}

/// Seconds since midnight UTC of `HH:MM:SS[.fraction](Z|±HH:MM)`; a fraction counts as a whole second, so that nothing
/// expires early.
fn seconds_of(time: &str) -> Option<i64> {
    let (clock, rest) = time.split_at_checked(8)?;
    let mut parts = clock.split(':');
    let hour = fixed_digits(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = fixed_digits(parts.next()?, 2).filter(|minute| *minute < 60)?;
    // RFC 3339 §5.6: 60 is a leap second.
    let second = fixed_digits(parts.next()?, 2).filter(|second| *second <= 60)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = rest.strip_suffix(zone)?;
            if digits.is_empty() {
                return None;
            }
            (i64::from(digits.bytes().any(|digit| digit != b'0')), zone)
        }
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = match zone.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let hours = fixed_digits(hours, 2).filter(|hours| *hours < 24)?;
            let minutes = fixed_digits(minutes, 2).filter(|minutes| *minutes < 60)?;
            sign * (hours * 3600 + minutes * 60)
        }
    };
    Some(hour * 3600 + minute * 60 + second + fraction - offset)
}

fn fixed_digits(text: &str, count: usize) -> Option<i64> {
    if text.len() != count || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(digits: &str) -> E164 {
        E164::from_digits(digits.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_pattern_is_a_number_a_prefix_or_a_range() {
        for (text, wanted) in [
            ("+390698", Ok(Pattern::Number(e164("390698")))),
            ("390698", Ok(Pattern::Number(e164("390698")))),
            ("+3906*", Ok(Pattern::NumberPrefix(e164("3906")))),
            (
                "+3906-+3909",
                Ok(Pattern::NumberRange(e164("3906"), e164("3909"))),
            ),
            (
                "3906-3906",
                Ok(Pattern::NumberRange(e164("3906"), e164("3906"))),
            ),
            (
                "+39O6*",
                Err("prefix \"+39O6\" has the letter O; digits only"),
            ),
            (
                "+39 06",
                Err("number \"+39 06\" has the character ' '; digits only"),
            ),
            (
                "+39**",
                Err("prefix \"+39*\" has the character '*'; digits only"),
            ),
            ("*", Err("prefix \"\" has no digits")),
            ("+", Err("number \"+\" has no digits")),
            (
                "0039",
                Err(
                    "number \"0039\" begins with 0; an international number begins with its country code",
                ),
            ),
            (
                "+3906987654321012",
                Err("number \"+3906987654321012\" has 16 digits; 15 at most"),
            ),
            (
                "39-391",
                Err("range \"39-391\" has ends of 2 and 3 digits; they must be of one length"),
            ),
            (
                "3909-3906",
                Err("range \"3909-3906\" ends before it begins"),
            ),
            ("39-", Err("range end \"\" has no digits")),
        ] {
            assert_eq!(
                number_pattern(text),
                wanted.map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn a_block_is_an_address_or_a_cidr_without_host_bits() {
        for (text, wanted) in [
            ("192.0.2.1", Ok("192.0.2.1-192.0.2.1/32")),
            ("192.0.2.16/28", Ok("192.0.2.16-192.0.2.31/28")),
            ("0.0.0.0/0", Ok("0.0.0.0-255.255.255.255/0")),
            ("2001:db8::/127", Ok("2001:db8::-2001:db8::1/127")),
            ("::/0", Ok("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0")),
            ("::ffff:192.0.2.1", Ok("192.0.2.1-192.0.2.1/32")),
            ("::ffff:192.0.2.0/120", Ok("192.0.2.0-192.0.2.255/24")),
            (
                "::ffff:0:0/90",
                Err("\"::ffff:0:0/90\" covers more than the IPv4-mapped addresses; write IPv4"),
            ),
            (
                "192.0.2.1/28",
                Err(
                    "\"192.0.2.1/28\" has bits set beyond its prefix length; \"192.0.2.0/28\" is the block",
                ),
            ),
            (
                "192.0.2.0/33",
                Err("\"192.0.2.0/33\" has a prefix length beyond 32"),
            ),
            (
                "192.0.2.0/+8",
                Err(
                    "\"192.0.2.0/+8\" is no address and no block, like \"192.0.2.1\" or \"192.0.2.0/28\"",
                ),
            ),
            (
                "pbx.example",
                Err(
                    "\"pbx.example\" is no address and no block, like \"192.0.2.1\" or \"192.0.2.0/28\"",
                ),
            ),
        ] {
            let found = address_block(text)
                .map(|block| format!("{}-{}/{}", block.first, block.last, block.prefix_bits));
            assert_eq!(found.as_deref().map_err(String::as_str), wanted, "{text}");
        }
    }

    #[test]
    fn an_agent_pattern_is_a_part_a_whole_or_an_expression() {
        for (text, wanted) in [
            ("sipcli", Ok(Pattern::AgentPart("sipcli".into()))),
            ("a.b", Ok(Pattern::AgentPart("a.b".into()))),
            ("^sipcli$", Ok(Pattern::AgentWhole("sipcli".into()))),
            (
                "re:^sip.*1$",
                Ok(Pattern::AgentExpression("^sip.*1$".into())),
            ),
            ("re:(", Err("agent \"re:(\": unclosed group")),
            ("re:", Err("agent \"re:\" has no expression")),
            ("^$", Err("agent \"^$\" is empty and would match nothing")),
            (
                "^sip",
                Err(
                    "agent \"^sip\" has only one of ^ and $; both mean the whole agent, none a part of it, and re: an expression",
                ),
            ),
        ] {
            assert_eq!(agent_pattern(text), wanted.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn expiry_is_a_date_or_a_date_time_with_its_offset() {
        for (text, wanted) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2026-12-31", Some(1_798_675_200)),
            ("2026-12-31T00:00:00Z", Some(1_798_675_200)),
            ("2026-12-31t01:00:00+01:00", Some(1_798_675_200)),
            ("2026-12-30 19:00:00.000-05:00", Some(1_798_675_200)),
            ("2026-12-31T00:00:00.5Z", Some(1_798_675_201)),
            ("1969-12-31", None),
            ("2026-02-29", None),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-1-01", None),
            ("2026-12-31T24:00:00Z", None),
            ("2026-12-31T00:00:00", None),
            ("31.12.2026", None),
            ("tomorrow", None),
            ("ﬁfteen-char", None),
        ] {
            assert_eq!(expires(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_without_port() {
        for good in ["pbx.acme.example", "192.0.2.1", "[2001:db8::1]", "pbx_1"] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "pbx:5060",
            "2001:db8::1",
            "[::1",
            "[pbx]",
            "a b",
            "a>b",
            "a;b",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blocks_overlap_only_within_a_family() {
        let block = |text| address_block(text).unwrap();
        for (left, right, wanted) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.0.0.0/9", "10.128.0.0/9", false),
            ("0.0.0.0/0", "::/0", false),
        ] {
            assert_eq!(overlap(&block(left), &block(right)), wanted);
        }
    }
}
