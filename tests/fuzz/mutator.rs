//! libFuzzer's own changes and ours, in turn.
//!
//! Promises: never more than `max_size` octets. Leaves to `mutate`: what a change is.

use crate::mutate::{Dice, mutate};
use libfuzzer_sys::fuzzer_mutate;

/// Messages whose lines are spliced in.
const GOOD: [&[u8]; 4] = [
    include_bytes!("../data/captures/chan_sip-m1-escaped-invite.sip"),
    include_bytes!("../data/captures/kamailio-trelay-rr-invite.sip"),
    include_bytes!("../data/rfc4475/wsinv.dat"),
    include_bytes!("../data/rfc4475/longreq.dat"),
];

/// Writes what was changed, as far as there is room.
pub fn put(data: &mut [u8], changed: &[u8]) -> usize {
    let length = changed.len().min(data.len());
    data[..length].copy_from_slice(&changed[..length]);
    length
}

/// Few messages of the world are longer, and a short one is read sooner.
const USUAL_BYTES_MAX: usize = 1_500;

/// Three times in four a change by lines, else one by octets; fifteen times in sixteen no longer than usual.
#[allow(dead_code, reason = "each target uses one of these")]
pub fn sip(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(u64::from(seed));
    let long = dice.below(16) == 0;
    let max_size = if long {
        max_size
    } else {
        max_size.min(USUAL_BYTES_MAX)
    };
    let size = size.min(max_size);
    if dice.below(4) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let other = GOOD[dice.below(GOOD.len())];
    let changed = mutate(&data[..size], other, &mut dice, max_size);
    put(data, &changed)
}

/// Half of the time a change by lines and words, else one by octets: for values and tables.
#[allow(dead_code, reason = "each target uses one of these")]
pub fn text(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(u64::from(seed));
    if dice.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let changed = mutate(&data[..size], b"", &mut dice, max_size);
    put(data, &changed)
}
