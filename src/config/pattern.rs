//! A regular expression configured by the operator, in JavaScript notation: `/^.{8,}$/i`, or
//! without the slashes. Directus uses this notation, and some of its own patterns have look-arounds
//! (`(?=…)`), so they are supported.
//!
//! The matched texts come from clients. Patterns without look-arounds or back-references match in
//! linear time. Other patterns backtrack, which can take very long, so the number of steps and the
//! length of the text are bounded.

use std::fmt;
use std::sync::Arc;

/// Maximum length of a pattern in characters.
const CHARACTERS_MAX: usize = 1000;
/// Maximum size of a compiled pattern in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Maximum number of instructions of a pattern with look-arounds.
const INSTRUCTIONS_MAX: usize = 10_000;
/// Maximum number of backtracking steps. Each step may scan the whole text.
const STEPS_MAX: usize = 50_000;
/// Maximum length in bytes of a text matched by a pattern with look-arounds.
const LOOKED_AROUND_BYTES_MAX: usize = 8 * 1024;

/// A regular expression.
#[derive(Clone)]
pub struct Pattern(Engine);

#[derive(Clone)]
enum Engine {
    /// Matches in linear time.
    Linear(Arc<regex::Regex>),
    /// Has look-arounds or back-references.
    Backtracking(Arc<fancy_regex::Regex>),
}

/// Why a match could not be decided.
#[derive(Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The text is too long for a backtracking pattern.
    TooLong {
        /// The maximum in bytes.
        most: usize,
    },
    /// The match took too many steps.
    TooManySteps,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { most } => write!(
                f,
                "a pattern with look-around or back-references (\"(?=\", \"(?!\", \"\\1\") can \
                 check at most {most} bytes"
            ),
            Self::TooManySteps => f.write_str("the pattern needs too many steps for this text"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Engine::Linear(regex) => regex.as_str(),
            Engine::Backtracking(regex) => regex.as_str(),
        })
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The expected format, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let should = || "a regular expression of at most 1000 characters, such as ^.{12,}$";
        if text.is_empty() || text.chars().count() > CHARACTERS_MAX {
            return Err(should().to_owned());
        }
        let (body, flags) = parts(text);
        let linear = regex::RegexBuilder::new(body)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .dot_matches_new_line(flags.contains('s'))
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        if let Ok(regex) = linear {
            return Ok(Self(Engine::Linear(Arc::new(regex))));
        }
        let backtracking = fancy_regex::RegexBuilder::new(body)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .dot_matches_new_line(flags.contains('s'))
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .max_prog_size(INSTRUCTIONS_MAX)
            .backtrack_limit(STEPS_MAX)
            .build();
        backtracking
            .map(|regex| Self(Engine::Backtracking(Arc::new(regex))))
            .map_err(|_| should().to_owned())
    }

    /// Returns whether matching takes linear time.
    #[must_use]
    pub const fn is_linear(&self) -> bool {
        matches!(self.0, Engine::Linear(_))
    }

    /// Returns whether the pattern matches part of the text. May be slow: see
    /// [`Pattern::is_linear`].
    ///
    /// # Errors
    /// `Undecided`.
    pub fn fits(&self, text: &str) -> Result<bool, Undecided> {
        match &self.0 {
            Engine::Linear(regex) => Ok(regex.is_match(text)),
            Engine::Backtracking(_) if text.len() > LOOKED_AROUND_BYTES_MAX => {
                Err(Undecided::TooLong { most: LOOKED_AROUND_BYTES_MAX })
            }
            Engine::Backtracking(regex) => {
                regex.is_match(text).map_err(|_| Undecided::TooManySteps)
            }
        }
    }
}

/// Splits `/body/flags`; a text without enclosing slashes is a body.
fn parts(text: &str) -> (&str, &str) {
    let Some((body, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return (text, "");
    };
    if flags.chars().all(|flag| "dgimsuvy".contains(flag)) { (body, flags) } else { (text, "") }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[track_caller]
    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().fits(text).unwrap()
    }

    #[test]
    fn the_patterns_of_directus_are_supported() {
        let strong = "/(?=^.{8,}$)(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s)(?=.*[A-Z])(?=.*[a-z]).*$/";

        assert!(fits("/^.{8,}$/", "12345678") && !fits("/^.{8,}$/", "1234567"));
        assert!(fits(strong, "Abcdefg1!"));
        for weak in ["abcdefg1!", "ABCDEFG1!", "Abcdefgh!", "Abcdefg12", "Ab1!", "Abcdef 1!"] {
            assert!(!fits(strong, weak), "{weak}");
        }
        assert!(Pattern::parse("/^.{8,}$/").unwrap().is_linear());
        assert!(!Pattern::parse(strong).unwrap().is_linear());
    }

    #[test]
    fn slashes_and_flags_are_optional() {
        assert!(fits("^a+$", "aa") && !fits("^a+$", "AA"));
        assert!(fits("/^a+$/i", "AA"));
        assert!(fits("/^(?=a)a+$/i", "AA"));
        assert!(fits("a/b", "a/b") && fits("/a/b", "/a/b"));
    }

    #[test]
    fn invalid_and_oversized_patterns_are_rejected() {
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
    fn backtracking_is_bounded() {
        let start = Instant::now();
        let slow = Pattern::parse("^(?=(a+)+b)(a|aa)+\\1c$").unwrap();

        assert_eq!(slow.fits(&("a".repeat(1024) + "b")), Err(Undecided::TooManySteps));
        let slow = Pattern::parse("/(?=x?)(a+)+$/").unwrap();
        let most = LOOKED_AROUND_BYTES_MAX;
        assert_eq!(slow.fits(&"a".repeat(most + 1)), Err(Undecided::TooLong { most }));
        // A pattern without a look-around takes linear time.
        assert!(!fits("/(a+)+$/", &("a".repeat(1_000_000) + "!")));

        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
