//! Broken configurations and the sentences they earn, all at once, through the program itself.
//!
//! Every case is a working configuration with some files replaced; `check` and `serve` must both refuse it with exit
//! code 78 and the same sentences, and `serve` must not have touched anything: not its port, not its state.

#[cfg(test)]
mod broken_config {
    use std::fs;
    use std::net::UdpSocket;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    const EXIT_OK: i32 = 0;
    const EXIT_BAD_CONFIGURATION: i32 = 78;

    /// A folder of its own for one case, removed when the case is over.
    struct Case {
        folder: PathBuf,
        /// Holds the port that the configuration names, so that a program that tried to bind it would fail otherwise.
        _port: UdpSocket,
    }

    impl Case {
        /// A working configuration.
        fn new(name: &str) -> Self {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("broken-config-{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("bundle")).unwrap();
            let port = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = port.local_addr().unwrap();
            let case = Self {
                folder,
                _port: port,
            };
            case.write(
            "tollgate.toml",
            &format!(
                "[node]\nstate_dir = \"state\"\n[[listen]]\nudp = \"{address}\"\n[bundle]\npath = \"bundle\"\n[admin]\nhttp = \"127.0.0.1:0\"\n"
            ),
        );
            case.write("bundle/domains.toml", DOMAINS);
            case.write("bundle/policies.toml", POLICIES);
            case
        }

        fn write(&self, name: &str, text: &str) {
            self.write_octets(name, text.as_bytes());
        }

        fn write_octets(&self, name: &str, octets: &[u8]) {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }

        fn run(&self, command: &str) -> Output {
            Command::new(env!("CARGO_BIN_EXE_tollgate"))
                .current_dir(&self.folder)
                .args([command, "--config", "tollgate.toml"])
                .output()
                .unwrap()
        }

        /// That both commands refuse with exactly these lines, and that nothing was started.
        fn refused(&self, faults: &[&str]) {
            for command in ["check", "serve"] {
                let output = self.run(command);
                let said = String::from_utf8(output.stderr).unwrap();
                let mut lines: Vec<&str> = said.lines().collect();
                let last = lines.pop();
                assert_eq!(lines, faults, "{command}");
                let noun = if faults.len() == 1 { "fault" } else { "faults" };
                assert_eq!(
                    last.unwrap(),
                    format!("tollgate: {} {noun}; nothing was started", faults.len())
                );
                assert_eq!(output.status.code(), Some(EXIT_BAD_CONFIGURATION));
                assert_eq!(output.stdout, b"");
                assert!(!self.folder.join("state").exists());
            }
        }

        /// That `check` finds nothing wrong and warns with exactly these lines.
        fn accepted(&self, warnings: &[&str]) -> String {
            let output = self.run("check");
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said.lines().collect::<Vec<_>>(), warnings);
            assert_eq!(output.status.code(), Some(EXIT_OK));
            String::from_utf8(output.stdout).unwrap()
        }
    }

    impl Drop for Case {
        fn drop(&mut self) {
            // What is left over after a failure shows what failed; after that the build folder's owner removes it.
            if !std::thread::panicking() {
                let _removed = fs::remove_dir_all(&self.folder);
            }
        }
    }

    const DOMAINS: &str = r#"[[domain]]
name = "acme"
peers = ["192.0.2.0/28"]
mode = "prevention"
trust_headers = true
default_policy = "std"
default_subscriber = "unknown"
"#;

    const POLICIES: &str = r#"[[policy]]
name = "std"
destination = { deny = ["satellite"] }
"#;

    const LIST_HEADER: &str = "scope,kind,match,verdict,code,reason,source,expires\n";

    #[test]
    fn a_working_configuration_is_accepted() {
        let said = Case::new("working").accepted(&[]);
        assert!(
            said.starts_with("ok: 1 domain, 1 policy, 0 subscribers, 0 list rows, "),
            "{said}"
        );
    }

