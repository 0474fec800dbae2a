//! What every command exits with, fault by fault, by running the program.
//!
//! Promises: every status of the table in the help is met by a row here, and so is every command; what goes wrong is said
//! on standard error, and what goes well says nothing there.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;

#[cfg(test)]
mod exit_statuses {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::thread;
    use tollgate::cli::Exit;
    use tollgate::control::SAMPLE_BUNDLE;

    const TOKEN: &str = "a-token-of-thirty-two-octets-000";

    /// What is run (`CONFIG` is the path of the folder's tollgate.toml, `FOLDER` that of the folder), its status, and a part of
    /// what it says on standard error.
    type Case = (&'static str, Exit, &'static str);

    /// A configuration with the sample's bundle, that reaches the node at `admin`.
    fn folder(name: &str, admin: SocketAddr, token: Option<&str>) -> PathBuf {
        let folder = scratch(name);
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        let mut text = node_toml(&folder).replace(
            "[admin]\nhttp = \"127.0.0.1:0\"",
            &format!("[admin]\nhttp = \"{admin}\""),
        );
        if let Some(token) = token {
            text = text.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
            write_files(&folder, &[("token", &format!("{token}\n"))]);
        }
        write_files(&folder, &[("tollgate.toml", &text)]);
        folder
    }

