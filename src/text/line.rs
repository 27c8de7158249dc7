//! Single-line texts such as names, without invisible characters and without characters that affect
//! the surrounding text.

use std::borrow::Cow;

/// Characters from here on may need an invisible joiner, as in Arabic and Indic scripts and in
/// emoji. Latin, Greek and Cyrillic need none.
const JOINED_FROM: char = '\u{530}';

/// Returns the text on one line. Control characters and line breaks become spaces. Invisible
/// characters, bidirectional controls, and blanks at both ends are removed.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text.trim());
    }
    let mut line = String::with_capacity(text.len());
    let mut last = ' ';
    for letter in text.chars() {
        let kept = match letter {
            _ if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => ' ',
            _ if is_hidden(letter) || (is_bound(letter) && last < JOINED_FROM) => continue,
            _ => letter,
        };
        line.push(kept);
        last = kept;
    }
    let trimmed = line.trim_matches(|letter: char| letter.is_whitespace() || is_blank(letter));
    if trimmed == text { Cow::Borrowed(text) } else { Cow::Owned(trimmed.to_owned()) }
}

/// Returns whether the character is invisible and does not affect the preceding character.
const fn is_hidden(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Returns whether the character is a joiner, a variation selector or a tag.
const fn is_bound(letter: char) -> bool {
    matches!(
        letter,
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Returns whether the character is a letter or symbol that looks like a blank.
const fn is_blank(letter: char) -> bool {
    matches!(letter, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_removed() {
        for (text, expected) in [
            ("Alice", "Alice"),
            ("  Alice Liddell\n", "Alice Liddell"),
            ("Al\nice\t\u{7}", "Al ice"),
            ("Al\u{2028}ice", "Al ice"),
            ("Ad\u{200b}min", "Admin"),
            ("Ad\u{200d}min\u{fe0f}", "Admin"),
            ("\u{feff}Admin\u{e0041}", "Admin"),
            ("\u{202e}nimdA\u{2066}", "nimdA"),
            ("\u{3000}\u{a0}\u{3164}", ""),
            ("\u{200b}", ""),
            ("", ""),
            ("Zoë", "Zoë"),
            ("Ольга", "Ольга"),
            ("مهدی‌نژاد", "مهدی‌نژاد"),
            ("❤\u{fe0f}👩\u{200d}👧", "❤\u{fe0f}👩\u{200d}👧"),
            ("🏴\u{e0067}\u{e0062}\u{e007f}", "🏴\u{e0067}\u{e0062}\u{e007f}"),
        ] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
    }
}