    #[test]
    fn what_has_no_effect_and_bears_on_no_verdict_is_accepted_with_a_warning() {
        let case = Case::new("warnings");
        case.write(
            "tollgate.toml",
            r#"[node]
expected_calls_per_second = 1000
counters_capacity = 100000
drain_time = "30s"
[[listen]]
udp = "127.0.0.1:0"
steering = "kernel"
gso = false
role = "screen"
[bundle]
path = "bundle"
[admin]
http = "0.0.0.0:0"
"#,
        );
        case.write(
            "bundle/domains.toml",
            &format!("{DOMAINS}email = \"noc@acme.example\"\nspoofing_filtered = true\n"),
        );
        case.write(
            "bundle/policies.toml",
            &format!("{POLICIES}{}", POLICIES.replace("std", "other")),
        );
        case.write(
            "bundle/subscribers.csv",
            "domain,name,email\nacme,alice,alice@acme.example\n",
        );
        case.write(
            "bundle/lists/a.csv",
            &format!("{LIST_HEADER}system,number,+39069,deny,,,,2001-01-01\n"),
        );
        case.write("bundle/destinations.csv", "prefix,risk\n+3906,high\n");
        case.write("bundle/README", "");
        case.accepted(&[
        "warning: tollgate.toml:13:8: admin.http 0.0.0.0:0 can be reached from other machines: /healthz, /readyz and /metrics are shown to everybody; /v1 shows and changes nothing for them, since there is no admin.token_file",
        r#"warning: bundle/destinations.csv:2:1: prefix "+3906": 28 longer prefixes below it in the table keep what they say"#,
        "warning: bundle/domains.toml:8:9: domain.email has no effect in this version",
        "warning: bundle/subscribers.csv:2:12: email has no effect in this version",
        r#"warning: bundle/subscribers.csv:2:6: subscriber "alice" has neither users, peers nor tech_prefix, so no call is its own"#,
        "warning: bundle/README: is not read",
        r#"warning: bundle/policies.toml: policy "other" is nobody's"#,
        "warning: expired list rows: 1; they decide nothing",
    ]);
    }

    #[test]
    fn what_protects_too_little_is_accepted_with_a_warning() {
        let case = Case::new("unprotected");
        case.write("bundle/policies.toml", "[[policy]]\nname = \"std\"\n");
        fs::create_dir(case.folder.join("bundle/lists")).unwrap();
        let no_rule = r#"warning: bundle/policies.toml:1:1: policy "std" has neither destination.allow nor destination.deny, so premium-rate and satellite numbers are approved like others; besides lists it can reject by unknown.prefix only"#;
        case.accepted(&[
            no_rule,
            "warning: bundle/lists/: has no list (NAME.csv), so no number, address or agent is allowed or denied",
        ]);
        case.write("bundle/lists/irsf.csv", LIST_HEADER);
        case.accepted(&[
            no_rule,
            "warning: bundle/lists/irsf.csv:1:1: has no row, so it allows and denies nothing",
        ]);
        let token = case.folder.join("token");
        fs::write(&token, "0123456789abcdef\n").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(case.folder.join("tollgate.toml")).unwrap();
        let text = text.replace("127.0.0.1:0", "[::]:0") + "token_file = \"token\"\n";
        case.write("tollgate.toml", &text);
        case.write("bundle/policies.toml", POLICIES);
        case.write(
            "bundle/lists/irsf.csv",
            &format!("{LIST_HEADER}system,number,+39069,deny,,,,\n"),
        );
        case.accepted(&[
            "warning: tollgate.toml:8:8: admin.http [::]:0 can be reached from other machines: /healthz, /readyz and /metrics are shown to everybody; /v1 wants the token, which anybody on the way can read, since this is HTTP without TLS",
        ]);
    }

    #[test]
    fn a_proxy_that_is_a_peer_too_is_pointed_out() {
        let case = Case::new("proxy-peer");
        let proxies = "proxies = [\"198.51.100.9\", \"203.0.113.0/28\", \"2001:db8::1\"]\n";
        let other = DOMAINS
            .replace("acme", "other")
            .replace("\"192.0.2.0/28\"", "\"203.0.113.8\", \"198.51.100.0/30\"");
        assert!(other.contains("203.0.113.8"), "{other}");
        case.write("bundle/domains.toml", &format!("{DOMAINS}{proxies}{other}"));
        case.accepted(&[
            r#"warning: bundle/domains.toml:8:28: proxy "203.0.113.0/28" is among the peers of domain "other", too; it counts as a proxy, so calls of its own get 403"#,
        ]);
    }

