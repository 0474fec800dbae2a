//! User agents against the lists: whole agents, parts of them, regular expressions.
//!
//! Promises: case does not count (ASCII); time is linear in the agent's length, whatever a stranger sends; whole beats
//! part beats expression, then the longer match, then the narrower scope, then allowed, then the earlier row. Wholes
//! and parts allocate nothing; an expression's engine grows its cache, bounded, when a thread first meets it.
//! Leaves to `control`: telling the operator what an expression lacks (`check_agent_expression` says it).

use super::byte_map::ByteMap;
use super::hash::Seeded;
use super::lists::Listed;
use super::rows::{ListRow, Pattern};
use crate::counters::KeyHasher;
use crate::limits::SCREENING_VALUE_BYTES_MAX;
use aho_corasick::AhoCorasick;
use aho_corasick::packed::Searcher;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest compiled expression, octets. Compiling takes time by the size: up to 1 MiB, as many expressions as a bundle may have
/// took most of a second.
const EXPRESSION_BYTES_MAX: usize = 1 << 17;

/// Largest cache of an expression's lazy automaton per thread, octets.
const EXPRESSION_CACHE_BYTES_MAX: usize = 1 << 18;

/// Below this length the filter would fall back on a search of single octets.
const FILTERED_BYTES_MIN: usize = 64;

const _: () = assert!(FILTERED_BYTES_MIN <= SCREENING_VALUE_BYTES_MAX);

/// All agent rows of all scopes; a scope is a number that `snapshot` gives.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Rows, the preferred first, so that the lowest index under a key is the winner.
    rows: Vec<Listed>,
    /// Tag: scope.
    wholes: ByteMap,
    /// Bit n: some whole agent has n octets (63: that many or more). Most agents end at this test.
    whole_lengths: u64,
    /// All parts, of an agent in lower case.
    parts: Option<AhoCorasick>,
    /// Finds whether any part is there at all, vectorised; `None` when there are too many. 13 parts in an agent of 30
    /// octets: 150 instructions in place of 440.
    parts_filter: Option<Searcher>,
    /// (pattern in `parts`, scope) → index into `rows`.
    part_rows: HashMap<(u32, u32), u32, Seeded>,
    expressions: HashMap<u32, Vec<(Regex, u32)>, Seeded>,
    recent: Recent,
}

/// What was found for agents lately: a network has a few dozen of them, and each is met in every call. One search took 300
/// instructions, this takes 80.
///
/// Places are written by any shard without a lock: an entry is two words whose exclusive or is the agent's hash, so halves of
/// two entries fit no agent. The hash is of 64 bits, seeded with the node's key, and decides alone: another agent has it
/// once in 2^64, which is less often than a bit turns over in memory, and nobody without the key can look for one.
struct Recent(Box<[RecentPlace]>);

#[derive(Default)]
struct RecentPlace {
    /// The hash, exclusive or `found`.
    check: AtomicU64,
    /// The index into `rows` and two; `FOUND_NOTHING`; or 0, where nothing was entered yet.
    found: AtomicU64,
}

const FOUND_NOTHING: u64 = 1;

/// Agents that are remembered; 16 octets each.
const RECENT_AGENTS: usize = 256;

impl std::fmt::Debug for Recent {
    // What the places hold tells of the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self((0..RECENT_AGENTS).map(|_| RecentPlace::default()).collect())
    }
}

