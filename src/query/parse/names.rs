//! Names of fields, as every part of a query finds them in the schema.

use serde_json::Value as Json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::query::QueryError;

/// The functions of Directus on the values of a field.
const FUNCTIONS: [&str; 10] = [
    "year(", "month(", "week(", "day(", "weekday(", "hour(", "minute(", "second(", "count(",
    "json(",
];

/// Returns the names in a list or a text with commas, without the blanks around them and without
/// empty ones.
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
    let names = texts.into_iter().flat_map(|text| text.split(','));
    Ok(names.map(str::trim).filter(|name| !name.is_empty()).collect())
}

/// Returns the field with this name; `path` are the relations that led to the collection.
pub fn find(
    collection: &'static Collection,
    name: &str,
    path: &[&'static Field],
) -> Result<&'static Field, QueryError> {
    refuse_function(name)?;
    collection.field(name).ok_or_else(|| unknown(collection, vec![name.to_owned()], path))
}

/// Returns the collection behind a relation, `None` if the field is none.
pub fn follow(field: &'static Field) -> Result<Option<&'static Collection>, QueryError> {
    match field.kind {
        Kind::ToMany(..) => Err(to_many(field)),
        _ => Ok(field.target()),
    }
}

/// Refuses `year(date_created)` and the like.
pub fn refuse_function(name: &str) -> Result<(), QueryError> {
    if name.ends_with(')') && FUNCTIONS.iter().any(|function| name.starts_with(function)) {
        return Err(QueryError::invalid(format!("\"{name}\" is not supported yet")));
    }
    Ok(())
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
        "\"{name}\" is a list of other items: it can be named in \"fields\", but not followed, \
         filtered or sorted by"
    ))
}