    #[test]
    fn a_node_with_unknown_keys_and_wrong_values() {
        let case = Case::new("node");
        case.write(
            "tollgate.toml",
            r#"[node]
name = "a b"
shard = 2
shards = 65
cores = [0, 0]
key_file = "secret"
[[listen]]
udp = "localhost:5060"
steering = "hash"
gso = "off"
role = "honeypot"
[[listen]]
tcp = "127.0.0.1:5060"
[bundle]
path = "bundle"
[admin]
https = "127.0.0.1:8060"
[journal]
rejected_per_second = "many"
approved_per_second = -1
rotate = "100 MB"
keep = "59s"
mask_digits = 16
mask = 1
[mail]
smtp = "smtp://x"
"#,
        );
        case.write("secret", "short");
        case.refused(&[
        "tollgate.toml:2:8: node.name: 1 to 64 visible ASCII characters, no spaces",
        "tollgate.toml:3:1: node.shard is not known; did you mean node.shards?",
        "tollgate.toml:4:10: node.shards = 65, but must be 1 to 64",
        "tollgate.toml:5:13: node.cores has core 0 twice",
        "tollgate.toml:6:12: node.key_file secret has 5 octets; at least 16",
        r#"tollgate.toml:8:7: listen.udp "localhost:5060" is no address and port, like "192.0.2.1:5060" or "[2001:db8::1]:5060""#,
        r#"tollgate.toml:9:12: listen.steering is "hash", but must be "payload" or "kernel""#,
        r#"tollgate.toml:10:7: listen.gso must be true or false, not a string"#,
        r#"tollgate.toml:11:8: listen.role = "honeypot" is not in this version; "screen" is"#,
        "tollgate.toml:12:1: listen.udp is missing",
        "tollgate.toml:13:7: listen.tcp is not in this version; take it out",
        "tollgate.toml:17:1: admin.https is not known; did you mean admin.http?",
        "tollgate.toml:18:1: journal.path is missing",
        r#"tollgate.toml:19:23: journal.rejected_per_second: "many" is neither "all" nor a number without quotes"#,
        "tollgate.toml:20:23: journal.approved_per_second = -1, but must be 0 to 10000000",
        r#"tollgate.toml:21:10: journal.rotate: "100 MB" is no size of at least 1MB, like "100MB" or "2GB""#,
        r#"tollgate.toml:22:8: journal.keep: "59s" is no time of at least 1m, like "12h" or "30d""#,
        "tollgate.toml:23:15: journal.mask_digits = 16, but must be 0 to 15",
        "tollgate.toml:24:1: journal.mask is not known; known here: path, rejected_per_second, approved_per_second, rotate, keep, mask_digits",
        "tollgate.toml:25:1: mail is not in this version; take it out",
    ]);
    }

    #[test]
    fn syntax_faults_of_one_document_do_not_hide_those_of_another() {
        let case = Case::new("syntax");
        case.write(
            "tollgate.toml",
            "[node\nname = \"a\"\n[bundle]\npath = \"bundle\"\n",
        );
        case.write("bundle/policies.toml", "");
        case.refused(&[
        "tollgate.toml:1:6: not TOML: unclosed table, expected `]`",
        "bundle/policies.toml:1:1: policy is missing",
        r#"bundle/domains.toml:6:18: domain.default_policy: policy "std" is not in policies.toml"#,
    ]);
        let case = Case::new("syntax-bundle");
        case.write(
            "bundle/policies.toml",
            "[[policy]]\nname = std\nunknown = {\n",
        );
        case.write(
            "bundle/domains.toml",
            &DOMAINS.replace("prevention", "prevent"),
        );
        case.write(
            "bundle/lists/irsf.csv",
            &format!("{LIST_HEADER}policy:std,number,+39O6*,deny,,,,\n"),
        );
        case.refused(&[
        "bundle/policies.toml:2:8: not TOML: string values must be quoted, expected literal string",
        "bundle/policies.toml:3:12: not TOML: unclosed inline table, expected `}`",
        r#"bundle/domains.toml:4:8: domain.mode is "prevent", but must be "prevention" or "detection""#,
        r#"bundle/lists/irsf.csv:2:19: prefix "+39O6" has the letter O; digits only"#,
    ]);
    }

