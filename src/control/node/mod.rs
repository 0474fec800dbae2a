//! The node's own configuration: `tollgate.toml`, typed.
//!
//! Promises: what it returns is whole and checked; a key that this version would not obey is a fault when it bears on
//! verdicts and a warning when it does not.
//! Leaves to `process`: opening sockets, and cores that exist but are not ours.

use super::document::{Table, Text, Value, recovered_string};
use super::fault::Findings;
use super::journal::{self, JournalConfig};
use super::source::{Source, unreadable};
use crate::limits::{
    COUNTERS_CAPACITY_DEFAULT, COUNTERS_CAPACITY_MAX, COUNTERS_CAPACITY_MIN,
    EXPECTED_CALLS_PER_SECOND_DEFAULT, EXPECTED_CALLS_PER_SECOND_MAX, SHARDS_MAX,
};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Name of a node that has none.
pub const NAME_DEFAULT: &str = "tollgate";

/// Where the node keeps its state when nothing else is said, beside `tollgate.toml`.
pub const STATE_DIR_DEFAULT: &str = "./tollgate-state";

/// Where the admin port listens when nothing else is said.
pub const ADMIN_HTTP_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8060);

/// Most characters of a node's name.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// Highest number that a core may have.
pub const CORE_MAX: usize = 4095;

/// Fewest octets of a key file.
pub const KEY_FILE_BYTES_MIN: usize = 16;

/// How long a draining node goes on answering calls when nothing else is said.
pub const DRAIN_TIME_DEFAULT: Duration = Duration::from_secs(30);

/// Longest `drain_time`, seconds: a day.
pub const DRAIN_SECONDS_MAX: u64 = 24 * 60 * 60;

/// Fewest characters of the token in a token file.
pub const TOKEN_CHARACTERS_MIN: usize = 16;

/// How many shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shards {
    /// Allowed cores − 1, at least 1.
    Auto,
    /// So many, 1 to `SHARDS_MAX` and at most one per core we may use.
    Fixed(usize),
}

/// Which cores the shards are pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// Chosen among the allowed ones.
    Auto,
    /// These, the first for the first shard; no duplicates.
    List(Vec<usize>),
}

/// The secret that nodes of a cluster share: SHA-256 of the key file. It never shows in a log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// The secret's octets.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(secret)")
    }
}

/// What whoever changes something by the admin port must know. It never shows in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(String);

impl AdminToken {
    /// A token of at least `TOKEN_CHARACTERS_MIN` visible ASCII characters, else what is wrong with it.
    ///
    /// # Errors
    /// The end of a sentence that begins with the token's name.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < TOKEN_CHARACTERS_MIN || !text.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return Err(format!(
                "must hold one line of at least {TOKEN_CHARACTERS_MIN} visible ASCII characters, like what `openssl rand -hex 32` prints"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The token, for whoever sends it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is the token. Hashes are compared, all of them to the end, so that the time taken tells nothing.
    #[must_use]
    pub fn admits(&self, offered: &[u8]) -> bool {
        let pairs = Sha256::digest(offered)
            .into_iter()
            .zip(Sha256::digest(&self.0));
        pairs.fold(0, |differences, (left, right)| differences | (left ^ right)) == 0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(secret)")
    }
}

/// How datagrams are shared among the shards of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// By what they say: the calls of one balancer, from one port, reach all shards. Short ones, of less than 256 octets,
    /// by address and port.
    Payload,
    /// By address and port, as the kernel does by itself: right for many peers, and wrong for one balancer.
    Kernel,
}

/// The words for them.
pub(super) const STEERINGS: [(&str, Steering); 2] =
    [("payload", Steering::Payload), ("kernel", Steering::Kernel)];

/// One `[[listen]]`: a UDP socket group that screens calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; port 0 lets the kernel choose.
    pub udp: SocketAddr,
    /// How the shards share it. Default payload.
    pub steering: Steering,
    /// Whether answers of one destination leave in runs (`UDP_SEGMENT`). Default true.
    pub gso: bool,
}

