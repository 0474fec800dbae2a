//! The other side: sends packets from one address and port, reads the answers and counts them by what they say.
//!
//! Promises: sends without GSO unless told to; a plain peer reads datagram by datagram, one with `UDP_GRO` lets the kernel join them. An
//! answer is counted by its status line, so that one that is missing, doubled or wrong shows.

use crate::packet::PacketSet;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd;
use tollgate::sys::{self, ReceiveBatch, SendBatch, join_datagrams, receive_joined, send_segments};

/// Receive buffer that a peer asks for, so that no answer is lost while nobody reads.
const PEER_BUFFER_BYTES: usize = 128 << 20;

const BATCH: usize = 64;
const PACKET_BYTES_MAX: usize = 2048;
const JOINED_BYTES_MAX: usize = 65_536;

/// Octets of one message of segments: 32 and more packets, below the 65,507 of UDP and the kernel's 64 segments.
const RUN_BYTES_MAX: usize = 36_000;

/// How many packets later the ACK of a packet comes.
const ACK_AFTER: u64 = 32;

/// How the peer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
    /// Datagram by datagram.
    Plain,
    /// Joined by the kernel (`UDP_GRO`).
    Joining,
}

impl PeerKind {
    /// Its name in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Joining => "UDP_GRO",
        }
    }
}

/// Answers by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// 302.
    pub redirected: u64,
    /// 603.
    pub declined: u64,
    /// Anything else.
    pub other: u64,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub fn answers(self) -> u64 {
        self.redirected + self.declined + self.other
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            redirected: self.redirected + more.redirected,
            declined: self.declined + more.declined,
            other: self.other + more.other,
        }
    }

    fn count(&mut self, answer: &[u8]) {
        if answer.starts_with(b"SIP/2.0 302 ") {
            self.redirected += 1;
        } else if answer.starts_with(b"SIP/2.0 603 ") {
            self.declined += 1;
        } else {
            self.other += 1;
        }
    }
}

/// One address and port that asks.
#[derive(Debug)]
pub struct Peer {
    socket: UdpSocket,
    address: SocketAddr,
    kind: PeerKind,
    send: SendBatch,
    receive: ReceiveBatch,
    joined: Box<[u8]>,
}

impl Peer {
    /// A peer on a port of its own.
    ///
    /// # Errors
    /// No socket, or a kernel without `UDP_GRO`.
    pub fn new(kind: PeerKind) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        if sys::force_receive_buffer(socket.as_fd(), PEER_BUFFER_BYTES).is_err() {
            sys::set_receive_buffer(socket.as_fd(), PEER_BUFFER_BYTES)?;
        }
        if kind == PeerKind::Joining {
            join_datagrams(socket.as_fd())?;
        }
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            kind,
            send: SendBatch::new(BATCH, PACKET_BYTES_MAX),
            receive: ReceiveBatch::new(BATCH, PACKET_BYTES_MAX),
            joined: vec![0; JOINED_BYTES_MAX].into_boxed_slice(),
        })
    }

    /// Where it sends from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it reads.
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        self.kind
    }

    /// Answers that the kernel dropped because nobody read them in time.
    #[must_use]
    pub fn kernel_dropped(&self) -> u64 {
        sys::kernel_dropped(self.socket.as_fd()).unwrap_or(0)
    }

    /// Sends the packets `range`, in order; with `acks`, each followed by the ACK of one a little before it.
    ///
    /// # Errors
    /// What the kernel says, a full queue aside.
    pub fn send(
        &mut self,
        packets: &mut PacketSet,
        range: Range<u64>,
        target: SocketAddr,
        acks: bool,
    ) -> io::Result<()> {
        for index in range {
            self.put(packets.packet(index), target)?;
            if acks {
                self.put(packets.ack(index.saturating_sub(ACK_AFTER)), target)?;
            }
        }
        self.flush()
    }

    /// Sends the packets `range`, in order, as segments of as few messages as their lengths allow.
    ///
    /// # Errors
    /// What the kernel says, a full queue aside.
    pub fn send_as_segments(
        &mut self,
        packets: &mut PacketSet,
        range: Range<u64>,
        target: SocketAddr,
    ) -> io::Result<()> {
        let mut filled = 0;
        let mut segment = 0;
        for index in range {
            let packet = packets.packet(index);
            if filled > 0 && (packet.len() != segment || filled + segment > RUN_BYTES_MAX) {
                self.send_run(filled, segment, target)?;
                filled = 0;
            }
            segment = packet.len();
            self.joined[filled..filled + segment].copy_from_slice(packet);
            filled += segment;
        }
        self.send_run(filled, segment, target)
    }

    fn send_run(&self, filled: usize, segment: usize, target: SocketAddr) -> io::Result<()> {
        let octets = u16::try_from(segment).map_err(io::Error::other)?;
        let run = [IoSlice::new(&self.joined[..filled])];
        loop {
            match send_segments(self.socket.as_fd(), target, octets, &run) {
                Ok(_all) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn put(&mut self, packet: &[u8], target: SocketAddr) -> io::Result<()> {
        if self.send.filled() == BATCH {
            self.flush()?;
        }
        if let Some(slot) = self.send.next_slot() {
            slot[..packet.len()].copy_from_slice(packet);
        }
        self.send.commit(packet.len(), target);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut first = 0;
        while first < self.send.filled() {
            match self.send.send(self.socket.as_fd(), first) {
                Ok(sent) => first += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.send.clear();
        Ok(())
    }

    /// Reads the answers that have arrived.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn collect(&mut self) -> io::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let read = match self.kind {
                PeerKind::Plain => self.read_batch(&mut tally),
                PeerKind::Joining => self.read_joined(&mut tally),
            };
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(tally),
                Err(error) => return Err(error),
            }
        }
    }

    fn read_batch(&mut self, tally: &mut Tally) -> io::Result<()> {
        let received = self.receive.receive(self.socket.as_fd())?;
        for index in 0..received {
            tally.count(self.receive.get(index).0);
        }
        Ok(())
    }

    fn read_joined(&mut self, tally: &mut Tally) -> io::Result<()> {
        let (length, segment) = receive_joined(self.socket.as_fd(), &mut self.joined)?;
        for answer in self.joined[..length].chunks(segment.max(1)) {
            tally.count(answer);
        }
        Ok(())
    }
}
