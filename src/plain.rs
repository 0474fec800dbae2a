//! Which characters of a stranger's text a terminal, an editor or a reader of lines may take for more than text.
//!
//! Leaves to its users: how such a character is shown.

/// Controls, separators of lines, and what changes the direction of writing or is not seen (Unicode's `Cc`, `Zl`, `Zp`,
/// the bidirectional controls, the zero-width ones). All are below U+10000, so four digits do.
pub(crate) fn is_unsafe(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}
