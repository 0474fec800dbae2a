//! The `respond` command: a redirect server with faults on purpose, against which a generator is measured.
//!
//! Promises: as fast as the generator needs it (batches, runs of datagrams), so that the generator and not its partner is
//! the bound; every fault is counted. It depends on the generator's mix in nothing: its verdicts follow from the number.
//! Leaves to `reply`: reading and writing; to `stream`: TCP.

pub mod reply;
mod stream;
mod udp;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::reply::{REJECTED_PREFIXES, Request};
use crate::cli::Switch;
use crate::cli::respond::{Challenge, RespondArgs, Stall};
use crate::clock::{Clock, Nanos, nanos};
use crate::digest;
use crate::random::SplitMix64;
use crate::sys;
use crate::verdict::Profile;

/// How often the threads look whether they are to end.
pub(crate) const STOP_LOOK_NS: u64 = 20_000_000;

/// The realm of a challenge.
const REALM: &str = "responder";
/// Its nonce: nothing is kept from anybody here.
const NONCE: &str = "7f3a5c1e";

/// What the responder does.
#[derive(Debug)]
pub struct Manner {
    profile: Profile,
    rejected: Vec<Box<[u8]>>,
    stall: Option<Stall>,
    flip: Option<u64>,
    drop_percent: f64,
    duplicate_percent: f64,
    challenge: Option<(Challenge, String)>,
    gso: bool,
    gro: bool,
    spin: bool,
}

impl Manner {
    /// The manner of these options.
    #[must_use]
    pub fn of(args: &RespondArgs) -> Self {
        let plain = Self::plain(args.gso == Switch::On, args.gro == Switch::On);
        Self {
            profile: args.profile,
            rejected: if args.reject_prefix.is_empty() {
                plain.rejected
            } else {
                prefixes(&args.reject_prefix)
            },
            stall: args.stall,
            flip: args.flip,
            drop_percent: args.drop,
            duplicate_percent: args.duplicate,
            challenge: args.challenge.zip(args.auth_password.clone()),
            spin: args.spin,
            ..plain
        }
    }

    /// A responder without faults, as a partner for measuring the generator itself.
    #[must_use]
    pub fn plain(gso: bool, gro: bool) -> Self {
        Self {
            profile: Profile::Redirect,
            rejected: prefixes(REJECTED_PREFIXES),
            stall: None,
            flip: None,
            drop_percent: 0.0,
            duplicate_percent: 0.0,
            challenge: None,
            gso,
            gro,
            spin: false,
        }
    }
}

fn prefixes(digits: &[impl AsRef<str>]) -> Vec<Box<[u8]>> {
    let octets = |prefix: &str| Box::from(prefix.as_bytes());
    digits
        .iter()
        .map(|prefix| octets(prefix.as_ref()))
        .collect()
}

