//! The `run` command: prepares sockets, threads and switches, adds up what the engines measured.
//!
//! Promises: nothing is sent before every option, file and message has been checked; the first SIGINT or SIGTERM ends the
//! offering, the second ends the run, and both leave results. Leaves to `report`: what they say.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::check;
use crate::cli::{RunArgs, Switch};
use crate::clock::{Clock, nanos, wall_ns};
use crate::digest::Credentials;
use crate::engine::{Engine, Outputs, Plan, Port, Stop};
use crate::limits::{CALLS_MAX, START_DELAY_NS};
use crate::message::{Messages, Shape};
use crate::mix::{Mix, Times, select};
use crate::net::{self, Link, Links, SourcePlan};
use crate::pace::Offer;
use crate::random::SplitMix64;
use crate::record::Record;
use crate::report::{Environment, IntervalLine, Results};
use crate::source::Calls;
use crate::stats::{Interval, Stats};
use crate::sys;

/// How often the main thread looks at its signals.
const SIGNAL_LOOK: Duration = Duration::from_millis(50);

/// Offers the calls and returns what came of it. Progress, one line a second, goes to `progress`.
///
/// # Errors
/// A sentence for the operator about what cannot be done as asked; nothing has been sent then.
pub fn run(args: &RunArgs, progress: &mut dyn Write) -> Result<Results, String> {
    let calls = calls_of(args)?;
    run_calls(args, calls, progress)
}

/// As [`run`], with calls that the options do not name.
///
/// # Errors
/// As [`run`].
pub fn run_calls(
    args: &RunArgs,
    calls: Calls,
    progress: &mut dyn Write,
) -> Result<Results, String> {
    let target = args.target_address()?;
    let cores = cores_of(args)?;
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("signals: {error}"))?;
    let sources = SourcePlan {
        addresses: args.source.clone(),
        ports: args.source_ports.max(args.threads),
        first_port: args.first_port,
        joined: args.gro == Switch::On,
    };
    let Links { links, shortage } = net::open(&sources, target)?;
    if links.len() < args.threads {
        return Err(shortage.unwrap_or_else(|| "fewer source ports than threads".to_owned()));
    }
    let run_id = run_id();
    let environment = Environment::gather(target, &links, shortage, run_id);
    let shape = match args.gso {
        Switch::On => Shape::UdpRuns,
        Switch::Off => Shape::Udp,
    };
    let ports = ports_of(links, (target, run_id, shape), &calls, args.threads)?;
    let record = args.calls.as_deref().map(Record::create).transpose()?;
    let clock = Clock::start();
    let plan = Arc::new(plan_of(args, calls, clock.now() + START_DELAY_NS)?);
    let stop = Arc::new(Stop::default());
    let (out, intervals) = channel();
    let mut engines = Vec::with_capacity(ports.len());
    for (thread, ports) in (0..).zip(ports) {
        let core = cores.get(usize::try_from(thread).unwrap_or(0) % cores.len().max(1));
        engines.push(start_engine(
            &plan,
            &stop,
            clock,
            thread,
            ports,
            core.copied(),
            Outputs {
                seconds: out.clone(),
                record: record.as_ref().map(Record::recorder),
            },
        )?);
    }
    drop(out);
    let mut collector = Collector::new(engines.len());
    let signalled = watch(&mut collector, &intervals, &mut signals, &stop, progress);
    let mut stats = Stats::new();
    for engine in engines {
        match engine.join() {
            Ok(measured) => stats.add(measured),
            Err(_) => stats.broken = Some("an engine thread panicked".to_owned()),
        }
    }
    if let Some(fault) = record.and_then(|record| record.finish().err()) {
        stats.broken = Some(fault);
    }
    Ok(Results {
        environment,
        plan,
        stats,
        intervals: collector.finish(progress),
        signalled,
    })
}

fn plan_of(args: &RunArgs, calls: Calls, start: u64) -> Result<Plan, String> {
    let offer = Offer {
        rate_milli: args.rate,
        duration: nanos(args.duration),
        calls_max: args.calls_max.unwrap_or(CALLS_MAX),
        arrival: args.arrival,
        seed: args.seed,
    };
    let planned = u128::from(args.rate) * args.duration.as_millis() / 1_000_000;
    if args.calls_max.is_none() && planned > u128::from(CALLS_MAX / 2) {
        return Err(format!(
            "{planned} calls are more than one run can number ({})",
            CALLS_MAX / 2
        ));
    }
    Ok(Plan {
        calls,
        family: args.family.map(Into::into),
        profile: args.profile,
        offer,
        t1: nanos(args.t1),
        retransmit: args.retransmit == Switch::On,
        acks: args.acks == Switch::On,
        segments: args.gso == Switch::On,
        lose: share_of(args.lose),
        credentials: args.auth_password.clone().map(|password| Credentials {
            user: args.auth_user.clone(),
            password,
        }),
        options_every: args.options_every.map(nanos),
        spin: args.spin,
        lateness_max: nanos(args.lateness_max),
        threads: u64::try_from(args.threads).unwrap_or(1),
        start,
    })
}

/// A percentage as so many of 2³².
fn share_of(percent: f64) -> u32 {
    // Between neighbours of one in ten million, which is finer than any purpose.
    let share = Duration::try_from_secs_f64(percent / 100.0 * 4.294_967_295).unwrap_or_default();
    u32::try_from(share.as_nanos()).unwrap_or(u32::MAX)
}

