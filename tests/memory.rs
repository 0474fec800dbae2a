//! What a node with the sample bundle occupies after the load of a busy one: what `tests/long memory` runs.
//!
//! Promises: the node is `tollgate serve` as it comes, with the sample as files; what is judged is `VmRSS` of proc(5) after the
//! last call, and every call must have been answered as it should.
//!
//! `TOLLGATE_LOADGEN` names the generator's program; `TOLLGATE_MEMORY_RATE` (20,000 calls a second), `TOLLGATE_MEMORY_SECONDS` (10)
//! and `TOLLGATE_MEMORY_MAX_KIB` (65,536) change what is done and asked.

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    reason = "each test uses its own part of what is shared, so no one set of expectations fits"
)]
#[allow(dead_code, reason = "each test uses its own part of what is shared")]
mod common;
#[cfg(test)]
#[path = "common/record.rs"]
mod record;

#[cfg(test)]
mod memory {
    use super::common::server::{Server, node_toml, scratch, write_files};
    use super::record::Record;
    use std::fs;
    use std::process::{Command, Stdio};
    use tollgate::control::SAMPLE_BUNDLE;

    fn setting(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    }

    /// A line of `status` of proc(5), KiB.
    fn kib(pid: u32, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let text = line.unwrap().trim_start_matches(':').trim();
        text.trim_end_matches(" kB").parse().unwrap()
    }

    /// The mappings that occupy most, KiB, with what they are.
    fn largest(pid: u32) -> Vec<(u64, String)> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
        let mut mappings: Vec<(u64, String)> = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some(range) if range.contains('-') => {
                    let name = words.nth(4).unwrap_or("anonymous");
                    mappings.push((0, name.to_owned()));
                }
                Some("Rss:") => {
                    mappings.last_mut().unwrap().0 = words.next().unwrap().parse().unwrap()
                }
                _ => {}
            }
        }
        mappings.sort();
        mappings.into_iter().rev().take(6).collect()
    }

    #[test]
    fn a_node_with_the_sample_stays_under_64_mib_under_load() {
        let rate = setting("TOLLGATE_MEMORY_RATE", 20_000);
        let seconds = setting("TOLLGATE_MEMORY_SECONDS", 10);
        let max_kib = setting("TOLLGATE_MEMORY_MAX_KIB", 65_536);
        let folder = scratch("memory");
        for (path, text) in SAMPLE_BUNDLE {
            write_files(&folder, &[(&format!("bundle/{path}"), text)]);
        }
        write_files(&folder, &[("tollgate.toml", &node_toml(&folder))]);
        let server = Server::start(&folder);
        let at_start = kib(server.pid(), "VmRSS");
        let program = std::env::var("TOLLGATE_LOADGEN")
            .expect("TOLLGATE_LOADGEN is to name the generator's program, as tests/long does");
        let generated = Command::new(program)
            .args(["run", "--target", &server.udp.to_string()])
            .args(["--rate", &rate.to_string()])
            .args(["--duration", &format!("{seconds}s")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let resident = kib(server.pid(), "VmRSS");
        let most = kib(server.pid(), "VmHWM");
        println!("{}", String::from_utf8_lossy(&generated.stdout));
        // 3: the generator was late, and its times are not to be believed. Its verdicts are.
        assert!(
            matches!(generated.status.code(), Some(0 | 3)),
            "{generated:?}"
        );

        let about = format!(
            "`tollgate serve` with the sample bundle, one shard, after {rate} calls a second for {seconds} s, all answered as they should be."
        );
        let mut record = Record::of("memory", &about);
        record.figure(
            "resident after the calls",
            format!("{resident} KiB"),
            &format!("less than {max_kib} KiB"),
        );
        record.figure("the most at any moment", format!("{most} KiB"), "");
        record.figure("resident at the start", format!("{at_start} KiB"), "");
        for (kib, name) in largest(server.pid()) {
            let name = name.rsplit('/').next().unwrap_or_default();
            record.figure(
                &format!("of it, a mapping ({name})"),
                format!("{kib} KiB"),
                "",
            );
        }
        record.write();
        assert!(resident < max_kib, "{resident} KiB");
        assert!(server.stop().status.success());
        fs::remove_dir_all(&folder).unwrap();
    }
}
