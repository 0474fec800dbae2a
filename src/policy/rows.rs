//! The typed rows that a snapshot is built from. `control` makes them; they are checked when they are made.
//!
//! Promises: nothing here knows files or text formats; names are unique and references resolve (control checked).

use super::code::Code;
use crate::e164::E164;
use crate::sip::Status;
use std::net::IpAddr;
use std::sync::Arc;

/// A block of addresses, both ends included. IPv4-mapped IPv6 addresses have been turned into IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressBlock {
    /// First address.
    pub first: IpAddr,
    /// Last address, same family.
    pub last: IpAddr,
    /// Length of the common prefix in bits: what counts as match length.
    pub prefix_bits: u8,
}

/// How a domain wears its answers (SEMANTICS: three answers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// 302 with `A00`, 603, RFC 3261's own errors.
    Redirect,
    /// 302 with the code, RFC 3261's own errors.
    RedirectCodes,
    /// 503, 486, errors 403.
    Failover,
    /// 404, 603, errors 603.
    NextRoute,
    /// 487 to everything.
    Monitor,
}

impl Profile {
    /// Its word in `domains.toml`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::RedirectCodes => "redirect-codes",
            Self::Failover => "failover",
            Self::NextRoute => "next-route",
            Self::Monitor => "monitor",
        }
    }
}

/// Whether verdicts block or are only recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Rejections reach the wire.
    Prevention,
    /// The answer to every verdict is approve; errors stay errors.
    Detection,
}

/// Where the calling number is read from; the first present wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallingHeader {
    /// From.
    From,
    /// P-Asserted-Identity.
    AssertedIdentity,
    /// P-Preferred-Identity.
    PreferredIdentity,
    /// Remote-Party-ID.
    RemotePartyId,
}

/// Whose host stands in the Contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactHostRow {
    /// The From URI's.
    From,
    /// The Request-URI's.
    RequestUri,
    /// The peer's address.
    Source,
    /// This one.
    Fixed(String),
}

/// One number translation; the first whose pattern and digit counts fit is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslateRow {
    /// What the dialled string begins with; empty fits all.
    pub matches: Vec<u8>,
    /// Characters taken off the front.
    pub strip: usize,
    /// Digits put before the rest.
    pub prepend: Vec<u8>,
    /// Fewest characters of the dialled string (before `strip`) for this to fit.
    pub min_digits: usize,
    /// Most characters of the dialled string for this to fit.
    pub max_digits: usize,
}

/// A status that an operator put in place of the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusOverrides {
    /// For approvals.
    pub approve: Option<Status>,
    /// For rejections whose code has none of its own.
    pub reject: Option<Status>,
    /// For errors.
    pub error: Option<Status>,
    /// For rejections with this code, by `Code::index`.
    pub by_code: [Option<Status>; Code::ALL.len()],
}

/// One domain.
#[derive(Debug, Clone)]
pub struct DomainRow {
    /// Its name.
    pub name: String,
    /// Peers.
    pub peers: Vec<AddressBlock>,
    /// Listed proxies.
    pub proxies: Vec<AddressBlock>,
    /// Header or From hosts that mean this domain, besides its name; compared without case.
    pub names: Vec<String>,
    /// Prevention or detection.
    pub mode: Mode,
    /// Whether screening headers are used.
    pub trust_headers: bool,
    /// Index into `Rows::policies`.
    pub default_policy: usize,
    /// Name under which unmatched callers count together.
    pub default_subscriber: String,
    /// How answers are worn.
    pub profile: Profile,
    /// Where the calling number is read from.
    pub calling_from: Vec<CallingHeader>,
    /// Whether 8–15 digits without prefix are E.164.
    pub bare_e164: bool,
    /// Numbers that nothing can reject, digits (`+`, `*`, `#` allowed), compared whole.
    pub emergency: Vec<Vec<u8>>,
    /// Contact host.
    pub contact_host: ContactHostRow,
    /// Answer to the source port always.
    pub force_rport: bool,
    /// Whether the operator says that forged packets do not reach us.
    pub spoofing_filtered: bool,
    /// Wire code of each code, by `Code::index`.
    pub wire_codes: [[u8; 3]; Code::ALL.len()],
    /// Status overrides.
    pub statuses: StatusOverrides,
    /// Translations in file order.
    pub translations: Vec<TranslateRow>,
}