    #[test]
    fn a_domain_without_what_it_must_say() {
        let case = Case::new("required");
        case.write(
            "bundle/domains.toml",
            "# nobody\n\n[[domain]]\n\n[[domain]]\nname = \"b\"\npeers = []\n",
        );
        case.refused(&[
            "bundle/domains.toml:3:1: domain.name is missing",
            "bundle/domains.toml:3:1: domain.peers is missing",
            "bundle/domains.toml:3:1: domain.mode is missing",
            "bundle/domains.toml:3:1: domain.trust_headers is missing",
            "bundle/domains.toml:3:1: domain.default_policy is missing",
            "bundle/domains.toml:3:1: domain.default_subscriber is missing",
            "bundle/domains.toml:5:1: domain.mode is missing",
            "bundle/domains.toml:5:1: domain.trust_headers is missing",
            "bundle/domains.toml:5:1: domain.default_policy is missing",
            "bundle/domains.toml:5:1: domain.default_subscriber is missing",
            "bundle/domains.toml:7:9: domain.peers is empty; nobody could ask",
        ]);
    }

    #[test]
    fn a_domain_with_wrong_values() {
        let case = Case::new("domain");
        case.write(
            "bundle/domains.toml",
            r#"[[domain]]
name = "acme"
peers = ["192.0.2.1/28", "192.0.2.0/28", "192.0.2.0/28", 5, "pbx"]
proxies = ["198.51.100.9"]
names = ["pbx.acme.example:5060"]
mode = "prevent"
trust_headers = "yes"
default_policy = "sdt"
default_subscriber = ""
profile = "fallback"
calling_from = ["From", "P-Asserted-Identity", "Remote-Party-Id", "From"]
bare_e164 = 1
emergency = []
contact_host = "fixed:pbx:5060"
force_rport = true
codes = { R03 = "A00", R04 = "R44", R06 = "R07", R07 = "r07" }
statuses = { reject = 302, R03 = 200, A00 = 302, R04 = 603 }
peer = "192.0.2.1"
[[domain.translate]]
match = "011"
strip = 4
[[domain.translate]]
match = "+9"
min_digits = 5
max_digits = 4
[[domain.translate]]
strip = 1
prepend = "0O"
"#,
        );
        case.refused(&[
        r#"bundle/domains.toml:3:10: domain.peers: "192.0.2.1/28" has bits set beyond its prefix length; "192.0.2.0/28" is the block"#,
        r#"bundle/domains.toml:3:42: domain.peers: "192.0.2.0/28" stands twice"#,
        "bundle/domains.toml:3:58: domain.peers must be a string in quotes, not a whole number",
        r#"bundle/domains.toml:3:61: domain.peers: "pbx" is no address and no block, like "192.0.2.1" or "192.0.2.0/28""#,
        r#"bundle/domains.toml:5:10: domain.names: host "pbx.acme.example:5060" has a port; the host alone is wanted"#,
        r#"bundle/domains.toml:6:8: domain.mode is "prevent", but must be "prevention" or "detection""#,
        "bundle/domains.toml:7:17: domain.trust_headers must be true or false, not a string",
        r#"bundle/domains.toml:8:18: domain.default_policy: policy "sdt" is not in policies.toml; did you mean "std"?"#,
        "bundle/domains.toml:9:22: domain.default_subscriber: the name is empty",
        r#"bundle/domains.toml:10:11: domain.profile is "fallback", but must be "redirect", "redirect-codes", "failover", "next-route" or "monitor""#,
        r#"bundle/domains.toml:11:48: domain.calling_from is "Remote-Party-Id", but must be "From", "P-Asserted-Identity", "P-Preferred-Identity" or "Remote-Party-ID""#,
        "bundle/domains.toml:11:67: domain.calling_from: a header stands twice",
        "bundle/domains.toml:12:13: domain.bare_e164 must be true or false, not a whole number",
        "bundle/domains.toml:13:13: domain.emergency is empty, but emergency calls must never be rejected; leave it out for the common numbers",
        r#"bundle/domains.toml:14:16: domain.contact_host: host "pbx:5060" has a port; the host alone is wanted"#,
        r#"bundle/domains.toml:16:17: domain.codes.R03: "A00" means approved and can be no rejection's code"#,
        r#"bundle/domains.toml:16:30: domain.codes.R04 is no answer that this version gives; "A00", "R01", "R02", "R03", "R06", "R07", "R08", "R09", "R10", "R11", "R12", "R13", "R14" or "R15", or an own code, X01 to X16"#,
        "bundle/domains.toml:16:43: domain.codes.R06: R06 would look like R07 on the wire",
        r#"bundle/domains.toml:16:56: domain.codes.R07: "r07" is no code; one upper-case letter and two digits, like "R33""#,
        "bundle/domains.toml:17:23: domain.statuses.reject = 302: a redirect without a Contact leads nowhere, and this answer has none in this profile",
        "bundle/domains.toml:17:34: domain.statuses.R03 = 200, but must be 300 to 699",
        "bundle/domains.toml:17:45: domain.statuses.A00 is written approve",
        r#"bundle/domains.toml:17:56: domain.statuses.R04 is no answer that this version gives; "approve", "reject", "error", "R01", "R02", "R03", "R06", "R07", "R08", "R09", "R10", "R11", "R12", "R13", "R14" or "R15", or an own code, X01 to X16"#,
        "bundle/domains.toml:18:1: domain.peer is not known; did you mean domain.peers?",
        "bundle/domains.toml:21:9: domain.translate.strip = 4, but what fits may have only 3 characters; set min_digits",
        r#"bundle/domains.toml:22:1: domain.translate leaves "+9" of match in front of the number; strip it, since it has a "+""#,
        "bundle/domains.toml:25:14: domain.translate.max_digits = 4, but what fits has 5 at least",
        "bundle/domains.toml:26:1: domain.translate.match is missing",
        r#"bundle/domains.toml:28:11: domain.translate.prepend: prepend "0O" has the letter O; digits only"#,
    ]);
    }

