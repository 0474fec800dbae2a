//! Which unknown sources send most: a table of fixed size with one writer.
//!
//! Promises: counting takes no lock and allocates nothing, whatever addresses a flood forges; a source that sends more
//! than a quarter of what its row of four sees is always in the table. A count may be too high by what a replaced source
//! had (the "space-saving" algorithm of Metwally, Agrawal and El Abbadi), never too low.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering, fence};

const SETS: usize = 16;
const WAYS: usize = 4;

/// The table of one shard; 2 KiB.
#[derive(Debug)]
pub struct Strangers {
    sets: [[Entry; WAYS]; SETS],
}

/// An address and its count. Odd `version`: being replaced.
#[derive(Debug)]
struct Entry {
    version: AtomicU64,
    address_high: AtomicU64,
    address_low: AtomicU64,
    count: AtomicU64,
}

impl Entry {
    const fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            address_high: AtomicU64::new(0),
            address_low: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// The writer's own reading.
    fn holds(&self, high: u64, low: u64) -> bool {
        self.address_low.load(Ordering::Relaxed) == low
            && self.address_high.load(Ordering::Relaxed) == high
    }

    /// For the one writer only.
    fn replace(&self, high: u64, low: u64, count: u64) {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        // A reader that sees one of the stores below also sees the odd version.
        fence(Ordering::Release);
        self.address_high.store(high, Ordering::Relaxed);
        self.address_low.store(low, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// `None` when it is empty, or was being replaced.
    fn read(&self) -> Option<(IpAddr, u64)> {
        let version = self.version.load(Ordering::Acquire);
        let high = self.address_high.load(Ordering::Relaxed);
        let low = self.address_low.load(Ordering::Relaxed);
        let count = self.count.load(Ordering::Relaxed);
        // The loads above come before the one below.
        fence(Ordering::Acquire);
        let unchanged = self.version.load(Ordering::Relaxed) == version;
        if count == 0 || version % 2 == 1 || !unchanged {
            return None;
        }
        let bits = u128::from(high) << 64 | u128::from(low);
        Some((Ipv6Addr::from(bits).to_canonical(), count))
    }
}

impl Strangers {
    /// Empty.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            sets: [const { [const { Entry::new() }; WAYS] }; SETS],
        }
    }

    /// Counts one datagram; for the one writer only. About 5 ns.
    pub fn count(&self, address: IpAddr) {
        let (high, low) = halves(address);
        // Spreads neighbours. Who finds colliding addresses hides other strangers, nothing more.
        let mixed = (high ^ low.rotate_left(32) ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = usize::try_from(mixed >> 60).unwrap_or(0);
        let Some(set) = self.sets.get(place) else {
            return;
        };
        if let Some(entry) = set.iter().find(|entry| entry.holds(high, low)) {
            let count = entry.count.load(Ordering::Relaxed);
            entry.count.store(count.wrapping_add(1), Ordering::Relaxed);
            return;
        }
        let smallest = set
            .iter()
            .min_by_key(|entry| entry.count.load(Ordering::Relaxed));
        if let Some(entry) = smallest {
            let count = entry.count.load(Ordering::Relaxed);
            entry.replace(high, low, count.wrapping_add(1));
        }
    }

    /// What stands in the table, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (IpAddr, u64)> {
        self.sets.iter().flatten().filter_map(Entry::read)
    }
}

const _: () = assert!(SETS == 1 << 4, "the place is four bits");

fn halves(address: IpAddr) -> (u64, u64) {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let bits = u128::from_be_bytes(octets);
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    (half(bits >> 64), half(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn of(strangers: &Strangers, address: IpAddr) -> u64 {
        let found = strangers.entries().find(|(found, _)| *found == address);
        found.map_or(0, |(_, count)| count)
    }

    #[test]
    fn every_address_has_its_count() {
        let strangers = Strangers::new();
        let addresses: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "::"].map(|text| text.parse().unwrap());
        for (index, address) in addresses.into_iter().enumerate() {
            for _ in 0..=index {
                strangers.count(address);
            }
        }
        for (index, address) in addresses.into_iter().enumerate() {
            assert_eq!(
                of(&strangers, address),
                u64::try_from(index + 1).unwrap(),
                "{address}"
            );
        }
        assert_eq!(strangers.entries().count(), 3);
    }

    #[test]
    fn a_flood_of_forged_addresses_does_not_hide_who_sends_most() {
        let strangers = Strangers::new();
        let loud: IpAddr = "203.0.113.9".parse().unwrap();
        for number in 0..100_000u32 {
            strangers.count(IpAddr::V4(Ipv4Addr::from(
                number.wrapping_mul(2_654_435_761),
            )));
            if number % 10 == 0 {
                strangers.count(loud);
            }
        }
        assert!(of(&strangers, loud) >= 10_000);
        let total: u64 = strangers.entries().map(|(_, count)| count).sum();
        assert_eq!(
            total, 110_000,
            "counts move from row to row and are never lost"
        );
    }
}
