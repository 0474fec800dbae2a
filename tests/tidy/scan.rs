//! Reads Rust text as far as tidiness needs it: which paths it names, where, and whether only tests see them.
//!
//! Promises: what stands in comments, strings and character literals is not code; `use` trees are expanded to whole paths; linear in the text.
//! Leaves to the compiler: macros that paste paths together, and names that `use … as` hides after their first mention.

/// A path that code names: `crate::policy::Verdict`, `libc::recvmmsg`. Its first segment tells where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Inline modules around it, outermost first, so that `super` can be counted.
    pub(crate) inline_modules: usize,
    /// Inside an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// What a scan finds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) paths: Vec<Named>,
    /// Lines with the keyword `unsafe`.
    pub(crate) unsafe_lines: Vec<usize>,
    /// Lines where an attribute holds the word `ignore`.
    pub(crate) ignore_lines: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Names, `::` and single signs; no comment, no literal.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&chars, i);
        } else if c == '"' {
            i = after_string(&chars, i);
        } else if c == '\'' {
            i = after_quote(&chars, i);
        } else if c.is_alphabetic() || c == '_' {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            if let Some(after) = after_prefixed_string(&chars, &word, i) {
                i = after;
            } else if word == "r" && at(i) == '#' {
                i += 1; // a raw identifier: its name follows
            } else {
                tokens.push(Token { line, text: word });
            }
        } else if c.is_ascii_digit() {
            // Literals with suffixes and exponents; `1..2` and `1.max()` leave their dots.
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push(Token {
                line,
                text: "::".to_owned(),
            });
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token {
                    line,
                    text: c.to_string(),
                });
            }
            i += 1;
        }
        line += chars[start..i.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    tokens
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

/// `start` is the opening quotation mark.
fn after_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// A character literal, or the mark of a lifetime (whose name is then read as a name, which harms nothing).
fn after_quote(chars: &[char], start: usize) -> usize {
    if chars.get(start + 1) == Some(&'\\') {
        let mut i = start + 3; // past the escaped character, which may be a quote
        while i < chars.len() && chars[i] != '\'' {
            i += 1;
        }
        return i + 1;
    }
    if chars.get(start + 2) == Some(&'\'') {
        start + 3
    } else {
        start + 1
    }
}

/// `b"…"`, `c"…"`, `r"…"`, `br#"…"#`, `b'…'`: where it ends, if `word` is such a prefix and a literal follows at `i`.
fn after_prefixed_string(chars: &[char], word: &str, i: usize) -> Option<usize> {
    match (word, chars.get(i)?) {
        ("b" | "c", '"') => Some(after_string(chars, i)),
        ("b", '\'') => Some(after_quote(chars, i)),
        ("r" | "br" | "cr", '"' | '#') => {
            let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
            if chars.get(i + hashes) != Some(&'"') {
                return None;
            }
            let mut end = i + hashes + 1;
            while end < chars.len() {
                if chars[end] == '"'
                    && chars[end + 1..]
                        .iter()
                        .take(hashes)
                        .filter(|c| **c == '#')
                        .count()
                        == hashes
                {
                    return Some(end + 1 + hashes);
                }
                end += 1;
            }
            Some(end)
        }
        _ => None,
    }
}

/// Scans the text of one file.
pub(crate) fn scan(text: &str) -> Found {
    let tokens = tokens(text);
    let mut found = Found::default();
    let mut scopes: Vec<Scope> = Vec::new();
    // Set by `#[cfg(test)]`, holds for the item that follows.
    let mut test_item = false;
    let mut i = 0;
    while i < tokens.len() {
        let token = &tokens[i];
        let previous = i.checked_sub(1).map(|p| tokens[p].text.as_str());
        let in_test = test_item || scopes.iter().any(|scope| scope.test);
        let inline_modules = scopes.iter().filter(|scope| scope.module).count();
        match token.text.as_str() {
            "#" => {
                let end = after_attribute(&tokens, i);
                let words: Vec<&str> = tokens[i..end].iter().map(|t| t.text.as_str()).collect();
                if words.contains(&"cfg") && words.contains(&"test") && !words.contains(&"not") {
                    test_item = true;
                }
                found.ignore_lines.extend(
                    tokens[i..end]
                        .iter()
                        .filter(|t| t.text == "ignore")
                        .map(|t| t.line),
                );
                // `#[serde(default)]` names the crate without a path.
                let first = tokens[i..end].iter().position(Token::is_name);
                if let Some(first) = first
                    .map(|first| i + first)
                    .filter(|first| tokens.get(first + 1).is_some_and(|t| t.text != "::"))
                {
                    let segments = vec![tokens[first].text.clone()];
                    found.paths.push(Named {
                        line: tokens[first].line,
                        segments,
                        inline_modules,
                        in_test,
                    });
                }
                // The paths inside it are read as any others.
                i += 1;
                continue;
            }
            "{" => {
                let module = i >= 2 && tokens[i - 2].text == "mod";
                scopes.push(Scope {
                    test: test_item,
                    module,
                });
                test_item = false;
            }
            "}" => {
                scopes.pop();
            }
            ";" if test_item => test_item = false,
            "unsafe" => found.unsafe_lines.push(token.line),
            // But not `impl Trait + use<'a>`, which imports nothing.
            "use" if tokens.get(i + 1).is_some_and(|next| next.text != "<") => {
                let mut trees = Vec::new();
                let end = use_tree(&tokens, i + 1, &[], &mut trees);
                found
                    .paths
                    .extend(trees.into_iter().map(|(line, segments)| Named {
                        line,
                        segments,
                        inline_modules,
                        in_test,
                    }));
                i = end;
                continue;
            }
            "crate" if previous == Some("extern") => {
                if let Some(name) = tokens.get(i + 1) {
                    let segments = vec![name.text.clone()];
                    found.paths.push(Named {
                        line: token.line,
                        segments,
                        inline_modules,
                        in_test,
                    });
                }
            }
            _ if token.is_name()
                && previous != Some("::")
                && tokens.get(i + 1).is_some_and(|t| t.text == "::") =>
            {
                let (end, segments) = path_from(&tokens, i);
                found.paths.push(Named {
                    line: token.line,
                    segments,
                    inline_modules,
                    in_test,
                });
                i = end;
                continue;
            }
            // `::libc::read`: a path from the root of all crates.
            "::" if !previous.is_some_and(|p| {
                p == ">" || p.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            }) =>
            {
                let (end, segments) = path_from(&tokens, i + 1);
                found.paths.push(Named {
                    line: token.line,
                    segments,
                    inline_modules,
                    in_test,
                });
                i = end.max(i + 1);
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found.paths.retain(|path| !path.segments.is_empty());
    found
}

struct Scope {
    test: bool,
    module: bool,
}

/// The names of `a::b::c` from `start`, and the index after them.
fn path_from(tokens: &[Token], start: usize) -> (usize, Vec<String>) {
    let mut segments = Vec::new();
    let mut i = start;
    while tokens.get(i).is_some_and(Token::is_name) {
        segments.push(tokens[i].text.clone());
        if tokens.get(i + 1).is_some_and(|t| t.text == "::")
            && tokens.get(i + 2).is_some_and(Token::is_name)
        {
            i += 2;
        } else {
            return (i + 1, segments);
        }
    }
    (i, segments)
}

/// The index after the attribute whose `#` stands at `start`.
fn after_attribute(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(start + 1) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return i + 1,
            "]" => depth -= 1,
            "!" => {}
            _ if depth == 0 => return start + 1, // not an attribute
            _ => {}
        }
    }
    tokens.len()
}

/// Expands the tree of a `use` from `start`, below `above`; returns the index of what ends it (`;`, `,`, `}`).
fn use_tree(
    tokens: &[Token],
    start: usize,
    above: &[String],
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut segments = above.to_vec();
    let mut i = start;
    let line = tokens.get(start).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "::" => {}
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| t.text != "}") {
                    i = use_tree(tokens, i, &segments, paths);
                    if tokens.get(i).is_some_and(|t| t.text == ",") {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "as" => {
                i += 2; // the other name
                break;
            }
            "*" => segments.push("*".to_owned()),
            _ if token.is_name() => segments.push(token.text.clone()),
            _ => break,
        }
        i += 1;
    }
    paths.push((line, segments));
    i.max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::scan;

    fn named(text: &str) -> Vec<String> {
        scan(text)
            .paths
            .iter()
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        for text in [
            "// use mio::Poll;",
            "/* mio::Poll /* libc::read */ mio::x */",
            "\"mio::Poll \\\" mio::Poll\"",
            "r#\"mio::Poll \" mio::Poll\"#",
            "b\"mio::Poll\"",
            "br##\"mio::\"# mio::Poll\"##",
            "('\"', '\\'', b'\"', '\\u{1F600}')",
            "/// unsafe mio::Poll",
        ] {
            assert_eq!(named(text), Vec::<String>::new(), "{text}");
            assert_eq!(scan(text).unsafe_lines, Vec::<usize>::new(), "{text}");
        }
        // What follows a literal is code again.
        for text in [
            "'\"'; mio::Poll",
            "\"\\\\\"; mio::Poll",
            "r\"\\\"; mio::Poll",
            "fn f<'a>(x: &'a mio::Poll)",
            "b'\\''; mio::Poll",
        ] {
            assert_eq!(named(text), ["mio::Poll"], "{text}");
        }
    }

    #[test]
    fn a_use_tree_is_every_path_in_it() {
        assert_eq!(
            named("use crate::{policy::{Verdict, cell::*}, sip as s, uas};"),
            [
                "crate::policy::Verdict",
                "crate::policy::cell::*",
                "crate::sip",
                "crate::uas"
            ]
        );
        assert_eq!(named("use ::libc::read; use mio; x"), ["libc::read", "mio"]);
        assert_eq!(
            named("pub(crate) use super::super::net;"),
            ["super::super::net"]
        );
        assert_eq!(named("extern crate libc;"), ["libc"]);
        assert_eq!(
            named("fn f() -> impl X + use<'_, T> { mio::a() }"),
            ["mio::a"]
        );
    }

    #[test]
    fn a_path_in_an_expression_or_attribute_is_found() {
        assert_eq!(
            named("let x = crate::net::Batch::new(libc::AF_INET);"),
            ["crate::net::Batch::new", "libc::AF_INET"]
        );
        assert_eq!(named("#[serde(default)] a: u8"), ["serde"]);
        assert_eq!(
            named("#[derive(serde::Deserialize)] struct S;"),
            ["derive", "serde::Deserialize"]
        );
        assert_eq!(named("Vec::<mio::Poll>::new()"), ["Vec", "mio::Poll"]);
        assert_eq!(
            named("<T as mio::Source>::x(::libc::y())"),
            ["mio::Source", "libc::y"]
        );
        assert_eq!(named("a.b::<u8>()"), ["b"]);
    }

    #[test]
    fn test_items_and_inline_modules_are_known() {
        let text = "mio::a();\n#[cfg(test)]\nmod tests {\n  use super::x;\n  fn f() { mio::b() }\n}\nmio::c();\n#[cfg(test)] use mio::d;\nmio::e();";
        let found: Vec<_> = scan(text)
            .paths
            .into_iter()
            .filter(|path| path.segments[0] == "mio" || path.segments[0] == "super")
            .map(|path| {
                (
                    path.segments.join("::"),
                    path.line,
                    path.in_test,
                    path.inline_modules,
                )
            })
            .collect();
        let expected = [
            ("mio::a", 1, false, 0),
            ("super::x", 4, true, 1),
            ("mio::b", 5, true, 1),
            ("mio::c", 7, false, 0),
            ("mio::d", 8, true, 0),
            ("mio::e", 9, false, 0),
        ];
        assert_eq!(
            found,
            expected.map(|(path, line, test, depth)| (path.to_owned(), line, test, depth))
        );
        assert!(
            !scan("#[cfg(not(test))] fn f() { mio::a() }")
                .paths
                .iter()
                .any(|path| path.in_test)
        );
    }

    #[test]
    fn unsafe_and_ignore_are_found_as_words() {
        assert_eq!(
            scan("#![expect(unsafe_code)]\nfn f() {\n unsafe { g() }\n}").unsafe_lines,
            [3]
        );
        assert_eq!(
            scan("#[test]\n#[ignore = \"slow\"]\nfn f() { ignore(); }").ignore_lines,
            [2]
        );
        assert_eq!(scan("#[cfg_attr(miri, ignore)]").ignore_lines, [1]);
    }
}
