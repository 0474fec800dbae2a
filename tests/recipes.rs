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
    use super::common::server::{Server, node_toml, scratch, signal, write_files};
    use std::net::{SocketAddr, UdpSocket};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use std::{fs, thread};

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
                // Counted: a quote in what is dialled would end a text that it is compared with.
                let begins = lines.iter().enumerate();
                let begins = begins
                    .filter(|(_, line)| line.starts_with("exten => _") && !line.contains("A00"));
                let (asked, question): (Vec<_>, Vec<_>) =
                    begins.partition(|(_, line)| line.contains("GotoIf("));
                assert_eq!(asked.len(), 3, "{text}");
                for ((at, line), prefix) in
                    asked
                        .into_iter()
                        .zip(["_011[1-9].,", "_00[1-9].,", "_+[1-9].,"])
                {
                    let number = if prefix.contains('+') {
                        "${EXTEN:1}"
                    } else {
                        "${EXTEN}"
                    };
                    let want = format!(
                        "exten => {prefix}1,GotoIf($[${{LEN(${{FILTER(0-9,{number})}})}} != ${{LEN({number})}}]?refuse)"
                    );
                    assert_eq!(*line, want);
                    assert_eq!(
                        lines[at + 1],
                        " same => n,Goto(tollgate-question,${EXTEN},1)"
                    );
                    assert_eq!(lines[at + 2], " same => n(refuse),Hangup(21)");
                }
                let context = question[0].0 - 1;
                assert_eq!((question.len(), lines[context]), (1, "[tollgate-question]"));
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

    /// A number that the node refuses, and one that is approved and rings for ever.
    const PREMIUM: &str = "0114490987654321";
    const RINGING: &str = "011442071838757";
    const TELEPHONE: &str = "127.0.0.54";
    const CARRIER: &str = "127.0.0.53";
    const NODE: &str = "127.0.0.52";
    const KAMAILIO: &str = "127.0.0.51";

    /// Kamailio with its recipe; ended with its children when it goes.
    struct Kamailio(Child);

    impl Drop for Kamailio {
        fn drop(&mut self) {
            signal(self.0.id(), "TERM");
            let _ended = self.0.wait();
        }
    }

    /// What the recipe says belongs into domains.toml.
    fn domains(recipe: &str) -> String {
        let lines = recipe.lines().skip_while(|line| *line != "# [[domain]]");
        let lines: Vec<&str> = lines
            .map(|line| line.trim_start_matches(['#', ' ']))
            .collect();
        lines.join("\n").replace("192.0.2.1", KAMAILIO)
    }

    /// What a carrier that takes every call heard: the first line of each request, once for each call.
    fn carrier(socket: &UdpSocket) -> Vec<String> {
        let mut heard = Vec::new();
        let mut bytes = [0; 4000];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let line = text.split(" SIP/2.0").next().unwrap().to_owned();
            if line.starts_with("ACK ") {
                continue;
            }
            assert!(!text.contains("P-tfps"), "{text}");
            assert!(!text.contains("\r\nRoute:"), "{text}");
            let kept = ["Via:", "Record-Route:", "From:", "To:", "Call-ID:", "CSeq:"];
            let head = text
                .lines()
                .filter(|line| kept.iter().any(|name| line.starts_with(name)));
            let head: String = head.map(|line| format!("{line}\r\n")).collect();
            let new = !text.contains(";tag=c\r\n");
            let head = if new {
                head.replace("\r\nCall-ID", ";tag=c\r\nCall-ID")
            } else {
                head
            };
            let local = socket.local_addr().unwrap();
            let status = if line.contains(RINGING) {
                "180 Ringing"
            } else {
                "200 OK"
            };
            let answer = format!(
                "SIP/2.0 {status}\r\n{head}Contact: <sip:{local}>\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(answer.as_bytes(), from).unwrap();
            if !heard.contains(&line) {
                heard.push(line);
            }
        }
        heard
    }

    /// A request of the telephone: its Request-URI, its Call-ID, the To tag with `;tag=`, and more lines.
    struct Asked<'a> {
        method: &'a str,
        uri: &'a str,
        call: &'a str,
        to_tag: &'a str,
        more: &'a str,
    }

    impl Default for Asked<'_> {
        fn default() -> Self {
            Self {
                method: "INVITE",
                uri: "",
                call: "",
                to_tag: "",
                more: "",
            }
        }
    }

    /// The first answer to a request that is no less than `least`; asked again until there is one.
    fn answer(lab: &Lab, asked: &Asked<'_>, least: u16) -> Option<(u16, String)> {
        let local = lab.telephone.local_addr().unwrap();
        let Asked {
            method,
            uri,
            call,
            to_tag,
            more,
        } = asked;
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call}{method}{}\r\nMax-Forwards: 70\r\n{more}\
             From: <sip:1001@{local}>;tag=t\r\nTo: <sip:1@{}>{to_tag}\r\nCall-ID: {call}\r\nCSeq: {} {method}\r\n\
             Contact: <sip:1001@{local}>\r\nContent-Length: 0\r\n\r\n",
            to_tag.len(),
            lab.switch,
            1 + to_tag.len(),
        );
        let mut bytes = [0; 4000];
        for _attempt in 0..40 {
            lab.telephone
                .send_to(request.as_bytes(), lab.switch)
                .unwrap();
            while let Ok(length) = lab.telephone.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
                let ours = [
                    format!("Call-ID: {call}\r\n"),
                    format!("CSeq: {} {method}\r\n", 1 + to_tag.len()),
                ];
                if status >= least && ours.iter().all(|line| text.contains(line)) {
                    return Some((status, text));
                }
            }
        }
        None
    }

    /// The final status of a call to this number.
    fn dial(lab: &Lab, number: &str) -> Option<u16> {
        let call: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        let asked = Asked {
            uri: &format!("sip:{number}@{}", lab.switch),
            call: &call,
            ..Asked::default()
        };
        answer(lab, &asked, 200).map(|(status, _)| status)
    }

    /// Says stop when it goes.
    struct Stopper<'a>(&'a AtomicBool);

    impl Drop for Stopper<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// A node that denies premium numbers, and Kamailio that asks it by the recipe.
    struct Lab {
        telephone: UdpSocket,
        trunk: UdpSocket,
        switch: SocketAddr,
        kamailio: Kamailio,
        server: Server,
    }

    impl Lab {
        fn new(method: &str) -> Self {
            let folder = scratch("recipe-kamailio-run");
            let bound = |host: &str| {
                let socket = UdpSocket::bind((host, 0)).unwrap();
                let patience = Duration::from_millis(500);
                socket.set_read_timeout(Some(patience)).unwrap();
                socket
            };
            let (telephone, trunk) = (bound(TELEPHONE), bound(CARRIER));
            let node =
                node_toml(&folder).replace("udp = \"127.0.0.1:0\"", &format!("udp = \"{NODE}:0\""));
            let recipe = recipe("kamailio", method);
            let policy =
                "[[policy]]\nname = \"standard\"\ndestination = { deny = [\"type:premium\"] }\n";
            write_files(
                &folder,
                &[
                    ("tollgate.toml", &node),
                    ("bundle/domains.toml", &domains(&recipe)),
                    ("bundle/policies.toml", policy),
                ],
            );
            let server = Server::start(&folder);
            let switch = bound(KAMAILIO).local_addr().unwrap();
            let config = recipe
                .replace("udp:192.0.2.1:5060", &format!("udp:{switch}"))
                .replace("sip:127.0.0.1:5060", &format!("sip:{}", server.udp))
                .replace(
                    "sip:198.51.100.1:5060",
                    &format!("sip:{}", trunk.local_addr().unwrap()),
                );
            write_files(&folder, &[("kamailio.cfg", &config)]);
            let child = Command::new("kamailio")
                .args(["-DD", "-E", "-m", "64", "-M", "8", "-f"])
                .arg(folder.join("kamailio.cfg"))
                .arg("-Y")
                .arg(&folder)
                .current_dir(&folder)
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.join("kamailio.log")).unwrap())
                .spawn()
                .expect("Kamailio is not installed; it is in Debian's package `kamailio` (apt-get install kamailio)");
            Self {
                telephone,
                trunk,
                switch,
                kamailio: Kamailio(child),
                server,
            }
        }

        /// What the carrier heard while `calls` were made, and what came of these.
        fn with_carrier<T>(&self, calls: impl FnOnce() -> T) -> (T, Vec<String>) {
            let stop = AtomicBool::new(false);
            let trunk = &self.trunk;
            thread::scope(|scope| {
                let heard = scope.spawn(|| {
                    let mut heard: Vec<String> = Vec::new();
                    while !stop.load(Ordering::Acquire) {
                        for line in carrier(trunk) {
                            if !heard.contains(&line) {
                                heard.push(line);
                            }
                        }
                    }
                    heard
                });
                // Also when a call is not answered as it should be.
                let stopper = Stopper(&stop);
                let came = calls();
                drop(stopper);
                (came, heard.join().unwrap())
            })
        }

        fn end(self) {
            drop(self.kamailio);
            assert!(self.server.stop().status.success());
        }
    }

    #[test]
    fn kamailio_by_its_recipe_calls_the_carrier_for_approved_numbers_of_every_prefix_and_no_other()
    {
        for method in METHODS {
            let lab = Lab::new(method);
            let approved = ["011442071838750", "00442071838751", "+442071838752"];
            let refused = [
                "0114490987654321",
                "004490987654321",
                "+4490987654321",
                "A00442071838750",
                "2071838750",
            ];
            let ((refusals, approvals), heard) = lab.with_carrier(|| {
                (
                    refused.map(|number| dial(&lab, number)),
                    approved.map(|number| dial(&lab, number)),
                )
            });
            assert_eq!(approvals, [Some(200); 3], "{method}");
            let want = [403, 403, 403, 484, 484].map(Some);
            assert_eq!(refusals, want, "{method}");
            let called = approved.map(|number| format!("INVITE sip:{number}@{}", lab.switch));
            assert_eq!(heard, called, "{method}");
            lab.end();
        }
    }

    /// What is smuggled into a number, beside it, or past the question by a To tag and a route that somebody made up.
    #[test]
    fn nothing_that_is_smuggled_past_kamailios_question_reaches_the_carrier() {
        for method in METHODS {
            let lab = Lab::new(method);
            let (switch, trunk) = (lab.switch, lab.trunk.local_addr().unwrap());
            let past = format!("Route: <sip:{switch};lr>\r\n");
            let premium = format!("sip:{PREMIUM}@{trunk}");
            let cases = [
                (
                    format!("sip:01144207183875%22%26{{}}%22%260/1%26%22@{switch}"),
                    "",
                    "",
                    484,
                ),
                (
                    format!("sip:01144207183875\"&{PREMIUM}@{switch}"),
                    "",
                    "",
                    484,
                ),
                (
                    format!("sip:01144207183875%00{PREMIUM}@{switch}"),
                    "",
                    "",
                    484,
                ),
                (format!("sip:011442071838750%0d%0a@{switch}"), "", "", 484),
                (
                    format!("sip:011442071838750;phone-context={PREMIUM}@{switch}"),
                    "",
                    "",
                    484,
                ),
                (
                    format!("sip:011442071838750:{PREMIUM}@{switch}"),
                    "",
                    "",
                    484,
                ),
                (
                    format!("sip:011442071838750@{switch}?Route=%3C{premium}%3E"),
                    "",
                    "",
                    484,
                ),
                (format!("sip:{{}}011442071838750@{switch}"), "", "", 484),
                (format!("SIP:{PREMIUM}@{switch}"), "", "", 403),
                (premium.clone(), "", "", 403),
                (premium.clone(), "", &*past, 403),
                (premium.clone(), ";tag=x", "", 404),
                (premium.clone(), ";tag=x", &*past, 404),
            ];
            let ((), heard) = lab.with_carrier(|| {
                for (number, (uri, to_tag, more, want)) in cases.iter().enumerate() {
                    let asked = Asked {
                        uri,
                        call: &format!("smuggled{number}"),
                        to_tag,
                        more,
                        ..Asked::default()
                    };
                    let got = answer(&lab, &asked, 200).map(|(status, _)| status);
                    assert_eq!(got, Some(*want), "{method}: {uri} {to_tag} {more}");
                }
                // The route of an approved call ends at the switch; the carrier looks that it has none.
                let asked = Asked {
                    uri: &format!("sip:011442071838750@{switch}"),
                    call: "routed",
                    more: &format!("Route: <{premium};lr>\r\n"),
                    ..Asked::default()
                };
                assert_eq!(answer(&lab, &asked, 200).unwrap().0, 200, "{method}");
                // A call that rings is known by its Call-ID and From tag; that opens no way for another.
                let ringing = Asked {
                    uri: &format!("sip:{RINGING}@{switch}"),
                    call: "ringing",
                    ..Asked::default()
                };
                assert_eq!(answer(&lab, &ringing, 180).unwrap().0, 180, "{method}");
                for to_tag in [";tag=x", ";tag=cc"] {
                    let asked = Asked {
                        uri: &premium,
                        call: "ringing",
                        to_tag,
                        more: &past,
                        ..Asked::default()
                    };
                    let got = answer(&lab, &asked, 200).map(|(status, _)| status);
                    assert_eq!(got, Some(404), "{method}: {to_tag}");
                }
            });
            let numbers = ["011442071838750", RINGING];
            assert_eq!(
                heard,
                numbers.map(|number| format!("INVITE sip:{number}@{switch}")),
                "{method}"
            );
            lab.end();
        }
    }

    /// What belongs to an approved call goes through: ACK, another offer, the end.
    #[test]
    fn kamailio_by_its_recipe_lets_an_approved_call_go_on_and_end() {
        for method in METHODS {
            let lab = Lab::new(method);
            let (switch, trunk) = (lab.switch, lab.trunk.local_addr().unwrap());
            let ((), heard) = lab.with_carrier(|| {
                let first = Asked {
                    uri: &format!("sip:011442071838750@{switch}"),
                    call: "whole",
                    ..Asked::default()
                };
                let (status, text) = answer(&lab, &first, 200).unwrap();
                assert_eq!(status, 200, "{method}");
                let route = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Record-Route: "));
                let more = format!("Route: {}\r\n", route.unwrap());
                for next in ["INVITE", "BYE"] {
                    let asked = Asked {
                        method: next,
                        uri: &format!("sip:{trunk}"),
                        call: "whole",
                        to_tag: ";tag=c",
                        more: &more,
                    };
                    assert_eq!(answer(&lab, &asked, 200).unwrap().0, 200, "{method} {next}");
                }
            });
            assert_eq!(
                heard,
                [
                    format!("INVITE sip:011442071838750@{switch}"),
                    format!("INVITE sip:{trunk}"),
                    format!("BYE sip:{trunk}"),
                ],
                "{method}"
            );
            lab.end();
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
