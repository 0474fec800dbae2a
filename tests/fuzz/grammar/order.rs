//! Orders that what sorts, merges and balances behaves differently for.

use crate::mutate::Dice;

/// The same values rising, falling, in runs, nearly in order, or few of them again and again; or as they came.
pub(super) fn arranged<T: Ord + Clone>(mut values: Vec<T>, dice: &mut Dice) -> Vec<T> {
    let count = values.len();
    let order = dice.below(12);
    if order < 5 {
        values.sort();
    }
    match order {
        1 => values.reverse(),
        2 => values[count / 2..].reverse(),
        3 => values.rotate_left(dice.below(count)),
        4 => {
            for _ in 0..count.min(3) {
                values.swap(dice.below(count), dice.below(count));
            }
        }
        5 => {
            for run in values.chunks_mut(1 + dice.below(count)) {
                run.sort();
                if dice.below(2) == 0 {
                    run.reverse();
                }
            }
        }
        6 => {
            let few = 1 + dice.below(count.min(4));
            for at in few..count {
                values[at] = values[dice.below(few)].clone();
            }
        }
        _ => {}
    }
    values
}
