//! Parses `alias` and `deep`: parameters that apply to each level of the fields.

use serde_json::{Map, Value as Json};

use crate::model::Collection;
use crate::query::parse::json::decode;
use crate::query::parse::parser::Parser;
use crate::query::{QueryError, Select, Term};

/// The keys of `deep` for each relation.
const KNOWN: [&str; 7] = ["_filter", "_sort", "_limit", "_offset", "_page", "_search", "_alias"];

/// The parameters of one level.
#[derive(Default)]
pub struct Deep {
    /// Aliases of its fields.
    pub aliases: Vec<(String, Term)>,
    /// The parameters of the relations of the level, by their name in the response.
    relations: Vec<(String, Select, Deep)>,
}

impl Deep {
    /// Returns the term with this alias.
    pub fn alias(&self, name: &str) -> Option<Term> {
        self.aliases.iter().find(|(alias, _)| alias == name).map(|(_, term)| *term)
    }

    /// Returns the parameters of a relation.
    pub fn relation(&self, name: &str) -> Option<(&Select, &Self)> {
        let found = self.relations.iter().find(|(known, ..)| known == name);
        found.map(|(_, select, deep)| (select, deep))
    }
}

impl Parser<'_> {
    /// Parses both parameters.
    pub fn deep(
        &mut self,
        collection: &'static Collection,
        alias: Option<&Json>,
        deep: Option<&Json>,
    ) -> Result<Deep, QueryError> {
        let mut parsed = Deep::default();
        if let Some(json) = alias {
            parsed.aliases = self.aliases(collection, json)?;
        }
        if let Some(json) = deep {
            let json = decode(json)?.unwrap_or_default();
            let Json::Object(entries) = &*json else { return Err(not_object("deep")) };
            if let Some(key) = entries.keys().find(|key| key.starts_with('_')) {
                return Err(refused(key));
            }
            self.relations(collection, entries, &mut parsed)?;
        }
        Ok(parsed)
    }

    fn aliases(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Vec<(String, Term)>, QueryError> {
        let json = decode(json)?.unwrap_or_default();
        let Json::Object(entries) = &*json else {
            return Err(QueryError::invalid("\"alias\" has to be an object"));
        };
        let mut aliases = Vec::with_capacity(entries.len());
        for (alias, json) in entries {
            self.take()?;
            let Json::String(name) = json else {
                return Err(QueryError::invalid("\"alias\" value has to be a string"));
            };
            if alias.contains('.') || name.contains('.') {
                return Err(QueryError::invalid(
                    "\"alias\" key/value can't contain a period character `.`",
                ));
            }
            if matches!(alias.trim(), "" | "*") || alias.trim() != alias || alias.contains(',') {
                return Err(QueryError::invalid("\"alias\" key has to be a name"));
            }
            aliases.push((alias.clone(), self.term(collection, name)?));
        }
        Ok(aliases)
    }

    /// Parses an object with relations of a collection, or their aliases, as keys.
    fn relations(
        &mut self,
        collection: &'static Collection,
        entries: &Map<String, Json>,
        level: &mut Deep,
    ) -> Result<(), QueryError> {
        for (name, json) in entries.iter().filter(|(key, _)| !key.starts_with('_')) {
            self.take()?;
            let field = match level.alias(name) {
                Some(term) => term.field,
                None => self.field(collection, name)?,
            };
            let Some(target) = field.leads_to() else {
                return Err(QueryError::invalid(format!(
                    "\"deep\" is about relations, and \"{name}\" is none"
                )));
            };
            let Json::Object(entries) = json else { return Err(not_object(name)) };
            self.path.push(field);
            self.check_depth(self.path.len())?;
            let at = |name: &str| {
                let json = entries.get(&format!("_{name}"))?;
                (!json.is_null() && json.as_str() != Some("")).then_some(json)
            };
            let select = self.select(target, at)?;
            let mut behind = Deep::default();
            if let Some(json) = at("alias") {
                behind.aliases = self.aliases(target, json)?;
            }
            let mut parameters = entries.keys().filter(|key| key.starts_with('_'));
            if let Some(key) = parameters.find(|key| !KNOWN.contains(&key.as_str())) {
                return Err(refused(key));
            }
            self.relations(target, entries, &mut behind)?;
            self.path.pop();
            level.relations.push((name.clone(), select, behind));
        }
        Ok(())
    }
}

fn not_object(name: &str) -> QueryError {
    QueryError::invalid(format!("\"{name}\" must be of type object"))
}

fn refused(key: &str) -> QueryError {
    QueryError::invalid(format!(
        "\"deep\" takes relations, and for each of them _filter, _sort, _limit, _offset, _page, \
         _search and _alias, but not \"{key}\""
    ))
}
