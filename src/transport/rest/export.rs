//! `export`: a result as a file download, without an envelope.
//!
//! CSV is quoted as in RFC 4180 but with Unix line ends, as in Directus: texts in quotes, numbers
//! without, nothing for null. Texts are not sanitized against formula injection, so a user who
//! opens the file in a spreadsheet has to trust its authors.

use bytes::Bytes;
use poem::Response;
use poem::http::header;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::clock::Timestamp;
use crate::domain::items::Answer;
use crate::model::Collection;
use crate::query::Export;
use crate::transport::rest::envelope;

/// The byte order mark, by which spreadsheets recognize UTF-8.
const MARK: &str = "\u{feff}";

/// Returns the result as a file, if an export was requested.
#[must_use]
pub fn file(collection: &'static Collection, answer: &Answer, at: Timestamp) -> Option<Response> {
    let sheet = answer.table.as_ref()?;
    let (content_type, extension) = match sheet.export {
        Export::Csv | Export::CsvUtf8 => ("text/csv; charset=utf-8", "csv"),
        Export::Json => (envelope::JSON, "json"),
    };
    let body = match sheet.export {
        Export::Csv => csv(&sheet.columns, answer.data.get()),
        Export::CsvUtf8 => MARK.to_owned() + &csv(&sheet.columns, answer.data.get()),
        Export::Json => answer.data.get().to_owned(),
    };
    let name = format!("{} {}.{extension}", collection.name, stamp(at));
    let disposition = format!("attachment; filename=\"{name}\"");
    let response = Response::builder()
        .content_type(content_type)
        .header(header::CONTENT_DISPOSITION, disposition)
        .body(Bytes::from(body));
    Some(response)
}

/// Formats a timestamp for file names: `20261121-231805`.
fn stamp(at: Timestamp) -> String {
    let digits = |c: &char| c.is_ascii_digit();
    let text: String = at.to_string().chars().filter(digits).take(14).collect();
    let (date, time) = text.split_at(text.len().min(8));
    format!("{date}-{time}")
}

/// Returns a header line and a line per item. Items are parsed one at a time, since the parsed form
/// of all of them would take many times the memory of their text.
fn csv(columns: &[Vec<String>], items: &str) -> String {
    let items: Vec<&RawValue> = match items.as_bytes().first() {
        Some(b'[') => serde_json::from_str(items).unwrap_or_default(),
        _ => serde_json::from_str(items).into_iter().collect(),
    };
    let mut text = String::new();
    add_line(&mut text, columns.iter().map(|path| quoted(&path.join("."))));
    for item in items {
        let item: Map<String, Json> = serde_json::from_str(item.get()).unwrap_or_default();
        text.push('\n');
        add_line(&mut text, columns.iter().map(|path| cell(at(&item, path))));
    }
    text
}

fn add_line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&cell);
    }
}

/// Returns the value at a path; null if a related item is missing.
fn at<'j>(item: &'j Map<String, Json>, path: &[String]) -> &'j Json {
    let (name, rest) = match path {
        [] => return &Json::Null,
        [name, rest @ ..] => (name, rest),
    };
    match (item.get(name), rest) {
        (Some(value), []) => value,
        (Some(Json::Object(behind)), rest) => at(behind, rest),
        _ => &Json::Null,
    }
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(_) | Json::Object(_) => quoted(&value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::date;

    fn columns(names: &[&str]) -> Vec<Vec<String>> {
        names.iter().map(|name| name.split('.').map(str::to_owned).collect()).collect()
    }

    #[test]
    fn csv_quotes_texts_and_writes_null_as_empty() {
        let columns = columns(&["id", "content", "user_created.first_name", "tags"]);
        let items = r#"[
            {"id":1,"content":"x","user_created":{"first_name":"Alice"},"tags":["a"]},
            {"id":-2,"content":"a \"b\",\nc","user_created":null,"tags":null},
            {"id":true,"content":"=1+1","user_created":{"first_name":""},"tags":{}}
        ]"#;

        assert_eq!(
            csv(&columns, items),
            "\"id\",\"content\",\"user_created.first_name\",\"tags\"\n\
             1,\"x\",\"Alice\",\"[\"\"a\"\"]\"\n\
             -2,\"a \"\"b\"\",\nc\",,\n\
             true,\"=1+1\",\"\",\"{}\""
        );
        assert_eq!(csv(&columns[..2], "[]"), "\"id\",\"content\"");
        assert_eq!(csv(&columns[..1], r#"{"id":5}"#), "\"id\"\n5");
    }

    #[test]
    fn file_names_contain_the_timestamp() {
        let at = date::parse("2026-11-21T23:18:05.678Z").expect("a valid date");

        assert_eq!(stamp(at), "20261121-231805");
    }
}