    /// An address of this machine at which nobody listens any more.
    fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }

    fn command(line: &str, folder: &Path) -> Command {
        let text = |word: &str| {
            let folder = folder.to_str().unwrap();
            word.replace("CONFIG", "FOLDER/tollgate.toml")
                .replace("FOLDER", folder)
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(line.split_whitespace().map(text));
        command.current_dir(folder);
        command
    }

    fn check(cases: &[Case], folder: &Path) {
        for (line, exit, part) in cases {
            let output = command(line, folder).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            assert_eq!(code, Some(*exit as i32), "{line}\n{said}");
            assert!(said.contains(part), "{line}: {part}\n{said}");
            assert_eq!(said.is_empty(), *exit == Exit::Ok, "{line}\n{said}");
        }
    }

    /// Without a running node.
    const ALONE: [Case; 40] = [
        // Done.
        ("--help", Exit::Ok, ""),
        ("check", Exit::Ok, ""),
        ("check --config CONFIG", Exit::Ok, ""),
        ("config --config CONFIG", Exit::Ok, ""),
        ("config --reference", Exit::Ok, ""),
        ("config --preset wangiri", Exit::Ok, ""),
        ("config --write FOLDER/new", Exit::Ok, ""),
        ("recipe pjsip --config CONFIG", Exit::Ok, ""),
        ("doctor --config CONFIG", Exit::Ok, ""),
        ("explain 442071838750 --config CONFIG", Exit::Ok, ""),
        // The command line.
        ("", Exit::Usage, "Usage: tollgate"),
        ("sevre", Exit::Usage, "serve"),
        ("serve --config", Exit::Usage, "--config <FILE>"),
        ("serve --shards none", Exit::Usage, "--shards <N>"),
        (
            "serve --config CONFIG --shards 1 --cores 0,1",
            Exit::Usage,
            "1 shards and a list of 2 cores",
        ),
        ("check --shards 1", Exit::Usage, "--shards"),
        ("config --preset none", Exit::Usage, "wangiri"),
        (
            "config --write a --config CONFIG",
            Exit::Usage,
            "cannot be used with",
        ),
        ("hold", Exit::Usage, "Usage: tollgate hold"),
        ("hold release", Exit::Usage, "<ID>"),
        (
            "hold release 0123 --config CONFIG",
            Exit::Usage,
            "want 16 hexadecimal digits",
        ),
        (
            "hold release 0123456789abcdeg --config CONFIG",
            Exit::Usage,
            "want 16 hexadecimal digits",
        ),
        ("explain", Exit::Usage, "<NUMBER>"),
        ("explain 44 --peer nobody", Exit::Usage, "--peer <ADDRESS>"),
        ("explain 44 --reported-calls -1", Exit::Usage, "-1"),
        (
            "explain 44 --datagram invite.bin",
            Exit::Usage,
            "cannot be used with",
        ),
        ("recipe", Exit::Usage, "<PROFILE>"),
        ("recipe nobody", Exit::Usage, "pjsip"),
        // What was given.
        (
            "explain 44 --domain nobody --config CONFIG",
            Exit::BadData,
            "domain \"nobody\" is not in domains.toml",
        ),
        (
            "explain 44 --peer 192.0.2.1 --config CONFIG",
            Exit::BadData,
            "192.0.2.1 is nobody's peer",
        ),
        (
            "explain --datagram /dev/null --config CONFIG",
            Exit::BadData,
            "no INVITE that is decided",
        ),
        (
            "explain --datagram FOLDER/none --config CONFIG",
            Exit::BadData,
            "/none cannot be read: No such file",
        ),
        (
            "explain --datagram FOLDER --config CONFIG",
            Exit::BadData,
            "cannot be read: Is a directory",
        ),
        // Files to be made.
        (
            "config --write FOLDER/new",
            Exit::Unavailable,
            "is there already; nothing was written",
        ),
        ("config --write /proc/new", Exit::Unavailable, "/proc/new"),
        // The node that is asked.
        (
            "status --config CONFIG",
            Exit::Unavailable,
            "does a node with this configuration run?",
        ),
        (
            "rules --config CONFIG",
            Exit::Unavailable,
            "no answer from http://127.0.0.1:",
        ),
        (
            "reload --config CONFIG",
            Exit::Unavailable,
            "no answer from http://127.0.0.1:",
        ),
        (
            "drain --config CONFIG",
            Exit::Unavailable,
            "no answer from http://127.0.0.1:",
        ),
        (
            "hold list --config CONFIG",
            Exit::Unavailable,
            "no answer from http://127.0.0.1:",
        ),
    ];

    #[test]
    fn commands_end_with_the_status_of_their_fault() {
        let folder = folder("exit-alone", nobody(), None);
        check(&ALONE, &folder);
    }

    /// Every command that reads a configuration, whether that is broken, not there, or names a broken bundle.
    #[test]
    fn a_configuration_that_cannot_be_used_is_78_for_every_command() {
        let folder = folder("exit-config", nobody(), None);
        write_files(
            &folder,
            &[
                ("broken.toml", "not TOML"),
                ("empty.toml", ""),
                ("bundle/policies.toml", "not TOML"),
            ],
        );
        let of_node = [
            "doctor",
            "recipe pjsip",
            "status",
            "rules",
            "reload",
            "drain",
            "hold list",
            "hold release 0123456789abcdef",
        ];
        let of_bundle = ["serve", "check", "config", "explain 442071838750"];
        for command in of_node.into_iter().chain(of_bundle) {
            for (file, part) in [
                ("broken.toml", "broken.toml:1:"),
                ("empty.toml", "listen is missing"),
                ("none.toml", "none.toml: cannot be read: No such file"),
            ] {
                let line = format!("{command} --config FOLDER/{file}");
                let output = self::command(&line, &folder).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(78), "{line}\n{said}");
                assert!(said.contains(part), "{line}\n{said}");
            }
        }
        for command in of_bundle {
            let line = format!("{command} --config CONFIG");
            let output = self::command(&line, &folder).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{line}\n{said}");
            assert!(said.contains("policies.toml:1:"), "{line}\n{said}");
        }
    }

    #[test]
    fn a_running_node_says_what_it_refuses() {
        let node = folder("exit-node", "127.0.0.1:0".parse().unwrap(), Some(TOKEN));
        let server = Server::start(&node);
        check(
            &[
                ("status --config CONFIG", Exit::Ok, ""),
                ("rules --config CONFIG", Exit::Ok, ""),
                ("hold list --config CONFIG", Exit::Ok, ""),
                ("explain 442071838750 --config CONFIG", Exit::Ok, ""),
                ("reload --config CONFIG", Exit::Ok, ""),
                (
                    "hold release 0123456789abcdef --config CONFIG",
                    Exit::BadData,
                    "no hold 0123456789abcdef is in force",
                ),
                (
                    "explain 44 --peer 192.0.2.1 --config CONFIG",
                    Exit::BadData,
                    "192.0.2.1 is nobody's peer",
                ),
            ],
            &node,
        );
        let stranger = folder("exit-stranger", server.admin, None);
        let mistaken = folder(
            "exit-mistaken",
            server.admin,
            Some("another-token-of-32-octets-00000"),
        );
        let refused = [
            "status",
            "rules",
            "reload",
            "drain",
            "hold list",
            "hold release 0123456789abcdef",
        ]
        .map(|command| command.to_owned() + " --config CONFIG");
        for (folder, why) in [
            (&stranger, "the token of admin.token_file is wanted"),
            (&mistaken, "the token that came is not that of"),
        ] {
            for line in &refused {
                let output = command(line, folder).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(69), "{line}\n{said}");
                let wanted = format!("the admin port answers 401: {why}");
                assert!(said.contains(&wanted), "{said}");
            }
        }
        write_files(&node, &[("bundle/policies.toml", "not TOML")]);
        check(
            &[("reload --config CONFIG", Exit::BadData, "policies.toml:1:")],
            &node,
        );
        // Its state folder is taken, and told before its bundle's last good copy is served.
        check(
            &[(
                "serve --config CONFIG",
                Exit::Unavailable,
                "belongs to another node that runs",
            )],
            &node,
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn without_a_token_a_node_shows_itself_and_takes_no_order() {
        let node = folder("exit-no-token", "127.0.0.1:0".parse().unwrap(), None);
        let server = Server::start(&node);
        check(
            &[
                ("status --config CONFIG", Exit::Ok, ""),
                (
                    "reload --config CONFIG",
                    Exit::Unavailable,
                    "the admin port answers 403: nothing can be changed here",
                ),
                (
                    "drain --config CONFIG",
                    Exit::Unavailable,
                    "no admin.token_file is configured",
                ),
                (
                    "hold release 0123456789abcdef --config CONFIG",
                    Exit::Unavailable,
                    "403",
                ),
            ],
            &node,
        );
        assert!(server.stop().status.success());
    }

    #[test]
    fn a_draining_node_is_not_ready_and_a_drain_ends_well() {
        let node = folder("exit-drain", "127.0.0.1:0".parse().unwrap(), Some(TOKEN));
        let path = node.join("tollgate.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        write_files(
            &node,
            &[("tollgate.toml", &text.replace("\"0s\"", "\"1h\""))],
        );
        let server = Server::start(&node);
        check(&[("drain --config CONFIG", Exit::Ok, "")], &node);
        let output = command("status --config CONFIG", &node).output().unwrap();
        assert_eq!(output.status.code(), Some(69));
        server.signal("INT");
        assert_eq!(server.ended().status.code(), Some(0));
    }

    /// What listens at the configured address may be anything.
    #[test]
    fn what_is_no_node_is_not_taken_for_one() {
        for (head, body) in [
            ("200 OK", "{}"),
            ("200 OK", "<html></html>"),
            ("202 Accepted", "{\"ok\":true}"),
            ("404 Not Found", "not here"),
            ("401 Unauthorized", ""),
            ("302 Found", ""),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let folder = folder("exit-other", listener.local_addr().unwrap(), None);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let _head = stream.read(&mut [0; 4096]).unwrap();
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    // Whoever asked may have gone.
                    let _written = stream.write_all(answer.as_bytes());
                }
            });
            for line in [
                "status",
                "rules",
                "reload",
                "drain",
                "hold list",
                "hold release 0123456789abcdef",
            ] {
                let line = format!("{line} --config CONFIG");
                let output = command(&line, &folder).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(
                    output.status.code(),
                    Some(69),
                    "{line}: {head} {body}\n{said}"
                );
                assert!(said.contains(" is no admin port of a node\n"), "{said}");
            }
            // What the files say can be explained all the same; whom it asked in vain is said.
            let line = "explain 011442071838750 --config CONFIG";
            let output = command(line, &folder).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{head} {body}\n{said}");
            let nobody = " is no admin port of a node, so all counts are empty\n";
            assert!(said.contains(nobody), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_printed_is_69() {
        let node = folder("exit-full", "127.0.0.1:0".parse().unwrap(), Some(TOKEN));
        let server = Server::start(&node);
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        for line in [
            "--help",
            "check --help",
            "--version",
            "check",
            "config",
            "config --reference",
            "config --preset wangiri",
            "recipe pjsip",
            "doctor",
            "explain 442071838750 --config CONFIG",
            "status --config CONFIG",
            "rules --config CONFIG",
            "hold list --config CONFIG",
            "reload --config CONFIG",
        ] {
            let status = command(line, &node).stdout(full()).status().unwrap();
            assert_eq!(status.code(), Some(69), "{line}");
        }
        server.signal("INT");
        assert!(server.ended().status.success());
        // Of a node: the sums at its end.
        let mut child = command("serve --config CONFIG", &node)
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != "ready" {}
        super::common::server::signal(child.id(), "INT");
        for _line in lines {}
        assert_eq!(child.wait().unwrap().code(), Some(69));
    }

    /// The commands that a help names, and those below them.
    fn commands(before: &str, into: &mut BTreeSet<String>) {
        let help = command(&format!("{before} --help"), Path::new("."))
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let Some((_, list)) = help.split_once("\nCommands:\n") else {
            into.insert(before.trim().to_owned());
            return;
        };
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                commands(&format!("{before} {name}"), into);
            }
        }
    }

    #[test]
    fn every_command_has_rows_and_its_help_has_every_status() {
        let mut all = BTreeSet::new();
        commands("", &mut all);
        assert!(all.len() >= 12, "{all:?}");
        for name in &all {
            let shown = ALONE
                .iter()
                .any(|(line, ..)| line.starts_with(&format!("{name} ")) || line == name);
            assert!(shown, "{name}");
            let help = command(&format!("{name} --help"), Path::new("."))
                .output()
                .unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            for exit in Exit::ALL {
                let line = format!("  {:<3} {}", exit as u8, exit.meaning());
                assert!(
                    help.lines().any(|said| said == line),
                    "{name}: {line}\n{help}"
                );
            }
        }
    }
}
