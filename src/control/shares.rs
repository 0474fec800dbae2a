//! Limits that may fill a subscriber's share of the counters with ordinary calls.
//!
//! Promises: a warning for every limit that keeps a count for an hour or longer of whatever callers, addresses or numbers there
//! are, in a policy that rejects what finds no room to be counted.
//! Leaves to `counters`: what a share is, and what happens at its end.

use super::fault::{Findings, Place};
use crate::policy::rows::{Action, LimitRow, Whereto, Window};

/// A count that is kept so long, seconds, is one of many.
const LONG_WINDOW_S: u32 = 3600;

/// Warns of a limit of a policy whose `unknown.counters` is this.
pub(super) fn warn_of(
    limit: &LimitRow,
    unknown_counters: Action,
    file: &str,
    place: Place,
    findings: &mut Findings,
) {
    let is_long = match limit.window {
        None => false,
        Some(Window::Seconds(seconds)) => seconds >= LONG_WINDOW_S,
        Some(Window::Day | Window::Period) => true,
    };
    if unknown_counters != Action::Reject || !is_long {
        return;
    }
    let counted = [
        (limit.who.caller, "caller"),
        (limit.who.address, "address"),
        (limit.to == Whereto::Number, "number"),
    ];
    let counted: Vec<&str> = counted
        .into_iter()
        .filter_map(|(is_counted, word)| is_counted.then_some(word))
        .collect();
    if counted.is_empty() {
        return;
    }
    findings.warn(
        file,
        place,
        format!(
            "limit \"{}\" keeps a count for every {} for an hour or longer; once they fill a subscriber's share of node.counters_capacity, \
             ordinary calls of the subscriber are rejected with R15. Say unknown = {{ counters = \"report\" }} in the policy, or make room",
            limit.name,
            counted.join(" and ")
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::super::destinations::World;
    use super::super::fault::Findings;
    use super::super::policies;

    /// What is warned of in a policy with these keys and a limit with these.
    fn check(policy: &str, limit: &str, want: &[&str]) {
        let text = format!(
            "[[policy]]\nname = \"std\"\ntime_zone = \"UTC\"\nworking_hours = [\"mon-fri 08:00-18:00\"]\n{policy}\n\
             [[policy.limit]]\nname = \"a\"\ncode = \"X01\"\nmax = 9\n{limit}\n"
        );
        let mut findings = Findings::default();
        let _rows = policies::read("p", &text, &World::default(), false, &mut findings);
        assert_eq!(findings.faults.to_string(), "", "{limit}");
        let said: Vec<&str> = findings
            .warnings
            .iter()
            .filter_map(|said| Some(said.split_once("count for every ")?.1))
            .filter_map(|said| Some(said.split_once(" for an hour")?.0))
            .collect();
        assert_eq!(said, want, "{policy} {limit}: {:?}", findings.warnings);
    }

    #[test]
    fn a_limit_that_may_fill_its_subscribers_share_with_ordinary_calls_is_pointed_out() {
        const CALLERS: &str =
            "per = [\"subscriber\", \"caller\"]\nto = \"any\"\ncount = \"attempts\"\nwindow = ";
        const NUMBERS: &str =
            "per = [\"subscriber\"]\nto = \"number\"\ncount = \"approved\"\nwindow = ";
        const COUNTRIES: &str =
            "per = [\"subscriber\"]\nto = \"country\"\ncount = \"approved\"\nwindow = ";
        for long in ["\"1h\"", "\"24h\"", "\"day\"", "\"period\""] {
            check("", &format!("{CALLERS}{long}"), &["caller"]);
            check("", &format!("{NUMBERS}{long}"), &["number"]);
            check("", &format!("{COUNTRIES}{long}"), &[]);
        }
        check("", &format!("{CALLERS}\"59m\""), &[]);
        let everything = "per = [\"address\", \"caller\"]\nto = \"number\"\ncount = \"attempts\"\nwindow = \"2h\"";
        check("", everything, &["caller and address and number"]);
        let reported = "per = [\"caller\"]\nto = \"any\"\ncount = \"reported-calls\"";
        check("", reported, &[]);
        for folded in ["report", "approve"] {
            let policy = format!("unknown = {{ counters = \"{folded}\" }}");
            check(&policy, everything, &[]);
        }
    }
}
