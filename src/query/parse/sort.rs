//! Parses `sort`: field names in order of precedence, with `-` for descending.

use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::query::QueryError;
use crate::query::Sort;
use crate::query::Term;
use crate::query::parse::budget::Budget;
use crate::query::parse::names;

/// Parses a sort order. Repeated fields have no effect and are left out.
pub fn sort(
    collection: &'static Collection,
    json: &Json,
    budget: &mut Budget<'_>,
) -> Result<Vec<Sort>, QueryError> {
    let mut keys: Vec<Sort> = Vec::new();
    for name in names::split("sort", json)? {
        budget.take()?;
        let key = key(collection, name, budget)?;
        let known = |known: &Sort| {
            (&known.path, known.field, known.part) == (&key.path, key.field, key.part)
        };
        if !keys.iter().any(known) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn key(
    collection: &'static Collection,
    name: &str,
    budget: &mut Budget<'_>,
) -> Result<Sort, QueryError> {
    let (descending, name) = direction(name);
    budget.check_depth(name.split('.').count())?;
    let mut path: Vec<&'static Field> = Vec::new();
    let mut collection = collection;
    let mut rest = name;
    while let Some((relation, behind)) = rest.split_once('.') {
        let field = names::find(collection, relation, &path, budget)?;
        let target = match field.kind {
            Kind::ToOne(target) => target,
            Kind::ToMany(..) => return Err(names::to_many(field)),
            _ => return Err(names::unknown(collection, vec![rest.to_owned()], &path)),
        };
        budget.follow(1)?;
        path.push(field);
        collection = target;
        rest = behind;
    }
    let Term { field, part } = names::require_term(collection, rest, &path, budget)?;
    match field.kind {
        Kind::ToMany(..) => Err(names::to_many(field)),
        // Sorting by a secret would reveal information about it.
        Kind::Secret | Kind::Json => {
            Err(QueryError::invalid(format!("\"{}\" has no order", field.name)))
        }
        _ => Ok(Sort { path, field, part, descending }),
    }
}

/// Returns whether a sort key is descending, and its name.
pub fn direction(name: &str) -> (bool, &str) {
    match name.strip_prefix('-') {
        Some(name) => (true, name.trim_start()),
        None => (false, name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::USERS;
    use crate::query::Limits;

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        let keys = sort(collection, json, &mut Budget::new(&Limits::default(), None))?;
        let keys = keys.into_iter().map(|key| {
            let last = Term { field: key.field, part: key.part }.name();
            let names = key.path.iter().map(|field| field.name).chain([&*last]);
            let sign = if key.descending { "-" } else { "" };
            sign.to_owned() + &names.collect::<Vec<_>>().join(".")
        });
        Ok(keys.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn sort_orders_are_parsed() {
        for (json, expected) in [
            (json!("-date_created,id"), "-date_created id"),
            (json!(" - date_created , id ,"), "-date_created id"),
            (json!(["-date_created", "id"]), "-date_created id"),
            (json!(["-date_created,id"]), "-date_created id"),
            (json!("user_created"), "user_created"),
            (json!("-user_created.first_name"), "-user_created.first_name"),
            (json!("user_created.role.name"), "user_created.role.name"),
            (json!("id,-id,content"), "id content"),
            (json!("-year(date_created),date_created"), "-date_created_year date_created"),
            (json!("user_created.hour(last_access)"), "user_created.last_access_hour"),
            (json!(","), ""),
        ] {
            assert_eq!(read(&MESSAGES, &json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for (json, collection, field, path) in [
            (json!("id,nope"), "messages", "nope", ""),
            (json!("?"), "messages", "?", ""),
            (json!("id; drop table messages"), "messages", "id; drop table messages", ""),
            (json!("user_created.nope"), "directus_users", "nope", "user_created"),
            (json!("user_created."), "directus_users", "", "user_created"),
            (json!("content.foo"), "messages", "content.foo", ""),
        ] {
            let Err(QueryError::UnknownFields { collection: found, fields, path: way }) =
                read(&MESSAGES, &json)
            else {
                panic!("{json}");
            };
            assert_eq!(
                (found.name, fields, way.as_str()),
                (collection, vec![field.to_owned()], path)
            );
        }
    }

    #[test]
    fn unsortable_fields_are_refused() {
        for (json, expected) in [
            (json!("year(email)"), "\"year\" is a function of dates, and \"email\" is none"),
            (json!("password"), "\"password\" has no order"),
            (json!("tags"), "\"tags\" has no order"),
            (json!([5]), "\"sort[0]\" must be a string"),
            (json!({"id": 1}), "\"sort\" must be an array"),
        ] {
            let error = read(&USERS, &json).expect_err("invalid input");
            assert_eq!(error, QueryError::invalid(expected), "{json}");
        }
        for name in ["policies", "policies.sort"] {
            let error = read(&USERS, &json!(name)).expect_err("invalid input").to_string();
            assert!(error.starts_with("\"policies\" is a list"), "{error}");
        }
    }

    #[test]
    fn relational_depth_is_limited() {
        let name = format!("role{}.name", ".parent".repeat(8));
        assert!(read(&USERS, &json!(name)).is_ok());

        let name = format!("role{}.name", ".parent".repeat(9));
        let error = read(&USERS, &json!(name)).expect_err("invalid input");
        assert_eq!(error, QueryError::invalid("Max relational depth exceeded"));
    }
}
