//! Every bound of the generator, with the reason for its size.
//!
//! Promises: nothing in this crate grows past a number that does not stand here or follow from one that does.

/// Datagrams handed to the kernel together: as many as one send with `UDP_SEGMENT` may carry (udp(7): 64 segments on kernels before 6.9).
pub const BATCH: usize = 64;

/// Octets of one send with `UDP_SEGMENT`: below the largest UDP payload over IPv4 (65,507).
pub const SEGMENTED_BYTES_MAX: usize = 65_000;

/// Datagrams, or runs of them that the kernel has put together, taken in one `recvmmsg`.
pub const RX_BATCH: usize = 32;

/// Octets kept for one run of datagrams: the most that the kernel puts together.
pub const RX_RUN_BYTES_MAX: usize = 65_536;

/// INVITEs are made a multiple of this long where runs of them are sent at once, since a run has datagrams of one length: they have 930 to 1,020 octets.
pub const INVITE_BYTES_STEP: usize = 256;

/// The same for ACKs, which have 290 to 370 octets.
pub const ACK_BYTES_STEP: usize = 128;
const _: () = assert!(
    INVITE_BYTES_STEP.is_power_of_two() && ACK_BYTES_STEP.is_power_of_two(),
    "what a message lacks of a round length is a mask"
);

/// Calls whose number, caller and expected verdict an engine remembers for their answers; those of older ones are made again. About 200 octets each.
pub const RECENT_CALLS: u64 = 1024;

/// Octets kept for one datagram, sent or received. An INVITE has about 950, an answer about 400; a longer answer is cut by the kernel and counted as unparsable.
pub const DATAGRAM_BYTES_MAX: usize = 2048;

/// Receive batches taken before the clock is looked at again, so that a flood of answers cannot hold up the calls that are due.
pub const RECEIVE_BATCHES_PER_ROUND: usize = 8;

/// Receive buffer asked for per socket, in octets. What was granted is reported.
pub const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Send buffer asked for per socket, in octets.
pub const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// T1 of RFC 3261 §17.1.1.2, as it is written on the command line.
pub const T1_DEFAULT: &str = "500ms";

/// Timer B in units of T1 (RFC 3261 §17.1.1.2).
pub const TIMER_B_T1S: u64 = 64;

/// Times at which Timer A sends the INVITE again, in units of T1 from the first copy: intervals of 1, 2, 4, 8, 16 and 32 (RFC 3261 §17.1.1.2; no T2 for INVITE).
pub const TIMER_A_T1S: [u64; 6] = [1, 3, 7, 15, 31, 63];
const _: () = assert!(
    TIMER_A_T1S[TIMER_A_T1S.len() - 1] < TIMER_B_T1S,
    "Timer A ends before Timer B does"
);

/// A run whose 99th percentile of lateness is above this measured the generator, not the server: it is invalid, exit 3.
/// As it is written on the command line.
pub const LATENESS_P99_MAX: &str = "50ms";

/// Entries of the table of calls that are allocated before the start; 24 octets each, touched only as they are used.
pub const TABLE_PREALLOCATED_MAX: usize = 8 * 1024 * 1024;

/// Entries of one thread's table of calls at most (1.5 GiB). At this bound the run ends and is invalid.
pub const TABLE_CALLS_MAX: usize = 64 * 1024 * 1024;

/// Calls per second and run at most.
pub const RATE_MAX: u64 = 10_000_000;

/// Calls of one run at most: a call's number has ten hexadecimal digits in its branch.
pub const CALLS_MAX: u64 = (1 << 40) - 1;

/// Longest run in seconds (a day): every second keeps about 250 octets of results.
pub const DURATION_SECONDS_MAX: u64 = 24 * 3600;

/// Engine threads at most.
pub const THREADS_MAX: usize = 64;

/// Source ports of one run at most.
pub const SOURCE_PORTS_MAX: usize = 16_384;

/// Octets of a dialled user part at most; longer ones are refused when a file of calls is read.
pub const USER_BYTES_MAX: usize = 64;

/// Octets of a mix's file at most.
pub const MIX_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Parts of a mix, or of several together, at most.
pub const MIX_PARTS_MAX: usize = 256;

/// Calls of a run whose mix has limits at most: a ruling is kept for each, two octets.
pub const LIMITED_CALLS_MAX: u64 = 64 * 1024 * 1024;

/// Places in the order in which a mix's parts take turns, at most; smaller shares are rounded up to one place.
pub const MIX_TURNS_MAX: u64 = 4096;

