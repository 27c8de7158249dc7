//! Reads the texts of settings from the environment and `.env`, one by one. Errors are collected.
//!
//! This module knows no setting by name; the tables name each with its default and its parser.

use std::collections::HashMap;
use std::fmt;
use std::io;

use crate::config::listing::{PROVIDER, Setting, Source};
use crate::text::one_line;

/// The file of settings in the working directory.
const FILE: &str = ".env";

/// Maximum number of characters of an invalid value in a report.
const SHOWN_MAX: usize = 60;

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The setting, or the file.
    pub name: String,
    /// The value found; `None` for secrets.
    pub found: Option<String>,
    /// The expected format, in words.
    pub should: String,
}

/// All invalid settings, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings(pub Vec<InvalidSetting>);

/// The texts of all settings, and the results of reading them.
#[derive(Default)]
pub struct Reader {
    texts: HashMap<String, (String, Source)>,
    heading: &'static str,
    /// The provider whose settings are being read.
    provider: String,
    settings: Vec<Setting>,
    invalid: Vec<InvalidSetting>,
}

/// A row of a table, whose method decides how it is read.
pub struct Row<'a> {
    reader: &'a mut Reader,
    name: &'static str,
}

impl Reader {
    /// Creates a reader of these texts. An empty text counts as unset.
    pub(super) fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        let texts = texts.into_iter();
        let texts = texts.map(|(name, text)| (name.into(), (text.into(), Source::Environment)));
        Self { texts: texts.collect(), ..Self::default() }
    }

    /// Reads the process environment, which has precedence, and `.env` in the working directory.
    pub(super) fn from_env() -> Self {
        let mut reader = Self::default();
        reader.read_file();
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), value) = (name.into_string(), value.to_string_lossy()) {
                reader.texts.insert(name, (value.into_owned(), Source::Environment));
            }
        }
        reader
    }

    /// Reads `.env`, if it exists.
    fn read_file(&mut self) {
        match std::fs::read_to_string(FILE) {
            Ok(text) => self.read_lines(text.trim_start_matches('\u{feff}')),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.report_file(FILE, Some(error.to_string()), "a text file"),
        }
    }

    /// Reads the lines of `.env`. An invalid line is reported by its number only, since it may hold
    /// a secret.
    fn read_lines(&mut self, text: &str) {
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            match line {
                // The first line of a name counts, as in other readers of such files.
                Ok((name, value)) => {
                    self.texts.entry(name).or_insert((value, Source::File));
                }
                Err(dotenvy::Error::LineParse(piece, _)) => {
                    let number = text.lines().position(|line| line.contains(piece.trim_end()));
                    let name = number.map_or_else(
                        || FILE.to_owned(),
                        |number| format!("{FILE}, line {}", number + 1),
                    );
                    let should = "NAME=value, with quotes around a value that has spaces";
                    self.report_file(&name, None, should);
                }
                Err(error) => {
                    return self.report_file(FILE, Some(error.to_string()), "a text file");
                }
            }
        }
    }

    /// Begins a part of the settings.
    pub(super) const fn begin(&mut self, heading: &'static str) {
        self.heading = heading;
    }

    /// Begins a row of a table.
    pub(super) fn row(&mut self, name: &'static str, lines: &'static [&'static str]) -> Row<'_> {
        self.settings.push(Setting::new(self.full(name), self.heading, lines));
        Row { reader: self, name }
    }

    /// Reads a table for each of these providers.
    pub(super) fn each<T>(
        &mut self,
        providers: &[String],
        read: impl Fn(&mut Self) -> T,
    ) -> Vec<T> {
        // Once for all of them, since there may be none.
        let errors = self.invalid.len();
        PROVIDER.clone_into(&mut self.provider);
        read(self);
        self.invalid.truncate(errors);
        let read = |provider: &String| {
            self.provider.clone_from(provider);
            read(self)
        };
        providers.iter().map(read).collect()
    }

    /// Returns the provider whose settings are being read.
    pub(super) fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the names of the settings read so far.
    pub(super) fn settings(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|setting| setting.name.as_str())
    }

    /// Returns the names of all variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// Returns the text of a setting, if it is set and not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let (text, _) = self.texts.get(&self.full(name))?;
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    /// Replaces the default of a setting, which depends on others.
    pub(super) fn set_default(&mut self, name: &str, default: String) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.name == name) {
            setting.default = default;
        }
    }

    /// Records an error if a setting is not set.
    pub(super) fn require(&mut self, name: &str, should: &str) {
        if self.value(name).is_none() {
            self.report(name, should);
        }
    }

    /// Records an error, with the value unless it is or may be secret.
    pub(super) fn report(&mut self, name: &str, should: impl Into<String>) {
        let name = self.full(name);
        let is_shown = self.settings.iter().any(|it| it.name == name && !it.is_secret);
        let found = self.value(&name).filter(|_| is_shown).map(str::to_owned);
        self.invalid.push(InvalidSetting { name, found, should: should.into() });
    }

    fn report_file(&mut self, name: &str, found: Option<String>, should: &str) {
        let (name, should) = (name.to_owned(), should.to_owned());
        self.invalid.push(InvalidSetting { name, found, should });
    }

    /// Returns the settings read, and the errors.
    pub(super) fn finish(self) -> (Vec<Setting>, Vec<InvalidSetting>) {
        (self.settings, self.invalid)
    }

    /// Returns the name with that of the provider whose settings are being read.
    fn full(&self, name: &str) -> String {
        name.replace(PROVIDER, &self.provider.to_ascii_uppercase())
    }
}

