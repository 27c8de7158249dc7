//! The rules of permissions for payloads: their `validation`.
//!
//! A rule is a filter with two more operators. They are about the payload, so queries lack them:
//! `_submitted` (the field is sent) and `_regex` (the text matches a regular expression).

use serde_json::{Map, Value as Json};

use crate::domain::items::patterns;
use crate::domain::items::patterns::Patterns;
use crate::domain::items::rules::collect;
use crate::domain::{Error, Violation};
use crate::model::Row;
use crate::query::{Environment, Filter, Limits};

/// The maximum nesting depth of a rule, as of a filter.
const NESTING_MAX: usize = 32;

/// A payload to check, with the context of its rules.
pub(super) struct Validation<'a> {
    /// The payload, with presets.
    pub(super) payload: &'a Map<String, Json>,
    /// The row with the values of the payload.
    pub(super) row: &'a Row,
    /// The sender of the payload, and the time.
    pub(super) environment: Environment<'a>,
    /// The limits of filters.
    pub(super) limits: &'a Limits,
    /// The results of the patterns of the rules.
    pub(super) trials: &'a Trials,
}

/// The results of patterns, by field and pattern.
#[derive(Default)]
pub(super) struct Trials(Vec<(String, String, bool)>);

impl Trials {
    /// Matches all patterns of a rule against the payload.
    ///
    /// # Errors
    /// As [`Patterns::fits`].
    pub(super) async fn add(
        &mut self,
        patterns: &Patterns,
        rule: &Json,
        payload: &Map<String, Json>,
    ) -> Result<(), Error> {
        let mut found = Vec::new();
        find_patterns(rule, NESTING_MAX, &mut found);
        for (field, pattern) in found {
            let Some(sent) = payload.get(field) else { continue };
            let fits = match sent.as_str() {
                Some(text) => patterns.fits(field, pattern, text).await?,
                None => false,
            };
            self.0.push((field.to_owned(), pattern.to_owned(), fits));
        }
        Ok(())
    }

    fn fits(&self, field: &str, pattern: &str) -> bool {
        self.0.iter().any(|(known, of, fits)| known == field && of == pattern && *fits)
    }
}

