//! The Asterisk recipes in a real Asterisk: what `tollgate recipe` prints is loaded as it is printed, and a telephone calls
//! ordinary numbers by each international prefix, a premium-rate one, `A00…` itself, and numbers that would be dialplan if they
//! could, through `chan_pjsip` and `chan_sip`, by both methods.
//!
//! Promises: the carrier rings for eight seconds, so that whatever the recipe's four seconds cut off shows; the carrier
//! gets the ordinary calls only, without the screening header; the verdicts are those of a `tollgate serve`.
//! Not among the ordinary tests (`test = false`): it wants a Debian with Asterisk in the folder that
//! `TOLLGATE_ASTERISK_ROOT` names, and the right to chroot into it. `tests/long` makes one. `TOLLGATE_RECORD` names a folder
//! in which the run is written to `asterisk.md`, as a table of what was dialled, what the node decided and what the telephone heard.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod asterisk_recipes {
    use super::common::server::{Server, node_toml, scratch, signal, write_files};
    use std::env;
    use std::net::{SocketAddr, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;
    use tollgate::clock::Clock;

    const PATIENCE: Duration = Duration::from_secs(40);
    /// How long the carrier rings: longer than the recipe waits for a verdict.
    const RINGING: Duration = Duration::from_secs(8);
    const ORDINARY: [&str; 3] = ["011442071838750", "00442071838752", "+442071838753"];
    /// Second destinations, an expression that is ended by a quote, and a label of the dialplan's own; `{}` is a way to the carrier.
    const SMUGGLED: [&str; 4] = [
        "0111%26{}",
        "0111%26{}%22%260/1%26%22SIP/5",
        "001%26{}%22%260/1%26%22SIP/5",
        "+12%3atollgate-question%2c%2b12%2c9",
    ];
    /// United Kingdom, premium rate.
    const PREMIUM: &str = "0114490987654321";
    /// As ordinary; dialled by a listed agent.
    const SCANNED: &str = "011442071838751";
    const AGENTS: &str = "scope,kind,match,verdict,code,reason,source,expires\nsystem,agent,friendly-scanner,deny,,,,\n";
    /// An agent with what would be two more fields of the screening header.
    const AGENT: &str = "Telephone 1.0;7;8";
    /// In the node's list. Its name reaches the node in the screening header's fourth field only.
    const SCANNER: &str = "some;friendly-scanner 2";
    const TELEPHONE: &str = "127.0.0.44";
    const CARRIER: &str = "127.0.0.43";
    const NODE: &str = "127.0.0.42";
    const ASTERISK: &str = "127.0.0.41";

    fn elapsed(since: &Clock) -> Duration {
        Duration::from_nanos(since.now().monotonic_ns)
    }

    fn root() -> PathBuf {
        let root = env::var_os("TOLLGATE_ASTERISK_ROOT").unwrap_or_else(|| {
            panic!(
                "TOLLGATE_ASTERISK_ROOT does not name a Debian with Asterisk; tests/long makes one"
            )
        });
        PathBuf::from(root)
    }

    fn free_port(host: &str) -> u16 {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        socket.local_addr().unwrap().port()
    }

    fn tollgate(arguments: &[&str], config: &Path) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Asterisk in its folder; ended when it goes.
    struct Asterisk {
        child: Child,
        root: PathBuf,
    }

    impl Asterisk {
        fn start(root: &Path, log: &Path) -> Self {
            let log = std::fs::File::create(log).unwrap();
            let child = Command::new("chroot")
                .arg(root)
                .args([
                    "asterisk",
                    "-f",
                    "-n",
                    "-vvv",
                    "-C",
                    "/etc/tollgate-recipe/asterisk.conf",
                ])
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let asterisk = Self {
                child,
                root: root.to_owned(),
            };
            let since = Clock::start();
            while !asterisk
                .tell("core waitfullybooted")
                .contains("fully booted")
            {
                assert!(elapsed(&since) < PATIENCE, "Asterisk does not boot");
            }
            asterisk
        }

        fn tell(&self, command: &str) -> String {
            let output = Command::new("chroot")
                .arg(&self.root)
                .args([
                    "asterisk",
                    "-C",
                    "/etc/tollgate-recipe/asterisk.conf",
                    "-rx",
                    command,
                ])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
    }

    impl Drop for Asterisk {
        fn drop(&mut self) {
            signal(self.child.id(), "TERM");
            let _ended = self.child.wait();
        }
    }

    fn header<'m>(message: &'m str, name: &str) -> Vec<&'m str> {
        let head = message.split("\r\n\r\n").next().unwrap();
        head.split("\r\n")
            .filter(|line| {
                line.split_once(':')
                    .is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
            })
            .collect()
    }

    fn response(request: &str, status: &str, more: &str, body: &str) -> String {
        let to = header(request, "To")[0].to_owned();
        let tag = if to.contains("tag=") {
            ""
        } else {
            ";tag=carrier"
        };
        let copied: String = ["Via", "From", "Call-ID", "CSeq"]
            .iter()
            .flat_map(|name| header(request, name))
            .map(|line| format!("{line}\r\n"))
            .collect();
        format!(
            "SIP/2.0 {status}\r\n{copied}{to}{tag}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn sdp(host: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
        )
    }

    /// Rings for `RINGING`, then answers; what INVITEs it got (each once).
    fn carrier(socket: UdpSocket, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let local = socket.local_addr().unwrap();
        thread::spawn(move || {
            let clock = Clock::start();
            let mut invites: Vec<String> = Vec::new();
            let mut ringing: Vec<(Duration, String, SocketAddr)> = Vec::new();
            let mut bytes = [0; 8000];
            while !stop.load(Ordering::Acquire) {
                if let Ok((length, from)) = socket.recv_from(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    let call = header(&text, "Call-ID").concat();
                    if text.starts_with("INVITE") {
                        let known = invites
                            .iter()
                            .any(|known| header(known, "Call-ID").concat() == call);
                        if !known {
                            let answer = response(&text, "180 Ringing", "", "");
                            socket.send_to(answer.as_bytes(), from).unwrap();
                            ringing.push((elapsed(&clock) + RINGING, text.clone(), from));
                            invites.push(text);
                        }
                    } else if text.starts_with("CANCEL") {
                        ringing.retain(|(_, invite, _)| header(invite, "Call-ID").concat() != call);
                        let answer = response(&text, "200 OK", "", "");
                        socket.send_to(answer.as_bytes(), from).unwrap();
                    } else if text.starts_with("BYE") || text.starts_with("OPTIONS") {
                        let answer = response(&text, "200 OK", "", "");
                        socket.send_to(answer.as_bytes(), from).unwrap();
                    }
                }
                let now = elapsed(&clock);
                ringing.retain(|(due, invite, from)| {
                    if now < *due {
                        return true;
                    }
                    let more =
                        format!("Contact: <sip:c@{local}>\r\nContent-Type: application/sdp\r\n");
                    let answer = response(invite, "200 OK", &more, &sdp(CARRIER));
                    socket.send_to(answer.as_bytes(), *from).unwrap();
                    false
                });
            }
            invites
        })
    }

    /// Dials `number` with a telephone of this name; the final status, and how long it took.
    fn dial(
        socket: &UdpSocket,
        asterisk: SocketAddr,
        number: &str,
        agent: &str,
    ) -> (u16, Duration) {
        let local = socket.local_addr().unwrap();
        // What stands for the call where a number may not.
        let call: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        let body = sdp(TELEPHONE);
        let line = |method: &str, cseq: u32, to: &str, branch: &str| {
            format!(
                "{method} sip:{number}@{asterisk} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch}{call}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:1001@{local}>;tag=t{call}\r\n{to}\r\nCall-ID: {call}@{local}\r\n\
                 CSeq: {cseq} {method}\r\nContact: <sip:1001@{local}>\r\nUser-Agent: {agent}\r\n"
            )
        };
        let to = format!("To: <sip:{number}@{asterisk}>");
        let invite = format!(
            "{}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            line("INVITE", 1, &to, "i"),
            body.len()
        );
        let since = Clock::start();
        socket.send_to(invite.as_bytes(), asterisk).unwrap();
        let mut bytes = [0; 8000];
        loop {
            assert!(elapsed(&since) < PATIENCE, "no final answer for {number}");
            let Ok(length) = socket.recv(&mut bytes) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let Some(status) = text.strip_prefix("SIP/2.0 ") else {
                continue;
            };
            let status: u16 = status[..3].parse().unwrap();
            let ours = header(&text, "Call-ID")
                .concat()
                .contains(&format!("{call}@"))
                && header(&text, "CSeq").concat().contains("INVITE");
            if !ours || status < 200 {
                continue;
            }
            let took = elapsed(&since);
            let to = header(&text, "To")[0];
            let branch = if status < 300 { "a" } else { "i" };
            let ack = line("ACK", 1, to, branch) + "Content-Length: 0\r\n\r\n";
            socket.send_to(ack.as_bytes(), asterisk).unwrap();
            if status < 300 {
                let bye = line("BYE", 2, to, "b") + "Content-Length: 0\r\n\r\n";
                socket.send_to(bye.as_bytes(), asterisk).unwrap();
            }
            return (status, took);
        }
    }

    fn configure(
        driver: &str,
        recipe: &str,
        port: u16,
        telephone: SocketAddr,
        carrier: SocketAddr,
    ) {
        let (trunk, dialplan) = recipe.split_once("; ---- extensions.conf").unwrap();
        let dialplan = format!(";{dialplan}\n[telephones]\ninclude => international\n");
        let (own, other) = if driver == "pjsip" {
            let endpoint = |name: &str, context: &str, contact: SocketAddr| {
                format!(
                    "[{name}]\ntype=endpoint\ntransport=transport-udp\ncontext={context}\ndisallow=all\nallow=ulaw\naors={name}\n\
                     [{name}]\ntype=aor\ncontact=sip:{contact}\n[{name}]\ntype=identify\nendpoint={name}\nmatch={}\n",
                    contact.ip()
                )
            };
            let pjsip = format!(
                "[transport-udp]\ntype=transport\nprotocol=udp\nbind={ASTERISK}:{port}\n{trunk}\n{}{}",
                endpoint("provider", "no-calls-in", carrier),
                endpoint("telephone", "telephones", telephone),
            );
            (
                ("pjsip.conf", pjsip),
                ("sip.conf", "[general]\nudpbindaddr=127.0.0.41:0\n"),
            )
        } else {
            let peer = |name: &str, context: &str, at: SocketAddr| {
                format!(
                    "[{name}]\ntype=peer\nhost={}\nport={}\ninsecure=port,invite\ncontext={context}\ndisallow=all\nallow=ulaw\n",
                    at.ip(),
                    at.port()
                )
            };
            let sip = format!(
                "[general]\nudpbindaddr={ASTERISK}:{port}\ncontext=no-calls-in\nallowguest=no\n{trunk}\n{}{}",
                peer("provider", "no-calls-in", carrier),
                peer("telephone", "telephones", telephone),
            );
            (("sip.conf", sip), ("pjsip.conf", ""))
        };
        let unwanted = if driver == "pjsip" {
            "chan_sip.so"
        } else {
            "chan_pjsip.so"
        };
        let modules = format!(
            "[modules]\nautoload=yes\nnoload => {unwanted}\nnoload => chan_iax2.so\nnoload => chan_mgcp.so\nnoload => chan_skinny.so\n\
             noload => chan_unistim.so\nnoload => chan_dahdi.so\nnoload => pbx_dundi.so\nnoload => res_hep.so\n"
        );
        let folder = root().join("etc/tollgate-recipe");
        write_files(
            &folder,
            &[
                (
                    "asterisk.conf",
                    "[directories]\nastetcdir => /etc/tollgate-recipe\nastrundir => /var/run/asterisk\nastlogdir => /var/log/asterisk\n\
                     astvarlibdir => /var/lib/asterisk\nastdbdir => /var/lib/asterisk\nastspooldir => /var/spool/asterisk\n\
                     astdatadir => /usr/share/asterisk\nastmoddir => /usr/lib/asterisk/modules\n[options]\n",
                ),
                ("modules.conf", &modules),
                ("extensions.conf", &dialplan),
                (
                    "logger.conf",
                    "[general]\n[logfiles]\nconsole => notice,warning,error\n",
                ),
                (own.0, &own.1),
                other,
            ],
        );
        std::fs::create_dir_all(root().join("var/run/asterisk")).unwrap();
    }

    /// The node's journal as rows of a table.
    fn decided(journal: &Path, recipe: &str, heard: &[(&str, u16)]) -> String {
        let mut rows = String::new();
        for line in std::fs::read_to_string(journal).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap_or("").to_owned();
            let dialled = text("dialled");
            let telephone = heard.iter().find(|(number, _)| *number == dialled);
            rows += &format!(
                "| {recipe} | {dialled} | {} | {} | {} | {} {} | {} | {} |\n",
                text("caller"),
                text("agent"),
                line["reported_calls"],
                text("verdict"),
                text("code"),
                line["status"],
                telephone.map_or_else(|| "?".to_owned(), |(_, status)| status.to_string()),
            );
        }
        rows
    }

    /// A line of what a command prints.
    fn first_line(command: &str, arguments: &[&str]) -> String {
        let output = Command::new(command).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    fn record(rows: &str) {
        let Some(folder) = env::var_os("TOLLGATE_RECORD") else {
            return;
        };
        let root = root();
        let text = format!(
            "What `tollgate recipe` prints, loaded as it is printed into {}, on Linux {}; commit {}. One telephone, one carrier that \
             rings for {} s, one node. Written by `TOLLGATE_RECORD=bench/record ./tests/long asterisk`.\n\n\
             The node's journal, and the final status that the telephone heard. Approved calls went to the carrier once, with the \
             number that was dialled and without the screening header; the others never did.\n\n\
             | recipe | dialled | caller | agent | reported calls | verdict | the node's answer | telephone |\n|---|---|---|---|---|---|---|---|\n{rows}",
            first_line("chroot", &[root.to_str().unwrap(), "asterisk", "-V"]),
            first_line("uname", &["-r"]),
            first_line("git", &["rev-parse", "--short=12", "HEAD"]),
            RINGING.as_secs(),
        );
        std::fs::write(PathBuf::from(folder).join("asterisk.md"), text).unwrap();
    }

    fn the_recipe_works(driver: &str, method: &str) -> String {
        let telephone = UdpSocket::bind((TELEPHONE, 0)).unwrap();
        telephone
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let trunk = UdpSocket::bind((CARRIER, 0)).unwrap();
        let (telephone_at, carrier_at) =
            (telephone.local_addr().unwrap(), trunk.local_addr().unwrap());

        let folder = scratch(&format!("asterisk-{driver}-{method}"));
        let domain = format!(
            "[[domain]]\nname = \"acme\"\npeers = [\"{ASTERISK}\"]\nmode = \"prevention\"\ntrust_headers = true\n\
             default_policy = \"std\"\ndefault_subscriber = \"unknown\"\nprofile = \"{method}\"\n\
             [[domain.translate]]\nmatch = \"011\"\nstrip = 3\n[[domain.translate]]\nmatch = \"00\"\nstrip = 2\n"
        );
        let policy = "[[policy]]\nname = \"std\"\ndestination = { deny = [\"type:premium\"] }\n";
        let toml = |udp: &str| {
            node_toml(&folder).replace("udp = \"127.0.0.1:0\"", &format!("udp = \"{udp}\""))
                + "[journal]\npath = \"calls.jsonl\"\n"
        };
        write_files(
            &folder,
            &[
                ("tollgate.toml", &toml(&format!("{NODE}:0"))),
                ("bundle/domains.toml", &domain),
                ("bundle/policies.toml", policy),
                ("bundle/lists/agents.csv", AGENTS),
            ],
        );
        let server = Server::start(&folder);
        write_files(
            &folder,
            &[("tollgate.toml", &toml(&server.udp.to_string()))],
        );
        let recipe = tollgate(
            &["recipe", driver, "--method", method],
            &folder.join("tollgate.toml"),
        );

        let port = free_port(ASTERISK);
        configure(driver, &recipe, port, telephone_at, carrier_at);
        let log = folder.join("asterisk.log");
        let asterisk = Asterisk::start(&root(), &log);
        let at = SocketAddr::new(ASTERISK.parse().unwrap(), port);
        let stop = Arc::new(AtomicBool::new(false));
        let ring = carrier(trunk, Arc::clone(&stop));

        let (listed_agent, _) = dial(&telephone, at, SCANNED, SCANNER);
        let (premium, premium_took) = dial(&telephone, at, PREMIUM, AGENT);
        let (own_approval, _) = dial(&telephone, at, &format!("A00{}", ORDINARY[0]), AGENT);
        let carrier_by_name = if driver == "pjsip" {
            "PJSIP/19005550123%40provider"
        } else {
            "SIP/provider/19005550123"
        };
        let smuggled = SMUGGLED.map(|number| {
            let tech = if driver == "pjsip" {
                "PJSIP/5"
            } else {
                "SIP/5"
            };
            let number = number.replace("SIP/5", tech).replace("{}", carrier_by_name);
            dial(&telephone, at, &number, AGENT).0
        });
        let ordinary = ORDINARY.map(|number| dial(&telephone, at, number, AGENT));
        stop.store(true, Ordering::Release);
        let invites = ring.join().unwrap();
        drop(asterisk);
        let said = std::fs::read_to_string(&log).unwrap();
        let stopped = server.stop();
        println!(
            "{driver} {method}: premium {premium} after {premium_took:?}, A00 dialled {own_approval}, \
             smuggled {smuggled:?}, ordinary {ordinary:?}\n{}",
            stopped.stdout
        );
        assert!((400..700).contains(&listed_agent), "{listed_agent}\n{said}");
        assert!((400..700).contains(&premium), "{premium}\n{said}");
        assert!(premium_took < Duration::from_secs(3), "{premium_took:?}");
        assert!((400..700).contains(&own_approval), "{own_approval}\n{said}");
        for status in smuggled {
            assert!((400..700).contains(&status), "{smuggled:?}\n{said}");
        }
        assert_eq!(invites.len(), ORDINARY.len(), "{invites:?}\n{said}");
        for ((invite, number), (status, took)) in invites.iter().zip(ORDINARY).zip(ordinary) {
            assert_eq!(status, 200, "{number}\n{said}");
            assert!(took >= RINGING, "{took:?}");
            let begin = format!("INVITE sip:{number}@");
            assert!(invite.starts_with(&begin), "{invite}");
            assert_eq!(header(invite, "P-tfps"), Vec::<&str>::new());
        }
        // Each number was asked about once, and nothing else was.
        let sums: serde_json::Value = serde_json::from_str(&stopped.stdout).unwrap();
        assert_eq!(sums["outcomes"]["approved"], 3, "{sums}\n{said}");
        assert_eq!(sums["outcomes"]["rejected"], 2, "{sums}\n{said}");
        for fault in [
            "No such context",
            "No application",
            "Unable to",
            "without a valid",
        ] {
            assert!(
                !said
                    .lines()
                    .any(|line| line.contains(fault) && line.contains("pbx")),
                "{said}"
            );
        }
        let mut heard = vec![(SCANNED, listed_agent), (PREMIUM, premium)];
        heard.extend(ORDINARY.into_iter().zip(ordinary.map(|(status, _)| status)));
        let recipe = format!("{driver} {method}");
        decided(&folder.join("calls.jsonl"), &recipe, &heard)
    }

    #[test]
    fn every_asterisk_recipe_lets_the_ordinary_call_through_and_no_other() {
        let mut rows = String::new();
        // One after the other: they share the folder.
        for (driver, method) in [
            ("pjsip", "redirect"),
            ("pjsip", "failover"),
            ("chan_sip", "redirect"),
            ("chan_sip", "failover"),
        ] {
            rows += &the_recipe_works(driver, method);
        }
        record(&rows);
    }
}
