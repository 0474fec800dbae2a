//! Whether the running node that was asked goes by what the files at hand say.
//!
//! Promises: files that were edited and not put in force, and a node that was started with another configuration, are said
//! on standard error, with what the node says of itself and what the files give; what the node answered is printed all the same.

use super::{ConfigArgument, say};
use crate::control::{self, NodeConfig};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;

/// The files at hand.
#[derive(Debug)]
pub(super) struct AtHand {
    /// `node.name`.
    name: String,
    /// The bundle's generation, or why there is none.
    generation: Result<String, String>,
    /// Where the bundle is.
    read_from: String,
    /// `--config FILE`, or nothing for the sample.
    option: String,
}

impl AtHand {
    /// What the configuration and its bundle give now.
    pub(super) fn of(config: &ConfigArgument, node: &NodeConfig) -> Self {
        let bundles = control::bundle_source(&config.source(), node);
        let option = config.config.as_ref();
        Self {
            name: node.name.clone(),
            generation: bundles.generation(),
            read_from: bundles.shown(),
            option: option.map_or_else(String::new, |file| format!(" --config {}", file.display())),
        }
    }

    /// Says where the node that answered at `asked` goes by something else; `body` is its answer.
    pub(super) fn compare(&self, asked: SocketAddr, body: &Value) {
        if let Some(warning) = self.warning(asked, body) {
            let _said = say(&mut io::stderr(), &warning);
        }
    }

    fn warning(&self, asked: SocketAddr, body: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = text(&body["node"])?;
        let bundle = &body["bundle"];
        let generation = text(&bundle["generation"])?;
        let same_bundle = self.generation.as_ref() == Ok(&generation);
        if same_bundle && name == self.name {
            return None;
        }
        let read_from = text(&bundle["read_from"]).unwrap_or_default();
        let published = text(&bundle["published"]).unwrap_or_default();
        let what = if same_bundle {
            "has another name than these files give it"
        } else {
            "has another bundle in force than these files give"
        };
        let files = match &self.generation {
            Ok(generation) => format!("generation {generation}"),
            Err(sentence) => format!("the bundle {sentence}"),
        };
        let is_other = name != self.name || read_from != self.read_from;
        Some(format!(
            "warning: the node at http://{asked} {what}\n  \
             in force: node \"{name}\", generation {generation}, since {published}, read from {read_from}\n  \
             the files: node \"{}\", {files}, in {}\n  {}\n",
            self.name,
            self.read_from,
            self.hint(is_other, bundle["stale"] == Value::Bool(true)),
        ))
    }

    /// What to do about it.
    fn hint(&self, is_other: bool, is_refused: bool) -> String {
        let option = &self.option;
        match (is_other, is_refused) {
            (true, _) if option.is_empty() => {
                "it was not started with the sample: --config says which configuration is meant"
                    .to_owned()
            }
            (true, _) => "it was started with another configuration, or this one was changed since"
                .to_owned(),
            (false, true) => {
                format!("the node refused the files: `tollgate check{option}` says why")
            }
            (false, false) => format!("`tollgate reload{option}` puts the files in force"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_goes_by_and_what_the_files_give_are_both_said() {
        let at_hand = |generation: Result<&str, &str>, option: &str| AtHand {
            name: "a".to_owned(),
            generation: generation.map(str::to_owned).map_err(str::to_owned),
            read_from: "/a/bundle".to_owned(),
            option: option.to_owned(),
        };
        let body = |name: &str, read_from: &str, stale: bool| {
            serde_json::json!({ "node": name, "bundle":
                { "generation": "1f", "published": "2026-11-23T12:00:00Z", "read_from": read_from, "stale": stale } })
        };
        let asked = SocketAddr::from(([127, 0, 0, 1], 8060));
        let of_node = |name: &str, read_from: &str| {
            format!(
                "  in force: node \"{name}\", generation 1f, since 2026-11-23T12:00:00Z, read from {read_from}\n"
            )
        };
        let other = "warning: the node at http://127.0.0.1:8060 has another bundle in force than these files give\n";
        for (hand, body, wanted) in [
            (
                at_hand(Ok("1f"), " --config a"),
                body("a", "/a/bundle", false),
                None,
            ),
            // A copy of the same bundle is the same bundle.
            (
                at_hand(Ok("1f"), " --config a"),
                body("a", "/b/bundle", false),
                None,
            ),
            (
                at_hand(Ok("2e"), " --config a"),
                body("a", "/a/bundle", false),
                Some(format!(
                    "{other}{}  the files: node \"a\", generation 2e, in /a/bundle\n  `tollgate reload --config a` puts the files in force\n",
                    of_node("a", "/a/bundle")
                )),
            ),
            (
                at_hand(Err("cannot be read"), " --config a"),
                body("a", "/a/bundle", true),
                Some(format!(
                    "{other}{}  the files: node \"a\", the bundle cannot be read, in /a/bundle\n  \
                     the node refused the files: `tollgate check --config a` says why\n",
                    of_node("a", "/a/bundle")
                )),
            ),
            (
                at_hand(Ok("2e"), ""),
                body("a", "/b/bundle", false),
                Some(format!(
                    "{other}{}  the files: node \"a\", generation 2e, in /a/bundle\n  \
                     it was not started with the sample: --config says which configuration is meant\n",
                    of_node("a", "/b/bundle")
                )),
            ),
            (
                at_hand(Ok("1f"), " --config a"),
                body("b", "/a/bundle", false),
                Some(format!(
                    "warning: the node at http://127.0.0.1:8060 has another name than these files give it\n\
                     {}  the files: node \"a\", generation 1f, in /a/bundle\n  \
                     it was started with another configuration, or this one was changed since\n",
                    of_node("b", "/a/bundle")
                )),
            ),
            // What is no answer of a node is told by whoever asked.
            (at_hand(Ok("2e"), ""), serde_json::json!({}), None),
        ] {
            assert_eq!(hand.warning(asked, &body), wanted);
        }
    }
}
