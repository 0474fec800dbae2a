//! Configuration and bundle: whatever their files hold, they are refused with sentences or become a policy.
#![no_main]

#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use tollgate::clock::Clock;
use tollgate::control::{self, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source};

/// A folder in memory where there is one, of this process alone.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let above = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = above.join(format!("tollgate-fuzz-{}", std::process::id()));
        fs::create_dir_all(folder.join("bundle/lists")).expect("a folder");
        fs::write(folder.join("tollgate.toml"), SAMPLE_CONFIG).expect("a file");
        for (path, text) in SAMPLE_BUNDLE {
            fs::write(folder.join("bundle").join(path), text).expect("a file");
        }
        folder
    })
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::table(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    // The first octet chooses the file.
    let Some((first, text)) = data.split_first() else { return };
    let files: Vec<(&str, &str)> = SAMPLE_BUNDLE.into_iter().collect();
    let which = usize::from(*first) % (files.len() + 1);
    let (path, original) = match files.get(which) {
        Some((path, original)) => (folder().join("bundle").join(path), *original),
        None => (folder().join("tollgate.toml"), SAMPLE_CONFIG),
    };
    fs::write(&path, text).expect("a file");
    match control::load(&Source::File(folder().join("tollgate.toml"))) {
        Ok(loaded) => {
            let _policy = control::build(&loaded.rows, Clock::start().now());
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
    fs::write(&path, original).expect("a file");
});
