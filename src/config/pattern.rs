//! A regular expression that an operator sets, in the form of JavaScript: `/^.{8,}$/i`, or without the
//! slashes. Directus writes them so, and some of its own look around (`(?=…)`), which is why this
//! one can.
//!
//! Whoever tries to fit it may be anybody: size, memory and steps have bounds.

use std::fmt;
use std::sync::Arc;

use fancy_regex::Regex;
use fancy_regex::RegexBuilder;

/// How long one may be, in characters.
const CHARACTERS_MAX: usize = 1000;
/// How much memory one may take once it is compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// How many instructions it may have where it looks around.
const INSTRUCTIONS_MAX: usize = 10_000;
/// How often a search may go back and try another way; then the text does not fit.
const STEPS_MAX: usize = 100_000;

/// A regular expression.
#[derive(Clone)]
pub struct Pattern(Arc<Regex>);

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// What it should be, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let should = || "a regular expression of at most 1000 characters, such as ^.{12,}$";
        if text.is_empty() || text.chars().count() > CHARACTERS_MAX {
            return Err(should().to_owned());
        }
        let (body, flags) = parts(text);
        let built = RegexBuilder::new(body)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .dot_matches_new_line(flags.contains('s'))
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .max_prog_size(INSTRUCTIONS_MAX)
            .backtrack_limit(STEPS_MAX)
            .build();
        built.map(|regex| Self(Arc::new(regex))).map_err(|_| should().to_owned())
    }

    /// Returns whether some part of the text fits; a text that takes too many steps does not.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text).unwrap_or(false)
    }
}

/// Splits `/body/flags`; a text without slashes around it is a body.
fn parts(text: &str) -> (&str, &str) {
    let Some((body, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return (text, "");
    };
    if flags.chars().all(|flag| "dgimsuvy".contains(flag)) { (body, flags) } else { (text, "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().fits(text)
    }

    #[test]
    fn the_patterns_of_directus_are_understood() {
        let strong = "/(?=^.{8,}$)(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s)(?=.*[A-Z])(?=.*[a-z]).*$/";

        assert!(fits("/^.{8,}$/", "12345678") && !fits("/^.{8,}$/", "1234567"));
        assert!(fits(strong, "Abcdefg1!"));
        for weak in ["abcdefg1!", "ABCDEFG1!", "Abcdefgh!", "Abcdefg12", "Ab1!", "Abcdef 1!"] {
            assert!(!fits(strong, weak), "{weak}");
        }
    }

    #[test]
    fn slashes_and_flags_are_optional() {
        assert!(fits("^a+$", "aa") && !fits("^a+$", "AA"));
        assert!(fits("/^a+$/i", "AA"));
        assert!(fits("a/b", "a/b") && fits("/a/b", "/a/b"));
    }

    #[test]
    fn what_is_none_or_too_large_is_refused() {
        for wrong in [
            "",
            "(",
            "/(/",
            "(?:(?:\\w{300}){300}){300}",
            "(?=((\\w{300}){300}){300})a",
            &"a".repeat(1001),
        ] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_that_would_take_for_ever_does_not_fit() {
        let slow = Pattern::parse("^(?=(a+)+b)(a|aa)+\\1c$").unwrap();
        let start = std::time::Instant::now();

        assert!(!slow.fits(&"a".repeat(1024)));

        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