impl Listener {
    /// A listener with every default.
    #[must_use]
    pub const fn at(udp: SocketAddr) -> Self {
        Self {
            udp,
            steering: Steering::Payload,
            gso: true,
        }
    }
}

/// The node's configuration, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Name of the node in what it writes. Default `tollgate`.
    pub name: String,
    /// Shards. Default auto.
    pub shards: Shards,
    /// Cores. Default auto.
    pub cores: Cores,
    /// Where state is kept. Default `./tollgate-state` beside `tollgate.toml`.
    pub state_dir: PathBuf,
    /// Calls per second to be expected at most, 1 to 1,000,000: the transaction memory has room for them. Default 8,192.
    pub expected_calls_per_second: u64,
    /// Keys that limits can have counts for, 64 to 67,108,864. Default 524,288.
    pub counters_capacity: u32,
    /// The key file, if one is configured.
    pub key_file: Option<PathBuf>,
    /// The key from that file. `None`: whoever needs a key draws one and keeps it in `state_dir`.
    pub key: Option<NodeKey>,
    /// Listeners, at least one, no address twice.
    pub listeners: Vec<Listener>,
    /// How long a draining node goes on answering calls. Default 30 s.
    pub drain_time: Duration,
    /// Where the admin port listens. Default 127.0.0.1:8060.
    pub admin_http: SocketAddr,
    /// The token file, if one is configured.
    pub token_file: Option<PathBuf>,
    /// The token from that file. `None`: the admin port only shows, and changes nothing.
    pub token: Option<AdminToken>,
    /// The bundle as `[bundle] path` names it.
    pub bundle_path: String,
    /// The journal; `None`: decisions are counted and not recorded. Default none.
    pub journal: Option<JournalConfig>,
}

impl NodeConfig {
    /// Puts the command line's `--shards` and `--cores` in place of the file's.
    ///
    /// # Errors
    /// A sentence when the two do not go together, or not with this machine.
    pub fn override_threads(
        &mut self,
        shards: Option<Shards>,
        cores: Option<Cores>,
    ) -> Result<(), String> {
        if let Some(shards) = shards {
            check_shards(shards, cores_allowed()).map_err(|fault| format!("--shards: {fault}"))?;
            self.shards = shards;
        }
        if let Some(cores) = cores {
            self.cores = cores;
        }
        check_together(self.shards, &self.cores)
    }
}

/// What was read of `tollgate.toml`.
#[derive(Debug)]
pub(super) enum Reading {
    /// All of it; what is wrong with its values is among the faults.
    Whole(Box<NodeConfig>),
    /// Nothing certain: it could not be read, or is no TOML. The bundle's path as far as it can be told, so that the
    /// bundle's faults are shown along with it.
    Broken { bundle_path: Option<String> },
}

impl Reading {
    /// Where the bundle is, if that was said.
    pub(super) fn bundle_path(&self) -> Option<&str> {
        let path = match self {
            Self::Whole(config) => Some(config.bundle_path.as_str()),
            Self::Broken { bundle_path } => bundle_path.as_deref(),
        };
        path.filter(|path| !path.is_empty())
    }
}

/// Reads `tollgate.toml`.
pub(super) fn read(source: &Source, findings: &mut Findings) -> Reading {
    let file = source.name();
    let text = match source.text() {
        Ok(text) => text,
        Err(unread) => {
            unread.report(&file, &mut findings.faults);
            return Reading::Broken { bundle_path: None };
        }
    };
    let mut config = None;
    Text::new(&file, &text).parse(findings, |root, findings| {
        config = Some(root_table(source, root, findings));
    });
    match config {
        Some(config) => Reading::Whole(Box::new(config)),
        None => Reading::Broken {
            bundle_path: recovered_string(&text, "bundle", "path"),
        },
    }
}

