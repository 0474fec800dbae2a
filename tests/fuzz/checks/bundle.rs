//! Configuration and bundle: whatever their files hold, they are refused with sentences or become a policy that answers.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tollgate::clock::Now;
use tollgate::control::{self, Faults, Loaded, SAMPLE_BUNDLE, SAMPLE_CONFIG, Source, show};
use tollgate::counters::{Counters, Size};
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

/// Calls that each policy is asked about: Request-URI, user of From, user agent, P-tfps or nothing.
const CALLS: [(&str, &str, &str, &str); 14] = [
    (
        "sip:011442071838750@127.0.0.1",
        "1003",
        "Asterisk PBX 16.28.0",
        "1001;sample;192.0.2.7;Phone;1",
    ),
    (
        "sip:011442071838750@127.0.0.1",
        "1003",
        "friendly-scanner",
        "",
    ),
    (
        "sip:+39066982;phone-context=x@127.0.0.1:5060;user=phone",
        "n7",
        "agent 7",
        "n7;sample;10.0.0.1;agent 7;5",
    ),
    (
        "sip:112@127.0.0.1",
        "n1",
        "x",
        "n1;pbx.example.com;::1;sip;0",
    ),
    (
        "sip:99011882123456789@127.0.0.1",
        "200",
        "sip-scan",
        "200;n1;127.0.0.1;a-SIP;100",
    ),
    (
        "sip:77%23442071838750@127.0.0.1",
        "%2B441234567",
        "",
        "n12;nobody;192.0.2.7;x;1",
    ),
    ("tel:+1-900-555-1234", "anonymous", "phone", ""),
    ("sip:*9123@127.0.0.1", "", "A", "unknown;sample;;;"),
    (
        "sip:0039066982@127.0.0.1",
        "1",
        "scan",
        "1-2;sample;10.0.0.1/8;re:;x",
    ),
    (
        "sip:1@127.0.0.1",
        "9999",
        "friendly",
        "150;n2;2001:db8::1;friendly-sip;4294967295",
    ),
    (
        "sip:4420718387501@127.0.0.1",
        "n999",
        "",
        "n999;n3;255.0.0.0;phone;2",
    ),
    (
        "sip:9005551234@127.0.0.1",
        "front-desk",
        "x-x",
        "front-desk;sample;127.0.0.1;;1",
    ),
    ("sip:a.b@127.0.0.1", "é", "é", "é;é;é;é;é"),
    ("sip:127.0.0.1", "12345", "a", "12345;sample;0.0.0.0;a;0"),
];

/// The sample's peer, from which all of them come, and others, from which some do: a text may make peers of them.
const PEER: &str = "127.0.0.1:5070";
const OTHERS: [&str; 3] = ["10.0.0.1:5060", "[2001:db8::1]:5060", "192.0.2.1:5060"];

/// Counters of few keys, since they are made anew for each policy.
const ROOM: Size = Size {
    keys: 128,
    attempts: 64,
};

fn invite((uri, from, agent, screening): (&str, &str, &str, &str)) -> Vec<u8> {
    let screening = match screening {
        "" => String::new(),
        text => format!("P-tfps: {text}\r\n"),
    };
    format!(
        "INVITE {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK48de1b64\r\n\
         From: <sip:{from}@pbx.example.com>;tag=as74dd9bd9\r\n\
         To: <sip:011442071838750@127.0.0.1>\r\n\
         Call-ID: 2250b2316e4f174039004d052b2aef3d\r\n\
         CSeq: 102 INVITE\r\n\
         User-Agent: {agent}\r\n\
         {screening}Content-Length: 0\r\n\
         \r\n"
    )
    .into_bytes()
}

fn calls() -> Vec<(SocketAddr, Vec<u8>)> {
    let address = |text: &str| text.parse().expect("an address");
    let peer = CALLS.map(|call| (address(PEER), invite(call)));
    let others = OTHERS
        .into_iter()
        .zip(CALLS)
        .map(|(other, call)| (address(other), invite(call)));
    peer.into_iter().chain(others).collect()
}

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
    calls: Vec<(SocketAddr, Vec<u8>)>,
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
        let mut made = Self {
            policy: control::build(&before.rows, NOW),
            source,
            files,
            replaced: None,
            before,
            uas: Uas::new([7; 16]),
            slot: Slot::new(),
            out: vec![0; RESPONSE_BYTES_MAX],
            calls: calls(),
        };
        let answered = made.calls_answered(&control::build(&made.before.rows, NOW));
        assert_eq!(answered, CALLS.len(), "the sample answers its peer");
        made
    }

    /// Whether a bundle with the text in place of one file is taken.
    #[expect(
        clippy::allow_attributes,
        reason = "the grammar's test asks, the fuzzer does not"
    )]
    #[allow(dead_code, reason = "the fuzzer only looks at what is wrong")]
    pub(crate) fn takes(&mut self, input: &[u8]) -> bool {
        matches!(self.read(input), Some(Ok(_)))
    }

    /// Puts a text in place of one file, which the first octet chooses: `0` is the first.
    pub(crate) fn input(&mut self, input: &[u8]) {
        match self.read(input) {
            Some(Ok(loaded)) => self.decide(&loaded, input.len().is_multiple_of(8)),
            Some(Err(faults)) => assert!(!faults.to_string().is_empty()),
            None => {}
        }
    }

    /// The bundle with the text in place of one of its files, which the first octet chooses. `None`: there is no octet.
    fn read(&mut self, input: &[u8]) -> Option<Result<Loaded, Faults>> {
        let (first, text) = input.split_first()?;
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
        Some(control::load(&self.source))
    }

    /// Shows what was read, makes its policy and asks that about calls. Making the table of destinations anew takes twenty
    /// times as long as all else, so `anew` says whether to.
    fn decide(&mut self, loaded: &Loaded, anew: bool) {
        assert!(!show::in_force(loaded).is_empty());
        if !anew && !Arc::ptr_eq(&loaded.rows.destinations, &self.before.rows.destinations) {
            return;
        }
        let policy = self.policy.build_next(&self.before.rows, &loaded.rows, NOW);
        self.calls_answered(&policy);
    }

    /// Asks a policy about all calls; how many were answered.
    fn calls_answered(&mut self, policy: &Snapshot) -> usize {
        let counters = Counters::new(ROOM, [3; 32]).expect("address space");
        let uas = self.uas.clone().with_counters(Arc::new(counters));
        let mut answered = 0;
        for (source, bytes) in &self.calls {
            let packet = Packet {
                bytes,
                full_length: bytes.len(),
                source: *source,
            };
            let (slot, out) = (&mut self.slot, &mut self.out);
            if let Some(reply) = uas.answer(policy, &packet, NOW, slot, out) {
                assert!(reply.status.0 >= 300);
                answered += 1;
            }
        }
        answered
    }
}

const NOW: Now = Now {
    monotonic_ns: 0,
    unix_us: 1_700_000_000_000_000,
};
