//! Conversion of a client's payload to a row: permissions, presets, defaults, special fields,
//! rules. `nested` parses the items behind relations.
//!
//! Authors and dates, which the server sets, are dropped if a client sends them. Fields that the
//! caller may not write are refused by name.

use serde_json::{Map, Value as Json};

use crate::domain::auth::static_token;
use crate::domain::items::Items;
use crate::domain::items::ignored;
use crate::domain::items::json_writer::MASK;
use crate::domain::items::keys;
use crate::domain::items::rules;
use crate::domain::items::typed;
use crate::domain::items::validation::{Trials, Validation};
use crate::domain::{Error, Violation};
use crate::model::collection::Special;
use crate::model::id;
use crate::model::schema;
use crate::model::{Actor, Collection, Field, Kind, Row, Value};
use crate::query::environment::Variable;
use crate::query::{Environment, Scope};
use crate::text::has_visible_text;

/// The greatest key that a client can write without losing digits: many clients treat JSON numbers
/// as doubles.
const KEY_MAX: i64 = (1 << 53) - 1;

/// Typed values for some fields of an item.
pub(super) type Values = Vec<(&'static Field, Value)>;

impl Items {
    /// Converts values to a complete row. `unknown` contains the unknown names in the payload.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InvalidPayload`], [`Error::FailedValidation`].
    pub(super) async fn row(
        &self,
        actor: &Actor,
        scope: &Scope,
        payload: &Map<String, Json>,
        unknown: &[&str],
    ) -> Result<Row, Error> {
        let collection = scope.collection();
        let mut row = Row::new(collection);
        let key = collection.key();
        match payload.get(key.name) {
            Some(chosen) => row.set(key, chosen_key(scope, chosen)?),
            None if collection.counts_keys() => {}
            None => row.set(key, Value::Uuid(id::fresh())),
        }
        for (field, value) in self.values(scope, payload).await? {
            row.set(field, value);
        }
        let author = actor.user.or(self.public_user);
        for field in collection.fields {
            match field.special {
                Special::UserCreated => row.set(field, author.into()),
                Special::DateCreated => row.set(field, Value::Timestamp(self.clock.now())),
                Special::Guest => row.set(field, actor.guest.into()),
                _ => {}
            }
        }
        let missing = collection.fields.iter().filter(|it| it.required && row[it].is_null());
        let missing: Vec<&Field> = missing.collect();
        let mut violations = ignored::missing(collection, &missing, unknown);
        violations.extend(self.broken(actor, scope, payload, &row).await?);
        self.require_text(collection.fields.iter(), &row, unknown, &mut violations);
        if !violations.is_empty() {
            return Err(Error::FailedValidation(violations));
        }
        for field in collection.fields.iter().filter(|it| it.special == Special::DateCreated) {
            // The writer sets the date, so that the order of rows by date is their order by key.
            row.set(field, Value::Null);
        }
        Ok(row)
    }

    /// Converts values to those that an update sets.
    ///
    /// # Errors
    /// As [`Items::row`].
    pub(super) async fn set(
        &self,
        actor: &Actor,
        scope: &Scope,
        payload: &Map<String, Json>,
    ) -> Result<Values, Error> {
        let collection = scope.collection();
        let values = self.values(scope, payload).await?;
        let mut row = Row::empty(collection);
        for (field, value) in &values {
            row.set(field, value.clone());
        }
        let emptied = values.iter().filter(|(field, value)| field.required && value.is_null());
        let mut violations: Vec<Violation> = emptied.map(|(field, _)| not_null(field)).collect();
        violations.extend(self.broken(actor, scope, payload, &row).await?);
        self.require_text(values.iter().map(|(field, _)| *field), &row, &[], &mut violations);
        if !violations.is_empty() {
            return Err(Error::FailedValidation(violations));
        }
        Ok(values)
    }

    /// Adds the author and the date of an update.
    pub(super) fn stamp(actor: &Actor, collection: &'static Collection, set: &mut Values) {
        for field in collection.fields {
            match field.special {
                Special::UserUpdated => set.push((field, actor.user.into())),
                // The writer sets the date.
                Special::DateUpdated => set.push((field, Value::Null)),
                _ => {}
            }
        }
    }

    /// Adds a violation for each field that requires visible text and has none, unless the field
    /// has a violation already.
    fn require_text(
        &self,
        fields: impl Iterator<Item = &'static Field>,
        row: &Row,
        unknown: &[&str],
        violations: &mut Vec<Violation>,
    ) {
        let content = schema::messages::content.field();
        for field in fields.filter(|field| self.config.require_content && **field == *content) {
            let has_text = row[field].as_text().is_some_and(has_visible_text);
            if has_text || violations.iter().any(|violation| violation.field == field.name) {
                continue;
            }
            if row[field].is_null() {
                violations.extend(ignored::missing(row.collection(), &[field], unknown));
            } else {
                let details = vec![("reason", Json::from("It has no visible text."))];
                violations.push(Violation::new(field.name, "required", details));
            }
        }
    }

    /// Adds the presets of the caller's rules for fields that the payload leaves out.
    pub(super) fn with_presets(
        &self,
        actor: &Actor,
        scope: &Scope,
        mut payload: Map<String, Json>,
    ) -> Result<Map<String, Json>, Error> {
        let environment = Environment::new(actor, self.clock.now());
        for rule in scope.rules() {
            for (name, value) in rule.presets.iter().flatten() {
                if payload.contains_key(name) || scope.collection().field(name).is_none() {
                    continue;
                }
                let value =
                    match value.as_str().map(|text| environment.resolve(text)).transpose()? {
                        None | Some(None) => value.clone(),
                        Some(Some(Variable::Unset)) => Json::Null,
                        Some(Some(Variable::One(text))) => Json::String(text),
                        Some(Some(Variable::Many(texts))) => texts.into(),
                    };
                payload.insert(name.clone(), value);
            }
        }
        Ok(payload)
    }

    /// Returns the violations of the rules of permissions and of the collection itself.
    async fn broken(
        &self,
        actor: &Actor,
        scope: &Scope,
        payload: &Map<String, Json>,
        row: &Row,
    ) -> Result<Vec<Violation>, Error> {
        let mut violations = rules::of_collection(scope.collection(), payload, row)?;
        let validations = || scope.rules().iter().filter_map(|rule| rule.validation.as_ref());
        let mut trials = Trials::default();
        for validation in validations() {
            trials.add(&self.patterns, validation, payload).await?;
        }
        let environment = Environment::new(actor, self.clock.now());
        let held = Validation { payload, row, environment, limits: &self.limits, trials: &trials };
        for validation in validations() {
            held.check(validation, &mut violations)?;
        }
        Ok(violations)
    }

    /// Converts the known fields of a payload to typed values, without authors and dates.
    async fn values(&self, scope: &Scope, payload: &Map<String, Json>) -> Result<Values, Error> {
        let collection = scope.collection();
        let mut values = Vec::new();
        for field in collection.fields.iter().skip(1).filter(|field| field.is_stored()) {
            let Some(json) = payload.get(field.name) else { continue };
            if matches!(field.kind, Kind::Secret) && json.as_str() == Some(MASK) {
                let name = field.name;
                return Err(Error::payload(format!(
                    "\"{name}\" is masked: send the value itself, or leave the field out"
                )));
            }
            let text_max = self.config.text_max;
            let value = match field.special {
                Special::None => typed::value(collection, field, json, text_max)?,
                Special::Password => match typed::text(collection, field, json, text_max)? {
                    Value::Text(password) if password.is_empty() => {
                        return Err(Error::payload("\"password\" is not allowed to be empty"));
                    }
                    Value::Text(password) => {
                        Value::text(&self.passwords.hash_new(&password).await?)
                    }
                    nothing => nothing,
                },
                Special::Token => match typed::text(collection, field, json, text_max)? {
                    Value::Text(token) if token.is_empty() => Value::Null,
                    Value::Text(token) if !has_visible_text(&token) => {
                        return Err(Error::payload("\"token\" must have visible characters"));
                    }
                    Value::Text(token) => Value::text(&static_token::digest(&token)),
                    nothing => nothing,
                },
                Special::Managed | Special::Guest => {
                    let name = field.name;
                    return Err(Error::payload(format!("\"{name}\" cannot be set directly")));
                }
                Special::UserCreated
                | Special::DateCreated
                | Special::UserUpdated
                | Special::DateUpdated => continue,
            };
            values.push((field, value));
        }
        Ok(values)
    }
}

/// Returns the key that an administrator chose for a new item.
fn chosen_key(scope: &Scope, chosen: &Json) -> Result<Value, Error> {
    let collection = scope.collection();
    let key = collection.key();
    if !scope.is_full() {
        return Err(Error::fields(collection, vec![key.name.to_owned()], &[]));
    }
    if chosen.is_null() {
        return Err(Error::FailedValidation(vec![not_null(key)]));
    }
    let parsed = keys::require(collection, chosen)?;
    let value = Value::from(parsed);
    match value.as_integer() {
        Some(number) if !(1..=KEY_MAX).contains(&number) => {
            Err(Error::payload(format!("\"{}\" must be between 1 and {KEY_MAX}", key.name)))
        }
        _ => Ok(value),
    }
}

/// Returns the part of a payload that the caller may write, and the unknown names in the payload.
/// Unknown names are ignored for a caller with access to all fields, and refused like hidden fields
/// for any other caller.
pub(super) fn permitted<'p>(
    scope: &Scope,
    payload: &'p Map<String, Json>,
) -> Result<(Map<String, Json>, Vec<&'p str>), Error> {
    let collection = scope.collection();
    let mut kept = Map::new();
    let (mut refused, mut unknown) = (Vec::new(), Vec::new());
    for (name, value) in payload {
        match collection.field(name) {
            Some(field) if scope.has(field) => {
                kept.insert(name.clone(), value.clone());
            }
            None if scope.has_all() => unknown.push(name.as_str()),
            _ => refused.push(name.clone()),
        }
    }
    if refused.is_empty() {
        Ok((kept, unknown))
    } else {
        Err(Error::fields(collection, refused, &[]))
    }
}

