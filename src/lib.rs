//! Tollgate: a SIP redirect server that decides whether a call looks like toll fraud.
