//! Values of the bundle, made at random.

use super::files::Field::{
    self, Address, Agent, Amount, Array, Date, Day, Dialled, Either, Hours, Inline, Integer, Name,
    Number, Of, Quoted, Short, Socket, Users,
};
use super::order::arranged;
use crate::mutate::Dice;

/// A value that is mostly right: of words the first ones are.
pub(super) fn sound(field: Field, dice: &mut Dice) -> String {
    match field {
        Of(words) if dice.below(4) != 0 => word(words, 4, dice),
        Quoted(field) => format!("\"{}\"", sound(*field, dice)),
        Either(one, other) => sound(either(one, other, dice), dice),
        other => made(other, dice),
    }
}

/// One of the first `count` words.
fn word(words: &str, count: usize, dice: &mut Dice) -> String {
    let words: Vec<&str> = words.split('|').map(str::trim).collect();
    words[dice.below(words.len().min(count))].to_owned()
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
        Of(words) => word(words, usize::MAX, dice),
        Number => number(dice),
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
        Array(count, field) => {
            let most = [1, 2, 3, 6, 6, 12, 40, count][dice.below(8)].min(count);
            let count = dice.below(most + 1);
            let all = (0..count).map(|_| sound(*field, dice)).collect();
            let all = arranged(all, dice);
            format!("[{}]", all.join(", "))
        }
        Inline(keys) => {
            let all: Vec<String> = keys
                .iter()
                .filter_map(|(key, field)| {
                    let is_there = dice.below(2) == 0;
                    if !is_there {
                        return None;
                    }
                    Some(format!("{key} = {}", sound(*field, dice)))
                })
                .collect();
            format!("{{ {} }}", all.join(", "))
        }
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
