//! The lists of one scope, and which row wins between scopes.
//!
//! Promises: the longest match wins, then the narrower scope (policy, domain, system), then allowed, then the earlier
//! row. Each scope has tables of its own, so that a domain's million rows cost no other domain anything.
//! Leaves to `snapshot`: what an allowed or a denied value leads to.

use super::address_table::AddressTable;
use super::code::Code;
use super::number_table::{NumberTable, PrefixRow};
use super::rows::{AddressBlock, ListRow, Pattern};
use crate::e164::E164;
use std::net::IpAddr;

/// A list row packed into a word: its index, and whether it allows or the code with which it denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed(u32);

const VERDICT_BITS: u32 = 5;
const _: () = assert!(
    Code::ALL.len() < 1 << VERDICT_BITS,
    "a code and `allowed` fit beside the row's index"
);

impl Listed {
    /// Nothing matched.
    pub(super) const NOTHING: Self = Self(u32::MAX);

    /// The row at `index`. Indices from 2^27 on have no place.
    pub(super) fn new(index: usize, row: &ListRow) -> Self {
        let verdict = row.deny.map_or(0, |code| 1 + code as u32);
        u32::try_from(index)
            .ok()
            .filter(|index| *index < u32::MAX >> VERDICT_BITS)
            .map_or(Self::NOTHING, |index| {
                Self((index << VERDICT_BITS) | verdict)
            })
    }

    /// The row's index in `Rows::lists`.
    pub(super) fn row(self) -> u32 {
        self.0 >> VERDICT_BITS
    }

    /// The code with which it denies; `None`: it allows.
    pub(super) fn deny(self) -> Option<Code> {
        let verdict = (self.0 & ((1 << VERDICT_BITS) - 1)) as usize;
        Code::ALL.get(verdict.checked_sub(1)?).copied()
    }

    /// Between rows of the same scope and match length: allowed first, then the earlier. Higher wins.
    pub(super) fn preference(self) -> u32 {
        (u32::from(self.deny().is_none()) << 31) | (u32::MAX >> 1).saturating_sub(self.row())
    }

    fn word(self) -> u32 {
        self.0
    }

    fn preferred(one: u32, other: u32) -> u32 {
        if Self(one).preference() >= Self(other).preference() {
            one
        } else {
            other
        }
    }
}

/// The number and address lists of one scope.
#[derive(Debug, Default)]
pub(super) struct ScopeLists {
    numbers: Option<Box<NumberTable>>,
    /// Value: the row and its match length in bits.
    addresses: Option<Box<AddressTable<(Listed, u8)>>>,
}

/// A block, its rank (match length, then preference), its value.
type AddressEntry = (AddressBlock, (u8, u32), (Listed, u8));

/// The rows of one scope, while the lists are built.
#[derive(Debug, Default)]
pub(super) struct ScopeRows {
    exact: Vec<(E164, u32, u32)>,
    prefixes: Vec<PrefixRow>,
    addresses: Vec<AddressEntry>,
}

impl ScopeRows {
    /// Adds a row; agent patterns are kept elsewhere.
    pub(super) fn push(&mut self, row: &ListRow, listed: Listed) {
        let preference = listed.preference();
        let value = listed.word();
        let prefix = |from, to| PrefixRow {
            from,
            to,
            preference,
            value,
        };
        match &row.pattern {
            Pattern::Number(number) => self.exact.push((*number, preference, value)),
            Pattern::NumberPrefix(number) => self.prefixes.push(prefix(*number, *number)),
            Pattern::NumberRange(from, to) => self.prefixes.push(prefix(*from, *to)),
            Pattern::Address(block) => {
                let bits = block.prefix_bits;
                self.addresses
                    .push((*block, (bits, preference), (listed, bits)));
            }
            Pattern::AgentPart(_) | Pattern::AgentWhole(_) | Pattern::AgentExpression(_) => {}
        }
    }

    /// The tables.
    pub(super) fn build(self) -> ScopeLists {
        let numbers = (!self.exact.is_empty() || !self.prefixes.is_empty()).then(|| {
            Box::new(NumberTable::new(
                &self.exact,
                &self.prefixes,
                Listed::preferred,
            ))
        });
        let addresses = (!self.addresses.is_empty()).then(|| {
            Box::new(AddressTable::of_highest(
                self.addresses,
                (Listed::NOTHING, 0),
            ))
        });
        ScopeLists { numbers, addresses }
    }
}

/// The row that speaks about a number; `scopes` from the narrowest.
pub(super) fn number(scopes: [&ScopeLists; 3], number: E164) -> Option<Listed> {
    let mut best: Option<(u8, Listed)> = None;
    for table in scopes.iter().filter_map(|scope| scope.numbers.as_ref()) {
        let Some(hit) = table.get(number) else {
            continue;
        };
        if best.is_none_or(|(match_digits, _)| hit.match_digits > match_digits) {
            best = Some((hit.match_digits, Listed(hit.value)));
        }
    }
    best.map(|(_, listed)| listed)
}

/// The row that speaks about an address; `scopes` from the narrowest.
pub(super) fn address(scopes: [&ScopeLists; 3], address: IpAddr) -> Option<Listed> {
    let mut best: Option<(u8, Listed)> = None;
    for table in scopes.iter().filter_map(|scope| scope.addresses.as_ref()) {
        let (listed, bits) = table.get(address);
        if listed != Listed::NOTHING && best.is_none_or(|(match_bits, _)| bits > match_bits) {
            best = Some((bits, listed));
        }
    }
    best.map(|(_, listed)| listed)
}

/// Asks for index entries, of which `prefetch_entries` reads the second level.
pub(super) fn prefetch_index(
    scopes: [&ScopeLists; 3],
    number: Option<E164>,
    address: Option<IpAddr>,
) {
    for scope in scopes {
        if let (Some(table), Some(number)) = (&scope.numbers, number) {
            table.prefetch_index(number);
        }
        if let (Some(table), Some(address)) = (&scope.addresses, address) {
            table.prefetch_index(address);
        }
    }
}

/// Asks for what the look-ups of `number` and `address` read.
pub(super) fn prefetch_entries(
    scopes: [&ScopeLists; 3],
    number: Option<E164>,
    address: Option<IpAddr>,
) {
    for scope in scopes {
        if let (Some(table), Some(number)) = (&scope.numbers, number) {
            table.prefetch_entries(number);
        }
        if let (Some(table), Some(address)) = (&scope.addresses, address) {
            table.prefetch_intervals(address);
        }
    }
}
