//! What stands in each file of configuration and bundle: headings, keys, columns, and values right and wrong.

use Field::{Address, Agent, Amount, Array, Date, Day, Dialled, Either, Hours, Inline, Integer};
use Field::{Name, Number, Of, Prefix, Quoted, Short, Socket, Users, Wrong};

/// What the first octet of an input chooses (`checks/bundle.rs`).
#[derive(Clone, Copy)]
pub(super) enum File {
    Document(Document),
    Table(&'static str, &'static [Field]),
}

/// A TOML file: its blocks, each a heading and the keys below it; those that must be there come first.
pub(super) type Document = &'static [Block];

pub(super) struct Block {
    pub(super) heading: &'static str,
    /// What its first key is where it is the file's first block; empty: as in the others. Other files name it.
    pub(super) first: &'static str,
    /// How many of the keys must be there.
    pub(super) needed: usize,
    pub(super) keys: &'static [(&'static str, Field)],
}

/// How a value is made.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// One of these, between bars; those before `!` are right.
    Of(&'static str),
    Number,
    /// Digits of which numbers begin.
    Prefix,
    Dialled,
    Address,
    Socket,
    Agent,
    Date,
    /// A holiday.
    Day,
    /// Working hours.
    Hours,
    Name,
    Amount,
    Users,
    /// A few digits.
    Short,
    Integer,
    /// One of these or one of those.
    Either(&'static Self, &'static Self),
    /// One of those that no reader takes, where the others beside it are right.
    Wrong(&'static Self),
    /// In quotes.
    Quoted(&'static Self),
    /// An array of up to so many.
    Array(usize, &'static Self),
    /// A table in one line: keys and values.
    Inline(&'static [(&'static str, Self)]),
}

const BOOLEAN: Field = Of("true|false|!|1");
const SCOPE: Field = Of(
    "system|system|domain:sample|domain:sample|policy:standard|policy:standard|!|
            domain:sampel|policy:|world",
);
const VERDICT: Field = Of("deny|deny|deny|allow|!|denied");
const CODE: Field = Of("|!|R01|R02|R03|R12|A00|R33");
const REASON: Field = Of(r#"||a reason|"one, quoted"|"two ""quotes"""|!|""""#);
const WIRE: Field = Of(r#""R33"|"R71"|!|"X99"|"A00"|"R01"|"r01"|"R1"|"D00"|"B07"|7"#);
const STATUS: Field =
    Of(r#"603|403|404|486|480|!|302|503|500|608|607|301|300|200|700|99|"603"|401|487|513|-1"#);
/// Of keys that are none.
const WRONG: Field = Of(r#"!|"R33"|603"#);
const TERM: Field = Of(
    "CU|IT|GB|US|satellite|global|continent:EU|continent:AF|type:premium|type:mobile|risk:high|
            risk:medium|risk:low|DE|FR|ES|AU|CN|JP|BR|AR|ZA|EG|SO|LV|LT|EE|PL|RU|UA|CA|MX|NZ|!|
            continent:XX|type:fixde|risk:no|cu|SATELLITE|contient:EU|XX|typ:mobile|kind:what|satelite",
);
const ACTION: Field = Of(r#""approve"|"report"|"reject"|!|"rejct"|"divert"|1"#);
const SECONDS: Field = Of(
    r#""1s"|"30s"|"1m"|"15m"|"1h"|"24h"|!|"7d"|"8d"|"day"|"period"|"0s"|"s"|"1w"|
            "99999999999999999999s"|"18446744073709551615d"|15|"100MB"|"1GB"|"2KB"|"1500m"|
            "25h"|"-1h""#,
);
const COUNT: Field = Of(
    r#"1|2|5|20|100|1000|!|0|65536|4294967295|9223372036854775807|-1|1.5|"7"|"0.035"|"12.5"|
            "1000000"|true|0x10|1_000|1099511627776|1099511627775"#,
);
const MAILS: Field = Of(r#""noc@example.com"|!|""|7"#);
const PATH: Field = Of(
    r#""bundle"|"bundle/"|"./bundle"|!|"tollgate.toml"|"bundle/domains.toml"|"journal.jsonl"|
            ""|"none"|"/dev/null"|"bundle/lists"|7|"bundle/lists/agents.csv""#,
);

const LISTS: [Field; 8] = [
    SCOPE,
    Of("number|!|address|agent|numbre"),
    Number,
    VERDICT,
    CODE,
    REASON,
    REASON,
    Date,
];
const ADDRESSES: [Field; 8] = [
    SCOPE,
    Of("address"),
    Address,
    VERDICT,
    CODE,
    REASON,
    REASON,
    Date,
];
const AGENTS: [Field; 8] = [
    SCOPE,
    Of("agent"),
    Agent,
    VERDICT,
    CODE,
    REASON,
    REASON,
    Date,
];
const SUBSCRIBERS: [Field; 7] = [
    Of("sample|!|smaple|"),
    Name,
    Of("|standard|!|standrd"),
    Users,
    Either(
        &Of("|||127.0.0.1|!|127.0.0.0/8|127.0.0.1 127.0.0.2|10.0.0.1|::1|x"),
        &Wrong(&Address),
    ),
    Either(&Of("|99|77#|*9|!|a b|é"), &Short),
    Of("|a@example.com|!|a@b@c"),
];
const DESTINATIONS: [Field; 4] = [
    Prefix,
    Of("CU|IT|GB|US|satellite|!||XX|it|satelite"),
    Of("premium|mobile|fixed|!|mobil||unknown|voip"),
    Of("low|medium|high|!||hgih"),
];
const RATES: [Field; 2] = [Prefix, Amount];

const DOMAINS: Document = &[
    Block {
        heading: "[[domain]]",
        first: r#""sample""#,
        needed: 6,
        keys: &[
            ("name", Quoted(&Name)),
            ("peers", Array(120, &Quoted(&Address))),
            (
                "mode",
                Of(r#""prevention"|"detection"|!|"prevent"|0"#),
            ),
            ("trust_headers", BOOLEAN),
            (
                "default_policy",
                Of(r#""standard"|!|"standrad"|""|""""#),
            ),
            (
                "default_subscriber",
                Of(r#""unknown"|!|"front-desk"|"a b""#),
            ),
            (
                "profile",
                Of(r#""redirect"|"redirect-codes"|"failover"|"next-route"|"monitor"|!|"redirects""#),
            ),
            ("proxies", Array(120, &Quoted(&Address))),
            (
                "names",
                Array(
                    100,
                    &Quoted(&Either(
                        &Of("!|pbx.example.com|PBX.example.com|sample|[::1]|::1|[::g]|a_b|a b||h:5060|192.0.2.1|
            127.0.0.1"),
                        &Name,
                    )),
                ),
            ),
            (
                "calling_from",
                Array(
                    5,
                    &Quoted(&Of("From|P-Asserted-Identity|P-Preferred-Identity|Remote-Party-ID|!|from")),
                ),
            ),
            ("bare_e164", BOOLEAN),
            (
                "emergency",
                Array(
                    80,
                    &Quoted(&Either(&Of("112|911|999|!|*1|#2|+1||x|000"), &Short)),
                ),
            ),
            (
                "contact_host",
                Of(r#""from"|"request-uri"|"source"|"fixed:gw.example.com"|"fixed:[::1]"|"fixed:a"|"fixed:b"|"fixed:c"|"fixed:d"|"fixed:e"|"fixed:f"|"fixed:g"|
            "fixed:h"|"fixed:i"|"fixed:j"|"fixed:k"|"fixed:l"|"fixed:m"|"fixed:n"|"fixed:o"|
            "fixed:p"|"fixed:q"|"fixed:r"|!|"fixed:"|"fixed"|"fixed:gw:5060""#),
            ),
            ("force_rport", BOOLEAN),
            ("spoofing_filtered", BOOLEAN),
            ("proxy_passes_503", BOOLEAN),
            (
                "codes",
                Inline(&[
                    ("R01", WIRE),
                    ("R03", WIRE),
                    ("X01", WIRE),
                    ("A00", WRONG),
                    ("R99", WRONG),
                    ("R13", WIRE),
                ]),
            ),
            (
                "statuses",
                Inline(&[
                    ("approve", Of("302|300|!|200|603|503")),
                    ("reject", STATUS),
                    ("error", STATUS),
                    ("R01", STATUS),
                    ("R03", STATUS),
                    ("X02", STATUS),
                    ("A00", WRONG),
                    ("rejct", WRONG),
                ]),
            ),
            ("email", MAILS),
        ],
    },
    Block {
        heading: "[[domain.translate]]",
        first: "",
        needed: 1,
        keys: &[
            ("match", Quoted(&Dialled)),
            ("strip", Integer),
            ("prepend", Quoted(&Prefix)),
            ("min_digits", Of("4|5|!|0|2|1|40|-1")),
            ("max_digits", Of("12|15|!|0|2|1|40|-1")),
        ],
    },
];

const POLICIES: Document = &[
    Block {
        heading: "[[policy]]",
        first: r#""standard""#,
        needed: 1,
        keys: &[
            (
                "name",
                Quoted(&Either(&Of("!|standard|other|third|a b|"), &Name)),
            ),
            (
                "destination",
                Inline(&[
                    ("allow", Array(40, &Quoted(&TERM))),
                    ("deny", Array(40, &Quoted(&TERM))),
                    ("dney", WRONG),
                ]),
            ),
            (
                "unknown",
                Inline(&[
                    ("prefix", ACTION),
                    ("identity", ACTION),
                    ("counters", ACTION),
                    ("origin", WRONG),
                ]),
            ),
            (
                "time_zone",
                Of(r#""UTC"|"Europe/Berlin"|"America/New_York"|"Asia/Kolkata"|!|"Europe/Berlni"|""|7"#),
            ),
            (
                "working_hours",
                Array(
                    40,
                    &Quoted(&Either(&Hours, &Of("mon-fri 09:00-17:00|daily 00:00-24:00|sat,sun 22:00-06:00|
            jun-aug mon-fri 08:00-14:00|nov-feb fri-mon 23:59-00:00|!|mon 09:00-09:00|
            mon 24:00-01:00|mon 9:00-17:00|may tue 25:00-26:00|mno 09:00-17:00|
            jum mon 09:00-17:00|mon|a b c d|jan,jul wed,thu 00:00-12:30|mon 09:60-10:00|
            mon 0900|mon aa:bb-cc:dd|mon-fri 09:00-24:01"))),
                ),
            ),
            (
                "holidays",
                Array(
                    150,
                    &Quoted(&Either(&Day, &Of("2026-12-25|12-25|02-29|2024-12-24|!|2025-02-29|13-01|00-00|2026-1-1|x|1-2-3-4|9999-12-31|
            0000-01-01|01-01|aa-bb"))),
                ),
            ),
            (
                "divert",
                Inline(&[(
                    "target",
                    Quoted(&Of("sip:D00{number}@{host}|sip:D01{number}@gw.example.com:5060|!|sip:A00{number}@{host}|
            sip:R01{number}@{host}|sip:d00{number}@{host}|sip:{number}|tel:x|sip:D00{number}@|
            sip:D00{number}@h:0|sip:D00{number}@[::1]:5|sip:D00{number}@[::1]|
            sip:D00{number}@a b")),
                )]),
            ),
            ("assumed_minutes", COUNT),
            ("origin", WRONG),
        ],
    },
    Block {
        heading: "[[policy.limit]]",
        first: "",
        needed: 8,
        keys: &[
            ("name", Quoted(&Name)),
            ("code", Quoted(&Of("R08|R09|R10|R11|R13|X01|X02|X16|!|X17|R01|A00|r08"))),
            (
                "per",
                Either(
                    &Of(r#"["domain"]|["subscriber"]|["caller", "subscriber"]|["address", "domain"]"#),
                    &Wrong(&Array(4, &Quoted(&Of("domain|subscriber|caller|address|calle")))),
                ),
            ),
            (
                "to",
                Of(r#""number"|"prefix"|"country"|"any"|!|"nubmer""#),
            ),
            (
                "count",
                Of(r#""attempts"|"attempts"|"approved"|!|"exposure"|"reported-calls"|"atempts""#),
            ),
            ("max", COUNT),
            ("window", SECONDS),
            (
                "during",
                Of(r#""always"|!|"working-hours"|"off-hours"|"off""#),
            ),
            ("warn", COUNT),
            ("hold", SECONDS),
            (
                "action",
                Of(r#""report"|"reject"|!|"divert"|"rejct""#),
            ),
        ],
    },
];

const CONFIG: Document = &[
    Block {
        heading: "[node]",
        first: "",
        needed: 0,
        keys: &[
            ("name", Quoted(&Name)),
            ("shards", Of(r#""auto"|1|2|64|!|0|65|"two"|9999"#)),
            (
                "cores",
                Of(
                    r#""auto"|!|"0"|"0-1"|"1,0"|"0-"|"-1"|"0,0"|"3-1"|"0-9999"|"x"|""|[0]|[0, 1]|[0, 0]|[]|
            [4096]|["0"]|7"#,
                ),
            ),
            ("state_dir", Either(&Of(r#""state""#), &Wrong(&PATH))),
            ("key_file", Wrong(&PATH)),
            ("expected_calls_per_second", COUNT),
            ("counters_capacity", COUNT),
            ("drain_time", SECONDS),
        ],
    },
    Block {
        heading: "[[listen]]",
        first: "",
        needed: 1,
        keys: &[
            ("udp", Quoted(&Socket)),
            ("steering", Of(r#""payload"|"kernel"|!|"kernl"|1"#)),
            ("gso", BOOLEAN),
            ("role", Of(r#""screen"|!|"honeypot"|"honypot""#)),
            ("tcp", WRONG),
            ("tls", WRONG),
        ],
    },
    Block {
        heading: "[bundle]",
        first: "",
        needed: 1,
        keys: &[("path", PATH)],
    },
    Block {
        heading: "[admin]",
        first: "",
        needed: 1,
        keys: &[
            ("http", Quoted(&Socket)),
            ("token_file", Wrong(&PATH)),
            ("https", WRONG),
        ],
    },
    Block {
        heading: "[journal]",
        first: "",
        needed: 1,
        keys: &[
            ("path", Either(&Of(r#""journal.jsonl""#), &Wrong(&PATH))),
            ("rejected_per_second", COUNT),
            ("approved_per_second", Of(r#""all"|0|20000|!|"al"|-1"#)),
            ("rotate", SECONDS),
            ("keep", SECONDS),
            ("mask_digits", Integer),
        ],
    },
    Block {
        heading: "[mail]",
        first: "",
        needed: 0,
        keys: &[("to", WRONG)],
    },
];

/// Keys that nobody reads, each with its table: what refuses them is to be met, too.
#[cfg(test)]
pub(super) const UNREAD: &[&str] = &[
    "[[listen]] tcp",
    "[[listen]] tls",
    "[[policy]] origin",
    "[admin] https",
    "[mail] to",
    "[policy.destination] dney",
    "[policy.unknown] origin",
];

/// The file that an input is about: as `checks/bundle.rs` counts them.
pub(super) fn file(first: u8, files: usize) -> File {
    let lists = "scope,kind,match,verdict,code,reason,source,expires\n";
    match usize::from(first.wrapping_sub(b'0')) % files {
        0 => File::Document(DOMAINS),
        1 => File::Document(POLICIES),
        2 => File::Table(
            "domain,name,policy,users,peers,tech_prefix,email\n",
            &SUBSCRIBERS,
        ),
        3 => File::Table(lists, &AGENTS),
        4 => File::Table(lists, &LISTS),
        5 => File::Document(CONFIG),
        6 => File::Table("prefix,country,type,risk\n", &DESTINATIONS),
        7 => File::Table(lists, &ADDRESSES),
        _ => File::Table("prefix,rate_per_minute\n", &RATES),
    }
}
