//! Holds the house to its plan: layers, doors of external crates, where `unsafe` and the clock stand, module docs, the top level.
//!
//! Promises: every breach in one run, each as `file:line: sentence`; each rule is shown a breach in a test below, so that none of them can sleep.
//! Leaves to the compiler and clippy what they see better. The tables here are the plan; a change to them is a change to the design.

#[cfg(test)]
#[path = "tidy/scan.rs"]
mod scan;

#[cfg(test)]
mod tidy {
    use super::scan::{Named, scan};
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    /// The modules of `src`, lowest layer first. A layer names only lower ones.
    const LAYERS: [&[&str]; 9] = [
        &["limits", "clock", "e164", "plain", "sys"],
        &["net", "sip", "counters"],
        &["policy"],
        &["uas"],
        &["event"],
        &["metrics"],
        &["shard", "stream", "control", "report", "study"],
        &["admin", "cluster"],
        &["process", "cli", "main"],
    ];

    /// Layers whose modules may name each other: the ground, whose parts are made of each other, and the roof, where `main` calls `cli` calls `process`.
    const OPEN_LAYERS: [usize; 2] = [0, 8];

    /// External crates and the only places in `src` that may name them: a module, or one file of it.
    const DOORS: [(&str, &[&str]); 33] = [
        ("mio", &["net", "stream"]),
        ("socket2", &["net", "stream"]),
        ("libc", &["sys"]),
        ("memchr", &["sip"]),
        ("arc_swap", &["policy/cell.rs"]),
        ("crossbeam", &["event"]),
        ("core_affinity", &["shard/pin.rs"]),
        ("toml", &["control"]),
        ("csv", &["control"]),
        ("jiff", &["control"]),
        ("maxminddb", &["control"]),
        ("serde", &["control"]),
        (
            "serde_json",
            &["control", "report", "study", "admin", "process", "cli"],
        ),
        ("tokio", &["admin"]),
        ("axum", &["admin"]),
        ("hyper", &["admin"]),
        ("hyper_util", &["admin"]),
        ("hdrhistogram", &[]),
        ("rsip", &[]),
        ("proptest", &[]),
        ("criterion", &[]),
        ("aho_corasick", &["policy"]),
        ("regex", &["policy"]),
        ("xorf", &["policy"]),
        ("foldhash", &["policy", "uas", "counters"]),
        ("siphasher", &["uas"]),
        ("clap", &["cli"]),
        ("signal_hook", &["process"]),
        ("getrandom", &["process"]),
        ("sd_notify", &["process"]),
        ("ureq", &["cli"]),
        ("sha2", &["control"]),
        ("tollgate", &["main.rs"]),
    ];

    /// Crates that tests inside `src` may name, since only tests are built with them.
    const TEST_CRATES: [&str; 3] = ["rsip", "hdrhistogram", "proptest"];

    /// Parts of std that do I/O, and the modules that are to do none of it.
    const NO_IO: [&str; 3] = ["e164", "sip", "policy"];
    const IO: [&[&str]; 8] = [
        &["std", "fs"],
        &["std", "io"],
        &["std", "env"],
        &["std", "process"],
        &["std", "thread"],
        &["std", "net", "UdpSocket"],
        &["std", "net", "TcpStream"],
        &["std", "net", "TcpListener"],
    ];

    /// Everything that may lie at the top.
    const TOP: [&str; 18] = [
        ".ci",
        ".git",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "bench",
        "clippy.toml",
        "deny.toml",
        "loadgen",
        "src",
        "tests",
        "tuning",
        "target",
    ];

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn layer_of(module: &str) -> Option<usize> {
        LAYERS.iter().position(|layer| layer.contains(&module))
    }

    /// `src/uas/tag.rs` is module `uas` and two deep; `src/lib.rs` is module `lib` and not deep at all.
    fn module_of(path: &str) -> (String, usize) {
        let below = path.trim_start_matches("src/");
        let mut parts: Vec<&str> = below.trim_end_matches(".rs").split('/').collect();
        let module = parts[0].to_owned();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        let depth = if matches!(below, "lib.rs" | "main.rs") {
            0
        } else {
            parts.len()
        };
        (module, depth)
    }

