//! Calls of the past: the INVITEs of a capture, the calls of a journal, or a list, made again at their own times.
//!
//! Promises: what is replayed is the call, never the message: branch, Call-ID and tags are the run's own. One attempt (Call-ID, From tag,
//! called user) is one call, however often it was captured. All faults at once, with line or packet number and what was expected.
//! Leaves to `command`: the options; to the formats below: their octets.

pub mod command;
pub mod journal;
pub mod message;
pub mod packet;
pub mod pcap;

use std::collections::HashMap;
use std::path::Path;

use crate::answer::Answer;
use crate::clock::Nanos;
use crate::files::LineFaults;
use crate::limits::{CALLS_FILE_BYTES_MAX, CAPTURE_BYTES_MAX};
use crate::listing;
use crate::source::ListedCall;
use crate::verdict::{Expected, Profile, Reading};

/// What a replayed call is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Hold {
    /// Against the verdict of then, where the file has one; any answer does for the others.
    Recorded,
    /// Against nothing: any final answer does.
    Any,
    /// All are to be approved.
    Approve,
    /// All are to be rejected.
    Reject,
}

/// What becomes of packets and lines that cannot be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faulty {
    /// The whole file is refused.
    Refuse,
    /// They are left out, and each is told in a remark.
    LeaveOut,
}

impl Faulty {
    /// The remarks that faults become.
    ///
    /// # Errors
    /// The faults, a line each, unless they are left out.
    pub fn judge(self, faults: LineFaults<'_>) -> Result<Vec<String>, String> {
        match self {
            Self::Refuse => faults.into_result().map(|()| Vec::new()),
            Self::LeaveOut => Ok(faults.into_remarks()),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Recording {
    /// The calls, in the order of their times; never empty.
    pub calls: Vec<ListedCall>,
    /// What was in the file and is no call to be made again, in a sentence each.
    pub remarks: Vec<String>,
}

/// Reads a file of any of the formats: its first octets say which.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn read(
    path: &Path,
    hold: Hold,
    profile: Profile,
    faulty: Faulty,
) -> Result<Recording, String> {
    let octets = crate::files::read(path, CAPTURE_BYTES_MAX)?;
    parse(&octets, &path.display().to_string(), hold, profile, faulty)
}

/// Reads the octets of a file called `name`.
///
/// # Errors
/// Sentences for the operator, one a line.
pub fn parse(
    octets: &[u8],
    name: &str,
    hold: Hold,
    profile: Profile,
    faulty: Faulty,
) -> Result<Recording, String> {
    let mut recording = if pcap::is_capture(octets) {
        of_capture(octets, name, profile, faulty)?
    } else if octets.trim_ascii_start().starts_with(b"{") {
        journal::parse(octets, name, faulty)?
    } else {
        if u64::try_from(octets.len()).unwrap_or(u64::MAX) > CALLS_FILE_BYTES_MAX {
            return Err(format!("{name}: longer than {CALLS_FILE_BYTES_MAX} octets"));
        }
        Recording {
            calls: listing::parse(octets, name)?,
            remarks: Vec::new(),
        }
    };
    if recording.calls.is_empty() {
        return Err(format!(
            "{name}: holds no calls: expected INVITEs over UDP in a pcap or pcapng, the lines of a journal, or a list of calls"
        ));
    }
    recording.calls.sort_by_key(|call| call.due);
    let first = recording.calls.first().map_or(0, |call| call.due);
    for listed in &mut recording.calls {
        listed.due -= first;
        match hold {
            Hold::Recorded => {}
            Hold::Any => listed.call.expected = Expected::Any,
            Hold::Approve => listed.call.expected = Expected::Approve,
            Hold::Reject => listed.call.expected = Expected::Reject,
        }
        if hold != Hold::Recorded {
            listed.call.code.clear();
        }
    }
    Ok(recording)
}

/// Call-ID, From tag and called user: what tells one attempt from another.
type Attempt = (Vec<u8>, Vec<u8>, Vec<u8>);

fn of_capture(
    octets: &[u8],
    name: &str,
    profile: Profile,
    faulty: Faulty,
) -> Result<Recording, String> {
    let mut faults = LineFaults::new(name);
    let mut calls: Vec<ListedCall> = Vec::new();
    let mut attempts: HashMap<Attempt, usize> = HashMap::new();
    // By Call-ID and CSeq number, since an answer need not repeat the called user.
    let mut asked: HashMap<(Vec<u8>, u32), usize> = HashMap::new();
    let (mut copies, mut others) = (0_u64, 0_u64);
    for packet in pcap::Packets::new(octets) {
        let packet = match packet {
            Ok(packet) => packet,
            Err(fault) => {
                faults.packet(fault.number, fault.expected);
                break;
            }
        };
        let payload = match packet::udp_payload(&packet) {
            Ok(Some(payload)) => payload,
            Ok(None) => {
                others += 1;
                continue;
            }
            Err(expected) => {
                faults.packet(packet.number, expected);
                continue;
            }
        };
        if payload.starts_with(b"SIP/2.0 ") {
            if let Some(answer) = Answer::parse(payload) {
                let key = (answer.call_id.to_vec(), answer.cseq);
                if let Some(listed) = asked.get(&key).and_then(|&at| calls.get_mut(at)) {
                    held_against(listed, &answer, profile);
                }
            }
            continue;
        }
        if !payload.starts_with(b"INVITE ") {
            others += 1;
            continue;
        }
        match message::invite(payload) {
            Ok(invite) if invite.in_dialog => others += 1,
            Ok(invite) => {
                let attempt = (
                    invite.call_id.to_vec(),
                    invite.from_tag.to_vec(),
                    invite.call.user.as_bytes().to_vec(),
                );
                let next = calls.len();
                let at = *attempts.entry(attempt).or_insert(next);
                asked.insert((invite.call_id.to_vec(), invite.cseq), at);
                if at == next {
                    calls.push(ListedCall {
                        due: packet.time,
                        call: invite.call,
                    });
                } else {
                    copies += 1;
                }
            }
            Err(expected) => faults.packet(packet.number, expected),
        }
    }
    let mut remarks = faulty.judge(faults)?;
    if copies > 0 {
        remarks.push(format!(
            "{copies} INVITEs were copies, branches or further tries of calls that are made once"
        ));
    }
    if others > 0 {
        remarks.push(format!("{others} packets hold no new call over UDP"));
    }
    Ok(Recording { calls, remarks })
}

/// Takes the verdict of then from its answer; a challenge (401, 407) or a provisional answer is none.
fn held_against(listed: &mut ListedCall, answer: &Answer<'_>, profile: Profile) {
    if answer.status < 200 || matches!(answer.status, 401 | 407) {
        return;
    }
    let dialled = listed.call.user.as_bytes();
    listed.call.expected = match profile.read(answer.status, answer.contact_user, dialled) {
        Reading::Approve => Expected::Approve,
        Reading::Reject => Expected::Reject,
        Reading::Error => Expected::Error,
        Reading::RejectOrError | Reading::Either | Reading::Neither => Expected::Any,
    };
}

/// Makes the times `speed` (thousandths) times as fast.
pub fn hurry(calls: &mut [ListedCall], speed: u64) {
    for listed in calls {
        let time = u128::from(listed.due) * 1000 / u128::from(speed.max(1));
        listed.due = u64::try_from(time).unwrap_or(Nanos::MAX);
    }
}

#[cfg(test)]
mod tests;
