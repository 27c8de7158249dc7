//! Parses conditions on related items: on the item of a to-one relation, or on some or none of the
//! items of a to-many relation.
//!
//! Each step counts against the depth and the limits of the query.

use serde_json::{Map, Value as Json};

use crate::model::{Collection, Field};
use crate::query::parse::filter::object;
use crate::query::parse::parser::Parser;
use crate::query::{Filter, QueryError, Term};

impl Parser<'_> {
    /// Parses the conditions on the items of a to-many relation: `_some`, `_none`, or fields of the
    /// items and operators on their keys, which are left-joined.
    pub(super) fn items(
        &mut self,
        field: &'static Field,
        other: &'static Collection,
        entries: &Map<String, Json>,
    ) -> Result<Filter, QueryError> {
        self.enter(field)?;
        let mut parts = Vec::new();
        for (key, json) in entries {
            match key.as_str() {
                "_some" | "_none" => {
                    // Counted, since even an empty condition tests for related items.
                    self.take()?;
                    let inner = Box::new(self.fields_of(other, json)?);
                    let quantified = if key == "_some" { Filter::Some } else { Filter::None };
                    parts.push(quantified(field, inner));
                }
                "_and" | "_or" => {
                    self.path.pop();
                    parts.push(self.group(key, json, |parser, part| {
                        parser.items(field, other, object(part)?)
                    })?);
                    self.path.push(field);
                }
                key if key.starts_with('_') => {
                    let key = self.condition(Term::from(other.key()), key, json)?;
                    parts.push(Filter::joined_items(field, key));
                }
                _ => {}
            }
        }
        let behind = self.entries(other, fields_among(entries))?;
        if !behind.is_everything() {
            parts.push(Filter::joined_items(field, behind));
        }
        self.path.pop();
        Ok(Filter::all(parts))
    }

    /// Parses all conditions on the item behind a relation into one.
    pub(super) fn behind(
        &mut self,
        field: &'static Field,
        target: &'static Collection,
        entries: &Map<String, Json>,
    ) -> Result<Filter, QueryError> {
        if fields_among(entries).next().is_none() {
            return Ok(Filter::everything());
        }
        self.enter(field)?;
        let filter = self.entries(target, fields_among(entries))?;
        self.path.pop();
        if filter.is_everything() {
            return Ok(filter);
        }
        Ok(Filter::Related(field, Box::new(filter)))
    }

    fn enter(&mut self, field: &'static Field) -> Result<(), QueryError> {
        self.path.push(field);
        self.check_depth(self.path.len() - self.filter_level + 1)?;
        self.follow()
    }
}

/// Returns the entries that are not operators.
fn fields_among(entries: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    entries.iter().filter(|(key, _)| !key.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Actor;
    use crate::model::schema::{MESSAGES, USERS};
    use crate::query::{Environment, Limits};

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        let actor = Actor::denied();
        let environment = Environment::new(&actor, Timestamp::from_millis(0));
        Filter::parse(collection, json, &environment, &Limits::default())
            .map(|filter| format!("{filter:?}"))
    }

    #[test]
    fn filters_on_relations_are_parsed() {
        let bob = "Related(user_created, Field(first_name, Eq(Text(\"Bob\"))))";
        let set = "Field(user_created, Nnull)";
        for (json, expected) in [
            (json!({"user_created": {"first_name": {"_eq": "Bob"}}}), bob.to_owned()),
            (json!({"user_created": {"first_name": "Bob"}}), bob.to_owned()),
            (json!({"user_created": {"_nnull": true}}), set.to_owned()),
            (
                json!({"user_created": {"first_name": "Bob", "_nnull": true}}),
                format!("And([{set}, {bob}])"),
            ),
            (
                json!({"user_created": {"first_name": "Bob", "last_name": {"_null": true}}}),
                "Related(user_created, And([Field(first_name, Eq(Text(\"Bob\"))), \
                 Field(last_name, Null)]))"
                    .to_owned(),
            ),
            (
                json!({"user_created": {"_or": [{"first_name": "Bob"}, {"_nnull": true}]}}),
                format!("Or([{bob}, {set}])"),
            ),
            (
                json!({"user_created": {"role": {"name": {"_eq": "Bot"}}}}),
                "Related(user_created, Related(role, Field(name, Eq(Text(\"Bot\")))))".to_owned(),
            ),
        ] {
            assert_eq!(read(&MESSAGES, &json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn filters_on_lists_are_parsed() {
        let admin = "Related(policy, Field(name, Eq(Text(\"Admin\"))))";
        let named = json!({"policy": {"name": "Admin"}});
        for (json, expected) in [
            (json!({"_some": named}), format!("Some(policies, {admin})")),
            (json!({"_none": named}), format!("None(policies, {admin})")),
            (named.clone(), format!("Some(policies, {admin})")),
            (json!({"_some": {}}), "Some(policies, And([]))".to_owned()),
            (json!({"_null": true}), "None(policies, And([]))".to_owned()),
            (json!({"id": {"_null": true}}), "None(policies, And([]))".to_owned()),
            (json!({"_nnull": true}), "Some(policies, Field(id, Nnull))".to_owned()),
            (
                json!({"sort": {"_null": true}}),
                "Or([Some(policies, Field(sort, Null)), None(policies, And([]))])".to_owned(),
            ),
            (
                json!({"sort": {"_neq": 1}}),
                "Some(policies, Field(sort, Neq(Integer(1))))".to_owned(),
            ),
            (
                json!({"policy": {"name": {"_null": true}}}),
                "Or([Some(policies, Related(policy, Field(name, Null))), None(policies, And([]))])"
                    .to_owned(),
            ),
            (
                json!("7be1c9a2-4ec7-4666-a819-30f8e7ed735d"),
                "Some(policies, Field(id, Eq(Uuid(7be1c9a2-4ec7-4666-a819-30f8e7ed735d))))"
                    .to_owned(),
            ),
            (json!({}), "And([])".to_owned()),
            (
                json!({"_or": [{"_some": named}, {"_none": {}}]}),
                format!("Or([Some(policies, {admin}), None(policies, And([]))])"),
            ),
        ] {
            assert_eq!(read(&USERS, &json!({ "policies": json })), Ok(expected), "{json}");
        }
        let nested = json!({"policies": {"_some": {"nope": 1}}});
        let Err(QueryError::UnknownFields { path, .. }) = read(&USERS, &nested) else {
            panic!("{nested}");
        };
        assert_eq!(path, "policies");
    }
}
