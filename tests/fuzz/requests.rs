//! Writes requests that a server mostly takes, and scripts of several, with what is odd in one place or another: what a search by
//! lines and octets finds late, since several things have to be right at once.
//!
//! Promises: the same dice make the same request. Leaves to `mutate` requests that are broken, to `script` what a step is.

use crate::mutate::Dice;
use crate::script::{SEPARATOR, VARIED};

/// A name and what may stand for it, an ordinary one first; `{name}` in that is replaced in turn. What stands several times is taken more often.
pub(crate) type Rule = (&'static [u8], &'static [&'static [u8]]);

/// All of them; what a server is sent begins with `request`.
pub(crate) const RULES: &[Rule] = &[
    (
        b"request",
        &[
            b"{call}",
            b"{call}",
            b"{call}",
            b"{call}",
            b"{call}",
            b"{method} {request-uri} SIP/2.0\r\n{vias}{from}{to}{call-id}CSeq: {cseq}\r\n{more}{ending}",
        ],
    ),
    (
        b"call",
        &[
            b"INVITE {request-uri} SIP/2.0\r\n{vias}{from}{to}{call-id}{cseq-invite}{screening}{more}{ending}",
            b"INVITE {request-uri} SIP/2.0\r\n{vias}{more}{from}{to}{call-id}{cseq-invite}{screening}{ending}",
            b"INVITE {request-uri} SIP/2.0\r\n{screening}{cseq-invite}{call-id}{to}{from}{vias}{ending}",
        ],
    ),
    // One caller, one number, one call after another: what a hold says of them.
    (
        b"held",
        &[
            b"INVITE sip:{held-number}@127.0.0.1 SIP/2.0\r\n{held-via}From: <sip:{held-caller}@127.0.0.1>;tag=\x1f\x1f\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: \x1f\x1f\r\nCSeq: 1 INVITE\r\n\r\n",
            b"INVITE sip:{held-number}@127.0.0.1 SIP/2.0\r\n{held-via}From: <sip:1@127.0.0.1>;tag=\x1f\x1f\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: \x1f\x1f\r\nCSeq: 1 INVITE\r\nP-tfps: {held-caller};sample;{caller-address};{agent};{count}\r\n\r\n",
        ],
    ),
    (
        b"held-via",
        &[
            b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK\x1f\x1f\r\n",
            b"Via: SIP/2.0/UDP 127.0.0.20;branch=z9hG4bK\x1f\x1f\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK\x1f\x1f\r\n",
        ],
    ),
    (
        b"held-caller",
        &[b"1001", b"{letter}", b"{letter}{letter}", b"{odd}{odd}", b"a{letter}b{letter}c", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{odd}{odd}"],
    ),
    (b"held-number", &[b"+442079460000", b"{number}", b"{letter}", b"{odd}", b"12345{letter}"]),
    (b"method", &[b"OPTIONS", b"CANCEL", b"BYE", b"ACK", b"REGISTER", b"INVITE", b"UPDATE", b"X"]),
    (b"cseq-invite", &[b"CSeq: 1 INVITE\r\n", b"CSeq: {count} INVITE\r\n", b"CSeq:\t7  INVITE \r\n"]),
    (b"cseq", &[b"1 {method}", b"{count} {method}", b"2147483648 {method}", b"1 1", b"INVITE"]),
    (b"request-uri", &[b"sip:{user}@{host}{uri-tail}", b"sip:{user}@{host}", b"sip:{user}@{host}", b"{uri}"]),
    (
        b"uri",
        &[
            b"sip:{user}@{host}{uri-tail}",
            b"sips:{user}@{host}{uri-tail}",
            b"SIP:{user}:{odd}@{host}",
            b"sip:{host}{uri-tail}",
            b"tel:{user}{tel-tail}",
            b"urn:service:sos",
            b"http://{host}/",
            b"sip:{user}@",
        ],
    ),
    (
        b"uri-tail",
        &[
            b"",
            b"",
            b";user=phone",
            b";transport=tcp",
            b";maddr={host}",
            b";lr;{odd}={odd}",
            b"?Route={odd}",
            b";method=INVITE?X=%0d%0a",
            b":5060;ttl=1",
        ],
    ),
    (b"tel-tail", &[b"", b";phone-context=+1", b";phone-context={host}", b";ext={count};isub={odd}"]),
    (
        b"user",
        &[
            b"{number}",
            b"{number}",
            b"{number}",
            b"{caller}",
            b"{number};{odd}={odd}",
            b"{number}:{odd}",
            b"%2B{number}",
            b"{odd}",
            b"",
            b"A00{number}",
            b"%{digit}{digit}{number}",
        ],
    ),
    (
        b"number",
        &[
            b"+447700900999",
            b"0114477009009{digit}{digit}",
            b"0011442079460{digit}{digit}{digit}",
            b"+44 20-79.46(0)00{digit}",
            b"+8816{count}",
            b"+1900555{digit}{digit}00",
            b"+19005551{digit}{digit}",
            b"+39{count}",
            b"+37{digit}{count}",
            b"00{digit}{digit}{digit}{count}",
            b"1{digit}{digit}4420794600{digit}{digit}",
            b"112",
            b"911",
            b"{count}",
            b"+999{count}",
            b"+{digit}",
            b"44207946000{digit}",
            b"*{digit}{digit}#",
            b"+1234567890123456789",
        ],
    ),
    (b"digit", &[b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"\x1f", b"\x1f"]),
    (
        b"count",
        &[
            b"0",
            b"1",
            b"7",
            b"30",
            b"31",
            b"\x1f",
            b"1\x1f",
            b"255",
            b"65535",
            b"65536",
            b"2147483647",
            b"4294967295",
            b"4294967296",
            b"18446744073709551616",
            b"0000000000000000000000000000001",
        ],
    ),
    (
        b"caller",
        &[
            b"100",
            b"1\x1f",
            b"10\x1f",
            b"1{digit}{digit}",
            b"1001",
            b"anonymous",
            b"{odd}",
            b"{odd}{odd}",
            b"a-caller-whose-name-is-longer-than-a-field-of-a-hold-or-of-an-event-may-be-{odd}",
            b"\x1f\x1f",
        ],
    ),
    // Texts that are shown somewhere: every kind of octet that is escaped there, and its neighbours.
    (
        b"odd",
        &[
            b"x",
            b"x y",
            b"{letter}",
            b"{letter}{letter}",
            b"{letter}x{letter}x{letter}x{letter}x{letter}x{letter}x{letter}x{letter}",
            b"%{digit}{digit}",
            b"%4{digit}%c3%a9",
            b"%zz",
            b"%",
            b"\\",
            b"\x7f",
            b"\x01",
            b"\x1b[2J",
            b"{digit}",
            b"",
        ],
    ),
    (
        b"letter",
        &[
            b"\xc2\x80",
            b"\xc2\x9f",
            b"\xc2\xa0",
            b"\xc2\xad",
            b"\xc3\xa9",
            b"\xd8\x9b",
            b"\xd8\x9c",
            b"\xd8\x9d",
            b"\xe2\x80\x8a",
            b"\xe2\x80\x8b",
            b"\xe2\x80\x8f",
            b"\xe2\x80\x90",
            b"\xe2\x80\xa7",
            b"\xe2\x80\xa8",
            b"\xe2\x80\xae",
            b"\xe2\x80\xaf",
            b"\xe2\x81\x9f",
            b"\xe2\x81\xa0",
            b"\xe2\x81\xaf",
            b"\xe2\x82\xac",
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbe",
            b"\xef\xbf\xb8",
            b"\xef\xbf\xb9",
            b"\xef\xbf\xbb",
            b"\xef\xbf\xbd",
            b"\xf0\x9f\x98\x80",
            b"\xf4\x8f\xbf\xbf",
            b"\xf5\x80\x80\x80",
            b"\xed\xa0\x80",
            b"\xc3",
            b"\xe2\x80",
            b"\xf0\x9f",
            b"\xff",
            b"\x80",
            b"\0",
        ],
    ),
    (
        b"host",
        &[
            b"127.0.0.1",
            b"127.0.0.10:5060",
            b"127.0.0.2\x1f",
            b"192.0.2.7:5060",
            b"pbx.example.com",
            b"{address}",
            b"{address}:{count}",
            b"example.com.:5061",
            b"-a.b_c",
            b"{odd}",
        ],
    ),
    (
        b"address",
        &[
            b"192.0.2.7",
            b"192.0.2.\x1f",
            b"10.0.0.1",
            b"8.8.8.8",
            b"0.0.0.0",
            b"255.255.255.255",
            b"256.1.1.1",
            b"1.2.3",
            b"[2001:db8::1]",
            b"[2001:db8::\x1f]",
            b"[::1]",
            b"[::]",
            b"[fe80::1]",
            b"[::ffff:127.0.0.1]",
            b"[2001:db8:1111:2222:3333:4444:5555:6666]",
            b"[1:2]",
            b"2001:db8::1",
            b"::1",
        ],
    ),
    (
        b"vias",
        &[
            b"Via: {via}\r\n",
            b"Via: {via}\r\n",
            b"Via: {via}\r\nVia: {via}\r\n",
            b"Via: SIP/2.0/UDP 127.0.0.20;branch=z9hG4bK{digit}\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{digit}\r\n",
            b"Via: SIP/2.0/UDP 127.0.0.20;branch=z9hG4bK{digit};rport, SIP/2.0/UDP {host};received={peer};branch=z9hG4bK{digit}\r\n",
            b"v: {via}, {via},{via}\r\nv: {via}\r\n",
            b"Via: {via} ,\r\n {via}\r\n",
        ],
    ),
    (b"peer", &[b"127.0.0.3", b"127.0.0.\x1f", b"[::1]", b"::1", b"127.0.0.1:{count}", b"10.9.9.9", b"[::ffff:127.0.0.3]"]),
    (
        b"via",
        &[
            b"SIP/2.0/UDP {host};branch=z9hG4bK{digit}{digit}",
            b"SIP/2.0/UDP {host};branch=z9hG4bK{digit};rport",
            b"SIP/2.0/UDP {host};rport;branch=z9hG4bK\x1f\x1f",
            b"SIP / 2.0 / UDP {host} ; rport={count} ; received={address};branch={odd}",
            b"SIP/2.0/UDP {host};branch=1;received={address}",
            b"SIP/2.0/UDP {host};maddr={host};ttl={count};branch=z9hG4bKx",
            b"SIP/2.0/TCP {host};branch=z9hG4bKx;{odd}=\"{odd}\"",
            b"SIP/2.0/UDP {host} ({odd})",
            b"SIP/2.0/UDP {host};branch=z9hG4bK{digit};received={peer}",
        ],
    ),
    (
        b"from",
        &[
            b"From: <sip:{caller}@{host}>;tag={digit}{digit}\r\n",
            b"From: <sip:{caller}@{host}>;tag=\x1f\x1f\r\n",
            b"f: \"{odd}\" <{uri}>;tag=a;{odd}={odd}\r\n",
            b"From: {odd} <sip:{caller}@{host}>;tag={digit}\r\n",
            b"From: sip:{caller}@{host};tag={digit}\r\n",
            b"From: <{uri}>\r\n",
            b"From: \"A, \\\"B\\\" <c>\" <sip:{caller}@{host}{uri-tail}>;x=\"{odd}\";tag=b\r\n",
        ],
    ),
    (
        b"to",
        &[
            b"To: <sip:{number}@{host}>\r\n",
            b"To: <sip:{number}@{host}>\r\n",
            b"To: <{uri}>\r\n",
            b"t: \"{odd}\" <{uri}>\r\n",
            b"To: {uri};{odd}={odd}\r\n",
            b"To: <sip:{number}@{host}>;tag={digit}\r\n",
        ],
    ),
    (
        b"call-id",
        &[b"Call-ID: {digit}{digit}@{host}\r\n", b"Call-ID: \x1f\x1f\r\n", b"i: {odd}{digit}\r\n", b"Call-ID: 1\r\n"],
    ),
    (
        b"screening",
        &[
            b"P-tfps: {fields}\r\n",
            b"",
            b"P-tfps: {fields}\r\n",
            b"P-tfps: {fields}\r\n",
            b"p-tfps :{fields}\r\nP-tfps: {fields}\r\n",
            b"X-tfps: {caller}@{host}\r\nP-Received: {caller-address}\r\nP-UA: {agent}\r\nP-Calls: {count}\r\n",
            b"X_tfps: {caller};{host}\r\nP_Received: {caller-address}\r\nP_Calls: {count}\r\n",
            b"P-Received: {caller-address}\r\nP-UA: {agent}\r\n",
            b"P-Calls: {count}\r\nP_Calls: {count}\r\n",
        ],
    ),
    (
        b"fields",
        &[
            b"{caller};{host};{caller-address};{agent};{count}",
            b"{caller};sample;{caller-address};{agent};{count}",
            b"{caller};loopback;{caller-address};{agent};{count}",
            b"{caller};;{caller-address};;{count}",
            b"{caller};{host};{caller-address};{agent};{odd};{count}",
            b"{caller};{host};{agent};{caller-address};{count}",
            b"{caller};{host};{caller-address};{agent}",
            b"{caller};{host}",
            b"{caller}",
            b" {odd} ; {odd} ; {odd} ; {odd} ; {odd} ",
        ],
    ),
    (b"caller-address", &[b"{address}", b"{address}", b"{address}:{count}", b"{host}", b""]),
    (
        b"agent",
        &[
            b"Phone",
            b"{odd}",
            b"friendly-scanner",
            b"FRIENDLY-SCANNER{odd}",
            b"eyeBeam release 3006o stamp 17551",
            b"Custom SIP Phone",
            b"a VaxSIPUserAgent/3.5",
            b"sipcli/v1.8",
            b"iWa",
        ],
    ),
    (
        b"more",
        &[
            b"",
            b"{line}",
            b"{line}{line}",
            b"{line}{line}{line}",
            b"Max-Forwards: 70\r\nContact: <sip:{caller}@{host}>\r\nUser-Agent: {agent}\r\n",
        ],
    ),
    (
        b"line",
        &[
            b"Max-Forwards: {count}\r\n",
            b"User-Agent: {agent}\r\n",
            b"Contact: <{uri}>\r\n",
            b"m: {uri}, <{uri}>;expires={count}\r\n",
            b"Require: {odd}\r\n",
            b"Require: 100rel,timer\r\nProxy-Require: {odd}\r\n",
            b"Supported: path\r\n",
            b"P-Asserted-Identity: {identity}\r\n",
            b"P-Preferred-Identity: {identity}\r\n",
            b"Remote-Party-ID: {identity};party=calling\r\n",
            b"Diversion: {identity};reason=unconditional\r\n",
            b"History-Info: <{uri}>;index=1\r\n",
            b"Route: <sip:{host};lr>\r\n",
            b"Record-Route: <sip:{host};lr>\r\n",
            b"Content-Type: application/sdp\r\n",
            b"Content-Encoding: {odd}\r\n",
            b"Timestamp: {count}\r\n",
            b"Expires: {count}\r\n",
            b"Authorization: Digest username=\"{caller}\",realm=\"{odd}\"\r\n",
            b"{odd}: {odd}\r\n",
            b"X: {odd}\r\n\t{odd}\r\n",
            b"Replaces: {odd};to-tag=1;from-tag=2\r\n",
        ],
    ),
    (
        b"identity",
        &[
            b"<sip:{caller}@{host}>",
            b"\"{odd}\" <sip:{caller}@{host}>",
            b"sip:{caller}@{host}",
            b"<tel:{number}>",
            b"<{uri}>, <tel:{number}>",
            b"{odd}",
        ],
    ),
    (
        b"ending",
        &[
            b"Content-Length: 0\r\n\r\n",
            b"Content-Length: 0\r\n\r\n",
            b"\r\n",
            b"l: 4\r\n\r\nv=0\n",
            b"Content-Length: {count}\r\n\r\nv=0\r\n",
            b"Content-Length: 4\r\n\r\nv=0\r\n{odd}",
            b"",
        ],
    ),
];

/// Rules that are no more ordinary in one way than in another.
pub(crate) const VALUES: [&[u8]; 5] = [b"digit", b"count", b"number", b"odd", b"letter"];

/// Rules within rules: no rule leads to itself.
const DEPTH_MAX: usize = 16;

/// What may stand for the name of a rule.
pub(crate) fn choices(name: &[u8]) -> &'static [&'static [u8]] {
    let Some((_, choices)) = RULES.iter().find(|(rule, _)| *rule == name) else {
        panic!("there is no rule {:?}", String::from_utf8_lossy(name));
    };
    choices
}

/// Makes requests. In each, some rules keep to what is ordinary, so that what is odd stands alone.
struct Maker<'d> {
    dice: &'d mut Dice,
    /// How often a rule does, of four times.
    ordinary: usize,
}

impl<'d> Maker<'d> {
    fn new(dice: &'d mut Dice) -> Self {
        let ordinary = [0, 2, 3, 3][dice.below(4)];
        Self { dice, ordinary }
    }

    fn expand(&mut self, name: &[u8], depth: usize, into: &mut Vec<u8>) {
        assert!(depth < DEPTH_MAX, "a rule leads to itself");
        let choices = choices(name);
        let is_ordinary = !VALUES.contains(&name) && self.dice.below(4) < self.ordinary;
        let choice = if is_ordinary {
            0
        } else {
            self.dice.below(choices.len())
        };
        let mut rest = choices[choice];
        while let Some(opened) = rest.iter().position(|&octet| octet == b'{') {
            let closed = rest.iter().position(|&octet| octet == b'}');
            let closed = closed.expect("a name is closed");
            into.extend_from_slice(&rest[..opened]);
            self.expand(&rest[opened + 1..closed], depth + 1, into);
            rest = &rest[closed + 1..];
        }
        into.extend_from_slice(rest);
    }
}

/// A request, or a script of some: one request over and over, or one and its changed copies, with steps between.
pub(crate) fn script(dice: &mut Dice) -> Vec<u8> {
    let mut first = Vec::new();
    if dice.below(8) == 0 {
        Maker::new(dice).expand(b"held", 0, &mut first);
        // Sixteen at once: more than a limit bears.
        first.extend_from_slice(SEPARATOR);
        first.push(0x18);
        return first;
    }
    Maker::new(dice).expand(b"request", 0, &mut first);
    if dice.below(3) > 0 {
        settle(&mut first);
        return first;
    }
    let mut whole = first.clone();
    for _ in 0..=dice.below(5) {
        whole.extend_from_slice(SEPARATOR);
        whole.push(u8::try_from(dice.below(0x80)).expect("seven bits"));
        match dice.below(6) {
            0..4 => {} // the first one again
            4 => whole.extend(line_replaced(&first, dice)),
            _ => Maker::new(dice).expand(b"request", 0, &mut whole),
        }
    }
    whole
}

/// A digit that varies is one of a script: of a single request it becomes one that does not.
pub(crate) fn settle(request: &mut [u8]) {
    let varied = request.iter_mut().filter(|octet| **octet == VARIED);
    varied.for_each(|octet| *octet = b'7');
}

/// Rules of the lines behind the first.
pub(crate) const LINES: [&[u8]; 7] = [
    b"vias",
    b"from",
    b"to",
    b"call-id",
    b"cseq-invite",
    b"screening",
    b"line",
];

/// What stands before the colon of a line.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|&octet| octet == b':')
        .next()
        .unwrap_or_default()
}

/// The request with one line of its head made anew, mostly one of its kind.
pub(crate) fn line_replaced(request: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = request.split_inclusive(|&octet| octet == b'\n').collect();
    let end = lines.iter().position(|line| *line == b"\r\n");
    let at = dice.below(end.unwrap_or(lines.len()));
    let mut made = Vec::new();
    if at == 0 {
        made.extend_from_slice(b"INVITE ");
        Maker::new(dice).expand(b"request-uri", 0, &mut made);
        made.extend_from_slice(b" SIP/2.0\r\n");
    } else {
        let name = name_of(lines.get(at).copied().unwrap_or_default());
        let like = LINES.into_iter().find(|line| {
            choices(line)
                .iter()
                .any(|choice| !choice.is_empty() && name_of(choice).eq_ignore_ascii_case(name))
        });
        let like = like.filter(|_| dice.below(4) > 0);
        let rule = like.unwrap_or_else(|| LINES[dice.below(LINES.len())]);
        Maker::new(dice).expand(rule, 0, &mut made);
    }
    if let Some(line) = lines.get_mut(at) {
        *line = &made;
    }
    lines.concat()
}
