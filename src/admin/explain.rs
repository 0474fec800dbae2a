//! `/v1/explain/PEER/DATAGRAM`: one call by the policy in force and the counters as they stand. Changes nothing.

use super::View;
use crate::policy::counting::Uncounted;
use crate::study::explain::explain;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The steps, or why there are none. The datagram is hexadecimal.
pub(super) fn answered(view: &View, peer: &str, datagram: &str) -> Result<Value, String> {
    let peer: IpAddr = peer
        .parse()
        .map_err(|_| format!("\"{peer}\" is no address"))?;
    let datagram = octets(datagram).ok_or("the datagram is not hexadecimal")?;
    let policy = view.policy.current();
    let now = view.clock.now();
    let steps = match &view.counters {
        Some(counters) => explain(&policy, &datagram, peer, &**counters, now),
        None => explain(&policy, &datagram, peer, &Uncounted::default(), now),
    }?;
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| json!({ "what": step.what, "answer": step.answer }))
        .collect();
    Ok(json!({
        "node": view.name,
        "generation": policy.generation(),
        "bundle": view.in_force(&policy),
        "steps": steps,
    }))
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| match *pair {
            [high, low] => u8::try_from(16 * value(high)? + value(low)?).ok(),
            _ => None,
        })
        .collect()
}