/// Sum of weights up to which each number below it has a place in a table, two octets each; above, the item is searched for.
pub const WEIGHTED_PLACES_MAX: u64 = 4096;

/// Copies that may follow a datagram at once: they fit into one batch with it.
pub const COPIES_MAX: u64 = 15;
const _: () = assert!(
    COPIES_MAX < BATCH as u64,
    "a call and its copies leave in one batch"
);

/// Octets of a calling number, an extension or the name of an account at most.
pub const CALLER_BYTES_MAX: usize = 64;

/// Octets kept for a telephone's address: 45 are the longest; a block of what messages are made of is copied faster.
pub const ADDRESS_BYTES_MAX: usize = 64;

/// Octets of a host at most.
pub const HOST_BYTES_MAX: usize = 64;

/// Octets of an agent at most, in a file of calls.
pub const AGENT_BYTES_MAX: usize = 256;

/// Octets of a file of calls at most.
pub const CALLS_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Octets of a capture or a journal that is replayed at most: it is read whole.
pub const CAPTURE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Different callers, or prefixes, that a file of call records may hold: they are counted in memory.
pub const CDR_COUNTED_MAX: usize = 10_000_000;

/// Faults of a file (calls, mix, records) that are spelled out; after that, a count.
pub const FAULTS_SHOWN: usize = 20;

/// Wrong verdicts that are reported with their calls.
pub const WRONG_SHOWN: usize = 10;

/// Tries to hand one datagram to the kernel when its buffer is full, each after waiting for room for at most a millisecond.
pub const SEND_TRIES_MAX: u32 = 1_000;

/// Consecutive calls that leave from one socket before the next one's turn, so that a batch of several calls stays one system call.
pub const CALLS_PER_SOCKET_RUN: u64 = 16;

/// After the last call is over, answers are still read for this long, to count duplicates of it. In nanoseconds.
pub const LINGER_NS: u64 = 50_000_000;

/// An engine looks at the stop switch at least this often, in nanoseconds.
pub const WAIT_MAX_NS: u64 = 50_000_000;

/// Copies sent by Timer A before answers are read in between, so that a storm of copies cannot fill our own receive buffer.
pub const COPIES_PER_ROUND: u64 = 128;

/// Rounds of an engine that sleeps are at least this far apart: calls leave up to this late, in batches. As it is written on
/// the command line.
pub const BATCH_WINDOW: &str = "100us";

/// And so far apart at most, in milliseconds: a batch of the slowest rates that have batches at all.
pub const BATCH_WINDOW_MS_MAX: u64 = 10;

/// Calls that are due are sent for this long before answers are read in between, in nanoseconds.
pub const OFFER_MAX_NS: u64 = 200_000;

/// Largest value that the histograms tell apart, in nanoseconds (ten minutes); more counts as this.
pub const HISTOGRAM_NS_MAX: u64 = 600_000_000_000;

/// Threads prepare their sockets and tables for this long before the first call is due, in nanoseconds.
pub const START_DELAY_NS: u64 = 20_000_000;

/// Octets of lines of the record of calls that are handed to its writer together.
pub const RECORD_BLOCK_BYTES: usize = 64 * 1024;

/// Octets of one line of the record at most: Call-ID and dialled number with every octet escaped, and the rest.
pub const RECORD_LINE_BYTES_MAX: usize = 6 * (USER_BYTES_MAX + 80) + 320;
const _: () = assert!(
    RECORD_LINE_BYTES_MAX * 16 < RECORD_BLOCK_BYTES,
    "a block holds many lines"
);

/// Blocks that wait for the disk at most (64 MiB); past that, lines are dropped and counted, and the run is invalid.
pub const RECORD_BLOCKS_MAX: usize = 1024;

/// Octets of one message on a TCP connection at most.
pub const STREAM_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Octets that wait on a TCP connection which does not take them; past that, messages are dropped and counted.
pub const STREAM_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A rate within so many percent of the generator's own ceiling may be the generator's, and is marked.
pub const GENERATOR_BOUND_PERCENT: f64 = 20.0;

/// A search in which the generator was late in more than one of so many rounds that count may have found the generator's rate, and is
/// marked. One such round in a hundred is the hypervisor's doing; it counts as missed, and moves the mean by half a percent.
pub const GENERATOR_LATE_ONE_IN: usize = 20;

/// Calls that are out at a time when the generator's own ceiling is measured: enough for full batches on both sides, and their INVITEs fit into a receive buffer.
pub const YARDSTICK_CALLS_OUT: u64 = 1024;

