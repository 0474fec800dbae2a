//! The packets of a capture: classic pcap in both byte orders and precisions, and pcapng.
//!
//! Promises: reads within the octets only, whatever lengths the file claims; packets are numbered from 1, as Wireshark does. Sources: pcap-savefile(5),
//! draft-ietf-opsawg-pcapng.

use crate::clock::Nanos;

/// A captured packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'f> {
    /// Its number in the file, from 1.
    pub number: u64,
    /// When it was captured, in nanoseconds since 1970.
    pub time: Nanos,
    /// What its first octets are (`LINKTYPE_…`).
    pub link: u32,
    /// What was captured of it.
    pub octets: &'f [u8],
    /// Whether the capture kept less than there was.
    pub cut: bool,
}

/// What stands where a packet was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The number that the packet would have.
    pub number: u64,
    /// What was expected.
    pub expected: String,
}

/// The packets of a file.
#[derive(Debug)]
pub struct Packets<'f> {
    file: &'f [u8],
    at: usize,
    number: u64,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Classic {
        big: bool,
        nanos: bool,
        link: u32,
    },
    /// Byte order and interfaces of the section that is being read.
    Next {
        big: bool,
        interfaces: Vec<Interface>,
    },
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// Units a second.
    resolution: u64,
    /// Seconds that are added to every time.
    offset: u64,
}

const CLASSIC_HEADER: usize = 24;
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;

/// Whether a file begins as a capture does.
#[must_use]
pub fn is_capture(file: &[u8]) -> bool {
    classic(file).is_some() || number(file, 0, true) == Some(SECTION_HEADER)
}

/// Byte order and precision of a classic file.
fn classic(file: &[u8]) -> Option<(bool, bool)> {
    match number(file, 0, true)? {
        0xA1B2_C3D4 => Some((true, false)),
        0xA1B2_3C4D => Some((true, true)),
        0xD4C3_B2A1 => Some((false, false)),
        0x4D3C_B2A1 => Some((false, true)),
        _ => None,
    }
}

impl<'f> Packets<'f> {
    /// The packets of the octets of a capture.
    #[must_use]
    pub fn new(file: &'f [u8]) -> Self {
        let (form, at) = match classic(file) {
            Some((big, nanos)) => {
                // The upper bits say how frames are checked, not what they are.
                let link = number(file, 20, big).unwrap_or(0) & 0x0FFF_FFFF;
                (Form::Classic { big, nanos, link }, CLASSIC_HEADER)
            }
            None => {
                let interfaces = Vec::new();
                (
                    Form::Next {
                        big: false,
                        interfaces,
                    },
                    0,
                )
            }
        };
        Self {
            file,
            at,
            number: 0,
            form,
        }
    }

    fn broken(&mut self, expected: &str) -> Option<Result<Packet<'f>, Broken>> {
        self.form = Form::Over;
        Some(Err(Broken {
            number: self.number + 1,
            expected: expected.to_owned(),
        }))
    }

    fn next_classic(
        &mut self,
        big: bool,
        nanos: bool,
        link: u32,
    ) -> Option<Result<Packet<'f>, Broken>> {
        if self.at == self.file.len() {
            return None;
        }
        let field = |offset| number(self.file, self.at + offset, big);
        let (Some(seconds), Some(part), Some(kept), Some(length)) =
            (field(0), field(4), field(8), field(12))
        else {
            return self.broken("expected a packet's header of 16 octets, the file ends in it");
        };
        let from = self.at + 16;
        let octets = usize::try_from(kept)
            .ok()
            .and_then(|kept| self.file.get(from..from.checked_add(kept)?));
        let Some(octets) = octets else {
            return self.broken(&format!("expected {kept} octets, the file ends in them"));
        };
        self.at = from + octets.len();
        self.number += 1;
        let unit = if nanos { 1 } else { 1000 };
        Some(Ok(Packet {
            number: self.number,
            time: u64::from(seconds) * 1_000_000_000 + u64::from(part) * unit,
            link,
            octets,
            cut: kept < length,
        }))
    }

    fn next_block(&mut self) -> Option<Result<Packet<'f>, Broken>> {
        loop {
            if self.at == self.file.len() {
                return None;
            }
            let Form::Next { big, interfaces } = &mut self.form else {
                return None;
            };
            // The first block of a section says its own byte order.
            if number(self.file, self.at, true) == Some(SECTION_HEADER) {
                interfaces.clear();
                match number(self.file, self.at + 8, true) {
                    Some(BYTE_ORDER) => *big = true,
                    Some(order) if order.swap_bytes() == BYTE_ORDER => *big = false,
                    _ => return self.broken("expected the byte order of a pcapng section"),
                }
            }
            let big = *big;
            let kind = number(self.file, self.at, big);
            let length =
                number(self.file, self.at + 4, big).and_then(|it| usize::try_from(it).ok());
            let block = length
                .filter(|length| *length >= 12 && length % 4 == 0)
                .and_then(|length| self.file.get(self.at..self.at.checked_add(length)?));
            let (Some(kind), Some(block)) = (kind, block) else {
                return self.broken("expected a whole pcapng block, the file ends in it");
            };
            let body = block.get(8..block.len() - 4).unwrap_or_default();
            self.at += block.len();
            match kind {
                INTERFACE_DESCRIPTION => match interface(body, big) {
                    Some(interface) => interfaces.push(interface),
                    None => {
                        return self.broken(
                            "expected an interface of which the precision of its times is known",
                        );
                    }
                },
                ENHANCED_PACKET => {
                    let packet = enhanced(body, big, interfaces, self.number + 1);
                    let Some(packet) = packet else {
                        return self
                            .broken("expected a packet of a known interface, whole in its block");
                    };
                    self.number += 1;
                    return Some(Ok(packet));
                }
                SIMPLE_PACKET => {
                    return self
                        .broken("expected a packet with a time; simple packet blocks have none");
                }
                // Names, statistics and what others put there.
                _ => {}
            }
        }
    }
}

