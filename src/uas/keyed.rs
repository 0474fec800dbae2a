//! One keyed hash of what tells a request from others: its To tag is made of it, and its entry in the transaction memory
//! is found by it.
//!
//! Promises: 64 bits of tag from the cluster's secret (RFC 3261 §19.3 asks for 32 random ones), the same for every copy of
//! a request on every node that has the key; a CANCEL gets the tag of its INVITE, whose top Via, From, Call-ID and CSeq
//! number it repeats (§9.1).
//! Leaves to `respond`: whether a tag is wanted; to `memory`: what else its key is made of.
//!
//! Why it is unguessable: the parts are reduced by multiplications with secret words, which alone would be no proof, to 128
//! bits that nobody ever sees; the tag is SipHash-1-3 of these, so tags tell nothing of the words. Whoever wants two
//! requests to meet has to find them blindly. All octets through `SipHash`, and once more through another hash for the
//! memory, took 1,180 instructions a decision, this takes 500.

use crate::sip::{Header, Request, block};
use siphasher::sip::SipHasher13;

/// What the values that a CANCEL repeats come to. No two requests have the same but by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity([u64; 2]);

/// The secret words, all made from the cluster's key.
#[derive(Clone)]
pub(super) struct Keyed {
    words: [u64; 11],
    tags: SipHasher13,
}

/// The seed of this node's counters, made of its key: the same after a restart, so that what was saved can be read, and as
/// unguessable as the key.
#[must_use]
pub fn counters_seed(key: [u8; 16]) -> [u8; 32] {
    let hasher = SipHasher13::new_with_key(&key);
    let mut seed = [0; 32];
    let (chunks, _) = seed.as_chunks_mut();
    for (number, chunk) in (0_u8..).zip(chunks) {
        // Two octets, where the words are of one and tags of sixteen.
        *chunk = hasher.hash(&[number, b'c']).to_le_bytes();
    }
    seed
}

/// The product, its halves folded together: every bit of both factors moves every bit of it.
#[inline]
pub(super) fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one).wrapping_mul(u128::from(other));
    let half = |half: u128| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0);
    half(product) ^ half(product >> 64)
}

/// Two words of sixteen octets.
#[inline]
fn words(block: &[u8; 16]) -> (u64, u64) {
    match block.as_chunks() {
        ([low, high], _) => (u64::from_le_bytes(*low), u64::from_le_bytes(*high)),
        _ => (0, 0),
    }
}

/// Two words of up to sixteen octets; with the length they say which ones.
#[inline]
fn few(text: &[u8]) -> (u64, u64) {
    if let (Some(low), Some(high)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
    }
    if let (Some(low), Some(high)) = (text.first_chunk(), text.last_chunk()) {
        return (
            u32::from_le_bytes(*low).into(),
            u32::from_le_bytes(*high).into(),
        );
    }
    let octet = |at: usize| text.get(at).copied().map_or(0, u64::from);
    (octet(0) | octet(1) << 8 | octet(2) << 16, 0)
}

impl Keyed {
    /// The words of this key.
    pub(super) fn new(key: [u8; 16]) -> Self {
        let tags = SipHasher13::new_with_key(&key);
        let mut words = [0; 11];
        for (number, word) in (0_u8..).zip(&mut words) {
            // One octet, where a tag is of sixteen: no tag is ever one of the words.
            *word = tags.hash(&[number]);
        }
        Self { words, tags }
    }

    /// A hash of a part, another one for every `number` (3 to 8). Parts do not wait for each other, so the processor has
    /// several in hand at once.
    #[inline]
    pub(super) fn part(&self, number: usize, text: &[u8]) -> u64 {
        let [even, odd, each, ..] = self.words;
        let mut state = self.words.get(number).copied().unwrap_or(0);
        let mut rest = text;
        while rest.len() > 16
            && let Some((block, after)) = rest.split_first_chunk()
        {
            let (low, high) = words(block);
            state = fold(low ^ even, high ^ state);
            rest = after;
        }
        // The last sixteen octets, some of them for the second time; the length tells which.
        let (low, high) = match text.last_chunk() {
            Some(block) => words(block),
            None => few(text),
        };
        // Nobody knows by how much an octet more moves the state, so no other octets make up for it.
        let length = u64::try_from(text.len()).unwrap_or(0);
        state = state.wrapping_add(length.wrapping_mul(each));
        fold(low ^ odd, high ^ state)
    }

    /// What the request is known by. `top_via` is the first value of its first Via.
    #[inline]
    pub(super) fn identity(&self, request: &Request<'_>, top_via: &[u8]) -> Identity {
        let value = |header| request.value(header).unwrap_or_default();
        let cseq = value(Header::CSeq);
        let number = cseq.get(..block::plain_run(cseq)).unwrap_or_default();
        let [.., first, second] = self.words;
        Identity([
            fold(
                self.part(4, value(Header::CallId)) ^ first,
                self.part(5, value(Header::From)),
            ),
            fold(self.part(6, top_via) ^ second, self.part(7, number)),
        ])
    }

    /// The tag of the answer to this request.
    #[inline]
    pub(super) fn tag(&self, identity: Identity) -> u64 {
        let Identity([one, other]) = identity;
        let text = u128::from(one) | u128::from(other) << 64;
        self.tags.hash(&text.to_le_bytes())
    }
}

impl Identity {
    /// Both words, for a hash that goes on from here.
    pub(super) fn words(self) -> [u64; 2] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn parts_of_any_length_that_differ_in_one_bit_or_in_length_differ() {
        let keyed = Keyed::new([7; 16]);
        let mut seen = HashSet::new();
        for length in 0..80 {
            let text = vec![0_u8; length];
            assert!(seen.insert(keyed.part(3, &text)), "{length}");
            for at in 0..length {
                for bit in 0..8 {
                    let mut text = text.clone();
                    text[at] ^= 1 << bit;
                    assert!(seen.insert(keyed.part(3, &text)), "{length} {at} {bit}");
                }
            }
        }
        assert_ne!(keyed.part(3, b"x"), keyed.part(4, b"x"));
        assert_ne!(keyed.part(3, b"x"), Keyed::new([8; 16]).part(3, b"x"));
    }

    #[test]
    fn tags_differ_by_key_and_show_no_word() {
        let identity = Identity([1, 2]);
        let (one, other) = (Keyed::new([1; 16]), Keyed::new([2; 16]));
        assert_eq!(one.tag(identity), Keyed::new([1; 16]).tag(identity));
        assert_ne!(one.tag(identity), other.tag(identity));
        assert_ne!(one.tag(identity), one.tag(Identity([2, 1])));
        assert!(!one.words.contains(&one.tag(Identity([0, 0]))));
        let distinct: HashSet<u64> = one.words.into_iter().collect();
        assert_eq!(distinct.len(), one.words.len());
    }
}
