//! Changes to configuration and bundle by their own grammar: rows of tables, keys of documents, blocks of both.
//!
//! What sorts, balances and merges is met only by tables of many rows, and what is checked behind a parser only by values
//! that get that far: most of what this writes is right, some of it is not.
//!
//! Promises: the same seed makes the same text. Leaves to `mutator`: bounds, and changes by lines and octets.

mod files;
#[cfg(test)]
mod known;
mod order;
mod values;

#[cfg(test)]
pub(crate) use known::{headings, keys, unread};

use crate::mutate::Dice;
use files::{Block, Document, Field, File, file};
use order::arranged;
use values::{made, right, sound};

/// The input with one to three changes, or another in its place. Of a new one no row or block ends beyond `most` octets.
pub(crate) fn change(input: &[u8], files: usize, most: usize, dice: &mut Dice) -> Vec<u8> {
    if dice.below(4) == 0 {
        let first = b'0' + u8::try_from(dice.below(files)).unwrap_or(0);
        return afresh(first, files, most, dice);
    }
    let mut text = input.to_vec();
    if text.is_empty() || dice.below(64) == 0 {
        text = vec![b'0' + u8::try_from(dice.below(files)).unwrap_or(0)];
    }
    for _ in 0..=dice.below(3) {
        text = match file(text[0], files) {
            File::Table(heading, fields) => table(&text, heading, fields, dice),
            File::Document(blocks) => document(&text, blocks, dice),
        };
    }
    text
}

/// A whole file of at most so many octets; `first` chooses which.
pub(crate) fn afresh(first: u8, files: usize, most: usize, dice: &mut Dice) -> Vec<u8> {
    let rest = match file(first, files) {
        File::Table(heading, fields) => new_table(heading, fields, most - 1, dice),
        File::Document(blocks) => new_document(blocks, most - 1, dice),
    };
    [&[first], rest.as_bytes()].concat()
}

/// A table in an order that a sort may meet; most often its reader takes it.
fn new_table(heading: &str, fields: &[Field], most: usize, dice: &mut Dice) -> String {
    let count = [1, 3, 8, 18, 24, 40, 64, 90, 130, 300][dice.below(10)];
    let all_right = dice.below(4) != 0;
    let value = if all_right { right } else { sound };
    let rows = (0..count).map(|_row| row(fields, value, dice)).collect();
    let mut text = heading.to_owned();
    for row in arranged(rows, dice) {
        if text.len() + row.len() > most {
            break;
        }
        text.push_str(&row);
    }
    text
}

fn row(fields: &[Field], value: fn(Field, &mut Dice) -> String, dice: &mut Dice) -> String {
    let values: Vec<String> = fields.iter().map(|field| value(*field, dice)).collect();
    values.join(",") + "\n"
}

/// A document with many blocks of one kind, which have the same few keys beside those that they need.
fn new_document(blocks: Document, most: usize, dice: &mut Dice) -> String {
    let wanted: Vec<&str> = (0..dice.below(4))
        .map(|_| {
            let keys = blocks[dice.below(blocks.len())].keys;
            keys[dice.below(keys.len())].0
        })
        .collect();
    let all_right = dice.below(4) != 0;
    let value = if all_right { right } else { sound };
    let repeats = |block: &&Block| block.heading.starts_with("[[");
    let mut parts: Vec<String> = Vec::new();
    for block in blocks.iter().filter(|block| !repeats(block)) {
        // The table of mail has only keys that nobody reads.
        let wanted_there = block.heading != "[mail]";
        if wanted_there == (dice.below(16) != 0) {
            parts.push(with_keys(block, &wanted, value, dice));
        }
    }
    let repeated: Vec<&Block> = blocks.iter().filter(repeats).collect();
    let usual = dice.below(repeated.len());
    for number in 0..[1, 1, 2, 4, 6, 9, 13, 18, 24, 80][dice.below(10)] {
        let which = match (number, dice.below(4)) {
            (0, _) => 0,
            (_, 0) => dice.below(repeated.len()),
            _ => usual,
        };
        let mut part = with_keys(repeated[which], &wanted, value, dice);
        if number == 0 && !repeated[0].first.is_empty() {
            let (key, _) = repeated[0].keys[0];
            let rest = part.splitn(3, '\n').nth(2).unwrap_or_default();
            part = format!(
                "{}\n{key} = {}\n{rest}",
                repeated[0].heading, repeated[0].first
            );
        }
        parts.push(part);
    }
    let mut text = String::new();
    for part in parts {
        if text.len() + part.len() <= most {
            text.push_str(&part);
        }
    }
    text
}

