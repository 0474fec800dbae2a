//! What a run says: a verdict on itself, text for a person, JSON for a program.
//!
//! Promises: a run whose generator was late is invalid whatever the server did; the names of the JSON are those of
//! `tollgate-loadgen/1`, to which may be added but nothing renamed.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::clock::{Nanos, wall_ns};
use crate::conclusion::{Conclusion, conclude, drift_of};
use crate::engine::Plan;
use crate::histogram::Nanoseconds;
use crate::limits::TIMER_B_T1S;
use crate::net::Link;
use crate::stats::{Counts, Interval, Stats, Statuses};
use crate::yardstick::is_generator_bound;

/// The schema that the JSON follows.
pub const SCHEMA: &str = "tollgate-loadgen/1";

/// Where a run took place.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The server.
    pub target: SocketAddr,
    /// Local addresses, the first few.
    pub sources: Vec<SocketAddr>,
    /// How many sockets.
    pub source_ports: usize,
    /// Why there are fewer than asked for.
    pub shortage: Option<String>,
    /// Octets of receive buffer granted per socket, the smallest.
    pub receive_buffer: usize,
    /// Whether answers carry the kernel's time of arrival.
    pub stamped: bool,
    /// Whether calls travel on TCP connections.
    pub tcp: bool,
    /// Whether the kernel hands over runs of answers together.
    pub joined: bool,
    /// What tells this run's branches from others'.
    pub run_id: u32,
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub processor: String,
    /// Processors that may be used.
    pub processors: usize,
    /// Wall clock at the start, seconds since 1970.
    pub started_at: u64,
    /// Command line.
    pub command: String,
}

/// Source addresses that are listed; the rest is a number.
const SOURCES_LISTED: usize = 8;

impl Environment {
    /// Looks around.
    #[must_use]
    pub fn gather(
        target: SocketAddr,
        links: &[Link],
        shortage: Option<String>,
        run_id: u32,
    ) -> Self {
        Self {
            target,
            sources: links
                .iter()
                .map(|link| link.local)
                .take(SOURCES_LISTED)
                .collect(),
            source_ports: links.len(),
            shortage,
            receive_buffer: links
                .iter()
                .map(|link| link.receive_buffer)
                .min()
                .unwrap_or(0),
            tcp: links.iter().any(|link| link.wire.udp().is_none()),
            joined: links.iter().all(|link| link.joined),
            stamped: links.iter().all(|link| link.stamped),
            run_id,
            kernel: first_line("/proc/sys/kernel/osrelease"),
            processor: processor(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            started_at: wall_ns() / 1_000_000_000,
            command: command_line(),
        }
    }
}

/// The words that this program was started with.
#[must_use]
pub fn command_line() -> String {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model
        .and_then(|rest| rest.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim())
        .to_owned()
}

/// One second of the run.
#[derive(Debug, Clone, Copy)]
pub struct IntervalLine {
    /// Seconds since the start at which it begins.
    pub second: u64,
    /// What was counted in it.
    pub counts: Counts,
    /// Median from intended sending, in nanoseconds.
    pub p50: Nanos,
    /// 99th percentile from intended sending, in nanoseconds.
    pub p99: Nanos,
    /// Maximum from intended sending, in nanoseconds.
    pub max: Nanos,
}

impl IntervalLine {
    /// The line of an interval.
    #[must_use]
    pub fn of(interval: &Interval) -> Self {
        Self {
            second: interval.second,
            counts: interval.counts,
            p50: interval.from_intended.quantile(0.5),
            p99: interval.from_intended.quantile(0.99),
            max: interval.from_intended.max(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "second": self.second,
            "sent": self.counts.sent,
            "answered": self.counts.answered,
            "lost": self.counts.lost,
            "wrong": self.counts.wrong,
            "unexpected": self.counts.unexpected(),
            "duplicates": self.counts.duplicates,
            "retransmitted": self.counts.retransmitted,
            "latency_us": {"p50": micros(self.p50), "p99": micros(self.p99), "max": micros(self.max)},
        })
    }
}

impl fmt::Display for IntervalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        write!(
            f,
            "{:>5} s  sent {:>7}  answered {:>7}  lost {:>5}  wrong {:>4}  again {:>5}  ",
            self.second,
            counts.sent,
            counts.answered,
            counts.lost,
            counts.wrong,
            counts.retransmitted,
        )?;
        if self.max == 0 {
            return f.write_str("no call has ended yet");
        }
        write!(
            f,
            "p50 {:>8.1} us  p99 {:>9.1} us",
            micros(self.p50),
            micros(self.p99)
        )
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct Results {
    /// Where it took place.
    pub environment: Environment,
    /// What was to be done.
    pub plan: Arc<Plan>,
    /// What was measured.
    pub stats: Stats,
    /// Second by second.
    pub intervals: Vec<IntervalLine>,
    /// Signals that asked for an end.
    pub signalled: usize,
    /// What the generator itself does at most here, calls per second, if that is known.
    pub ceiling: Option<f64>,
}

/// A time in microseconds with three decimals.
#[must_use]
pub fn micros(nanos: Nanos) -> f64 {
    // From_nanos keeps every digit that a float of this size can show.
    std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

fn rounded(microseconds: f64) -> f64 {
    (microseconds * 1000.0).round() / 1000.0
}

const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
];

fn quantiles(histogram: &Nanoseconds) -> Value {
    let mut all = Map::new();
    for (name, share) in QUANTILES {
        all.insert(
            name.to_owned(),
            json!(rounded(micros(histogram.quantile(share)))),
        );
    }
    all.insert("max".to_owned(), json!(rounded(micros(histogram.max()))));
    Value::Object(all)
}

fn statuses_json(statuses: &Statuses) -> Value {
    let all: Map<String, Value> = statuses
        .iter()
        .map(|(status, count)| (status.to_string(), json!(count)))
        .collect();
    Value::Object(all)
}

impl Results {
    /// How the run ended.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let bounds = &self.plan.bounds;
        conclude(&self.stats, bounds, self.drift(), self.signalled > 0)
    }

