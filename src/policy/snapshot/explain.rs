//! One call, step by step: how its number is read, what each rule says of it, and what its limits would count.
//!
//! Promises: what the last step says is what `decide` comes to; nothing is counted by asking (`ReadOnly`).
//! Leaves to `study`: printing; to `decide`: deciding.

use super::{Domain, Policy, Prepared, Snapshot, Verdict};
use crate::clock::Now;
use crate::counters::KeyHasher;
use crate::policy::answer::ContactPlan;
use crate::policy::attempt::{CallAttempt, HeaderFamily};
use crate::policy::code::Code;
use crate::policy::counting::{Counting, ReadOnly};
use crate::policy::dialled::{Dialled, Reading, bare_user, decode};
use crate::policy::limits::{Foreseen, Step};
use crate::policy::lists::{self, Listed};
use crate::policy::rows::{Action, Mode};
use crate::policy::words;

/// The steps so far.
struct Steps(Vec<Step>);

impl Steps {
    fn say(&mut self, what: impl Into<String>, answer: impl Into<String>) {
        self.0.push(Step {
            what: what.into(),
            answer: answer.into(),
        });
    }
}

fn shown(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "(nothing)".to_owned();
    }
    octets.escape_ascii().to_string()
}

impl Snapshot {
    /// Every step of one call.
    #[must_use]
    pub fn explain<C: Counting>(
        &self,
        attempt: &CallAttempt<'_>,
        counts: &C,
        now: Now,
    ) -> Vec<Step> {
        let mut steps = Steps(Vec::new());
        let prepared = self.prepare(attempt);
        let Some((domain, policy)) = self.of(&prepared) else {
            steps.say("domain", "none: the peer is in no domain");
            return steps.0;
        };
        self.explain_who(attempt, &prepared, domain, &mut steps);
        self.explain_number(attempt, &prepared, domain, &mut steps);
        if matches!(prepared.dialled, Dialled::Number(_) | Dialled::Unclassified) {
            let call = (attempt, &prepared, domain, policy);
            self.explain_rules(call, counts.hasher(), &mut steps);
            self.explain_limits(
                attempt,
                &prepared,
                (domain, policy),
                counts,
                now,
                &mut steps,
            );
        }
        let decision = self.decide(attempt, &prepared, &ReadOnly(counts), now);
        let verdict = match decision.verdict {
            Verdict::Approve => format!("approved, {}", decision.code.text()),
            Verdict::Reject => format!("rejected, {}", decision.code.text()),
            Verdict::Divert => format!("diverted, {}", decision.code.text()),
            Verdict::Error(error) => {
                format!("none, an error: RFC 3261's own status is {}", error.text())
            }
        };
        let verdict = match decision.would {
            Some(would) => format!(
                "{verdict}; the domain only detects: prevention would have said {}",
                would.text()
            ),
            None => verdict,
        };
        steps.say("verdict", verdict);
        let contact = match decision.plan.contact {
            ContactPlan::None => String::new(),
            ContactPlan::Redirect { prefix, .. } => format!(
                ", Contact user {}{}",
                shown(&prefix),
                shown(bare_user(attempt.user_part))
            ),
        };
        steps.say("answer", format!("{}{contact}", decision.plan.status.0));
        steps.0
    }

    fn explain_who(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        domain: &Domain,
        steps: &mut Steps,
    ) {
        steps.say("peer", attempt.peer_address.to_string());
        let mode = match domain.mode {
            Mode::Prevention => "prevention",
            Mode::Detection => "detection",
        };
        steps.say(
            "domain",
            format!("{}, {mode}, profile {}", domain.name, domain.profile.text()),
        );
        let headers = match (attempt.screening.family, prepared.trusted) {
            (HeaderFamily::None, _) => "none",
            (HeaderFamily::PTfps, true) => "P-tfps, trusted",
            (HeaderFamily::XTfps, true) => "X-tfps and its cousins, trusted",
            (_, false) => "there, but not trusted by the domain: ignored",
        };
        steps.say("screening headers", headers);
        let number = prepared.domain.unwrap_or(0);
        let named = self.subscriber_name(number, prepared.subscriber);
        let by = match prepared.subscriber {
            Some(row) => format!("row {} of subscribers.csv", u64::from(row) + 1),
            None => "the default: no row fits".to_owned(),
        };
        steps.say("subscriber", format!("{named} ({by})"));
        steps.say("policy", self.policy_name(prepared.policy));
        let user = attempt.screening.user.filter(|_| prepared.trusted);
        let calling = self.calling_number(number, attempt);
        steps.say("caller", shown(user.unwrap_or(calling)));
        let address = prepared.address.map(|address| address.to_string());
        steps.say(
            "caller's address",
            address.unwrap_or_else(|| {
                "not known; the peer's stands for it where limits count".to_owned()
            }),
        );
    }

