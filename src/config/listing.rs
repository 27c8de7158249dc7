//! The settings as they were read, for `.env.example` and `chinwag settings`.

use crate::config::reader::Reader;
use crate::config::suggest;
use crate::config::table::Section;
use crate::config::{Config, InvalidSetting};

/// Stands for the name of a provider in the names of its settings.
pub const PROVIDER: &str = "<NAME>";

/// A setting as it was read.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// Its value as text, valid or not; `***` for a secret, empty if it is not set.
    pub value: String,
    /// Where the value in effect comes from.
    pub source: Source,
    /// The default as text; empty for none.
    pub default: String,
    /// Whether the default depends on other settings.
    pub is_derived: bool,
    /// Whether the value is never shown.
    pub is_secret: bool,
    /// The heading above it.
    pub heading: &'static str,
    /// The lines of its doc comment.
    lines: &'static [&'static str],
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The environment of the process.
    Environment,
    /// `.env`.
    File,
    /// The program.
    Default,
}

/// All settings as they were read, in the order of the tables.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The settings, those of providers for each provider.
    pub settings: Vec<Setting>,
    /// All errors, including those of lines of `.env` and of misspelt names.
    pub invalid: Vec<InvalidSetting>,
}

impl Setting {
    pub(super) fn new(name: String, heading: &'static str, lines: &'static [&'static str]) -> Self {
        let (value, default) = (String::new(), String::new());
        let (is_derived, is_secret, source) = (false, false, Source::Default);
        Self { name, value, source, default, is_derived, is_secret, heading, lines }
    }

    /// Returns the value in effect as text.
    #[must_use]
    pub fn in_effect(&self) -> &str {
        if self.source == Source::Default { &self.default } else { &self.value }
    }

    /// Returns its explanation as plain text, in one line.
    #[must_use]
    pub fn explanation(&self) -> String {
        let text = self.lines.concat();
        let pieces = text.trim().split('`').enumerate().map(|(index, piece)| {
            let is_variable = !piece.contains(|c: char| c.is_lowercase() || c == ' ');
            if index % 2 == 0 || is_variable { piece.to_owned() } else { format!("`{piece}`") }
        });
        pieces.collect()
    }

    /// Returns the first sentence of its explanation.
    #[must_use]
    pub fn purpose(&self) -> String {
        let text = self.explanation();
        let end = text.find(". ").map_or(text.len(), |end| end + 1);
        text[..end].to_owned()
    }

    /// Returns whether `<NAME>` stands for the name of each provider in its name.
    #[must_use]
    pub fn is_per_provider(&self) -> bool {
        self.name.contains(PROVIDER)
    }
}

impl Listing {
    /// Reads the settings from the process environment and `.env`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(Reader::from_env())
    }

    /// Reads the settings from these texts.
    #[must_use]
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        Self::new(Reader::from_texts(texts))
    }

    fn new(mut reader: Reader) -> Self {
        Config::read(&mut reader);
        let (mut settings, invalid) = reader.finish();
        settings.retain(|setting| !setting.is_per_provider());
        Self { settings, invalid }
    }

    /// Finds a setting by its name, ignoring case.
    ///
    /// # Errors
    /// The names that are close to it, if there is no such setting.
    pub fn find(&self, name: &str) -> Result<&Setting, Vec<&str>> {
        let name = name.to_ascii_uppercase();
        let found = self.settings.iter().find(|setting| setting.name == name);
        let names = self.settings.iter().map(|setting| setting.name.as_str());
        found.ok_or_else(|| suggest::near(&name, names))
    }

    /// Returns the errors of a setting.
    pub fn errors(&self, name: &str) -> impl Iterator<Item = &InvalidSetting> {
        self.invalid.iter().filter(move |invalid| invalid.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[(&str, &str)]) -> Listing {
        Listing::from_texts(texts.iter().copied())
    }

    #[test]
    fn defaults_that_depend_on_other_settings_are_listed() {
        for (texts, name, default) in [
            (&[][..], "EMAIL_SMTP_PORT", "587"),
            (&[("EMAIL_SMTP_SECURE", "true")], "email_smtp_port", "465"),
            (&[("QUERY_LIMIT_MAX", "50")], "QUERY_LIMIT_DEFAULT", "50"),
            (&[("WEBSOCKETS_REST_AUTH", "handshake")], "WEBSOCKETS_CURSORS", "false"),
            (&[("AUTH_PROVIDERS", "Google")], "AUTH_GOOGLE_IDENTIFIER_KEY", "sub"),
        ] {
            let listing = list(texts);

            let found = listing.find(name).unwrap();
            assert_eq!((found.in_effect(), found.default.as_str()), (default, default), "{name}");
            assert_eq!(found.source, Source::Default, "{name}");
        }
    }

    #[test]
    fn an_invalid_value_is_listed_with_its_error() {
        let listing = list(&[
            ("PORT", "http"),
            ("HASH_PARALLELISM", "64"),
            ("HASH_MEMORY_COST", "32"),
            ("AUTH_PROVIDERS", "google"),
            ("AUTH_GOOGLE_SCPE", "email"),
        ]);

        let error = |name: &str| listing.errors(name).next().map(|it| it.should.clone());
        assert_eq!(listing.find("PORT").unwrap().in_effect(), "http");
        assert_eq!(error("PORT").unwrap(), "a whole number from 0 to 65535");
        assert!(error("HASH_MEMORY_COST").unwrap().contains("at least 8 times HASH_PARALLELISM"));
        assert!(error("AUTH_GOOGLE_CLIENT_ID").unwrap().starts_with("set, since"));
        assert_eq!(error("HOST"), None);
        assert_eq!(error("AUTH_GOOGLE_SCPE").unwrap(), "AUTH_GOOGLE_SCOPE: no such setting");
    }

    #[test]
    fn a_secret_is_never_listed() {
        const VALUE: &str = "hunter2";

        let providers = [("AUTH_PROVIDERS", "google")];
        let secrets: Vec<String> = list(&providers)
            .settings
            .into_iter()
            .filter_map(|setting| setting.is_secret.then_some(setting.name))
            .collect();
        assert_eq!(secrets.len(), 4, "{secrets:?}");
        // Too short for some of them, which is an error.
        let longer = VALUE.repeat(10);
        for text in [VALUE, &longer] {
            let texts = secrets.iter().map(|name| (name.as_str(), text));
            let listing = Listing::from_texts(texts.chain(providers));
            for name in &secrets {
                assert_eq!(listing.find(name).unwrap().in_effect(), "***", "{name}");
            }
            assert!(!format!("{listing:?}").contains(VALUE), "{listing:?}");
        }
    }

    #[test]
    fn settings_named_like_secrets_are_secrets() {
        for setting in Config::settings() {
            let is_named = ["SECRET", "PASSWORD"].iter().any(|word| setting.name.ends_with(word));
            assert_eq!(setting.is_secret, is_named, "{}", setting.name);
        }
    }
}
