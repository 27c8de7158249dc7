//! `fields`: names, stars and dotted paths to a tree.

use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::query::Fields;
use crate::query::QueryError;
use crate::query::Selection;
use crate::query::parse::budget::Budget;
use crate::query::parse::names;

/// Reads which fields are asked for.
pub fn fields(
    collection: &'static Collection,
    json: &Json,
    budget: &mut Budget,
) -> Result<Fields, QueryError> {
    let names = names::split("fields", json)?;
    if names.is_empty() {
        return Ok(Fields::all());
    }
    for name in &names {
        names::refuse_function(name)?;
        budget.check_depth(name.split('.').count())?;
    }
    level(collection, &names, &mut Vec::new(), budget)
}

/// Reads one level; all paths into one relation are read together, so that they merge.
fn level(
    collection: &'static Collection,
    names: &[&str],
    path: &mut Vec<&'static Field>,
    budget: &mut Budget,
) -> Result<Fields, QueryError> {
    let mut plain = Vec::new();
    let mut opened = Opened(Vec::new());
    let mut unknown = Vec::new();
    for &name in names {
        budget.take()?;
        names::refuse_function(name)?;
        let (head, behind) = match name.split_once('.') {
            Some((head, behind)) => (head, Some(behind)),
            None => (name, None),
        };
        match (head, collection.field(head), behind) {
            ("*", _, behind) => {
                add(&mut plain, Selection::All);
                if let Some(behind) = behind {
                    let stars = collection.fields.iter().filter(|field| !field.by_name);
                    for field in stars {
                        if let Some(target) = field.target() {
                            opened.add((field, target), behind);
                        }
                    }
                }
            }
            (_, Some(field), None) => add(&mut plain, Selection::Field(field)),
            (_, Some(field), Some(behind)) => match names::follow(field)? {
                Some(target) => opened.add((field, target), behind),
                None => add(&mut unknown, name.to_owned()),
            },
            (_, None, _) => add(&mut unknown, head.to_owned()),
        }
    }
    if !unknown.is_empty() {
        return Err(names::unknown(collection, unknown, path));
    }
    // A path into a relation beats its bare key.
    plain.retain(|selection| !matches!(selection, Selection::Field(field) if opened.has(field)));
    for (field, target, behind) in opened.0 {
        path.push(field);
        plain.push(Selection::Related(field, level(target, &behind, path, budget)?));
        path.pop();
    }
    Ok(Fields(plain))
}

/// The relations of one level that are opened, each with the paths that lead on from there.
struct Opened<'t>(Vec<(&'static Field, &'static Collection, Vec<&'t str>)>);

impl<'t> Opened<'t> {
    fn has(&self, field: &'static Field) -> bool {
        self.0.iter().any(|(known, ..)| *known == field)
    }

