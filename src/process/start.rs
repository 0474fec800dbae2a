//! `tollgate serve`: opens what the configuration names, says what runs, operates it to its end, says what was done.

use super::claim::claim;
use super::cores;
use super::key::{self, KEY_BYTES, Origin};
use super::node::{Node, NodeSetup, Operation};
use super::operate::Desk;
use super::say;
use crate::cli::{self, Exit, ServeOverrides};
use crate::control::{Faults, JournalConfig, Loaded, NodeConfig, Rotate, Source, Start};
use crate::counters::{self, Counters};
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::report::{JournalSettings, Rotation};
use crate::shard::allowed_cores;
use crate::uas::{self, TransactionMemory, Uas};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// The file in the state folder that says where the admin port listens: for `tollgate status` when the port is 0.
pub const ADMIN_ADDRESS_FILE: &str = "admin-address";

/// Serves until SIGINT, or until a drain that SIGTERM or the admin port began has come to its end. Lines that programs
/// may read stand alone on standard error: `listening udp
/// ADDR:PORT` for each listener, `admin http://ADDR:PORT`, and `ready` last; at the end, one line of JSON on standard
/// output.
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "whoever starts a server is done with its arguments"
)]
pub fn serve(start: Start, overrides: ServeOverrides) -> ExitCode {
    let Start { loaded, refused } = start;
    let desk = match Desk::open() {
        Ok(desk) => desk,
        Err(error) => return refuse(&format!("signals cannot be caught: {error}")),
    };
    let cores = match cores::plan(loaded.node.shards, &loaded.node.cores, &allowed_cores()) {
        Ok(cores) => cores,
        Err(sentence) => return refuse(&sentence),
    };
    let _claimed = match claim(&loaded.node.state_dir) {
        Ok(claimed) => claimed,
        Err(sentence) => return refuse(&sentence),
    };
    let (key, key_text) = match node_key(&loaded.node) {
        Ok(found) => found,
        Err(sentence) => return refuse(&sentence),
    };
    let mut seed = [0; 16];
    if let Err(error) = getrandom::fill(&mut seed) {
        return refuse(&format!(
            "no random octets for the transaction memory: {error}"
        ));
    }
    let entries = uas::entries_for(loaded.node.expected_calls_per_second);
    let memory = match TransactionMemory::new(entries, seed) {
        Ok(memory) => Arc::new(memory),
        Err(error) => {
            return refuse(&format!(
                "no room for node.expected_calls_per_second = {}: {error}",
                loaded.node.expected_calls_per_second
            ));
        }
    };
    let size = counters::Size {
        keys: loaded.node.counters_capacity,
        attempts: entries,
    };
    let counters = match Counters::new(size, uas::counters_seed(key)) {
        Ok(counters) => Arc::new(counters),
        Err(error) => {
            return refuse(&format!(
                "no room for node.counters_capacity = {}: {error}",
                size.keys
            ));
        }
    };
    let head = head(&loaded, &overrides, &cores);
    let warning = refused.as_ref().map(|faults| stale(&loaded, faults));
    let bundles = loaded.bundles();
    let NodeConfig {
        drain_time,
        state_dir,
        name,
        token,
        ..
    } = loaded.node.clone();
    let setup = NodeSetup {
        listeners: loaded.node.listeners.clone(),
        receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
        admin: loaded.node.admin_http,
        cores,
        rows: loaded.rows,
        memory: Some(Arc::clone(&memory)),
        events: Vec::new(),
        journal: loaded
            .node
            .journal
            .map(|config| journal_settings(loaded.node.name, config)),
        operation: Operation {
            name,
            bundles: Some(bundles),
            refused,
            token,
            orders: Some(desk.orders()),
            counters: Some(Arc::clone(&counters)),
            counters_folder: Some(state_dir.clone()),
        },
    };
    let node = match Node::start(
        setup,
        &Uas::new(key).with_memory(memory).with_counters(counters),
    ) {
        Ok(node) => node,
        Err(fault) => return refuse(&fault.to_string()),
    };
    let address = format!("{}\n", node.admin());
    let noted = fs::create_dir_all(&state_dir)
        .and_then(|()| fs::write(state_dir.join(ADMIN_ADDRESS_FILE), address));
    let unnoted = noted.err().map(|error| {
        let shown = state_dir.display();
        format!("warning: {shown}/{ADMIN_ADDRESS_FILE} cannot be written: {error}\n")
    });
    let warnings = warning.unwrap_or_default() + &unnoted.unwrap_or_default();
    say(&(warnings + &head + &key_text + node.restored() + &body(&node, &loaded.source)));
    desk.operate(&node, drain_time);
    let sums = node.stop().json();
    match writeln!(io::stdout(), "{sums}") {
        Ok(()) => Exit::Ok.into(),
        Err(_gone) => Exit::Unavailable.into(),
    }
}

