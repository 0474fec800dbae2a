//! `check`, `config` and the command line itself, through the program.

#[cfg(test)]
mod command_line {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};
    use tollgate::cli::Exit;
    use tollgate::control::EMERGENCY_DEFAULT;
    use tollgate::policy::profile::default_statuses;
    use tollgate::policy::rows::Profile;

    const EXIT_OK: i32 = 0;
    const EXIT_USAGE: i32 = 64;

    fn tollgate(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Standard output of a command that must go well and say nothing on standard error.
    fn said(arguments: &[&str]) -> String {
        let output = tollgate(arguments);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(EXIT_OK));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_sample_has_no_fault_and_no_warning() {
        let line = said(&["check"]);
        let (counts, generation) = line.trim_end().split_once("; generation ").unwrap();
        assert!(
            counts.starts_with("ok: 1 domain, 1 policy, 1 subscriber, 15 list rows, "),
            "{line}"
        );
        assert!(counts.ends_with(" destinations"), "{line}");
        assert_eq!(generation.len(), 64);
        assert!(generation.bytes().all(|octet| octet.is_ascii_hexdigit()));
    }

    #[test]
    fn the_sample_written_to_disk_is_the_same_bundle() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("sample-on-disk-{}", std::process::id()));
        let config = folder.join("tollgate.toml");
        // What is shown of it has no dots between.
        let written = said(&["config", "--write", &format!("{}/./", folder.display())]);
        assert_eq!(written.matches("wrote ").count(), 6, "{written}");
        let path = config.to_str().unwrap();
        assert!(
            written.contains(&format!("wrote {path}\n")) && !written.contains("/./"),
            "{written}"
        );
        assert!(
            written.contains(&format!("tollgate check --config {path}")),
            "{written}"
        );
        let again = tollgate(&["config", "--write", folder.to_str().unwrap()]);
        assert_eq!(again.status.code(), Some(69));
        assert_eq!(
            String::from_utf8(again.stderr).unwrap(),
            format!("tollgate config: {path} is there already; nothing was written\n")
        );
        let embedded = said(&["check"]);
        assert_eq!(said(&["check", "--config", path]), embedded);

        let list = folder.join("bundle/lists/numbers.csv");
        let longer = fs::read_to_string(&list).unwrap() + "system,number,+447700900998,deny,,,,\n";
        fs::write(&list, longer).unwrap();
        let changed = said(&["check", "--config", path]);
        let generation = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
        assert_ne!(generation(&changed), generation(&embedded));
        assert!(changed.contains("16 list rows"), "{changed}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn config_prints_what_is_in_force_as_toml_with_every_default() {
        let text = said(&["config"]);
        let document: toml::Table = text.parse().unwrap();
        let string = |value: &toml::Value| value.as_str().unwrap().to_owned();
        assert_eq!(string(&document["listen"][0]["udp"]), "127.0.0.1:5060");
        assert_eq!(string(&document["listen"][0]["steering"]), "payload");
        assert_eq!(document["listen"][0]["gso"].as_bool(), Some(true));
        assert_eq!(string(&document["admin"]["http"]), "127.0.0.1:8060");
        assert_eq!(string(&document["node"]["shards"]), "auto");
        assert_eq!(string(&document["node"]["state_dir"]), "./tollgate-state");
        assert_eq!(
            document["node"]["expected_calls_per_second"].as_integer(),
            Some(8192)
        );
        assert!(text.contains("# transaction memory of 1048576 entries, 8 octets each\n"));
        let domain = &document["domain"][0];
        let emergency: Vec<String> = domain["emergency"]
            .as_array()
            .unwrap()
            .iter()
            .map(string)
            .collect();
        assert_eq!(emergency, EMERGENCY_DEFAULT);
        assert_eq!(domain["statuses"]["approve"].as_integer(), Some(302));
        assert_eq!(domain["statuses"]["reject"].as_integer(), Some(603));
        assert!(text.contains("} # errors have RFC 3261's own status\n"));
        assert_eq!(string(&domain["codes"]["R03"]), "R03");
        assert_eq!(string(&domain["translate"][0]["match"]), "011");
        let policy = &document["policy"][0];
        assert_eq!(string(&policy["unknown"]["prefix"]), "reject");
        assert_eq!(
            policy["destination"]["deny"]
                .as_array()
                .unwrap()
                .iter()
                .map(string)
                .collect::<Vec<_>>(),
            ["type:premium", "satellite"]
        );
    }

    /// The defaults of the reference are those that are in force when nothing else is said.
    #[test]
    fn the_reference_has_the_defaults_that_are_in_force() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("config-reference-{}", std::process::id()));
        fs::create_dir_all(folder.join("bundle")).unwrap();
        for (name, text) in [
            (
                "tollgate.toml",
                "[[listen]]\nudp = \"127.0.0.1:5060\"\n[bundle]\npath = \"bundle\"\n[journal]\npath = \"j\"\n",
            ),
            (
                "bundle/domains.toml",
                "[[domain]]\nname = \"a\"\npeers = [\"192.0.2.1\"]\nmode = \"prevention\"\ntrust_headers = true\n\
                 default_policy = \"p\"\ndefault_subscriber = \"u\"\n[[domain.translate]]\nmatch = \"0\"\n",
            ),
            (
                "bundle/policies.toml",
                "[[policy]]\nname = \"p\"\n[[policy.limit]]\nname = \"l\"\ncode = \"R13\"\nwindow = \"1m\"\nmax = 1\n",
            ),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let path = folder.join("tollgate.toml");
        let in_force = tollgate(&["config", "--config", path.to_str().unwrap()]);
        let in_force: toml::Table = String::from_utf8(in_force.stdout).unwrap().parse().unwrap();
        let reference: toml::Table = said(&["config", "--reference"]).parse().unwrap();
        let mut compared = 0;
        within(&reference, &in_force, "", &mut compared);
        assert!(compared > 25, "{compared}");
        fs::remove_dir_all(&folder).unwrap();
    }

    /// That each value of `part` is in `whole`, too. Of an array of tables the first.
    fn within(part: &toml::Table, whole: &toml::Table, path: &str, compared: &mut usize) {
        // A table without defaults of its own need not be printed.
        let has_values =
            |value: &toml::Value| value.as_table().is_none_or(|table| !table.is_empty());
        for (key, value) in part.iter().filter(|(_, value)| has_values(value)) {
            let path = format!("{path}.{key}");
            let other = whole
                .get(key)
                .unwrap_or_else(|| panic!("{path} is not printed"));
            let table = |value: &toml::Value| match value {
                toml::Value::Table(table) => Some(table.clone()),
                toml::Value::Array(array) => array.first().and_then(toml::Value::as_table).cloned(),
                _ => None,
            };
            match (table(value), table(other)) {
                (Some(part), Some(whole)) => within(&part, &whole, &path, compared),
                (None, _) => {
                    assert_eq!(value, other, "{path}");
                    *compared += 1;
                }
                (Some(part), None) => assert!(part.is_empty(), "{path}"),
            }
        }
    }

    /// What `config` prints of a bundle is a bundle: written to files, it is accepted and prints the same.
    #[test]
    fn what_config_prints_can_be_put_in_force() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("config-again-{}", std::process::id()));
        fs::create_dir_all(folder.join("bundle")).unwrap();
        let text = said(&["config"]);
        let (node, rest) = text.split_once("# ---- domains.toml\n").unwrap();
        let (domains, policies) = rest.split_once("# ---- policies.toml\n").unwrap();
        fs::write(folder.join("tollgate.toml"), node).unwrap();
        fs::write(folder.join("bundle/domains.toml"), domains).unwrap();
        fs::write(folder.join("bundle/policies.toml"), policies).unwrap();
        let path = folder.join("tollgate.toml");
        let again = said(&["config", "--config", path.to_str().unwrap()]);
        let (_, rest) = again.split_once("# ---- domains.toml\n").unwrap();
        let (domains_again, policies_again) = rest.split_once("# ---- policies.toml\n").unwrap();
        assert_eq!(domains_again, domains);
        let tables = |text: &str| text.split_once("# ----").unwrap().0.to_owned();
        assert_eq!(tables(policies_again), tables(policies));
        fs::remove_dir_all(&folder).unwrap();
    }

    fn readme() -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
    }

    /// The cells of the rows of README's table with this heading.
    fn table(heading: &str) -> Vec<Vec<String>> {
        let readme = readme();
        let lines = readme.lines().skip_while(|line| *line != heading).skip(2);
        let rows = lines.take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
    }

    #[test]
    fn the_exit_statuses_of_the_readme_are_those_of_the_code() {
        let rows = table("| exit status | of `tollgate` |");
        let of_code = Exit::ALL.map(|exit| {
            let status = exit as u8;
            vec![format!("`{status}`"), exit.meaning().to_owned()]
        });
        assert_eq!(rows, of_code);
    }

    #[test]
    fn the_profiles_of_the_readme_answer_as_the_code_does() {
        let rows = table("| profile | approve | reject | error |");
        let profiles = [
            Profile::Redirect,
            Profile::RedirectCodes,
            Profile::Failover,
            Profile::NextRoute,
            Profile::Monitor,
        ];
        assert_eq!(rows.len(), profiles.len());
        for (row, profile) in rows.iter().zip(profiles) {
            let statuses = default_statuses(profile);
            assert_eq!(row[0], format!("`{}`", profile.text()));
            let status = |cell: &str| cell.get(..3).and_then(|digits| digits.parse().ok());
            assert_eq!(status(&row[1]), Some(statuses.approve.0), "{row:?}");
            assert_eq!(status(&row[2]), Some(statuses.reject.0), "{row:?}");
            let error = statuses.error.map(|error| error.0);
            assert_eq!(status(&row[3]), error, "{row:?}");
            assert_eq!(row[3] == "RFC 3261's own", error.is_none(), "{row:?}");
        }
    }

    /// The first address of a block is the name of a network, and nobody's.
    #[test]
    fn explain_asks_as_a_host_of_the_first_peers() {
        let text = said(&["explain", "011442071838750"]);
        let line = "# asked as 127.0.0.1, one of the domain's peers; --peer asks as another\n";
        assert!(
            text.contains(line) && text.contains("\npeer: 127.0.0.1\n"),
            "{text}"
        );
        let text = said(&["explain", "011442071838750", "--peer", "127.0.0.9"]);
        assert!(
            !text.contains("asked as") && text.contains("\npeer: 127.0.0.9\n"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_command_line_exits_64_and_help_exits_0() {
        for (arguments, code) in [
            (&["--help"][..], EXIT_OK),
            (&["--version"], EXIT_OK),
            (&["serve", "--help"], EXIT_OK),
            (&[], EXIT_USAGE),
            (&["sevre"], EXIT_USAGE),
            (&["serve", "--config"], EXIT_USAGE),
            (&["serve", "--shards", "0"], EXIT_USAGE),
            (&["serve", "--shards", "65"], EXIT_USAGE),
            (&["serve", "--cores", "one"], EXIT_USAGE),
            (&["serve", "--shards", "1", "--cores", "0,1"], EXIT_USAGE),
            (&["check", "--shards", "1"], EXIT_USAGE),
        ] {
            assert_eq!(
                tollgate(arguments).status.code(),
                Some(code),
                "{arguments:?}"
            );
        }
    }
}