    #[test]
    fn failover_never_lets_a_rejection_look_like_an_approval() {
        let case = Case::new("failover");
        case.write(
        "bundle/domains.toml",
        &format!(
            "{DOMAINS}profile = \"failover\"\nproxies = [\"198.51.100.9\"]\nstatuses = {{ approve = 404, reject = 503, error = 480, R03 = 401 }}\n"
        ),
    );
        case.refused(&[
        "bundle/domains.toml:8:11: profile failover behind a proxy needs proxy_passes_503 = true: a proxy that turns 503 into 500, as Kamailio does, breaks it",
        "bundle/domains.toml:10:24: domain.statuses.approve = 404: no switch takes it for `try the next route`; 503 is what all of them do",
        "bundle/domains.toml:10:38: domain.statuses.reject = 503: `failover` never sends 401, 407, 410, 422, 423, 482 or 5xx but to approve",
        "bundle/domains.toml:10:62: domain.statuses.R03 = 401: `failover` never sends 401, 407, 410, 422, 423, 482 or 5xx but to approve",
    ]);
    }

    #[test]
    fn names_that_two_domains_claim() {
        let case = Case::new("claimed");
        let second = DOMAINS
            .replace("acme", "ACME.example")
            .replace("192.0.2.0/28", "192.0.2.8");
        let third = DOMAINS.replace("192.0.2.0/28", "198.51.100.0/24");
        let names = "names = [\"Acme.Example\"]\n";
        case.write(
            "bundle/domains.toml",
            &format!("{DOMAINS}{names}{second}{third}"),
        );
        case.refused(&[
        r#"bundle/domains.toml:10:8: "acme.example" means domain "acme" already, and both have peers in common"#,
        r#"bundle/domains.toml:17:8: domain "acme" stands twice"#,
    ]);
    }

