//! Kamailio as a variant: what a well-known SIP server takes for the same answers on the same core.
//!
//! Promises: its configuration stands in `bench/kamailio`; all its processes are counted, and all stay on the one core;
//! it is ended with the variant, by the ids of its own processes.

use crate::gate::Cost;
use crate::packet::rejected_numbers;
use crate::variant::{Answers, Variant};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tollgate::clock::Clock;
use tollgate::shard::pin;

/// How long it may take to answer its first request.
const READY_WITHIN_NS: u64 = 20_000_000_000;

/// How long its processes may take to stop.
const STOPPED_WITHIN_NS: u64 = 5_000_000_000;

/// Nanoseconds of a clock tick in /proc (`USER_HZ` is 100 on every Linux).
const TICK_NS: u64 = 10_000_000;

/// Kamailio, running.
#[derive(Debug)]
pub struct Kamailio {
    child: Child,
    address: SocketAddr,
    processes: Vec<u32>,
    at_release: (u64, u64),
    clock: Clock,
    folder: PathBuf,
}

/// What /proc/PID/stat says of a process.
struct Stat {
    state: char,
    parent: u32,
    user_ticks: u64,
}

impl Kamailio {
    /// Starts it on `core`, with the list of numbers to reject and its files in `folder`.
    ///
    /// # Errors
    /// It is not installed, or does not answer.
    pub fn start(configuration: &Path, folder: &Path, core: usize) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        write_tables(folder)?;
        // It cannot report a port of its own choice: pick one, let it go, try again if somebody was faster.
        let mut failure = io::Error::other("not tried");
        for _ in 0..3 {
            let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            let mut started = Self {
                child: spawn(configuration, folder, core, address)?,
                address,
                processes: Vec::new(),
                at_release: (0, 0),
                clock: Clock::start(),
                folder: folder.to_owned(),
            };
            match started.wait_until_ready() {
                Ok(()) => return Ok(started),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let probe = UdpSocket::bind("127.0.0.1:0")?;
        probe.set_read_timeout(Some(Duration::from_millis(100)))?;
        let source = probe.local_addr()?;
        let request = format!(
            "OPTIONS sip:ready@{target} SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bKready\r\n\
             From: <sip:bench@{source}>;tag=ready\r\nTo: <sip:ready@{target}>\r\nCall-ID: ready@{source}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            target = self.address
        );
        let began = self.clock.now().monotonic_ns;
        let mut answer = [0; 2048];
        while self.clock.now().monotonic_ns - began < READY_WITHIN_NS {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "kamailio ended ({status}); see {}",
                    self.folder.join("log").display()
                )));
            }
            // A closed port is reported by the next call; then it is simply not ready yet.
            let _sent = probe.send_to(request.as_bytes(), self.address);
            if probe.recv(&mut answer).is_ok() {
                self.processes = descendants(self.child.id());
                return Ok(());
            }
        }
        Err(io::Error::other("kamailio does not answer"))
    }

    /// Time of all its processes: all of it, and in its own code.
    fn time_ns(&self) -> (u64, u64) {
        let mut total = 0;
        let mut user = 0;
        for process in &self.processes {
            let ticks = stat(*process).map_or(0, |stat| stat.user_ticks);
            user += ticks * TICK_NS;
            let exact = fs::read_to_string(format!("/proc/{process}/schedstat"));
            let exact = exact.ok().and_then(|text| {
                let first = text.split_ascii_whitespace().next()?;
                first.parse::<u64>().ok()
            });
            total += exact.unwrap_or(0);
        }
        (total, user)
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let mut command = Command::new("kill");
        command.arg(format!("-{signal}"));
        for process in &self.processes {
            command.arg(process.to_string());
        }
        let status = command.status()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("kill -{signal}: {status}")))
    }

    fn all_are(&self, states: &[char]) -> bool {
        let stats = self.processes.iter().map(|process| stat(*process));
        stats.flatten().all(|stat| states.contains(&stat.state))
    }

    /// Octets in the receive queue of its socket, and datagrams dropped there.
    fn queue(&self) -> Option<(u64, u64)> {
        let SocketAddr::V4(address) = self.address else {
            return None;
        };
        let local = format!(
            "{:08X}:{:04X}",
            u32::from_le_bytes(address.ip().octets()),
            address.port()
        );
        let table = fs::read_to_string("/proc/net/udp").ok()?;
        let fields: Vec<&str> = table
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .find(|fields| fields.get(1) == Some(&local.as_str()))?;
        let (_sent, received) = fields.get(4)?.split_once(':')?;
        let received = u64::from_str_radix(received, 16).ok()?;
        Some((received, fields.last()?.parse().ok()?))
    }
}

