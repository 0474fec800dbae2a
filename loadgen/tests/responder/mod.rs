//! A redirect server for tests: one thread, one UDP socket on loopback, its own reading of numbers, faults on purpose.
//!
//! Promises: it ends with its test; it decides by rules written here, not by the generator's mix.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the responder saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// INVITEs, every copy.
    pub(crate) invites: u64,
    /// INVITEs by branch, every copy.
    pub(crate) copies: HashMap<String, Vec<Vec<u8>>>,
    /// ACKs by branch, each with its request line and To.
    pub(crate) acks: HashMap<String, Vec<(String, String)>>,
    /// Source ports.
    pub(crate) ports: HashMap<u16, u64>,
    /// Dialled user parts in order of arrival.
    pub(crate) users: Vec<String>,
}

/// An INVITE as a fault sees it.
pub(crate) struct Invite<'a> {
    /// How many INVITEs came before, copies included.
    pub(crate) index: u64,
    /// Which copy of this branch it is, from 0.
    pub(crate) copy: usize,
    /// The right answer.
    pub(crate) right: &'a str,
    /// The answer with the other verdict.
    pub(crate) flipped: &'a str,
}

/// The datagrams that go out for an INVITE.
pub(crate) type Fault = fn(&Invite<'_>) -> Vec<String>;

/// Answers every INVITE rightly.
pub(crate) fn right(invite: &Invite<'_>) -> Vec<String> {
    vec![invite.right.to_owned()]
}

/// A running responder.
pub(crate) struct Responder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Responder {
    /// Starts one on a free port of this address.
    pub(crate) fn start(ip: &str, fault: Fault) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&socket, &stopped, fault));
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub(crate) fn target(&self) -> String {
        self.address.to_string()
    }

    /// Ends it; what is still in its buffer is read first.
    pub(crate) fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool, fault: Fault) -> Seen {
    let mut seen = Seen::default();
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            if stop.load(Ordering::Relaxed) {
                return seen;
            }
            continue;
        };
        let octets = &buffer[..length];
        let text = str::from_utf8(octets).unwrap();
        let branch = between(text, "branch=", "\r\n").to_owned();
        if text.starts_with("ACK ") {
            let line = text.lines().next().unwrap().to_owned();
            let to = between(text, "\r\nTo: ", "\r\n").to_owned();
            seen.acks.entry(branch).or_default().push((line, to));
            continue;
        }
        assert!(text.starts_with("INVITE "), "{text}");
        let copies = seen.copies.entry(branch).or_default();
        copies.push(octets.to_vec());
        *seen.ports.entry(from.port()).or_default() += 1;
        let user = between(text, "INVITE sip:", "@");
        seen.users.push(user.to_owned());
        let reject = is_expensive(user) || is_scanner(text);
        let out = fault(&Invite {
            index: seen.invites,
            copy: copies.len() - 1,
            right: &answer(text, user, reject),
            flipped: &answer(text, user, !reject),
        });
        seen.invites += 1;
        for datagram in out {
            socket.send_to(datagram.as_bytes(), from).unwrap();
        }
    }
}

/// The first text between two others.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// Premium-rate and satellite numbers, by the national numbering plans.
fn is_expensive(user: &str) -> bool {
    let number = ["011", "00", "+"]
        .iter()
        .find_map(|prefix| user.strip_prefix(prefix))
        .unwrap_or(user);
    let expensive = [
        "870", "881", "882", "883", // satellite and global networks
        "449", "3989", "1900", "49900", "3389", "3480", // premium
    ];
    expensive.iter().any(|prefix| number.starts_with(prefix))
}

fn is_scanner(text: &str) -> bool {
    let screening = between(text, "\r\nP-tfps: ", "\r\n");
    let agent = screening.split(';').nth(3).unwrap();
    ["friendly-scanner", "sipvicious", "sipcli"]
        .iter()
        .any(|scanner| agent.contains(scanner))
}

/// An answer after RFC 3261 §8.2.6.
fn answer(text: &str, user: &str, reject: bool) -> String {
    let field = |name: &str| between(text, &format!("\r\n{name}: "), "\r\n");
    let (line, contact) = if reject {
        ("603 Decline", String::new())
    } else {
        let host = between(field("From"), "@", ">");
        (
            "302 Moved Temporarily",
            format!("Contact: <sip:A00{user}@{host}>\r\n"),
        )
    };
    format!(
        "SIP/2.0 {line}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=responder\r\nCall-ID: {}\r\nCSeq: {}\r\n{contact}Content-Length: 0\r\n\r\n",
        field("Via"),
        field("From"),
        field("To"),
        field("Call-ID"),
        field("CSeq"),
    )
}
