//! What came: whose answer it is, what it says, and what it earns: an ACK, a second INVITE with credentials, or a count.
//!
//! Promises: an answer counts for a call only if branch, Call-ID, From tag, `CSeq` and socket are all that call's.

use super::outbox::Outbox;
use super::probes::Probes;
use super::retries::Retries;
use super::seconds::record_latency;
use super::{Plan, Port, port_of};
use crate::answer::Answer;
use crate::clock::Nanos;
use crate::digest;
use crate::limits::WRONG_SHOWN;
use crate::message::{Attempt, Echo, Messages, Name};
use crate::recent::{Brief, Recent};
use crate::record::{Line, Recorder};
use crate::stats::{Interval, Stats, WrongCall};
use crate::table::{Match, Table, Times};
use crate::verdict::{Profile, Reading, code_of};

/// What is needed to judge one socket's datagrams.
pub(super) struct Judge<'a> {
    pub(super) plan: &'a Plan,
    pub(super) thread: u64,
    pub(super) ports: &'a [Port],
    pub(super) port: usize,
    pub(super) table: &'a mut Table,
    pub(super) recent: &'a mut Recent,
    pub(super) retries: &'a mut Retries,
    pub(super) probes: &'a mut Probes,
    pub(super) outbox: &'a mut Outbox,
    pub(super) stats: &'a mut Stats,
    pub(super) interval: &'a mut Interval,
    pub(super) record: &'a mut Option<Recorder>,
}

impl Judge<'_> {
    pub(super) fn datagram(&mut self, octets: &[u8], arrived: Nanos) {
        if self.outbox.loses() {
            self.stats.counts.lost_on_purpose += 1;
            return;
        }
        let ports = self.ports;
        let Some(Port { messages, .. }) = ports.get(self.port) else {
            return;
        };
        if let Some((answer, name)) = messages.read_usual(octets) {
            self.answer_to(name, true, &answer, octets, messages, arrived);
            return;
        }
        let Some(answer) = Answer::parse(octets) else {
            self.stats.counts.unparsable += 1;
            return;
        };
        let Some(name) = messages.name_of(answer.branch) else {
            self.probe_or_foreign(&answer, messages, arrived);
            return;
        };
        let agrees = messages.agree(&Echo::of(&answer));
        self.answer_to(name, agrees, &answer, octets, messages, arrived);
    }

    /// An answer to a branch of this run; `agrees`: it repeats the From tag and Call-ID of that call.
    fn answer_to(
        &mut self,
        name: Name,
        agrees: bool,
        answer: &Answer<'_>,
        octets: &[u8],
        messages: &Messages,
        arrived: Nanos,
    ) {
        let number = self.number_of(name, answer).filter(|_| agrees);
        let Some(number) = number else {
            self.stats.counts.mismatched += 1;
            return;
        };
        if answer.status < 200 {
            self.stats.counts.provisional += 1;
            match name.attempt {
                Attempt::Plain => {
                    self.table.proceeding(number);
                }
                Attempt::Authorized => self.retries.proceeding(number),
            }
            return;
        }
        if self.is_challenge(answer, name, number) {
            self.answer_challenge(octets, answer, name, number, arrived);
            return;
        }
        let found = match name.attempt {
            Attempt::Plain => self.table.answered(number),
            Attempt::Authorized => self.table.answered_again(number),
        };
        let plan = self.plan;
        match found {
            Match::First(times) => {
                if name.attempt == Attempt::Authorized {
                    self.retries.end(number);
                }
                self.stats.counts.answered += 1;
                self.stats.statuses.record(answer.status);
                record_latency(self.stats, self.interval, times, arrived);
                let call = self.recent.get(number, || plan.call(name.sequence));
                let reading = verdict(plan, self.stats, call, name, answer, messages);
                if let Some(record) = self.record.as_mut() {
                    let latency = arrived.saturating_sub(times.intended);
                    write_line(
                        plan,
                        record,
                        call,
                        name,
                        answer,
                        messages,
                        (reading, times, latency),
                    );
                }
                if answer.status < 300 {
                    self.stats.counts.success += 1;
                }
            }
            Match::Duplicate => self.stats.counts.duplicates += 1,
            Match::Late => self.stats.counts.late += 1,
            Match::Unasked => {
                // Nobody acknowledges what must not have come.
                let call = self.recent.get(number, || plan.call(name.sequence));
                let _reading = verdict(plan, self.stats, call, name, answer, messages);
                return;
            }
            Match::Unknown => {
                self.stats.counts.mismatched += 1;
                return;
            }
        }
        self.acknowledge(name, number, answer, messages);
    }

    /// An answer to a branch that is no call's.
    fn probe_or_foreign(&mut self, answer: &Answer<'_>, messages: &Messages, arrived: Nanos) {
        match messages.probe_of(answer.branch) {
            Some(_) if answer.status < 200 => self.stats.counts.provisional += 1,
            Some(number) if answer.cseq_method == b"OPTIONS" => {
                self.probes
                    .answered(number, answer.status, arrived, self.stats);
            }
            Some(_) => self.stats.counts.mismatched += 1,
            None => self.stats.counts.foreign += 1,
        }
    }

    /// The engine's own number of the call that an answer names; `None` if the rest of the answer speaks of another.
    fn number_of(&self, name: Name, answer: &Answer<'_>) -> Option<u64> {
        let number = name.sequence / self.plan.threads;
        let ours = name.sequence % self.plan.threads == self.thread
            && port_of(number, self.ports.len()) == self.port
            && answer.cseq == name.attempt.cseq()
            && answer.cseq_method == b"INVITE";
        ours.then_some(number)
    }

    /// Whether the answer asks for credentials that have been given to us, and have not been tried yet.
    fn is_challenge(&self, answer: &Answer<'_>, name: Name, number: u64) -> bool {
        matches!(answer.status, 401 | 407)
            && name.attempt == Attempt::Plain
            && self.plan.credentials.is_some()
            && self.table.is_open(number)
    }

    /// RFC 3261 §22.2: the challenge is acknowledged, and the INVITE sent again with credentials, the next `CSeq` number and
    /// a branch of its own.
    fn answer_challenge(
        &mut self,
        octets: &[u8],
        answer: &Answer<'_>,
        name: Name,
        number: u64,
        now: Nanos,
    ) {
        let plan = self.plan;
        let ports = self.ports;
        let (Some(Port { messages, .. }), Some(credentials)) =
            (ports.get(self.port), &plan.credentials)
        else {
            return;
        };
        let call = plan.call(name.sequence);
        let uri = messages.request_uri(&call);
        let subscriber = String::from_utf8_lossy(call.subscriber.as_bytes());
        let line = digest::authorization(
            octets,
            answer.status,
            credentials,
            &subscriber,
            &uri,
            name.sequence,
        );
        self.acknowledge(name, number, answer, messages);
        let Some(line) = line else {
            // Nothing that we know: the challenge is the answer.
            self.stats.counts.challenges_unknown += 1;
            if let Match::First(times) = self.table.answered(number) {
                self.stats.counts.answered += 1;
                self.stats.statuses.record(answer.status);
                record_latency(self.stats, self.interval, times, now);
                let brief = self.recent.get(number, || plan.call(name.sequence));
                verdict(plan, self.stats, brief, name, answer, messages);
            }
            return;
        };
        if !self.table.challenged(number) {
            return;
        }
        self.stats.counts.challenged += 1;
        self.make_room();
        self.outbox.push(&mut self.stats.counts, |slot| {
            messages.authorized_invite(&call, name.sequence, line.as_bytes(), slot)
        });
        self.retries.begin(number, line.into_bytes().into(), now);
    }

    /// RFC 3261 §17.1.1.3: every copy of a final answer of 300 to 699 is acknowledged. A 2xx would need an ACK of its own
    /// to its Contact (§13.2.2.4) and then a BYE; it is a wrong verdict here and gets neither.
    fn acknowledge(&mut self, name: Name, number: u64, answer: &Answer<'_>, messages: &Messages) {
        if !self.plan.acks || answer.status < 300 {
            return;
        }
        self.make_room();
        let plan = self.plan;
        let call = self.recent.get(number, || plan.call(name.sequence));
        let counts = &mut self.stats.counts;
        if self
            .outbox
            .push(counts, |slot| messages.ack(call, name, answer.to, slot))
        {
            self.stats.counts.acks += 1;
        } else {
            self.stats.counts.acks_too_long += 1;
        }
    }

    fn make_room(&mut self) {
        if self.outbox.tx.is_full()
            && let Some(Port { link, .. }) = self.ports.get(self.port)
        {
            self.outbox.flush(link, &mut self.stats.counts);
        }
    }
}

