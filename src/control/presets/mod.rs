//! Limits with sane figures, by the name of what they stop: pieces of a `policies.toml`.
//!
//! Promises: each is read without a fault by a policy that says its hours; no two name the same limit, so that they can be
//! put together.

/// One preset.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What it stops.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// `[[policy.limit]]` tables with comments.
    pub text: &'static str,
    /// Whether its policy must say `time_zone` and `working_hours`.
    pub by_hours: bool,
}

macro_rules! preset {
    ($name:literal, $about:literal, $by_hours:literal) => {
        Preset {
            name: $name,
            about: $about,
            text: include_str!(concat!($name, ".toml")),
            by_hours: $by_hours,
        }
    };
}

/// All of them.
pub const PRESETS: [Preset; 9] = [
    preset!(
        "same-pair",
        "5 calls of the same pair in 30 s, then held for 1 h",
        false
    ),
    preset!(
        "office",
        "simultaneous calls and quotas, by day and by night",
        true
    ),
    preset!(
        "targeted-pumping",
        "one telephone, one number, over and over",
        false
    ),
    preset!(
        "fast-pumping",
        "a house sends call after call into one range",
        false
    ),
    preset!("slow-pumping", "a few calls an hour, all day", false),
    preset!(
        "theft-of-service",
        "a stolen password at night, or used for many",
        true
    ),
    preset!(
        "sequential-dialling",
        "number after number of a range",
        false
    ),
    preset!(
        "dial-format-scanning",
        "one number in one spelling after another",
        false
    ),
    preset!("wangiri", "many people call the same number back", false),
];

/// The preset with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::destinations::World;
    use super::super::fault::Findings;
    use super::super::policies;
    use super::*;

    const HOURS: &str = "time_zone = \"UTC\"\nworking_hours = [\"mon-fri 08:00-18:00\"]\n";

    fn faults(keys: &str, limits: &str) -> String {
        let text = format!("[[policy]]\nname = \"std\"\n{keys}{limits}");
        let mut findings = Findings::default();
        let _rows = policies::read("p", &text, &World::default(), false, &mut findings);
        findings.faults.to_string()
    }

    #[test]
    fn each_is_read_without_a_fault_and_all_together_are() {
        for preset in PRESETS {
            assert_eq!(faults(HOURS, preset.text), "", "{}", preset.name);
            assert_eq!(
                faults("", preset.text).is_empty(),
                !preset.by_hours,
                "{}",
                preset.name
            );
            assert!(preset.text.starts_with("# "), "{}", preset.name);
        }
        let all: String = PRESETS.iter().map(|preset| preset.text).collect();
        assert_eq!(faults(HOURS, &all), "");
    }
}
