//! The scanner alone: no panic, no allocation, every slice inside the datagram, the same layout from a used slot.
#![no_main]

#[path = "../../common/counting_allocator.rs"]
mod counting_allocator;
#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;
use tollgate::sip::{Kind, Layout, Request};

#[global_allocator]
static ALLOCATOR: counting_allocator::Counting = counting_allocator::Counting;

thread_local! {
    static USED: RefCell<(Layout, Layout)> = RefCell::new((Layout::new(), Layout::new()));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::sip(data, size, max_size, seed)
});

fuzz_target!(|bytes: &[u8]| {
    USED.with_borrow_mut(|(used, fresh)| {
        let cut = bytes.first().is_some_and(|octet| octet % 2 == 1);
        let before = counting_allocator::allocations();
        let kind = used.scan(bytes, cut);
        let request = Request::new(bytes, used);
        let mut octets = 0_usize;
        for (name, value) in request.fields() {
            octets += name.len() + value.len();
        }
        for via in request.via_fields() {
            octets += via.len();
        }
        assert_eq!(counting_allocator::allocations(), before, "the scanner allocated");
        if kind == Kind::Request {
            assert!(octets <= 3 * bytes.len(), "more octets in fields than in the datagram");
            assert!(request.body_start().unwrap_or(0) <= bytes.len());
        }
        *fresh = Layout::new();
        assert_eq!(fresh.scan(bytes, cut), kind);
        let again = Request::new(bytes, fresh);
        assert_eq!(request.fault(), again.fault());
        assert_eq!(request.uri(), again.uri());
        assert!(request.via_fields().eq(again.via_fields()));
    });
});
