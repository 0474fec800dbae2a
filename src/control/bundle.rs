//! The bundle: a folder of documents and tables, read into rows.
//!
//! Promises: the generation is a hash of exactly the octets that the rows were made of.

use super::destinations::{self, World};
use super::domains::{self, Names, PolicyNeeds};
use super::fault::Findings;
use super::source::{self, Folder};
use super::table::FileDigest;
use super::{lists, policies, rates, subscribers};
use crate::policy::data;
use crate::policy::rows::Rows;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const DOMAINS: &str = "domains.toml";
const POLICIES: &str = "policies.toml";
const SUBSCRIBERS: &str = "subscribers.csv";
const DESTINATIONS: &str = "destinations.csv";
const RATES: &str = "rates.csv";

/// Reads the whole bundle. Rows are complete only when nothing was added to the faults.
pub(super) fn read(folder: &Folder, findings: &mut Findings) -> Rows {
    let mut reading = Reading {
        folder,
        digests: Vec::new(),
        rows: Rows::default(),
        names: Names::default(),
    };
    match data::embedded_destinations() {
        Ok(rows) => reading.rows.destinations = rows,
        Err(sentence) => findings
            .faults
            .whole_file("the program's own destination table", sentence),
    }
    let files = match folder.names() {
        Ok(files) => files,
        Err(sentence) => {
            findings.faults.whole_file(&folder.display(""), sentence);
            return reading.rows;
        }
    };
    let has = |name: &str| files.iter().any(|file| file == name);

    let world = World::embedded();
    if has(DESTINATIONS) {
        reading.destinations(world, findings);
    }
    reading.policies(has(POLICIES), world, has(RATES), findings);
    reading.domains(has(DOMAINS), findings);
    if has(SUBSCRIBERS) {
        reading.subscribers(findings);
    }
    for file in files.iter().filter(|file| *file != "lists/") {
        let list = file.starts_with("lists/");
        if list && is_csv(file) {
            reading.list(file, findings);
        } else if file == RATES {
            reading.rates(findings);
        } else if list || ![DOMAINS, POLICIES, SUBSCRIBERS, DESTINATIONS].contains(&file.as_str()) {
            stray_file(folder, file, findings);
        }
    }
    if has("lists/") && reading.rows.list_files.is_empty() {
        findings.warnings.push(format!(
            "{}: has no list (NAME.csv), so no number, address or agent is allowed or denied",
            folder.display("lists/")
        ));
    }
    unused_policies(&reading, findings);
    reading.finish()
}

/// A file that nobody reads: a fault when its name says that somebody should, else a warning.
fn stray_file(folder: &Folder, file: &str, findings: &mut Findings) {
    let lower = file.to_ascii_lowercase();
    if lower.ends_with('/') {
        findings.faults.whole_file(
            &folder.display(file),
            "is no folder of a bundle, and nothing in it would be read; lists/ is the only one",
        );
        return;
    }
    if is_csv(&lower) || lower.ends_with(".toml") {
        findings.faults.whole_file(
            &folder.display(file),
            "is no file of a bundle: domains.toml, policies.toml, subscribers.csv, destinations.csv, rates.csv, lists/NAME.csv",
        );
        return;
    }
    findings
        .warnings
        .push(format!("{}: is not read", folder.display(file)));
}

#[expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "another spelling is a fault, so that no file is half meant"
)]
fn is_csv(file: &str) -> bool {
    file.ends_with(".csv")
}

/// A bundle in the middle of being read.
#[derive(Debug)]
struct Reading<'f> {
    folder: &'f Folder,
    digests: Vec<(String, FileDigest)>,
    rows: Rows,
    names: Names,
}

