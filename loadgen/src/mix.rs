//! Which call is made when, and which verdict it must get: a function of the seed and the number of the call alone.
//!
//! Promises: the same seed gives the same calls; the default mix is synthetic (no record of real traffic stands behind
//! it) and its numbers are in ranges whose kind is beyond doubt, so that the expected verdict is. Allocates nothing per call.
//! Leaves to `message`: branch, Call-ID and tags, which carry the run.

use crate::call::Call;
use crate::limits::USER_BYTES_MAX;
use crate::random::SplitMix64;
use crate::text::Text;
use crate::verdict::Expected;

/// The built-in mix with a seed.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// What all choices follow from.
    pub seed: u64,
}

/// The agent of calls whose number was given: no list may turn them down for it.
pub const FIXED_AGENT: &[u8] = b"Yealink SIP-T46S 66.86.0.15";

/// Scanners per 1,000 calls of the synthetic mix.
const SCANNERS_PER_MILLE: u32 = 10;
/// Premium and satellite numbers per 1,000 calls of the synthetic mix.
const EXPENSIVE_PER_MILLE: u32 = 50;
/// Domains of the callers.
const DOMAINS: u32 = 200;

impl Mix {
    /// Fills in the call with this number.
    pub fn fill(&self, number: u64, call: &mut Call) {
        let mut random = SplitMix64::of(self.seed, number);
        call.clear();
        let named_agent = synthetic(&mut random, call);
        call.address.push_all(b"10.");
        call.address.push_decimal(random.below(256));
        call.address.push(b'.');
        call.address.push_decimal(random.below(256));
        call.address.push(b'.');
        call.address.push_decimal(1 + random.below(254));
        call.caller.push_decimal(1000 + random.below(9000));
        call.domain.push_all(b"pbx");
        call.domain.push_decimal(100 + random.below(DOMAINS));
        call.domain.push_all(b".example.com");
        let agent = named_agent.unwrap_or_else(|| pick(&mut random, TELEPHONES));
        call.agent.set(agent.as_bytes());
        call.reported_calls.push_decimal(1 + random.below(4));
    }

    /// What the report calls this mix.
    #[must_use]
    pub fn label(&self) -> &'static str {
        "default (synthetic)"
    }
}

/// Number and verdict; the agent, if the call hangs on it.
fn synthetic(random: &mut SplitMix64, call: &mut Call) -> Option<&'static str> {
    let kind = random.below(1000);
    if kind < SCANNERS_PER_MILLE {
        let agent = pick(random, SCANNERS);
        let range = pick(random, ORDINARY);
        spelled(random, range, &mut call.user);
        call.expected = Expected::Reject;
        return Some(agent);
    }
    if kind < SCANNERS_PER_MILLE + EXPENSIVE_PER_MILLE {
        let range = pick(random, EXPENSIVE);
        spelled(random, range, &mut call.user);
        call.expected = Expected::Reject;
        return None;
    }
    let range = pick(random, ORDINARY);
    spelled(random, range, &mut call.user);
    None
}

/// A number of the range in one of the four spellings that PBXs send: 40 % `011…`, 20 % `00…`, 15 % `+…`, 25 % bare E.164.
fn spelled(random: &mut SplitMix64, range: Range, user: &mut Text<USER_BYTES_MAX>) {
    let prefix: &[u8] = match random.below(100) {
        0..40 => b"011",
        40..60 => b"00",
        60..75 => b"+",
        _ => b"",
    };
    user.push_all(prefix);
    user.push_all(range.0.as_bytes());
    for _ in 0..range.1 {
        user.push_decimal(random.below(10));
    }
}

fn pick<T: Copy + Default>(random: &mut SplitMix64, from: &[T]) -> T {
    let count = u32::try_from(from.len()).unwrap_or(u32::MAX);
    let index = usize::try_from(random.below(count)).unwrap_or(0);
    from.get(index).copied().unwrap_or_default()
}