    fn add(&mut self, (field, target): (&'static Field, &'static Collection), behind: &'t str) {
        match self.0.iter_mut().find(|(known, ..)| *known == field) {
            Some((.., paths)) => add(paths, behind),
            None => self.0.push((field, target, vec![behind])),
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, new: T) {
    if !list.contains(&new) {
        list.push(new);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::ACCESS;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::ROLES;
    use crate::model::schema::USERS;
    use crate::query::Limits;

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        read_within(&Limits::default(), collection, json)
    }

    fn read_within(
        limits: &Limits,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<String, QueryError> {
        fields(collection, json, &mut Budget::new(limits)).map(|fields| show(&fields))
    }

    fn show(fields: &Fields) -> String {
        let shown = fields.0.iter().map(|selection| match selection {
            Selection::All => "*".to_owned(),
            Selection::Field(field) => field.name.to_owned(),
            Selection::Related(field, behind) => format!("{}({})", field.name, show(behind)),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn trees() {
        for (json, expected) in [
            (json!("id,content"), "id content"),
            (json!(" content , id ,"), "content id"),
            (json!(["id", "content"]), "id content"),
            (json!(["id,content", " user_created"]), "id content user_created"),
            (json!("id,content,id"), "id content"),
            (json!("*"), "*"),
            (json!("*,*"), "*"),
            (json!("id,*,date_updated"), "id * date_updated"),
            (json!(","), "*"),
            (json!("user_created"), "user_created"),
            (json!("user_created.first_name"), "user_created(first_name)"),
            (json!("*,user_created.first_name"), "* user_created(first_name)"),
            (json!("user_created.first_name,*,content"), "* content user_created(first_name)"),
            (json!("user_created.first_name,user_created"), "user_created(first_name)"),
            (json!("user_created,id,user_created.first_name"), "id user_created(first_name)"),
            (
                json!("user_created.first_name,user_updated.id,user_created.last_name"),
                "user_created(first_name last_name) user_updated(id)",
            ),
            (
                json!("user_created.id,user_created.id,user_created.role.name,user_created.role"),
                "user_created(id role(name))",
            ),
            (json!("user_created.*"), "user_created(*)"),
            (json!("*.*"), "* user_created(*)"),
            (json!("*.*,user_created.email"), "* user_created(* email)"),
            (json!("*.first_name"), "* user_created(first_name)"),
            (json!("*.*.*"), "* user_created(* role(*))"),
        ] {
            assert_eq!(read(&MESSAGES, &json).as_deref(), Ok(expected), "{json}");
        }
        assert_eq!(read(&USERS, &json!("policies")).as_deref(), Ok("policies"));
        assert_eq!(read(&ACCESS, &json!("*.*")).as_deref(), Ok("* role(*) user(*) policy(*)"));
    }

    #[test]
    fn all_unknown_names_of_the_first_level_that_has_any() {
        for (json, collection, unknown, path) in [
            (json!("nope"), "messages", vec!["nope"], ""),
            (json!("nope,id,nope2,nope"), "messages", vec!["nope", "nope2"], ""),
            (json!("user_created.bad,nope"), "messages", vec!["nope"], ""),
            (json!("nope.first_name"), "messages", vec!["nope"], ""),
            (json!("Content"), "messages", vec!["Content"], ""),
            (json!("cöntent"), "messages", vec!["cöntent"], ""),
            (json!("id from messages; --"), "messages", vec!["id from messages; --"], ""),
            (json!("**"), "messages", vec!["**"], ""),
            (json!("content.foo"), "messages", vec!["content.foo"], ""),
            (
                json!("user_created.a,user_created.b"),
                "directus_users",
                vec!["a", "b"],
                "user_created",
            ),
            (json!("*.nope"), "directus_users", vec!["nope"], "user_created"),
            (json!("user_created."), "directus_users", vec![""], "user_created"),
            (json!("user_created.role.x"), "directus_roles", vec!["x"], "user_created.role"),
        ] {
            let Err(QueryError::UnknownFields { collection: found, fields, path: way }) =
                read(&MESSAGES, &json)
            else {
                panic!("{json}");
            };
            assert_eq!((found.name, way.as_str()), (collection, path), "{json}");
            assert_eq!(fields, unknown, "{json}");
        }
    }

    #[test]
    fn refusals() {
        for (json, expected) in [
            (json!("year(date_created)"), "\"year(date_created)\" is not supported yet"),
            (json!("user_created.year(last_access)"), "\"year(last_access)\" is not supported yet"),
            (json!(["id", 5]), "\"fields[1]\" must be a string"),
            (json!({"id": true}), "\"fields\" must be an array"),
            (json!(5), "\"fields\" must be an array"),
        ] {
            assert_eq!(read(&MESSAGES, &json), Err(QueryError::invalid(expected)), "{json}");
        }
        let error = read(&USERS, &json!("policies.policy")).expect_err("it is refused");
        assert!(error.to_string().starts_with("\"policies\" is a list"), "{error}");
    }

    #[test]
    fn paths_have_an_end() {
        let too_deep = Err(QueryError::invalid("Max relational depth exceeded"));

        assert!(read(&ROLES, &json!(format!("{}name", "parent.".repeat(9)))).is_ok());
        assert_eq!(read(&ROLES, &json!(format!("{}name", "parent.".repeat(10)))), too_deep);
        assert_eq!(read(&ROLES, &json!(format!("{}*", "*.".repeat(10)))), too_deep);
    }

    #[test]
    fn parts_are_counted_at_every_level() {
        let limits = Limits { parts: 3, ..Limits::default() };
        let too_many = Err(QueryError::invalid("A query may have at most 3 parts"));
        let read = |text: &str| read_within(&limits, &MESSAGES, &json!(text));

        assert!(read("id,content,date_created").is_ok());
        assert_eq!(read("id,content,date_created,id"), too_many);
        assert!(read("id,user_created.id").is_ok());
        assert_eq!(read("user_created.id,user_created.role"), too_many);
    }
}
