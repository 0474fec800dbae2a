//! Configuration and bundle: whatever their files hold, they are refused with sentences or become a policy that answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tollgate::clock::Now;
use tollgate::control::{self, Loaded, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source, show};
use tollgate::limits::RESPONSE_BYTES_MAX;
use tollgate::policy::Snapshot;
use tollgate::uas::{Packet, Slot, Uas};

/// Files of a bundle that the sample lacks.
const MORE: [(&str, &str); 3] = [
    ("destinations.csv", "prefix,country,type,risk\n"),
    (
        "lists/addresses.csv",
        "scope,kind,match,verdict,code,reason,source,expires\n",
    ),
    ("rates.csv", "prefix,rate_per_minute\n"),
];

/// How many files an input may choose among: the sample's, its configuration, and these.
pub(crate) const FILES: usize = SAMPLE_BUNDLE.len() + 1 + MORE.len();

const INVITE: &[u8] = b"INVITE sip:011442071838750@127.0.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64\r\n\
    From: <sip:1003@pbx.example.com>;tag=as74dd9bd9\r\n\
    To: <sip:011442071838750@127.0.0.1>\r\n\
    Call-ID: 2250b2316e4f174039004d052b2aef3d\r\n\
    CSeq: 102 INVITE\r\n\
    User-Agent: Asterisk PBX 16.28.0\r\n\
    P-tfps: 1001;sample;192.0.2.7;Phone;1\r\n\
    Content-Length: 0\r\n\
    \r\n";

/// A folder with the sample and what is replaced in it; the policy that was in force before.
pub(crate) struct Check {
    source: Source,
    files: Vec<(PathBuf, &'static str)>,
    replaced: Option<usize>,
    before: Loaded,
    policy: Snapshot,
    uas: Uas,
    slot: Slot,
    out: Vec<u8>,
}

impl Check {
    /// Writes the sample into `folder`, which belongs to the caller.
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("bundle/lists")).expect("a folder");
        let bundle =
            |(path, text): &(&str, &'static str)| (folder.join("bundle").join(path), *text);
        let config = folder.join("tollgate.toml");
        let files: Vec<(PathBuf, &'static str)> = SAMPLE_BUNDLE
            .iter()
            .map(bundle)
            .chain([(config.clone(), SAMPLE_CONFIG)])
            .chain(MORE.iter().map(bundle))
            .collect();
        for (path, text) in &files {
            fs::write(path, text).expect("a file");
        }
        let source = Source::File(config);
        let before = control::load(&source).expect("the sample has no fault");
        Self {
            policy: control::build(&before.rows, NOW),
            source,
            files,
            replaced: None,
            before,
            uas: Uas::new([7; 16]),
            slot: Slot::new(),
            out: vec![0; RESPONSE_BYTES_MAX],
        }
    }

    /// Puts a text in place of one file, which the first octet chooses: `0` is the first.
    pub(crate) fn input(&mut self, input: &[u8]) {
        let Some((first, text)) = input.split_first() else {
            return;
        };
        let which = usize::from(first.wrapping_sub(b'0')) % FILES;
        if let Some((path, original)) = self
            .replaced
            .filter(|&before| before != which)
            .and_then(|before| self.files.get(before))
        {
            fs::write(path, original).expect("a file");
        }
        self.replaced = Some(which);
        fs::write(&self.files[which].0, text).expect("a file");
        match control::load(&self.source) {
            Ok(loaded) => {
                assert!(!show::in_force(&loaded).is_empty());
                // Making the table of destinations anew takes twenty times as long as all else.
                let own = &self.before.rows.destinations;
                if !Arc::ptr_eq(&loaded.rows.destinations, own) && !input.len().is_multiple_of(8) {
                    return;
                }
                let policy = self.policy.build_next(&self.before.rows, &loaded.rows, NOW);
                let packet = Packet {
                    bytes: INVITE,
                    full_length: INVITE.len(),
                    source: "127.0.0.1:5070".parse().expect("an address"),
                };
                let reply = self
                    .uas
                    .answer(&policy, &packet, NOW, &mut self.slot, &mut self.out);
                assert!(reply.is_none_or(|reply| reply.status.0 >= 300));
            }
            Err(faults) => assert!(!faults.to_string().is_empty()),
        }
    }
}

const NOW: Now = Now {
    monotonic_ns: 0,
    unix_us: 1_700_000_000_000_000,
};