    /// How latency went in the run: the last quarter's as so many times the first's. Needs eight seconds.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        drift_of(&self.intervals).filter(|_| self.intervals.len() >= 8)
    }

    /// The 99th percentile of latency from intended sending, in microseconds.
    #[must_use]
    pub fn p99_us(&self) -> f64 {
        rounded(micros(self.stats.from_intended.quantile(0.99)))
    }

    /// Wrong verdicts beyond those that are reported with their calls.
    fn wrong_unlisted(&self) -> u64 {
        let listed = u64::try_from(self.stats.wrong_calls.len()).unwrap_or(u64::MAX);
        self.stats.counts.wrong.saturating_sub(listed)
    }

    /// Answered calls per second of sending.
    #[must_use]
    pub fn answered_per_s(&self) -> Option<f64> {
        let (begun, ended) = self.stats.sending?;
        let seconds = std::time::Duration::from_nanos(ended - begun).as_secs_f64();
        (seconds > 0.0).then(|| float(self.stats.counts.answered) / seconds)
    }

    /// Whether the rate is so near the generator's ceiling that it may be the generator's own; `None` if that is not known.
    #[must_use]
    pub fn generator_bound(&self) -> Option<bool> {
        let rate = self.sent_per_s()?;
        Some(is_generator_bound(rate, self.ceiling?))
    }

    /// The JSON of `tollgate-loadgen/1`.
    #[must_use]
    pub fn json(&self) -> Value {
        let Conclusion {
            valid,
            reason,
            exit,
        } = self.conclusion();
        let stats = &self.stats;
        let counts = &stats.counts;
        json!({
            "schema": SCHEMA,
            "valid": valid,
            "reason": reason,
            "exit": exit,
            "command": self.environment.command,
            "seed": self.plan.offer.seed,
            "mix": self.plan.calls.label(),
            "environment": self.environment_json(),
            "offered_per_s": per_second(self.plan.offer.rate_milli),
            "sent_per_s": self.sent_per_s().map(rounded),
            "sent": counts.sent,
            "answered": counts.answered,
            "lost": counts.lost,
            "abandoned": counts.abandoned,
            "silent": counts.silent,
            "copies": counts.copies,
            "wrong": counts.wrong,
            "wrong_calls": stats.wrong_calls.iter().map(|call| json!({
                "call_id": call.call_id,
                "dialled": call.dialled,
                "agent": call.agent,
                "expected": call.expected,
                "status": call.status,
                "contact_user": call.contact_user,
            })).collect::<Vec<_>>(),
            "wrong_calls_unlisted": self.wrong_unlisted(),
            "unexpected": counts.unexpected(),
            "unexpected_kinds": {
                "late": counts.late,
                "provisional": counts.provisional,
                "success": counts.success,
                "unparsable": counts.unparsable,
                "foreign": counts.foreign,
                "mismatched": counts.mismatched,
            },
            "duplicates": counts.duplicates,
            "retransmitted": counts.retransmitted,
            "acks": counts.acks,
            "statuses": statuses_json(&stats.statuses),
            "latency_us": {
                "intended": quantiles(&stats.from_intended),
                "sent": quantiles(&stats.from_sent),
            },
            "lateness_us": quantiles(&stats.lateness),
            "network": {
                "refused": counts.refused,
                "forbidden": counts.forbidden,
                "unreachable": counts.unreachable,
                "send_buffer_full": counts.send_buffer_full,
                "send_failed": counts.send_failed,
                "acks_too_long": counts.acks_too_long,
                "receive_dropped": counts.receive_dropped,
                "connections_lost": counts.connections_lost,
                "gso_fallback": counts.gso_fallback,
                "lost_on_purpose": counts.lost_on_purpose,
            },
            "challenged": counts.challenged,
            "challenges_unknown": counts.challenges_unknown,
            "options": {
                "sent": counts.options_sent,
                "answered": counts.options_answered,
                "lost": counts.options_lost,
                "statuses": statuses_json(&stats.options_statuses),
                "latency_us": quantiles(&stats.from_options),
            },
            "ceiling_per_s": self.ceiling.map(f64::round),
            "generator_bound": self.generator_bound(),
            "drift": self.drift().map(rounded),
            "cpu_us_per_call": self.cpu_us_per_call().map(rounded),
            "cpu_system_us_per_call": self.per_call(stats.cpu_system_ns).map(rounded),
            "sends": counts.sends,
            "receives": counts.receives,
            "intervals": self.intervals.iter().map(IntervalLine::json).collect::<Vec<_>>(),
        })
    }

    /// Where the run took place, as JSON.
    #[must_use]
    pub fn environment_json(&self) -> Value {
        let environment = &self.environment;
        let t1_ms = self.plan.t1 / 1_000_000;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": environment.started_at,
            "run_id": format!("{:08x}", environment.run_id),
            "target": environment.target.to_string(),
            "sources": environment.sources.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
            "source_ports": environment.source_ports,
            "shortage": environment.shortage,
            "receive_buffer_bytes": environment.receive_buffer,
            "received_at": if environment.stamped { "kernel" } else { "read" },
            "threads": self.plan.threads,
            "transport": if environment.tcp { "tcp" } else { "udp" },
            "gso": self.plan.segments,
            "gro": environment.joined,
            "lose": f64::from(self.plan.lose) / f64::from(u32::MAX),
            "family": self.plan.family.map(|family| format!("{family:?}")),
            "spin": self.plan.spin,
            "batch_window_us": rounded(micros(self.plan.batch_window)),
            "profile": format!("{:?}", self.plan.profile),
            "arrival": format!("{:?}", self.plan.offer.arrival),
            "acks": self.plan.acks,
            "retransmit": self.plan.retransmit,
            "lateness_max_us": rounded(micros(self.plan.bounds.lateness_max)),
            "t1_ms": t1_ms,
            "timer_b_ms": t1_ms * TIMER_B_T1S,
            "kernel": environment.kernel,
            "processor": environment.processor,
            "processors": environment.processors,
        })
    }

    fn sent_per_s(&self) -> Option<f64> {
        let (begun, ended) = self.stats.sending?;
        // From the first call to the last there is one gap less than calls.
        let gaps = self
            .stats
            .counts
            .sent
            .checked_sub(1)
            .filter(|&gaps| gaps > 0)?;
        let seconds = std::time::Duration::from_nanos(ended - begun).as_secs_f64();
        (seconds > 0.0).then(|| float(gaps) / seconds)
    }

    fn cpu_us_per_call(&self) -> Option<f64> {
        self.per_call(self.stats.cpu_ns)
    }

    /// Of so many nanoseconds the microseconds that fall to a call.
    fn per_call(&self, nanos: Nanos) -> Option<f64> {
        let sent = self.stats.counts.sent;
        (sent > 0).then(|| micros(nanos) / float(sent))
    }
}

