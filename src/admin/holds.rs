//! `/v1/holds`: the holds in force, and ending one.

use super::View;
use crate::counters::HoldEntry;
use crate::policy::Code;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// Holds that are shown; those that last longest.
const SHOWN: usize = 10_000;

/// Why a hold was not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReleased {
    /// What was given is no number of a hold.
    NoNumber,
    /// None with this number is in force.
    NotThere,
}

/// Every hold in force, with what it is released by.
pub(super) fn shown(view: &View) -> Value {
    let Some(counters) = &view.counters else {
        return json!({ "holds": [], "more": 0 });
    };
    let mut holds: Vec<HoldEntry> = counters.holds(view.clock.now()).collect();
    holds.sort_unstable_by_key(|hold| Reverse(hold.left_ms));
    let more = holds.len().saturating_sub(SHOWN);
    holds.truncate(SHOWN);
    let holds: Vec<Value> = holds.iter().map(one).collect();
    json!({ "holds": holds, "more": more })
}

fn one(hold: &HoldEntry) -> Value {
    let [domain, subscriber, limit, caller, address, to] = hold.text.fields();
    let code = Code::ALL.get(usize::from(hold.code));
    json!({
        "id": format!("{:016x}", hold.id),
        "code": code.map_or("", |code| code.text()),
        "domain": domain,
        "subscriber": subscriber,
        "limit": limit,
        "caller": caller,
        "address": address,
        "to": to,
        "placed_unix_s": hold.placed_unix_s,
        "left_seconds": hold.left_ms.div_ceil(1000),
    })
}

/// Ends the hold of this number.
pub(super) fn release(view: &View, id: &str) -> Result<Value, NotReleased> {
    let is_hex = id.len() == 16 && id.bytes().all(|octet| octet.is_ascii_hexdigit());
    let number = u64::from_str_radix(id, 16).ok().filter(|_| is_hex);
    let number = number.ok_or(NotReleased::NoNumber)?;
    let counters = view.counters.as_ref().ok_or(NotReleased::NotThere)?;
    if counters.release_hold(number, view.clock.now()) {
        return Ok(json!({ "released": id }));
    }
    Err(NotReleased::NotThere)
}
