//! Status codes and the fixed list of reason phrases. Nothing from the wire ever becomes a phrase.

/// A status code, 300–699 in practice; 200 for OPTIONS and CANCEL only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

/// The reason phrases we write. A 400 names the fault (RFC 3261 §21.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phrase {
    /// The phrase that RFC 3261 §21 (or the RFC that defines the status) gives the status.
    Standard,
    /// The request line is not `Method SP Request-URI SP SIP-Version` (RFC 3261 §7.1).
    BadRequestLine,
    /// The Request-URI is not what its scheme allows, or carries headers (RFC 3261 §19.1.1).
    BadRequestUri,
    /// No Via, or one whose sent-by cannot be read.
    BadVia,
    /// No From.
    MissingFrom,
    /// From cannot be read.
    BadFrom,
    /// No To.
    MissingTo,
    /// To cannot be read.
    BadTo,
    /// No Call-ID.
    MissingCallId,
    /// Call-ID is empty or holds white space.
    BadCallId,
    /// No CSeq.
    MissingCSeq,
    /// CSeq is not `number method`, or its number is 2^31 or more (RFC 3261 §8.1.1.5).
    BadCSeq,
    /// CSeq names another method than the request line.
    CSeqMethodMismatch,
    /// Content-Length is not a number, or two differ, or the datagram is shorter (RFC 3261 §18.3).
    BadContentLength,
    /// Max-Forwards is not 0–255.
    BadMaxForwards,
    /// A header that may stand once stands twice.
    RepeatedHeader,
    /// A header line without a colon, or a name that is no token.
    BadHeaderLine,
}

impl Phrase {
    /// The phrase written after `status`.
    #[must_use]
    pub fn text(self, status: Status) -> &'static str {
        match self {
            Self::Standard => status.standard_phrase(),
            Self::BadRequestLine => "Bad Request Line",
            Self::BadRequestUri => "Bad Request-URI",
            Self::BadVia => "Bad Via",
            Self::MissingFrom => "Missing From",
            Self::BadFrom => "Bad From",
            Self::MissingTo => "Missing To",
            Self::BadTo => "Bad To",
            Self::MissingCallId => "Missing Call-ID",
            Self::BadCallId => "Bad Call-ID",
            Self::MissingCSeq => "Missing CSeq",
            Self::BadCSeq => "Bad CSeq",
            Self::CSeqMethodMismatch => "CSeq Method Mismatch",
            Self::BadContentLength => "Bad Content-Length",
            Self::BadMaxForwards => "Bad Max-Forwards",
            Self::RepeatedHeader => "Repeated Header",
            Self::BadHeaderLine => "Bad Header Line",
        }
    }
}

impl Status {
    /// The status's own phrase. An unlisted status (an operator's override) gets its class's word.
    #[must_use]
    pub fn standard_phrase(self) -> &'static str {
        match self.0 {
            200 => "OK",
            300 => "Multiple Choices",
            301 => "Moved Permanently",
            302 => "Moved Temporarily",
            305 => "Use Proxy",
            380 => "Alternative Service",
            400 => "Bad Request",
            401 => "Unauthorized",
            402 => "Payment Required",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            410 => "Gone",
            416 => "Unsupported URI Scheme",
            420 => "Bad Extension",
            480 => "Temporarily Unavailable",
            481 => "Call/Transaction Does Not Exist",
            482 => "Loop Detected",
            483 => "Too Many Hops",
            484 => "Address Incomplete",
            485 => "Ambiguous",
            486 => "Busy Here",
            487 => "Request Terminated",
            488 => "Not Acceptable Here",
            500 => "Server Internal Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Server Time-out",
            505 => "Version Not Supported",
            513 => "Message Too Large",
            600 => "Busy Everywhere",
            603 => "Decline",
            604 => "Does Not Exist Anywhere",
            606 => "Not Acceptable",
            607 => "Unwanted",
            608 => "Rejected",
            _ => self.class_phrase(),
        }
    }

    /// The name of the status's class (RFC 3261 §7.2).
    fn class_phrase(self) -> &'static str {
        match self.0 {
            300..=399 => "Redirection",
            400..=499 => "Request Failure",
            500..=599 => "Server Failure",
            _ => "Global Failure",
        }
    }
}
