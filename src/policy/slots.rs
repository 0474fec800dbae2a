//! A number for every domain that lasts as long as the process, by its name: what counts per domain counts by this.
//!
//! Promises: a domain that moves in its file, goes, or comes back has its old number; two names share one only when
//! more than `DOMAINS_MAX` names have been seen, and then it is the last one, `DomainSlots::MORE`.

use super::hash::Seeded;
use crate::limits::DOMAINS_MAX;
use std::collections::HashMap;
use std::sync::Arc;

/// Names by number. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct DomainSlots {
    names: Arc<[Box<str>]>,
}

/// The number that names share for which there was none left.
const MORE: u16 = {
    assert!(
        DOMAINS_MAX < u16::MAX as usize,
        "numbers of domains are u16"
    );
    #[expect(
        clippy::cast_possible_truncation,
        reason = "asserted on the line above"
    )]
    let more = DOMAINS_MAX as u16;
    more
};

impl DomainSlots {
    /// Numbers in all, the shared one included.
    pub const COUNT: usize = DOMAINS_MAX + 1;

    /// The name under which the shared number is shown.
    pub const MORE: &'static str = "(more)";

    /// These numbers and those of `names`, which may be new; the number of each name.
    pub(super) fn with(&self, names: &[&str]) -> (Self, Vec<u16>) {
        let mut known: HashMap<&str, u16, Seeded> = (0..MORE)
            .zip(self.names.iter())
            .map(|(slot, name)| (&**name, slot))
            .collect();
        let mut added: Vec<&str> = Vec::new();
        let slots = names
            .iter()
            .map(|&name| {
                if let Some(&slot) = known.get(name) {
                    return slot;
                }
                let next = u16::try_from(self.names.len() + added.len()).unwrap_or(MORE);
                if next >= MORE {
                    return MORE;
                }
                added.push(name);
                known.insert(name, next);
                next
            })
            .collect();
        if added.is_empty() {
            return (self.clone(), slots);
        }
        let names = self
            .names
            .iter()
            .cloned()
            .chain(added.into_iter().map(Box::from));
        (
            Self {
                names: names.collect(),
            },
            slots,
        )
    }

    /// Every number that may have counted something, with its name.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = self.names.iter().map(|name| &**name).enumerate();
        named.chain([(usize::from(MORE), Self::MORE)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_whatever_happens_around_it() {
        let (slots, first) = DomainSlots::default().with(&["a", "b", "c"]);
        assert_eq!(first, [0, 1, 2]);
        let (slots, second) = slots.with(&["c", "new", "a"]);
        assert_eq!(second, [2, 3, 0]);
        let (slots, third) = slots.with(&["b"]);
        assert_eq!(third, [1]);
        let named: Vec<&str> = slots.entries().map(|(_, name)| name).collect();
        assert_eq!(named, ["a", "b", "c", "new", "(more)"]);
    }

    #[test]
    fn names_beyond_the_last_number_share_one_that_is_nobody_elses() {
        let names: Vec<String> = (0..DOMAINS_MAX)
            .map(|number| format!("d{number}"))
            .collect();
        let (slots, all) =
            DomainSlots::default().with(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(usize::from(*all.last().unwrap()), DOMAINS_MAX - 1);
        let (slots, late) = slots.with(&["late", "d7", "later"]);
        assert_eq!(late, [MORE, 7, MORE]);
        assert_eq!(slots.entries().last(), Some((DOMAINS_MAX, "(more)")));
        assert!(usize::from(MORE) < DomainSlots::COUNT);
    }
}