macro_rules! seen {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What all threads saw.
        #[derive(Debug, Default)]
        pub struct Seen { $($(#[$doc])* pub $name: AtomicU64,)* }

        impl Seen {
            /// As JSON.
            #[must_use]
            pub fn json(&self) -> Value {
                json!({ $(stringify!($name): self.$name.load(Ordering::Relaxed),)* })
            }
        }
    };
}

seen! {
    /// INVITEs, every copy.
    invites,
    /// Answers to them.
    answered,
    /// Answers with the other verdict, on purpose.
    flipped,
    /// INVITEs that got no answer, on purpose.
    dropped,
    /// Answers that went out twice, on purpose.
    duplicated,
    /// Challenges.
    challenged,
    /// INVITEs whose credentials do not prove the password.
    forbidden,
    /// ACKs.
    acks,
    /// OPTIONS.
    options,
    /// Other requests.
    others,
    /// Datagrams or messages that are no request.
    unparsable,
    /// Answers that could not be sent.
    send_failed,
    /// Stalls.
    stalls,
    /// Processor time of the threads that answer, in nanoseconds.
    cpu_ns,
}

/// One thread's own part: what is answered, and how often.
#[derive(Debug)]
pub(crate) struct Responder<'a> {
    pub(crate) manner: &'a Manner,
    pub(crate) seen: &'a Seen,
    random: SplitMix64,
    /// When the next stall begins.
    next_stall: Option<Nanos>,
}

impl<'a> Responder<'a> {
    pub(crate) fn new(manner: &'a Manner, seen: &'a Seen, thread: u64, now: Nanos) -> Self {
        Self {
            manner,
            seen,
            random: SplitMix64::of(thread, 1),
            next_stall: manner.stall.map(|stall| now + nanos(stall.every)),
        }
    }

    /// How long to stall now, if it is time.
    pub(crate) fn stall(&mut self, now: Nanos) -> Option<Duration> {
        let (stall, next) = self.manner.stall.zip(self.next_stall)?;
        if now < next {
            return None;
        }
        self.next_stall = Some(next + nanos(stall.every));
        self.seen.stalls.fetch_add(1, Ordering::Relaxed);
        Some(stall.length)
    }

    /// Answers a datagram or message: `push` is given a writer once for each copy of the answer.
    pub(crate) fn handle(
        &mut self,
        octets: &[u8],
        mut push: impl FnMut(&dyn Fn(&mut [u8]) -> Option<usize>),
    ) {
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let Some(request) = Request::parse(octets) else {
            add(&self.seen.unparsable);
            return;
        };
        match request.method {
            b"INVITE" => {}
            b"ACK" => {
                add(&self.seen.acks);
                return;
            }
            b"OPTIONS" => {
                add(&self.seen.options);
                push(&|out| request.plain("200 OK", "", out));
                return;
            }
            _ => {
                add(&self.seen.others);
                push(&|out| request.plain("501 Not Implemented", "", out));
                return;
            }
        }
        let index = add(&self.seen.invites);
        if self.happens(self.manner.drop_percent) {
            add(&self.seen.dropped);
            return;
        }
        if let Some((challenge, password)) = &self.manner.challenge {
            match request.authorization {
                None => {
                    add(&self.seen.challenged);
                    let line = challenge_line(*challenge);
                    push(&|out| request.plain("401 Unauthorized", &line, out));
                    return;
                }
                Some(value) => {
                    let value = String::from_utf8_lossy(value);
                    if !digest::proves(&value, "INVITE", NONCE, REALM, password) {
                        add(&self.seen.forbidden);
                        push(&|out| request.plain("403 Forbidden", "", out));
                        return;
                    }
                }
            }
        }
        let mut verdict = request.verdict(&self.manner.rejected);
        if self.manner.flip.is_some_and(|n| index % n == n - 1) {
            add(&self.seen.flipped);
            verdict = verdict.flipped();
        }
        add(&self.seen.answered);
        let profile = self.manner.profile;
        push(&|out| request.answer(profile, verdict, out));
        if self.happens(self.manner.duplicate_percent) {
            add(&self.seen.duplicated);
            push(&|out| request.answer(profile, verdict, out));
        }
    }

    fn happens(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.random.unit() * 100.0 <= percent
    }
}

/// Does nothing for so long, or until a signal comes: a stall is the purpose here, not a guess.
fn rest(length: Duration) {
    // Cut short, it was a signal.
    sys::Waiter::new([]).wait(nanos(length)).unwrap_or_default();
}

fn challenge_line(challenge: Challenge) -> String {
    let algorithm = match challenge {
        Challenge::Md5 => "MD5",
        Challenge::Sha256 => "SHA-256",
    };
    format!(
        "WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{NONCE}\", algorithm={algorithm}, qop=\"auth\"\r\n"
    )
}

/// A running responder.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has seen so far.
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts the threads.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(
        listen: SocketAddr,
        manner: Manner,
        threads: usize,
        cores: &[core_affinity::CoreId],
    ) -> Result<Self, String> {
        let (sockets, listener, address) = open(listen, threads, manner.gro)?;
        let clock = Clock::start();
        let (manner, seen) = (Arc::new(manner), Arc::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Self {
            address,
            seen: Arc::clone(&seen),
            stop: Arc::clone(&stop),
            threads: Vec::with_capacity(threads + 1),
        };
        for (index, socket) in (0..).zip(sockets) {
            let core = cores.get(usize::try_from(index).unwrap_or(0) % cores.len().max(1));
            let core = core.copied();
            let shared = (Arc::clone(&manner), Arc::clone(&seen), Arc::clone(&stop));
            running.spawn("respond", move || {
                if let Some(core) = core {
                    core_affinity::set_for_current(core);
                }
                let (manner, seen, stop) = shared;
                let responder = Responder::new(&manner, &seen, index, clock.now());
                udp::serve(&socket, responder, clock, &stop);
            })?;
        }
        running.spawn("respond-tcp", move || {
            stream::serve(&listener, &manner, &seen, clock, &stop);
        })?;
        Ok(running)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error| format!("thread: {error}"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Ends it; what is still in its buffers is not read.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has been reported by its panic.
            let _ended = thread.join();
        }
    }
}

/// Opens UDP and TCP on one port. A port that the kernel chose for UDP may be taken for TCP: then it is asked again.
fn open(
    listen: SocketAddr,
    threads: usize,
    gro: bool,
) -> Result<(Vec<UdpSocket>, TcpListener, SocketAddr), String> {
    let tries = if listen.port() == 0 {
        PORT_TRIES_MAX
    } else {
        1
    };
    let mut reason = String::new();
    for _ in 0..tries {
        let sockets = udp::open(listen, threads, gro)?;
        let address = sockets
            .first()
            .and_then(|socket| socket.local_addr().ok())
            .ok_or("no socket has an address")?;
        match stream::listen(address) {
            Ok(listener) => return Ok((sockets, listener, address)),
            Err(fault) => reason = fault,
        }
    }
    Err(reason)
}

/// Ports that are tried for UDP and TCP together.
const PORT_TRIES_MAX: usize = 32;

/// Answers until a signal comes or the time is up; returns what was seen.
///
/// # Errors
/// A sentence for the operator.
pub fn respond(args: &RespondArgs, progress: &mut dyn Write) -> Result<Value, String> {
    let cores = crate::run::cores_of(args.cores.as_ref())?;
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("signals: {error}"))?;
    let running = Running::start(args.listen, Manner::of(args), args.threads, &cores)?;
    // Nobody may be reading.
    let _unread = writeln!(progress, "listening udp and tcp {}", running.address);
    let clock = Clock::start();
    let ends = args.duration.map_or(Nanos::MAX, nanos);
    while clock.now() < ends && signals.pending().next().is_none() {
        rest(Duration::from_nanos(STOP_LOOK_NS));
    }
    let seen = Arc::clone(&running.seen);
    running.finish();
    Ok(seen.json())
}
