//! What an engine counts: fixed memory, nothing lost between engines when they are added up.
//!
//! Promises: every call that was sent ends as answered, lost, abandoned or meant to be silent; every datagram that was read is an answer or has a kind
//! of its own. Leaves to `histogram`: how latencies are kept.

use crate::clock::Nanos;
use crate::histogram::Nanoseconds;
use crate::limits::WRONG_SHOWN;

/// A call whose verdict was not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongCall {
    /// Its Call-ID.
    pub call_id: String,
    /// The dialled user part.
    pub dialled: String,
    /// The telephone's user agent.
    pub agent: String,
    /// The verdict that the mix expects.
    pub expected: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The user part of its Contact.
    pub contact_user: Option<String>,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Plain counts.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counts {
            /// Adds another engine's counts.
            pub fn add(&mut self, other: &Self) { $(self.$name += other.$name;)* }

            /// What was counted since an earlier copy.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)* }
            }
        }
    };
}

counts! {
    /// Calls whose first copy was handed to the kernel or refused by it.
    sent,
    /// Calls with a final answer before Timer B.
    answered,
    /// Calls without one at Timer B.
    lost,
    /// Calls that were open when the run was stopped.
    abandoned,
    /// Answered calls whose verdict was not the expected one, and answers to what was to have none.
    wrong,
    /// Datagrams that were to have no answer.
    silent,
    /// Copies sent at once with their call, on purpose.
    copies,
    /// Copies sent by Timer A.
    retransmitted,
    /// ACKs sent.
    acks,
    /// ACKs that did not fit into a datagram.
    acks_too_long,
    /// Further final answers to calls that had one.
    duplicates,
    /// Final answers after Timer B.
    late,
    /// Provisional answers.
    provisional,
    /// 2xx answers.
    success,
    /// Datagrams that are no SIP response, or longer than a slot.
    unparsable,
    /// Answers whose branch is none of this run.
    foreign,
    /// Answers to a branch of this run with another Call-ID, From tag, `CSeq` or port, or to a call never made.
    mismatched,
    /// Times that ICMP said the port is closed.
    refused,
    /// Datagrams that this machine forbade (`EPERM`: a firewall).
    forbidden,
    /// Datagrams without a route (`ENETUNREACH`, `EHOSTUNREACH`).
    unreachable,
    /// Sends: a run of datagrams is one.
    sends,
    /// Receives: a run of datagrams is one.
    receives,
    /// Times that the kernel's send buffer was full and the engine waited.
    send_buffer_full,
    /// Datagrams that could not be sent for another reason, or not in time.
    send_failed,
    /// Datagrams that the generator's own full receive buffer cost.
    receive_dropped,
    /// TCP connections that the server ended or that broke.
    connections_lost,
    /// Times that runs of datagrams could not be sent as one, so that they go one by one from there on.
    gso_fallback,
    /// Datagrams, sent or received, that were lost on purpose.
    lost_on_purpose,
    /// Calls whose server asked for credentials and was shown some.
    challenged,
    /// Challenges that ask for nothing that we know.
    challenges_unknown,
    /// OPTIONS sent.
    options_sent,
    /// OPTIONS with a final answer.
    options_answered,
    /// OPTIONS without one at Timer F.
    options_lost,
}

impl Counts {
    /// Datagrams that should not have come.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.late
            + self.provisional
            + self.success
            + self.unparsable
            + self.foreign
            + self.mismatched
    }
}

/// Statuses from 100 to 699.
const STATUSES: usize = 600;

/// How often each status came as a call's final answer.
#[derive(Debug, Clone)]
pub struct Statuses(Box<[u64]>);

