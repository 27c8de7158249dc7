//! Parses `alias` and `deep`: parameters that apply to each level of the fields.

use serde_json::Map;
use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::query::Environment;
use crate::query::Nested;
use crate::query::QueryError;
use crate::query::Term;
use crate::query::parse::budget::Budget;
use crate::query::parse::filter::filter;
use crate::query::parse::names;
use crate::query::parse::page;
use crate::query::parse::sort::sort;
use crate::query::parse::unfold::unfold;

/// The keys of `deep` for each relation.
const KNOWN: [&str; 7] = ["_filter", "_sort", "_limit", "_offset", "_page", "_search", "_alias"];

/// The parameters of one level.
#[derive(Default)]
pub struct Shape {
    /// Aliases of its fields.
    pub aliases: Vec<(String, Term)>,
    /// The parameters of the relations of the level, by their name in the response.
    behind: Vec<(String, Nested, Shape)>,
}

impl Shape {
    /// Returns the term with this alias.
    pub fn alias(&self, name: &str) -> Option<Term> {
        self.aliases.iter().find(|(alias, _)| alias == name).map(|(_, term)| *term)
    }

    /// Returns the parameters of a relation.
    pub fn behind(&self, name: &str) -> Option<(&Nested, &Self)> {
        let found = self.behind.iter().find(|(known, ..)| known == name);
        found.map(|(_, nested, shape)| (nested, shape))
    }
}

/// Parses both parameters.
pub fn shape(
    collection: &'static Collection,
    alias: Option<&Json>,
    deep: Option<&Json>,
    environment: &Environment<'_>,
    budget: &mut Budget<'_>,
) -> Result<Shape, QueryError> {
    let mut reader = ShapeParser { environment, budget, path: Vec::new() };
    let mut shape = Shape::default();
    if let Some(json) = alias {
        shape.aliases = reader.aliases(collection, json)?;
    }
    if let Some(json) = deep {
        let json = unfold(json)?.unwrap_or_default();
        let Json::Object(entries) = &*json else { return Err(not_object("deep")) };
        if let Some(key) = entries.keys().find(|key| key.starts_with('_')) {
            return Err(refused(key));
        }
        reader.level(collection, entries, &mut shape)?;
    }
    Ok(shape)
}

/// The state of the parser.
struct ShapeParser<'a, 'b> {
    environment: &'a Environment<'a>,
    budget: &'a mut Budget<'b>,
    /// The relations that lead to the current level.
    path: Vec<&'static Field>,
}

impl ShapeParser<'_, '_> {
    fn aliases(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Vec<(String, Term)>, QueryError> {
        let json = unfold(json)?.unwrap_or_default();
        let Json::Object(entries) = &*json else {
            return Err(QueryError::invalid("\"alias\" has to be an object"));
        };
        let mut aliases = Vec::with_capacity(entries.len());
        for (alias, json) in entries {
            self.budget.take()?;
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
            let term = names::require_term(collection, name, &self.path, self.budget)?;
            aliases.push((alias.clone(), term));
        }
        Ok(aliases)
    }

    /// Parses an object with relations of a collection, or their aliases, as keys.
    fn level(
        &mut self,
        collection: &'static Collection,
        entries: &Map<String, Json>,
        shape: &mut Shape,
    ) -> Result<(), QueryError> {
        for (name, json) in entries.iter().filter(|(key, _)| !key.starts_with('_')) {
            self.budget.take()?;
            let field = match shape.alias(name) {
                Some(term) => term.field,
                None => names::find(collection, name, &self.path, self.budget)?,
            };
            let Some(target) = field.leads_to() else {
                return Err(QueryError::invalid(format!(
                    "\"deep\" is about relations, and \"{name}\" is none"
                )));
            };
            let Json::Object(entries) = json else { return Err(not_object(name)) };
            self.path.push(field);
            self.budget.check_depth(self.path.len())?;
            let mut behind = Shape::default();
            let nested = self.nested(target, entries, &mut behind)?;
            self.level(target, entries, &mut behind)?;
            self.path.pop();
            shape.behind.push((name.clone(), nested, behind));
        }
        Ok(())
    }

    /// Parses the parameters of one relation.
    fn nested(
        &mut self,
        target: &'static Collection,
        entries: &Map<String, Json>,
        shape: &mut Shape,
    ) -> Result<Nested, QueryError> {
        let mut nested = Nested::everything(self.budget.limits().unasked());
        let at = |name: &str| entries.get(name).filter(|json| is_given(json));
        if let Some(json) = at("_filter") {
            nested.filter = filter(target, json, self.environment, self.budget)
                .map_err(|error| names::behind(&self.path, error))?;
        }
        if let Some(json) = at("_sort") {
            nested.sort = sort(target, json, self.budget)
                .map_err(|error| names::behind(&self.path, error))?;
        }
        if let Some(json) = at("_limit") {
            nested.limit = self.budget.limits().cap(page::limit(json)?);
        }
        nested.offset = page::offset(at("_offset"), at("_page"), nested.limit)?;
        if let Some(json) = at("_search") {
            nested.search = page::search(json, self.budget)?;
        }
        if let Some(json) = at("_alias") {
            shape.aliases = self.aliases(target, json)?;
        }
        match entries.keys().find(|key| key.starts_with('_') && !KNOWN.contains(&key.as_str())) {
            Some(key) => Err(refused(key)),
            None => Ok(nested),
        }
    }
}

fn is_given(json: &Json) -> bool {
    !json.is_null() && json.as_str() != Some("")
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
