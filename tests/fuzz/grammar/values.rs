//! Values of the bundle, made at random.

use super::files::Field::{
    self, Address, Agent, Amount, Array, Date, Day, Dialled, Either, Hours, Inline, Integer, Name,
    Number, Of, Prefix, Quoted, Short, Socket, Users, Wrong,
};
use super::order::arranged;
use crate::mutate::Dice;

/// A value that its reader takes, where the others beside it are right, too.
pub(super) fn right(field: Field, dice: &mut Dice) -> String {
    match field {
        Of(words) => {
            let right = words.split_once('!').map_or(words, |(right, _)| right);
            word(right.trim_end().trim_end_matches('|'), dice)
        }
        Number => match dice.below(4) {
            0 => {
                let common = digits_from(4, dice);
                format!(
                    "{common}{:02}-{common}{:02}",
                    dice.below(50),
                    50 + dice.below(50)
                )
            }
            1 => digits_from(6, dice) + "*",
            _ => digits_from(8, dice),
        },
        Dialled => ["0", "00", "011", "9"][dice.below(4)].to_owned(),
        Prefix => digits_from(6, dice),
        Wrong(_) => String::new(),
        Address => right_address(dice),
        Socket => {
            let hosts = ["127.0.0.1", "[::1]", "192.0.2.1"];
            format!("{}:{}", hosts[dice.below(3)], 1024 + dice.below(60_000))
        }
        Agent => match dice.below(4) {
            0 => ["re:^a.*b$", "re:[a-z]+", "re:a{3}", "re:\\d+"][dice.below(4)].to_owned(),
            _ => format!("agent {}", dice.below(100_000)),
        },
        Date => ["", "", "2030-01-01", "2030-01-01T00:00:00Z"][dice.below(4)].to_owned(),
        Name => format!("n{}", dice.below(1_000_000)),
        Amount => format!("{}.{:03}", dice.below(20), dice.below(1000)),
        Users => match dice.below(4) {
            0 => String::new(),
            1 => {
                let from = 10 * dice.below(1_000_000);
                format!("{from:08}-{:08}", from + dice.below(10))
            }
            _ => format!("{:09}", dice.below(1_000_000_000)),
        },
        Short => dice
            .below([100, 1_000, 10_000][dice.clone().below(3)])
            .to_string(),
        Integer => "1".to_owned(),
        Either(one, other) => {
            let field = either(one, other, dice);
            let none_right = |field: &Field| {
                matches!(field, Wrong(_)) || matches!(field, Of(words) if words.starts_with('!'))
            };
            match (none_right(one), none_right(other)) {
                (true, false) => right(*other, dice),
                (false, true) => right(*one, dice),
                _ => right(field, dice),
            }
        }
        Quoted(field) => format!("\"{}\"", right(*field, dice)),
        Array(count, field) => array(count, *field, right, dice),
        Inline(keys) => inline(keys, right, dice),
        Day | Hours => made(field, dice),
    }
}

/// A value that is mostly right.
pub(super) fn sound(field: Field, dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => made(field, dice),
        _ => right(field, dice),
    }
}

/// An array in an order that a sort may meet.
fn array(
    count: usize,
    field: Field,
    value: fn(Field, &mut Dice) -> String,
    dice: &mut Dice,
) -> String {
    let most = [1, 2, 3, 6, 6, 12, 40, count][dice.below(8)].min(count);
    let count = 1 + dice.below(most);
    let all = (0..count).map(|_| value(field, dice)).collect();
    format!("[{}]", arranged(all, dice).join(", "))
}

fn inline(
    keys: &[(&str, Field)],
    value: fn(Field, &mut Dice) -> String,
    dice: &mut Dice,
) -> String {
    let mut all: Vec<String> = Vec::new();
    for (key, field) in keys {
        let value = value(*field, dice);
        if (all.is_empty() || dice.below(2) == 0) && !value.is_empty() {
            all.push(format!("{key} = {value}"));
        }
    }
    format!("{{ {} }}", all.join(", "))
}

/// One of the words but for `!`.
fn word(words: &str, dice: &mut Dice) -> String {
    let words: Vec<&str> = words
        .split('|')
        .map(str::trim)
        .filter(|word| *word != "!")
        .collect();
    words
        .get(dice.below(words.len()))
        .copied()
        .unwrap_or_default()
        .to_owned()
}

