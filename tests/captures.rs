//! The independent witness: what real PBXs sent, replayed over the wire, gets the answers that were worked out by hand.
//!
//! Promises: every message of `data/captures` is sent in every profile from the address that its top Via names, and from its port too where that
//! is free (else the Via's port is changed, and the test says so); statuses and Contacts equal `expected-answers.tsv`;
//! every answer keeps RFC 3261 §8.2.6.2. A capture over TCP is replayed over UDP.
//! Leaves to others: TCP itself, and everything that no capture shows.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod captures {
    use super::common::{
        answer::{Message, violations},
        rows,
        server::{self, Server},
    };
    use std::{
        collections::{BTreeMap, BTreeSet, HashMap},
        fs,
        net::{IpAddr, SocketAddr, UdpSocket},
        path::{Path, PathBuf},
        time::Duration,
    };
    use tollgate::{
        clock::Clock,
        control::{self, Source},
        e164::E164,
        policy::{CallAttempt, Code, Decision, HeaderFamily, Peer, Scheme, Screening, Verdict},
        uas::{Packet, Slot, Uas},
    };

    const PROFILES: [&str; 3] = ["redirect", "redirect-codes", "failover"];
    /// How long an answer may take before it counts as lost. Loopback loses nothing, so only a silent server waits this out.
    const PATIENCE: Duration = Duration::from_secs(5);

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures")
    }

    fn capture(name: &str) -> Vec<u8> {
        fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// One line of `expected-answers.tsv`.
    struct Expected {
        capture: String,
        profile: String,
        /// `None` is silence.
        status: Option<u16>,
        contact: Option<String>,
        verdict: String,
        /// `-` or codes.
        reports: String,
    }

    fn expected_answers() -> Vec<Expected> {
        let text = fs::read_to_string(folder().join("expected-answers.tsv")).unwrap();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(
            lines.next(),
            Some("capture\tprofile\tstatus\tcontact\tverdict\treports\twhy")
        );
        lines
            .map(|line| {
                let fields: Vec<&str> = line.split('\t').collect();
                let [capture, profile, status, contact, verdict, reports, _why] = fields[..] else {
                    panic!("not seven fields: {line}");
                };
                Expected {
                    capture: capture.to_owned(),
                    profile: profile.to_owned(),
                    status: (status != "silence").then(|| status.parse().unwrap()),
                    contact: (contact != "-").then(|| contact.to_owned()),
                    verdict: verdict.to_owned(),
                    reports: reports.to_owned(),
                }
            })
            .collect()
    }

    fn is_invite(bytes: &[u8]) -> bool {
        bytes.starts_with(b"INVITE ")
    }

    #[test]
    fn the_table_has_every_invite_in_every_profile_and_every_other_message_once() {
        let mut wanted = BTreeSet::new();
        for entry in fs::read_dir(folder()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.ends_with(".sip") {
                continue;
            }
            if is_invite(&capture(&name)) {
                wanted.extend(PROFILES.map(|profile| (name.clone(), profile.to_owned())));
            } else {
                wanted.insert((name, "any".to_owned()));
            }
        }
        let rows = expected_answers();
        let listed: BTreeSet<_> = rows
            .iter()
            .map(|row| (row.capture.clone(), row.profile.clone()))
            .collect();
        assert_eq!(listed, wanted);
        assert_eq!(rows.len(), wanted.len(), "a line stands twice");
    }

    /// Sockets on the addresses of the captures, kept for the whole replay so that a retransmission comes from where its first copy came from.
    struct Sources {
        sockets: HashMap<(IpAddr, u16), UdpSocket>,
        /// Whether the ports of the captures are wanted. Only the replay of all wants them, so that no other test takes them from it.
        own_ports: bool,
    }

    impl Sources {
        fn new(own_ports: bool) -> Self {
            Self {
                sockets: HashMap::new(),
                own_ports,
            }
        }

        /// The socket for `message`, and its octets: as captured, or with the port of the top Via changed where the captured one is taken.
        fn socket(&mut self, message: &[u8]) -> (&UdpSocket, Vec<u8>) {
            let read = Message::read(message).unwrap();
            let (host, port) = read.sent_by().unwrap();
            let host: IpAddr = host.parse().unwrap();
            let wanted = port.unwrap_or(5060);
            let first = if self.own_ports { wanted } else { 0 };
            let socket = self.sockets.entry((host, wanted)).or_insert_with(|| {
                let socket = UdpSocket::bind((host, first)).unwrap_or_else(|taken| {
                    let other = UdpSocket::bind((host, 0)).unwrap();
                    let at = other.local_addr().unwrap();
                    eprintln!("{host}:{wanted} cannot be bound ({taken}); its captures come from {at}, with that port in their top Via");
                    other
                });
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                socket
            });
            let bound = socket.local_addr().unwrap().port();
            let octets = if bound == wanted {
                message.to_vec()
            } else {
                with_via_port(message, bound)
            };
            (socket, octets)
        }
    }

    /// `message` with `port` in the sent-by of its top Via, and no other octet changed.
    fn with_via_port(message: &[u8], port: u16) -> Vec<u8> {
        let find = |from: usize, needle: &[u8]| {
            from + message[from..]
                .windows(needle.len())
                .position(|at| at == needle)
                .unwrap()
        };
        let protocol = b"\r\nVia: SIP/2.0/";
        let start = find(0, protocol) + protocol.len() + "UDP ".len(); // or TCP, as long
        let end = find(start, b";");
        let sent_by = std::str::from_utf8(&message[start..end]).unwrap();
        let host = sent_by.split(':').next().unwrap();
        [
            &message[..start],
            format!("{host}:{port}").as_bytes(),
            &message[end..],
        ]
        .concat()
    }

    #[test]
    fn changing_the_port_of_the_top_via_changes_nothing_else() {
        let check = |name: &str, via: &str, changed: &str| {
            let before = capture(name);
            let after = with_via_port(&before, 1234);
            let text = String::from_utf8_lossy(&before).replacen(via, changed, 1);
            assert_eq!(String::from_utf8_lossy(&after), text, "{name}");
            assert_ne!(after, before, "{name}");
        };
        check(
            "chan_sip-m1-escaped-invite.sip",
            "UDP 127.0.0.1:5070;",
            "UDP 127.0.0.1:1234;",
        );
        check(
            "chan_sip-tcp-invite.sip",
            "TCP 127.0.0.1:5070;",
            "TCP 127.0.0.1:1234;",
        );
        check(
            "kamailio-trelay-rr-invite.sip",
            "UDP 127.0.0.20;",
            "UDP 127.0.0.20:1234;",
        );
    }

    /// A server with the bundle of the captures in `profile`.
    fn server_in(profile: &str) -> Server {
        Server::start(&configured(profile))
    }

    /// A folder with the bundle of the captures in `profile`.
    fn configured(profile: &str) -> PathBuf {
        let folder_of_server = server::scratch(&format!("captures-{profile}"));
        let bundle = folder().join("bundle");
        let domains = fs::read_to_string(bundle.join("domains.toml")).unwrap();
        let domains = domains.replace("{PROFILE}", profile).replace(
            "{PROXY_PASSES_503}",
            if profile == "failover" {
                "true"
            } else {
                "false"
            },
        );
        let policies = fs::read_to_string(bundle.join("policies.toml")).unwrap();
        server::write_files(
            &folder_of_server,
            &[
                ("tollgate.toml", &server::node_toml(&folder_of_server)),
                ("bundle/domains.toml", &domains),
                ("bundle/policies.toml", &policies),
            ],
        );
        folder_of_server
    }

    /// What `socket` hears next.
    fn hear(socket: &UdpSocket) -> Result<(Vec<u8>, SocketAddr), String> {
        let mut buffer = vec![0; 65_535];
        let (length, from) = socket
            .recv_from(&mut buffer)
            .map_err(|error| format!("no answer: {error}"))?;
        Ok((buffer[..length].to_vec(), from))
    }

    /// Proves silence without waiting for it: the server has one shard, which answers in the order of the questions, so an answer to what was sent
    /// before would come before those to two OPTIONS sent one after the other. Returns what came besides their answers.
    fn answers_before_two_options(
        socket: &UdpSocket,
        to: SocketAddr,
    ) -> Result<Vec<Vec<u8>>, String> {
        let at = socket.local_addr().unwrap();
        let mut others = Vec::new();
        for turn in ["first", "second"] {
            let call_id = format!("{turn}-fence-{}@test.invalid", at.port());
            let options = format!(
                "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKfence{turn}\r\nMax-Forwards: 70\r\n\
                 From: <sip:fence@{at}>;tag={turn}\r\nTo: <sip:{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(options.as_bytes(), to).unwrap();
            loop {
                let (octets, _from) =
                    hear(socket).map_err(|fault| format!("OPTIONS after it: {fault}"))?;
                if Message::read(&octets)
                    .is_ok_and(|message| message.one("Call-ID") == Some(&call_id))
                {
                    break;
                }
                others.push(octets);
            }
        }
        Ok(others)
    }

    /// Sends one capture and returns what is wrong with what comes back; the answer itself is kept in `answer`.
    fn replay(
        sources: &mut Sources,
        to: SocketAddr,
        expected: &Expected,
        answer: &mut Option<Vec<u8>>,
    ) -> Vec<String> {
        let (socket, request) = sources.socket(&capture(&expected.capture));
        let source = socket.local_addr().unwrap();
        socket.send_to(&request, to).unwrap();
        let Some(status) = expected.status else {
            return match answers_before_two_options(socket, to) {
                Ok(others) => others
                    .iter()
                    .map(|octets| {
                        format!(
                            "silence expected, got {:?}",
                            String::from_utf8_lossy(octets)
                        )
                    })
                    .collect(),
                Err(fault) => vec![fault],
            };
        };
        let (octets, from) = match hear(socket) {
            Ok(heard) => heard,
            Err(fault) => return vec![fault],
        };
        let mut faults = violations(&request, source, &octets);
        if from != to {
            faults.push(format!(
                "the answer left from {from}, the request went to {to}"
            ));
        }
        if let Ok(got) = Message::read(&octets) {
            if got.status() != Some(status) {
                faults.push(format!("{:?}, expected {status}", got.start));
            }
            let contacts = got.all("Contact");
            match &expected.contact {
                // SEMANTICS of the answer: one Contact, in <>, no display name, no parameters.
                Some(contact) if contacts == [format!("<{contact}>")] => {}
                Some(contact) => faults.push(format!("Contact {contacts:?}, expected <{contact}>")),
                None if contacts.is_empty() => {}
                None => faults.push(format!("Contact {contacts:?}, expected none")),
            }
            // RFC 3326: a rejection says why, whatever status it wears; an approval has nothing to explain.
            let rejected = expected.verdict.starts_with('R');
            if rejected != got.one("Reason").is_some() && (rejected || expected.verdict == "A00") {
                faults.push(format!(
                    "Reason {:?} on {}",
                    got.all("Reason"),
                    expected.verdict
                ));
            }
            if request.starts_with(b"OPTIONS ") {
                // RFC 3261 §11.2 and §20.5.
                let allow = got.one("Allow").unwrap_or_default();
                let allowed: BTreeSet<&str> = allow.split(',').map(str::trim).collect();
                if allowed != BTreeSet::from(["INVITE", "ACK", "CANCEL", "OPTIONS"]) {
                    faults.push(format!("Allow {allow:?}"));
                }
                for name in ["Accept", "Supported"] {
                    if got.one(name).is_none() {
                        faults.push(format!("no {name}"));
                    }
                }
            }
        }
        *answer = Some(octets);
        faults
    }

    #[test]
    fn every_capture_gets_the_answer_worked_out_by_hand() {
        let mut sources = Sources::new(true);
        let mut faults = Vec::new();
        for profile in PROFILES {
            let server = server_in(profile);
            // A retransmission gets the same octets (RFC 3261 §8.2.7): the answer by request.
            let mut first_answers: BTreeMap<Vec<u8>, (String, Vec<u8>)> = BTreeMap::new();
            for expected in expected_answers()
                .iter()
                .filter(|row| row.profile == profile || row.profile == "any")
            {
                let name = &expected.capture;
                let mut answer = None;
                for fault in replay(&mut sources, server.udp, expected, &mut answer) {
                    faults.push(format!("{profile}: {name}: {fault}"));
                }
                let Some(answer) = answer else { continue };
                match first_answers.get(&capture(name)) {
                    Some((first, octets)) if *octets != answer => {
                        faults.push(format!(
                            "{profile}: {name} is {first} again, but gets another answer"
                        ));
                    }
                    Some(_) => {}
                    None => {
                        first_answers.insert(capture(name), (name.clone(), answer));
                    }
                }
            }
            let stopped = server.stop();
            if !stopped.status.success() {
                faults.push(format!(
                    "{profile}: the server ended with {}:\n{}",
                    stopped.status, stopped.stderr
                ));
            }
        }
        assert!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults.join("\n")
        );
    }

    /// Codes in the words of the table: `R14` or `-`.
    fn reports(decision: &Decision) -> String {
        let codes: Vec<&str> = Code::ALL
            .into_iter()
            .filter(|code| decision.reports.contains(*code))
            .map(Code::text)
            .collect();
        if codes.is_empty() {
            return "-".to_owned();
        }
        codes.join(" ")
    }

    /// What no status shows: with which code, and what was reported without deciding.
    #[test]
    fn every_capture_gets_the_verdict_and_the_reports_worked_out_by_hand() {
        let uas = Uas::new([0; 16]);
        let mut faults = Vec::new();
        for profile in PROFILES {
            let config = Source::File(configured(profile).join("tollgate.toml"));
            let loaded = control::load(&config).unwrap();
            let policy = control::build(&loaded.rows, Clock::start().now());
            for expected in expected_answers()
                .iter()
                .filter(|row| row.profile == profile)
            {
                let bytes = capture(&expected.capture);
                let message = Message::read(&bytes).unwrap();
                let (host, port) = message.sent_by().unwrap();
                let packet = Packet {
                    bytes: &bytes,
                    full_length: bytes.len(),
                    source: SocketAddr::new(host.parse().unwrap(), port.unwrap_or(5060)),
                };
                let mut slot = Slot::new();
                uas.scan(&policy, &packet, &mut slot);
                uas.admit(&policy, &packet, &mut slot);
                uas.decide(&policy, &packet, Clock::start().now(), &mut slot);
                let decision = slot.decision().unwrap();
                let verdict = match decision.verdict {
                    Verdict::Approve | Verdict::Reject | Verdict::Divert => {
                        decision.code.text().to_owned()
                    }
                    Verdict::Error(error) => format!("{error:?}").to_lowercase(),
                };
                let got = (verdict, reports(decision));
                if got != (expected.verdict.clone(), expected.reports.clone()) {
                    faults.push(format!(
                        "{profile}: {}: {got:?}, expected {} {}",
                        expected.capture, expected.verdict, expected.reports
                    ));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn cancel_gets_the_tag_that_its_invite_would_get() {
        let server = server_in("redirect");
        let mut sources = Sources::new(false);
        // No capture holds the INVITE of the captured CANCEL; RFC 3261 §9.1 makes the CANCEL of it field by field, so the way back is one word.
        let cancel = capture("chan_sip-cancel.sip");
        let invite = String::from_utf8(cancel.clone())
            .unwrap()
            .replace("CANCEL ", "INVITE ")
            .replace(" CANCEL\r\n", " INVITE\r\n");
        let mut tags = Vec::new();
        for message in [invite.as_bytes(), &cancel] {
            let (socket, octets) = sources.socket(message);
            socket.send_to(&octets, server.udp).unwrap();
            let (answer, _from) = hear(socket).unwrap();
            tags.push(Message::read(&answer).unwrap().to_tag().map(str::to_owned));
        }
        assert!(tags[0].is_some());
        assert_eq!(tags[0], tags[1]);
        server.stop();
    }

    #[test]
    fn a_stranger_gets_silence_and_a_stranger_behind_a_proxy_403() {
        let server = server_in("redirect");
        let ask = UdpSocket::bind("127.0.0.1:0").unwrap();
        ask.set_read_timeout(Some(PATIENCE)).unwrap();

        // 127.0.0.99 is in no list: nothing comes, though the same octets from the PBX get a 302.
        let stranger = UdpSocket::bind("127.0.0.99:0").unwrap();
        let invite = with_via_port(
            &capture("chan_sip-m2-escaped-invite.sip"),
            stranger.local_addr().unwrap().port(),
        );
        stranger.send_to(&invite, server.udp).unwrap();
        assert_eq!(answers_before_two_options(&ask, server.udp), Ok(vec![]));
        stranger.set_nonblocking(true).unwrap();
        assert!(
            stranger.recv_from(&mut [0; 2048]).is_err(),
            "an unknown source was answered"
        );

        // The same call through the proxy, but for a PBX that is in no list.
        let mut sources = Sources::new(false);
        let behind = String::from_utf8(capture("kamailio-trelay-rr-invite.sip"))
            .unwrap()
            .replace("127.0.0.30", "127.0.0.77");
        let (socket, octets) = sources.socket(behind.as_bytes());
        socket.send_to(&octets, server.udp).unwrap();
        let (answer, _from) = hear(socket).unwrap();
        assert_eq!(Message::read(&answer).unwrap().status(), Some(403));
        server.stop();
    }

    /// One line of `EXPECTED-FACTS.tsv`: the columns by name, without the file's.
    type Facts = BTreeMap<String, String>;

    /// Where the facts file and the rules part: the file reads `-` as the E.164 number of a number with dashes, the rules drop visual separators
    /// (RFC 3966 §5.1.1) before anything else, which leaves 011442071 and after the translation this.
    const DASHES: (&str, &str) = ("chan_sip-inject-num-dashes-invite.sip", "442071");

    fn expected_facts() -> Vec<(String, Facts)> {
        let text = fs::read_to_string(folder().join("EXPECTED-FACTS.tsv")).unwrap();
        let mut lines = text.lines();
        let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
        lines
            .map(|line| {
                let fields: Vec<&str> = line.split('\t').collect();
                assert_eq!(fields.len(), columns.len(), "{line}");
                let mut facts: Facts = columns[1..]
                    .iter()
                    .zip(&fields[1..])
                    .map(|(column, field)| (short(column), (*field).to_owned()))
                    .collect();
                if fields[0] == DASHES.0 {
                    facts.insert("E.164".to_owned(), DASHES.1.to_owned());
                }
                (fields[0].to_owned(), facts)
            })
            .collect()
    }

    /// `E.164 meant (011 stripped, …)` is `E.164`; the other headings are names already.
    fn short(column: &str) -> String {
        column.split(" meant").next().unwrap().to_owned()
    }

    /// What `read` says otherwise than the file.
    fn facts_that_differ(read: impl Fn(&str, &[u8]) -> Facts) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, expected) in expected_facts() {
            let got = read(&name, &capture(&name));
            for (column, value) in &expected {
                if got.get(column) != Some(value) {
                    faults.push(format!(
                        "{name}: {column} {:?}, expected {value:?}",
                        got.get(column)
                    ));
                }
            }
        }
        faults
    }

    #[test]
    fn the_facts_file_has_every_invite_and_a_wrong_fact_is_noticed() {
        let facts = expected_facts();
        let invites = expected_answers()
            .iter()
            .filter(|row| row.profile == "redirect")
            .map(|row| row.capture.clone())
            .collect::<BTreeSet<_>>();
        assert_eq!(
            facts
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<BTreeSet<_>>(),
            invites
        );

        let by_name: HashMap<String, Facts> = facts.iter().cloned().collect();
        assert_eq!(
            facts_that_differ(|name, _| by_name[name].clone()),
            Vec::<String>::new()
        );
        for column in by_name["chan_sip-m2-escaped-invite.sip"].keys() {
            let wrong = facts_that_differ(|name, _| {
                let mut facts = by_name[name].clone();
                facts.insert(column.clone(), "something else".to_owned());
                facts
            });
            assert_eq!(wrong.len(), facts.len(), "{column}");
        }
    }

    /// The product's reading of one request, in the words of the file. The file holds what the header family says and falls back to From and
    /// User-Agent only where there is no family; `-` is absent.
    fn facts_of(attempt: &CallAttempt<'_>, number: Option<E164>) -> Facts {
        let text = |octets: Option<&[u8]>| match octets {
            Some(octets) if !octets.is_empty() => String::from_utf8_lossy(octets).into_owned(),
            _ => "-".to_owned(),
        };
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let screening = &attempt.screening;
        let (family, caller, domain, agent) = match screening.family {
            HeaderFamily::PTfps => ("P-tfps", screening.user, screening.domain, screening.agent),
            HeaderFamily::XTfps => ("X-tfps", screening.user, screening.domain, screening.agent),
            HeaderFamily::None => (
                "none",
                Some(attempt.from_user),
                Some(attempt.from_host),
                attempt.user_agent,
            ),
        };
        let columns = [
            ("user part", text(Some(attempt.user_part))),
            ("dialled", text(Some(attempt.user_part))),
            ("E.164", or_dash(number.map(|number| number.to_string()))),
            ("family", family.to_owned()),
            ("caller", text(caller)),
            ("domain", text(domain)),
            (
                "address",
                or_dash(screening.address.map(|address| address.to_string())),
            ),
            ("agent", text(agent)),
            (
                "reported calls",
                or_dash(screening.reported_calls.map(|calls| calls.to_string())),
            ),
            (
                "mark",
                if screening.suspect {
                    "identity-suspect"
                } else {
                    "-"
                }
                .to_owned(),
            ),
        ];
        columns
            .into_iter()
            .map(|(column, value)| (column.to_owned(), value))
            .collect()
    }

    #[test]
    fn facts_fall_back_to_from_only_without_a_header_family() {
        let bare = CallAttempt {
            peer: Peer { domain_set: 0 },
            peer_address: IpAddr::from([127, 0, 0, 1]),
            proxy_address: None,
            scheme: Scheme::Sip,
            user_part: b"011442071838750",
            from_user: b"2003",
            from_host: b"127.0.0.1",
            asserted_identity_user: None,
            preferred_identity_user: None,
            remote_party_user: None,
            call_id: b"1",
            from_tag: b"a",
            user_agent: Some(b"Asterisk PBX 16.28.0~dfsg-0+deb11u4"),
            screening: Screening::NONE,
            diverted: false,
        };
        let number = E164::from_digits(b"442071838750");
        let by_name: HashMap<String, Facts> = expected_facts().into_iter().collect();
        assert_eq!(
            facts_of(&bare, number),
            by_name["pjsip16-no-p-tfps-invite.sip"]
        );

        let suspect = Screening {
            family: HeaderFamily::PTfps,
            user: Some(b"+15557"),
            domain: Some(b"9"),
            suspect: true,
            ..Screening::NONE
        };
        assert_eq!(
            facts_of(
                &CallAttempt {
                    screening: suspect,
                    ..bare
                },
                number
            ),
            by_name["chan_sip-inject-pai-invite.sip"]
        );

        let whole = Screening {
            family: HeaderFamily::PTfps,
            user: Some(b"1006"),
            domain: Some(b"pbx.example.com"),
            address: Some(IpAddr::from([127, 0, 0, 1])),
            agent: None,
            reported_calls: Some(2),
            suspect: false,
        };
        assert_eq!(
            facts_of(
                &CallAttempt {
                    screening: whole,
                    ..bare
                },
                number
            ),
            by_name["chan_sip-ua-empty-invite.sip"]
        );
    }

    #[test]
    fn the_user_part_of_the_facts_is_that_of_the_request_line() {
        for (name, facts) in expected_facts() {
            let bytes = capture(&name);
            let line = Message::read(&bytes).unwrap().start;
            let user = line
                .strip_prefix("INVITE sip:")
                .and_then(|rest| rest.split_once('@'))
                .map(|(user, _)| user.to_owned());
            assert_eq!(user.as_ref(), facts.get("user part"), "{name}");
        }
    }

    #[test]
    fn the_product_reads_every_capture_as_the_facts_file_says() {
        let mut rows = rows::approving();
        rows.domains[0].peers = vec![rows::single("127.0.0.1"), rows::single("127.0.0.30")];
        rows.domains[0].proxies = vec![rows::single("127.0.0.20")];
        let policy = rows::snapshot(&rows);
        let uas = Uas::new([0; 16]);
        let faults = facts_that_differ(|name, bytes| {
            let behind_a_proxy = name.starts_with("kamailio");
            let source = if behind_a_proxy {
                "127.0.0.20:5060"
            } else {
                "127.0.0.1:5070"
            };
            let packet = Packet {
                bytes,
                full_length: bytes.len(),
                source: source.parse().unwrap(),
            };
            let mut slot = Slot::new();
            uas.scan(&policy, &packet, &mut slot);
            uas.admit(&policy, &packet, &mut slot);
            uas.decide(&policy, &packet, rows::at_ms(0), &mut slot);
            let attempt = slot
                .attempt(bytes)
                .unwrap_or_else(|| panic!("{name}: {:?}", slot.admission()));
            assert_eq!(attempt.proxy_address.is_some(), behind_a_proxy, "{name}");
            facts_of(
                &attempt,
                slot.decision().and_then(|decision| decision.number),
            )
        });
        assert_eq!(faults, Vec::<String>::new());
    }
}