    /// The module of `src` that `named` leads to, when it leads to the root of the crate: `crate::X`, or as many `super` as lead there.
    fn leads_to(named: &Named, depth_of_file: usize) -> Option<&str> {
        let first = named.segments.first()?.as_str();
        let supers = named
            .segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let after = match first {
            "crate" | "tollgate" => 1,
            "super" if supers >= depth_of_file + named.inline_modules => supers,
            _ => return None,
        };
        // `use crate::*` and `use crate as x` lead to everything.
        Some(named.segments.get(after).map_or("*", String::as_str))
    }

    fn may_stand(path_below_src: &str, places: &[&str]) -> bool {
        places.iter().any(|place| {
            path_below_src == *place
                || path_below_src == format!("{place}.rs")
                || path_below_src.starts_with(&format!("{place}/"))
        })
    }

    /// What is wrong with one file. `path` is relative to the root, with `/`.
    fn breaches(path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault =
            |line: usize, sentence: String| faults.push(format!("{path}:{line}: {sentence}"));
        let found = scan(text);

        if !text.starts_with("//! ") {
            fault(1, "does not open with `//!`: what the file is for, what it promises, what it leaves to others".to_owned());
        }
        for line in &found.ignore_lines {
            fault(
                *line,
                "`#[ignore]`: a test runs or it does not exist".to_owned(),
            );
        }
        let may_be_unsafe = path.starts_with("src/sys")
            || path.starts_with("loadgen/src/sys")
            || path == "tests/fuzz/ours.rs"
            || ((path.starts_with("tests/") || path.starts_with("loadgen/tests/"))
                && path.ends_with("counting_allocator.rs"));
        for line in found.unsafe_lines.iter().filter(|_| !may_be_unsafe) {
            fault(*line, "`unsafe` stands only in `src/sys`, `loadgen/src/sys`, a test's `counting_allocator.rs` and `tests/fuzz/ours.rs`".to_owned());
        }
        let product = path.starts_with("src/");
        let generator = path.starts_with("loadgen/src/");
        if !product && !generator {
            return faults;
        }

        let is_clock = ["src/clock.rs", "loadgen/src/clock.rs"].contains(&path)
            || path.starts_with("src/clock/")
            || path.starts_with("loadgen/src/clock/");
        for named in &found.paths {
            let reads_clock = named
                .segments
                .ends_with(&["Instant".to_owned(), "now".to_owned()])
                || named
                    .segments
                    .ends_with(&["SystemTime".to_owned(), "now".to_owned()]);
            if reads_clock && !is_clock {
                fault(
                    named.line,
                    format!(
                        "`{}`: only the clock reads the clock; take `now` as an argument",
                        named.segments.join("::")
                    ),
                );
            }
        }
        if generator {
            for named in &found.paths {
                let first = named.segments[0].as_str();
                if first == "tollgate" {
                    fault(named.line, "names `tollgate`: the generator is the independent witness and shares nothing with `src`".to_owned());
                }
                if first == "libc" && !path.starts_with("loadgen/src/sys") {
                    fault(
                        named.line,
                        "names `libc`, whose door is `loadgen/src/sys`".to_owned(),
                    );
                }
            }
            return faults;
        }

        let below = path.trim_start_matches("src/");
        let (module, depth) = module_of(path);
        for named in &found.paths {
            let first = named.segments[0].as_str();
            if let Some((_, places)) = DOORS.iter().find(|(krate, _)| *krate == first) {
                let in_test =
                    named.in_test || below.ends_with("/tests.rs") || below.contains("/tests/");
                if !(may_stand(below, places) || (in_test && TEST_CRATES.contains(&first))) {
                    fault(
                        named.line,
                        format!("names `{first}`, whose door is {places:?}"),
                    );
                }
            }
            if NO_IO.contains(&module.as_str()) && !named.in_test {
                let does = IO.iter().any(|io| {
                    named
                        .segments
                        .iter()
                        .zip(io.iter())
                        .filter(|(a, b)| a == b)
                        .count()
                        == io.len()
                });
                if does {
                    fault(
                        named.line,
                        format!(
                            "names `{}`, but `{module}` does no I/O",
                            named.segments.join("::")
                        ),
                    );
                }
            }
        }
        if module == "lib" {
            return faults; // declares every module
        }
        let Some(layer) = layer_of(&module) else {
            fault(
                1,
                format!("module `{module}` is in no layer of the table in tests/tidy.rs"),
            );
            return faults;
        };
        for named in &found.paths {
            let Some(target) = leads_to(named, depth) else {
                continue;
            };
            if target == module {
                continue;
            }
            match layer_of(target) {
                Some(lower) if lower < layer => {}
                Some(same) if same == layer && OPEN_LAYERS.contains(&layer) => {}
                Some(other) => fault(
                    named.line,
                    format!(
                        "`{module}` (layer {layer}) names `{target}` (layer {other}); a layer names only lower ones"
                    ),
                ),
                None => fault(
                    named.line,
                    format!(
                        "`{}` does not go through a module of the table",
                        named.segments.join("::")
                    ),
                ),
            }
        }
        faults
    }