/// A block with the keys that it needs and those that are wanted, as far as there is a value for them.
fn with_keys(
    block: &Block,
    wanted: &[&str],
    value: fn(Field, &mut Dice) -> String,
    dice: &mut Dice,
) -> String {
    let mut text = format!("{}\n", block.heading);
    for (at, (key, field)) in block.keys.iter().enumerate() {
        if at < block.needed || wanted.contains(key) {
            let value = value(*field, dice);
            if !value.is_empty() {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
    text
}

/// Rows more, or another value in one.
fn table(text: &[u8], heading: &str, fields: &[Field], dice: &mut Dice) -> Vec<u8> {
    let mut changed = text.to_vec();
    if changed.len() < 2 || dice.below(16) == 0 {
        changed.truncate(1);
        changed.extend_from_slice(heading.as_bytes());
    }
    let mut lines: Vec<Vec<u8>> = changed
        .split_inclusive(|octet| *octet == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if dice.below(3) == 0 && lines.len() > 1 {
        let at = 1 + dice.below(lines.len() - 1);
        let mut values: Vec<Vec<u8>> = lines[at]
            .trim_ascii_end()
            .split(|octet| *octet == b',')
            .map(<[u8]>::to_vec)
            .collect();
        let which = dice.below(fields.len());
        if let Some(value) = values.get_mut(which) {
            *value = made(fields[which], dice).into_bytes();
        }
        lines[at] = values.join(&b","[..]);
        lines[at].push(b'\n');
        return lines.concat();
    }
    let count = [1, 1, 2, 2, 6, 6, 24, 24, 90, 200][dice.below(10)];
    // Rows that are all right must come together often, or nothing behind the parser sees many.
    let value = [right, right, sound, made][dice.below(4)];
    let rows = (0..count).map(|_row| row(fields, value, dice).into_bytes());
    let rows = arranged(rows.collect(), dice);
    let at = 1.max(dice.below(lines.len() + 1)).min(lines.len());
    if let Some(last) = lines.last_mut().filter(|line| !line.ends_with(b"\n")) {
        last.push(b'\n');
    }
    lines.splice(at..at, rows);
    lines.concat()
}

/// A block more, a key more, or another value.
fn document(text: &[u8], blocks: &[Block], dice: &mut Dice) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|octet| *octet == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    match dice.below(4) {
        0 => {
            if let Some(last) = lines
                .last_mut()
                .filter(|line| line.len() > 1 && !line.ends_with(b"\n"))
            {
                last.push(b'\n');
            }
            let block = &blocks[dice.below(blocks.len())];
            lines.push(whole(block, dice).into_bytes());
        }
        1 => {
            let block = &blocks[dice.below(blocks.len())];
            let (key, field) = block.keys[dice.below(block.keys.len())];
            let at = heading(&lines, block.heading, dice).map_or(lines.len(), |at| at + 1);
            lines.insert(at, line(key, field, dice).into_bytes());
        }
        _ => other_value(&mut lines, blocks, dice),
    }
    lines.concat()
}

/// One of the lines with this heading.
fn heading(lines: &[Vec<u8>], heading: &str, dice: &mut Dice) -> Option<usize> {
    let at: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].ends_with(format!("{heading}\n").as_bytes()))
        .collect();
    at.get(dice.below(at.len())).copied()
}

/// A key that is there gets a value made for it.
fn other_value(lines: &mut [Vec<u8>], blocks: &[Block], dice: &mut Dice) {
    let keys = || blocks.iter().flat_map(|block| block.keys);
    let known: Vec<(usize, &'static str, Field)> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| {
            let line = line.trim_ascii_start();
            let (key, field) =
                keys().find(|(key, _)| line.starts_with(format!("{key} =").as_bytes()))?;
            Some((at, *key, *field))
        })
        .collect();
    if let Some(&(at, key, field)) = known.get(dice.below(known.len())) {
        lines[at] = line(key, field, dice).into_bytes();
    }
}

fn line(key: &str, field: Field, dice: &mut Dice) -> String {
    format!("{key} = {}\n", sound(field, dice))
}

/// A block with the keys that it needs and some of the others.
fn whole(block: &Block, dice: &mut Dice) -> String {
    let mut text = format!("{}\n", block.heading);
    for (at, (key, field)) in block.keys.iter().enumerate() {
        if at < block.needed || dice.below(4) == 0 {
            text.push_str(&line(key, *field, dice));
        }
    }
    text
}