impl Recent {
    /// What `search` finds, or found lately.
    fn find(
        &self,
        hasher: &KeyHasher,
        scopes: [u32; 3],
        agent: &[u8],
        search: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        let hash = hasher.text_of(scopes, agent);
        let at = usize::try_from(hash).unwrap_or(0) % RECENT_AGENTS;
        let Some(place) = self.0.get(at) else {
            return search();
        };
        // Relaxed: whatever pair is read, it tells itself whether it is one.
        let found = place.found.load(Ordering::Relaxed);
        if found != 0 && place.check.load(Ordering::Relaxed) ^ found == hash {
            return found
                .checked_sub(FOUND_NOTHING + 1)
                .and_then(|row| u32::try_from(row).ok());
        }
        let row = search();
        let found = row.map_or(FOUND_NOTHING, |row| u64::from(row) + FOUND_NOTHING + 1);
        place.check.store(hash ^ found, Ordering::Relaxed);
        place.found.store(found, Ordering::Relaxed);
        row
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// Builds the engine of a `re:` pattern.
fn compile(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression)
        .case_insensitive(true)
        .size_limit(EXPRESSION_BYTES_MAX)
        .dfa_size_limit(EXPRESSION_CACHE_BYTES_MAX)
        .build()
}

/// Whether a `re:` pattern can be used.
///
/// # Errors
/// What is wrong with it, as a sentence for the operator.
pub fn check_agent_expression(expression: &str) -> Result<(), String> {
    compile(expression)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

impl Agents {
    /// Builds from list rows with their scope's number; rows on other things are passed over.
    pub(super) fn new(mut rows: Vec<(u32, Listed, &ListRow)>) -> Self {
        rows.retain(|(_, _, row)| {
            matches!(
                row.pattern,
                Pattern::AgentPart(_) | Pattern::AgentWhole(_) | Pattern::AgentExpression(_)
            )
        });
        rows.sort_by_key(|(_, listed, _)| std::cmp::Reverse(listed.preference()));
        let mut agents = Self::default();
        let mut parts: Vec<String> = Vec::new();
        let mut part_numbers: HashMap<String, u32, Seeded> = HashMap::default();
        for (index, &(scope, listed, row)) in (0_u32..).zip(&rows) {
            agents.rows.push(listed);
            match &row.pattern {
                Pattern::AgentWhole(whole) => {
                    agents.whole_lengths |= length_bit(whole.len());
                    agents.wholes.insert_lowest(
                        scope,
                        whole.to_ascii_lowercase().as_bytes(),
                        index,
                    );
                }
                // An empty part would match every agent: not what a list can mean.
                Pattern::AgentPart(part) if part.is_empty() => {}
                Pattern::AgentPart(part) => {
                    let part = part.to_ascii_lowercase();
                    let number = *part_numbers.entry(part).or_insert_with_key(|part| {
                        parts.push(part.clone());
                        u32::try_from(parts.len() - 1).unwrap_or(u32::MAX)
                    });
                    agents.part_rows.entry((number, scope)).or_insert(index);
                }
                Pattern::AgentExpression(expression) => {
                    // Control refused what does not compile.
                    if let Ok(regex) = compile(expression) {
                        agents
                            .expressions
                            .entry(scope)
                            .or_default()
                            .push((regex, index));
                    }
                }
                Pattern::Number(_)
                | Pattern::NumberPrefix(_)
                | Pattern::NumberRange(..)
                | Pattern::Address(_) => {}
            }
        }
        if !parts.is_empty() {
            // It fails only from 2^31 states on; a bundle's lists are far from that.
            agents.parts = AhoCorasick::new(&parts).ok();
            agents.parts_filter = Searcher::new(&parts);
        }
        agents
    }

    /// The row that speaks about this agent; `scopes` from the narrowest. An agent longer than
    /// `SCREENING_VALUE_BYTES_MAX` is cut for parts and expressions, and equals no whole pattern. `hasher` has the node's key.
    pub(super) fn find(
        &self,
        hasher: &KeyHasher,
        scopes: [u32; 3],
        agent: &[u8],
    ) -> Option<Listed> {
        if self.rows.is_empty() {
            return None;
        }
        let row = self
            .recent
            .find(hasher, scopes, agent, || self.search(scopes, agent))?;
        self.rows.get(row as usize).copied()
    }

    /// The index of that row.
    fn search(&self, scopes: [u32; 3], agent: &[u8]) -> Option<u32> {
        let cut = agent.get(..SCREENING_VALUE_BYTES_MAX).unwrap_or(agent);
        let mut lowered = [0_u8; SCREENING_VALUE_BYTES_MAX];
        let lower = lowered.get_mut(..cut.len())?;
        lower.copy_from_slice(cut);
        lower.make_ascii_lowercase();
        let lower = lowered.get(..cut.len())?;
        let filtered = lowered.get(..cut.len().max(FILTERED_BYTES_MIN))?;
        let whole = (lower.len() == agent.len())
            .then(|| self.whole(scopes, lower))
            .flatten();
        whole
            .or_else(|| self.part(scopes, lower, filtered))
            .or_else(|| self.expression(scopes, cut))
    }

    fn whole(&self, scopes: [u32; 3], lower: &[u8]) -> Option<u32> {
        if self.whole_lengths & length_bit(lower.len()) == 0 {
            return None;
        }
        scopes
            .into_iter()
            .find_map(|scope| self.wholes.get(scope, lower))
    }

    /// `filtered` is the agent with zeros behind it: a part found there may be none of the agent, but no part is missed.
    fn part(&self, scopes: [u32; 3], lower: &[u8], filtered: &[u8]) -> Option<u32> {
        let parts = self.parts.as_ref()?;
        if let Some(filter) = &self.parts_filter {
            filter.find(filtered)?;
        }
        let mut best: Option<(usize, usize, u32)> = None;
        for found in parts.find_overlapping_iter(lower) {
            let length = found.end() - found.start();
            // The narrowest scope that has this part; then compare by length, then by scope.
            for (breadth, &scope) in scopes.iter().enumerate() {
                let Some(&row) = self.part_rows.get(&(found.pattern().as_u32(), scope)) else {
                    continue;
                };
                if best.is_none_or(|(longest, narrowest, _)| {
                    length > longest || (length == longest && breadth < narrowest)
                }) {
                    best = Some((length, breadth, row));
                }
                break;
            }
        }
        best.map(|(_, _, row)| row)
    }

    fn expression(&self, scopes: [u32; 3], agent: &[u8]) -> Option<u32> {
        let mut best: Option<(usize, u32)> = None;
        if self.expressions.is_empty() {
            return None;
        }
        for scope in scopes {
            // Within a scope the preferred row comes first, so only a longer match replaces one.
            for (regex, row) in self.expressions.get(&scope).map_or(&[][..], Vec::as_slice) {
                if let Some(found) = regex.find(agent)
                    && best.is_none_or(|(longest, _)| found.len() > longest)
                {
                    best = Some((found.len(), *row));
                }
            }
        }
        best.map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_grows_large_when_compiled_is_refused() {
        for usual in [
            "friendly-scanner|sipvicious",
            r"^\w+ \w+/\d+\.\d+$",
            "[0-9A-Za-z_]{20}",
            r"^(polycom|yealink).*\d{4}",
        ] {
            assert_eq!(check_agent_expression(usual), Ok(()), "{usual}");
        }
        for large in [r"\w{20}", r"\w{1000}", "a{1000}{1000}"] {
            let said = check_agent_expression(large).unwrap_err();
            assert!(said.contains("size limit"), "{large}: {said}");
        }
    }

    #[test]
    fn what_was_found_lately_is_known_by_the_nodes_key() {
        let recent = Recent::default();
        let (ours, another) = (KeyHasher::new([1; 32]), KeyHasher::new([2; 32]));
        let searched = std::cell::Cell::new(0);
        let find = |hasher: &KeyHasher, scope: u32, agent: &[u8]| {
            recent.find(hasher, [scope, 1, 0], agent, || {
                searched.set(searched.get() + 1);
                Some(7)
            })
        };
        for (hasher, scope, agent, searches) in [
            (&ours, 5, &b"phone"[..], 1),
            (&ours, 5, b"phone", 1),
            (&ours, 6, b"phone", 2),
            (&ours, 5, b"phone2", 3),
            (&another, 5, b"phone", 4),
        ] {
            assert_eq!(find(hasher, scope, agent), Some(7));
            assert_eq!(searched.get(), searches, "{scope} {}", agent.escape_ascii());
        }
    }
}
