//! What the tests over the wire share: a server process with its folder, raw datagrams, and a reader of answers that owes the product nothing.
//!
//! Promises: every wait has a deadline; no port is fixed; a server that a test started ends with the test, by its own process id.
//! Leaves to each test: the configuration, and what an answer should say.

pub(crate) mod answer;
pub(crate) mod rows;
pub(crate) mod server;