impl Row<'_> {
    /// Reads a setting; returns the default if it is unset or invalid.
    pub(super) fn setting<T>(
        mut self,
        default: &str,
        parser: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        default.clone_into(&mut self.declared().default);
        self.optional(&parser).unwrap_or_else(|| {
            parser(default).expect("each default is a valid value of its setting")
        })
    }

    /// The same with a default that depends on other settings.
    pub(super) fn derived<T>(
        mut self,
        default: &str,
        parser: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.declared().is_derived = true;
        self.setting(default, parser)
    }

    /// Reads a setting without a default.
    pub(super) fn optional<T>(mut self, parser: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (text, source) = self.reader.texts.get(&self.reader.full(self.name))?.clone();
        let text = Some(text.trim()).filter(|text| !text.is_empty())?;
        let setting = self.declared();
        setting.source = source;
        setting.value = if setting.is_secret { "***".into() } else { one_line(text).into_owned() };
        parser(text).map_err(|should| self.reader.report(self.name, should)).ok()
    }

    /// Reads a setting without a default that is never shown.
    pub(super) fn secret<T>(mut self, parser: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.declared().is_secret = true;
        self.optional(parser)
    }

    /// Reads a setting without a default for which an empty value has a meaning.
    pub(super) fn even_empty(self) -> Option<String> {
        let empty = self.reader.texts.contains_key(self.name).then(String::new);
        self.optional(|text| Ok(text.to_owned())).or(empty)
    }

    fn declared(&mut self) -> &mut Setting {
        self.reader.settings.last_mut().expect("a row begins with its declaration")
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [invalid] => write!(f, "{invalid}"),
            all => {
                write!(f, "{} settings are invalid", all.len())?;
                all.iter().try_for_each(|invalid| write!(f, "\n  {invalid}"))
            }
        }
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found, should } = self;
        match found {
            None => write!(f, "{name}: should be {should}"),
            Some(found) if found.chars().count() > SHOWN_MAX => {
                let start: String = found.chars().take(SHOWN_MAX).collect();
                write!(f, "{name}: found {start:?}…, should be {should}")
            }
            Some(found) => write!(f, "{name}: found {found:?}, should be {should}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::config::parse::number;

    fn settings(texts: &[(&str, &str)]) -> Reader {
        Reader::from_texts(texts.iter().copied())
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let mut settings = settings(&[("PORT", " "), ("DB_READERS", " 2 ")]);

        assert_eq!(settings.row("PORT", &[]).setting("8055", number::<u16>(0, 65535)), 8055);
        assert_eq!(settings.row("DB_READERS", &[]).setting("4", number::<u32>(1, 64)), 2);
        assert_eq!(settings.finish().1, []);
    }

    #[test]
    fn all_errors_are_reported_at_once_without_secrets() {
        let mut settings = settings(&[("PORT", "80\n55"), ("SECRET", "hunter2")]);

        let port = settings.row("PORT", &[]).setting("8055", number::<u16>(0, 65535));
        let secret = settings.row("SECRET", &[]).secret(parse::secret(32));

        assert_eq!(port, 8055);
        assert!(secret.is_none());
        assert_eq!(
            InvalidSettings(settings.finish().1).to_string(),
            "2 settings are invalid\n  \
             PORT: found \"80\\n55\", should be a whole number from 0 to 65535\n  \
             SECRET: should be a text of at least 32 characters"
        );
    }

    #[test]
    fn the_environment_overrides_the_env_file() {
        let mut settings = settings(&[("DB_READERS", "2")]);

        settings.read_lines(
            "# a remark\nexport PORT=1\nPORT=2\nDB_READERS=3\nSECRET=hunter2 hunter3\n\
             PROJECT_NAME=\"Our chat\"\n",
        );

        assert_eq!(settings.row("PORT", &[]).setting("8055", number::<u16>(0, 65535)), 1);
        assert_eq!(settings.row("DB_READERS", &[]).setting("4", number::<u32>(1, 64)), 2);
        assert_eq!(settings.row("PROJECT_NAME", &[]).setting("chinwag", parse::text), "Our chat");
        assert_eq!(
            InvalidSettings(settings.finish().1).to_string(),
            ".env, line 5: should be NAME=value, with quotes around a value that has spaces"
        );
    }

    #[test]
    fn a_long_invalid_value_is_truncated() {
        let long = "é".repeat(SHOWN_MAX + 1);
        let mut settings = settings(&[("PORT", &long)]);

        settings.row("PORT", &[]).setting("8055", number::<u16>(0, 65535));

        let told = InvalidSettings(settings.finish().1).to_string();
        assert!(told.contains(&format!("{:?}…", "é".repeat(SHOWN_MAX))), "{told}");
    }
}
