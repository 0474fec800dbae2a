//! Who asks: from a peer to its domain, and inside the domain to the subscriber.
//!
//! Promises: no look-up allocates or takes time that the number of subscribers hardly moves; header and From host
//! choose only among the domains that list the peer.
//! Leaves to `snapshot`: what the domain and the subscriber mean for the call.
//!
//! A subscriber row matches when any of its criteria does: SEMANTICS gives `users`, `peers` and `tech_prefix` as ways to
//! find the first match, not as conditions that hold together. "First" is file order inside the domain.

use super::address_table::{AddressTable, NO_SET, SetInterner, Sets};
use super::attempt::{CallAttempt, HeaderFamily};
use super::byte_map::ByteMap;
use super::dialled::{bare_user, decode};
use super::hash::Seeded;
use super::interval::{IntervalTable, edges, sweep};
use super::rows::{AddressBlock, DomainRow, SubscriberRow};
use super::snapshot::{Peer, Source};
use crate::limits::{SCREENING_VALUE_BYTES_MAX, TECH_PREFIX_BYTES_MAX, USER_RANGE_DIGITS_MAX};
use crate::sip::block;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// Peers, proxies and the names of domains.
#[derive(Debug)]
pub(super) struct Peers {
    sets: Sets,
    peers: AddressTable<u32>,
    proxies: AddressTable<u32>,
    /// (set that lists the proxy, set that lists the peer) → the set that lists both.
    behind: HashMap<(u32, u32), u32, Seeded>,
    /// Tag: set × 2, plus 1 for domains that trust headers → the set's first domain of that name. Sets of one have none.
    names: ByteMap,
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Peers {
    /// Builds from the domains in file order.
    pub(super) fn new(domains: &[DomainRow]) -> Self {
        let mut interner = SetInterner::default();
        let blocks = |of: fn(&DomainRow) -> &[AddressBlock]| {
            (0_u32..).zip(domains).flat_map(move |(number, domain)| {
                of(domain).iter().map(move |block| (*block, number))
            })
        };
        let peers = interner.table(blocks(|domain| &domain.peers), |set| set);
        let peer_sets = interner.sets().count();
        let proxies = interner.table(blocks(|domain| &domain.proxies), |set| set);
        let behind = behind(&mut interner, peer_sets, domains.len());
        let sets = interner.finish();
        let mut names = ByteMap::default();
        for set in 0..sets.count() {
            let members = sets.members(set);
            if members.len() < 2 {
                continue;
            }
            for &number in members {
                let Some(domain) = domains.get(number as usize) else {
                    continue;
                };
                for name in domain.names.iter().chain([&domain.name]) {
                    let name = name.to_ascii_lowercase();
                    names.insert_lowest(set * 2, name.as_bytes(), number);
                    if domain.trust_headers {
                        names.insert_lowest(set * 2 + 1, name.as_bytes(), number);
                    }
                }
            }
        }
        Self {
            sets,
            peers,
            proxies,
            behind,
            names,
        }
    }

    /// What an address is as a packet's source. A listed proxy is one even if it is also a peer: what it forwards is
    /// not its own.
    #[inline]
    pub(super) fn source(&self, address: IpAddr) -> Source {
        if self.proxies.get(address) != NO_SET {
            return Source::Proxy;
        }
        match self.peers.get(address) {
            NO_SET => Source::Unknown,
            domain_set => Source::Peer(Peer { domain_set }),
        }
    }

    /// The domains that list both.
    pub(super) fn behind(&self, proxy: IpAddr, peer: IpAddr) -> Option<Peer> {
        let key = (self.proxies.get(proxy), self.peers.get(peer));
        let domain_set = *self.behind.get(&key)?;
        Some(Peer { domain_set })
    }

    /// The domains of a peer, in file order.
    pub(super) fn domains_of(&self, peer: Peer) -> &[u32] {
        self.sets.members(peer.domain_set)
    }

    /// The domains that list a proxy, in file order.
    pub(super) fn domains_of_proxy(&self, proxy: IpAddr) -> &[u32] {
        self.sets.members(self.proxies.get(proxy))
    }

    /// The domain of an attempt: what a trusted header names, else the From host, else the peer's first.
    pub(super) fn domain(&self, attempt: &CallAttempt<'_>) -> Option<u32> {
        let set = attempt.peer.domain_set;
        let (&first, others) = self.sets.members(set).split_first()?;
        if others.is_empty() {
            return Some(first);
        }
        let named = |tag: u32, name: &[u8]| {
            let mut lower = [0_u8; SCREENING_VALUE_BYTES_MAX];
            let lower = lower.get_mut(..name.len())?;
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            self.names.get(tag, lower)
        };
        let header = match attempt.screening.family {
            HeaderFamily::PTfps | HeaderFamily::XTfps => attempt.screening.domain,
            HeaderFamily::None => None,
        };
        header
            .and_then(|name| named(set * 2 + 1, name))
            .or_else(|| named(set * 2, attempt.from_host))
            .or(Some(first))
    }
}

/// The pairs of proxies' and peers' sets that share a domain.
fn behind(
    interner: &mut SetInterner,
    peer_sets: u32,
    domains: usize,
) -> HashMap<(u32, u32), u32, Seeded> {
    let sets = interner.sets();
    let mut peer_sets_of = vec![Vec::new(); domains];
    for set in 0..peer_sets {
        for &domain in sets.members(set) {
            if let Some(of_domain) = peer_sets_of.get_mut(domain as usize) {
                of_domain.push(set);
            }
        }
    }
    // A proxy's set may equal a peer's set and then has its number, so all sets are gone through as proxies'.
    let mut pairs = BTreeSet::new();
    for proxy_set in 0..sets.count() {
        for &domain in sets.members(proxy_set) {
            for &peer_set in peer_sets_of
                .get(domain as usize)
                .map_or(&[][..], Vec::as_slice)
            {
                pairs.insert((proxy_set, peer_set));
            }
        }
    }
    let mut behind = HashMap::with_capacity_and_hasher(pairs.len(), Seeded::default());
    for (proxy_set, peer_set) in pairs {
        let sets = interner.sets();
        let peers = sets.members(peer_set);
        let both = sets
            .members(proxy_set)
            .iter()
            .copied()
            .filter(|domain| peers.binary_search(domain).is_ok())
            .collect();
        behind.insert((proxy_set, peer_set), interner.number(both));
    }
    behind
}

/// What the subscribers of all domains are found by.
#[derive(Debug)]
pub(super) struct Subscribers {
    /// Tag: domain.
    users: ByteMap,
    /// Key: domain, digits, value; see `range_key`.
    ranges: IntervalTable<u128, u32>,
    /// Sets of rows, at most one of a domain: the first.
    peers: AddressTable<u32>,
    peer_rows: Sets,
    /// Tag: domain.
    tech_prefixes: ByteMap,
    /// By domain, which of the criteria above some row of it has: `BY_…`. Most calls ask for none or one.
    criteria: Vec<u8>,
    /// By domain, bit n: some tech prefix has n characters.
    tech_lengths: Vec<u64>,
    /// Domain of each row.
    domains: Vec<u32>,
}

/// Stands for "no row".
const NO_ROW: u32 = u32::MAX;

/// Bits of `Subscribers::criteria`.
const BY_USER: u8 = 1;
const BY_RANGE: u8 = 2;
const BY_PEER: u8 = 4;

/// Orders users of digits by domain, then length, then value.
fn range_key(domain: u32, digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > USER_RANGE_DIGITS_MAX {
        return None;
    }
    let mut value = 0_u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit & 0x0f);
    }
    // Domain in the first 16 bits, so that the direct index is one by domain.
    Some(u128::from(domain) << 112 | (digits.len() as u128) << 64 | u128::from(value))
}

