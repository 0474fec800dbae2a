//! Edges of our own code alone.
//!
//! Libraries are compiled without counters, but their generics come into being in our crate and bring edges with them, nearly
//! half of all: a sort for each type that is sorted, a tree for each key. Whether each of them is met says nothing of us.
//!
//! Promises: libFuzzer sees of an input the blocks in whose chain of inlined functions one stands in `src`: a library's code that
//! was inlined into ours among them, and ours that was inlined into a library's generic.

use std::path::Path;
use std::slice;
use std::sync::OnceLock;

/// An entry of the table that lies beside the counters: where a block begins, and flags.
#[repr(C)]
struct Block {
    address: usize,
    _flags: usize,
}

// SAFETY: bounds that the linker sets around the sections of LLVM's coverage; only their addresses are taken.
unsafe extern "C" {
    #[link_name = "__start___sancov_cntrs"]
    static mut COUNTERS: [u8; 0];
    #[link_name = "__stop___sancov_cntrs"]
    static COUNTERS_END: [u8; 0];
    #[link_name = "__start___sancov_pcs"]
    static BLOCKS: [Block; 0];
}

/// Forgets what the last input met of others' code.
pub fn alone() {
    static KEPT: OnceLock<Vec<u8>> = OnceLock::new();
    let count = (&raw const COUNTERS_END).addr() - (&raw const COUNTERS).addr();
    let kept = KEPT.get_or_init(|| every(count));
    // SAFETY: the linker laid so many counters there, and no code that counts runs while the slice lives.
    let counters = unsafe { slice::from_raw_parts_mut((&raw mut COUNTERS).cast::<u8>(), count) };
    for (counter, kept) in counters.iter_mut().zip(kept) {
        *counter &= kept;
    }
}

/// What is kept of each of so many counters.
fn every(count: usize) -> Vec<u8> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let ours = ours
        .canonicalize()
        .expect("the source is where it was compiled");
    // SAFETY: LLVM writes as many entries as counters, in their order (libFuzzer ends at its start otherwise), and nobody changes them.
    let blocks = unsafe { slice::from_raw_parts((&raw const BLOCKS).cast::<Block>(), count) };
    let every: Vec<u8> = blocks.iter().map(|block| kept(block, &ours)).collect();
    let ours = every.iter().filter(|kept| **kept != 0).count();
    // Without line tables there would be none, and nothing would ever be new.
    assert!(
        ours > every.len() / 4,
        "{ours} of {} edges are ours",
        every.len()
    );
    eprintln!("{ours} of {} edges are of our own lines", every.len());
    every
}

/// All bits where one of the functions that the block is of, inlined ones among them, stands in this folder; none elsewhere.
fn kept(block: &Block, folder: &Path) -> u8 {
    let mut stands = false;
    // The octet behind: what is looked up is the one before a return address.
    let address = (block.address + 1) as *mut _;
    backtrace::resolve(address, |symbol| {
        stands |= symbol
            .filename()
            .is_some_and(|file| file.starts_with(folder));
    });
    if stands { u8::MAX } else { 0 }
}
