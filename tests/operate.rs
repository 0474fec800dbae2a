//! A node as it is operated: reloads, refused bundles, the last good bundle, drain, the admin port's token, systemd.
//!
//! Promises: each server has a folder, ports and addresses of its own; silence is proved by an answer that comes after it.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod operate {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use serde_json::Value;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;
    use tollgate::clock::Clock;

    const PATIENCE: Duration = Duration::from_secs(30);
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const POLICIES: &str = "[[policy]]\nname = \"std\"\n";
    const LIST_HEADER: &str = "scope,kind,match,verdict,code,reason,source,expires\n";

    /// A domain whose direct peer is `peer`, and whose proxy is 127.0.0.9.
    fn domain(name: &str, peer: &str) -> String {
        format!(
            "[[domain]]\nname = \"{name}\"\npeers = [\"{peer}\"]\nproxies = [\"127.0.0.9\"]\nmode = \"prevention\"\n\
             trust_headers = true\ndefault_policy = \"std\"\ndefault_subscriber = \"unknown\"\nprofile = \"redirect\"\n\
             bare_e164 = true\n"
        )
    }

    fn folder(name: &str, drain_time: &str) -> PathBuf {
        let folder = scratch(name);
        let text = node_toml(&folder).replace("drain_time = \"0s\"", drain_time);
        let text = text.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
        write_files(
            &folder,
            &[
                ("tollgate.toml", &text),
                ("token", &format!("{TOKEN}\n")),
                ("bundle/domains.toml", &domain("one", "127.0.0.1")),
                ("bundle/policies.toml", POLICIES),
            ],
        );
        folder
    }

    fn deny(folder: &Path, number: &str) {
        let row = format!("{LIST_HEADER}system,number,{number},deny,,,,\n");
        write_files(folder, &[("bundle/lists/a.csv", &row)]);
    }

    fn client(from: &str, to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A request; behind a proxy, `below` is the Via of who asks.
    fn request(method: &str, call: &str, from: &UdpSocket, below: &str) -> String {
        let via = from.local_addr().unwrap();
        let below = if below.is_empty() {
            String::new()
        } else {
            format!("Via: SIP/2.0/UDP {below};branch=z9hG4bKb{call}\r\n")
        };
        format!(
            "{method} sip:390612345678@gw.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {via};branch=z9hG4bK{call}\r\n{below}\
             From: <sip:4100@pbx.example>;tag=f{call}\r\nTo: <sip:390612345678@gw.example>\r\n\
             Call-ID: {call}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn answer(socket: &UdpSocket) -> (u16, String) {
        let mut bytes = [0; 5000];
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }

    fn ask(socket: &UdpSocket, method: &str, call: &str) -> u16 {
        socket
            .send(request(method, call, socket, "").as_bytes())
            .unwrap();
        answer(socket).0
    }

    /// Status, head and body of an answer of the admin port.
    fn http(admin: SocketAddr, method: &str, path: &str, more: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn bearer(token: &str) -> String {
        format!("Authorization: Bearer {token}\r\n")
    }

    fn metrics(server: &Server) -> String {
        http(server.admin, "GET", "/metrics", "").2
    }

    fn has(text: &str, line: &str) {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is missing in\n{text}"
        );
    }

    /// `tollgate COMMAND --config FOLDER/tollgate.toml`: exit code, standard output, standard error.
    fn tollgate(folder: &Path, command: &str) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(command.split(' '))
            .arg("--config")
            .arg(folder.join("tollgate.toml"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    #[test]
    fn status_shows_who_asks_and_is_nobodys_peer() {
        let folder = folder("operate-unknown", "drain_time = \"0s\"");
        let server = Server::start(&folder);
        let (code, out, _) = tollgate(&folder, "status");
        assert_eq!(code, 0, "{out}");
        has(&out, "nobody's peers: datagrams 0");
        let strangers = [("127.0.0.7", 1), ("127.0.0.8", 3)];
        for (address, datagrams) in strangers {
            let stranger = client(address, server.udp);
            for number in 0..datagrams {
                let text = request("INVITE", &format!("stranger-{number}"), &stranger, "");
                stranger.send(text.as_bytes()).unwrap();
            }
        }
        let counted = "tollgate_unknown_sources_total 4";
        while !metrics(&server).lines().any(|line| line == counted) {}
        let (_, out, _) = tollgate(&folder, "status");
        has(
            &out,
            "nobody's peers: datagrams 4, never answered; most from 127.0.0.8 (3), 127.0.0.7 (1)",
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_new_bundle_is_in_force_whole_and_a_broken_one_changes_nothing() {
        let folder = folder("operate-reload", "drain_time = \"0s\"");
        let mut server = Server::start(&folder);
        let peer = client("127.0.0.1", server.udp);
        assert_eq!(ask(&peer, "INVITE", "before"), 302);

        deny(&folder, "390612345678");
        assert_eq!(ask(&peer, "INVITE", "not-yet"), 302, "nobody has reloaded");
        let (code, out, err) = tollgate(&folder, "reload");
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with("in force: generation "), "{out}");
        assert!(!out.contains("the same as before"), "{out}");
        assert_eq!(ask(&peer, "INVITE", "denied"), 603);
        let (_, out, _) = tollgate(&folder, "reload");
        assert!(out.ends_with(", the same as before\n"), "{out}");

        // Two files are broken, and one of them would have allowed the number again: all of it is said, none of it in force.
        write_files(
            &folder,
            &[
                ("bundle/lists/a.csv", LIST_HEADER),
                (
                    "bundle/lists/b.csv",
                    &format!("{LIST_HEADER}system,number,+39O6,deny,,,,\n"),
                ),
                (
                    "bundle/policies.toml",
                    "[[policy]]\nname = \"std\"\ncolour = 1\n",
                ),
            ],
        );
        let (code, _, err) = tollgate(&folder, "reload");
        assert_eq!(code, 65, "{err}");
        assert!(err.contains("b.csv:2:"), "{err}");
        assert!(err.contains("policies.toml:3:1: "), "{err}");
        assert!(err.contains("the one in force stays: generation "), "{err}");
        server.signal("HUP");
        server.wait_for("reload refused, faults 2");
        server.wait_for("reload refused, faults 2");
        assert_eq!(ask(&peer, "INVITE", "still-denied"), 603);

        let (status, _, body) = http(server.admin, "GET", "/readyz", "");
        assert_eq!(status, 200);
        assert!(
            body.starts_with("ready\nthe bundle in the folder was refused; "),
            "{body}"
        );
        assert!(body.contains("b.csv:2:"), "{body}");
        let text = metrics(&server);
        has(&text, "tollgate_bundle_refused_total 2");
        has(&text, "tollgate_bundle_stale 1");
        has(&text, "tollgate_reload_seconds_count 2");
        let (status, head, body) = http(server.admin, "POST", "/v1/reload", &bearer(TOKEN));
        assert_eq!(status, 422);
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["faults"].as_array().unwrap().len(), 2, "{body}");

        write_files(&folder, &[("bundle/policies.toml", POLICIES)]);
        fs::remove_file(folder.join("bundle/lists/b.csv")).unwrap();
        server.signal("HUP");
        server.wait_for("tollgate: reloaded in ");
        assert_eq!(ask(&peer, "INVITE", "allowed"), 302);
        assert_eq!(http(server.admin, "GET", "/readyz", "").2, "ready\n");
        has(&metrics(&server), "tollgate_bundle_stale 0");
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_domain_keeps_its_counts_when_it_moves_in_its_file_or_goes() {
        let folder = folder("operate-slots", "drain_time = \"0s\"");
        let mut server = Server::start(&folder);
        let one = client("127.0.0.1", server.udp);
        for call in ["1", "2", "3"] {
            assert_eq!(ask(&one, "INVITE", call), 302);
        }
        for (domains, calls) in [
            (
                domain("two", "127.0.0.2") + &domain("one", "127.0.0.1"),
                true,
            ),
            (domain("two", "127.0.0.2"), false),
        ] {
            write_files(&folder, &[("bundle/domains.toml", &domains)]);
            server.signal("HUP");
            server.wait_for("tollgate: reloaded in ");
            let two = client("127.0.0.2", server.udp);
            assert_eq!(ask(&two, "INVITE", "two"), 302);
            if calls {
                assert_eq!(ask(&one, "INVITE", "4"), 302);
            }
        }
        let counted = |domain, calls| {
            format!("tollgate_verdicts_total{{domain=\"{domain}\",code=\"A00\"}} {calls}")
        };
        // An answer leaves before its call is counted.
        let mut text = metrics(&server);
        for _again in 0..1_000 {
            if text.contains(&counted("two", 2)) {
                break;
            }
            text = metrics(&server);
        }
        has(&text, &counted("one", 4));
        has(&text, &counted("two", 2));
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_broken_bundle_at_the_start_is_replaced_by_the_last_good_one_and_said() {
        // SIP-097
        let folder = folder("operate-last-good", "drain_time = \"0s\"");
        deny(&folder, "390612345678");
        let server = Server::start(&folder);
        let (_, out, _) = tollgate(&folder, "reload"); // answered after the bundle was kept
        let generation = out
            .split(' ')
            .nth(3)
            .unwrap()
            .trim_end_matches([',', '\n'])
            .to_owned();
        assert!(server.stop().status.success());

        write_files(&folder, &[("bundle/domains.toml", "not TOML")]);
        fs::remove_file(folder.join("bundle/lists/a.csv")).unwrap();
        let mut server = Server::start(&folder);
        let peer = client("127.0.0.1", server.udp);
        assert_eq!(ask(&peer, "INVITE", "last-good"), 603);
        let (status, _, body) = http(server.admin, "GET", "/readyz", "");
        assert_eq!(status, 200);
        assert!(
            body.contains(&generation) && body.contains("domains.toml:1:"),
            "{body}"
        );
        let text = metrics(&server);
        has(&text, "tollgate_bundle_stale 1");
        has(&text, "tollgate_bundle_refused_total 1");
        let (code, out, _) = tollgate(&folder, "status");
        assert_eq!(code, 0, "{out}");
        assert!(
            out.contains("bundle REFUSED") && out.contains(&generation),
            "{out}"
        );

        // Mended: the folder's bundle is in force again.
        write_files(
            &folder,
            &[("bundle/domains.toml", &domain("one", "127.0.0.1"))],
        );
        server.signal("HUP");
        server.wait_for("tollgate: reloaded in ");
        assert_eq!(ask(&peer, "INVITE", "mended"), 302);
        let stopped = server.stop();
        assert!(
            stopped
                .stderr
                .contains("\nBUNDLE REFUSED, faults 1: serving the last good bundle"),
            "{}",
            stopped.stderr
        );

        // `check` is about the folder: there it is a fault still.
        write_files(&folder, &[("bundle/domains.toml", "not TOML")]);
        assert_eq!(tollgate(&folder, "check").0, 78);
        // A node that never ran has nothing to fall back to.
        fs::remove_dir_all(folder.join("state")).unwrap();
        let (code, _, err) = tollgate(&folder, "serve");
        assert_eq!(code, 78, "{err}");
    }

    #[test]
    fn whoever_asks_a_node_is_told_when_it_goes_by_other_files() {
        let folder = folder("operate-at-hand", "drain_time = \"0s\"");
        let server = Server::start(&folder);
        let explain = |folder: &Path, peer: &str| {
            tollgate(folder, &format!("explain 390612345678 --peer {peer}"))
        };
        let generation = |folder: &Path| {
            let (_, out, _) = tollgate(folder, "check");
            out.trim_end().rsplit(' ').next().unwrap().to_owned()
        };
        let first = generation(&folder);
        let (code, out, err) = tollgate(&folder, "status");
        assert_eq!((code, &*err), (0, ""), "{out}");
        let bundle = folder.join("bundle");
        assert!(
            out.contains(&format!(", read from {}\n", bundle.display())),
            "{out}"
        );
        assert_eq!(explain(&folder, "127.0.0.1").2, "");

        // Edited, and not put in force: a new peer, who is nobody's to the node.
        write_files(
            &folder,
            &[("bundle/domains.toml", &domain("one", "127.0.0.2"))],
        );
        let second = generation(&folder);
        let warned = |err: &str, wanted: &[&str]| {
            for part in wanted {
                assert!(err.contains(part), "{part}\n{err}");
            }
        };
        let in_force = format!("  in force: node \"test\", generation {first}, since 20");
        let files = format!(
            "  the files: node \"test\", generation {second}, in {}\n",
            bundle.display()
        );
        let reload = format!("  `tollgate reload --config {}/", folder.display());
        let (code, out, err) = tollgate(&folder, "status");
        assert_eq!(code, 0, "{out}");
        assert!(out.contains(&first) && !out.contains(&second), "{out}");
        warned(&err, &[&in_force, &files, &reload]);
        let (code, out, err) = explain(&folder, "127.0.0.1");
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with(&format!("# by the running node, generation {first}")));
        warned(&err, &[&in_force, &files, &reload]);
        let (code, _, err) = explain(&folder, "127.0.0.2");
        assert_eq!(code, 65, "{err}");
        warned(&err, &[&in_force, "127.0.0.2 is nobody's peer"]);

        // Put in force.
        assert_eq!(tollgate(&folder, "reload").0, 0);
        assert_eq!(tollgate(&folder, "status").2, "");
        assert_eq!(explain(&folder, "127.0.0.2").2, "");

        // The files of another node, which would be reached at the same address.
        let other = self::folder("operate-at-hand-other", "drain_time = \"0s\"");
        let text = node_toml(&other).replace("\"test\"", "\"other\"");
        let text = text.replace(
            "[admin]\nhttp = \"127.0.0.1:0\"",
            &format!(
                "[admin]\ntoken_file = \"token\"\nhttp = \"{}\"",
                server.admin
            ),
        );
        write_files(&other, &[("tollgate.toml", &text)]);
        let (_, _, err) = tollgate(&other, "status");
        warned(
            &err,
            &[
                &format!("in force: node \"test\", generation {second}"),
                &format!(
                    "the files: node \"other\", generation {first}, in {}",
                    other.display()
                ),
                "  it was started with another configuration, or this one was changed since\n",
            ],
        );
        assert!(server.stop().status.success());
        // Nobody to compare with.
        let (code, out, err) = explain(&folder, "127.0.0.2");
        assert_eq!((code, &*err), (0, ""), "{out}");
        assert!(out.starts_with(
            "# by the configuration alone: no running node answers at admin.http, so all counts are empty\n"
        ));
    }

    #[test]
    fn a_draining_node_answers_calls_and_sends_balancers_elsewhere() {
        let folder = folder("operate-drain", "drain_time = \"1h\"");
        let mut server = Server::start(&folder);
        let peer = client("127.0.0.1", server.udp);
        let proxy = client("127.0.0.9", server.udp);
        let ask_by_proxy = |method: &str, call: &str| {
            let text = request(method, call, &proxy, "127.0.0.1:5999");
            proxy.send(text.as_bytes()).unwrap();
            answer(&proxy).0
        };
        assert_eq!(ask(&peer, "OPTIONS", "peer-before"), 200);
        assert_eq!(ask_by_proxy("OPTIONS", "proxy-before"), 200);
        let (code, out, err) = tollgate(&folder, "drain");
        assert_eq!(
            (code, &*out),
            (0, "draining; it stops in 3600 s\n"),
            "{err}"
        );
        server.wait_for("tollgate: draining for 3600 s");

        assert_eq!(ask_by_proxy("OPTIONS", "proxy-after"), 503);
        assert_eq!(ask_by_proxy("INVITE", "proxy-call"), 302);
        // Asterisk takes any answer for life, so a direct peer gets none: the next answer is the call's.
        peer.send(request("OPTIONS", "peer-after", &peer, "").as_bytes())
            .unwrap();
        peer.send(request("INVITE", "peer-call", &peer, "").as_bytes())
            .unwrap();
        let (status, text) = answer(&peer);
        assert_eq!(status, 302);
        assert!(text.contains("Call-ID: peer-call\r\n"), "{text}");
        let (status, head, body) = http(server.admin, "GET", "/readyz", "");
        assert_eq!(status, 503);
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert!(body.contains("\"detail\":\"draining\""), "{body}");
        assert_eq!(http(server.admin, "GET", "/healthz", "").0, 200);
        has(&metrics(&server), "tollgate_draining 1");
        let (code, out, _) = tollgate(&folder, "status");
        assert_eq!(code, 69);
        assert!(out.contains("NOT READY: draining"), "{out}");

        // Told again by an order it goes on; by a signal it stops at once.
        assert_eq!(tollgate(&folder, "drain").0, 0);
        assert_eq!(ask(&peer, "INVITE", "still"), 302);
        let stopped = server.stop();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        let (code, _, err) = tollgate(&folder, "status");
        assert_eq!(code, 69);
        assert!(err.contains("no answer from http://127.0.0.1:"), "{err}");
    }

    #[test]
    fn the_drain_ends_by_itself_and_sigint_does_not_wait_for_it() {
        let short = folder("operate-drain-short", "drain_time = \"1s\"");
        let server = Server::start(&short);
        let stopped = server.stop();
        assert!(stopped.status.success());
        assert!(
            stopped.stderr.contains("draining for 1 s"),
            "{}",
            stopped.stderr
        );

        let long = folder("operate-drain-int", "drain_time = \"1h\"");
        let server = Server::start(&long);
        server.signal("INT");
        let stopped = server.ended();
        assert!(stopped.status.success());
        assert!(!stopped.stderr.contains("draining"), "{}", stopped.stderr);
    }

    #[test]
    fn a_drain_lasts_its_time_however_long_nothing_happened_before() {
        let folder = folder("operate-drain-idle", "drain_time = \"1s\"");
        let server = Server::start(&folder);
        // Nobody asks for longer than the drain lasts.
        let silent = client("127.0.0.1", server.udp);
        let longer = Duration::from_millis(1_500);
        silent.set_read_timeout(Some(longer)).unwrap();
        assert!(silent.recv(&mut [0; 1]).is_err());
        let clock = Clock::start();
        let told_ns = clock.now().monotonic_ns;
        assert!(server.stop().status.success());
        let lasted = Duration::from_nanos(clock.now().monotonic_ns - told_ns);
        assert!(lasted >= Duration::from_secs(1), "{lasted:?}");
    }

    #[test]
    fn v1_is_for_whoever_has_the_token() {
        let folder = folder("operate-token", "drain_time = \"0s\"");
        let server = Server::start(&folder);
        for (method, path) in [
            ("GET", "/v1/status"),
            ("GET", "/v1/rules"),
            ("GET", "/v1/unknown-sources"),
            ("POST", "/v1/reload"),
            ("POST", "/v1/drain"),
        ] {
            let none = "bearer";
            // RFC 6750 §3.1: of a token that came it is said what was wrong with it.
            let wrong = "bearer error=\"invalid_token\"";
            for (more, challenge) in [
                (String::new(), none),
                (bearer("0123456789abcdef0123456789abcdeF"), wrong),
                (bearer(""), none),
                (format!("Authorization: Basic {TOKEN}\r\n"), none),
            ] {
                let (status, head, body) = http(server.admin, method, path, &more);
                assert_eq!(status, 401, "{method} {path} {more}: {body}");
                let challenge = format!("\r\nwww-authenticate: {challenge}\r\n");
                assert!(head.contains(&challenge), "{more} {head}");
                assert!(
                    head.contains("content-type: application/problem+json"),
                    "{head}"
                );
            }
        }
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(http(server.admin, "GET", path, "").0, 200, "{path}");
        }
        for (method, path, status) in [
            ("GET", "/", 404),
            ("GET", "/v1/rule", 404),
            ("DELETE", "/metrics", 405),
            ("POST", "/readyz", 405),
        ] {
            let (answered, head, body) = http(server.admin, method, path, &bearer(TOKEN));
            assert_eq!(answered, status, "{method} {path}");
            assert!(
                head.contains("content-type: application/problem+json"),
                "{head}"
            );
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], status, "{body}");
        }
        let (status, _, body) = http(server.admin, "GET", "/v1/status", &bearer(TOKEN));
        assert_eq!(status, 200);
        let shown: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(shown["node"], "test");
        assert_eq!(shown["ready"], true);
        assert_eq!(shown["shards"][0]["running"], true);
        assert_eq!(
            http(server.admin, "GET", "/v1/reload", &bearer(TOKEN)).0,
            405
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn without_a_token_the_admin_port_changes_nothing() {
        let folder = folder("operate-no-token", "drain_time = \"0s\"");
        let text = fs::read_to_string(folder.join("tollgate.toml")).unwrap();
        let text = text.replace("token_file = \"token\"\n", "");
        write_files(&folder, &[("tollgate.toml", &text)]);
        let server = Server::start(&folder);
        for path in ["/v1/reload", "/v1/drain"] {
            let (status, _, body) = http(server.admin, "POST", path, &bearer(TOKEN));
            assert_eq!(status, 403, "{path}: {body}");
        }
        let (code, _, err) = tollgate(&folder, "drain");
        assert_eq!(code, 69);
        assert!(err.contains("no admin.token_file is configured"), "{err}");
        assert_eq!(http(server.admin, "GET", "/v1/status", "").0, 200);
        assert!(server.stop().status.success());
    }

    #[test]
    fn systemd_hears_of_readiness_reload_and_stop() {
        let folder = folder("operate-systemd", "drain_time = \"1s\"");
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let hear = || {
            let mut bytes = [0; 1000];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let path = path.to_str().unwrap();
        let server = Server::start_with(
            &folder,
            &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "200000")],
        );
        assert!(hear().starts_with("READY=1"));
        assert!(hear().starts_with("WATCHDOG=1"));
        server.signal("HUP");
        let mut heard = hear();
        while heard.starts_with("WATCHDOG") {
            heard = hear();
        }
        assert!(heard.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard}");
        let mut heard = hear();
        while heard.starts_with("WATCHDOG") {
            heard = hear();
        }
        assert!(heard.starts_with("READY=1"), "{heard}");
        server.signal("TERM");
        let mut heard = hear();
        while heard.starts_with("WATCHDOG") {
            heard = hear();
        }
        assert!(
            heard.starts_with("STOPPING=1\nSTATUS=draining for 1 s"),
            "{heard}"
        );
        assert!(server.ended().status.success());
    }
}