/// At least so many digits, and most often ones that no other row has.
fn digits_from(least: usize, dice: &mut Dice) -> String {
    let count = least + dice.below(4);
    digits(count, dice)
}

/// An address or a block that hardly any other row has.
fn right_address(dice: &mut Dice) -> String {
    let (a, b, c) = (dice.below(256), dice.below(256), dice.below(256));
    match dice.below(6) {
        0 => format!("10.{a}.{b}.0/24"),
        1 => format!("2001:db8:{a:x}:{b:x}::/64"),
        2 => format!("2001:db8:{a:x}:{b:x}::{c:x}"),
        _ => format!("10.{a}.{b}.{c}"),
    }
}

fn either(one: &Field, other: &Field, dice: &mut Dice) -> Field {
    if dice.below(2) == 0 { *one } else { *other }
}

/// Working hours that are right.
fn hours(dice: &mut Dice) -> String {
    let months = ["", "", "", "jun-aug ", "nov-feb ", "jan,jul ", "may "];
    let days = [
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "mon-fri",
        "sat,sun",
        "daily",
        "fri-mon",
        "mon,wed,fri",
    ];
    let time = |dice: &mut Dice| {
        let minute = [0, 0, 15, 30, 59][dice.below(5)];
        format!("{:02}:{minute:02}", dice.below(24))
    };
    format!(
        "{}{} {}-{}",
        months[dice.below(months.len())],
        days[dice.below(days.len())],
        time(dice),
        time(dice)
    )
}

fn digits(count: usize, dice: &mut Dice) -> String {
    let first = ["1", "3", "4", "7", "8", "9", "39", "44", "1900"][dice.below(9)].to_owned();
    (1..count).fold(first, |text, _| text + &dice.below(10).to_string())
}

