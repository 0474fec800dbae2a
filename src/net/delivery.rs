//! Handing messages to the kernel, and what became of them.
//!
//! Promises: `sent`, the sum of `failed` and the answers of refused runs are all that there were; it ends whatever the
//! kernel says.
//! Leaves to `answers`: what goes into one message, and what to do with a run that was refused.

use crate::sys::{Run, errno};
use std::io;

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// The socket's send queue was full, twice.
    QueueFull,
    /// An ICMP message about an earlier answer (RFC 3261 §18.4).
    Refused,
    /// A firewall rule of this machine.
    NotPermitted,
    /// No route.
    Unreachable,
    /// Longer than the path or the socket carries.
    TooLong,
    /// Anything else, and an answer for which the batch had no room.
    Other,
}

impl SendFailure {
    /// All reasons, in the order of their numbers in arrays.
    pub const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::Refused,
        Self::NotPermitted,
        Self::Unreachable,
        Self::TooLong,
        Self::Other,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::NotPermitted => "not_permitted",
            Self::Unreachable => "unreachable",
            Self::TooLong => "too_long",
            Self::Other => "other",
        }
    }

    /// Its place in arrays that count by reason.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno::CONNECTION_REFUSED) => Self::Refused,
            Some(errno::NOT_PERMITTED) => Self::NotPermitted,
            Some(errno::NO_BUFFERS) => Self::QueueFull,
            Some(errno::MESSAGE_SIZE) => Self::TooLong,
            Some(errno::NETWORK_UNREACHABLE | errno::HOST_UNREACHABLE) => Self::Unreachable,
            Some(_) | None => Self::Other,
        }
    }
}

/// What became of a batch of answers; `sent` and the sum of `failed` are the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendReport {
    /// Answers that went out.
    pub sent: u64,
    /// Answers that did not, by `SendFailure::index`.
    pub failed: [u64; SendFailure::ALL.len()],
    /// Answers among `sent` that left in runs.
    pub in_runs: u64,
    /// Runs that the kernel refused as such, so that their answers were sent one by one.
    pub fallbacks: u64,
}

/// Whether a run was refused as such: its datagrams one by one may pass.
fn refuses_runs(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(errno::INVALID | errno::INPUT_OUTPUT | errno::MESSAGE_SIZE)
    )
}

/// Sends `runs` by way of `send`, which sends from a given one on. Sets in `refused` the bits of the runs that were
/// refused as runs; they are not in the report.
pub(super) fn send_all(
    runs: &[Run],
    refused: &mut u32,
    mut send: impl FnMut(usize) -> io::Result<usize>,
) -> SendReport {
    let mut report = SendReport::default();
    let answers = |runs: Option<&[Run]>| -> u64 {
        let runs = runs.unwrap_or(&[]).iter();
        runs.map(|run| count(run.count)).sum()
    };
    let mut first = 0;
    let mut tried_again = false;
    while let Some(run) = runs.get(first) {
        match send(first) {
            // The kernel never sends zero of some without an error; were it to, this must still end.
            Ok(0) => {
                report.failed[SendFailure::Other.index()] += answers(runs.get(first..));
                return report;
            }
            Ok(sent) => {
                for run in runs.iter().skip(first).take(sent) {
                    report.sent += count(run.count);
                    if run.segment.is_some() {
                        report.in_runs += count(run.count);
                    }
                }
                first += sent;
                tried_again = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if tried_again {
                    report.failed[SendFailure::QueueFull.index()] += answers(runs.get(first..));
                    return report;
                }
                tried_again = true;
            }
            Err(error) if run.segment.is_some() && refuses_runs(&error) => {
                *refused |= 1 << first;
                first += 1;
            }
            Err(error) => {
                report.failed[SendFailure::of(&error).index()] += count(run.count);
                first += 1;
            }
        }
    }
    report
}

