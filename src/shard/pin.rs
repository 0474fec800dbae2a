//! Which cores we may use, and staying on one.

use core_affinity::CoreId;

/// Numbers of the cores that this process may use, ascending; empty when the system does not tell.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .into_iter()
        .map(|core| core.id)
        .collect();
    cores.sort_unstable();
    cores
}

/// Keeps the calling thread on `core`; false when the system refuses.
#[must_use]
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core() {
        let core = *allowed_cores().last().unwrap();
        let cores = std::thread::spawn(move || pin(core).then(allowed_cores))
            .join()
            .unwrap();
        assert_eq!(cores, Some(vec![core]));
    }
}