/// A value, right or wrong.
pub(super) fn made(field: Field, dice: &mut Dice) -> String {
    match field {
        Of(words) => word(words, dice),
        Number | Prefix => number(dice),
        Wrong(field) => made(*field, dice),
        Dialled => [
            "", "0", "00", "011", "*9", "#", "+", "1-8", "a", "9011", "0 0",
        ][dice.below(11)]
        .to_owned(),
        Address => address(dice),
        Socket => {
            let hosts = [
                "127.0.0.1",
                "0.0.0.0",
                "[::1]",
                "[::]",
                "192.0.2.1",
                "localhost",
                "",
            ];
            let ports = [":5060", ":0", ":8060", ":65536", ":5061", ""];
            hosts[dice.below(hosts.len())].to_owned() + ports[dice.below(ports.len())]
        }
        Agent => agent(dice),
        Date => {
            let dates = [
                "",
                "",
                "",
                "2030-01-01",
                "2020-01-01",
                "2030-01-01T00:00:00Z",
                "2030-13-01",
                "2030-02-30",
                "2030-01-01T24:00:00Z",
                "2030-01-01T10:20:30",
                "1969-12-31",
                "2030",
                "9999-12-31",
                "x",
            ];
            dates[dice.below(dates.len())].to_owned()
        }
        Name => match dice.below(16) {
            0 => ["", "a b", "é", "sample", "unknown", "standard"][dice.below(6)].to_owned(),
            _ => format!("n{}", dice.below(1000)),
        },
        Amount => match dice.below(8) {
            0 => [
                "",
                "1.",
                ".5",
                "0.0000001",
                "99999999999999",
                "-1",
                "x",
                "1.2.3",
            ][dice.below(8)]
            .to_owned(),
            _ => format!("{}.{:03}", dice.below(20), dice.below(1000)),
        },
        Users => {
            let one = |dice: &mut Dice| match dice.below(8) {
                0 => ["x-y", "200-100", "1-22", "a", "*7", "-", "1-"][dice.below(7)].to_owned(),
                1..4 => {
                    let from = 100 + dice.below(800);
                    format!("{from}-{}", from + dice.below(99))
                }
                _ => dice.below(10_000).to_string(),
            };
            let all: Vec<String> = (0..dice.below(4)).map(|_| one(dice)).collect();
            all.join(" ")
        }
        Day => match dice.below(3) {
            0 => format!("{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(29)),
            _ => format!(
                "{}-{:02}-{:02}",
                2024 + dice.below(6),
                1 + dice.below(12),
                1 + dice.below(29)
            ),
        },
        Hours => hours(dice),
        Short => match dice.below(16) {
            0 => ["", "*", "#1", "1a"][dice.below(4)].to_owned(),
            _ => {
                let below = [10, 100, 1_000, 10_000][dice.below(4)];
                dice.below(below).to_string()
            }
        },
        Either(one, other) => made(either(one, other, dice), dice),
        Integer => [
            "0", "1", "2", "3", "5", "8", "15", "40", "64", "1000", "-1", "\"1\"",
        ][dice.below(12)]
        .to_owned(),
        Quoted(field) => format!("\"{}\"", made(*field, dice)),
        Array(count, field) => match dice.below(16) {
            0 => "[]".to_owned(),
            _ => array(count, *field, sound, dice),
        },
        Inline(keys) => inline(keys, sound, dice),
    }
}

/// A number, a prefix or a range.
fn number(dice: &mut Dice) -> String {
    let count = [1, 2, 3, 5, 8, 10, 12, 14][dice.below(8)];
    let plus = ["", "+"][dice.below(2)];
    match dice.below(12) {
        0 => [
            "",
            "*",
            "+",
            "0123",
            "12a",
            "1234567890123456",
            "+39O6",
            "20-10",
            "1-22",
            "-",
        ][dice.below(10)]
        .to_owned(),
        1..4 => format!("{plus}{}*", digits(count, dice)),
        4..6 => {
            let common = digits(count, dice);
            format!(
                "{common}{:02}-{common}{:02}",
                dice.below(50),
                50 + dice.below(50)
            )
        }
        _ => format!("{plus}{}", digits(count, dice)),
    }
}

/// An address or a block, many of which overlap.
fn address(dice: &mut Dice) -> String {
    let octet = |dice: &mut Dice| [0, 1, 2, 10, 127, 128, 192, 255][dice.below(8)];
    let v4 = u32::from_be_bytes([
        [10, 127, 192, 0, 255][dice.below(5)],
        octet(dice),
        octet(dice),
        octet(dice),
    ]);
    let bits = [0, 1, 8, 12, 16, 17, 20, 24, 28, 31, 32][dice.below(11)];
    let host = u32::MAX.checked_shr(bits).unwrap_or(0);
    match dice.below(12) {
        0 => [
            "",
            "x",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::ffff:10.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/",
            "::/129",
            "1.2.3",
        ][dice.below(9)]
        .to_owned(),
        1..4 => {
            let bits = [0, 16, 32, 48, 64, 112, 120, 127, 128][dice.below(9)];
            let words = [
                0x2001,
                0xdb8,
                [0, 1, 0x8000, 0xffff][dice.below(4)],
                dice.below(4) as u128,
                0,
                0,
                0,
                dice.below(4) as u128,
            ];
            let v6 = words
                .iter()
                .fold(0_u128, |address, word| address << 16 | word);
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv6Addr::from(v6 & !host))
        }
        4..8 => std::net::Ipv4Addr::from(v4).to_string(),
        _ => format!("{}/{bits}", std::net::Ipv4Addr::from(v4 & !host)),
    }
}

/// A part of a user agent, a whole one, or an expression.
fn agent(dice: &mut Dice) -> String {
    let expressions = [
        "re:",
        "re:(",
        "re:^a.*b$",
        "re:[a-z]+",
        "re:a{1,3}",
        "re:(?i)sip|scan",
        "re:\\d+",
        "re:x{1000}{1000}",
        "re:.",
        "re:[[:alpha:]]",
        "re:(?P<n>a)",
        "re:a|b|",
        "re:\\bx",
        "re:[^\\x00-\\x7f]",
        "re:(a(b(c)?)*)+",
    ];
    match dice.below(8) {
        0 => ["", "^", "$", "^$", "^x", "x$", "^^$$", "é"][dice.below(8)].to_owned(),
        1 | 2 => expressions[dice.below(expressions.len())].to_owned(),
        3 => format!("^agent {}$", dice.below(100)),
        _ => {
            let words = ["sip", "scan", "friendly", "agent", "phone", "a", "SIP", "x"];
            (0..=dice.below(3))
                .map(|_| words[dice.below(words.len())])
                .collect::<Vec<_>>()
                .join("-")
        }
    }
}