    #[test]
    fn a_policy_with_what_this_version_does_not_have() {
        let case = Case::new("policy");
        case.write(
        "bundle/policies.toml",
        r#"[[policy]]
name = "std"
time_zone = "America/New_York"
working_hours = ["mon-fri 09:00-17:00"]
holidays = ["2026-12-25"]
assumed_minutes = 3
origin = { allow = ["US"] }
divert = { target = "sip:D00{number}@{host}" }
destination = { allow = ["us", "XX", "continent:Europe"], deny = ["type:premuim", "risk:huge", "sattelite", "country:CU", "CU", "CU"] }
unknown = { prefix = "rejected", origin = "report", counters = "reject" }
[[policy.limit]]
name = "targeted-pumping"
[[policy]]
name = "std"
destinations = {}
"#,
    );
        case.refused(&[
        "bundle/policies.toml:7:10: policy.origin is not in this version; take it out",
        r#"bundle/policies.toml:9:26: policy.destination.allow: "us" is no country of the destination table; did you mean "US"?"#,
        r#"bundle/policies.toml:9:32: policy.destination.allow: "XX" is no country of the destination table; countries are ISO 3166-1 codes like "CU", besides "satellite" and "global""#,
        r#"bundle/policies.toml:9:38: policy.destination.allow: "continent:Europe" is no continent: "AF", "AS", "EU", "NA", "OC" or "SA""#,
        r#"bundle/policies.toml:9:67: policy.destination.deny: "premuim" is no number type; did you mean "premium"?"#,
        r#"bundle/policies.toml:9:83: policy.destination.deny: "risk:huge" is no risk class: "risk:low", "risk:medium" or "risk:high""#,
        r#"bundle/policies.toml:9:96: policy.destination.deny: "sattelite" is no country of the destination table; did you mean "satellite"?"#,
        r#"bundle/policies.toml:9:109: policy.destination.deny: "country:CU" is no destination: a country like "CU", "satellite", "global", or one that begins with continent:, type: or risk:"#,
        r#"bundle/policies.toml:9:129: policy.destination.deny: "CU" stands twice"#,
        r#"bundle/policies.toml:10:22: policy.unknown.prefix is "rejected", but must be "approve", "report" or "reject""#,
        "bundle/policies.toml:10:43: policy.unknown.origin is not in this version; take it out",
        "bundle/policies.toml:11:1: policy.limit.code is missing",
        "bundle/policies.toml:11:1: policy.limit.max is missing",
        r#"bundle/policies.toml:14:8: policy "std" stands twice"#,
        "bundle/policies.toml:15:1: policy.destinations is not known; did you mean policy.destination?",
    ]);
    }