pub(super) fn root_table(
    source: &Source,
    mut root: Table<'_>,
    findings: &mut Findings,
) -> NodeConfig {
    let mut config = NodeConfig {
        name: NAME_DEFAULT.to_owned(),
        shards: Shards::Auto,
        cores: Cores::Auto,
        state_dir: source.resolve(STATE_DIR_DEFAULT),
        expected_calls_per_second: EXPECTED_CALLS_PER_SECOND_DEFAULT,
        counters_capacity: COUNTERS_CAPACITY_DEFAULT,
        key_file: None,
        key: None,
        listeners: Vec::new(),
        drain_time: DRAIN_TIME_DEFAULT,
        admin_http: ADMIN_HTTP_DEFAULT,
        token_file: None,
        token: None,
        bundle_path: String::new(),
        journal: None,
    };
    if let Some(value) = root.take("node")
        && let Some(table) = value.table(findings)
    {
        node_table(source, table, &mut config, findings);
    }
    if let Some(value) = root.require("listen", findings) {
        for table in value.tables(findings) {
            listen_table(table, &mut config.listeners, findings);
        }
        if value.is_array() && value.array(findings).is_empty() {
            value.fault(
                findings,
                "listen is empty; at least one [[listen]] is needed",
            );
        }
    }
    if let Some(value) = root.require("bundle", findings)
        && let Some(mut table) = value.table(findings)
    {
        if let Some(path) = table.require("path", findings)
            && let Some(text) = non_empty(&path, findings)
        {
            config.bundle_path = text.to_owned();
        }
        table.finish(findings);
    }
    if let Some(value) = root.take("admin")
        && let Some(table) = value.table(findings)
    {
        admin_table(source, table, &mut config, findings);
    }
    if let Some(value) = root.take("journal")
        && let Some(table) = value.table(findings)
    {
        config.journal = journal::read(source, table, findings);
    }
    root.refuse("mail", findings);
    root.finish(findings);
    config
}

fn node_table(
    source: &Source,
    mut table: Table<'_>,
    config: &mut NodeConfig,
    findings: &mut Findings,
) {
    if let Some(value) = table.take("name")
        && let Some(name) = non_empty(&value, findings)
    {
        if name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(|octet| octet.is_ascii_graphic()) {
            config.name = name.to_owned();
        } else {
            let sentence =
                format!("1 to {NAME_CHARACTERS_MAX} visible ASCII characters, no spaces");
            value.fault_named(findings, sentence);
        }
    }
    let mut together = None;
    if let Some(value) = table.take("shards") {
        if let Some(shards) = shards_value(&value, findings) {
            config.shards = shards;
        }
        together = Some(value);
    }
    if let Some(value) = table.take("cores") {
        if let Some(cores) = cores_value(&value, findings) {
            config.cores = cores;
        }
        together = Some(value);
    }
    if let Some(value) = together
        && let Err(sentence) = check_together(config.shards, &config.cores)
    {
        value.fault(findings, sentence);
    }
    if let Some(value) = table.take("state_dir")
        && let Some(path) = non_empty(&value, findings)
    {
        config.state_dir = source.resolve(path);
    }
    if let Some(value) = table.take("key_file")
        && let Some(path) = non_empty(&value, findings)
    {
        let path = source.resolve(path);
        match read_key(&path) {
            Ok(key) => {
                config.key = Some(key);
                if readable_by_others(&path) {
                    value.warn(
                        findings,
                        format!(
                            "node.key_file {} can be read by others; chmod 600",
                            path.display()
                        ),
                    );
                }
            }
            Err(sentence) => value.fault(
                findings,
                format!("node.key_file {} {sentence}", path.display()),
            ),
        }
        config.key_file = Some(path);
    }
    if let Some(value) = table.take("expected_calls_per_second")
        && let Some(calls) = value.integer(1..=EXPECTED_CALLS_PER_SECOND_MAX, findings)
    {
        config.expected_calls_per_second = calls;
    }
    if let Some(value) = table.take("counters_capacity")
        && let Some(keys) = value.integer(
            COUNTERS_CAPACITY_MIN.into()..=COUNTERS_CAPACITY_MAX.into(),
            findings,
        )
    {
        config.counters_capacity = u32::try_from(keys).unwrap_or(COUNTERS_CAPACITY_DEFAULT);
    }
    if let Some(value) = table.take("drain_time")
        && let Some(time) = duration_value(&value, findings)
    {
        config.drain_time = time;
    }
    table.finish(findings);
}

