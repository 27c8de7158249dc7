//! The state of parsing one query: its remaining limits, the fields it may name, and the position.

use serde_json::Value as Json;

use crate::model::{Collection, Field, Kind};
use crate::query::{DatePart, Environment, Limits, QueryError, Term};
use crate::text;

/// Directus's functions on values other than dates.
const OTHER_FUNCTIONS: [&str; 2] = ["count", "json"];

/// Parses the parameters of one query. Parts that would exceed its limits are refused.
pub struct Parser<'a> {
    pub environment: &'a Environment<'a>,
    pub limits: &'a Limits,
    parts_left: usize,
    relations_left: usize,
    /// The relations that lead to the current level.
    pub path: Vec<&'static Field>,
    /// The number of these that lead to the level of the current filter.
    pub filter_level: usize,
}

impl<'a> Parser<'a> {
    pub fn new(environment: &'a Environment<'a>, limits: &'a Limits) -> Self {
        let (parts_left, relations_left) = (limits.parts, limits.relations);
        Self { environment, limits, parts_left, relations_left, path: Vec::new(), filter_level: 0 }
    }

    /// Counts one part: a field, a sort key, a filter test, a value in a filter list, an aggregate.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.limits.parts))
        })?;
        Ok(())
    }

    /// Counts a relation that is followed.
    pub fn follow(&mut self) -> Result<(), QueryError> {
        self.relations_left = self.relations_left.checked_sub(1).ok_or_else(|| {
            let most = self.limits.relations;
            QueryError::invalid(format!("A query may follow at most {most} relations"))
        })?;
        Ok(())
    }

    /// Checks the length of a search text.
    pub fn check_search_text(&self, text: &str) -> Result<(), QueryError> {
        let max = self.limits.term;
        // Counting is only needed if there are more bytes than allowed characters.
        if text.len() > max && text.chars().count() > max {
            return Err(QueryError::invalid(format!(
                "A text to look for may have at most {max} characters"
            )));
        }
        Ok(())
    }

    /// Checks the number of names in a path.
    pub fn check_depth(&self, names: usize) -> Result<(), QueryError> {
        if names > self.limits.depth {
            return Err(QueryError::invalid("Max relational depth exceeded"));
        }
        Ok(())
    }

    /// Returns the field with this name, unless it does not exist or may not be named.
    fn find(&self, collection: &'static Collection, name: &str) -> Option<&'static Field> {
        collection.field(name).filter(|field| self.environment.may_name(collection, field))
    }

    /// Returns the field with this name.
    pub fn field(
        &self,
        collection: &'static Collection,
        name: &str,
    ) -> Result<&'static Field, QueryError> {
        self.find(collection, name).ok_or_else(|| self.unknown(collection, vec![name.to_owned()]))
    }

    /// Returns the field, or the part of a date, with this name.
    pub fn term(&self, collection: &'static Collection, name: &str) -> Result<Term, QueryError> {
        self.find_term(collection, name)?.map_err(|name| self.unknown(collection, vec![name]))
    }

    /// Like [`Parser::term`], but returns the name of a field that does not exist.
    pub fn find_term(
        &self,
        collection: &'static Collection,
        name: &str,
    ) -> Result<Result<Term, String>, QueryError> {
        let Some((function, argument)) =
            name.strip_suffix(')').and_then(|application| application.split_once('('))
        else {
            return Ok(self.find(collection, name).map(Term::from).ok_or_else(|| name.to_owned()));
        };
        let Some(part) = DatePart::find(function) else {
            if OTHER_FUNCTIONS.contains(&function) {
                let names = DatePart::ALL.map(DatePart::name).join(", ");
                return Err(QueryError::invalid(format!(
                    "There is no function \"{function}\" here, only those of dates: {names}"
                )));
            }
            return Ok(Err(name.to_owned()));
        };
        match self.find(collection, argument) {
            None => Ok(Err(argument.to_owned())),
            Some(field) if matches!(field.kind, Kind::Timestamp) => {
                Ok(Ok(Term { field, part: Some(part) }))
            }
            Some(field) => Err(QueryError::invalid(format!(
                "\"{function}\" is a function of dates, and \"{}\" is none",
                field.name
            ))),
        }
    }

    /// Returns the error for unknown fields of the current level.
    pub fn unknown(&self, collection: &'static Collection, fields: Vec<String>) -> QueryError {
        let path = self.path.iter().map(|field| field.name).collect::<Vec<_>>().join(".");
        QueryError::UnknownFields { collection, fields, path }
    }
}

/// Returns the names in a list or a comma-separated text, trimmed, without empty ones.
pub fn names<'j>(parameter: &str, json: &'j Json) -> Result<Vec<&'j str>, QueryError> {
    let texts = match json {
        Json::String(text) => vec![text.as_str()],
        Json::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                entry.as_str().ok_or_else(|| {
                    QueryError::invalid(format!("\"{parameter}[{index}]\" must be a string"))
                })
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(QueryError::invalid(format!("\"{parameter}\" must be an array"))),
    };
    Ok(texts.into_iter().flat_map(text::names).collect())
}

/// Returns the error for a to-many relation where only a single value has a meaning.
pub fn to_many(field: &'static Field) -> QueryError {
    let name = field.name;
    QueryError::invalid(format!(
        "\"{name}\" is a list of other items: it can be shown, and asked about with \"_some\" \
         and \"_none\", but nothing can be sorted, grouped or aggregated by it"
    ))
}

/// Calls `parse` with a parser for the public.
#[cfg(test)]
pub fn with_parser<T>(limits: &Limits, parse: impl FnOnce(&mut Parser<'_>) -> T) -> T {
    let actor = crate::model::Actor::denied();
    let environment = Environment::new(&actor, crate::clock::Timestamp::from_millis(0));
    parse(&mut Parser::new(&environment, limits))
}
