//! The `run` command: prepares sockets, threads and switches, adds up what the engines measured.
//!
//! Promises: nothing is sent before every option, file and message has been checked; the first SIGINT or SIGTERM ends the
//! offering, the second ends the run, and both leave results. Leaves to `report`: what they say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::check;
use crate::cli::values::Ceiling;
use crate::cli::{Cores, RunArgs, Switch, Transport};
use crate::clock::{Clock, nanos, wall_ns};
use crate::conclusion::Bounds;
use crate::digest::Credentials;
use crate::engine::{Engine, Outputs, Plan, Port, Stop};
use crate::limits::{CALLS_MAX, START_DELAY_NS};
use crate::message::{Messages, Shape};
use crate::mix::{Mix, Times, select};
use crate::net::{self, Link, Links, SourcePlan};
use crate::outputs::Seconds;
use crate::pace::Offer;
use crate::random::SplitMix64;
use crate::record::Record;
use crate::report::{Environment, IntervalLine, Results};
use crate::screen::Progress;
use crate::source::Calls;
use crate::stats::{Interval, Stats};
use crate::sys;
use crate::yardstick::Yardstick;

/// How often the main thread looks at its signals.
const SIGNAL_LOOK: Duration = Duration::from_millis(50);

/// What a run is given beside its options.
pub struct Course<'a> {
    /// Who is told how it goes.
    pub progress: &'a mut dyn Progress,
    /// How many calls of a thread are out at most. `None`: the loop is open.
    pub calls_out: Option<u64>,
    /// After what time of the clock no more calls are made, whatever was offered.
    pub offer_for: Option<Duration>,
    /// Asked now and then whether the run is to end at once, with calls that are out: nobody wants to know any more what comes of it.
    pub cut_short: Option<&'a dyn Fn() -> bool>,
    /// What a signal does.
    pub on_signal: OnSignal,
}

/// What SIGINT or SIGTERM does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// The first ends the offering, the second the run.
    EndOffering,
    /// The first ends the run: it is one of several, and none of them is wanted any more.
    EndNow,
    /// Nothing: whoever started the run looks after signals.
    Ignore,
}

impl std::fmt::Debug for Course<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Course")
            .field("calls_out", &self.calls_out)
            .field("offer_for", &self.offer_for)
            .field("on_signal", &self.on_signal)
            .finish_non_exhaustive()
    }
}

/// Offers the calls in open loop and returns what came of it.
///
/// # Errors
/// A sentence for the operator about what cannot be done as asked; nothing has been sent then.
pub fn run_open(
    args: &RunArgs,
    drift_max: Option<f64>,
    progress: &mut dyn Progress,
) -> Result<Results, String> {
    run_calls(args, calls_of(args)?, drift_max, progress)
}

/// As [`run_open`], with calls that the options do not name.
///
/// # Errors
/// As [`run_open`].
pub fn run_calls(
    args: &RunArgs,
    calls: Calls,
    drift_max: Option<f64>,
    progress: &mut dyn Progress,
) -> Result<Results, String> {
    let ceiling = match args.ceiling {
        None => None,
        Some(Ceiling::Known(rate)) => Some(rate),
        Some(Ceiling::Measure) => {
            let yardstick = Yardstick::start(args, None)?;
            let rate = yardstick.reading(CEILING_LENGTH);
            yardstick.finish();
            Some(rate?)
        }
    };
    let course = Course {
        progress,
        calls_out: None,
        offer_for: None,
        cut_short: None,
        on_signal: OnSignal::EndOffering,
    };
    let mut results = run_with(args, calls, course, drift_max)?;
    results.ceiling = ceiling;
    Ok(results)
}

/// How long `--ceiling measure` measures.
const CEILING_LENGTH: Duration = Duration::from_secs(1);

/// Makes the calls of a course and returns what came of it.
///
/// # Errors
/// As [`run_open`].
pub fn run(args: &RunArgs, course: Course<'_>) -> Result<Results, String> {
    run_with(args, calls_of(args)?, course, None)
}

