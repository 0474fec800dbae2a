//! `tollgate doctor`: what of this machine is not as a node would have it, what that costs, how to change it and back.
//!
//! Promises: reads files below /proc and /sys and changes nothing; what cannot be read is said, not guessed.

use crate::control::NodeConfig;
use crate::limits::RECEIVE_BUFFER_BYTES;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Descriptors beside those of the sockets: standard ones, event loops, the admin port and its connections.
const OTHER_DESCRIPTORS: u64 = 256;

/// What the backlog of a core should hold, datagrams: 20 ms at 500,000 a second.
const BACKLOG_MIN: u64 = 10_000;

/// The machine's own words about itself.
pub(super) trait Machine {
    /// A file's text; `None` when it cannot be read.
    fn text(&self, path: &str) -> Option<String>;
    /// The names in a folder; none when it cannot be read.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// This one.
#[derive(Debug)]
pub(super) struct ThisMachine;

impl Machine for ThisMachine {
    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Report {
    fine: Vec<String>,
    differs: Vec<String>,
    unknown: Vec<String>,
}

impl Report {
    /// Something that is not as it should be: what, what it costs, how to change it, how to undo that.
    fn differs(&mut self, what: &str, costs: &str, change: &str, undo: &str) {
        self.differs.push(format!(
            "{what}\n    costs:  {costs}\n    change: {change}\n    undo:   {undo}"
        ));
    }
}

/// Looks at the machine for a node with this configuration, whose shards stay on `cores`.
pub(super) fn text(
    machine: &dyn Machine,
    node: &NodeConfig,
    cores: &[Option<usize>],
    allowed: &[usize],
) -> String {
    let mut report = Report::default();
    let pinned: BTreeSet<usize> = cores.iter().copied().flatten().collect();
    receive_buffer(machine, &mut report);
    backlog(machine, &mut report);
    core_count(cores.len(), allowed, &mut report);
    interrupts(machine, &pinned, &mut report);
    governor(machine, &pinned, &mut report);
    descriptors(machine, cores.len() * node.listeners.len(), &mut report);
    tracking(machine, node, &mut report);
    dropped(machine, &mut report);
    let mut text = String::new();
    for (mark, lines) in [
        ("DIFFERS", &report.differs),
        ("unknown", &report.unknown),
        ("fine", &report.fine),
    ] {
        for line in lines {
            // Writing to a String does not fail.
            let _always_ok = writeln!(text, "{mark}: {line}");
        }
    }
    text
}

fn number(machine: &dyn Machine, path: &str) -> Option<u64> {
    machine.text(path)?.trim().parse().ok()
}

fn receive_buffer(machine: &dyn Machine, report: &mut Report) {
    let wanted = u64::try_from(RECEIVE_BUFFER_BYTES).unwrap_or(u64::MAX);
    match number(machine, "/proc/sys/net/core/rmem_max") {
        None => report
            .unknown
            .push("net.core.rmem_max cannot be read".to_owned()),
        Some(granted) if granted < wanted => report.differs(
            &format!("net.core.rmem_max is {granted}; {wanted} wanted"),
            "bursts that do not fit are dropped and come back as retransmissions, half a second late; with CAP_NET_ADMIN (as in tuning/tollgate.service) the limit does not bind",
            &format!("sysctl -w net.core.rmem_max={wanted} (for good: tuning/90-tollgate.conf), then restart tollgate"),
            &format!("sysctl -w net.core.rmem_max={granted}"),
        ),
        Some(granted) => report.fine.push(format!("net.core.rmem_max is {granted}")),
    }
}

fn backlog(machine: &dyn Machine, report: &mut Report) {
    match number(machine, "/proc/sys/net/core/netdev_max_backlog") {
        None => report
            .unknown
            .push("net.core.netdev_max_backlog cannot be read".to_owned()),
        Some(now) if now < BACKLOG_MIN => report.differs(
            &format!("net.core.netdev_max_backlog is {now}; {BACKLOG_MIN} wanted"),
            "with receive packet steering or many cards, datagrams are lost before any counter of Tollgate sees them",
            &format!("sysctl -w net.core.netdev_max_backlog={BACKLOG_MIN} (for good: tuning/90-tollgate.conf)"),
            &format!("sysctl -w net.core.netdev_max_backlog={now}"),
        ),
        Some(now) => report
            .fine
            .push(format!("net.core.netdev_max_backlog is {now}")),
    }
}

fn core_count(shards: usize, allowed: &[usize], report: &mut Report) {
    if shards < allowed.len() {
        report.fine.push(format!(
            "shards {shards}, cores that we may use {}: one is left for the rest",
            allowed.len()
        ));
        return;
    }
    report.differs(
        &format!("shards {shards}, but only {} cores that we may use", allowed.len()),
        "the kernel's network work, the admin port and the building of policies take turns with the shards: the slowest answers get slower",
        "node.shards = \"auto\", or a machine with one core more",
        "set node.shards as it was",
    );
}

fn interrupts(machine: &dyn Machine, shard_cores: &BTreeSet<usize>, report: &mut Report) {
    if shard_cores.is_empty() {
        return;
    }
    let mut shared = Vec::new();
    let mut seen = 0_usize;
    for card in machine.names("/sys/class/net") {
        let device = format!("/sys/class/net/{card}/device");
        // A virtio card's interrupts are its parent's.
        let numbers = [
            machine.names(&format!("{device}/msi_irqs")),
            machine.names(&format!("{device}/../msi_irqs")),
        ];
        for interrupt in numbers.concat() {
            let folder = format!("/proc/irq/{interrupt}");
            let list = machine
                .text(&format!("{folder}/effective_affinity_list"))
                .filter(|text| !text.trim().is_empty())
                .or_else(|| machine.text(&format!("{folder}/smp_affinity_list")));
            let Some(list) = list else { continue };
            seen += 1;
            if cores_in(&list)
                .iter()
                .any(|core| shard_cores.contains(core))
            {
                shared.push((card.clone(), interrupt, list.trim().to_owned()));
            }
        }
    }
    if seen == 0 {
        report
            .unknown
            .push("no interrupts of network cards are visible here".to_owned());
        return;
    }
    if shared.is_empty() {
        report
            .fine
            .push(format!("network interrupts {seen}, none on a shard's core"));
        return;
    }
    for (card, interrupt, list) in shared {
        report.differs(
            &format!("interrupt {interrupt} of {card} comes to core {list}, where a shard runs"),
            "the card and the shard take turns: batches wait while the card is served",
            &format!("stop irqbalance, then write a core without a shard into /proc/irq/{interrupt}/smp_affinity_list"),
            &format!("echo {list} > /proc/irq/{interrupt}/smp_affinity_list"),
        );
    }
}

/// `0-2,5` as numbers.
fn cores_in(list: &str) -> Vec<usize> {
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

fn governor(machine: &dyn Machine, shard_cores: &BTreeSet<usize>, report: &mut Report) {
    for core in shard_cores {
        let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        // A virtual machine has none; its host decides.
        let Some(governor) = machine.text(&path) else {
            continue;
        };
        let governor = governor.trim();
        if governor != "performance" {
            report.differs(
                &format!("core {core} has the frequency governor {governor}"),
                "after idling the first calls are decided at a low clock",
                &format!("echo performance > {path}"),
                &format!("echo {governor} > {path}"),
            );
        }
    }
}

fn descriptors(machine: &dyn Machine, sockets: usize, report: &mut Report) {
    let needed = u64::try_from(sockets)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_DESCRIPTORS);
    let limits = machine.text("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .map(str::to_owned);
    match soft.as_deref() {
        Some("unlimited") => report.fine.push("open files are not limited".to_owned()),
        Some(text) => match text.parse::<u64>() {
            Ok(soft) if soft < needed => report.differs(
                &format!("this shell may open {soft} files; {needed} wanted"),
                "the node does not start, or the admin port refuses connections",
                &format!("ulimit -n {needed}, or LimitNOFILE= in the service"),
                &format!("ulimit -n {soft}"),
            ),
            Ok(soft) => report
                .fine
                .push(format!("open files up to {soft}, {needed} wanted")),
            Err(_) => report
                .unknown
                .push(format!("the limit of open files reads {text}")),
        },
        None => report
            .unknown
            .push("/proc/self/limits cannot be read".to_owned()),
    }
}

fn tracking(machine: &dyn Machine, node: &NodeConfig, report: &mut Report) {
    let Some(max) = number(machine, "/proc/sys/net/netfilter/nf_conntrack_max") else {
        report
            .fine
            .push("connections are not tracked (no nf_conntrack)".to_owned());
        return;
    };
    let ports: BTreeSet<u16> = node
        .listeners
        .iter()
        .map(|listener| listener.udp.port())
        .filter(|port| *port != 0)
        .collect();
    let Some(table) = machine.text("/proc/net/nf_conntrack") else {
        let used = number(machine, "/proc/sys/net/netfilter/nf_conntrack_count").unwrap_or(0);
        report.unknown.push(format!(
            "connections are tracked ({used} of {max}), but /proc/net/nf_conntrack cannot be read: whether those of the SIP port are is not known"
        ));
        return;
    };
    for port in ports {
        let wanted = format!(" dport={port} ");
        let tracked = table
            .lines()
            .filter(|line| line.contains(" udp ") && line.contains(&wanted))
            .count();
        if tracked == 0 {
            report.fine.push(format!(
                "datagrams to port {port} are not tracked as connections"
            ));
            continue;
        }
        report.differs(
            &format!("the kernel tracks {tracked} connections to port {port} (room for {max})"),
            "a look-up and a lock for every datagram, and when the table is full datagrams are dropped unseen",
            &format!(
                "nft add table inet tollgate; nft 'add chain inet tollgate in {{ type filter hook prerouting priority raw; }}'; nft 'add chain inet tollgate out {{ type filter hook output priority raw; }}'; nft add rule inet tollgate in udp dport {port} notrack; nft add rule inet tollgate out udp sport {port} notrack"
            ),
            "nft delete table inet tollgate",
        );
    }
}

/// Of all sockets of the machine, since it booted: a hint, not a fault.
fn dropped(machine: &dyn Machine, report: &mut Report) {
    let text = machine.text("/proc/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        report
            .unknown
            .push("/proc/net/snmp cannot be read".to_owned());
        return;
    };
    let full = names
        .split(' ')
        .zip(values.split(' '))
        .find(|(name, _)| *name == "RcvbufErrors")
        .and_then(|(_, value)| value.parse::<u64>().ok());
    if let Some(full @ 1..) = full {
        report.unknown.push(format!(
            "this machine has dropped {full} datagrams at full receive buffers since it booted; tollgate_kernel_dropped_total says how many were ours"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{self, Source};
    use std::collections::HashMap;

    /// A machine of a few files.
    struct Written(HashMap<&'static str, &'static str>);

    impl Machine for Written {
        fn text(&self, path: &str) -> Option<String> {
            self.0.get(path).map(|text| (*text).to_owned())
        }

        fn names(&self, folder: &str) -> Vec<String> {
            self.0
                .get(folder)
                .map(|text| text.split(' ').map(str::to_owned).collect())
                .unwrap_or_default()
        }
    }

    fn told(
        files: &[(&'static str, &'static str)],
        cores: &[Option<usize>],
        allowed: &[usize],
    ) -> String {
        let node = control::load(&Source::Sample).unwrap().node;
        text(
            &Written(files.iter().copied().collect()),
            &node,
            cores,
            allowed,
        )
    }

    const FINE: [(&str, &str); 9] = [
        ("/proc/sys/net/core/rmem_max", "4194304\n"),
        ("/proc/sys/net/core/netdev_max_backlog", "10000\n"),
        (
            "/proc/self/limits",
            "Limit  Soft  Hard  Units\nMax open files            1024                 524288               files\n",
        ),
        ("/sys/class/net", "lo eth0"),
        ("/sys/class/net/eth0/device/msi_irqs", "30"),
        ("/proc/irq/30/effective_affinity_list", "0\n"),
        (
            "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
            "performance\n",
        ),
        (
            "/proc/net/snmp",
            "Udp: InDatagrams RcvbufErrors\nUdp: 5 0\n",
        ),
        ("/proc/net/nf_conntrack", ""),
    ];

    #[test]
    fn a_machine_as_it_should_be_differs_in_nothing() {
        let text = told(&FINE, &[Some(1)], &[0, 1]);
        assert!(
            !text.contains("DIFFERS") && !text.contains("unknown"),
            "{text}"
        );
        assert!(
            text.contains("fine: net.core.rmem_max is 4194304\n"),
            "{text}"
        );
        assert!(
            text.contains("fine: network interrupts 1, none on a shard's core\n"),
            "{text}"
        );
    }

    #[test]
    fn what_differs_is_said_with_its_cost_and_its_undoing() {
        for (changed, cores, parts) in [
            (
                [("/proc/sys/net/core/rmem_max", "212992\n")].as_slice(),
                &[Some(1)],
                [
                    "net.core.rmem_max is 212992; 4194304 wanted",
                    "undo:   sysctl -w net.core.rmem_max=212992\n",
                ],
            ),
            (
                &[("/proc/irq/30/effective_affinity_list", "1\n")],
                &[Some(1)],
                [
                    "interrupt 30 of eth0 comes to core 1, where a shard runs",
                    "undo:   echo 1 > /proc/irq/30/smp_affinity_list\n",
                ],
            ),
            (
                &[(
                    "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
                    "powersave\n",
                )],
                &[Some(1)],
                [
                    "core 1 has the frequency governor powersave",
                    "undo:   echo powersave > ",
                ],
            ),
            (
                &[(
                    "/proc/self/limits",
                    "Max open files            64     64     files\n",
                )],
                &[Some(1)],
                [
                    "this shell may open 64 files; 257 wanted",
                    "undo:   ulimit -n 64\n",
                ],
            ),
            (
                &[
                    ("/proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
                    (
                        "/proc/net/nf_conntrack",
                        "ipv4 2 udp 17 29 src=192.0.2.1 dst=192.0.2.2 sport=5060 dport=5060 src=192.0.2.2 \n",
                    ),
                ],
                &[Some(1)],
                [
                    "the kernel tracks 1 connections to port 5060",
                    "undo:   nft delete table inet tollgate\n",
                ],
            ),
        ] {
            let mut files = FINE.to_vec();
            files.extend(changed);
            let text = told(&files, cores, &[0, 1]);
            assert_eq!(text.matches("DIFFERS").count(), 1, "{text}");
            for part in parts {
                assert!(text.contains(part), "{part} is missing in\n{text}");
            }
        }
        let text = told(&FINE, &[Some(1)], &[1]);
        assert!(
            text.contains("DIFFERS: shards 1, but only 1 cores"),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        let text = told(&[], &[Some(1)], &[0, 1]);
        assert!(!text.contains("DIFFERS"), "{text}");
        for part in [
            "net.core.rmem_max",
            "/proc/self/limits",
            "/proc/net/snmp",
            "no interrupts",
        ] {
            assert!(
                text.lines()
                    .any(|line| line.starts_with("unknown: ") && line.contains(part)),
                "{part}: {text}"
            );
        }
    }

    #[test]
    fn core_lists_are_numbers_and_ranges() {
        assert_eq!(cores_in("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cores_in(""), Vec::<usize>::new());
    }
}
