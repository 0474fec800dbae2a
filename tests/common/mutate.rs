//! Changes a SIP message as broken and hostile clients do: by its lines and fields, not only by its octets.
//!
//! Promises: the same seed makes the same message, anywhere; a message never grows beyond the bound it is given.
//! Leaves to its users: what the message does. The fuzz targets use it as their mutator, the tests as their source.

/// A generator of numbers that a seed repeats (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A generator with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        match self.next().checked_rem(bound) {
            Some(number) => usize::try_from(number).unwrap_or(0),
            None => 0,
        }
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from.get(self.below(from.len())).copied().unwrap_or(b"")
    }

    fn octet(&mut self) -> u8 {
        let [octet, ..] = self.next().to_le_bytes();
        octet
    }
}

/// Words of the protocol and of what attackers write into it; the fuzzers' dictionary holds the same.
pub(crate) const WORDS: [&[u8]; 64] = [
    b"INVITE",
    b"ACK",
    b"CANCEL",
    b"OPTIONS",
    b"BYE",
    b"REGISTER",
    b"SIP/2.0",
    b"SIP/7.0",
    b"sip:",
    b"sips:",
    b"tel:",
    b"urn:service:sos",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b":",
    b";",
    b",",
    b"?",
    b"=",
    b"%00",
    b"%2B",
    b"%0d%0aX: y",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\n\t",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b"[::1]",
    b"[",
    b"]",
    b"127.0.0.1",
    b"255.255.255.255",
    b"::ffff:127.0.0.1",
    b";rport",
    b";received=192.0.2.9",
    b";maddr=192.0.2.9",
    b";branch=z9hG4bK",
    b";tag=x",
    b";phone-context=+1",
    b"A00",
    b"R06",
    b"Via: ",
    b"v: SIP/2.0/UDP 192.0.2.1\r\n",
    b"From: ",
    b"To: ",
    b"Call-ID: ",
    b"CSeq: 1 INVITE",
    b"Content-Length: ",
    b"l: 99999999999",
    b"Max-Forwards: 0",
    b"Require: x",
    b"P-tfps: 1;d;192.0.2.1;A;1\r\n",
    b"X_tfps: 1@d\r\n",
    b"P-UA: ",
    b"P_Calls: 7\r\n",
    b"4294967296",
    b"\xc3\xa9\xff",
];

/// Short names and long ones of the same field (RFC 3261 §7.3.3).
const FORMS: [(&[u8], &[u8]); 6] = [
    (b"Via", b"v"),
    (b"From", b"f"),
    (b"To", b"t"),
    (b"Call-ID", b"i"),
    (b"Content-Length", b"l"),
    (b"Contact", b"m"),
];

/// One to four changes; lines of `other` may be spliced in. At most `bytes_max` octets are left.
pub(crate) fn mutate(message: &[u8], other: &[u8], dice: &mut Dice, bytes_max: usize) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=dice.below(4) {
        bytes = match dice.below(12) {
            0 => swap(&bytes, dice),
            1 => repeat(&bytes, dice),
            2 => cut(&bytes, dice),
            3 => splice(&bytes, other, dice),
            4 => fold(&bytes, dice),
            5 => respell(&bytes, dice),
            6 => change_value(&bytes, dice),
            7 => {
                let mut changed = bytes;
                changed.truncate(dice.below(changed.len()));
                changed
            }
            8 => copy_stretch(&bytes, dice),
            9 | 10 => insert(&bytes, dice),
            _ => change_octet(&bytes, dice),
        };
        bytes.truncate(bytes_max);
    }
    bytes
}

/// The lines, line ends included, up to and with the blank line, and what follows it.
fn lines(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&octet| octet == b'\n') {
        let (line, after) = rest.split_at(end.saturating_add(1));
        if matches!(line, b"\r\n" | b"\n") && !lines.is_empty() {
            break;
        }
        lines.push(line);
        rest = after;
    }
    (lines, rest)
}

fn joined(lines: &[&[u8]], rest: &[u8]) -> Vec<u8> {
    let mut bytes = lines.concat();
    bytes.extend_from_slice(rest);
    bytes
}

fn swap(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (mut lines, rest) = lines(bytes);
    if !lines.is_empty() {
        let (one, two) = (dice.below(lines.len()), dice.below(lines.len()));
        lines.swap(one, two);
    }
    joined(&lines, rest)
}

