//! Parses the parameters of a selection: filter, order, page and search. Also those that apply to
//! the whole response: counts and the file format.

use serde_json::Value as Json;

use crate::model::{Collection, Field};
use crate::query::parse::json::integer;
use crate::query::parse::parser::Parser;
use crate::query::{Export, Meta, QueryError, Select};
use crate::text::number::Fault;
use crate::text::pieces;

/// The greatest offset that SQL supports.
const OFFSET_MAX: u64 = i64::MAX.unsigned_abs();

impl Parser<'_> {
    /// Parses a selection; `at` returns the value of a parameter.
    pub fn select<'j>(
        &mut self,
        collection: &'static Collection,
        at: impl Fn(&str) -> Option<&'j Json>,
    ) -> Result<Select, QueryError> {
        let mut query = Select::first_page(self.limits);
        if let Some(json) = at("filter") {
            query.filter = self.filter(collection, json)?;
        }
        if let Some(json) = at("sort") {
            query.sort = self.sort(collection, json)?;
        }
        if let Some(json) = at("limit") {
            query.limit = self.limits.cap(limit(json)?);
        }
        query.offset = offset(at("offset"), at("page"), query.limit)?;
        if let Some(json) = at("search") {
            query.search = self.search(collection, json)?;
        }
        Ok(query)
    }

    /// Returns the search text and all fields, hidden ones included; `None` for a blank text.
    fn search(
        &self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Option<(String, Vec<&'static Field>)>, QueryError> {
        let text = match json {
            Json::String(text) => text.trim().to_owned(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            _ => return Err(QueryError::invalid("\"search\" must be a string")),
        };
        self.check_search_text(&text)?;
        Ok((!text.is_empty()).then(|| (text, collection.columns().collect())))
    }
}

/// Returns the requested length of the page, before it is capped; `None` for no limit.
fn limit(json: &Json) -> Result<Option<u64>, QueryError> {
    Ok(u64::try_from(number("limit", json, -1)?).ok())
}

/// Returns the number of rows before the page. `page` counts from 1 and has precedence, unless it
/// is 0 or the page has no length.
fn offset(
    offset: Option<&Json>,
    page: Option<&Json>,
    limit: Option<u64>,
) -> Result<u64, QueryError> {
    let offset = offset.map_or(Ok(0), |json| number("offset", json, 0))?;
    let page = page.map_or(Ok(0), |json| number("page", json, 0))?;
    match (page, limit) {
        (1.., Some(length @ 1..)) => {
            Ok((page - 1).unsigned_abs().saturating_mul(length).min(OFFSET_MAX))
        }
        _ => Ok(offset.unsigned_abs()),
    }
}

/// Returns the requested counts.
pub fn meta(json: &Json) -> Result<Meta, QueryError> {
    let names: Vec<Option<&str>> = match json {
        Json::String(text) if text.trim() == "*" => return Ok(Meta { total: true, filter: true }),
        Json::String(text) => pieces(text).map(Some).collect(),
        Json::Array(list) => list.iter().map(Json::as_str).collect(),
        _ => return Err(QueryError::invalid("\"meta\" must be an array")),
    };
    let mut meta = Meta::default();
    for (index, name) in names.into_iter().enumerate() {
        match name.map(str::trim) {
            Some("total_count") => meta.total = true,
            Some("filter_count") => meta.filter = true,
            _ => {
                return Err(QueryError::invalid(format!(
                    "\"meta[{index}]\" must be one of [total_count, filter_count]"
                )));
            }
        }
    }
    Ok(meta)
}

/// Returns the requested file format.
pub fn export(json: &Json) -> Result<Export, QueryError> {
    match json.as_str() {
        Some("csv") => Ok(Export::Csv),
        Some("csv_utf8") => Ok(Export::CsvUtf8),
        Some("json") => Ok(Export::Json),
        Some(name @ ("xml" | "yaml")) => Err(QueryError::invalid(format!(
            "\"export\" does not know \"{name}\" here: use csv, csv_utf8 or json"
        ))),
        _ => Err(QueryError::invalid("\"export\" must be one of [csv, csv_utf8, json]")),
    }
}

fn number(parameter: &str, json: &Json, least: i64) -> Result<i64, QueryError> {
    let fault = match integer(json) {
        Ok(number) if number >= least => return Ok(number),
        Ok(_) => &format!("greater than or equal to {least}"),
        Err(Fault::Word) => "a number",
        Err(Fault::Fraction) => "an integer",
        Err(Fault::Huge) => "a safe number",
    };
    Err(QueryError::invalid(format!("\"{parameter}\" must be {fault}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::query::Limits;
    use crate::query::parse::parser::with_parser;

    fn reason<T: std::fmt::Debug>(result: Result<T, QueryError>) -> String {
        result.expect_err("invalid input").to_string()
    }

    #[test]
    fn limits_are_parsed() {
        for (json, expected) in [
            (json!(10), Some(10)),
            (json!("10"), Some(10)),
            (json!(0), Some(0)),
            (json!(""), Some(0)),
            (json!(-1), None),
            (json!("-1"), None),
        ] {
            assert_eq!(limit(&json), Ok(expected), "{json}");
        }
        for (json, expected) in [
            (json!(-2), "\"limit\" must be greater than or equal to -1"),
            (json!("-5"), "\"limit\" must be greater than or equal to -1"),
            (json!(1.5), "\"limit\" must be an integer"),
            (json!("1.5"), "\"limit\" must be an integer"),
            (json!("abc"), "\"limit\" must be a number"),
            (json!(true), "\"limit\" must be a number"),
            (json!(1e300), "\"limit\" must be a safe number"),
        ] {
            assert_eq!(reason(limit(&json)), expected, "{json}");
        }
    }

    #[test]
    fn a_page_overrides_an_offset() {
        let found = |at: Json, page: Json, limit| offset(Some(&at), Some(&page), limit);

        assert_eq!(offset(None, None, Some(10)), Ok(0));
        assert_eq!(offset(Some(&json!("7")), None, Some(10)), Ok(7));
        assert_eq!(found(json!(7), json!(3), Some(10)), Ok(20));
        assert_eq!(found(json!(7), json!("1"), Some(10)), Ok(0));
        assert_eq!(found(json!(7), json!(0), Some(10)), Ok(7));
        assert_eq!(found(json!(7), json!(2), None), Ok(7));
        assert_eq!(found(json!(7), json!(2), Some(0)), Ok(7));
        assert_eq!(found(json!(0), json!(i64::MAX), Some(10)), Ok(OFFSET_MAX));
    }

    #[test]
    fn negative_pages_and_offsets_are_refused() {
        let negative = json!(-1);

        assert_eq!(
            reason(offset(Some(&negative), None, None)),
            "\"offset\" must be greater than or equal to 0",
        );
        assert_eq!(
            reason(offset(None, Some(&negative), None)),
            "\"page\" must be greater than or equal to 0",
        );
        assert_eq!(reason(offset(None, Some(&json!("x")), None)), "\"page\" must be a number",);
    }

    #[test]
    fn searches_are_trimmed() {
        let limits = Limits { term: 11, ..Limits::default() };
        let search = |json: &Json| {
            let found = with_parser(&limits, |parser| parser.search(&MESSAGES, json));
            found.map(|found| found.map(|(text, _)| text))
        };
        assert_eq!(search(&json!("  héllo wörld ")), Ok(Some("héllo wörld".to_owned())));
        assert_eq!(search(&json!("   ")), Ok(None));
        assert_eq!(search(&json!(5)), Ok(Some("5".to_owned())));
        assert_eq!(reason(search(&json!(["a"]))), "\"search\" must be a string");
        // Characters count, not bytes.
        assert_eq!(
            reason(search(&json!("hello worlds"))),
            "A text to look for may have at most 11 characters"
        );
    }

    #[test]
    fn meta_counts_are_parsed() {
        let both = Meta { total: true, filter: true };
        let filter = Meta { total: false, filter: true };
        for (json, expected) in [
            (json!("*"), both),
            (json!("total_count,filter_count"), both),
            (json!("total_count, filter_count"), both),
            (json!("total_count, filter_count,"), both),
            (json!(["filter_count"]), filter),
            (json!("filter_count"), filter),
            (json!("total_count"), Meta { total: true, filter: false }),
        ] {
            assert_eq!(meta(&json), Ok(expected), "{json}");
        }
        for (json, index) in
            [(json!("nope"), 0), (json!(["total_count", 5]), 1), (json!("filter_count,*"), 1)]
        {
            assert_eq!(
                reason(meta(&json)),
                format!("\"meta[{index}]\" must be one of [total_count, filter_count]"),
            );
        }
    }
}
