//! Parses `fields`: names, stars and dotted paths, into a tree.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::model::{Collection, Field};
use crate::query::parse::deep::Deep;
use crate::query::parse::parser;
use crate::query::parse::parser::Parser;
use crate::query::{Expansion, Fields, Name, QueryError, Select, Selection};

impl Parser<'_> {
    /// Parses the selected fields; all if there is no parameter.
    pub fn fields(
        &mut self,
        collection: &'static Collection,
        json: Option<&Json>,
        deep: &Deep,
    ) -> Result<Fields, QueryError> {
        let mut names = json.map_or(Ok(Vec::new()), |json| parser::names("fields", json))?;
        if names.is_empty() {
            names.push("*");
        }
        for name in &names {
            self.check_depth(name.split('.').count())?;
        }
        self.fields_level(collection, &names, deep)
    }

    /// Parses one level. Paths through the same relation are parsed together and merged.
    fn fields_level(
        &mut self,
        collection: &'static Collection,
        names: &[&str],
        deep: &Deep,
    ) -> Result<Fields, QueryError> {
        let mut level = Level::default();
        for &name in names {
            self.take()?;
            let (head, behind) = match name.split_once('.') {
                Some((head, behind)) => (head, Some(behind)),
                None => (name, None),
            };
            if head == "*" {
                level.add_star(collection, behind);
                continue;
            }
            let (shown, term) = match (deep.alias(head), self.find_term(collection, head)?) {
                (Some(term), _) => (Cow::Owned(head.to_owned()), term),
                (None, Ok(term)) => (term.name(), term),
                (None, Err(name)) => {
                    add(&mut level.unknown, name);
                    continue;
                }
            };
            match behind {
                None if term.field.pointing().is_none() => {
                    add(&mut level.plain, Selection::Term(shown, term));
                }
                _ if term.part.is_none() && term.field.leads_to().is_some() => {
                    level.add_path(shown, term.field, behind, false);
                }
                _ => add(&mut level.unknown, name.to_owned()),
            }
        }
        if !level.unknown.is_empty() {
            return Err(self.unknown(collection, level.unknown));
        }
        self.expand(level.with_aliases(deep), deep)
    }

    /// Parses the paths behind the relations of a level.
    fn expand(&mut self, level: Level<'_>, deep: &Deep) -> Result<Fields, QueryError> {
        let Level { mut plain, relations, .. } = level;
        // A path through a relation replaces its bare key.
        plain.retain(|one| match one {
            Selection::Term(name, _) => !relations.iter().any(|relation| relation.name == *name),
            _ => true,
        });
        let everywhere = Deep::default();
        for Relation { name, field, target, paths, by_star } in relations {
            self.follow()?;
            let (select, deep) = match deep.relation(&name) {
                Some((select, deep)) => (select.clone(), deep),
                None => (Select::first_page(self.limits), &everywhere),
            };
            self.path.push(field);
            let fields = match paths.as_slice() {
                [] => None,
                paths => Some(self.fields_level(target, paths, deep)?),
            };
            self.path.pop();
            plain.push(Selection::Related(Expansion { name, field, fields, select, by_star }));
        }
        Ok(Fields(plain))
    }
}

/// The names of one level.
#[derive(Default)]
struct Level<'t> {
    plain: Vec<Selection>,
    /// The expanded relations, and the to-many relations, which show keys if there is no path.
    relations: Vec<Relation<'t>>,
    unknown: Vec<String>,
}

struct Relation<'t> {
    name: Name,
    field: &'static Field,
    target: &'static Collection,
    /// The remaining paths.
    paths: Vec<&'t str>,
    by_star: bool,
}

impl<'t> Level<'t> {
    fn add_star(&mut self, collection: &'static Collection, behind: Option<&'t str>) {
        add(&mut self.plain, Selection::All);
        for field in collection.fields.iter().filter(|field| !field.by_name) {
            if behind.is_some() || field.pointing().is_some() {
                self.add_path(Cow::Borrowed(field.name), field, behind, true);
            }
        }
    }

    /// Adds the aliases, which a star includes.
    fn with_aliases(mut self, deep: &Deep) -> Self {
        if self.plain.contains(&Selection::All) {
            for (alias, term) in &deep.aliases {
                let name = Cow::Owned(alias.clone());
                match term.field.pointing() {
                    None => add(&mut self.plain, Selection::Term(name, *term)),
                    Some(_) => self.add_path(name, term.field, None, false),
                }
            }
        }
        self
    }

    /// Adds a path through a field, if that is a relation.
    fn add_path(&mut self, name: Name, field: &'static Field, behind: Option<&'t str>, star: bool) {
        let Some(target) = field.leads_to() else { return };
        let by_star = star && behind.is_none_or(|path| path.split('.').all(|name| name == "*"));
        let known = self.relations.iter().position(|relation| relation.name == name);
        let index = known.unwrap_or_else(|| {
            self.relations.push(Relation { name, field, target, paths: Vec::new(), by_star });
            self.relations.len() - 1
        });
        let relation = &mut self.relations[index];
        relation.by_star &= by_star;
        if let Some(behind) = behind {
            add(&mut relation.paths, behind);
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
    use crate::model::schema::{ACCESS, MESSAGES, ROLES, USERS};
    use crate::query::Limits;
    use crate::query::parse::parser::with_parser;

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        read_within(&Limits::default(), collection, json)
    }

    fn read_within(
        limits: &Limits,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<String, QueryError> {
        let deep = Deep::default();
        with_parser(limits, |parser| parser.fields(collection, Some(json), &deep))
            .map(|fields| render(&fields))
    }

    fn render(fields: &Fields) -> String {
        let rendered = fields.0.iter().map(|selection| match selection {
            Selection::All => "*".to_owned(),
            Selection::Term(name, _) => name.to_string(),
            Selection::Related(relation) => match &relation.fields {
                None => relation.name.to_string(),
                Some(fields) => format!("{}({})", relation.name, render(fields)),
            },
        });
        rendered.collect::<Vec<_>>().join(" ")
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
            let Err(QueryError::UnknownFields { collection: found, fields, path: found_path }) =
                read(&MESSAGES, &json)
            else {
                panic!("{json}");
            };
            assert_eq!((found.name, found_path.as_str()), (collection, path), "{json}");
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
