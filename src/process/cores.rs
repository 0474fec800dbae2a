//! How many shards, and on which cores.

use crate::control::{Cores, Shards};

/// The core of each shard, by the configuration and the cores that this process may use; `None`: not pinned.
///
/// `auto` leaves one core to the rest of the system and takes the last ones, since interrupts favour the first.
///
/// # Errors
/// A sentence: a listed core is not ours, or there are more shards than listed cores.
pub fn plan(
    shards: Shards,
    cores: &Cores,
    allowed: &[usize],
) -> Result<Vec<Option<usize>>, String> {
    match cores {
        Cores::List(list) => listed(shards, list, allowed),
        Cores::Auto => Ok(chosen(shards, allowed)),
    }
}

fn listed(shards: Shards, list: &[usize], allowed: &[usize]) -> Result<Vec<Option<usize>>, String> {
    if let Some(foreign) = list.iter().find(|core| !allowed.contains(core)) {
        let ours = text(allowed);
        return Err(format!(
            "core {foreign} is not one that this process may use (it may use {ours})"
        ));
    }
    let count = match shards {
        Shards::Auto => list.len(),
        Shards::Fixed(count) => count,
    };
    if count > list.len() {
        let listed = text(list);
        return Err(format!(
            "{count} shards do not fit on the listed cores ({listed}); one shard a core"
        ));
    }
    Ok(list.iter().copied().map(Some).take(count).collect())
}

fn chosen(shards: Shards, allowed: &[usize]) -> Vec<Option<usize>> {
    let count = match shards {
        Shards::Auto => allowed.len().saturating_sub(1).max(1),
        Shards::Fixed(count) => count,
    };
    // With more shards than cores a pin would only hinder the scheduler.
    let Some(first) = allowed.len().checked_sub(count) else {
        return vec![None; count];
    };
    allowed.iter().skip(first).copied().map(Some).collect()
}

/// Numbers of cores as a list.
pub(super) fn text(cores: &[usize]) -> String {
    if cores.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = cores.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_get_cores_of_their_own_and_leave_one() {
        let list = |cores: &[usize]| Cores::List(cores.to_vec());
        let some = |cores: &[usize]| cores.iter().copied().map(Some).collect::<Vec<_>>();
        let eight = [0, 1, 2, 3, 8, 9, 10, 11];
        for (shards, cores, allowed, expected) in [
            (Shards::Auto, Cores::Auto, &eight[..], some(&eight[1..])),
            (Shards::Auto, Cores::Auto, &[5, 7], some(&[7])),
            (Shards::Auto, Cores::Auto, &[5], some(&[5])),
            (Shards::Auto, Cores::Auto, &[], vec![None]),
            (Shards::Fixed(2), Cores::Auto, &eight, some(&[10, 11])),
            (Shards::Fixed(2), Cores::Auto, &[0, 1], some(&[0, 1])),
            (Shards::Fixed(3), Cores::Auto, &[0, 1], vec![None; 3]),
            (Shards::Auto, list(&[9, 2]), &eight, some(&[9, 2])),
            (Shards::Fixed(1), list(&[9, 2]), &eight, some(&[9])),
        ] {
            assert_eq!(
                plan(shards, &cores, allowed),
                Ok(expected),
                "{shards:?} {cores:?}"
            );
        }
    }

    #[test]
    fn a_core_that_is_not_ours_is_named() {
        let foreign = plan(Shards::Auto, &Cores::List(vec![1, 64]), &[0, 1]).unwrap_err();
        assert_eq!(
            foreign,
            "core 64 is not one that this process may use (it may use 0, 1)"
        );
        let many = plan(Shards::Fixed(2), &Cores::List(vec![1]), &[0, 1]).unwrap_err();
        assert_eq!(
            many,
            "2 shards do not fit on the listed cores (1); one shard a core"
        );
    }
}