fn run_with(
    args: &RunArgs,
    calls: Calls,
    course: Course<'_>,
    drift_max: Option<f64>,
) -> Result<Results, String> {
    let Course {
        progress,
        calls_out,
        offer_for,
        cut_short,
        on_signal,
    } = course;
    let target = args.target_address()?;
    if args.transport == Transport::Tcp && args.lose > 0.0 {
        return Err("--lose is of datagrams; TCP would bring them all the same".to_owned());
    }
    let cores = cores_of(args.cores.as_ref())?;
    let signals = signals()?;
    let sources = SourcePlan {
        addresses: args.source.clone(),
        ports: args.source_ports.max(args.threads),
        first_port: args.first_port,
        joined: args.gro == Switch::On,
        tcp: args.transport == Transport::Tcp,
    };
    let Links { links, shortage } = net::open(&sources, target)?;
    if links.len() < args.threads {
        return Err(shortage.unwrap_or_else(|| "fewer source ports than threads".to_owned()));
    }
    let run_id = run_id();
    let environment = Environment::gather(target, &links, shortage, run_id);
    let shape = match (args.transport, args.gso) {
        (Transport::Tcp, _) => Shape::Tcp,
        (Transport::Udp, Switch::On) => Shape::UdpRuns,
        (Transport::Udp, Switch::Off) => Shape::Udp,
    };
    let ports = ports_of(links, (target, run_id, shape), &calls, args.threads)?;
    let record = args.calls.as_deref().map(Record::create).transpose()?;
    let files = Seconds::create(
        args.csv.as_deref(),
        args.interval_log.as_deref(),
        per_second(args.rate),
        environment.started_at,
    )?;
    let clock = Clock::start();
    let start = clock.now() + START_DELAY_NS;
    let mut plan = plan_of(args, calls, start, drift_max)?;
    plan.calls_out = calls_out;
    let plan = Arc::new(plan);
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
    let mut collector = Collector::new(engines.len(), files, progress);
    let offer_until = offer_for.map(|length| start + nanos(length));
    let no_more = || offer_until.is_some_and(|until| clock.now() >= until);
    let ends = Ends {
        no_more: &no_more,
        cut_short,
    };
    let mut signals = Obeyed(signals, on_signal);
    let signalled = watch(&mut collector, &intervals, &mut signals, &stop, &ends);
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
    let (intervals, written) = collector.finish();
    if let Err(fault) = written {
        stats.broken = Some(fault);
    }
    Ok(Results {
        environment,
        plan,
        stats,
        intervals,
        signalled,
        ceiling: None,
    })
}

fn plan_of(
    args: &RunArgs,
    calls: Calls,
    start: u64,
    drift_max: Option<f64>,
) -> Result<Plan, String> {
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
        // RFC 3261 §17.1.1.2: Timer A is for unreliable transports.
        retransmit: args.retransmit == Switch::On && args.transport == Transport::Udp,
        acks: args.acks == Switch::On,
        segments: args.gso == Switch::On,
        lose: share_of(args.lose),
        credentials: args.auth_password.clone().map(|password| Credentials {
            user: args.auth_user.clone(),
            password,
        }),
        options_every: args.options_every.map(nanos),
        spin: args.spin,
        batch_window: nanos(args.batch_window),
        calls_out: None,
        bounds: Bounds {
            lateness_max: nanos(args.lateness_max),
            lost_max: args.lost_max,
            latency_max: [
                ("p50", 0.5, args.p50_max.map(nanos)),
                ("p99", 0.99, args.p99_max.map(nanos)),
                ("p999", 0.999, args.p999_max.map(nanos)),
            ],
            drift_max,
        },
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
    let planned = u128::from(args.rate) * args.duration.as_nanos() / 1_000_000_000_000 + 1;
    let planned = u64::try_from(planned).unwrap_or(u64::MAX);
    let calls = args.calls_max.map_or(planned, |most| most.min(planned));
    let begins = wall_ns() + START_DELAY_NS;
    let limited = (args.limits == Switch::On).then_some((calls, begins));
    select::calls(&args.mix, args.seed, Times::Rate(args.rate), limited)
}