    /// How what was dialled becomes a number.
    fn explain_number(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        domain: &Domain,
        steps: &mut Steps,
    ) {
        steps.say("dialled", shown(attempt.user_part));
        let bare = bare_user(attempt.user_part);
        if bare.len() < attempt.user_part.len() {
            steps.say("without parameters and password", shown(bare));
        }
        let Some(decoded) = decode(bare) else {
            steps.say("length", "too long to be a number: error 484");
            return;
        };
        let decoded = decoded.as_bytes();
        if decoded != bare {
            steps.say("escapes decoded", shown(decoded));
        }
        let rules = prepared
            .subscriber
            .and_then(|row| self.subscriber_rules.get(row as usize));
        let tech_prefix = rules.and_then(|rules| rules.tech_prefix.as_deref());
        domain
            .numbers
            .read_aloud(decoded, tech_prefix, |reading, text| {
                let what = match reading {
                    Reading::Separators => "without separators".to_owned(),
                    Reading::TechPrefix => "without tech prefix".to_owned(),
                    Reading::Translation(at) => format!("by the domain's translation {}", at + 1),
                    Reading::NoTranslation => "translation".to_owned(),
                };
                let answer = match reading {
                    Reading::NoTranslation => "none fits".to_owned(),
                    _ => text.map_or_else(|| "too long".to_owned(), shown),
                };
                steps.say(what, answer);
            });
        let number = match prepared.dialled {
            Dialled::Emergency => "an emergency number: approved before every rule".to_owned(),
            Dialled::Loop => "our own answer come back: a loop".to_owned(),
            Dialled::Undialable => "not a dialable number".to_owned(),
            Dialled::Number(number) => format!("+{number}"),
            Dialled::Unclassified => {
                "unclassified: dialable, but no international number".to_owned()
            }
        };
        steps.say("number", number);
    }

    fn explain_rules(
        &self,
        (attempt, prepared, domain, policy): (&CallAttempt<'_>, &Prepared, &Domain, &Policy),
        hasher: &KeyHasher,
        steps: &mut Steps,
    ) {
        let act = |action: Action, code: Code| match action {
            Action::Approve => "passes: the policy approves".to_owned(),
            Action::Report => format!("passes, reported as {}", code.text()),
            Action::Reject => format!("REJECTS with {}", code.text()),
        };
        let listed = |listed: Option<Listed>| {
            let Some(listed) = listed else {
                return "passes: on no list".to_owned();
            };
            let place = self.list_place(listed.row());
            let place = place.map_or_else(String::new, |(file, line)| format!(" by {file}:{line}"));
            match listed.deny() {
                Some(code) => format!("REJECTS with {}{place}", code.text()),
                None => format!("allowed{place}"),
            }
        };
        let scopes = self.scopes(domain, policy);
        let on_number = prepared
            .number
            .and_then(|number| lists::number(scopes, number));
        let allowed = on_number.is_some_and(|row| row.deny().is_none());
        let suspect = prepared.trusted && attempt.screening.suspect;
        steps.say(
            "R14 screening headers",
            if suspect {
                act(policy.unknown_identity, Code::R14)
            } else {
                "passes: they do not contradict themselves".to_owned()
            },
        );
        let agent = if prepared.trusted {
            attempt.screening.agent
        } else {
            attempt.user_agent
        };
        let on_agent =
            agent.and_then(|agent| self.agents.find(hasher, self.agent_scopes(prepared), agent));
        steps.say(
            format!("R01 agent {}", shown(agent.unwrap_or_default())),
            listed(on_agent),
        );
        let on_address = prepared
            .address
            .and_then(|address| lists::address(scopes, address));
        steps.say("R02, R12 caller's address", listed(on_address));
        steps.say("R03 number", listed(on_number));
        let destination = prepared
            .number
            .and_then(|number| Some((number, self.destinations.row(number)?)));
        let Some((number, (row, digits))) = destination else {
            let answer = if allowed {
                "skipped: the number is allowed".to_owned()
            } else {
                act(policy.unknown_prefix, Code::R07)
            };
            steps.say("R07 prefix: none is known", answer);
            self.explain_exposure(policy, prepared, steps);
            return;
        };
        let class = self.destinations.class(row);
        let class = class.map_or_else(String::new, |class| {
            format!(
                "{}, {}, risk {}",
                class.country,
                class.number_type,
                class.risk.text()
            )
        });
        let answer = if allowed {
            "skipped: the number is allowed"
        } else if self.destinations.permits(&policy.permitted, row) {
            "passes"
        } else {
            "REJECTS with R06"
        };
        let prefix = number.truncated(digits.into());
        steps.say(format!("R06 destination +{prefix}: {class}"), answer);
        self.explain_exposure(policy, prepared, steps);
    }

    fn explain_exposure(&self, policy: &Policy, prepared: &Prepared, steps: &mut Steps) {
        if let Some((rate, exposure)) = self
            .rate_of(prepared.number)
            .zip(self.exposure_of(policy, prepared.number))
        {
            steps.say(
                "exposure",
                format!(
                    "{}: {} assumed minutes at {} each by rates.csv",
                    words::amount(exposure),
                    policy.assumed_minutes,
                    words::amount(rate)
                ),
            );
        }
    }

    fn explain_limits<C: Counting>(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        (domain, policy): (&Domain, &Policy),
        counts: &C,
        now: Now,
        steps: &mut Steps,
    ) {
        let Some(limits) = &policy.limits else {
            steps.say("limits", "the policy has none");
            return;
        };
        let call = (attempt, prepared, domain, policy);
        self.with_asked(limits, call, &Foreseen::NOTHING, counts, |asked| {
            for line in limits.explain(asked, counts, now) {
                steps.say(line.what, line.answer);
            }
        });
    }
}