fn count(messages: usize) -> u64 {
    u64::try_from(messages).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run {
        first: 0,
        count: 1,
        segment: None,
        local: None,
    };

    /// Plays `script` to `send_all`: what each call answers; then everything goes.
    fn check(
        filled: usize,
        script: &[Result<usize, i32>],
        sent: u64,
        failed: &[(SendFailure, u64)],
    ) {
        let mut calls = script.iter();
        let runs = [RUN; 5];
        let runs = runs.get(..filled).unwrap();
        let mut refused = 0;
        let report = send_all(runs, &mut refused, |first| match calls.next() {
            Some(Ok(number)) => Ok(*number),
            Some(Err(number)) => Err(io::Error::from_raw_os_error(*number)),
            None => Ok(filled - first),
        });
        assert_eq!(report.sent, sent, "{script:?}");
        assert_eq!(refused, 0, "no run was refused: there were none");
        for reason in SendFailure::ALL {
            let expected = failed.iter().find(|(name, _)| *name == reason);
            assert_eq!(
                report.failed[reason.index()],
                expected.map_or(0, |(_, number)| *number),
                "{script:?} {reason:?}"
            );
        }
    }

    #[test]
    fn every_answer_is_sent_or_counted_by_its_reason() {
        const AGAIN: i32 = 11;
        const INTERRUPTED: i32 = 4;
        check(0, &[], 0, &[]);
        check(5, &[], 5, &[]);
        check(5, &[Ok(2), Ok(3)], 5, &[]);
        check(5, &[Err(INTERRUPTED)], 5, &[]);
        check(5, &[Err(AGAIN)], 5, &[]);
        check(
            5,
            &[Err(AGAIN), Err(AGAIN)],
            0,
            &[(SendFailure::QueueFull, 5)],
        );
        check(
            5,
            &[Ok(1), Err(AGAIN), Ok(1), Err(AGAIN), Err(AGAIN)],
            2,
            &[(SendFailure::QueueFull, 3)],
        );
        check(
            5,
            &[
                Err(errno::CONNECTION_REFUSED),
                Ok(1),
                Err(errno::NOT_PERMITTED),
                Err(errno::MESSAGE_SIZE),
            ],
            2,
            &[
                (SendFailure::Refused, 1),
                (SendFailure::NotPermitted, 1),
                (SendFailure::TooLong, 1),
            ],
        );
        check(
            2,
            &[Err(errno::NO_BUFFERS), Err(errno::HOST_UNREACHABLE)],
            0,
            &[(SendFailure::QueueFull, 1), (SendFailure::Unreachable, 1)],
        );
        check(2, &[Err(9999)], 1, &[(SendFailure::Other, 1)]);
        check(2, &[Ok(0)], 0, &[(SendFailure::Other, 2)]);
    }

    #[test]
    fn a_run_counts_as_its_answers_and_is_refused_as_a_run() {
        let run = |count| Run {
            count,
            segment: Some(64),
            ..RUN
        };
        let runs = [run(3), RUN, run(4), run(5)];
        for (error, refused_runs, sent, failed) in [
            (errno::INVALID, 0b101, 6, None),
            (errno::INPUT_OUTPUT, 0b101, 6, None),
            (errno::MESSAGE_SIZE, 0b101, 6, None),
            (errno::NOT_PERMITTED, 0, 6, Some(SendFailure::NotPermitted)),
        ] {
            let mut refused = 0;
            let report = send_all(&runs, &mut refused, |first| match first {
                0 | 2 => Err(io::Error::from_raw_os_error(error)),
                _ => Ok(1),
            });
            assert_eq!(refused, refused_runs, "{error}");
            assert_eq!((report.sent, report.in_runs), (sent, 5), "{error}");
            let sum: u64 = report.failed.iter().sum();
            let counted = failed.map_or(0, |reason| report.failed[reason.index()]);
            assert_eq!(
                (sum, counted),
                if failed.is_some() { (7, 7) } else { (0, 0) }
            );
        }
    }
}