/// What a policy does with something it cannot classify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let it pass in silence.
    Approve,
    /// Record it and go on.
    Report,
    /// Reject it.
    Reject,
}

/// One term of `destination = { allow, deny }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationTerm {
    /// A country (ISO 3166-1 alpha-2) or pseudo-country (`satellite`, `global`), as the destination table names it.
    Country(String),
    /// A continent: `AF AN AS EU NA OC SA`.
    Continent(String),
    /// A number type, as the destination table names it.
    Type(String),
    /// A risk class.
    Risk(Risk),
}

/// From when on a time zone's wall clock has this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRow {
    /// First moment, seconds since 1970 UTC. The first row's counts as the beginning of time.
    pub from_unix_s: i64,
    /// Wall clock minus UTC, seconds; less than a day.
    pub offset_s: i32,
}

/// Working hours that begin on some days of the week in some months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkingHours {
    /// Bit 0 is January.
    pub months: u16,
    /// Bit 0 is Monday.
    pub days: u8,
    /// First minute of the day, 0–1439.
    pub from_minute: u16,
    /// First minute that is no longer one, 1–1440. Not after `from_minute`: on the day after.
    pub until_minute: u16,
}

/// A day without working hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holiday {
    /// Year, month (1–12), day.
    Date(i16, u8, u8),
    /// Month (1–12) and day, every year.
    EveryYear(u8, u8),
}

/// A policy's calendar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleRow {
    /// The time zone's name.
    pub zone: String,
    /// Its offsets, rising; none: UTC.
    pub offsets: Vec<OffsetRow>,
    /// Working hours; none: all hours are off hours.
    pub hours: Vec<WorkingHours>,
    /// Holidays.
    pub holidays: Vec<Holiday>,
}

/// Whom a limit counts by: each of these apart. All belong to one domain in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Who {
    /// Each subscriber; those that no row knows are one.
    pub subscriber: bool,
    /// Each caller.
    pub caller: bool,
    /// Each caller's address; the peer's where none is known.
    pub address: bool,
}

/// What a limit counts by of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whereto {
    /// Each number.
    Number,
    /// Each prefix of the destination table.
    Prefix,
    /// Each country or pseudo-country.
    Country,
    /// All together.
    Any,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// Every attempt that reaches the limits.
    Attempts,
    /// Approved calls.
    Approved,
    /// What approved calls would cost, in millionths of the currency of `rates.csv`.
    Exposure,
    /// Simultaneous calls as the PBX reports them. Nothing is kept.
    ReportedCalls,
}

/// Over which time a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last so many seconds, 1 to 86,400.
    Seconds(u32),
    /// The local day.
    Day,
    /// One stretch of working or off hours.
    Period,
}

/// When a limit counts and fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum During {
    /// At all times.
    Always,
    /// In working hours.
    WorkingHours,
    /// Out of them.
    OffHours,
}

/// What a limit does when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitAction {
    /// Record it and go on.
    Report,
    /// Send the call to the policy's divert target.
    Divert,
    /// Reject it.
    Reject,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// Its name, unique in the policy: with domain, whom and whereto the identity of its holds, with count and window, too,
    /// that of its counts.
    pub name: String,
    /// Whom it counts apart.
    pub who: Who,
    /// What of the destination it counts apart.
    pub to: Whereto,
    /// What it counts.
    pub count: Count,
    /// Over which time. `ReportedCalls` has none, all others have one.
    pub window: Option<Window>,
    /// From which count on a key is worth an event, once a window.
    pub warn: Option<u64>,
    /// The highest count that passes.
    pub max: u64,
    /// How long a key is held once it fires, seconds.
    pub hold_s: Option<u32>,
    /// When.
    pub during: During,
    /// What it does.
    pub action: LimitAction,
    /// The code that it does it with.
    pub code: Code,
}

/// Where a policy sends diverted calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DivertRow {
    /// What stands before the number as received.
    pub prefix: [u8; 3],
    /// The Contact's host, with its port if it has one; `None`: the domain's contact host.
    pub host: Option<String>,
}

/// What a minute to the numbers of a prefix costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRow {
    /// Digits that a number begins with; `None`: all numbers that no other row names, and what is no international number.
    pub prefix: Option<E164>,
    /// Millionths of the operator's currency a minute.
    pub micros_per_minute: u64,
}