fn calls_of(args: &RunArgs) -> Result<Calls, String> {
    if let Some(user) = args.user {
        return Ok(Calls::Fixed {
            mix: Mix::standard(args.seed),
            user,
            expected: args.expect.into(),
        });
    }
    select::calls(&args.mix, args.seed, Times::Rate(args.rate))
}

fn cores_of(args: &RunArgs) -> Result<Vec<core_affinity::CoreId>, String> {
    let Some(wanted) = &args.cores else {
        return Ok(Vec::new());
    };
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    wanted
        .0
        .iter()
        .map(|&id| {
            let known = allowed.iter().find(|core| core.id == id).copied();
            known.ok_or_else(|| {
                format!(
                    "core {id} is not among the {} that this machine lets us use",
                    allowed.len()
                )
            })
        })
        .collect()
}

/// A number that no other run of this machine has at the same time. Not a secret: it tells runs apart.
fn run_id() -> u32 {
    let mut random = SplitMix64::of(wall_ns(), u64::from(std::process::id()));
    random.below(u32::MAX)
}

/// Gives each thread its sockets, after their messages have been read back.
fn ports_of(
    links: Vec<Link>,
    (target, run_id, shape): (SocketAddr, u32, Shape),
    calls: &Calls,
    threads: usize,
) -> Result<Vec<Vec<Port>>, String> {
    let mut ports: Vec<Vec<Port>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, link) in links.into_iter().enumerate() {
        let messages = Messages::new(link.local, target, run_id, shape);
        if index == 0 {
            // All sockets have the same template but for their address.
            check::messages(&messages, calls, &[link.local, target])?;
        }
        if let Some(of_thread) = ports.get_mut(index % threads) {
            of_thread.push(Port { link, messages });
        }
    }
    Ok(ports)
}

fn start_engine(
    plan: &Arc<Plan>,
    stop: &Arc<Stop>,
    clock: Clock,
    thread: u64,
    ports: Vec<Port>,
    core: Option<core_affinity::CoreId>,
    out: Outputs,
) -> Result<JoinHandle<Stats>, String> {
    let (plan, stop) = (Arc::clone(plan), Arc::clone(stop));
    thread::Builder::new()
        .name(format!("engine-{thread}"))
        .spawn(move || {
            let pinned = core.is_none_or(core_affinity::set_for_current);
            sys::sleep_precisely();
            let mut stats = Engine::new(&plan, &stop, clock, thread, ports, out).run();
            if !pinned {
                stats.broken = Some("a thread could not be pinned to its core".to_owned());
            }
            stats
        })
        .map_err(|error| format!("thread: {error}"))
}

/// Collects seconds and obeys signals until all engines have ended; returns how many signals came.
fn watch(
    collector: &mut Collector,
    intervals: &Receiver<Interval>,
    signals: &mut Signals,
    stop: &Stop,
    progress: &mut dyn Write,
) -> usize {
    let mut signalled = 0;
    loop {
        for _ in signals.pending() {
            signalled += 1;
            if signalled == 1 {
                stop.offering();
                say(
                    progress,
                    "no more calls; waiting for those that are out (again to end now)",
                );
            } else {
                stop.everything();
            }
        }
        match intervals.recv_timeout(SIGNAL_LOOK) {
            Ok(interval) => collector.add(&interval, progress),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return signalled,
        }
    }
}

/// Adds the seconds of several engines up.
struct Collector {
    engines: usize,
    open: BTreeMap<u64, (Interval, usize)>,
    lines: Vec<IntervalLine>,
}

impl Collector {
    fn new(engines: usize) -> Self {
        Self {
            engines,
            open: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    fn add(&mut self, interval: &Interval, progress: &mut dyn Write) {
        let second = interval.second;
        let (sum, parts) = self
            .open
            .entry(second)
            .or_insert_with(|| (Interval::new(second), 0));
        sum.counts.add(&interval.counts);
        sum.from_intended.add(&interval.from_intended);
        *parts += 1;
        if *parts == self.engines {
            self.close(second, progress);
        }
    }

    fn close(&mut self, second: u64, progress: &mut dyn Write) {
        if let Some((interval, _)) = self.open.remove(&second) {
            let line = IntervalLine::of(&interval);
            say(progress, &line.to_string());
            self.lines.push(line);
        }
    }

    /// Engines do not end in the same second, so the last seconds may lack some.
    fn finish(mut self, progress: &mut dyn Write) -> Vec<IntervalLine> {
        while let Some(second) = self.open.keys().next().copied() {
            self.close(second, progress);
        }
        self.lines.sort_by_key(|line| line.second);
        self.lines
    }
}

/// Progress that nobody can read any more is no reason to end a run.
fn say(progress: &mut dyn Write, line: &str) {
    let _unread = writeln!(progress, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_engines_add_up_even_when_one_ends_earlier() {
        let mut collector = Collector::new(2);
        let mut progress = Vec::new();
        let mut interval = Interval::new(0);
        interval.counts.sent = 5;
        collector.add(&interval, &mut progress);
        assert!(progress.is_empty());
        collector.add(&interval, &mut progress);
        collector.add(&Interval::new(1), &mut progress);
        let lines = collector.finish(&mut progress);
        let sent: Vec<u64> = lines.iter().map(|line| line.counts.sent).collect();
        assert_eq!(sent, [10, 0]);
        assert_eq!(String::from_utf8(progress).unwrap().lines().count(), 2);
    }
}
