//! Case folding: texts that differ only in case have the same fold.
//!
//! A fold is Unicode's full case folding between normal forms: NFC(fold(NFD(text))). Canonically
//! equivalent texts (é as one character or two) therefore have the same fold. A fold may be longer
//! than its text: `ß` folds to `ss`.
//!
//! In-memory comparisons, SQL (see `store::dialect`) and the search index all use this function.

use std::borrow::Cow;
use std::sync::LazyLock;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfd();

/// Nearly all cased letters are below: Latin, Greek, Cyrillic, Armenian, Georgian.
const TABLE_END: u32 = 0x2000;

/// The folds of the characters below [`TABLE_END`]. NUL marks characters for which [`stands_alone`]
/// is false, and folds of more than one character.
static TABLE: LazyLock<Vec<char>> = LazyLock::new(|| {
    let letter = |code| char::from_u32(code).filter(|letter| stands_alone(*letter));
    let fold = |letter: char| {
        let folded = fold_in_full(letter.encode_utf8(&mut [0; 4]));
        let mut letters = folded.chars();
        letters.next().filter(|_| letters.next().is_none())
    };
    (0..TABLE_END).map(|code| letter(code).and_then(fold).unwrap_or('\0')).collect()
});

/// Returns the fold of a text. Texts that differ only in case have the same fold.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(fold_one_by_one(text).unwrap_or_else(|| fold_in_full(text)))
}

/// Returns whether the character and its fold are known not to combine with a preceding character.
/// A text can be split before such a character: the folds of both parts, concatenated, are the fold
/// of the text. The check is conservative: it is false for some characters that do not combine.
#[must_use]
pub fn stands_alone(letter: char) -> bool {
    match letter {
        // Their lowercase letters are outside the ranges below.
        '\u{23a}' | '\u{23e}' => false,
        // Greek to N'Ko: all combining characters there have a non-zero combining class.
        '\u{300}'..='\u{7ff}' => CanonicalCombiningClassMapBorrowed::new().get_u8(letter) == 0,
        // Latin, accented Latin and Greek; punctuation; kana; ideographs; Hangul syllables; symbols
        // and emoji.
        '\0'..='\u{2ff}'
        | '\u{1e00}'..='\u{1fff}'
        | '\u{2010}'..='\u{205e}'
        | '\u{3000}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a0}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{2a6df}' => true,
        _ => false,
    }
}

/// Folds a text character by character; `None` if some character does not stand alone.
fn fold_one_by_one(text: &str) -> Option<String> {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        if u32::from(letter) < TABLE_END {
            match TABLE[letter as usize] {
                '\0' if stands_alone(letter) => {
                    folded.push_str(&fold_in_full(letter.encode_utf8(&mut [0; 4])));
                }
                '\0' => return None,
                known => folded.push(known),
            }
        } else if stands_alone(letter) {
            folded.push(letter);
        } else {
            return None;
        }
    }
    Some(folded)
}

fn fold_in_full(text: &str) -> String {
    NFC.normalize(&CASES.fold_string(&NFD.normalize(text))).into_owned()
}

#[cfg(test)]
mod tests {
    use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};

    use super::*;

    #[test]
    fn case_and_normalization_variants_fold_alike() {
        for same in [
            &["Hello", "HELLO", "hello"][..],
            &["Привет, Мир", "ПРИВЕТ, МИР", "привет, мир"],
            &["Ёлка", "ёлка", "Е\u{308}лка", "е\u{308}ЛКА"],
            &["ΑΘΗΝΑΣ", "Αθηνας", "αθηνασ", "αθηνας"],
            &["straße", "STRASSE", "STRAẞE", "strasse"],
            &["İstanbul", "i\u{307}stanbul", "I\u{307}STANBUL"],
            &["café", "CAFE\u{301}", "Cafe\u{301}"],
            &["\u{212a}elvin", "Kelvin", "kelvin"],
            &["\u{212b}ngström", "Ångström", "a\u{30a}ngstro\u{308}m"],
            &["ﬁnd", "FIND", "find"],
            &["ᾳ", "α\u{345}", "ΑΙ", "αι"],
            &["각", "\u{1100}\u{1161}\u{11a8}"],
            &["が", "か\u{3099}"],
            &["q\u{307}\u{323}", "Q\u{323}\u{307}"],
            &["", ""],
        ] {
            for text in same {
                assert_eq!(fold(text), fold(same[0]), "{text} {}", same[0]);
                assert_eq!(fold(&fold(text)), fold(text), "{text}");
            }
        }
        for (one, other) in [("i", "ı"), ("e", "é"), ("и", "й"), ("が", "か"), ("①", "1")] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn folded_text_is_borrowed() {
        assert!(matches!(fold("plain text, 100%"), Cow::Borrowed(_)));
    }

    #[test]
    fn standalone_characters_do_not_combine_backwards() {
        let decompositions = CanonicalDecompositionBorrowed::new();
        let classes = CanonicalCombiningClassMapBorrowed::new();
        let letters = || (0..=0x0010_ffff).filter_map(char::from_u32);
        let mut seconds = 0;
        for letter in letters() {
            if let Decomposed::Expansion(_, second) = decompositions.decompose(letter) {
                // Includes Hangul syllables: the jamo they consist of never stand alone.
                assert!(!stands_alone(second), "{letter:?} {second:?}");
                seconds += 1;
            }
        }
        assert!(seconds > 10_000, "{seconds}");
        let is_wrong = |letter: &char| {
            let folded = fold_in_full(&letter.to_string());
            classes.get_u8(*letter) != 0
                || !folded.chars().next().is_some_and(stands_alone)
                || fold_one_by_one(&letter.to_string()) != Some(folded)
        };
        let wrong = letters().filter(|letter| stands_alone(*letter) && is_wrong(letter));
        assert_eq!(wrong.collect::<String>(), "");
    }

    #[test]
    fn text_can_be_split_before_a_standalone_character() {
        let pieces = ["a", "é", "e\u{301}", "ß", "Σ", "И\u{306}", "각", "か", "ﬁ", "İ", "\u{345}"];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let text = [first, second, third].concat();
                    for (place, letter) in text.char_indices() {
                        if stands_alone(letter) {
                            let (before, behind) = text.split_at(place);
                            let parts = fold_in_full(before) + &fold_in_full(behind);
                            assert_eq!(fold(&text), parts, "{before:?} {behind:?}");
                        }
                    }
                }
            }
        }
    }
}
