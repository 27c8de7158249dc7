//! Resolves field names in the schema.

use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::query::DatePart;
use crate::query::QueryError;
use crate::query::Term;
use crate::query::parse::budget::Budget;
use crate::text;

/// Directus's functions on values other than dates.
const OTHER_FUNCTIONS: [&str; 2] = ["count", "json"];

/// Returns the names in a list or a comma-separated text, trimmed, without empty ones.
pub fn split<'j>(parameter: &str, json: &'j Json) -> Result<Vec<&'j str>, QueryError> {
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

/// Returns the field with this name; `path` has the relations that lead to the collection.
pub fn find(
    collection: &'static Collection,
    name: &str,
    path: &[&'static Field],
    budget: &Budget<'_>,
) -> Result<&'static Field, QueryError> {
    budget.field(collection, name).ok_or_else(|| unknown(collection, vec![name.to_owned()], path))
}

/// Returns the field, or the part of a date, with this name.
pub fn require_term(
    collection: &'static Collection,
    name: &str,
    path: &[&'static Field],
    budget: &Budget<'_>,
) -> Result<Term, QueryError> {
    find_term(collection, name, budget)?.map_err(|name| unknown(collection, vec![name], path))
}

/// Like [`require_term`], but returns the name of a field that does not exist.
pub fn find_term(
    collection: &'static Collection,
    name: &str,
    budget: &Budget<'_>,
) -> Result<Result<Term, String>, QueryError> {
    let call = name.strip_suffix(')').and_then(|call| call.split_once('('));
    let Some((function, argument)) = call else {
        return Ok(budget.field(collection, name).map(Term::from).ok_or_else(|| name.to_owned()));
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
    match budget.field(collection, argument) {
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

/// Converts an error behind these relations to one of the whole query.
pub fn behind(path: &[&'static Field], error: QueryError) -> QueryError {
    match error {
        QueryError::UnknownFields { collection, fields, path: rest } => {
            let mut names: Vec<&str> = path.iter().map(|field| field.name).collect();
            names.extend((!rest.is_empty()).then_some(rest.as_str()));
            QueryError::UnknownFields { collection, fields, path: names.join(".") }
        }
        error @ QueryError::Invalid(_) => error,
    }
}

pub fn unknown(
    collection: &'static Collection,
    fields: Vec<String>,
    path: &[&'static Field],
) -> QueryError {
    let path = path.iter().map(|field| field.name).collect::<Vec<_>>().join(".");
    QueryError::UnknownFields { collection, fields, path }
}

pub fn to_many(field: &'static Field) -> QueryError {
    let name = field.name;
    QueryError::invalid(format!(
        "\"{name}\" is a list of other items: it can be shown, and asked about with \"_some\" \
         and \"_none\", but nothing can be sorted, grouped or aggregated by it"
    ))
}