impl Subscribers {
    /// Builds from the subscribers in file order.
    pub(super) fn new(rows: &[SubscriberRow], domains: usize) -> Self {
        let mut users = ByteMap::default();
        let mut tech_prefixes = ByteMap::default();
        let mut tech_lengths = vec![0_u64; domains];
        let mut criteria = vec![0_u8; domains];
        let mut spans = Vec::new();
        // The first row of each block: with a thousand subscribers behind one PBX the block stands once in the table.
        let mut blocks: HashMap<(IpAddr, IpAddr, usize), (AddressBlock, u32), Seeded> =
            HashMap::default();
        for (row, subscriber) in (0_u32..).zip(rows) {
            let domain = count(subscriber.domain);
            if let Some(criteria) = criteria.get_mut(subscriber.domain) {
                for (is_there, bit) in [
                    (!subscriber.users.is_empty(), BY_USER),
                    (!subscriber.user_ranges.is_empty(), BY_RANGE),
                    (!subscriber.peers.is_empty(), BY_PEER),
                ] {
                    *criteria |= if is_there { bit } else { 0 };
                }
            }
            for user in &subscriber.users {
                users.insert_lowest(domain, user.as_bytes(), row);
            }
            for (first, last) in &subscriber.user_ranges {
                if let (Some(first), Some(last)) = (
                    range_key(domain, first.as_bytes()),
                    range_key(domain, last.as_bytes()),
                ) {
                    spans.push((first, last, row));
                }
            }
            for block in &subscriber.peers {
                blocks
                    .entry((block.first, block.last, subscriber.domain))
                    .or_insert((*block, row));
            }
            if let Some(prefix) = subscriber
                .tech_prefix
                .as_deref()
                .filter(|prefix| !prefix.is_empty())
            {
                tech_prefixes.insert_lowest(domain, prefix.as_bytes(), row);
                if let Some(lengths) = tech_lengths.get_mut(subscriber.domain) {
                    *lengths |= tech_length_bit(prefix.len());
                }
            }
        }
        let domains: Vec<u32> = rows.iter().map(|row| count(row.domain)).collect();
        let mut interner = SetInterner::default();
        let peers = interner.table(blocks.into_values(), |rows| {
            first_of_each_domain(rows, &domains)
        });
        Self {
            users,
            ranges: first_of_ranges(&spans),
            peers,
            peer_rows: interner.finish(),
            tech_prefixes,
            criteria,
            tech_lengths,
            domains,
        }
    }

