//! Rules for payloads: those of permissions (`validation`), and those of collections.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::config::Pattern;
use crate::domain::items::validation::{Trials, Validation};
use crate::domain::permissions::Networks;
use crate::domain::{Error, Violation};
use crate::model::schema;
use crate::model::schema::permissions;
use crate::model::schema::policies;
use crate::model::schema::settings;
use crate::model::schema::users;
use crate::model::{AccountStatus, Action, Actor, Collection, Column, Field, Record, Row, Value};
use crate::query::{Environment, Filter, Limits, Test};
use crate::text::is_visible;

/// The values of the default appearance.
const LOOKS: [&str; 3] = ["auto", "light", "dark"];

/// Adds the tests of a filter that a payload violates, each with its name.
pub(super) fn collect(
    filter: &Filter,
    payload: &Map<String, Json>,
    row: &Row,
    violations: &mut Vec<Violation>,
) {
    match filter {
        Filter::And(parts) => {
            for part in parts {
                collect(part, payload, row, violations);
            }
        }
        Filter::Or(parts) => {
            let mut broken: Vec<Vec<Violation>> = Vec::new();
            for part in parts {
                let mut of_part = Vec::new();
                collect(part, payload, row, &mut of_part);
                if of_part.is_empty() {
                    return;
                }
                broken.push(of_part);
            }
            violations.extend(broken.into_iter().flatten());
        }
        Filter::Field(field, test) | Filter::Part(field, _, test) => {
            let name = field.name;
            if !payload.contains_key(field.name) {
                if *test == Test::Nnull || *test == Test::Nempty {
                    violations.push(Violation::new(name, "required", vec![]));
                }
            } else if !filter.matches(&Record::from(row.clone())) {
                let (kind, details) = describe(test);
                violations.push(Violation::new(name, kind, details));
            }
        }
        // Items behind a relation are not in the payload: such a rule applies to stored items.
        Filter::Related(field, _) | Filter::Some(field, _) | Filter::None(field, _) => {
            if !filter.matches(&Record::from(row.clone())) {
                violations.push(Violation::new(field.name, "relation", vec![]));
            }
        }
    }
}

/// Returns the name of a test without its underscore, and the values that it demands.
fn describe(test: &Test) -> (&'static str, Vec<(&'static str, Json)>) {
    let list = |values: &[Value]| Json::Array(values.iter().map(Value::to_json).collect());
    let pair = |low: &Value, high: &Value| json!([low.to_json(), high.to_json()]);
    let details = match test {
        Test::Eq(value)
        | Test::Lt(value)
        | Test::Lte(value)
        | Test::Gt(value)
        | Test::Gte(value) => vec![("valid", value.to_json())],
        Test::Neq(value) => vec![("invalid", value.to_json())],
        Test::In(values) => vec![("valid", list(values))],
        Test::Nin(values) => vec![("invalid", list(values))],
        Test::Between(low, high) => vec![("valid", pair(low, high))],
        Test::Nbetween(low, high) => vec![("invalid", pair(low, high))],
        Test::Null | Test::Nnull | Test::Empty | Test::Nempty => vec![],
        Test::Text { text, .. } => vec![("substring", json!(text))],
    };
    (test.operator().trim_start_matches('_'), details)
}

