//! `lists/*.csv`: numbers, addresses and agents that are allowed or denied, for whom, and until when.

use super::domains::Names;
use super::fault::{Findings, Place, did_you_mean, one_of};
use super::parse;
use super::table::{self, Column, FileDigest};
use crate::limits::AGENT_EXPRESSIONS_MAX;
use crate::policy::Code;
use crate::policy::rows::{ListRow, Pattern, Scope};
use std::io::Read;

const COLUMNS: [Column; 8] = [
    Column::required("scope"),
    Column::required("kind"),
    Column::required("match"),
    Column::required("verdict"),
    Column::optional("code"),
    Column::optional("reason"),
    Column::optional("source"),
    Column::optional("expires"),
];
const SCOPE: usize = 0;
const KIND: usize = 1;
const MATCH: usize = 2;
const VERDICT: usize = 3;
const CODE: usize = 4;
const EXPIRES: usize = 7;

/// What a list row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Address,
    Agent,
}

impl Kind {
    fn from_text(text: &str) -> Result<Self, String> {
        const KNOWN: [&str; 3] = ["number", "address", "agent"];
        match text {
            "number" => Ok(Self::Number),
            "address" => Ok(Self::Address),
            "agent" => Ok(Self::Agent),
            _ => Err(not_among("kind", text, &KNOWN)),
        }
    }

    /// The codes a denial of this kind may have, the default first.
    fn codes(self) -> &'static [Code] {
        match self {
            Self::Number => &[Code::R03],
            Self::Address => &[Code::R02, Code::R12],
            Self::Agent => &[Code::R01],
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Address => "an address",
            Self::Agent => "an agent",
        }
    }
}

/// Reads one list; `index` is that of the file in `Rows::list_files`.
pub(super) fn read(
    file: &str,
    index: u32,
    source: Box<dyn Read>,
    names: &Names,
    rows: &mut Vec<ListRow>,
    findings: &mut Findings,
) -> Option<FileDigest> {
    let mut expressions = rows
        .iter()
        .filter(|row| matches!(row.pattern, Pattern::AgentExpression(_)))
        .count();
    let mut is_empty = true;
    let digest = table::read(file, source, &COLUMNS, findings, |row, findings| {
        is_empty = false;
        // Every field is looked at before any is given up, so that one reading shows all faults of a row.
        let scope = row.check(SCOPE, scope(row.text(SCOPE), names), findings);
        let kind = row.check(KIND, Kind::from_text(row.text(KIND)), findings);
        let is_expression = kind == Some(Kind::Agent) && row.text(MATCH).starts_with("re:");
        expressions += usize::from(is_expression);
        // One too many is not compiled: a refused one takes a millisecond, and a file has room for any number.
        let pattern = if is_expression && expressions > AGENT_EXPRESSIONS_MAX {
            row.fault(
                MATCH,
                findings,
                format!(
                    "is expression {expressions} of the bundle; {AGENT_EXPRESSIONS_MAX} at most, since each is searched for on its own. \
                     Parts of agents without re: may be as many as you like"
                ),
            );
            None
        } else {
            kind.and_then(|kind| row.check(MATCH, pattern(kind, row.text(MATCH)), findings))
        };
        let denies = row.check(VERDICT, denies(row.text(VERDICT)), findings);
        let deny = kind.zip(denies).and_then(|(kind, denies)| {
            row.check(CODE, code(kind, denies, row.text(CODE)), findings)
        });
        let expires = row.check(EXPIRES, expires(row.text(EXPIRES)), findings);
        if let (Some(scope), Some(pattern), Some(deny), Some(expires_unix_s)) =
            (scope, pattern, deny, expires)
        {
            rows.push(ListRow {
                scope,
                pattern,
                deny,
                expires_unix_s,
                file: index,
                line: u32::try_from(row.line()).unwrap_or(u32::MAX),
            });
        }
    });
    if is_empty {
        let place = Place { line: 1, column: 1 };
        findings.warn(file, place, "has no row, so it allows and denies nothing");
    }
    digest
}

fn scope(text: &str, names: &Names) -> Result<Scope, String> {
    if text == "system" {
        return Ok(Scope::System);
    }
    match text.split_once(':') {
        Some(("domain", name)) => Ok(Scope::Domain(names.domain(name)?.unwrap_or(0))),
        Some(("policy", name)) => Ok(Scope::Policy(names.policy(name)?.unwrap_or(0))),
        _ => Err(format!(
            "scope \"{text}\" is not \"system\", \"domain:NAME\" or \"policy:NAME\""
        )),
    }
}