/// The digits that a range begins with, and how many more there are.
type Range = (&'static str, u8);

/// Geographic and mobile ranges: 1,500 random numbers of each were valid, and of these types only, by libphonenumber's metadata 9.0.43.
const ORDINARY: &[Range] = &[
    ("44207946", 4),
    ("442071", 6),
    ("441614960", 3),
    ("441618", 6),
    ("4478", 8), // London, Manchester, mobile
    ("33142", 6),
    ("33472", 6),
    ("33612", 6),
    ("3367", 7), // Paris, Lyon, mobile
    ("49302", 7),
    ("49895", 7),
    ("491712", 6),
    ("491609", 7), // Berlin, Munich, mobile
    ("390644", 6),
    ("390272", 6),
    ("393356", 6),
    ("39347", 7), // Rome, Milan (the zero stays), mobile
    ("121255", 5),
    ("12127", 6),
    ("13126", 6),
    ("14158", 6), // New York, Chicago, San Francisco
    ("14169", 6),
    ("16046", 6), // Toronto, Vancouver
    ("34915", 6),
    ("34934", 6),
    ("34612", 6), // Madrid, Barcelona, mobile
    ("31206", 6),
    ("31612", 6),
    ("3225", 6),
    ("32475", 6), // Netherlands, Belgium
    ("41442", 6),
    ("41793", 6),
    ("4315", 6),
    ("436641", 6), // Switzerland, Austria
    ("4685", 7),
    ("46702", 6),
    ("47224", 5),
    ("4792", 6), // Sweden, Norway
    ("35896", 6),
    ("358405", 6),
    ("48225", 6),
    ("48601", 6), // Finland, Poland
    ("42022", 7),
    ("420602", 6),
    ("351213", 6),
    ("351912", 6), // Czechia, Portugal
    ("35316", 6),
    ("353868", 6),
    ("30210", 7),
    ("3613", 6),
    ("36209", 6), // Ireland, Greece, Hungary
    ("6129", 7),
    ("61412", 6),
    ("6493", 6), // Australia, New Zealand
    ("8133", 7),
    ("81902", 7),
    ("6591", 6),
    ("8225", 7),
    ("88622", 7), // Japan, Singapore, Seoul, Taipei
    ("91222", 7),
    ("919820", 6),
    ("97236", 6),
    ("972505", 6), // Mumbai, mobile, Israel
    ("55113", 7),
    ("551198", 7),
    ("52555", 7),
    ("54114", 7),
    ("5622", 7), // Brazil, Mexico, Argentina, Chile
    ("27114", 6),
    ("27825", 6), // South Africa
];

/// Premium-rate and satellite ranges, checked as above.
const EXPENSIVE: &[Range] = &[
    ("449098", 6),
    ("449090", 6),
    ("44982", 7), // United Kingdom
    ("39899", 6),
    ("19005", 6),
    ("19007", 6), // Italy, North America
    ("499001", 6),
    ("499003", 6),
    ("499005", 6), // Germany
    ("33899", 6),
    ("33897", 6),
    ("34803", 6),
    ("34806", 6),
    ("34807", 6), // France, Spain
    ("8816", 8),
    ("8817", 8),
    ("8818", 8),
    ("8819", 8), // Iridium, Globalstar
    ("87077", 7),
    ("87076", 7), // Inmarsat
    ("88216", 8), // Thuraya
];

/// Agents of telephones. None has a `;`, which would leave open where a field of `P-tfps` ends.
const TELEPHONES: &[&str] = &[
    "Yealink SIP-T46S 66.86.0.15",
    "Yealink SIP-T21P_E2 52.84.0.125",
    "Grandstream GXP2135 1.0.11.39",
    "Cisco/SPA504G-7.6.2f",
    "PolycomVVX-VVX_411-UA/5.9.6.2327",
    "snomD765/10.1.64.14",
    "MicroSIP/3.21.3",
    "Linphone/3.12.0 (belle-sip/1.6.3)",
    "Bria 6.5.1",
    "Zoiper rv2.10.11.7",
];

/// Agents of the scanners that knock at every SIP port.
const SCANNERS: &[&str] = &["friendly-scanner", "sipvicious", "sipcli/v1.8"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const MIX: Mix = Mix { seed: 1 };

    fn call(mix: Mix, number: u64) -> Call {
        let mut call = Call::default();
        mix.fill(number, &mut call);
        call
    }

    fn digits(call: &Call) -> String {
        let user = str::from_utf8(call.user.as_bytes()).unwrap();
        let bare = ["011", "00", "+"]
            .iter()
            .find_map(|prefix| user.strip_prefix(prefix));
        bare.unwrap_or(user).to_owned()
    }

    #[test]
    fn the_same_seed_gives_the_same_calls() {
        let calls = |mix: Mix| -> Vec<Call> { (0..1000).map(|n| call(mix, n)).collect() };
        assert_eq!(calls(MIX), calls(MIX));
        assert_ne!(calls(MIX), calls(Mix { seed: 2 }));
    }

    #[test]
    fn a_hundred_thousand_numbers_differ() {
        let users: HashSet<String> = (0..130_000).map(|n| digits(&call(MIX, n))).collect();
        assert!(users.len() > 100_000, "{}", users.len());
    }

    #[test]
    fn the_shares_are_those_of_the_comment() {
        let mut scanners = 0;
        let mut expensive = 0;
        let mut plus = 0;
        for n in 0..100_000 {
            let call = call(MIX, n);
            let scanner = SCANNERS
                .iter()
                .any(|s| s.as_bytes() == call.agent.as_bytes());
            scanners += u32::from(scanner);
            expensive += u32::from(!scanner && call.expected == Expected::Reject);
            plus += u32::from(call.user.as_bytes().starts_with(b"+"));
        }
        assert!((850..1150).contains(&scanners), "{scanners}");
        assert!((4700..5300).contains(&expensive), "{expensive}");
        assert!((14_500..15_500).contains(&plus), "{plus}");
    }

    #[test]
    fn every_number_has_the_length_of_an_e164_and_no_range_is_of_both_kinds() {
        for (prefix, more) in ORDINARY.iter().chain(EXPENSIVE) {
            let length = prefix.len() + usize::from(*more);
            assert!((10..=15).contains(&length), "{prefix} has {length} digits");
            assert!(!prefix.starts_with('0'), "{prefix}");
        }
        for (dear, _) in EXPENSIVE {
            for (plain, _) in ORDINARY {
                assert!(
                    !plain.starts_with(dear) && !dear.starts_with(plain),
                    "{dear} {plain}"
                );
            }
        }
    }

    #[test]
    fn every_agent_can_stand_in_a_field() {
        for agent in TELEPHONES.iter().chain(SCANNERS) {
            assert!(
                crate::call::is_agent(agent.as_bytes()) && !agent.contains(';'),
                "{agent}"
            );
        }
    }
}