/// The key of a key file: a hash, so that any file of enough octets will do.
fn read_key(path: &Path) -> Result<NodeKey, String> {
    let secret = std::fs::read(path).map_err(|error| unreadable(&error))?;
    if secret.len() < KEY_FILE_BYTES_MIN {
        return Err(format!(
            "has {} octets; at least {KEY_FILE_BYTES_MIN}",
            secret.len()
        ));
    }
    Ok(NodeKey(Sha256::digest(&secret).into()))
}

fn readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn listen_table(mut table: Table<'_>, listeners: &mut Vec<Listener>, findings: &mut Findings) {
    for key in ["tcp", "tls"] {
        table.refuse(key, findings);
    }
    let address = table.require("udp", findings);
    let steering = table
        .take("steering")
        .and_then(|value| value.word(&STEERINGS, findings));
    let gso = table.take("gso").and_then(|value| value.boolean(findings));
    if let Some(value) = address
        && let Some(udp) = socket_address(&value, findings)
    {
        if udp.port() != 0 && listeners.iter().any(|known| known.udp == udp) {
            value.fault(findings, format!("listen.udp {udp} stands twice"));
        } else {
            let default = Listener::at(udp);
            listeners.push(Listener {
                udp,
                steering: steering.unwrap_or(default.steering),
                gso: gso.unwrap_or(default.gso),
            });
        }
    }
    if let Some(value) = table.take("role")
        && value.word(&[("screen", true), ("honeypot", false)], findings) == Some(false)
    {
        value.fault(
            findings,
            "listen.role = \"honeypot\" is not in this version; \"screen\" is",
        );
    }
    table.finish(findings);
}

fn admin_table(
    source: &Source,
    mut table: Table<'_>,
    config: &mut NodeConfig,
    findings: &mut Findings,
) {
    let http = table.take("http");
    if let Some(value) = &http
        && let Some(address) = socket_address(value, findings)
    {
        config.admin_http = address;
    }
    if let Some(value) = table.take("token_file")
        && let Some(path) = non_empty(&value, findings)
    {
        let path = source.resolve(path);
        let shown = path.display();
        match read_token(&path) {
            Ok(token) => {
                config.token = Some(token);
                if readable_by_others(&path) {
                    value.warn(
                        findings,
                        format!("admin.token_file {shown} can be read by others; chmod 600"),
                    );
                }
            }
            Err(sentence) => {
                value.fault(findings, format!("admin.token_file {shown} {sentence}"));
            }
        }
        config.token_file = Some(path);
    }
    if let Some(value) = &http
        && !config.admin_http.ip().is_loopback()
    {
        let guarded = if config.token_file.is_some() {
            "/v1 wants the token, which anybody on the way can read, since this is HTTP without TLS"
        } else {
            "/v1 shows and changes nothing for them, since there is no admin.token_file"
        };
        value.warn(
            findings,
            format!(
                "admin.http {} can be reached from other machines: /healthz, /readyz and /metrics are shown to everybody; {guarded}",
                config.admin_http
            ),
        );
    }
    table.finish(findings);
}

/// The token of a token file: its text without the line end.
fn read_token(path: &Path) -> Result<AdminToken, String> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    AdminToken::new(text.trim_ascii_end())
}

fn shards_value(value: &Value<'_>, findings: &mut Findings) -> Option<Shards> {
    if let Some(word) = value.as_string() {
        if word == "auto" {
            return Some(Shards::Auto);
        }
        value.fault(
            findings,
            format!("node.shards is \"{word}\", but must be \"auto\" or a number without quotes"),
        );
        return None;
    }
    let count = value.integer(1..=SHARDS_MAX as u64, findings)?;
    let shards = Shards::Fixed(usize::try_from(count).ok()?);
    if let Err(sentence) = check_shards(shards, cores_allowed()) {
        value.fault(findings, format!("node.shards = {sentence}"));
        return None;
    }
    Some(shards)
}

