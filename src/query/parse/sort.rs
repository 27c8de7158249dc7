//! Parses `sort`: names and dotted paths, `-` for descending.

use serde_json::Value as Json;

use crate::model::{Collection, Kind};
use crate::query::parse::parser;
use crate::query::parse::parser::Parser;
use crate::query::{QueryError, Sort, Term};

impl Parser<'_> {
    /// Parses a sort order. Repeated fields have no effect and are left out.
    pub fn sort(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Vec<Sort>, QueryError> {
        let mut keys: Vec<Sort> = Vec::new();
        for name in parser::names("sort", json)? {
            self.take()?;
            let key = self.sort_key(collection, name)?;
            let known = |known: &Sort| {
                (&known.path, known.field, known.part) == (&key.path, key.field, key.part)
            };
            if !keys.iter().any(known) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn sort_key(
        &mut self,
        mut collection: &'static Collection,
        name: &str,
    ) -> Result<Sort, QueryError> {
        let (descending, mut rest) = direction(name);
        self.check_depth(rest.split('.').count())?;
        let level = self.path.len();
        while let Some((relation, behind)) = rest.split_once('.') {
            let field = self.field(collection, relation)?;
            let target = match field.kind {
                Kind::ToOne(target) => target,
                Kind::ToMany(..) => return Err(parser::to_many(field)),
                _ => return Err(self.unknown(collection, vec![rest.to_owned()])),
            };
            self.follow()?;
            self.path.push(field);
            (collection, rest) = (target, behind);
        }
        let Term { field, part } = self.term(collection, rest)?;
        match field.kind {
            Kind::ToMany(..) => Err(parser::to_many(field)),
            // Sorting by a secret would reveal information about it.
            Kind::Secret | Kind::Json => {
                Err(QueryError::invalid(format!("\"{}\" has no order", field.name)))
            }
            _ => Ok(Sort { path: self.path.split_off(level), field, part, descending }),
        }
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
    use crate::model::schema::{MESSAGES, USERS};
    use crate::query::Limits;
    use crate::query::parse::parser::with_parser;

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        let keys = with_parser(&Limits::default(), |parser| parser.sort(collection, json))?;
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
            let Err(QueryError::UnknownFields { collection: found, fields, path: found_path }) =
                read(&MESSAGES, &json)
            else {
                panic!("{json}");
            };
            assert_eq!(
                (found.name, fields, found_path.as_str()),
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