/// One policy.
#[derive(Debug, Clone)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// Empty: all destinations that are not denied.
    pub destination_allow: Vec<DestinationTerm>,
    /// Denied destinations; deny wins over allow.
    pub destination_deny: Vec<DestinationTerm>,
    /// Unknown prefix or unclassified number (R07).
    pub unknown_prefix: Action,
    /// Screening headers that contradict themselves (R14).
    pub unknown_identity: Action,
    /// A limit that has no room to count by (R15).
    pub unknown_counters: Action,
    /// When it is working time.
    pub schedule: ScheduleRow,
    /// Where diverted calls go; there when a limit diverts.
    pub divert: Option<DivertRow>,
    /// How long a call is assumed to last, minutes, for what it would cost.
    pub assumed_minutes: u32,
    /// Limits in file order.
    pub limits: Vec<LimitRow>,
}

impl PolicyRow {
    /// A policy that says nothing but its name: the defaults.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            destination_allow: Vec::new(),
            destination_deny: Vec::new(),
            unknown_prefix: Action::Reject,
            unknown_identity: Action::Report,
            unknown_counters: Action::Reject,
            schedule: ScheduleRow::default(),
            divert: None,
            assumed_minutes: 3,
            limits: Vec::new(),
        }
    }
}

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberRow {
    /// Index into `Rows::domains`.
    pub domain: usize,
    /// Its name, unique in the domain.
    pub name: String,
    /// Index into `Rows::policies`; `None`: the domain's default.
    pub policy: Option<usize>,
    /// Users, exact.
    pub users: Vec<String>,
    /// Ranges of users as numbers of the same length, both ends included.
    pub user_ranges: Vec<(String, String)>,
    /// Peers.
    pub peers: Vec<AddressBlock>,
    /// Prefix of the raw user part, taken off before translation.
    pub tech_prefix: Option<String>,
}

/// Whom a list speaks for; the narrower wins at equal match length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody.
    System,
    /// One domain, index into `Rows::domains`.
    Domain(usize),
    /// One policy, index into `Rows::policies`.
    Policy(usize),
}

/// What a list row matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This number and no other.
    Number(E164),
    /// Every number that begins so.
    NumberPrefix(E164),
    /// Every number that begins with one of these, ends included, same length.
    NumberRange(E164, E164),
    /// Addresses.
    Address(AddressBlock),
    /// A part of the agent, any case.
    AgentPart(String),
    /// The whole agent, any case.
    AgentWhole(String),
    /// A regular expression over the agent, any case; it compiles (control checked).
    AgentExpression(String),
}

/// One row of a list.
#[derive(Debug, Clone)]
pub struct ListRow {
    /// Whom it speaks for.
    pub scope: Scope,
    /// What it matches.
    pub pattern: Pattern,
    /// `Some(code)`: deny with that code. `None`: allow.
    pub deny: Option<Code>,
    /// First second (since 1970 UTC) at which it no longer counts.
    pub expires_unix_s: Option<u64>,
    /// Index of the file in `Rows::list_files`.
    pub file: u32,
    /// Line in that file, from 1.
    pub line: u32,
}

/// Risk class of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Ordinary.
    Low,
    /// Watch.
    Medium,
    /// Known for fraud.
    High,
}

impl Risk {
    /// Its word in `policies.toml` and `destinations.csv`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One row of the destination table. Its words are those of the table in the program, whoever wrote the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationRow {
    /// Digits that a number begins with.
    pub prefix: E164,
    /// Country or pseudo-country.
    pub country: &'static str,
    /// Number type.
    pub number_type: &'static str,
    /// Risk class.
    pub risk: Risk,
    /// Continent, empty for pseudo-countries.
    pub continent: &'static str,
}

/// Everything that a snapshot is built from.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Hash of the bundle's bytes, hexadecimal: the generation.
    pub generation: String,
    /// Domains in file order.
    pub domains: Vec<DomainRow>,
    /// Policies in file order.
    pub policies: Vec<PolicyRow>,
    /// Subscribers in file order.
    pub subscribers: Vec<SubscriberRow>,
    /// List rows in file order.
    pub lists: Vec<ListRow>,
    /// Names of the list files, for naming the row that decided.
    pub list_files: Vec<String>,
    /// The destination table with its overrides applied. Without overrides it is the one table of the program.
    pub destinations: Arc<[DestinationRow]>,
    /// What minutes cost.
    pub rates: Vec<RateRow>,
}