fn pattern(kind: Kind, text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        return Err("match is empty".to_owned());
    }
    match kind {
        Kind::Number => parse::number_pattern(text),
        Kind::Address => parse::address_block(text)
            .map(Pattern::Address)
            .map_err(|sentence| format!("address {sentence}")),
        Kind::Agent => parse::agent_pattern(text),
    }
}

fn denies(text: &str) -> Result<bool, String> {
    match text {
        "allow" => Ok(false),
        "deny" => Ok(true),
        _ => Err(not_among("verdict", text, &["allow", "deny"])),
    }
}

/// The code of a denial, `None` for an allowance.
fn code(kind: Kind, denies: bool, text: &str) -> Result<Option<Code>, String> {
    if !denies {
        if text.is_empty() {
            return Ok(None);
        }
        return Err(format!(
            "code \"{text}\" belongs to a denial; an allowed row has none"
        ));
    }
    let allowed = kind.codes();
    if text.is_empty() {
        return Ok(allowed.first().copied());
    }
    if let Some(&code) = allowed.iter().find(|code| code.text() == text) {
        return Ok(Some(code));
    }
    let known: Vec<&str> = allowed.iter().map(|code| code.text()).collect();
    Err(format!(
        "code \"{text}\" is none for {}: {}",
        kind.noun(),
        one_of(&known)
    ))
}

/// When the row no longer counts; `None` when it always does.
fn expires(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    parse::expires(text).map(Some)
}

fn not_among(noun: &str, text: &str, known: &[&str]) -> String {
    match did_you_mean(text, known.iter().copied()) {
        Some(meant) => format!("{noun} \"{text}\" is not known; did you mean \"{meant}\"?"),
        None => format!("{noun} \"{text}\" is not {}", one_of(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn expressions_are_bounded_over_all_files_and_parts_are_not() {
        let mut rows = Vec::new();
        let mut findings = Findings::default();
        let mut add = |file: &str, from: usize, to: usize, prefix: &str| {
            let lines = (from..to).map(|n| format!("system,agent,{prefix}a{n}x,deny\n"));
            let csv = "scope,kind,match,verdict\n".to_owned() + &lines.collect::<String>();
            let source = Box::new(Cursor::new(csv.into_bytes()));
            let names = Names::default();
            read(file, 0, source, &names, &mut rows, &mut findings);
            findings.faults.to_string()
        };
        assert_eq!(add("parts", 0, 1000, ""), "");
        assert_eq!(add("one", 0, 40, "re:"), "");
        assert_eq!(add("two", 40, AGENT_EXPRESSIONS_MAX, "re:"), "");
        let faults = add("three", 0, 2, "re:");
        for (line, number) in [(2, 65), (3, 66)] {
            let want = format!("three:{line}:14: is expression {number} of the bundle; 64 at most");
            assert!(faults.contains(&want), "{faults}");
        }
        // Not even a look is taken at what is too many.
        let faults = add("four", 0, 1, "re:(");
        assert!(
            faults.contains("is expression 65") && !faults.contains("unclosed"),
            "{faults}"
        );
    }

    #[test]
    fn a_denial_has_the_code_of_its_kind_and_an_allowance_has_none() {
        for (kind, denies, text, wanted) in [
            (Kind::Number, true, "", Ok(Some(Code::R03))),
            (Kind::Number, true, "R03", Ok(Some(Code::R03))),
            (Kind::Address, true, "", Ok(Some(Code::R02))),
            (Kind::Address, true, "R12", Ok(Some(Code::R12))),
            (Kind::Agent, true, "", Ok(Some(Code::R01))),
            (Kind::Number, false, "", Ok(None)),
            (
                Kind::Number,
                true,
                "R12",
                Err("code \"R12\" is none for a number: \"R03\""),
            ),
            (
                Kind::Address,
                true,
                "R04",
                Err("code \"R04\" is none for an address: \"R02\" or \"R12\""),
            ),
            (
                Kind::Agent,
                false,
                "R01",
                Err("code \"R01\" belongs to a denial; an allowed row has none"),
            ),
        ] {
            assert_eq!(code(kind, denies, text), wanted.map_err(str::to_owned));
        }
    }
}