/// The cores of a list.
///
/// # Errors
/// A sentence for the operator about the first that may not be used.
pub fn cores_of(wanted: Option<&Cores>) -> Result<Vec<core_affinity::CoreId>, String> {
    let Some(wanted) = wanted else {
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

/// The signals that end a run, from now on.
///
/// # Errors
/// A sentence for the operator.
pub fn signals() -> Result<Signals, String> {
    Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("signals: {error}"))
}

/// Signals, and what they do.
struct Obeyed(Signals, OnSignal);

impl Obeyed {
    /// Does what the signals that have come say; returns how many there were. `before`: how many came earlier.
    fn obey(&mut self, before: usize, stop: &Stop, progress: &mut dyn Progress) -> usize {
        let Self(signals, on_signal) = self;
        let came = signals.pending().count();
        match on_signal {
            OnSignal::EndOffering if came > 0 && before + came == 1 => {
                stop.offering();
                progress.note("no more calls; waiting for those that are out (again to end now)");
            }
            OnSignal::EndOffering | OnSignal::EndNow if came > 0 => stop.everything(),
            OnSignal::EndOffering | OnSignal::EndNow | OnSignal::Ignore => {}
        }
        came
    }
}

/// What ends a run before its time, beside signals.
struct Ends<'a> {
    /// Whether no more calls are made.
    no_more: &'a dyn Fn() -> bool,
    /// Whether it ends at once.
    cut_short: Option<&'a dyn Fn() -> bool>,
}

/// Collects seconds and obeys signals until all engines have ended; returns how many signals came.
fn watch(
    collector: &mut Collector<'_>,
    intervals: &Receiver<Interval>,
    signals: &mut Obeyed,
    stop: &Stop,
    ends: &Ends<'_>,
) -> usize {
    let mut signalled = 0;
    loop {
        signalled += signals.obey(signalled, stop, collector.progress);
        if (ends.no_more)() {
            stop.offering();
        }
        if ends.cut_short.is_some_and(|asked| asked()) {
            stop.everything();
        }
        match intervals.recv_timeout(SIGNAL_LOOK) {
            Ok(interval) => collector.add(&interval),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return signalled,
        }
    }
}

/// Adds the seconds of several engines up.
struct Collector<'a> {
    engines: usize,
    open: BTreeMap<u64, (Interval, usize)>,
    lines: Vec<IntervalLine>,
    files: Seconds,
    progress: &'a mut dyn Progress,
}

impl<'a> Collector<'a> {
    fn new(engines: usize, files: Seconds, progress: &'a mut dyn Progress) -> Self {
        Self {
            engines,
            open: BTreeMap::new(),
            lines: Vec::new(),
            files,
            progress,
        }
    }

    fn add(&mut self, interval: &Interval) {
        let second = interval.second;
        let (sum, parts) = self
            .open
            .entry(second)
            .or_insert_with(|| (Interval::new(second), 0));
        sum.counts.add(&interval.counts);
        sum.from_intended.add(&interval.from_intended);
        *parts += 1;
        if *parts == self.engines {
            self.close(second);
        }
    }

    fn close(&mut self, second: u64) {
        if let Some((interval, _)) = self.open.remove(&second) {
            let line = IntervalLine::of(&interval);
            self.files.second(&interval, &line);
            self.progress.second(&line);
            self.lines.push(line);
        }
    }

    /// Engines do not end in the same second, so the last seconds may lack some. All seconds, and whether they could be written.
    fn finish(mut self) -> (Vec<IntervalLine>, Result<(), String>) {
        while let Some(second) = self.open.keys().next().copied() {
            self.close(second);
        }
        self.progress.end();
        self.lines.sort_by_key(|line| line.second);
        (self.lines, self.files.finish())
    }
}

/// Calls per 1,000 seconds as calls per second.
#[must_use]
pub fn per_second(milli: u64) -> f64 {
    Duration::from_millis(milli).as_secs_f64()
}

/// Calls per second as calls per 1,000 seconds.
#[must_use]
pub fn milli(rate: f64) -> u64 {
    let seconds = Duration::try_from_secs_f64(rate).unwrap_or_default();
    u64::try_from(seconds.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Lines;

    #[test]
    fn seconds_of_engines_add_up_even_when_one_ends_earlier() {
        let mut progress = Lines(Vec::new());
        let files = Seconds::create(None, None, 0.0, 0).unwrap();
        let mut collector = Collector::new(2, files, &mut progress);
        let mut interval = Interval::new(0);
        interval.counts.sent = 5;
        collector.add(&interval);
        assert!(collector.lines.is_empty());
        collector.add(&interval);
        collector.add(&Interval::new(1));
        let (lines, written) = collector.finish();
        assert_eq!(written, Ok(()));
        let sent: Vec<u64> = lines.iter().map(|line| line.counts.sent).collect();
        assert_eq!(sent, [10, 0]);
        assert_eq!(String::from_utf8(progress.0).unwrap().lines().count(), 2);
    }
}