fn repeat(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (mut lines, rest) = lines(bytes);
    if let Some(line) = lines.get(dice.below(lines.len())).copied() {
        let times = [1, 1, 2, 20, 130].get(dice.below(5)).copied().unwrap_or(1);
        let at = dice.below(lines.len().saturating_add(1));
        lines.splice(at..at, std::iter::repeat_n(line, times));
    }
    joined(&lines, rest)
}

fn cut(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (mut lines, rest) = lines(bytes);
    if !lines.is_empty() {
        lines.remove(dice.below(lines.len()));
    }
    joined(&lines, rest)
}

fn splice(bytes: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (mut ours, rest) = lines(bytes);
    let (theirs, _) = lines(other);
    if let Some(line) = theirs.get(dice.below(theirs.len())).copied() {
        let at = dice.below(ours.len().saturating_add(1));
        if dice.below(2) == 0 && at < ours.len() {
            ours.remove(at);
        }
        ours.insert(at.min(ours.len()), line);
    }
    joined(&ours, rest)
}

/// A fold where white space stands, or where none may.
fn fold(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let blanks: Vec<usize> = (0_usize..)
        .zip(bytes)
        .filter(|(_, octet)| matches!(octet, b' ' | b'\t' | b';'))
        .map(|(at, _)| at)
        .collect();
    let at = blanks.get(dice.below(blanks.len())).copied().unwrap_or(0);
    let mut changed = bytes.to_vec();
    changed.splice(
        at..at,
        dice.pick(&[b"\r\n ", b"\r\n\t", b"\r\n \r\n ", b"\n "])
            .iter()
            .copied(),
    );
    changed
}

/// Another case, the compact form, or an octet before the colon.
fn respell(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (lines, rest) = lines(bytes);
    let which = dice.below(lines.len());
    let mut changed = Vec::new();
    for (number, line) in lines.iter().copied().enumerate() {
        let colon = line.iter().position(|&octet| octet == b':').unwrap_or(0);
        let (name, value) = line.split_at(colon);
        if number != which {
            changed.extend_from_slice(line);
            continue;
        }
        match dice.below(3) {
            0 => changed.extend(
                name.iter()
                    .map(|octet| octet ^ 0x20 & (dice.octet() | 0x0f)),
            ),
            1 => {
                let other = FORMS.iter().find_map(|(long, short)| {
                    if name.eq_ignore_ascii_case(long) {
                        return Some(*short);
                    }
                    name.eq_ignore_ascii_case(short).then_some(*long)
                });
                changed.extend_from_slice(other.unwrap_or(name));
            }
            _ => {
                changed.extend_from_slice(name);
                changed.push(dice.octet());
            }
        }
        changed.extend_from_slice(value);
    }
    changed.extend_from_slice(rest);
    changed
}

/// A line keeps its name and gets other words for a value.
fn change_value(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (mut lines, rest) = lines(bytes);
    let which = dice.below(lines.len());
    let mut line = Vec::new();
    if let Some(old) = lines.get(which).copied() {
        let colon = old.iter().position(|&octet| octet == b':').unwrap_or(0);
        line.extend_from_slice(old.get(..colon).unwrap_or_default());
        line.extend_from_slice(b": ");
        for _ in 0..dice.below(5) {
            line.extend_from_slice(dice.pick(&WORDS));
        }
        line.extend_from_slice(b"\r\n");
    }
    if let Some(old) = lines.get_mut(which) {
        *old = &line;
    }
    joined(&lines, rest)
}

fn insert(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let at = dice.below(bytes.len().saturating_add(1));
    let mut changed = bytes.to_vec();
    changed.splice(at..at, dice.pick(&WORDS).iter().copied());
    changed
}

/// A stretch of the message once more, somewhere, up to a kilobyte of it.
fn copy_stretch(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let from = dice.below(bytes.len());
    let length = dice.below(1024).min(bytes.len().saturating_sub(from));
    let stretch = bytes
        .get(from..from.saturating_add(length))
        .unwrap_or_default();
    let at = dice.below(bytes.len().saturating_add(1));
    let mut changed = bytes.to_vec();
    changed.splice(at..at, stretch.iter().copied());
    changed
}

fn change_octet(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let at = dice.below(changed.len());
    if let Some(octet) = changed.get_mut(at) {
        *octet = dice.octet();
    }
    changed
}