    /// Every `.rs` below `folder`, as (path relative to the root, text).
    fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                if !path.ends_with("target") {
                    sources(&path, into);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                into.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn every_file_keeps_the_plan() {
        let mut files = Vec::new();
        for folder in ["src", "loadgen", "bench", "tests"] {
            sources(&root().join(folder), &mut files);
        }
        for needed in [
            "src/lib.rs",
            "src/main.rs",
            "loadgen/src/main.rs",
            "tests/tidy.rs",
        ] {
            assert!(
                files.iter().any(|(path, _)| path == needed),
                "{needed} was not read"
            );
        }
        let faults: Vec<String> = files
            .iter()
            .flat_map(|(path, text)| breaches(path, text))
            .collect();
        assert!(
            faults.is_empty(),
            "{} breaches:\n{}",
            faults.len(),
            faults.join("\n")
        );
    }

    /// The names in one section of a `Cargo.toml`, as code spells them.
    fn dependencies(manifest: &str, section: &str) -> Vec<String> {
        manifest
            .lines()
            .skip_while(|line| line.trim() != section)
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name.trim().trim_end_matches(".workspace").replace('-', "_"))
            .collect()
    }

    #[test]
    fn every_dependency_has_a_door() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let doors: BTreeSet<String> = DOORS.iter().map(|(krate, _)| (*krate).to_owned()).collect();
        let dependencies = dependencies(&manifest, "[dependencies]");
        assert!(dependencies.len() > 10, "{dependencies:?}");
        let without: Vec<_> = dependencies
            .iter()
            .filter(|name| !doors.contains(*name))
            .collect();
        assert!(
            without.is_empty(),
            "no door in tests/tidy.rs for {without:?}"
        );
    }

    #[test]
    fn the_generator_depends_on_nothing_of_ours() {
        let manifest = fs::read_to_string(root().join("loadgen/Cargo.toml")).unwrap();
        for section in [
            "[dependencies]",
            "[dev-dependencies]",
            "[build-dependencies]",
        ] {
            let ours: Vec<_> = dependencies(&manifest, section)
                .into_iter()
                .filter(|name| name.starts_with("tollgate"))
                .collect();
            assert!(ours.is_empty(), "{section}: {ours:?}");
        }
        assert_eq!(
            dependencies(
                "[dependencies]\na-b = 1\n# c = 1\n[x]\nd = 1",
                "[dependencies]"
            ),
            ["a_b"]
        );
    }

    /// What lies at the top and is not planned, leaving out what `.gitignore` names.
    fn unplanned<'a>(entries: impl Iterator<Item = &'a str>, gitignore: &str) -> Vec<&'a str> {
        let ignored: Vec<&str> = gitignore
            .lines()
            .map(|line| line.trim_matches('/'))
            .collect();
        entries
            .filter(|entry| !TOP.contains(entry) && !ignored.contains(entry))
            .collect()
    }

    #[test]
    fn the_top_level_is_as_planned() {
        let entries: Vec<String> = fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let gitignore = fs::read_to_string(root().join(".gitignore")).unwrap();
        assert_eq!(
            unplanned(entries.iter().map(String::as_str), &gitignore),
            Vec::<&str>::new()
        );
        assert_eq!(
            unplanned(
                ["docs", "src", "tollgate-state", "scripts"].into_iter(),
                "/tollgate-state\n"
            ),
            ["docs", "scripts"]
        );
    }

    #[test]
    fn every_module_of_lib_is_in_the_table() {
        let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
        for line in lib.lines() {
            let declaration = line
                .trim()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            if let Some(module) = declaration
                .strip_prefix("mod ")
                .and_then(|rest| rest.strip_suffix(';'))
            {
                assert!(layer_of(module).is_some(), "`{module}` is in no layer");
            }
        }
    }

    #[test]
    fn a_module_stands_in_one_layer_and_a_crate_has_one_row() {
        let modules: Vec<_> = LAYERS.iter().copied().flatten().collect();
        assert_eq!(modules.iter().collect::<BTreeSet<_>>().len(), modules.len());
        assert_eq!(
            DOORS
                .iter()
                .map(|(krate, _)| krate)
                .collect::<BTreeSet<_>>()
                .len(),
            DOORS.len()
        );
        for (krate, places) in DOORS {
            for place in places {
                let module = place.split('/').next().unwrap().trim_end_matches(".rs");
                assert!(layer_of(module).is_some(), "{krate}: {place} is no module");
            }
        }
    }

    /// `text` in `path`, after a line of module docs, earns exactly one sentence holding `part`.
    fn breach(path: &str, text: &str, part: &str) {
        let faults = breaches(path, &format!("//! Docs.\n{text}\n"));
        assert!(
            faults.len() == 1 && faults[0].contains(part) && faults[0].starts_with(path),
            "{path}: {text}\n{faults:#?}"
        );
    }

    fn clean(path: &str, text: &str) {
        assert_eq!(
            breaches(path, &format!("//! Docs.\n{text}\n")),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }

    #[test]
    fn a_layer_that_names_a_higher_one_or_its_neighbour_is_found() {
        breach(
            "src/policy/mod.rs",
            "use crate::uas::Request;",
            "`policy` (layer 2) names `uas` (layer 3)",
        );
        breach(
            "src/policy.rs",
            "fn f() { crate::shard::run() }",
            "names `shard`",
        );
        breach(
            "src/sip/mod.rs",
            "use crate::{limits::X, net::Batch};",
            "`sip` (layer 1) names `net` (layer 1)",
        );
        breach("src/sip/mod.rs", "use super::net;", "names `net`");
        breach("src/sip/scan.rs", "use super::super::net;", "names `net`");
        breach(
            "src/sip/scan.rs",
            "mod tests { use super::super::super::policy::X; }",
            "names `policy`",
        );
        breach(
            "src/control/build.rs",
            "pub(crate) use crate::report as r;",
            "names `report`",
        );
        breach(
            "src/admin/mod.rs",
            "use crate::cluster::Peer;",
            "names `cluster`",
        );
        breach(
            "src/uas/mod.rs",
            "use crate::*;",
            "does not go through a module",
        );
        breach(
            "src/uas/mod.rs",
            "use crate as all;",
            "does not go through a module",
        );
        breach(
            "src/uas/mod.rs",
            "use crate::helpers::x;",
            "does not go through a module",
        );
        breach("src/helpers.rs", "fn f() {}", "in no layer");
        breach(
            "src/e164/mod.rs",
            "#[cfg(test)]\nmod tests { use crate::policy::X; }",
            ":3: `e164`",
        );

        clean(
            "src/uas/mod.rs",
            "use crate::{limits::X, policy::{Verdict, cell::Y}, sip};",
        );
        clean(
            "src/uas/tag.rs",
            "use super::Request; use crate::uas::x; mod tests { use super::*; use super::super::y; }",
        );
        clean("src/e164/mod.rs", "use crate::limits::DIGITS_MAX;");
        clean("src/cli/mod.rs", "use crate::process::run;");
        clean("src/main.rs", "use tollgate::cli::main_with;");
        clean(
            "src/lib.rs",
            "pub mod limits; pub mod net; pub use crate::net::X;",
        );
        clean(
            "src/policy/mod.rs",
            "// use crate::uas::Request;\nconst S: &str = \"crate::uas\";",
        );
    }

    #[test]
    fn a_crate_outside_its_door_is_found() {
        breach(
            "src/uas/mod.rs",
            "use mio::Poll;",
            "names `mio`, whose door is [\"net\", \"stream\"]",
        );
        breach(
            "src/net/mod.rs",
            "fn f() { unsafe_free(::libc::AF_INET) }",
            "names `libc`",
        );
        breach(
            "src/policy/mod.rs",
            "use arc_swap::ArcSwap;",
            "names `arc_swap`",
        );
        breach(
            "src/shard/mod.rs",
            "core_affinity::get_core_ids();",
            "names `core_affinity`",
        );
        breach(
            "src/policy/rows.rs",
            "#[derive(serde::Deserialize)] struct Row;",
            "names `serde`",
        );
        breach(
            "src/policy/rows.rs",
            "#[serde(default)] struct Row;",
            "names `serde`",
        );
        breach("src/sip/mod.rs", "use rsip::Request;", "names `rsip`");
        breach(
            "src/uas/mod.rs",
            "use tollgate::policy::X;",
            "names `tollgate`",
        );
        breach("src/policy/mod.rs", "use std::{fmt, fs};", "does no I/O");
        breach(
            "src/policy/mod.rs",
            "let s = std::net::UdpSocket::bind(a);",
            "does no I/O",
        );

        clean("src/net/mod.rs", "use mio::Poll; use socket2::Socket;");
        clean("src/policy/cell.rs", "use arc_swap::ArcSwap;");
        clean("src/shard/pin.rs", "core_affinity::get_core_ids();");
        clean("src/sys.rs", "use libc::recvmmsg;");
        clean("src/policy/mod.rs", "use std::net::IpAddr;");
        clean(
            "src/sip/mod.rs",
            "#[cfg(test)] mod tests { use rsip::Request; use proptest::prelude::*; }",
        );
        clean(
            "src/control/toml.rs",
            "use super::csv::Row; use toml::Value;",
        );
        clean(
            "loadgen/src/main.rs",
            "use hdrhistogram::Histogram; use rsip::Request;",
        );
    }

    #[test]
    fn unsafe_clocks_docs_and_ignored_tests_are_found() {
        breach(
            "src/net/mod.rs",
            "fn f() {\n unsafe { g() }\n}",
            ":3: `unsafe`",
        );
        breach("bench/src/lib.rs", "unsafe fn f() {}", "`unsafe`");
        breach("tests/wire.rs", "unsafe impl X for Y {}", "`unsafe`");
        breach("tests/fuzz/timed.rs", "unsafe fn f() {}", "`unsafe`");
        clean("tests/fuzz/ours.rs", "unsafe extern \"C\" {}");
        breach("loadgen/src/send.rs", "let x = unsafe { g() };", "`unsafe`");
        breach(
            "src/shard/mod.rs",
            "let now = std::time::Instant::now();",
            "only the clock",
        );
        breach(
            "loadgen/src/send.rs",
            "let now = SystemTime::now();",
            "only the clock",
        );
        breach(
            "loadgen/src/send.rs",
            "use tollgate::sip::Request;",
            "independent witness",
        );
        breach("loadgen/src/send.rs", "libc::getpid();", "loadgen/src/sys");
        breach(
            "tests/wire.rs",
            "#[test]\n#[ignore]\nfn f() {}",
            ":3: `#[ignore]`",
        );
        assert_eq!(breaches("tests/wire.rs", "fn f() {}\n").len(), 1);
        assert_eq!(breaches("src/lib.rs", "// Docs.\n").len(), 1);

        clean(
            "src/sys/mmsg.rs",
            "#![expect(unsafe_code, reason = \"the door\")]\nunsafe fn f() {}",
        );
        clean("loadgen/src/sys.rs", "unsafe fn f() { libc::getpid() }");
        clean(
            "tests/common/counting_allocator.rs",
            "unsafe impl X for Y {}",
        );
        clean("src/clock.rs", "let now = Instant::now();");
        clean("tests/wire.rs", "let text = \"unsafe\"; // #[ignore]");
    }
}
