//! What leaves: a batch for one socket, handed to the kernel as runs or one by one; what it refuses is counted by name.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use crate::limits::SEND_TRIES_MAX;
use crate::net::Link;
use crate::random::SplitMix64;
use crate::stats::Counts;
use crate::sys::{Refusal, TxBatch, wait_writable};
use crate::wire::Wire;

/// The batch of an engine.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) tx: TxBatch,
    /// Whether runs of equally long datagrams are one send.
    segments: bool,
    /// How many of 2³² datagrams are lost on purpose.
    lose: u32,
    random: SplitMix64,
}

impl Outbox {
    pub(super) fn new(segments: bool, lose: u32, random: SplitMix64) -> Self {
        Self {
            tx: TxBatch::new(),
            segments,
            lose,
            random,
        }
    }

    /// Whether the next datagram, sent or received, is to be lost on purpose.
    pub(super) fn loses(&mut self) -> bool {
        self.lose > 0 && self.random.below(u32::MAX) < self.lose
    }

    /// Adds a datagram, unless it is to be lost on purpose, which counts as added; false if it did not fit.
    pub(super) fn push(
        &mut self,
        counts: &mut Counts,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        if self.loses() {
            counts.lost_on_purpose += 1;
            return true;
        }
        self.tx.push(write)
    }

    /// Hands what is in the batch to the kernel. What it refuses is counted by name; Timer A sends it again.
    pub(super) fn flush(&mut self, link: &Link, counts: &mut Counts) {
        match &link.wire {
            Wire::Udp(socket) => self.send_datagrams(socket, counts),
            Wire::Tcp(connection) => {
                let messages = u64::try_from(self.tx.len()).unwrap_or(0);
                match connection.send(self.tx.octets_from(0)) {
                    Ok(true) => {}
                    Ok(false) => {
                        counts.send_buffer_full += 1;
                        counts.send_failed += messages;
                    }
                    Err(_) => counts.send_failed += messages,
                }
                self.tx.clear();
            }
        }
    }

    fn send_datagrams(&mut self, socket: &UdpSocket, counts: &mut Counts) {
        let socket = socket.as_fd();
        let mut from = 0;
        let mut tries = 0;
        while from < self.tx.len() {
            let Err(error) = self.tx.send(socket, from, None, self.segments).map(|sent| {
                from += sent.datagrams;
                counts.sends += u64::try_from(sent.sends).unwrap_or(0);
                tries = 0;
            }) else {
                continue;
            };
            tries += 1;
            match Refusal::of(&error) {
                // What an earlier datagram earned: this one has not been tried.
                Refusal::PortClosed => counts.refused += 1,
                Refusal::NotNow => {
                    counts.send_buffer_full += 1;
                    wait_writable(socket, 1_000_000);
                }
                Refusal::Interrupted => {}
                Refusal::NotAsRun if self.segments => {
                    // A device or path that cannot: from here on one by one.
                    counts.gso_fallback += 1;
                    self.segments = false;
                }
                Refusal::Forbidden => {
                    counts.forbidden += 1;
                    from += 1;
                }
                Refusal::NoRoute => {
                    counts.unreachable += 1;
                    from += 1;
                }
                Refusal::AddressNotHere
                | Refusal::AddressTaken
                | Refusal::NotPrivileged
                | Refusal::TooManyFiles
                | Refusal::NotAsRun
                | Refusal::Other => {
                    counts.send_failed += 1;
                    from += 1;
                }
            }
            if tries >= SEND_TRIES_MAX {
                counts.send_failed += 1;
                from += 1;
                tries = 0;
            }
        }
        self.tx.clear();
    }
}