impl Statuses {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0; STATUSES].into())
    }

    /// Counts a status.
    pub fn record(&mut self, status: u16) {
        if let Some(count) = self.0.get_mut(usize::from(status.saturating_sub(100))) {
            *count += 1;
        }
    }

    /// Adds another engine's.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0.iter()) {
            *count += more;
        }
    }

    /// The statuses that came, ascending, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        (100..)
            .zip(self.0.iter().copied())
            .filter(|&(_, count)| count > 0)
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything that an engine, or all of them, measured.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Counts.
    pub counts: Counts,
    /// Statuses of final answers.
    pub statuses: Statuses,
    /// Statuses of final answers to OPTIONS.
    pub options_statuses: Statuses,
    /// From the sending of an OPTIONS to its answer; a lost one counts at Timer F.
    pub from_options: Nanoseconds,
    /// From the intended time of sending to the answer; a lost call counts at Timer B.
    pub from_intended: Nanoseconds,
    /// From the actual time of sending to the answer; a lost call counts at Timer B.
    pub from_sent: Nanoseconds,
    /// From the intended time of sending to the return of the system call that sent it.
    pub lateness: Nanoseconds,
    /// The first wrong verdicts.
    pub wrong_calls: Vec<WrongCall>,
    /// Processor time of the engines, in nanoseconds.
    pub cpu_ns: u64,
    /// How much of it the kernel used, as its ticks saw it.
    pub cpu_system_ns: u64,
    /// When the first call was due and when the last was sent.
    pub sending: Option<(Nanos, Nanos)>,
    /// Why the engine ended before its time, if so.
    pub broken: Option<String>,
}

impl Stats {
    /// Nothing measured.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Counts::default(),
            statuses: Statuses::new(),
            options_statuses: Statuses::new(),
            from_options: Nanoseconds::new(3),
            from_intended: Nanoseconds::new(3),
            from_sent: Nanoseconds::new(3),
            lateness: Nanoseconds::new(3),
            wrong_calls: Vec::new(),
            cpu_ns: 0,
            cpu_system_ns: 0,
            sending: None,
            broken: None,
        }
    }

    /// Adds another engine's.
    pub fn add(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.statuses.add(&other.statuses);
        self.options_statuses.add(&other.options_statuses);
        self.from_options.add(&other.from_options);
        self.from_intended.add(&other.from_intended);
        self.from_sent.add(&other.from_sent);
        self.lateness.add(&other.lateness);
        let room = WRONG_SHOWN.saturating_sub(self.wrong_calls.len());
        self.wrong_calls
            .extend(other.wrong_calls.into_iter().take(room));
        self.cpu_ns += other.cpu_ns;
        self.cpu_system_ns += other.cpu_system_ns;
        self.sending = match (self.sending, other.sending) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.broken = self.broken.take().or(other.broken);
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

/// One second of one engine, or of all.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Seconds since the start at which it begins.
    pub second: u64,
    /// What was counted in it.
    pub counts: Counts,
    /// From intended sending to the answers that came (or Timer B that fired) in it. Two digits.
    pub from_intended: Nanoseconds,
}

impl Interval {
    /// An interval in which nothing has happened.
    #[must_use]
    pub fn new(second: u64) -> Self {
        Self {
            second,
            counts: Counts::default(),
            from_intended: Nanoseconds::new(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_add_up_and_seconds_are_differences() {
        let one = Counts {
            sent: 3,
            late: 1,
            ..Counts::default()
        };
        let mut sum = one;
        sum.add(&Counts {
            sent: 4,
            foreign: 1,
            ..Counts::default()
        });
        assert_eq!((sum.sent, sum.unexpected()), (7, 2));
        assert_eq!(
            sum.since(&one),
            Counts {
                sent: 4,
                foreign: 1,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn statuses_keep_their_numbers() {
        let mut statuses = Statuses::new();
        for status in [302, 603, 302, 100, 699] {
            statuses.record(status);
        }
        let all: Vec<(u16, u64)> = statuses.iter().collect();
        assert_eq!(all, [(100, 1), (302, 2), (603, 1), (699, 1)]);
    }
}