fn journal_settings(node: String, config: JournalConfig) -> JournalSettings {
    JournalSettings {
        node,
        path: config.path,
        rejected_per_second: config.rejected_per_second,
        approved_per_second: config.approved_per_second,
        rotation: match config.rotate {
            Rotate::Seconds(seconds) => Rotation::Seconds(seconds),
            Rotate::Bytes(bytes) => Rotation::Bytes(bytes),
        },
        keep_s: config.keep_s,
        mask_digits: config.mask_digits,
    }
}

/// The key of To tags, and a line that says where it came from.
fn node_key(config: &NodeConfig) -> Result<([u8; KEY_BYTES], String), String> {
    if let Some(secret) = &config.key {
        // The configured key is a hash of the key file; any half of it is as good.
        let half = secret.bytes().first_chunk().copied().unwrap_or_default();
        return Ok((half, "key from key_file\n".to_owned()));
    }
    let (key, origin) = key::of_state_dir(&config.state_dir)?;
    let shown = config.state_dir.display();
    Ok((
        key,
        match origin {
            Origin::Kept => format!("state in {shown}, with the key of an earlier start\n"),
            Origin::Drawn => format!("state in {shown}, with a new key\n"),
        },
    ))
}

fn head(loaded: &Loaded, overrides: &ServeOverrides, cores: &[Option<usize>]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let count = cores.len();
    let noun = if count == 1 { "shard" } else { "shards" };
    let pinned: Vec<usize> = cores.iter().copied().flatten().collect();
    let place = if pinned.is_empty() {
        "on no core of their own (more shards than cores)".to_owned()
    } else {
        format!("on core {}", cores::text(&pinned))
    };
    let by = if *overrides == ServeOverrides::default() {
        ""
    } else {
        " (by the command line)"
    };
    let mut text = cli::warnings(loaded);
    let source = match &loaded.source {
        Source::Sample => "inside the program (the sample; --config FILE takes another)".to_owned(),
        Source::File(path) => path.display().to_string(),
    };
    let rows = &loaded.rows;
    // Writing to a String does not fail.
    let _always_ok = writeln!(text, "tollgate {version}: {count} {noun} {place}{by}");
    let _always_ok = writeln!(
        text,
        "configuration {source}: domains {}, list rows {}, destinations {}, generation {}",
        rows.domains.len(),
        rows.lists.len(),
        rows.destinations.len(),
        rows.generation
    );
    let journal = match &loaded.node.journal {
        Some(config) => config.path.display().to_string(),
        None => "none; decisions are counted only".to_owned(),
    };
    let _always_ok = writeln!(text, "journal {journal}");
    text
}

/// Said before everything else when the bundle in the folder is not the one in force.
fn stale(loaded: &Loaded, faults: &Faults) -> String {
    format!(
        "{faults}\nBUNDLE REFUSED, faults {}: serving the last good bundle of {} instead, generation {}; mend the bundle, then `tollgate reload`\n",
        faults.count(),
        loaded.node.state_dir.display(),
        loaded.rows.generation
    )
}

fn body(node: &Node, source: &Source) -> String {
    let mut text = String::new();
    let granted = node.receive_buffer_bytes() / 1024;
    let wanted = 2 * RECEIVE_BUFFER_BYTES / 1024;
    let hint = if granted < u64::try_from(wanted).unwrap_or(u64::MAX) {
        ": bursts will be dropped; raise net.core.rmem_max"
    } else {
        ""
    };
    let _always_ok = writeln!(
        text,
        "receive buffer {granted} KiB a socket, {wanted} KiB wanted{hint}"
    );
    for address in node.listeners() {
        let _always_ok = writeln!(text, "listening udp {address}");
    }
    let admin = node.admin();
    let _always_ok = writeln!(text, "admin http://{admin}");
    let _always_ok = writeln!(text, "next: curl http://{admin}/metrics");
    // Only the sample gives the generator's mix the verdicts that it expects.
    if let (Source::Sample, Some(target)) = (source, node.listeners().first()) {
        let _always_ok = writeln!(
            text,
            "      cargo run --release -p tollgate-loadgen -- run --target {target} --rate 20000 --duration 10s\n      \
             tollgate config --write FOLDER   (the sample as files, for a configuration of your own)"
        );
    }
    text.push_str("ready\n");
    text
}

fn refuse(sentence: &str) -> ExitCode {
    say(&format!("tollgate serve: {sentence}\n"));
    Exit::Unavailable.into()
}
