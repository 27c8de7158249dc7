//! Named texts from the environment and `.env`, read one by one. Errors are collected.
//!
//! Every read names the setting, its default and its parser, so the list of all settings is always
//! complete. This module knows no setting by name.

use std::collections::HashMap;
use std::fmt;
use std::io;

/// The file of settings in the working directory.
const FILE: &str = ".env";

/// Maximum number of characters of a wrong value in a report.
const SHOWN_MAX: usize = 60;

/// The name of a setting and its default as in `.env.example`; empty for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// The default as text.
    pub default: &'static str,
}

/// A wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The setting, or the file.
    pub name: String,
    /// The value found; `None` for secrets.
    pub found: Option<String>,
    /// The expected format, in words.
    pub should: String,
}

/// All wrong settings, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings(pub Vec<InvalidSetting>);

/// The texts of all settings, and the results of reading them.
pub(super) struct Reader {
    texts: HashMap<String, String>,
    known: Vec<Setting>,
    wrong: Vec<InvalidSetting>,
}

impl Reader {
    /// Creates settings from these texts. An empty text counts as unset.
    pub(super) fn new(texts: HashMap<String, String>) -> Self {
        Self { texts, known: Vec::new(), wrong: Vec::new() }
    }

    /// Reads the process environment, which has precedence, and `.env` in the working directory.
    pub(super) fn from_env() -> Self {
        let mut settings = Self::new(HashMap::new());
        settings.read_file();
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), value) = (name.into_string(), value.to_string_lossy()) {
                settings.texts.insert(name, value.into_owned());
            }
        }
        settings
    }

    /// Reads `.env`, if it exists.
    fn read_file(&mut self) {
        match std::fs::read_to_string(FILE) {
            Ok(text) => self.take_lines(text.trim_start_matches('\u{feff}')),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.report(FILE, Some(&error.to_string()), "a text file"),
        }
    }

    /// Reads the lines of `.env`. An invalid line is reported by its number only, since it may hold
    /// a secret.
    fn take_lines(&mut self, text: &str) {
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            match line {
                // The first line of a name counts, as in other readers of such files.
                Ok((name, value)) => {
                    self.texts.entry(name).or_insert(value);
                }
                Err(dotenvy::Error::LineParse(piece, _)) => {
                    let number = text.lines().position(|line| line.contains(piece.trim_end()));
                    let name = number.map_or_else(
                        || FILE.to_owned(),
                        |number| format!("{FILE}, line {}", number + 1),
                    );
                    let should = "NAME=value, with quotes around a value that has spaces";
                    self.report(&name, None, should);
                }
                Err(error) => return self.report(FILE, Some(&error.to_string()), "a text file"),
            }
        }
    }

    /// Reads a setting; returns the default if it is unset or wrong.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        default: &'static str,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let found = self.find_in(name, default, &form, true);
        found
            .unwrap_or_else(|| form(default).expect("each default is a valid value of its setting"))
    }

    /// Reads a setting without a default.
    pub(super) fn find<T>(
        &mut self,
        name: &'static str,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.find_in(name, "", &form, true)
    }

    /// Reads a setting without a default. Errors do not show its value.
    pub(super) fn find_secret<T>(
        &mut self,
        name: &'static str,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.find_in(name, "", &form, false)
    }

    /// Returns whether a setting is set and not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.texts.get(name).is_some_and(|text| !text.trim().is_empty())
    }

    /// Returns the names with this prefix, sorted, that have a value but are not in the list of
    /// settings.
    pub(super) fn names_with(&self, prefix: &str) -> Vec<String> {
        let is_known = |name: &str| self.known.iter().any(|setting| setting.name == name);
        let names = self.texts.keys();
        let names =
            names.filter(|name| name.starts_with(prefix) && self.has(name) && !is_known(name));
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names
    }

    /// Reads a setting whose name contains the value of another one. The list of settings omits it.
    pub(super) fn find_named<T>(
        &mut self,
        name: &str,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parse(name, &form, true)
    }

    /// Like [`Reader::find_named`], but errors do not show the value.
    pub(super) fn find_named_secret<T>(
        &mut self,
        name: &str,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parse(name, &form, false)
    }

    /// Reads a setting without a default for which an empty value has a meaning.
    pub(super) fn find_even_empty(&mut self, name: &'static str) -> Option<String> {
        self.known.push(Setting { name, default: "" });
        self.texts.get(name).map(|text| text.trim().to_owned())
    }

    /// Records an error.
    pub(super) fn report(&mut self, name: &str, found: Option<&str>, should: impl Into<String>) {
        self.wrong.push(InvalidSetting {
            name: name.to_owned(),
            found: found.map(str::to_owned),
            should: should.into(),
        });
    }

    /// Returns all settings read so far, in that order.
    pub(super) fn known(self) -> Vec<Setting> {
        self.known
    }

    /// Returns `value` if there were no errors.
    pub(super) fn finish<T>(self, value: T) -> Result<T, InvalidSettings> {
        if self.wrong.is_empty() { Ok(value) } else { Err(InvalidSettings(self.wrong)) }
    }

    fn find_in<T>(
        &mut self,
        name: &'static str,
        default: &'static str,
        form: &impl Fn(&str) -> Result<T, String>,
        shown: bool,
    ) -> Option<T> {
        self.known.push(Setting { name, default });
        self.parse(name, form, shown)
    }

    fn parse<T>(
        &mut self,
        name: &str,
        form: &impl Fn(&str) -> Result<T, String>,
        shown: bool,
    ) -> Option<T> {
        let text = self.texts.get(name).map(|text| text.trim().to_owned());
        let text = text.filter(|text| !text.is_empty())?;
        match form(&text) {
            Ok(value) => Some(value),
            Err(should) => {
                self.report(name, shown.then_some(text.as_str()), should);
                None
            }
        }
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [wrong] => write!(f, "{wrong}"),
            all => {
                write!(f, "{} settings are invalid", all.len())?;
                all.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
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

    fn settings(texts: &[(&str, &str)]) -> Reader {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Reader::new(texts.collect())
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let mut settings = settings(&[("PORT", " "), ("DB_READERS", " 2 ")]);

        assert_eq!(settings.read("PORT", "8055", parse::number::<u16>(0, 65535)), 8055);
        assert_eq!(settings.read("DB_READERS", "4", parse::number::<u32>(1, 64)), 2);
        assert_eq!(settings.finish(()), Ok(()));
    }

    #[test]
    fn all_errors_are_reported_at_once_without_secrets() {
        let mut settings = settings(&[("PORT", "80\n55"), ("SECRET", "hunter2")]);

        let port = settings.read("PORT", "8055", parse::number::<u16>(0, 65535));
        let secret = settings.find_secret("SECRET", parse::secret(32));

        assert_eq!(port, 8055);
        assert!(secret.is_none());
        assert_eq!(
            settings.finish(()).unwrap_err().to_string(),
            "2 settings are invalid\n  \
             PORT: found \"80\\n55\", should be a whole number from 0 to 65535\n  \
             SECRET: should be a text of at least 32 characters"
        );
    }

    #[test]
    fn the_environment_overrides_the_env_file() {
        let mut settings = settings(&[("DB_READERS", "2")]);

        settings.take_lines(
            "# a remark\nexport PORT=1\nPORT=2\nDB_READERS=3\nSECRET=hunter2 hunter3\n\
             PROJECT_NAME=\"Our chat\"\n",
        );

        assert_eq!(settings.read("PORT", "8055", parse::number::<u16>(0, 65535)), 1);
        assert_eq!(settings.read("DB_READERS", "4", parse::number::<u32>(1, 64)), 2);
        assert_eq!(settings.read("PROJECT_NAME", "chinwag", parse::text), "Our chat");
        assert_eq!(
            settings.finish(()).unwrap_err().to_string(),
            ".env, line 5: should be NAME=value, with quotes around a value that has spaces"
        );
    }

    #[test]
    fn a_long_invalid_value_is_truncated() {
        let long = "é".repeat(SHOWN_MAX + 1);
        let mut settings = settings(&[("PORT", &long)]);

        settings.read("PORT", "8055", parse::number::<u16>(0, 65535));

        let told = settings.finish(()).unwrap_err().to_string();
        assert!(told.contains(&format!("{:?}…", "é".repeat(SHOWN_MAX))), "{told}");
    }
}