fn cores_value(value: &Value<'_>, findings: &mut Findings) -> Option<Cores> {
    if let Some(word) = value.as_string() {
        return match parse_cores(word) {
            Ok(cores) => Some(cores),
            Err(sentence) => {
                value.fault_named(findings, sentence);
                None
            }
        };
    }
    let mut list = Vec::new();
    for element in value.array(findings) {
        let core = usize::try_from(element.integer(0..=CORE_MAX as u64, findings)?).ok()?;
        if list.contains(&core) {
            element.fault(findings, format!("node.cores has core {core} twice"));
            return None;
        }
        list.push(core);
    }
    if list.is_empty() {
        if value.is_array() {
            value.fault(
                findings,
                "node.cores is empty; \"auto\" lets Tollgate choose",
            );
        }
        return None;
    }
    Some(Cores::List(list))
}

/// Shards as `--shards` has them: `auto` or a number.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_shards(text: &str) -> Result<Shards, String> {
    if text == "auto" {
        return Ok(Shards::Auto);
    }
    match text.parse::<usize>() {
        Ok(count) if (1..=SHARDS_MAX).contains(&count) => Ok(Shards::Fixed(count)),
        _ => Err(format!("\"auto\" or 1 to {SHARDS_MAX}")),
    }
}

/// Cores as `--cores` and `node.cores` have them: `auto`, or numbers and ranges with commas, `0,2-3`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_cores(text: &str) -> Result<Cores, String> {
    if text == "auto" {
        return Ok(Cores::Auto);
    }
    let mut list = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>())
        else {
            return Err(format!(
                "\"{part}\" is no core; \"auto\" or a list like \"0,2-3\""
            ));
        };
        if first > last || last > CORE_MAX {
            return Err(format!("\"{part}\" is no range of cores 0 to {CORE_MAX}"));
        }
        for core in first..=last {
            if list.contains(&core) {
                return Err(format!("core {core} stands twice"));
            }
            list.push(core);
        }
    }
    Ok(Cores::List(list))
}

/// Cores that the system lets this process use; 1 when it does not say.
#[must_use]
pub fn cores_allowed() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn check_shards(shards: Shards, cores_allowed: usize) -> Result<(), String> {
    match shards {
        Shards::Fixed(count) if count > cores_allowed => Err(format!(
            "{count}, but this machine lets us use {cores_allowed} cores"
        )),
        Shards::Fixed(_) | Shards::Auto => Ok(()),
    }
}

fn check_together(shards: Shards, cores: &Cores) -> Result<(), String> {
    match (shards, cores) {
        (Shards::Fixed(count), Cores::List(list)) if count != list.len() => Err(format!(
            "{count} shards and a list of {} cores; each shard needs one core of its own",
            list.len()
        )),
        (Shards::Auto, Cores::List(list)) if list.len() > SHARDS_MAX => Err(format!(
            "{} cores, but at most {SHARDS_MAX} shards",
            list.len()
        )),
        _ => Ok(()),
    }
}

fn socket_address(value: &Value<'_>, findings: &mut Findings) -> Option<SocketAddr> {
    let text = value.string(findings)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        value.fault(
            findings,
            format!(
                "{} \"{text}\" is no address and port, like \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"",
                value.name()
            ),
        );
    }
    parsed
}

pub(super) fn non_empty<'d>(value: &Value<'d>, findings: &mut Findings) -> Option<&'d str> {
    let text = value.string(findings)?;
    if text.is_empty() {
        value.fault(findings, format!("{} is empty", value.name()));
        return None;
    }
    Some(text)
}

/// A duration like `30s`, `15m`, `1h`; at most a day.
fn duration_value(value: &Value<'_>, findings: &mut Findings) -> Option<Duration> {
    let text = value.string(findings)?;
    let duration = parse_duration(text);
    if duration.is_none() {
        value.fault(
            findings,
            format!(
                "{} \"{text}\" is no duration of at most a day, like \"30s\" or \"5m\"",
                value.name()
            ),
        );
    }
    duration
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let total = digits.parse::<u64>().ok()?.checked_mul(seconds)?;
    (total <= DRAIN_SECONDS_MAX).then_some(Duration::from_secs(total))
}

#[cfg(test)]
mod tests;
