//! Reads a file of calls: one call a line, `user,approve|reject[,agent]`; `#` begins a comment.
//!
//! Promises: all faults at once, each with `file:line` and what was expected; past a bound, a count. A file with a fault
//! gives no calls.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::call::{Call, is_agent, user_of};
use crate::limits::{
    AGENT_BYTES_MAX, CALLS_FILE_BYTES_MAX, CALLS_FILE_FAULTS_SHOWN, USER_BYTES_MAX,
};
use crate::mix::{FIXED_AGENT, Mix};
use crate::source::ListedCall;
use crate::verdict::Expected;

/// Reads the calls of a file; what a line does not say is the mix's.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn read(path: &Path, mix: Mix) -> Result<Vec<ListedCall>, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let mut text = String::new();
    file.take(CALLS_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{name}: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > CALLS_FILE_BYTES_MAX {
        return Err(format!("{name}: longer than {CALLS_FILE_BYTES_MAX} octets"));
    }
    parse(&text, &name.to_string(), mix)
}

/// Reads the calls of a text that came from `name`; what a line does not say is the mix's.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn parse(text: &str, name: &str, mix: Mix) -> Result<Vec<ListedCall>, String> {
    let mut calls = Vec::new();
    let mut faults = Vec::new();
    let mut more = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut call = Call::default();
        mix.fill(number, &mut call);
        match call_of(line, &mut call) {
            Ok(()) => calls.push(ListedCall { due: 0, call }),
            Err(fault) if faults.len() < CALLS_FILE_FAULTS_SHOWN => {
                faults.push(format!("{name}:{number}: {fault}"));
            }
            Err(_) => more += 1,
        }
    }
    if more > 0 {
        faults.push(format!("{name}: {more} more lines like these"));
    }
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    if calls.is_empty() {
        return Err(format!(
            "{name}: holds no calls; a line is `user,approve|reject[,agent]`"
        ));
    }
    Ok(calls)
}

fn call_of(line: &str, call: &mut Call) -> Result<(), String> {
    let mut fields = line.splitn(3, ',').map(str::trim);
    call.user = fields.next().and_then(user_of).ok_or_else(|| {
        format!("expected a user part of 1 to {USER_BYTES_MAX} characters that a SIP URI may hold before its `@`")
    })?;
    call.expected = match fields.next() {
        Some("approve") => Expected::Approve,
        Some("reject") => Expected::Reject,
        Some(word) => return Err(format!("expected `approve` or `reject`, found `{word}`")),
        None => return Err("expected `user,approve` or `user,reject`".to_owned()),
    };
    let agent = fields.next().map_or(FIXED_AGENT, str::as_bytes);
    if !is_agent(agent) || !call.agent.set(agent) {
        return Err(format!(
            "expected an agent of at most {AGENT_BYTES_MAX} printable ASCII characters"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIX: Mix = Mix { seed: 1 };

    #[test]
    fn lines_become_calls() {
        let calls = parse(
            "# two\n0114420,approve\n\n +8816 , reject , sipcli, v1\n",
            "f",
            MIX,
        )
        .unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].call.user.as_bytes(), b"0114420");
        assert_eq!(calls[0].call.expected, Expected::Approve);
        assert_eq!(calls[0].call.agent.as_bytes(), FIXED_AGENT);
        assert_eq!(calls[1].call.user.as_bytes(), b"+8816");
        assert_eq!(calls[1].call.expected, Expected::Reject);
        assert_eq!(calls[1].call.agent.as_bytes(), b"sipcli, v1");
    }

    #[test]
    fn every_fault_is_said_with_its_line() {
        let text =
            "0114420,approve\n01144 20,approve\n0114420\n0114420,yes\n0114420,reject,\u{e9}\n";
        let faults = parse(text, "calls.csv", MIX).unwrap_err();
        let lines: Vec<&str> = faults.lines().collect();
        assert_eq!(lines.len(), 4, "{faults}");
        for (line, (start, part)) in lines.iter().zip([
            ("calls.csv:2:", "user part"),
            ("calls.csv:3:", "`user,approve`"),
            ("calls.csv:4:", "found `yes`"),
            ("calls.csv:5:", "printable ASCII"),
        ]) {
            assert!(line.starts_with(start) && line.contains(part), "{line}");
        }
    }

    #[test]
    fn past_the_bound_faults_are_counted() {
        let faults = parse(&"x\n".repeat(CALLS_FILE_FAULTS_SHOWN + 5), "f", MIX).unwrap_err();
        assert!(faults.ends_with("f: 5 more lines like these"), "{faults}");
    }

    #[test]
    fn a_file_without_calls_is_a_fault() {
        assert!(
            parse("# nothing\n", "f", MIX)
                .unwrap_err()
                .contains("holds no calls")
        );
    }
}
