//! Every bound of the data plane, by name, with what happens at it.
//!
//! Promises: bounds that depend on each other are derived or asserted at compile time.
//! Leaves to their users: counting what was refused at a bound.

/// Largest datagram read whole, octets. A longer one is cut by the kernel and still decided when its blank line was
/// seen within this length, else refused with 513.
pub const DATAGRAM_BYTES_MAX: usize = 4096;

/// Octets from the start line to the blank line, both included. More: 513 (RFC 3261 §21.5.7).
pub const HEAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX;

/// Header fields in one request. More: 513.
pub const HEADERS_MAX: usize = 128;

/// Via values in one request, over all its Via fields. More: 513.
pub const VIAS_MAX: usize = 110;

/// Largest answer, octets. The longest head that is read, every Via of it copied, fits with what an answer adds.
pub const RESPONSE_BYTES_MAX: usize = HEAD_BYTES_MAX + RESPONSE_ADDED_BYTES_MAX;

/// What an answer may add to the request's own octets (P4 of the checklist: at most 250).
pub const RESPONSE_ADDED_BYTES_MAX: usize = 250;

/// Characters in the user part of our Contact, prefix included: the longest extension that Asterisk dials.
/// A longer one is error 484.
pub const CONTACT_USER_BYTES_MAX: usize = 79;

/// Octets of one screening value (agent, user, domain) that are compared; a longer agent is cut to this for matching.
pub const SCREENING_VALUE_BYTES_MAX: usize = 256;

/// Datagrams in one batch of `recvmmsg`. 8, 32 and 128 cost 2,049, 1,971 and 1,923 ns a packet: 32 is where it flattens.
pub const BATCH_DATAGRAMS: usize = 32;

/// Octets of an answer that may leave in a run of answers. Above it a link's path may cut it: it leaves alone. Loopback
/// bears more, so only a real link would show the difference.
pub const RUN_DATAGRAM_BYTES_MAX: usize = 1400;

/// Answers of one destination are stretched to a multiple of this, octets, so that their sizes agree: in a run only the
/// last one may be shorter. With 64 a rejection, which has no Contact, is a step shorter than an approval, and most batches
/// leave as two runs; a run more costs as much as a datagram sent alone, some microseconds.
pub const RUN_STEP_BYTES: usize = 128;

/// How long a destination gets no runs after one was refused, nanoseconds.
pub const RUN_BARRED_NS: u64 = 60_000_000_000;

/// Destinations that get no runs, per shard. Beyond it the one whose time is over soonest gets runs again, and they fall
/// back to single datagrams again.
pub const RUN_BARRED_DESTINATIONS: usize = 64;

const _: () = assert!(
    BATCH_DATAGRAMS * RUN_DATAGRAM_BYTES_MAX <= 65_507 && BATCH_DATAGRAMS <= 64,
    "a run is one message of UDP, cut into at most 64"
);

/// Domains in one bundle: verdicts are counted per domain in arrays of this size.
pub const DOMAINS_MAX: usize = 4096;

/// Digits of an international number (ITU-T E.164 §6.1).
pub const E164_DIGITS_MAX: usize = 15;

/// Largest `tollgate.toml`, `domains.toml` or `policies.toml`, octets. A longer one is a fault.
pub const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Faults shown per configuration or bundle file; the rest is counted.
pub const FAULTS_PER_FILE_MAX: usize = 1000;

/// Characters of a `contact_host = "fixed:HOST"`. Longer ones are refused when the bundle is read.
pub const FIXED_HOST_BYTES_MAX: usize = 100;

/// Receive buffer asked for on every UDP socket, octets; about 1,800 INVITEs. What was granted is reported.
pub const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Shards in one node.
pub const SHARDS_MAX: usize = 64;

/// Events in one block on its way from a shard to the journal. No block free: the event is dropped and counted.
pub const EVENTS_PER_BLOCK: usize = 64;

/// Errors in a row that one socket may report in place of datagrams before the shard turns to the next; the socket is
/// read again when something arrives.
pub const RECEIVE_ERRORS_IN_A_ROW_MAX: u32 = 16;

/// Panics of a shard in a row, none of which used up a datagram, after which it stays down and `/readyz` says so.
pub const PANICS_IN_A_ROW_MAX: u32 = 8;

/// How long a shard that was told to stop goes on serving what its sockets hold, nanoseconds.
pub const STOP_SERVE_NS_MAX: u64 = 300_000_000;

/// How long the transaction memory knows an INVITE, seconds: Timer B, 64 × T1 (RFC 3261 §17.1.1.2), after which no client
/// sends it again.
pub const TRANSACTION_SECONDS: u8 = 32;

/// Room of the transaction memory as a multiple of the transactions that are young at one moment.
pub const TRANSACTIONS_HEADROOM: u64 = 4;

/// Calls per second that the transaction memory has room for when the configuration does not say; 1,048,576 entries of
/// 8 octets. With more calls it is too short, which `tollgate_transactions_depth_seconds` says.
pub const EXPECTED_CALLS_PER_SECOND_DEFAULT: u64 = 8192;

/// Most calls per second that can be expected: their transaction memory is a gibibyte.
pub const EXPECTED_CALLS_PER_SECOND_MAX: u64 = 1_000_000;

