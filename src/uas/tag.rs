//! To tags: unguessable, and the same for every copy of a request on every node that has the key.
//!
//! Promises: 64 bits keyed by the cluster's secret (RFC 3261 §19.3 asks for 32 random ones); a CANCEL gets the tag of
//! its INVITE, whose top Via, From, Call-ID and CSeq number it repeats (§9.1).
//! Leaves to `respond`: whether a tag is wanted.

use super::admit::split_cseq;
use super::slot::State;
use crate::sip::{Header, Request};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// The tag of the answer to this request.
pub(super) fn of(key: &[u8; 16], bytes: &[u8], request: &Request<'_>, state: &State) -> u64 {
    let value = |header| request.value(header).unwrap_or_default();
    let from = match state.from_tag {
        Some(tag) => tag.within(bytes),
        None => value(Header::From),
    };
    // RFC 2543 clients send no branch: then the whole Via stands for it.
    let branch = state.tag_seed.branch.unwrap_or(state.top_via.value);
    keyed(
        key,
        [
            value(Header::CallId),
            from,
            split_cseq(value(Header::CSeq)).0,
            branch.within(bytes),
            state.tag_seed.sent_by.within(bytes),
        ],
    )
}

/// Hash of the parts. Those of most requests are hashed in one piece: part by part took 350 instructions more.
fn keyed(key: &[u8; 16], parts: [&[u8]; 5]) -> u64 {
    let hasher = SipHasher13::new_with_key(key);
    let mut text = [0_u8; GATHERED_BYTES];
    if let Some(length) = gather(&mut text, parts) {
        return hasher.hash(text.get(..length).unwrap_or_default());
    }
    let mut hasher = hasher;
    for part in parts {
        hasher.write(part);
        // The length keeps the end of one part from passing for the start of the next.
        hasher.write_usize(part.len());
    }
    hasher.finish()
}

/// Octets of the parts with their lengths that are hashed in one piece.
const GATHERED_BYTES: usize = 256;

/// The parts, each with its length behind it, in `text`; how many octets. `None` when they do not fit.
fn gather(text: &mut [u8; GATHERED_BYTES], parts: [&[u8]; 5]) -> Option<usize> {
    let mut rest = &mut text[..];
    for part in parts {
        let (place, after) = rest.split_at_mut_checked(part.len())?;
        place.copy_from_slice(part);
        let (place, after) = after.split_first_chunk_mut()?;
        *place = part.len().to_le_bytes();
        rest = after;
    }
    GATHERED_BYTES.checked_sub(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_one_piece_and_part_by_part_have_the_same_hash() {
        let key = b"0123456789abcdef";
        for length in [0, 1, 7, 8, 40, 200, 215, 216, 217, 1000] {
            let long = vec![b'x'; length];
            let parts = [&long[..], b"b", b"102", b"", b"h"];
            let mut hasher = SipHasher13::new_with_key(key);
            for part in parts {
                hasher.write(part);
                hasher.write(&part.len().to_le_bytes());
            }
            assert_eq!(keyed(key, parts), hasher.finish(), "{length}");
        }
        let parts: [&[u8]; 5] = [b"a", b"bc", b"1", b"x", b"h"];
        let shifted: [&[u8]; 5] = [b"ab", b"c", b"1", b"x", b"h"];
        assert_ne!(keyed(key, parts), keyed(key, shifted));
    }
}