/// Reads an answer and counts it if it is not what is expected.
fn verdict(
    plan: &Plan,
    stats: &mut Stats,
    call: &Brief,
    name: Name,
    answer: &Answer<'_>,
    messages: &Messages,
) -> Reading {
    let dialled = call.user.as_bytes();
    let reading = plan
        .profile
        .read(answer.status, answer.contact_user, dialled);
    let code = call.code.as_bytes();
    let code_fits = code.is_empty()
        || plan.profile != Profile::RedirectCodes
        || code_of(answer.status, answer.contact_user, dialled) == Some(code);
    if reading.meets(call.expected) && code_fits {
        return reading;
    }
    stats.counts.wrong += 1;
    if stats.wrong_calls.len() >= WRONG_SHOWN {
        return reading;
    }
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    stats.wrong_calls.push(WrongCall {
        call_id: messages.call_id(name.sequence),
        dialled: text(dialled),
        agent: text(plan.call(name.sequence).agent.as_bytes()),
        expected: call.expected.word(),
        status: answer.status,
        contact_user: answer.contact_user.map(text),
    });
    reading
}

fn write_line(
    plan: &Plan,
    record: &mut Recorder,
    call: &Brief,
    name: Name,
    answer: &Answer<'_>,
    messages: &Messages,
    (reading, times, latency): (Reading, Times, Nanos),
) {
    let dialled = call.user.as_bytes();
    let code = code_of(answer.status, answer.contact_user, dialled);
    record.line(&Line {
        call_id: &messages.call_id(name.sequence),
        dialled,
        verdict: reading.word(code),
        code,
        status: Some(answer.status),
        expected: call.expected.word(),
        intended: times.intended.saturating_sub(plan.start),
        latency,
    });
}
