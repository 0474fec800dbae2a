//! A datagram end to end; the rules stand in `checks/answer.rs`.
#![no_main]

#[path = "../checks/answer.rs"]
mod check;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;
#[path = "../ours.rs"]
mod ours;
#[path = "../requests.rs"]
mod requests;
#[path = "../../common/rows.rs"]
mod rows;
#[path = "../checks/script.rs"]
mod script;
#[path = "../timed.rs"]
mod timed;

use check::Check;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use script::{SEPARATOR, VARIED};
use std::cell::RefCell;

thread_local! {
    static CHECK: RefCell<Check> = RefCell::new(Check::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});

/// A new script, or a change of the first datagram, or of how the others follow it.
fn change(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = mutate::Dice::new(u64::from(seed) << 32);
    if dice.below(8) == 0 {
        return mutator::put(&mut data[..max_size], &requests::script(&mut dice));
    }
    let first = data[..size]
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
        .unwrap_or(size);
    let mut rest = data[first..size].to_vec();
    match dice.below(32) {
        // Many datagrams take long, and most of what there is to find shows in one.
        0..22 => rest.clear(),
        22 | 23 | 27 => {
            rest.extend_from_slice(SEPARATOR);
            rest.push(u8::try_from(dice.below(0x80)).unwrap_or(0));
        }
        24 => {
            let message = data[..first].to_vec();
            rest.extend_from_slice(SEPARATOR);
            rest.push(u8::try_from(dice.below(0x80)).unwrap_or(0));
            rest.extend(mutate::mutate(&message, b"", &mut dice, max_size));
        }
        25 => {
            let at = dice.below(rest.len().max(1));
            if let Some(octet) = rest.get_mut(at) {
                *octet = u8::try_from(dice.below(0x80)).unwrap_or(0);
            }
        }
        26 => {
            let digits: Vec<usize> = (0..first).filter(|at| data[*at].is_ascii_digit()).collect();
            if let Some(at) = digits.get(dice.below(digits.len())) {
                data[*at] = VARIED;
            }
        }
        _ => {}
    }
    if rest.len() * 2 > max_size {
        rest.clear();
    }
    let room = max_size - rest.len();
    let length = match dice.below(4) {
        0 if !rest.is_empty() => first.min(room),
        1 => {
            let mut changed = requests::line_replaced(&data[..first], &mut dice);
            if rest.is_empty() {
                requests::settle(&mut changed);
            }
            mutator::put(&mut data[..room], &changed)
        }
        _ => mutator::sip(data, first.min(room), room, seed),
    };
    let whole = [&data[..length], &rest].concat();
    mutator::put(&mut data[..max_size], &whole)
}

fuzz_target!(|bytes: &[u8]| {
    CHECK.with_borrow_mut(|check| timed::timed(|| check.input(bytes)));
    ours::alone();
});