impl Reading<'_> {
    fn destinations(&mut self, world: &World, findings: &mut Findings) {
        let file = self.folder.display(DESTINATIONS);
        let Some(source) = self.open(DESTINATIONS, findings) else {
            return;
        };
        let digest =
            destinations::read(&file, source, world, &mut self.rows.destinations, findings);
        self.digested(DESTINATIONS, digest);
    }

    fn rates(&mut self, findings: &mut Findings) {
        let file = self.folder.display(RATES);
        let Some(source) = self.open(RATES, findings) else {
            return;
        };
        let Rows {
            destinations,
            rates,
            ..
        } = &mut self.rows;
        let digest = rates::read(&file, source, destinations, rates, findings);
        self.digested(RATES, digest);
    }

    fn policies(&mut self, present: bool, world: &World, has_rates: bool, findings: &mut Findings) {
        let Some(text) = self.document(POLICIES, present, findings) else {
            return;
        };
        let file = self.folder.display(POLICIES);
        if let Some(rows) = policies::read(&file, &text, world, has_rates, findings) {
            self.names.set_policies(
                rows.iter()
                    .map(|row| (row.name.clone(), PolicyNeeds::of(row))),
            );
            self.rows.policies = rows;
        }
    }

    fn domains(&mut self, present: bool, findings: &mut Findings) {
        let Some(text) = self.document(DOMAINS, present, findings) else {
            return;
        };
        let file = self.folder.display(DOMAINS);
        if let Some(rows) = domains::read(&file, &text, &self.names, findings) {
            self.names
                .set_domains(rows.iter().map(|row| row.name.clone()));
            self.rows.domains = rows;
        }
    }

    fn subscribers(&mut self, findings: &mut Findings) {
        let file = self.folder.display(SUBSCRIBERS);
        let Some(source) = self.open(SUBSCRIBERS, findings) else {
            return;
        };
        let digest = subscribers::read(
            &file,
            source,
            &self.names,
            &self.rows.domains,
            &mut self.rows.subscribers,
            findings,
        );
        self.digested(SUBSCRIBERS, digest);
    }

    fn list(&mut self, name: &str, findings: &mut Findings) {
        let file = self.folder.display(name);
        let Some(source) = self.open(name, findings) else {
            return;
        };
        let index = u32::try_from(self.rows.list_files.len()).unwrap_or(u32::MAX);
        self.rows.list_files.push(name.to_owned());
        let digest = lists::read(
            &file,
            index,
            source,
            &self.names,
            &mut self.rows.lists,
            findings,
        );
        self.digested(name, digest);
    }

    fn open(&self, name: &str, findings: &mut Findings) -> Option<Box<dyn std::io::Read>> {
        match self.folder.open(name) {
            Ok(source) => Some(source),
            Err(sentence) => {
                findings
                    .faults
                    .whole_file(&self.folder.display(name), sentence);
                None
            }
        }
    }

    fn document(&mut self, name: &str, present: bool, findings: &mut Findings) -> Option<String> {
        if !present {
            findings
                .faults
                .whole_file(&self.folder.display(name), "is missing");
            return None;
        }
        let text = match source::document(self.open(name, findings)?) {
            Ok(text) => text,
            Err(unread) => {
                unread.report(&self.folder.display(name), &mut findings.faults);
                return None;
            }
        };
        self.digested(name, Some(Sha256::digest(&text).into()));
        Some(text)
    }

    fn digested(&mut self, name: &str, digest: Option<FileDigest>) {
        if let Some(digest) = digest {
            self.digests.push((name.to_owned(), digest));
        }
    }

    fn finish(mut self) -> Rows {
        self.digests.sort();
        self.rows.generation = generation(&self.digests);
        self.rows
    }
}

/// The generation of a bundle whose files have these digests, sorted by name.
pub(super) fn generation(digests: &[(String, FileDigest)]) -> String {
    let mut hash = Sha256::new();
    for (name, digest) in digests {
        // A name cannot hold the zero octet, so no two bundles run together into the same text.
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(digest);
    }
    let hash: FileDigest = hash.finalize().into();
    hash.iter().fold(String::new(), |mut text, octet| {
        // Writing to a String cannot fail.
        let _written = write!(text, "{octet:02x}");
        text
    })
}

/// Whether a file of the folder is one that rows are made of.
pub(super) fn is_read(file: &str) -> bool {
    [DOMAINS, POLICIES, SUBSCRIBERS, DESTINATIONS, RATES].contains(&file)
        || file.starts_with("lists/") && is_csv(file)
}

/// A policy that nobody has decides nothing; likely a forgotten reference.
fn unused_policies(reading: &Reading<'_>, findings: &mut Findings) {
    let rows = &reading.rows;
    let used: BTreeSet<usize> = rows
        .domains
        .iter()
        .map(|domain| domain.default_policy)
        .chain(rows.subscribers.iter().filter_map(|row| row.policy))
        .collect();
    for (index, policy) in rows.policies.iter().enumerate() {
        if !used.contains(&index) {
            findings.warnings.push(format!(
                "{}: policy \"{}\" is nobody's",
                reading.folder.display(POLICIES),
                policy.name
            ));
        }
    }
}
