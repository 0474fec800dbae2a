//! The screening headers: no panic; an agent that could not be split for certain is never an address or a number.
#![no_main]

#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::cell::RefCell;
use tollgate::policy::HeaderFamily;
use tollgate::sip::{Layout, Request};
use tollgate::uas::screening;

thread_local! {
    static LAYOUT: RefCell<(Layout, Vec<u8>)> = RefCell::new((Layout::new(), Vec::new()));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::value(data, size, max_size, seed)
});

fuzz_target!(|value: &[u8]| {
    LAYOUT.with_borrow_mut(|(layout, request)| {
        for name in ["P-tfps: ", "X_tfps: u@d\r\nP-UA: A\r\nP_Received: "] {
            request.clear();
            request.extend_from_slice(b"INVITE sip:a@b SIP/2.0\r\n");
            request.extend_from_slice(name.as_bytes());
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n\r\n");
            layout.scan(request, false);
            let read = screening::read(&Request::new(request, layout));
            assert!(read.family != HeaderFamily::None);
            if read.suspect {
                assert!(read.address.is_none() && read.agent.is_none() && read.reported_calls.is_none());
            }
            let whole = request.as_ptr_range();
            for field in [read.user, read.domain, read.agent].into_iter().flatten() {
                let field = field.as_ptr_range();
                assert!(field.start < field.end, "an empty field is an absent one");
                assert!(whole.start <= field.start && field.end <= whole.end);
            }
        }
    });
});