fn spawn(
    configuration: &Path,
    folder: &Path,
    core: usize,
    address: SocketAddr,
) -> io::Result<Child> {
    let log = fs::File::create(folder.join("log"))?;
    let mut command = Command::new("kamailio");
    command
        .arg("-f")
        .arg(configuration)
        .args([
            "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", "256", "-M", "32",
        ])
        .arg("-A")
        .arg(format!("LISTEN=udp:{address}"))
        .arg("-A")
        .arg(format!("DBURL=\"text://{}\"", folder.display()))
        .arg("-Y")
        .arg(folder)
        .arg("-P")
        .arg(folder.join("pid"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    // A child stays on the core of the thread that started it.
    let starter = std::thread::spawn(move || {
        if !pin(core) {
            return Err(io::Error::other(format!("cannot stay on core {core}")));
        }
        command.spawn()
    });
    let joined = starter.join();
    joined.map_err(|_panic| io::Error::other("the thread that starts kamailio panicked"))?
}

/// The list as `db_text` wants it. Numbers are keys as they stand in the Request-URI.
fn write_tables(folder: &Path) -> io::Result<()> {
    let mut rows = String::from(
        "id(int,auto) key_name(string) key_type(int) value_type(int) key_value(string) expires(int)\n",
    );
    for (id, number) in rejected_numbers().enumerate() {
        // Writing to a string cannot fail.
        let _infallible = writeln!(rows, "{}:+{number}:0:1:1:0", id + 1);
    }
    fs::write(folder.join("rejected"), rows)?;
    fs::write(
        folder.join("version"),
        "table_name(string) table_version(int)\nrejected:2\n",
    )
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold anything, also blanks and parentheses.
    let (_name, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        user_ticks: fields.get(11)?.parse().ok()?,
    })
}

/// A process and all that it started.
fn descendants(root: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?.parent)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = all.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(process, _)| *process));
        next += 1;
    }
    found
}

impl Variant for Kamailio {
    fn name(&self) -> &str {
        "kamailio"
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn answers(&self) -> Answers {
        Answers::Decided
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "nothing tells when a process of another program has stopped; the wait is not measured"
    )]
    fn hold(&mut self) -> io::Result<Cost> {
        self.signal("STOP")?;
        let began = self.clock.now().monotonic_ns;
        while !self.all_are(&['T']) {
            if self.clock.now().monotonic_ns - began > STOPPED_WITHIN_NS {
                return Err(io::Error::other("kamailio does not stop"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let (total, user) = self.time_ns();
        let (total_before, user_before) = self.at_release;
        let total_ns = total - total_before.min(total);
        let user_ns = (user - user_before.min(user)).min(total_ns);
        Ok(Cost {
            user_ns,
            system_ns: total_ns - user_ns,
            ..Cost::default()
        })
    }

    fn release(&mut self) -> io::Result<()> {
        self.at_release = self.time_ns();
        self.signal("CONT")
    }

    fn is_through(&mut self, _datagrams: u64) -> bool {
        self.queue().is_some_and(|(octets, _)| octets == 0) && self.all_are(&['S'])
    }

    fn receive_buffer_bytes(&self) -> Option<usize> {
        None
    }

    fn kernel_dropped(&self) -> Option<u64> {
        self.queue().map(|(_, dropped)| dropped)
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if self.processes.is_empty() {
            // It never became ready: its starter ends with its children.
            self.processes = descendants(self.child.id());
        }
        let _stopped = self.signal("KILL");
        let _reaped = self.child.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}
