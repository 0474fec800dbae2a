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
    let mut hasher = SipHasher13::new_with_key(key);
    let value = |header| request.value(header).unwrap_or_default();
    let from = match state.from_tag {
        Some(tag) => tag.within(bytes),
        None => value(Header::From),
    };
    // RFC 2543 clients send no branch: then the whole Via stands for it.
    let branch = state.tag_seed.branch.unwrap_or(state.top_via.value);
    for part in [
        value(Header::CallId),
        from,
        split_cseq(value(Header::CSeq)).0,
        branch.within(bytes),
        state.tag_seed.sent_by.within(bytes),
    ] {
        hasher.write(part);
        // The length keeps the end of one part from passing for the start of the next.
        hasher.write_usize(part.len());
    }
    hasher.finish()
}
