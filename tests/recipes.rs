//! What `tollgate recipe` prints has none of the faults that cost calls or let them through in older guides; each has a
//! name here. Real switches: `balancer.rs` and this file have Kamailio read what is printed; Asterisk calls by
//! `asterisk_recipes.rs`.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod recipes {
    use super::common::server::{scratch, write_files};
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    const SWITCHES: [&str; 5] = ["pjsip", "chan_sip", "freeswitch", "kamailio", "opensips"];
    const METHODS: [&str; 2] = ["redirect", "failover"];

    fn recipe(switch: &str, method: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["recipe", switch, "--method", method])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines that the switch obeys: no comments.
    fn code(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with(';'))
            .collect()
    }

    fn place(lines: &[&str], part: &str) -> usize {
        lines
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part} is missing in {lines:#?}"))
    }

    #[test]
    fn every_recipe_has_the_nodes_address_and_its_bundle() {
        for switch in SWITCHES {
            for method in METHODS {
                let text = recipe(switch, method);
                let by_peer = text.contains("host=127.0.0.1\nport=5060\n");
                assert!(by_peer || text.contains("127.0.0.1:5060"), "{text}");
                assert!(text.contains(&format!("profile = \"{method}\"")), "{text}");
                assert!(
                    !text.contains("{node}") && !text.contains("{host}"),
                    "{text}"
                );
                let first = text.lines().next().unwrap();
                let untested = ["freeswitch", "opensips"].contains(&switch);
                assert_eq!(first.contains("UNTESTED"), untested, "{first}");
            }
        }
    }

    /// A bare `;` begins a comment in extensions.conf: the header would end after its first field.
    #[test]
    fn semicolons_of_the_header_are_escaped() {
        for switch in ["pjsip", "chan_sip"] {
            for method in METHODS {
                let text = recipe(switch, method);
                for line in code(&text)
                    .iter()
                    .filter(|line| line.contains("same =>") || line.contains("exten =>"))
                {
                    assert!(!line.replace("\\;", "").contains(';'), "{line}");
                }
                let header = code(&text)
                    .into_iter()
                    .find(|line| line.contains("GROUP_COUNT"))
                    .unwrap();
                assert_eq!(header.matches("\\;").count(), 4, "five fields: {header}");
            }
        }
    }

    /// `&` in what is dialled rings a second destination, beside the question.
    #[test]
    fn what_is_dialled_and_what_telephones_say_is_filtered() {
        for switch in ["pjsip", "chan_sip"] {
            for method in METHODS {
                let text = recipe(switch, method);
                let lines = code(&text);
                let filter = place(&lines, "${FILTER(0-9,${EXTEN})}\" != \"${EXTEN}\"]?refuse");
                assert!(filter < place(&lines, "Dial("), "{text}");
                for said in ["${CALLERID(num)}", "${SIPDOMAIN}"] {
                    for line in lines.iter().filter(|line| line.contains(said)) {
                        assert!(line.contains("FILTER("), "{line}");
                    }
                }
                let agent = place(&lines, "Set(agent=");
                assert!(lines[agent].contains("FILTER("), "{}", lines[agent]);
            }
        }
    }

    /// The context that approves is one that no telephone has, and nothing that can be dialled leads there.
    #[test]
    fn nobody_can_approve_his_own_call() {
        for switch in ["pjsip", "chan_sip"] {
            let text = recipe(switch, "redirect");
            let lines = code(&text);
            let approves = place(&lines, "exten => _A00.");
            assert_eq!(lines[approves - 1], "[tollgate-approved]");
            assert!(lines.iter().all(|line| !line.contains("include")), "{text}");
            place(&lines, "Set(__FORWARD_CONTEXT=tollgate-approved)");
            place(&lines, "\"${SHARED(TOLLGATE)}\" != \"A00${EXTEN}\"]?refuse");
            assert!(!recipe(switch, "failover").contains("_A00"));
        }
    }

    /// A Dial of four seconds around the carrier cuts off every carrier that rings longer.
    #[test]
    fn the_carrier_is_dialled_outside_the_four_seconds() {
        for switch in ["pjsip", "chan_sip"] {
            for method in METHODS {
                let text = recipe(switch, method);
                let lines = code(&text);
                let dials: Vec<&&str> =
                    lines.iter().filter(|line| line.contains("Dial(")).collect();
                assert_eq!(dials.len(), 2, "{text}");
                assert!(
                    dials[0].contains("tollgate") && dials[0].contains(",4"),
                    "{}",
                    dials[0]
                );
                assert!(
                    dials[1].contains("provider") && dials[1].ends_with("${EXTEN})")
                        || dials[1].ends_with("${EXTEN}@provider)"),
                    "{}",
                    dials[1]
                );
                assert!(
                    !dials[0].contains("${EXTEN:"),
                    "the number is asked as dialled"
                );
            }
        }
    }

    /// CONGESTION alone also is what silence and a broken server give.
    #[test]
    fn congestion_approves_with_cause_34_alone() {
        for switch in ["pjsip", "chan_sip"] {
            let text = recipe(switch, "failover");
            let lines = code(&text);
            let test = place(&lines, "CONGESTION");
            assert!(
                lines[test].contains("\"${HANGUPCAUSE}\" != \"34\"]?refuse"),
                "{}",
                lines[test]
            );
            assert!(
                !lines[test].contains("n(CONGESTION)"),
                "a label needs an application"
            );
        }
    }

    /// The header tells of inner addresses, and of callers who asked for privacy.
    #[test]
    fn the_carrier_does_not_see_the_header() {
        for method in METHODS {
            let text = recipe("chan_sip", method);
            let lines = code(&text);
            let removed = place(&lines, "SIPRemoveHeader(P-tfps:)");
            assert!(place(&lines, "SIPAddHeader(P-tfps:") < place(&lines, "Dial(SIP/tollgate"));
            assert!(removed > place(&lines, "Dial(SIP/tollgate"), "{text}");
            assert!(removed < place(&lines, "Dial(SIP/provider"), "{text}");
            // On PJSIP the header is put on the question's own channel only.
            let text = recipe("pjsip", method);
            let lines = code(&text);
            let dial = place(&lines, "@tollgate");
            assert!(
                lines[dial].contains("b(tollgate-header^s^1)"),
                "{}",
                lines[dial]
            );
            assert!(!text.contains("SIPAddHeader"), "{text}");
        }
    }

    #[test]
    fn the_readme_has_the_recipe_for_pjsip() {
        let readme =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
        let text = recipe("pjsip", "redirect");
        for part in text.split("\n\n").filter(|part| part.starts_with('[')) {
            assert!(readme.contains(part.trim()), "{part}\nis not in README.md");
        }
    }

    #[test]
    fn kamailio_accepts_its_recipe() {
        for method in METHODS {
            let folder = scratch("recipe-kamailio");
            write_files(&folder, &[("kamailio.cfg", &recipe("kamailio", method))]);
            let output = Command::new("kamailio")
                .args(["-c", "-f"])
                .arg(folder.join("kamailio.cfg"))
                .output()
                .expect("Kamailio is not installed; it is in Debian's package `kamailio` (apt-get install kamailio)");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{method}: {text}");
        }
    }
}
