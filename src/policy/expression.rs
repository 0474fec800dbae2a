//! `re:` patterns over user agents, on an engine whose time is linear in the agent's length.
//!
//! Promises: what compiles when the bundle is checked compiles alike when the snapshot is built; a pattern that would
//! need an unreasonable automaton is refused, not compiled.

use regex::bytes::{Regex, RegexBuilder};

/// Octets that one compiled pattern may take.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern, without case, over octets as they come.
///
/// # Errors
/// One line that says what is wrong with the pattern.
pub fn compile(expression: &str) -> Result<Regex, String> {
    RegexBuilder::new(expression)
        .case_insensitive(true)
        .size_limit(EXPRESSION_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("needs more than {limit} octets when compiled")
            }
            // The engine draws the pattern with a caret below; its last line is the sentence.
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("cannot be read")
                .trim_start_matches("error: ")
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_without_case() {
        assert!(
            compile("^sip(vicious|cli)/")
                .unwrap()
                .is_match(b"SIPcli/1.8")
        );
    }

    #[test]
    fn what_is_no_pattern_gets_one_line() {
        for (bad, sentence) in [
            ("(", "unclosed group"),
            (
                "a{1000}{1000}",
                "needs more than 1048576 octets when compiled",
            ),
            (
                "(?=a)",
                "look-around, including look-ahead and look-behind, is not supported",
            ),
        ] {
            assert_eq!(compile(bad).unwrap_err(), sentence, "{bad}");
        }
    }
}