const _: () = assert!(
    HEAD_BYTES_MAX <= u16::MAX as usize,
    "offsets into a head are u16"
);
const _: () = assert!(
    FIXED_HOST_BYTES_MAX < RESPONSE_ADDED_BYTES_MAX,
    "a fixed Contact host fits in what an answer may add"
);
const _: () = assert!(
    VIAS_MAX <= HEADERS_MAX,
    "each Via may have a field of its own"
);

/// Octets of a dialled user part, decoded, without parameters and password. A longer one is error 484.
pub const DIALLED_BYTES_MAX: usize = 128;

/// Digits of a user in a subscriber's range (`1001-1099`); a longer range is refused at check.
pub const USER_RANGE_DIGITS_MAX: usize = 19;

/// Octets of a subscriber's tech prefix; a longer one is refused at check. Their lengths are bits of one word.
pub const TECH_PREFIX_BYTES_MAX: usize = 63;

/// Blocks of events in all queues between shards and the journal, about 55 KiB each. At 20,000 calls a second they
/// bridge 1.6 s in which the disk stands still; then events are dropped and counted.
pub const EVENT_BLOCKS: usize = 512;

/// Blocks of events that a shard has at least, however many shards there are.
pub const EVENT_BLOCKS_PER_SHARD_MIN: usize = 64;

/// `re:` patterns of user agents in one bundle. More are refused at check: each is searched for on its own, and a call
/// whose agent is not among the last ones met meets all of them.
pub const AGENT_EXPRESSIONS_MAX: usize = 64;

/// Nice value of the threads of the control plane that must get on even when all cores are busy: the admin port, and whoever keeps
/// holds and counters. The others run when nobody else wants a core (`SCHED_IDLE`).
pub const CONTROL_NICE: i32 = 10;

/// Connections of the admin port that are open at a time. One more cuts the oldest.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

/// List rows, limits, and domains of a code, that `/v1/rules` names: those with the most hits. Sums are over all of them.
pub const RULES_SHOWN_MAX: usize = 1000;

/// Octets of journal lines that wait for a disk that takes none. Later lines are lost and counted.
pub const JOURNAL_PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Octets of journal lines that are gathered before they are written, if there are so many at once.
pub const JOURNAL_WRITE_BYTES: usize = 256 * 1024;
const _: () = assert!(JOURNAL_WRITE_BYTES < JOURNAL_PENDING_BYTES_MAX);

/// Limits of one policy. More are refused at check; which of them warned are bits of one word.
pub const LIMITS_PER_POLICY_MAX: usize = 32;

/// The highest `max` and `warn` of a limit, and the most that one call adds: a counter has forty bits. Of exposure these
/// are millionths, so a million of the currency.
pub const COUNTED_MAX: u64 = 1_000_000_000_000;
const _: () = assert!(COUNTED_MAX < 1 << 40);

/// Longest window of a limit in seconds; `day` and `period` may be longer.
pub const WINDOW_SECONDS_MAX: u64 = 86_400;

/// Longest hold, seconds: a week.
pub const HOLD_SECONDS_MAX: u64 = 7 * 86_400;

/// Longest call that exposure may assume, minutes.
pub const ASSUMED_MINUTES_MAX: u32 = 1440;

/// Most that a minute may cost in `rates.csv`, millionths: a call of the longest time is still counted whole.
pub const RATE_MICROS_MAX: u64 = COUNTED_MAX / ASSUMED_MINUTES_MAX as u64;

/// Keys with a count of their own, when the configuration does not say (`node.counters_capacity`). Each takes 96 octets, 160
/// with a window above an hour, once it is used. The index of twice as many keys is resident after some ten thousand calls (32 MiB),
/// which took a small node past 64 MiB.
pub const COUNTERS_CAPACITY_DEFAULT: u32 = 524_288;

/// Fewest keys that can be configured.
pub const COUNTERS_CAPACITY_MIN: u32 = 64;

/// Most keys that can be configured: about 10 GB when all are used.
pub const COUNTERS_CAPACITY_MAX: u32 = 1 << 26;

/// Each subscriber may have so much of the counters: one part of so many. Beyond it the policy's `unknown.counters` decides.
pub const COUNTERS_PER_OWNER_DIVISOR: u64 = 16;

/// One part of so many is left to the keys under which what finds no room counts together.
pub const COUNTERS_RESERVE_DIVISOR: u64 = 16;

/// How often expired counters are looked for, seconds. One is given to another key after two such rounds at the earliest.
pub const COUNTERS_SWEEP_SECONDS: u64 = 16;

/// Holds in force at one time. Beyond it none is placed, which is counted; the limit itself goes on.
pub const HOLDS_MAX: u32 = 65_536;

/// Each subscriber may have so much of the holds: one part of so many.
pub const HOLDS_PER_OWNER_DIVISOR: u64 = 16;

/// Transactions within 32 seconds that are one attempt; the next one is an attempt of its own.
pub const ATTEMPT_TRANSACTIONS: u64 = 4;

/// How often a transaction that would be stopped looks whether the shard that counts its attempt has spoken: some microseconds,
/// several times what counting takes. Then its own stop stands, for all transactions of the attempt.
pub const ATTEMPT_LOOKS: usize = 64;
