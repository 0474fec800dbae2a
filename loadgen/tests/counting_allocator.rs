//! A call costs no allocation: made, rendered, kept, answered, judged and acknowledged, all in memory taken before.

#![expect(
    unsafe_code,
    reason = "a counting allocator is the only way to see allocations"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tollgate_loadgen::answer::Answer;
use tollgate_loadgen::call::Call;
use tollgate_loadgen::limits::DATAGRAM_BYTES_MAX;
use tollgate_loadgen::message::{Attempt, Echo, Messages, Name, Shape};
use tollgate_loadgen::mix::Mix;
use tollgate_loadgen::recent::Recent;
use tollgate_loadgen::source::Calls;
use tollgate_loadgen::stats::Stats;
use tollgate_loadgen::table::{Match, Table, Times};
use tollgate_loadgen::verdict::Profile;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; the count touches no memory of its callers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more.
        ALLOCATIONS
            .try_with(|count| count.set(count.get() + 1))
            .unwrap_or_default();
        // SAFETY: the caller keeps alloc's promises, which are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` above, that is from the system's allocator, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The answer that a server would give, made without allocating.
fn answer_into(out: &mut [u8], invite: &[u8]) -> usize {
    let text = str::from_utf8(invite).unwrap();
    let mut at = 0;
    let mut put = |part: &str| {
        out[at..at + part.len()].copy_from_slice(part.as_bytes());
        at += part.len();
    };
    put("SIP/2.0 302 Moved Temporarily\r\nContact: <sip:A00");
    put(text
        .split_once("sip:")
        .unwrap()
        .1
        .split_once('@')
        .unwrap()
        .0);
    put("@h>\r\n");
    for line in text.split_inclusive("\r\n") {
        if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
            .iter()
            .any(|name| line.starts_with(name))
        {
            put(line);
        }
    }
    put("\r\n");
    at
}

#[test]
fn a_call_costs_no_allocation() {
    const CALLS: u64 = 10_000;
    let local = "127.0.0.1:5070".parse().unwrap();
    let target = "127.0.0.1:5060".parse().unwrap();
    let messages = Messages::new(local, target, 1, Shape::UdpRuns);
    let mix = Calls::Mix(Mix::standard(1));
    let mut call = Call::default();
    let mut table = Table::new(usize::try_from(CALLS).unwrap(), 500_000_000, true);
    let mut recent = Recent::new();
    let mut stats = Stats::new();
    let mut invite = [0; DATAGRAM_BYTES_MAX];
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    let mut acknowledged = 0;
    let before = ALLOCATIONS.with(Cell::get);
    for number in 0..CALLS {
        let now = number * 50_000;
        mix.fill(number, &mut call);
        let length = messages.invite(&call, number, &mut invite).unwrap();
        recent.keep(number, &call);
        table.push(Times {
            intended: now,
            sent: now,
        });
        let answered = answer_into(&mut datagram, &invite[..length]);
        let answer = Answer::parse(&datagram[..answered]).unwrap();
        let name = Name {
            sequence: number,
            attempt: Attempt::Plain,
        };
        assert_eq!(messages.name_of(answer.branch), Some(name));
        assert!(messages.agree(&Echo {
            branch: answer.branch,
            from_tag: answer.from_tag,
            call_id: answer.call_id,
        }));
        assert!(matches!(table.answered(number), Match::First(_)));
        let reading =
            Profile::Redirect.read(answer.status, answer.contact_user, call.user.as_bytes());
        stats.counts.wrong += u64::from(!reading.meets(call.expected));
        stats.statuses.record(answer.status);
        stats.from_intended.record(now);
        assert_eq!(table.next_copy(now), None);
        assert_eq!(table.next_due(), None);
        table.forget(now);
        let brief = recent.get(number, || panic!("it was kept"));
        let ack = messages.ack(brief, name, answer.to, &mut invite);
        acknowledged += u64::from(ack.is_some());
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert_eq!(acknowledged, CALLS);
    assert!(stats.counts.wrong > 400); // everything was approved, and the mix has what must not be
}
