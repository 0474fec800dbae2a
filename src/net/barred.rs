//! Destinations that get no runs for a while, since a run that was sent to them was refused.
//!
//! Promises: fixed size; when it is full, the one that would be free again soonest makes room.

use crate::limits::{RUN_BARRED_DESTINATIONS, RUN_BARRED_NS};
use std::net::{IpAddr, Ipv4Addr};

/// The destinations, by address: what refuses runs is a path or an interface, never a port.
#[derive(Debug)]
pub(super) struct Barred {
    entries: [Entry; RUN_BARRED_DESTINATIONS],
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    address: IpAddr,
    until_ns: u64,
}

impl Barred {
    pub(super) const fn new() -> Self {
        const FREE: Entry = Entry {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            until_ns: 0,
        };
        Self {
            entries: [FREE; RUN_BARRED_DESTINATIONS],
            used: 0,
        }
    }

    /// Whether this one gets no runs now. Nearly always the table is empty, and this is one comparison.
    pub(super) fn holds(&self, address: IpAddr, now_ns: u64) -> bool {
        let mut used = self.entries.iter().take(self.used);
        used.any(|entry| entry.address == address && now_ns < entry.until_ns)
    }

    /// Bars it from now on.
    pub(super) fn add(&mut self, address: IpAddr, now_ns: u64) {
        let entry = Entry {
            address,
            until_ns: now_ns.saturating_add(RUN_BARRED_NS),
        };
        let mut used = self.entries.iter_mut().take(self.used);
        if let Some(same) = used.find(|entry| entry.address == address) {
            *same = entry;
            return;
        }
        if let Some(free) = self.entries.get_mut(self.used) {
            *free = entry;
            self.used += 1;
            return;
        }
        if let Some(soonest) = self.entries.iter_mut().min_by_key(|entry| entry.until_ns) {
            *soonest = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap()))
    }

    #[test]
    fn a_destination_is_barred_for_a_minute() {
        let mut barred = Barred::new();
        assert!(!barred.holds(address(1), 0));
        barred.add(address(1), 5);
        for (number, now_ns, held) in [
            (1, 5, true),
            (2, 5, false),
            (1, 60_000_000_004, true),
            (1, 60_000_000_005, false),
        ] {
            assert_eq!(
                barred.holds(address(number), now_ns),
                held,
                "{number} {now_ns}"
            );
        }
        barred.add(address(1), 60_000_000_005);
        assert!(barred.holds(address(1), 60_000_000_005), "barred again");
    }

    #[test]
    fn when_it_is_full_the_oldest_makes_room() {
        let mut barred = Barred::new();
        for number in 0..=RUN_BARRED_DESTINATIONS {
            barred.add(address(number), u64::try_from(number).unwrap());
        }
        assert!(!barred.holds(address(0), 10));
        for number in 1..=RUN_BARRED_DESTINATIONS {
            assert!(barred.holds(address(number), 10), "{number}");
        }
    }
}