fn float(number: u64) -> f64 {
    std::time::Duration::from_secs(number).as_secs_f64()
}

fn per_second(milli: u64) -> f64 {
    std::time::Duration::from_millis(milli).as_secs_f64()
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.stats.counts;
        let environment = &self.environment;
        let offered = per_second(self.plan.offer.rate_milli);
        let sent_per_s = self
            .sent_per_s()
            .map_or_else(String::new, |rate| format!(", {rate:.0}/s"));
        writeln!(
            f,
            "target        {}, {} source ports, receive buffer {} KiB granted",
            environment.target,
            environment.source_ports,
            environment.receive_buffer / 1024
        )?;
        if let Some(shortage) = &environment.shortage {
            writeln!(f, "shortage      {shortage}")?;
        }
        writeln!(
            f,
            "mix           {}, seed {}",
            self.plan.calls.label(),
            self.plan.offer.seed
        )?;
        writeln!(
            f,
            "calls         {} sent ({offered} offered/s{sent_per_s}), {} answered, {} lost at Timer B, {} wrong",
            counts.sent, counts.answered, counts.lost, counts.wrong
        )?;
        writeln!(
            f,
            "again         {} INVITEs retransmitted, {} duplicate answers, {} ACKs",
            counts.retransmitted, counts.duplicates, counts.acks
        )?;
        if counts.silent + counts.copies > 0 {
            writeln!(
                f,
                "on purpose    {} datagrams to have no answer, {} copies sent at once",
                counts.silent, counts.copies
            )?;
        }
        if counts.options_sent > 0 {
            writeln!(
                f,
                "options       {} sent, {} answered, {} lost, p99 {:.1} us",
                counts.options_sent,
                counts.options_answered,
                counts.options_lost,
                micros(self.stats.from_options.quantile(0.99))
            )?;
        }
        let statuses: Vec<String> = self
            .stats
            .statuses
            .iter()
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        writeln!(f, "statuses      {}", statuses.join("  "))?;
        for (name, histogram) in [
            ("latency", &self.stats.from_intended),
            ("from sending", &self.stats.from_sent),
            ("lateness", &self.stats.lateness),
        ] {
            write!(f, "{name:<13}")?;
            for (name, share) in QUANTILES {
                write!(f, " {name} {:.1}", micros(histogram.quantile(share)))?;
            }
            writeln!(f, " max {:.1} us", micros(histogram.max()))?;
        }
        if let Some(ceiling) = self.ceiling {
            let mark = match self.generator_bound() {
                Some(true) => "; GENERATOR-BOUND: this rate may be the generator's own",
                Some(false) | None => "",
            };
            writeln!(
                f,
                "ceiling       {ceiling:.0} calls/s of the generator itself{mark}"
            )?;
        }
        if let Some(cost) = self.cpu_us_per_call() {
            let system = self.per_call(self.stats.cpu_system_ns).unwrap_or(0.0);
            writeln!(
                f,
                "generator     {cost:.2} us of processor time a call, {system:.2} of it in the kernel"
            )?;
        }
        for (count, what) in [
            (counts.abandoned, "calls still open at the end"),
            (counts.late, "answers after Timer B"),
            (counts.provisional, "provisional answers"),
            (counts.success, "2xx answers"),
            (counts.unparsable, "datagrams that are no SIP answer"),
            (counts.foreign, "answers to branches of others"),
            (
                counts.mismatched,
                "answers that do not repeat their call's Call-ID, tag, CSeq or port",
            ),
            (counts.refused, "times the target's port was closed (ICMP)"),
            (
                counts.forbidden,
                "datagrams forbidden by this machine (EPERM)",
            ),
            (counts.unreachable, "datagrams without a route"),
            (counts.send_buffer_full, "waits for a full send buffer"),
            (counts.send_failed, "datagrams that could not be sent"),
            (counts.acks_too_long, "ACKs too long for a datagram"),
            (
                counts.gso_fallback,
                "times this path could not carry runs of datagrams: they went one by one",
            ),
            (
                counts.connections_lost,
                "connections that the server ended or that broke",
            ),
            (counts.lost_on_purpose, "datagrams lost on purpose"),
            (counts.challenged, "calls sent again with credentials"),
            (
                counts.challenges_unknown,
                "challenges that ask for an algorithm or protection unknown here",
            ),
            (
                counts.receive_dropped,
                "answers dropped by the generator's own full receive buffer",
            ),
        ] {
            if count > 0 {
                writeln!(f, "note          {count} {what}")?;
            }
        }
        for call in &self.stats.wrong_calls {
            writeln!(
                f,
                "wrong         {} expected {}, got {}{} (agent {}, Call-ID {})",
                call.dialled,
                call.expected,
                call.status,
                call.contact_user
                    .as_ref()
                    .map_or_else(String::new, |user| format!(" to {user}")),
                call.agent,
                call.call_id
            )?;
        }
        let unlisted = self.wrong_unlisted();
        if unlisted > 0 {
            writeln!(f, "wrong         and {unlisted} more")?;
        }
        let Conclusion {
            valid,
            reason,
            exit,
        } = self.conclusion();
        let word = match (valid, exit) {
            (false, _) => "INVALID",
            (true, 0) => "met",
            (true, _) => "MISSED",
        };
        match reason {
            Some(reason) => writeln!(f, "result        {word}: {reason}"),
            None => writeln!(f, "result        {word}"),
        }
    }
}