/// Finds the patterns of a rule and their fields.
fn find_patterns<'r>(rule: &'r Json, left: usize, found: &mut Vec<(&'r str, &'r str)>) {
    let (Some(entries), Some(left)) = (rule.as_object(), left.checked_sub(1)) else { return };
    for (name, rule) in entries {
        match rule {
            Json::Array(parts) => parts.iter().for_each(|part| find_patterns(part, left, found)),
            Json::Object(tests) => {
                if let Some(pattern) = tests.get("_regex") {
                    found.push((name, pattern.as_str().unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
}

impl Validation<'_> {
    /// Adds the violations of a rule. A test applies only to fields in the payload, but a field
    /// that must be sent, or must not be null, must be present.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for an invalid rule.
    pub(super) fn check(&self, rule: &Json, broken: &mut Vec<Violation>) -> Result<(), Error> {
        self.level(rule, NESTING_MAX, broken)
    }

    fn level(&self, rule: &Json, left: usize, broken: &mut Vec<Violation>) -> Result<(), Error> {
        let (Some(entries), Some(left)) = (rule.as_object(), left.checked_sub(1)) else {
            return self.plain(rule, broken);
        };
        for (name, rule) in entries {
            match (name.as_str(), rule) {
                ("_and", Json::Array(parts)) => {
                    for part in parts {
                        self.level(part, left, broken)?;
                    }
                }
                ("_or", Json::Array(parts)) => self.any(parts, left, broken)?,
                (_, Json::Object(tests)) => self.field(name, tests, broken)?,
                _ => self.plain(&entry(name, rule.clone()), broken)?,
            }
        }
        Ok(())
    }

    fn any(&self, parts: &[Json], left: usize, broken: &mut Vec<Violation>) -> Result<(), Error> {
        let (mut of_all, mut fits) = (Vec::new(), false);
        for part in parts {
            let before = of_all.len();
            self.level(part, left, &mut of_all)?;
            fits |= of_all.len() == before;
        }
        if !fits {
            broken.extend(of_all);
        }
        Ok(())
    }

    fn field(
        &self,
        name: &str,
        tests: &Map<String, Json>,
        broken: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let mut others = tests.clone();
        if let Some(wanted) = others.remove("_submitted")
            && !is_no(&wanted)
            && !self.payload.contains_key(name)
        {
            broken.push(Violation::new(name, "required", vec![]));
        }
        if let Some(pattern) = others.remove("_regex") {
            let pattern = pattern.as_str().unwrap_or_default();
            match self.payload.get(name) {
                None => drop(patterns::read(pattern)?),
                Some(_) if self.trials.fits(name, pattern) => {}
                Some(sent) => {
                    let details = vec![("invalid", sent.clone())];
                    broken.push(Violation::new(name, "regex", details));
                }
            }
        }
        if others.is_empty() && !tests.is_empty() && self.row.collection().field(name).is_some() {
            return Ok(());
        }
        self.plain(&entry(name, Json::Object(others)), broken)
    }

    /// Checks the part of a rule that is an ordinary filter.
    fn plain(&self, rule: &Json, broken: &mut Vec<Violation>) -> Result<(), Error> {
        let filter = Filter::parse(self.row.collection(), rule, &self.environment, self.limits)?;
        if !filter.relations().0.is_empty() {
            return Err(Error::InvalidQuery(
                "a validation checks only the sent fields and cannot follow relations: move this \
                 rule to \"permissions\""
                    .to_owned(),
            ));
        }
        collect(&filter, self.payload, self.row, broken);
        Ok(())
    }
}

fn entry(name: &str, rule: Json) -> Json {
    Json::Object([(name.to_owned(), rule)].into_iter().collect())
}

fn is_no(wanted: &Json) -> bool {
    *wanted == Json::Bool(false) || *wanted == "false"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::{Actor, Value};

    fn check(rule: &Json, payload: &Json) -> Result<Vec<(String, &'static str)>, Error> {
        let payload = payload.as_object().expect("the test passes an object");
        let mut row = Row::empty(&MESSAGES);
        if let Some(text) = payload.get("content").and_then(Json::as_str) {
            row.set(&messages::content, Value::text(text));
        }
        let (actor, limits) = (Actor::denied(), Limits::default());
        let environment = Environment::new(&actor, Timestamp::from_millis(0));
        let mut trials = Trials::default();
        futures_util::future::FutureExt::now_or_never(trials.add(
            &Patterns::default(),
            rule,
            payload,
        ))
        .expect("short texts are matched synchronously")?;
        let held = Validation { payload, row: &row, environment, limits: &limits, trials: &trials };
        let mut broken = Vec::new();
        held.check(rule, &mut broken)?;
        Ok(broken.into_iter().map(|one| (one.field, one.kind)).collect())
    }

    fn broken(rule: &Json, payload: &Json) -> Vec<(String, &'static str)> {
        check(rule, payload).expect("a valid rule")
    }

    #[test]
    fn a_violation_names_the_field_and_the_operator() {
        let rule = json!({"content": {"_contains": "hi"}});

        assert_eq!(broken(&rule, &json!({"content": "oh hi"})), []);
        assert_eq!(broken(&rule, &json!({"content": "no"})), [("content".to_owned(), "contains")]);
    }

    #[test]
    fn a_missing_field_passes_unless_it_is_required() {
        assert_eq!(broken(&json!({"content": {"_contains": "hi"}}), &json!({})), []);
        for rule in [
            json!({"content": {"_nnull": true}}),
            json!({"content": {"_nempty": true}}),
            json!({"content": {"_submitted": true}}),
            json!({"_and": [{"content": {"_submitted": true, "_contains": "x"}}]}),
        ] {
            let expected = [("content".to_owned(), "required")];
            assert_eq!(broken(&rule, &json!({})), expected, "{rule}");
        }
        assert_eq!(broken(&json!({"content": {"_submitted": true}}), &json!({"content": "x"})), []);
    }

    #[test]
    fn texts_are_matched_against_regular_expressions() {
        for rule in [
            json!({"content": {"_regex": "^[a-z]+$"}}),
            json!({"content": {"_regex": "/^[A-Z]+$/i"}}),
            json!({"_or": [{"content": {"_regex": "^[a-z]+$", "_contains": "b"}}]}),
        ] {
            assert_eq!(broken(&rule, &json!({"content": "abc"})), [], "{rule}");
            let found = broken(&rule, &json!({"content": "b 12"}));
            assert_eq!(found, [("content".to_owned(), "regex")], "{rule}");
            assert_eq!(broken(&rule, &json!({})), [], "{rule}");
            assert!(!broken(&rule, &json!({"content": null})).is_empty(), "{rule}");
        }
    }

    #[test]
    fn one_matching_alternative_is_enough() {
        let rule = json!({"_or": [{"content": {"_regex": "^a"}}, {"content": {"_contains": "b"}}]});

        assert_eq!(broken(&rule, &json!({"content": "ax"})), []);
        assert_eq!(broken(&rule, &json!({"content": "xb"})), []);
        assert_eq!(broken(&rule, &json!({"content": "x"})).len(), 2);
    }

    #[test]
    fn invalid_rules_are_refused() {
        for rule in [
            json!({"content": {"_regex": "("}}),
            json!({"content": {"_regex": 5}}),
            json!({"nope": {"_regex": "a"}}),
            json!({"nope": {"_submitted": true}}),
            json!({"content": {"_nonsense": 1}}),
            json!({"content": {}, "_nor": []}),
            json!({"user_created": {"first_name": {"_eq": "V"}}}),
            json!("text"),
        ] {
            assert!(check(&rule, &json!({"content": "x"})).is_err(), "{rule}");
        }
    }
}