/// Parts of a reading of the yardstick, of which the second best counts: what another program or the hypervisor takes for some
/// milliseconds is taken from a part, and one part that was lucky does not count either.
pub const YARDSTICK_PARTS: u32 = 7;

/// Readings of the yardstick before the first round of `find-max`; the second best is what later ones are held against. A machine is
/// disturbed in many ways and left alone in one: with the median, five searches met five mixtures of its levels.
pub const YARDSTICK_READINGS: usize = 7;

/// By what share the yardstick beside a round may be below that one, or that one below it, for the round to count. Under a
/// hypervisor the ceiling has levels a third and more apart, by where the processors are placed, and a server's rate follows
/// them: the band holds one level with what it wavers. A narrower one (12 %) left so few rounds that no search came to its end.
pub const YARDSTICK_BAND: f64 = 0.2;

/// From one beat of a core's pulse to the next, in nanoseconds.
pub const PULSE_EVERY_NS: u64 = 2_000_000;

/// Lines that a beat writes to: some microseconds, of which the clock takes none that matters.
pub const PULSE_TOUCHES: u32 = 256;

/// Octets of the table that it writes to: more than a core's own caches hold.
pub const PULSE_TABLE_BYTES: usize = 64 * 1024 * 1024;

/// One in so many beats may be slow, since something came in between or the core was for a moment not what it was.
pub const PULSE_SLOW_ONE_IN: usize = 10;

/// How long the first rate is offered to find what the pulse of a server's core can be while it works, in nanoseconds.
pub const PULSE_OFFER_NS: u64 = 40_000_000_000;

/// How long it is offered before, to see whether the server answers at all, in nanoseconds.
pub const PULSE_PROBE_NS: u64 = 1_000_000_000;

/// Parts of that, each with a pulse of its own: of a second. A shorter round lies more often within one level. Parts as short as rounds were tried, and one
/// in eight of them reached what one round in twenty did.
pub const PULSE_PARTS: u32 = 40;

/// What one in so many of those parts reached is what later pulses are held against: a core that a hypervisor lends is all the server's
/// at times, and what it is then is sharply one thing, where what its neighbours leave of it is anything. Not the very quickest part, which
/// may not come again.
pub const PULSE_QUICK_ONE_IN: usize = 8;

const _: () = assert!(
    PULSE_PARTS as usize >= 2 * PULSE_QUICK_ONE_IN,
    "the very quickest part is no reference"
);

/// By what share the pulse of a round may be below that one, or that one below it, for the round to count. A server's
/// rate follows its core's pulse: a wider band lets rounds of other levels in, and a narrower one leaves fewer rounds.
pub const PULSE_BAND: f64 = 0.08;

/// A core on which no beat began for so long stood still: nobody runs there, since a beat is woken every two milliseconds and waits for no more than one
/// turn of another program. A hypervisor took it: of two cores on which a loop read the clock for fifteen seconds, one three times and one once (Linux 6.18 on an AMD EPYC). What is
/// late by that, in the generator or in the server, is no rate of the server's.
pub const PULSE_STILL_NS_MAX: u64 = 8_000_000;

/// Rounds that may be discarded by pulses, in all searches that take turns: most are cut short after some tenths of a second. On a machine whose processors
/// are lent four to eleven were discarded for one that counted, and five walks of 250 rounds need 1,250 of those.
pub const PULSE_DISCARDED_MAX: usize = 20_000;

/// With a pulse, the generator's own ceiling is read again after every so many rounds that count: the rule does not go by it then.
pub const PULSE_ROUNDS_BY_CEILING: usize = 8;

/// By what the rate grows until a round fails.
pub const FIND_GROWTH: f64 = 1.5;

/// The gap between a rate that held and one that did not, as a share, at which halving ends.
pub const FIND_GAP: f64 = 0.05;

/// How far up after a success and down after a failure, as a share.
pub const FIND_STEP: f64 = 0.025;

/// Rounds that may be discarded, in all searches that take turns; after that the machine is no place to measure on.
pub const FIND_DISCARDED_MAX: usize = 60;

/// Readings of the yardstick outside its band, with no round between, that are waited for in all searches that take turns: some two minutes, since each of its
/// parts takes a tenth of a second with what is around it.
pub const FIND_WAITS_MAX: usize = 160;

/// Rounds of the last step at most.
pub const FIND_ROUNDS_MAX: usize = 1000;

/// Searches that take turns at most.
pub const FIND_SEARCHES_MAX: usize = 16;
