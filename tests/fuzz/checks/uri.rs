//! URIs, header forms and Vias: every piece is a slice of its text.

use tollgate::sip::{Address, Header, Uri, Via};

/// Holds one text to the rules; whether any reader made sense of it.
pub(crate) fn input(text: &[u8]) -> bool {
    let uri = Uri::read(text);
    if let Some(uri) = uri {
        look_at(text, uri);
    }
    let address = Address::read(text);
    if let Some(address) = address {
        look_at(text, address.uri);
        let tag = address.tag.unwrap_or(b"x");
        assert!(!tag.is_empty());
    }
    let first = Address::first_uri(text);
    if let Some(uri) = first {
        look_at(text, uri);
    }
    let via = Via::read(text);
    if let Some(via) = &via {
        inside(text, via.host);
        for part in [
            via.branch,
            via.received,
            via.received_whole,
            via.rport_whole,
        ] {
            inside(text, part.unwrap_or_default());
            assert!(via.well_formed || part.is_none());
        }
        let _address = (via.host_address(), via.received_address());
    }
    let header = Header::of(text);
    assert!(header.is_none() || text.len() <= 20);
    uri.is_some() || address.is_some() || first.is_some() || via.is_some() || header.is_some()
}

fn inside(whole: &[u8], part: &[u8]) {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.start == part.end || (whole.start <= part.start && part.end <= whole.end));
}

fn look_at(whole: &[u8], uri: Uri<'_>) {
    match uri {
        Uri::Sip(uri) => {
            for part in [
                uri.user_part,
                uri.host,
                uri.parameters,
                uri.user(),
                uri.headers.unwrap_or_default(),
            ] {
                inside(whole, part);
            }
            assert!(!uri.host.is_empty());
            assert!(uri.port != Some(0));
        }
        Uri::Tel(rest) => inside(whole, rest),
        Uri::Other => {}
    }
}
