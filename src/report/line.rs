//! What a line of the journal says: of one call, or of many that are only counted.
//!
//! Promises: the fields stand in the order of the interface; what is not known is left out, never empty or null.

use super::budget::{Group, Ruling};
use super::journal::JournalSettings;
use super::mask::masked;
use super::stamp::Rfc3339;
use super::text::Line;
use crate::event::{Event, Outcome, Text};
use crate::policy::{Code, Snapshot};

/// Appends the line of one call, which is of this group. `scratch` is for masking.
pub(super) fn of_call(
    settings: &JournalSettings,
    snapshot: &Snapshot,
    event: &Event,
    group: &Group,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let decision = event.decision.as_ref();
    let mut line = Line::begin(out);
    line.word(
        "ts",
        Rfc3339 {
            unix_us: event.unix_us,
        },
    );
    line.text("node", settings.node.as_bytes());
    line.text("gen", snapshot.generation().as_bytes());
    line.number("shard", event.shard.into());
    if let Some((domain, decision)) = decision.and_then(|it| Some((it.domain?, it))) {
        line.text("domain", snapshot.domain_name(domain).as_bytes());
        let subscriber = snapshot.subscriber_name(domain, decision.subscriber);
        line.text("subscriber", subscriber.as_bytes());
    }
    line.word("peer", event.peer);
    if let Some(proxy) = event.proxy {
        line.word("proxy", proxy);
    }
    let mut text = |name, text: Text<'_>| line.cut_text(name, text.bytes(), text.is_cut());
    text("call_id", event.call_id());
    text("from_tag", event.from_tag());
    let digits = settings.mask_digits;
    let mut number_text = |name, text: &[u8], cut| {
        masked(text, digits, scratch);
        line.cut_text(name, scratch, cut);
    };
    for (name, text) in [
        ("caller", event.caller()),
        ("calling", event.calling()),
        ("dialled", event.dialled()),
    ] {
        number_text(name, text.bytes(), text.is_cut());
    }
    if let Some(number) = decision.and_then(|decision| decision.number) {
        let (ascii, count) = number.to_ascii();
        let mut with_plus = [b'+'; 1 + crate::limits::E164_DIGITS_MAX];
        for (to, from) in with_plus.iter_mut().skip(1).zip(ascii) {
            *to = from;
        }
        number_text("number", with_plus.get(..=count).unwrap_or_default(), false);
    }
    let destination = decision.and_then(|decision| decision.destination);
    if let Some(class) = destination.and_then(|row| snapshot.destination(row)) {
        line.text("country", class.country.as_bytes());
        line.text("type", class.number_type.as_bytes());
    }
    if let Some(address) = event.address {
        line.word("address", address);
    }
    let agent = event.agent();
    line.cut_text("agent", agent.bytes(), agent.is_cut());
    if let Some(calls) = event.reported_calls {
        line.number("reported_calls", calls.into());
    }
    say_ruling(&mut line, group, |line, code| {
        let place = decision
            .and_then(|decision| decision.list_row)
            .and_then(|row| snapshot.list_place(row));
        let limit = decision.and_then(|decision| Some((decision, decision.limits.decided?)));
        match (place, limit, rule_of(code)) {
            (Some((file, row)), _, _) => line.text("rule", format!("{file}:{row}").as_bytes()),
            (None, Some((decision, decider)), _) => {
                let kind = if decider.held { "hold" } else { "limit" };
                let name = snapshot.limit_name(decision, decider.number);
                line.text("rule", format!("{kind}:{name}").as_bytes());
            }
            (None, None, Some(rule)) if event.outcome != Outcome::Repeated => {
                line.word("rule", rule);
            }
            (None, None, _) => {}
        }
    });
    let reports = decision
        .map(|decision| decision.reports)
        .unwrap_or_default();
    let reported = Code::ALL.into_iter().filter(|code| reports.contains(*code));
    line.words("reports", reported.map(Code::text));
    if let Some(decision) = decision.filter(|decision| decision.limits.warned != 0) {
        let warned = (0..u8::MAX).take_while(|number| u32::from(*number) < u32::BITS);
        let warned = warned.filter(|number| decision.limits.warned >> number & 1 == 1);
        line.texts(
            "warned",
            warned.map(|number| snapshot.limit_name(decision, number)),
        );
    }
    if let Some(status) = event.status {
        line.number("status", status.into());
    }
    line.word("attempt", attempt(group));
    if let Some(micros) = decision.and_then(|decision| snapshot.exposure_micros(decision)) {
        line.micros("exposure", micros);
    }
    line.number("weight", 1);
    line.end();
}

/// Appends the line of calls that are only counted: a second, a domain, a code.
pub(super) fn of_count(
    settings: &JournalSettings,
    snapshot: &Snapshot,
    unix_s: u64,
    group: &Group,
    weight: u64,
    out: &mut Vec<u8>,
) {
    let mut line = Line::begin(out);
    line.word(
        "ts",
        Rfc3339 {
            unix_us: unix_s.saturating_mul(1_000_000),
        },
    );
    line.text("node", settings.node.as_bytes());
    line.text("gen", snapshot.generation().as_bytes());
    if let Some(domain) = group.domain {
        line.text("domain", snapshot.domain_name(domain).as_bytes());
    }
    say_ruling(&mut line, group, |_line, _code| {});
    line.word("attempt", attempt(group));
    line.number("weight", weight);
    line.end();
}

/// `verdict`, `code`, `rule`, `would`. Of an error the rule is its name, and there is no code.
fn say_ruling(line: &mut Line<'_>, group: &Group, rule: impl FnOnce(&mut Line<'_>, Code)) {
    let Group {
        ruling,
        code,
        would,
        ..
    } = *group;
    let name = match ruling {
        Ruling::Approve => "approve",
        Ruling::Reject => "reject",
        Ruling::Divert => "divert",
        Ruling::Error(name) => {
            line.word("verdict", "error");
            line.word("rule", name);
            return;
        }
    };
    line.word("verdict", name);
    line.word("code", code.text());
    rule(line, would.unwrap_or(code));
    if let Some(would) = would {
        line.word("would", would.text());
    }
}

/// A copy of a request that was decided before is told as it was decided; which rows decided then is not known any more.
fn attempt(group: &Group) -> &'static str {
    if group.same { "same" } else { "new" }
}

/// The key of the policy that gives this code, where no list row and no limit does.
fn rule_of(code: Code) -> Option<&'static str> {
    match code {
        Code::R06 => Some("destination"),
        Code::R07 => Some("unknown.prefix"),
        Code::R14 => Some("unknown.identity"),
        Code::R15 => Some("unknown.counters"),
        Code::A00
        | Code::R01
        | Code::R02
        | Code::R03
        | Code::R08
        | Code::R09
        | Code::R10
        | Code::R11
        | Code::R12
        | Code::R13
        | Code::X01
        | Code::X02
        | Code::X03
        | Code::X04
        | Code::X05
        | Code::X06
        | Code::X07
        | Code::X08
        | Code::X09
        | Code::X10
        | Code::X11
        | Code::X12
        | Code::X13
        | Code::X14
        | Code::X15
        | Code::X16 => None,
    }
}