impl<'f> Iterator for Packets<'f> {
    type Item = Result<Packet<'f>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.form {
            Form::Classic { big, nanos, link } => self.next_classic(big, nanos, link),
            Form::Next { .. } => self.next_block(),
            Form::Over => None,
        }
    }
}

fn enhanced<'f>(
    body: &'f [u8],
    big: bool,
    interfaces: &[Interface],
    of: u64,
) -> Option<Packet<'f>> {
    let field = |offset| number(body, offset, big);
    let interface = interfaces.get(usize::try_from(field(0)?).ok()?)?;
    let time = (u64::from(field(4)?) << 32) | u64::from(field(8)?);
    let (kept, length) = (field(12)?, field(16)?);
    let octets = body.get(20..20_usize.checked_add(usize::try_from(kept).ok()?)?)?;
    let resolution = u128::from(interface.resolution);
    let nanos = u128::from(time) * 1_000_000_000 / resolution
        + u128::from(interface.offset) * 1_000_000_000;
    Some(Packet {
        number: of,
        time: u64::try_from(nanos).ok()?,
        link: interface.link,
        octets,
        cut: kept < length,
    })
}

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

fn interface(body: &[u8], big: bool) -> Option<Interface> {
    let mut interface = Interface {
        link: u32::from(short(body, 0, big)?),
        resolution: 1_000_000,
        offset: 0,
    };
    let mut at = 8;
    while let (Some(code), Some(length)) = (short(body, at, big), short(body, at + 2, big)) {
        if code == 0 {
            break;
        }
        let length = usize::from(length);
        let value = body.get(at + 4..at + 4 + length)?;
        match (code, value) {
            (OPTION_RESOLUTION, &[power]) if power & 0x80 == 0 => {
                interface.resolution = 10_u64.checked_pow(u32::from(power))?;
            }
            (OPTION_RESOLUTION, &[power]) => {
                interface.resolution = 1_u64.checked_shl(u32::from(power & 0x7F))?;
            }
            (OPTION_OFFSET, &[a, b, c, d, e, f, g, h]) => {
                let octets = [a, b, c, d, e, f, g, h];
                interface.offset = if big {
                    u64::from_be_bytes(octets)
                } else {
                    u64::from_le_bytes(octets)
                };
            }
            _ => {}
        }
        at += 4 + length.next_multiple_of(4);
    }
    Some(interface)
}

fn number(octets: &[u8], at: usize, big: bool) -> Option<u32> {
    let four = octets.get(at..)?.first_chunk::<4>()?;
    Some(if big {
        u32::from_be_bytes(*four)
    } else {
        u32::from_le_bytes(*four)
    })
}

fn short(octets: &[u8], at: usize, big: bool) -> Option<u16> {
    let two = octets.get(at..)?.first_chunk::<2>()?;
    Some(if big {
        u16::from_be_bytes(*two)
    } else {
        u16::from_le_bytes(*two)
    })
}
