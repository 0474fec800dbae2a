//! The admin port against whoever should not use it: every path, every way of showing a token, a web page in a browser of
//! this machine, bodies without an end.
//!
//! Promises: the paths are all that there are; a request that may change something leaves a line that says who made it.
//! Leaves to `threats.rs` requests that were mutated, to `operate.rs` what orders do.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod admin {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpStream};
    use std::path::PathBuf;
    use std::time::Duration;
    use tollgate::control::SAMPLE_BUNDLE;

    const PATIENCE: Duration = Duration::from_secs(30);
    const TOKEN: &str = "a-token-of-thirty-two-octets-000";
    const KEY: &str = "a-key-that-nobody-else-may-ever-see";
    /// Everything below `/v1`: what it answers to whoever has the token, and whether it changes something.
    const PATHS: [(&str, &str, u16, bool); 8] = [
        ("GET", "/v1/status", 200, false),
        ("GET", "/v1/rules", 200, false),
        ("GET", "/v1/unknown-sources", 200, false),
        ("GET", "/v1/holds", 200, false),
        ("GET", "/v1/explain/127.0.0.1/00", 422, false),
        ("DELETE", "/v1/holds/0123456789abcdef", 404, true),
        ("POST", "/v1/reload", 200, true),
        ("POST", "/v1/drain", 202, true),
    ];

    fn folder(name: &str, token: bool) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let mut text = node_toml(&folder).replace("[node]\n", "[node]\nkey_file = \"key\"\n");
        text = text.replace("drain_time = \"0s\"", "drain_time = \"1h\"");
        if token {
            text = text.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
        }
        write_files(
            &folder,
            &[
                ("tollgate.toml", &text),
                ("token", &format!("{TOKEN}\n")),
                ("key", KEY),
            ],
        );
        folder
    }

    fn ask(admin: SocketAddr, method: &str, path: &str, host: &str, more: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }

    /// SIGINT: without the drain.
    fn end(server: Server) -> String {
        server.signal("INT");
        let stopped = server.ended();
        assert!(stopped.status.success(), "{}", stopped.stderr);
        stopped.stdout + &stopped.stderr
    }

    #[test]
    fn every_path_is_for_whoever_has_the_token_and_no_secret_is_ever_shown() {
        let server = Server::start(&folder("admin-token", true));
        let with = |token: &str| format!("Authorization: {token}\r\n");
        let refused = [
            String::new(),
            with("Bearer"),
            with("Bearer "),
            with(&format!("Basic {TOKEN}")),
            with(&format!("Bearer {TOKEN}0")),
            with(&format!("Bearer {}", &TOKEN[1..])),
            with(&format!("Bearer {}", TOKEN.to_ascii_uppercase())),
            with(&format!("Bearer x {TOKEN}")),
            format!("Cookie: token={TOKEN}\r\n"),
            format!("X-Authorization: Bearer {TOKEN}\r\n"),
            // The first one counts.
            with("Bearer x") + &with(&format!("Bearer {TOKEN}")),
        ];
        let mut heard = String::new();
        for (method, path, granted, _) in PATHS {
            for more in &refused {
                let (status, text) = ask(server.admin, method, path, "localhost", more);
                assert_eq!(status, 401, "{method} {path} {more}");
                // RFC 6750 §3.1: what was wrong with it is said only where a token came.
                let offered =
                    more.starts_with("Authorization: Bearer ") && *more != with("Bearer ");
                assert_eq!(
                    text.contains("error=\"invalid_token\""),
                    offered,
                    "{more}: {text}"
                );
                heard += &text;
            }
            // In a query it would stand in logs and histories.
            let queried = format!("{path}?token={TOKEN}&access_token={TOKEN}");
            assert_eq!(ask(server.admin, method, &queried, "localhost", "").0, 401);
            let more = with(&format!("bearer {TOKEN}"));
            let (status, text) = ask(server.admin, method, path, "node.example", &more);
            assert_eq!(status, granted, "{method} {path}: {text}");
            heard += &text;
        }
        for path in ["/metrics", "/readyz", "/healthz"] {
            heard += &ask(server.admin, "GET", path, "localhost", "").1;
        }
        let said = end(server);
        for (method, path, status, changes) in PATHS {
            let line = format!("admin port: {method} {path} by 127.0.0.1:");
            let lines: Vec<&str> = said.lines().filter(|said| said.contains(&line)).collect();
            assert_eq!(lines.len(), usize::from(changes), "{line}: {said}");
            assert!(
                lines
                    .iter()
                    .all(|line| line.ends_with(&format!(": {status}")))
            );
        }
        for secret in [TOKEN, KEY] {
            assert!(!heard.contains(secret) && !said.contains(secret));
        }
    }

    #[test]
    fn without_a_token_nothing_is_changed_and_no_web_page_reads_anything() {
        let folder = folder("admin-no-token", false);
        let server = Server::start(&folder);
        for (method, path, granted, changes) in PATHS {
            let granted = if changes { 403 } else { granted };
            for (host, status) in [
                ("127.0.0.1", granted),
                ("127.0.0.1:8060", granted),
                ("localhost:8060", granted),
                ("[::1]:8060", granted),
                ("node", granted),
                // DNS rebinding: the page's own name leads to this machine.
                ("evil.example", 403),
                ("evil.example:8060", 403),
                ("127.0.0.1.evil.example", 403),
                ("localhost.", 403),
            ] {
                let (answered, text) = ask(server.admin, method, path, host, "");
                assert_eq!(answered, status, "{method} {path} {host}: {text}");
            }
        }
        assert_eq!(
            ask(server.admin, "GET", "/readyz", "evil.example", "").0,
            200
        );
        let said = end(server);
        assert!(!said.contains("admin port:"), "{said}");
    }

    /// `VmRSS` of proc(5), KiB.
    fn resident(pid: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let text = line.unwrap().trim().trim_end_matches(" kB");
        text.parse().unwrap()
    }

    #[test]
    fn a_body_without_an_end_is_neither_kept_nor_waited_for() {
        let server = Server::start(&folder("admin-body", true));
        let before = resident(server.pid());
        for (head, status) in [
            (
                format!("Authorization: Bearer {TOKEN}\r\nContent-Length: 1000000000000\r\n"),
                "200",
            ),
            ("Content-Length: 1000000000000\r\n".to_owned(), "401"),
            (
                format!("Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n"),
                "200",
            ),
        ] {
            let mut stream = TcpStream::connect(server.admin).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            write!(
                stream,
                "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"
            )
            .unwrap();
            let chunk = vec![b'x'; 1 << 16];
            // As much as it takes, up to 64 MiB: it hangs up once it has answered.
            for _ in 0..1024 {
                if stream.write_all(b"10000\r\n").is_err()
                    || stream.write_all(&chunk).is_err()
                    || stream.write_all(b"\r\n").is_err()
                {
                    break;
                }
            }
            let _end = stream.shutdown(Shutdown::Write);
            let mut heard = Vec::new();
            let _reset = stream.read_to_end(&mut heard);
            let heard = String::from_utf8_lossy(&heard).into_owned();
            // A reset may have thrown the answer away; then there is none to judge.
            assert!(
                heard.is_empty() || heard.starts_with(&format!("HTTP/1.1 {status} ")),
                "{heard}"
            );
        }
        let more = resident(server.pid()).saturating_sub(before);
        assert!(more < 16 << 10, "{more} KiB more");
        assert_eq!(ask(server.admin, "GET", "/readyz", "localhost", "").0, 200);
        end(server);
    }
}