pub(super) fn not_null(field: &Field) -> Violation {
    Violation::new(field.name, "nnull", Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Forbidden;
    use crate::model::schema::MESSAGES;
    use crate::query::{Filter, Rule, RuleFields};

    fn scope(fields: RuleFields) -> Scope {
        let filter = Filter::everything();
        Scope::grant(
            &MESSAGES,
            false,
            vec![Rule { filter, fields, validation: None, presets: None }],
        )
    }

    fn object(json: &Json) -> Map<String, Json> {
        json.as_object().expect("the test passes an object").clone()
    }

    #[test]
    fn unknown_fields_are_ignored_with_full_write_access() {
        let payload = object(&json!({"content": 1, "x": 2}));
        let kept = permitted(&scope(RuleFields::All), &payload);

        assert_eq!(kept.expect("allowed payload"), (object(&json!({"content": 1})), vec!["x"]));
    }

    #[test]
    fn unpermitted_fields_are_refused_by_name() {
        let scope = scope(RuleFields::Some(vec![&schema::messages::content]));

        let payload = object(&json!({"content": 1, "date_created": 2, "x": 3}));
        let refused = permitted(&scope, &payload);

        let Err(Error::Forbidden(Forbidden::Fields { fields, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(fields, ["date_created", "x"]);
    }
}