/// Returns a payload's violations of the rules of the collection itself.
///
/// # Errors
/// [`Error::InvalidPayload`] for a permission with an invalid filter, which would grant nothing,
/// for a policy with an invalid address, and for settings with an invalid pattern or filter.
pub(super) fn of_collection(
    collection: &'static Collection,
    payload: &Map<String, Json>,
    row: &Row,
) -> Result<Vec<Violation>, Error> {
    let mut violations = Vec::new();
    let sent = |field: &'static Field| payload.contains_key(field.name) && !row[field].is_null();
    if *collection == schema::USERS {
        if sent(&users::email) && !row.get(&users::email).is_some_and(is_address) {
            violations.push(Violation::new("email", "email", vec![]));
        }
        if payload.contains_key("status") && row.get(&users::status).is_none() {
            let names = AccountStatus::ALL.map(AccountStatus::name);
            violations.push(Violation::new("status", "in", vec![("valid", json!(names))]));
        }
    } else if *collection == schema::POLICIES {
        if let Some(list) = row.get(&policies::ip_access)
            && let Some(entry) = Networks::nonsense(list)
        {
            return Err(Error::payload(format!(
                "\"ip_access\" takes addresses (10.0.0.1), networks (10.0.0.0/8) and ranges \
                 (10.0.0.1-10.0.0.9), but {entry} is none of them"
            )));
        }
    } else if *collection == schema::PERMISSIONS {
        if sent(&permissions::action) && row.get(&permissions::action).is_none() {
            let names = Action::ALL.map(Action::name);
            violations.push(Violation::new("action", "in", vec![("valid", json!(names))]));
        }
        let collection = row.get(&permissions::collection).and_then(schema::find);
        for filter in [&permissions::permissions, &permissions::validation] {
            check_filter(collection, filter, row)?;
        }
    } else if *collection == schema::SETTINGS {
        violations.append(&mut of_settings(&sent, row)?);
    }
    Ok(violations)
}

/// Returns the violations of the settings. `sent` tells whether the payload has a field.
fn of_settings(sent: &impl Fn(&'static Field) -> bool, row: &Row) -> Result<Vec<Violation>, Error> {
    let mut violations = Vec::new();
    let attempts = row.get(&settings::auth_login_attempts);
    if attempts.is_some_and(|attempts| attempts < 1) {
        violations.push(Violation::new("auth_login_attempts", "gte", vec![("valid", json!(1))]));
    }
    if sent(&settings::default_appearance)
        && !row.get(&settings::default_appearance).is_some_and(|it| LOOKS.contains(&it))
    {
        violations.push(Violation::new("default_appearance", "in", vec![("valid", json!(LOOKS))]));
    }
    let policy = row.get(&settings::auth_password_policy).filter(|text| !text.is_empty());
    if let Some(Err(should)) = policy.map(Pattern::parse) {
        return Err(Error::payload(format!("\"auth_password_policy\" must be {should}")));
    }
    let filter = &settings::public_registration_email_filter;
    if sent(filter) && !row.get(filter).is_some_and(|json| json.is_object() || json.is_null()) {
        return Err(Error::payload(format!("\"{}\" must be of type object", filter.name)));
    }
    check_filter(Some(&schema::USERS), filter, row)?;
    Ok(violations)
}

fn check_filter(
    collection: Option<&'static Collection>,
    column: &Column<Json>,
    row: &Row,
) -> Result<(), Error> {
    if let (Some(collection), Some(filter)) = (collection, row.get(column))
        && filter.is_object()
    {
        let actor = Actor::denied();
        let now = crate::clock::Timestamp::from_millis(0);
        let environment = Environment::new(&actor, now);
        let limits = Limits::default();
        let read = if *column.field() == permissions::validation {
            let (payload, row) = (&Map::new(), &Row::empty(collection));
            let trials = &Trials::default();
            let nothing = Validation { payload, row, environment, limits: &limits, trials };
            nothing.check(filter, &mut Vec::new())
        } else {
            Filter::parse(collection, filter, &environment, &limits).map(drop).map_err(Error::from)
        };
        read.map_err(|error| {
            let reason = match error {
                Error::InvalidQuery(reason) => reason,
                other => other.to_string(),
            };
            Error::payload(format!("\"{}\" is not a valid filter: {reason}", column.name))
        })?;
    }
    Ok(())
}

/// Returns whether the text has the form of a mail address. Only a mail can verify that the address
/// is in use.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let fine = |part: &str| !part.is_empty() && part.chars().all(is_visible);
    text.len() <= 254 && fine(local) && fine(domain) && !local.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_validated() {
        for good in ["a@b", "first.last+tag@example.com", "ü@exämple.com"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            "a@b@c",
            "a@b\r\nBcc: c",
            "a\u{200b}@b",
            "a@\u{202e}b",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
