//! Documentation of path and query parameters.

use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaParamIn;
use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::schema::USERS;
use crate::transport::rest::schemas;

/// Returns the parameters of a list.
#[must_use]
pub fn of_list() -> Vec<MetaOperationParam> {
    vec![
        fields(),
        query(
            "filter",
            "string",
            "A filter as JSON text: `{\"field\":{\"_operator\":value}}`, with `_and` and `_or` for \
             combinations and nested objects for relations. Or with brackets: \
             `filter[content][_eq]=Hello`, `filter[_or][0][id][_lt]=5`.",
            json!("{\"user_created\":{\"first_name\":{\"_eq\":\"Alice\"}}}"),
        ),
        query(
            "sort",
            "string",
            "Comma-separated fields, with `-` for descending and with dots for related items. By \
             default, by key, ascending.",
            json!("-date_created,id"),
        ),
        count("limit", -1, "The maximum number of items; 100 by default, -1 for all.", 10),
        count("offset", 0, "The number of items to skip.", 0),
        count("page", 0, "The page of `limit` items, from 1; overrides `offset`.", 1),
        query(
            "search",
            "string",
            "A text that at least one text field of the item contains.",
            json!("hello"),
        ),
        query(
            "meta",
            "string",
            "The counts to add: `total_count`, `filter_count`, or `*` for both.",
            json!("filter_count"),
        ),
        query(
            "aggregate",
            "string",
            "Aggregates instead of items, as JSON text: `count`, `countDistinct`, `countAll`, \
             `sum`, `sumDistinct`, `avg`, `avgDistinct`, `min`, `max`, each of one or more fields; \
             `count` also of `*`. Or with brackets: `aggregate[count]=*`.",
            json!("{\"count\":\"*\"}"),
        ),
        query(
            "groupBy",
            "string",
            "Comma-separated fields to group by, and parts of dates such as `year(date_created)`. \
             `sort` then accepts these fields and aggregates (`-count`).",
            json!("user_created"),
        ),
        alias(),
        deep(),
        export(),
    ]
}

/// Returns the parameters of reading one item.
#[must_use]
pub fn of_item() -> Vec<MetaOperationParam> {
    vec![fields(), alias(), deep(), export()]
}

/// Returns the parameters that shape the response to a write.
#[must_use]
pub fn of_one() -> Vec<MetaOperationParam> {
    vec![fields(), alias(), deep()]
}

fn alias() -> MetaOperationParam {
    query(
        "alias",
        "string",
        "Aliases of fields as JSON text: `{\"name\":\"field\"}`, for use in `fields`. Or with \
         brackets: `alias[name]=field`.",
        json!("{\"author\":\"user_created\"}"),
    )
}

fn deep() -> MetaOperationParam {
    query(
        "deep",
        "string",
        "Queries for related items, as JSON text: `_filter`, `_sort`, `_limit`, `_offset`, \
         `_page`, `_search` and `_alias` under the name of the relation. A single item that does \
         not match is null.",
        json!("{\"user_created\":{\"_filter\":{\"first_name\":{\"_eq\":\"Alice\"}}}}"),
    )
}

fn fields() -> MetaOperationParam {
    query(
        "fields",
        "string",
        "Comma-separated fields to return: names, `*` for all readable fields, `relation.name` for \
         those of a related item, `year(date)` for parts of dates (also `month`, `week`, `day`, \
         `weekday`, `hour`, `minute`, `second`). Or a repeated `fields[]=…`.",
        json!("*,user_created.first_name"),
    )
}

/// Returns the key of an account as a path parameter.
#[must_use]
pub fn account() -> MetaOperationParam {
    let key = schemas::key_schema(&USERS);
    path("id", key, "The key of the account.", json!("a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b"))
}

/// Returns the header with the idempotency key of a create.
#[must_use]
pub fn idempotency_key() -> MetaOperationParam {
    parameter(
        "Idempotency-Key",
        MetaParamIn::Header,
        MetaSchema::new("string"),
        "A text of your choice, such as a UUID, that makes the create idempotent: a repetition \
         with the same body, even a concurrent one, creates nothing and returns the current state \
         of the first result. With another body the response is `422`. The key belongs to your \
         account, and is kept as long as the event log. Without a sign-in it needs at least 16 \
         characters.",
        json!("6c7c7ae4-6b3b-4a7c-9c3b-5f0f5f1c2d3e"),
    )
}

/// `describe` documents it separately, since the response has another type.
fn export() -> MetaOperationParam {
    let names = ["csv", "csv_utf8", "json"];
    let schema = MetaSchema {
        enum_items: names.into_iter().map(Json::from).collect(),
        ..MetaSchema::new("string")
    };
    let description = "Returns a file: `csv`, `csv_utf8` (for spreadsheets) or `json`.";
    parameter("export", MetaParamIn::Query, schema, description, json!("csv"))
}

fn count(name: &str, least: i32, description: &str, example: u32) -> MetaOperationParam {
    let schema = MetaSchema {
        minimum: Some(f64::from(least)),
        ..MetaSchema::new_with_format("integer", "int64")
    };
    parameter(name, MetaParamIn::Query, schema, description, json!(example))
}

/// Returns a path parameter.
#[must_use]
pub fn path(
    name: &str,
    schema: MetaSchema,
    description: &str,
    example: Json,
) -> MetaOperationParam {
    parameter(name, MetaParamIn::Path, schema, description, example)
}

/// Returns a query parameter.
#[must_use]
pub fn query(name: &str, ty: &'static str, description: &str, example: Json) -> MetaOperationParam {
    parameter(name, MetaParamIn::Query, MetaSchema::new(ty), description, example)
}

fn parameter(
    name: &str,
    in_type: MetaParamIn,
    schema: MetaSchema,
    description: &str,
    example: Json,
) -> MetaOperationParam {
    let schema = MetaSchema { example: Some(example), ..schema };
    MetaOperationParam {
        name: name.to_owned(),
        schema: MetaSchemaRef::Inline(Box::new(schema)),
        in_type,
        description: Some(description.to_owned()),
        required: in_type == MetaParamIn::Path,
        deprecated: false,
        explode: true,
        style: None,
    }
}