    #[test]
    fn lists_with_wrong_rows() {
        let case = Case::new("lists");
        case.write(
            "bundle/lists/irsf.csv",
            &format!(
                r#"{LIST_HEADER}system,number,+39O6*,deny,,,,
system,number,+3906-+391,deny,R03,,,
system,numbr,+3906,deny,R03,,,
domain:acne,number,+3906,deny,R03,,,
policy:strict,number,+3906,deny,R03,,,
systems,number,+3906,maybe,R13,"two
lines",,31.12.2026
system,address,192.0.2.1/24,deny,R12,,,
system,agent,re:(,deny,,,,
system,agent,^sip,allow,R01,,,
system,number,+3906,deny
"#
            ),
        );
        case.write_octets(
            "bundle/lists/latin1.csv",
            b"scope,kind,match,verdict\nsystem,agent,caf\xe9,deny\n",
        );
        case.write("bundle/lists/empty.csv", "");
        case.write(
            "bundle/lists/columns.csv",
            "scope,kind,matches,verdict,expiry,note\n",
        );
        case.refused(&[
        r#"bundle/lists/columns.csv:1:1: column "match" is missing in the first line"#,
        r#"bundle/lists/columns.csv:1:12: column "matches" is not known; did you mean "match"?"#,
        r#"bundle/lists/columns.csv:1:28: column "expiry" is not known; did you mean "expires"?"#,
        r#"bundle/lists/columns.csv:1:35: column "note" is not known; did you mean "code"?"#,
        "bundle/lists/empty.csv:1:1: is empty; its first line names the columns: scope,kind,match,verdict,code,reason,source,expires",
        r#"bundle/lists/irsf.csv:2:15: prefix "+39O6" has the letter O; digits only"#,
        r#"bundle/lists/irsf.csv:3:15: range "+3906-+391" has ends of 4 and 3 digits; they must be of one length"#,
        r#"bundle/lists/irsf.csv:4:8: kind "numbr" is not known; did you mean "number"?"#,
        r#"bundle/lists/irsf.csv:5:1: domain "acne" is not in domains.toml; did you mean "acme"?"#,
        r#"bundle/lists/irsf.csv:6:1: policy "strict" is not in policies.toml"#,
        r#"bundle/lists/irsf.csv:7:1: scope "systems" is not "system", "domain:NAME" or "policy:NAME""#,
        r#"bundle/lists/irsf.csv:7:22: verdict "maybe" is not "allow" or "deny""#,
        r#"bundle/lists/irsf.csv:8:9: expires "31.12.2026" is no date, like "2026-12-31" or "2026-12-31T18:00:00Z" (RFC 3339)"#,
        r#"bundle/lists/irsf.csv:9:16: address "192.0.2.1/24" has bits set beyond its prefix length; "192.0.2.0/24" is the block"#,
        r#"bundle/lists/irsf.csv:10:14: agent "re:(": unclosed group"#,
        r#"bundle/lists/irsf.csv:11:14: agent "^sip" has only one of ^ and $; both mean the whole agent, none a part of it, and re: an expression"#,
        r#"bundle/lists/irsf.csv:11:25: code "R01" belongs to a denial; an allowed row has none"#,
        "bundle/lists/irsf.csv:12:1: has 4 fields, but the first line names 8",
        "bundle/lists/latin1.csv:2:14: is not UTF-8",
    ]);
    }

    #[test]
    fn subscribers_with_wrong_rows() {
        let case = Case::new("subscribers");
        case.write(
            "bundle/subscribers.csv",
            "domain,name,policy,users,peers,tech_prefix,email\n\
         acme,alice,,1001-1099 200-100,192.0.2.3,,\n\
         acme,alice,strict,99-100,198.51.100.1 pbx,77 8,\n\
         other,bob,,,,,\n\
         acme,unknown,,1,,,\n\
         acme,,,1,,,\n",
        );
        case.refused(&[
        r#"bundle/subscribers.csv:2:13: users: range "200-100" ends before it begins; a range is two numbers of one length, the lower one first, like "1001-1099""#,
        r#"bundle/subscribers.csv:3:6: subscriber "alice" stands twice in domain "acme""#,
        r#"bundle/subscribers.csv:3:12: policy "strict" is not in policies.toml"#,
        r#"bundle/subscribers.csv:3:19: users: range "99-100" has ends of 2 and 3 digits; a range is two numbers of one length, the lower one first, like "1001-1099""#,
        r#"bundle/subscribers.csv:3:26: "pbx" is no address and no block, like "192.0.2.1" or "192.0.2.0/28""#,
        r#"bundle/subscribers.csv:3:26: peer 198.51.100.1 is none of the peers of domain "acme""#,
        r#"bundle/subscribers.csv:3:43: tech_prefix "77 8" has the character ' '; digits, letters and +*#._- only"#,
        r#"bundle/subscribers.csv:4:1: domain "other" is not in domains.toml"#,
        r#"bundle/subscribers.csv:5:6: subscriber "unknown" is the default_subscriber of domain "acme": callers that match no row count under it, so it has no row"#,
        "bundle/subscribers.csv:6:6: the name is empty",
    ]);
    }

    #[test]
    fn a_user_that_looks_like_a_range_and_is_none_is_pointed_out() {
        let case = Case::new("users");
        case.write(
            "bundle/subscribers.csv",
            "domain,name,users\nacme,alice,anna 200-19x\nacme,bob,\"1001,1002\"\nacme,carol,anna-lisa 300-399\n",
        );
        case.accepted(&[
            r#"warning: bundle/subscribers.csv:2:12: users: "200-19x" is taken for the name of one user; a range is two numbers of one length, the lower one first, like "1001-1099""#,
            r#"warning: bundle/subscribers.csv:3:10: users: "1001,1002" is taken for the name of one user; several users are parted by blanks"#,
        ]);
    }

    #[test]
    fn destinations_with_wrong_rows() {
        let case = Case::new("destinations");
        case.write(
            "bundle/destinations.csv",
            "prefix,country,type,risk\n\
         +3906,it,fixed,high\n\
         003906,,,high\n\
         +3906,IT,landline,huge\n\
         +44,,,\n\
         +999,,mobile,low\n\
         +4477009,GB,mobile,low\n\
         +4477009,GB,mobile,low\n",
        );
        case.refused(&[
        r#"bundle/destinations.csv:2:7: "it" is no country of the destination table; did you mean "IT"?"#,
        r#"bundle/destinations.csv:3:1: prefix "003906" begins with 0; an international number begins with its country code"#,
        r#"bundle/destinations.csv:4:1: prefix "+3906" stands twice"#,
        r#"bundle/destinations.csv:4:10: "landline" is no number type: "fixed", "fixed-or-mobile", "mobile", "pager", "personal", "premium", "shared-cost", "toll-free", "uan", "unknown", "voicemail" or "voip""#,
        r#"bundle/destinations.csv:4:19: "huge" is no risk class: "low", "medium" or "high""#,
        r#"bundle/destinations.csv:5:1: prefix "+44" says neither country, type nor risk"#,
        r#"bundle/destinations.csv:6:1: prefix "+999" is not in the table, so its country must be said"#,
        r#"bundle/destinations.csv:8:1: prefix "+4477009" stands twice"#,
    ]);
    }

    #[test]
    fn a_bundle_that_is_not_there_or_holds_what_nobody_reads() {
        let case = Case::new("folder");
        fs::remove_dir_all(case.folder.join("bundle")).unwrap();
        case.refused(&["bundle/: cannot be read: No such file or directory (os error 2)"]);
        let case = Case::new("files");
        fs::remove_file(case.folder.join("bundle/domains.toml")).unwrap();
        fs::remove_file(case.folder.join("bundle/policies.toml")).unwrap();
        case.write("bundle/rates.csv", "prefix,rate_per_minute\n");
        case.write("bundle/subscriber.csv", "domain,name\n");
        case.write("bundle/lists/irsf.CSV", LIST_HEADER);
        case.write("bundle/list/irsf.csv", LIST_HEADER);
        case.refused(&[
        "bundle/policies.toml: is missing",
        "bundle/domains.toml: is missing",
        "bundle/list/: is no folder of a bundle, and nothing in it would be read; lists/ is the only one",
        "bundle/lists/irsf.CSV: is no file of a bundle: domains.toml, policies.toml, subscribers.csv, destinations.csv, rates.csv, lists/NAME.csv",
        "bundle/subscriber.csv: is no file of a bundle: domains.toml, policies.toml, subscribers.csv, destinations.csv, rates.csv, lists/NAME.csv",
    ]);
        let case = Case::new("no-config");
        fs::remove_file(case.folder.join("tollgate.toml")).unwrap();
        case.refused(&["tollgate.toml: cannot be read: No such file or directory (os error 2)"]);
    }

    #[test]
    fn a_document_that_is_not_utf8_says_where() {
        let case = Case::new("latin1");
        case.write_octets("tollgate.toml", b"[bundle]\npath = \"caf\xe9\"\n");
        case.refused(&["tollgate.toml:2:12: is not UTF-8"]);
        let case = Case::new("latin1-bundle");
        case.write_octets("bundle/policies.toml", b"[[policy]]\nname = \"\xc3\xa9\xff");
        case.write_octets("bundle/domains.toml", b"\xff");
        case.refused(&[
            "bundle/policies.toml:2:10: is not UTF-8",
            "bundle/domains.toml:1:1: is not UTF-8",
        ]);
    }

    #[test]
    fn past_a_thousand_faults_in_a_file_the_rest_is_counted() {
        let case = Case::new("thousand");
        let mut list = LIST_HEADER.to_owned();
        for _ in 0..1234 {
            list.push_str("system,number,+39O6,deny,,,,\n");
        }
        case.write("bundle/lists/a.csv", &list);
        case.write(
            "bundle/lists/b.csv",
            &format!("{LIST_HEADER}system,number,x,deny,,,,\n"),
        );
        let output = case.run("check");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1000 + 1 + 1 + 1);
        assert!(said.contains(
            "bundle/lists/a.csv:1001:15: number \"+39O6\" has the letter O; digits only\n\
         bundle/lists/a.csv: 234 more faults\n\
         bundle/lists/b.csv:2:15: number \"x\" has the letter x; digits only\n\
         tollgate: 1235 faults; nothing was started\n"
        ));
        assert_eq!(output.status.code(), Some(EXIT_BAD_CONFIGURATION));
    }
}
