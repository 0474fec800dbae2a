//! URIs, header forms and Vias: no panic; every piece is a slice of its text.
#![no_main]

#[path = "../../common/mutate.rs"]
mod mutate;
#[path = "../mutator.rs"]
mod mutator;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate::sip::{Address, Header, Uri, Via};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::value(data, size, max_size, seed)
});

fn inside(whole: &[u8], part: &[u8]) {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.start == part.end || (whole.start <= part.start && part.end <= whole.end));
}

fn look_at(whole: &[u8], uri: Uri<'_>) {
    match uri {
        Uri::Sip(uri) => {
            for part in [uri.user_part, uri.host, uri.parameters, uri.user(), uri.headers.unwrap_or_default()] {
                inside(whole, part);
            }
            assert!(!uri.host.is_empty());
            assert!(uri.port != Some(0));
        }
        Uri::Tel(rest) => inside(whole, rest),
        Uri::Other => {}
    }
}

fuzz_target!(|text: &[u8]| {
    if let Some(uri) = Uri::read(text) {
        look_at(text, uri);
    }
    if let Some(address) = Address::read(text) {
        look_at(text, address.uri);
        let tag = address.tag.unwrap_or(b"x");
        assert!(!tag.is_empty());
    }
    if let Some(uri) = Address::first_uri(text) {
        look_at(text, uri);
    }
    if let Some(via) = Via::read(text) {
        inside(text, via.host);
        for part in [via.branch, via.received, via.received_whole, via.rport_whole] {
            inside(text, part.unwrap_or_default());
            assert!(via.well_formed || part.is_none());
        }
        let _address = (via.host_address(), via.received_address());
    }
    let header = Header::of(text);
    assert!(header.is_none() || text.len() <= 20);
});