    /// The subscriber's row: the first in file order of which a criterion matches.
    pub(super) fn find(
        &self,
        domain: u32,
        attempt: &CallAttempt<'_>,
        trusted: bool,
        decoded: &[u8],
    ) -> Option<u32> {
        let criteria = *self.criteria.get(domain as usize)?;
        let by_user = if criteria & (BY_USER | BY_RANGE) == 0 {
            None
        } else {
            match attempt.screening.user.filter(|_| trusted) {
                Some(user) => self.by_user(domain, criteria, user),
                None => self.by_from(domain, criteria, bare_user(attempt.from_user)),
            }
        };
        let by_peer = if criteria & BY_PEER == 0 {
            None
        } else {
            self.by_peer(domain, attempt.peer_address)
        };
        let by_tech_prefix = self.by_tech_prefix(domain, decoded);
        [by_user, by_peer, by_tech_prefix]
            .into_iter()
            .flatten()
            .min()
    }

    fn by_peer(&self, domain: u32, peer: IpAddr) -> Option<u32> {
        self.peer_rows
            .members(self.peers.get(peer))
            .iter()
            .copied()
            .find(|&row| self.domains.get(row as usize) == Some(&domain))
    }

    /// A From user is a URI's: escapes count as what they stand for (RFC 3261 §19.1.4).
    fn by_from(&self, domain: u32, criteria: u8, from_user: &[u8]) -> Option<u32> {
        if block::find(from_user, b'%').is_none() {
            return self.by_user(domain, criteria, from_user);
        }
        decode(from_user).and_then(|user| self.by_user(domain, criteria, user.as_bytes()))
    }

    fn by_user(&self, domain: u32, criteria: u8, user: &[u8]) -> Option<u32> {
        let exact = if criteria & BY_USER == 0 {
            None
        } else {
            self.users.get(domain, user)
        };
        if criteria & BY_RANGE == 0 {
            return exact;
        }
        let range = range_key(domain, user)
            .map(|key| self.ranges.get(key))
            .filter(|row| *row != NO_ROW);
        [exact, range].into_iter().flatten().min()
    }

    fn by_tech_prefix(&self, domain: u32, decoded: &[u8]) -> Option<u32> {
        let mut lengths = *self.tech_lengths.get(domain as usize)?;
        let mut first = None;
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            let row = decoded
                .get(..length)
                .and_then(|prefix| self.tech_prefixes.get(domain, prefix));
            first = [first, row].into_iter().flatten().min();
        }
        first
    }
}

/// Nothing for a prefix longer than `TECH_PREFIX_BYTES_MAX`, which control refused.
fn tech_length_bit(length: usize) -> u64 {
    if length > TECH_PREFIX_BYTES_MAX {
        return 0;
    }
    1 << length
}

/// Rows rise, so the first seen of a domain is its first.
fn first_of_each_domain(mut rows: Vec<u32>, domains: &[u32]) -> Vec<u32> {
    let mut seen = BTreeSet::new();
    rows.retain(|&row| seen.insert(domains.get(row as usize).copied()));
    rows
}

fn first_of_ranges(spans: &[(u128, u128, u32)]) -> IntervalTable<u128, u32> {
    let mut active = BTreeSet::new();
    let steps = sweep(
        &edges(spans.iter().map(|(first, last, _)| (*first, *last))),
        &mut active,
        |active, edge| {
            let Some((_, _, row)) = spans.get(edge.entry as usize) else {
                return;
            };
            if edge.begins {
                active.insert((*row, edge.entry));
            } else {
                active.remove(&(*row, edge.entry));
            }
        },
        |active| active.first().map_or(NO_ROW, |(row, _)| *row),
    );
    IntervalTable::new(steps, NO_ROW)
}
