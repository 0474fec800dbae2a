//! The checklist of a stateless redirect server, rule by rule, through `Uas::answer`: no sockets, no configuration.
//!
//! Promises: every message of RFC 4475 and RFC 5118 gets what `EXPECTED.tsv` accepts; every answer to anything keeps
//! P2–P8 (one datagram or none, to where the request came from, bounded, its Vias, From, To, Call-ID and CSeq those of
//! the request, the same again for the same octets). Leaves to the wire tests: sockets, PBXs and configuration.

#[cfg(test)]
#[path = "common/mutate.rs"]
mod mutate;
#[cfg(test)]
#[path = "common/rows.rs"]
mod rows;

#[cfg(test)]
#[path = "uas/answers.rs"]
mod answers;
#[cfg(test)]
#[path = "uas/corpora.rs"]
mod corpora;
#[cfg(test)]
#[path = "uas/cost.rs"]
mod cost;
#[cfg(test)]
#[path = "uas/decided.rs"]
mod decided;
#[cfg(test)]
#[path = "uas/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "uas/hostile.rs"]
mod hostile;
#[cfg(test)]
#[path = "uas/memory.rs"]
mod memory;
#[cfg(test)]
#[path = "uas/methods.rs"]
mod methods;
#[cfg(test)]
#[path = "uas/mutated.rs"]
mod mutated;
#[cfg(test)]
#[path = "uas/oracles.rs"]
mod oracles;
#[cfg(test)]
#[path = "uas/plain.rs"]
mod plain;
#[cfg(test)]
#[path = "fuzz/checks/script.rs"]
#[expect(
    dead_code,
    reason = "tables are swept and nodes drained by the fuzz targets"
)]
mod script;
#[cfg(test)]
#[path = "uas/sweep.rs"]
mod sweep;
#[cfg(test)]
#[path = "uas/syntax.rs"]
mod syntax;
#[cfg(test)]
#[path = "uas/transport.rs"]
mod transport;
#[cfg(test)]
#[path = "uas/values.rs"]
mod values;
