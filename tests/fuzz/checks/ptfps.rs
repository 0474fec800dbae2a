//! The screening headers: an agent that could not be split for certain is never an address or a number.

use tollgate::policy::HeaderFamily;
use tollgate::sip::{Layout, Request};
use tollgate::uas::screening;

/// Room that is used again.
pub(crate) struct Check {
    layout: Layout,
    request: Vec<u8>,
}

impl Check {
    /// Empty room.
    pub(crate) fn new() -> Self {
        Self {
            layout: Layout::new(),
            request: Vec::new(),
        }
    }

    /// Holds one value to the rules, as that of `P-tfps` and of the older headers.
    pub(crate) fn input(&mut self, value: &[u8]) {
        let Self { layout, request } = self;
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
                assert!(
                    read.address.is_none() && read.agent.is_none() && read.reported_calls.is_none()
                );
            }
            let whole = request.as_ptr_range();
            for field in [read.user, read.domain, read.agent].into_iter().flatten() {
                let field = field.as_ptr_range();
                assert!(field.start < field.end, "an empty field is an absent one");
                assert!(whole.start <= field.start && field.end <= whole.end);
            }
        }
    }
}
