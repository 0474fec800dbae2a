//! Numbers and agents that shipped mixes are made of, by the names that a mix calls them.
//!
//! Promises: synthetic (no record of real traffic stands behind them); ranges whose kind is beyond doubt, so that the expected
//! verdict is. Nothing here says what a server thinks of a number: the mix does.

/// The digits that a range begins with, and how many more there are.
pub type Span = (&'static str, u8);

/// Sets of ranges that a mix may name.
pub const SETS: &[(&str, &[Span])] = &[
    ("ordinary", ORDINARY),
    ("expensive", EXPENSIVE),
    ("revenue-share", REVENUE_SHARE),
];

/// Lists of agents that a mix may name.
pub const AGENTS: &[(&str, &[&str])] = &[("telephones", TELEPHONES), ("scanners", SCANNERS)];

/// Geographic and mobile ranges: 1,500 random numbers of each were valid, and of these types only, by libphonenumber's metadata 9.0.43.
pub const ORDINARY: &[Span] = &[
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
pub const EXPENSIVE: &[Span] = &[
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

/// Mobile ranges abroad that revenue is shared on (IRSF): ordinary mobile numbers to look at, dear to call. No list tells
/// them from honest ones; the number of calls does.
pub const REVENUE_SHARE: &[Span] = &[
    ("3712", 7),  // Latvia
    ("3706", 7),  // Lithuania
    ("2203", 6),  // Gambia
    ("23276", 6), // Sierra Leone
    ("22177", 7), // Senegal
    ("96077", 5), // Maldives
    ("38349", 6), // Kosovo
    ("67570", 6), // Papua New Guinea
];

/// Agents of telephones. None has a `;`, which would leave open where a field of `P-tfps` ends.
pub const TELEPHONES: &[&str] = &[
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

/// The agent of calls whose number was given: no list may turn them down for it.
pub const FIXED_AGENT: &[u8] = b"Yealink SIP-T46S 66.86.0.15";

/// Agents of the scanners that knock at every SIP port.
pub const SCANNERS: &[&str] = &["friendly-scanner", "sipvicious", "sipcli/v1.8"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_the_length_of_an_e164_and_no_range_is_of_both_kinds() {
        for (prefix, more) in SETS.iter().flat_map(|(_, ranges)| ranges.iter()) {
            let length = prefix.len() + usize::from(*more);
            assert!((10..=15).contains(&length), "{prefix} has {length} digits");
            assert!(!prefix.starts_with('0'), "{prefix}");
        }
        for (dear, _) in EXPENSIVE {
            for (plain, _) in ORDINARY.iter().chain(REVENUE_SHARE) {
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
