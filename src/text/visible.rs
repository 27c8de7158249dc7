//! Visibility of text and characters.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Its category is symbol, but it is displayed as a blank.
const BRAILLE_BLANK: char = '\u{2800}';

/// Returns whether the text has a visible character: one that is displayed, and is not a separator,
/// control or format character (Unicode general categories Z, Cc and Cf). Unassigned characters
/// count as visible, since a later version of Unicode may assign them.
#[must_use]
pub fn has_visible_text(text: &str) -> bool {
    text.chars().any(is_visible)
}

/// Returns whether the character is visible, as defined by [`has_visible_text`].
#[must_use]
pub fn is_visible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_graphic();
    }
    let is_blank = matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    // Hangul fillers are letters and variation selectors are marks, but neither is displayed.
    let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    !is_blank && !is_ignorable && character != BRAILLE_BLANK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_numbers_marks_and_symbols_are_visible() {
        for text in [
            "a",
            " .",
            "0",
            "й",
            "文",
            "👍",
            "👨\u{200d}👩\u{200d}👧",
            "🇩🇪",
            "❤\u{fe0f}",
            "\u{301}",
            "\u{e000}",
            "\u{378}",
            "\u{200b}x\u{200b}",
            "\u{202e}abc",
        ] {
            assert!(has_visible_text(text), "{text:?}");
        }
    }

    #[test]
    fn separators_controls_and_formats_are_invisible() {
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{1}\u{7f}\u{85}",
            "\u{a0}\u{1680}\u{2003}\u{202f}\u{205f}\u{3000}",
            "\u{2028}\u{2029}",
            "\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{202a}\u{202e}\u{2066}\u{2069}\u{61c}",
            "\u{180e}\u{e0001}\u{e0041}",
            "\u{34f}\u{115f}\u{1160}\u{3164}\u{ffa0}",
            "\u{fe0f}\u{fe00}\u{e0100}",
            "\u{2800}",
        ] {
            assert!(!has_visible_text(text), "{text:?}");
        }
    }
}
