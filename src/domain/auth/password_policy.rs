//! The rules for new passwords: a minimum length, some visible text, no common password, and the
//! operator's patterns. There are no rules on character classes, and passwords are used unchanged.
//!
//! `Passwords::hash_new` applies the rules. Existing passwords are never checked.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use serde_json::json;

use crate::config::Pattern;
use crate::domain::settings::Settings;
use crate::domain::{Error, Violation};
use crate::model::schema::settings as columns;
use crate::text::has_visible_text;

/// Minimum length of a password in characters (NIST SP 800-63B, ASVS 6.2.1).
pub const CHARACTERS_MIN: usize = 8;

/// The most common passwords. The file names its source.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// The policy for new passwords.
#[derive(Clone, Default)]
pub struct PasswordPolicy {
    pattern: Option<Pattern>,
    settings: Option<Arc<Settings>>,
}

impl PasswordPolicy {
    /// Creates a policy of the built-in rules, this pattern, and the pattern that `/settings` holds
    /// at the time of each check.
    #[must_use]
    pub const fn new(pattern: Option<Pattern>, settings: Arc<Settings>) -> Self {
        Self { pattern, settings: Some(settings) }
    }

    /// Returns the rules in force now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn demands(&self) -> Result<Demands, Error> {
        let set = match &self.settings {
            Some(settings) => {
                let settings = settings.in_force().await?;
                settings.text(&columns::auth_password_policy).map(str::to_owned)
            }
            None => None,
        };
        Ok(Demands { pattern: self.pattern.clone(), set })
    }
}

/// The rules in force at one moment.
pub struct Demands {
    pattern: Option<Pattern>,
    /// The pattern of `/settings`, unparsed.
    set: Option<String>,
}

impl Demands {
    /// Returns whether there is a pattern besides the built-in rules.
    #[must_use]
    pub const fn have_patterns(&self) -> bool {
        self.pattern.is_some() || self.set.is_some()
    }

    /// Checks a new password. Matching a pattern may take long, so this must not run on a thread
    /// that serves clients.
    ///
    /// # Errors
    /// [`Error::FailedValidation`], which names the violated rule and never contains the password;
    /// [`Error::Unprocessable`] if `auth_password_policy` is malformed, or matching takes too long.
    pub fn check(&self, password: &str) -> Result<(), Error> {
        check(password, self.pattern.as_ref())?;
        let Some(text) = &self.set else { return Ok(()) };
        let pattern = Pattern::parse(text).map_err(|should| {
            Error::Unprocessable(format!("\"auth_password_policy\" of /settings must be {should}"))
        })?;
        check(password, Some(&pattern))
    }
}

/// Checks a password against the built-in rules and the pattern.
///
/// # Errors
/// As [`Demands::check`].
pub fn check(password: &str, pattern: Option<&Pattern>) -> Result<(), Error> {
    let fits = || match pattern.map_or(Ok(true), |pattern| pattern.fits(password)) {
        Ok(fits) => Ok(fits),
        Err(reason) => Err(Error::Unprocessable(format!(
            "the password cannot be checked against AUTH_PASSWORD_POLICY or \
             \"auth_password_policy\": {reason}. Choose a shorter password, or ask an \
             administrator to change the pattern"
        ))),
    };
    let (kind, details) = if password.chars().count() < CHARACTERS_MIN {
        ("min_length", vec![("valid", json!(CHARACTERS_MIN))])
    } else if !has_visible_text(password) {
        ("nempty", vec![])
    } else if is_common(password) {
        ("common", vec![])
    } else if fits()? {
        return Ok(());
    } else {
        ("regex", vec![])
    };
    let field = "password".to_owned();
    Err(Error::FailedValidation(vec![Violation { field, kind, details }]))
}

/// Returns whether a password is on the list of common ones, ignoring case.
#[must_use]
pub fn is_common(password: &str) -> bool {
    COMMON.contains(password.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(password: &str, pattern: Option<&str>) -> &'static str {
        let pattern = pattern.map(|text| Pattern::parse(text).unwrap());
        match check(password, pattern.as_ref()) {
            Ok(()) => "",
            Err(Error::FailedValidation(violations)) => violations[0].kind,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn three_thousand_common_passwords_are_known() {
        assert_eq!(COMMON.len(), 3000);
        assert!(COMMON.iter().all(|line| line.chars().count() >= CHARACTERS_MIN));
        assert!(COMMON.iter().all(|line| *line == line.to_lowercase()));
    }

    #[test]
    fn short_common_and_blank_passwords_are_refused() {
        for (password, found) in [
            ("", "min_length"),
            ("sevensz", "min_length"),
            ("ééééééé", "min_length"),
            ("password", "common"),
            ("PassWord", "common"),
            ("12345678", "common"),
            ("correct horse", ""),
            ("        ", "nempty"),
            (&"\u{200b}".repeat(8), "nempty"),
            ("a       ", ""),
            ("éééééééé", ""),
            (&"long ".repeat(200), ""),
        ] {
            assert_eq!(refusal(password, None), found, "{password}");
        }
    }

    #[test]
    fn a_pattern_adds_requirements() {
        assert_eq!(refusal("correct horse", Some("/^.{14,}$/")), "regex");
        assert_eq!(refusal("correct horses", Some("/^.{14,}$/")), "");
        assert_eq!(refusal("password", Some("/^p/")), "common");
    }
}
