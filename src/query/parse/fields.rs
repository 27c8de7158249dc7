//! Parses `fields`: names, stars and dotted paths, into a tree.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::query::Fields;
use crate::query::Name;
use crate::query::Nested;
use crate::query::Opened;
use crate::query::QueryError;
use crate::query::Selection;
use crate::query::parse::budget::Budget;
use crate::query::parse::names;
use crate::query::parse::shape::Shape;

/// Parses the selected fields; all if there is no parameter.
pub fn fields(
    collection: &'static Collection,
    json: Option<&Json>,
    shape: &Shape,
    budget: &mut Budget<'_>,
) -> Result<Fields, QueryError> {
    let mut names = json.map_or(Ok(Vec::new()), |json| names::split("fields", json))?;
    if names.is_empty() {
        names.push("*");
    }
    for name in &names {
        budget.check_depth(name.split('.').count())?;
    }
    level(collection, &names, shape, &mut Vec::new(), budget)
}

/// Parses one level. Paths through the same relation are parsed together and merged.
fn level(
    collection: &'static Collection,
    names: &[&str],
    shape: &Shape,
    path: &mut Vec<&'static Field>,
    budget: &mut Budget<'_>,
) -> Result<Fields, QueryError> {
    let mut plain = Vec::new();
    let mut ways = Ways(Vec::new());
    let mut unknown = Vec::new();
    for &name in names {
        budget.take()?;
        let (head, behind) = match name.split_once('.') {
            Some((head, behind)) => (head, Some(behind)),
            None => (name, None),
        };
        if head == "*" {
            add(&mut plain, Selection::All);
            let stars = collection.fields.iter().filter(|field| !field.by_name);
            for field in stars.filter(|field| field.leads_to().is_some()) {
                if behind.is_some() || field.pointing().is_some() {
                    ways.add(Cow::Borrowed(field.name), field, behind, true);
                }
            }
            continue;
        }
        let (answered, term) =
            match (shape.alias(head), names::find_term(collection, head, budget)?) {
                (Some(term), _) => (Cow::Owned(head.to_owned()), term),
                (None, Ok(term)) => (term.name(), term),
                (None, Err(name)) => {
                    add(&mut unknown, name);
                    continue;
                }
            };
        match behind {
            None if term.field.pointing().is_none() => {
                add(&mut plain, Selection::Term(answered, term));
            }
            _ if term.part.is_none() && term.field.leads_to().is_some() => {
                ways.add(answered, term.field, behind, false);
            }
            _ => add(&mut unknown, name.to_owned()),
        }
    }
    if !unknown.is_empty() {
        return Err(names::unknown(collection, unknown, path));
    }
    if plain.contains(&Selection::All) {
        // A star includes the aliases.
        for (alias, term) in &shape.aliases {
            let name = Cow::Owned(alias.clone());
            match term.field.pointing() {
                None => add(&mut plain, Selection::Term(name, *term)),
                Some(_) => ways.add(name, term.field, None, false),
            }
        }
    }
    // A path through a relation replaces its bare key.
    plain.retain(|one| !matches!(one, Selection::Term(name, _) if ways.lead_to(name)));
    let everywhere = Shape::default();
    for Way { name, field, target, paths, by_star } in ways.0 {
        budget.follow(1)?;
        let nested = Nested::everything(budget.limits().unasked());
        let (nested, shape) = match shape.behind(&name) {
            Some((nested, shape)) => (nested.clone(), shape),
            None => (nested, &everywhere),
        };
        path.push(field);
        let fields = match paths.as_slice() {
            [] => None,
            paths => Some(level(target, paths, shape, path, budget)?),
        };
        path.pop();
        plain.push(Selection::Related(Opened { name, field, fields, nested, by_star }));
    }
    Ok(Fields(plain))
}

/// The expanded relations of one level, each with the remaining paths, and the to-many relations,
/// which show keys if there is no path.
struct Ways<'t>(Vec<Way<'t>>);

struct Way<'t> {
    name: Name,
    field: &'static Field,
    target: &'static Collection,
    paths: Vec<&'t str>,
    by_star: bool,
}

impl<'t> Ways<'t> {
    fn lead_to(&self, name: &str) -> bool {
        self.0.iter().any(|way| way.name == name)
    }

    fn add(&mut self, name: Name, field: &'static Field, behind: Option<&'t str>, star: bool) {
        let Some(target) = field.leads_to() else { return };
        let mut on = behind.iter().flat_map(|behind| behind.split('.'));
        let by_star = star && on.all(|name| name == "*");
        let place = self.0.iter().position(|way| way.name == name).unwrap_or_else(|| {
            self.0.push(Way { name, field, target, paths: Vec::new(), by_star });
            self.0.len() - 1
        });
        let way = &mut self.0[place];
        way.by_star &= by_star;
        if let Some(behind) = behind {
            add(&mut way.paths, behind);
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
        fields(collection, Some(json), &Shape::default(), &mut Budget::new(limits, None))
            .map(|fields| show(&fields))
    }

    fn show(fields: &Fields) -> String {
        let shown = fields.0.iter().map(|selection| match selection {
            Selection::All => "*".to_owned(),
            Selection::Term(name, _) => name.to_string(),
            Selection::Related(way) => match &way.fields {
                None => way.name.to_string(),
                Some(fields) => format!("{}({})", way.name, show(fields)),
            },
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn input_is_parsed_into_a_tree() {
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
            (json!("user_created.*"), "user_created(* policies)"),
            (json!("*.*"), "* user_created(* policies)"),
            (json!("*.*,user_created.email"), "* user_created(* email policies)"),
            (json!("*.first_name"), "* user_created(first_name)"),
            (json!("*.*.*"), "* user_created(* role(* children policies users) policies(*))"),
            (json!("id,year(date_created)"), "id date_created_year"),
            (json!("user_created.week(last_access)"), "user_created(last_access_week)"),
        ] {
            assert_eq!(read(&MESSAGES, &json).as_deref(), Ok(expected), "{json}");
        }
        assert_eq!(read(&USERS, &json!("policies")).as_deref(), Ok("policies"));
        assert_eq!(
            read(&USERS, &json!("policies.policy.name,policies.id")).as_deref(),
            Ok("policies(id policy(name))")
        );
        assert_eq!(
            read(&ACCESS, &json!("*.*")).as_deref(),
            Ok(
                "* role(* children policies users) user(* policies) policy(* permissions users roles)"
            )
        );
    }

    #[test]
    fn unknown_fields_of_the_first_bad_level_are_reported() {
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
            (json!("year(nope),frob(id)"), "messages", vec!["nope", "frob(id)"], ""),
            (json!("year(date_created).x"), "messages", vec!["year(date_created).x"], ""),
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
    fn invalid_input_is_refused() {
        for (json, expected) in [
            (json!("year(id)"), "\"year\" is a function of dates, and \"id\" is none"),
            (json!(["id", 5]), "\"fields[1]\" must be a string"),
            (json!({"id": true}), "\"fields\" must be an array"),
            (json!(5), "\"fields\" must be an array"),
        ] {
            assert_eq!(read(&MESSAGES, &json), Err(QueryError::invalid(expected)), "{json}");
        }
        let error = read(&USERS, &json!("count(policies)")).expect_err("invalid input");
        assert!(error.to_string().starts_with("There is no function \"count\""), "{error}");
    }

    #[test]
    fn relational_depth_is_limited() {
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
