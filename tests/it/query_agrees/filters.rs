//! Generates filters of messages with every operator and relation.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;
use serde_json::json;

use crate::query_agrees::values::date;
use crate::query_agrees::values::id;
use crate::query_agrees::values::number;
use crate::query_agrees::values::text;

const EQUAL: [&str; 2] = ["_eq", "_neq"];
const ORDER: [&str; 6] = ["_eq", "_neq", "_lt", "_lte", "_gt", "_gte"];
const TEXT: [&str; 11] = [
    "_contains",
    "_ncontains",
    "_icontains",
    "_starts_with",
    "_nstarts_with",
    "_istarts_with",
    "_nistarts_with",
    "_ends_with",
    "_nends_with",
    "_iends_with",
    "_niends_with",
];
const PARTS: [&str; 8] = ["year", "month", "week", "day", "weekday", "hour", "minute", "second"];

/// A filter of messages: tests of fields and related items, in groups.
pub fn filter() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        4 => at(&["content"], text_test()),
        3 => at(&["id"], number_test()),
        4 => at(&["date_created", "date_updated"], date_test()),
        2 => date_part("date_created"),
        1 => date_part("date_updated"),
        2 => at(&["user_created", "user_updated", "guest"], uuid_test()),
        5 => at(&["user_created", "user_updated"], author()),
    ];
    grouped(leaf.boxed())
}

/// Search terms.
pub fn search() -> BoxedStrategy<Json> {
    prop_oneof![
        6 => text().prop_map(Json::String),
        2 => number().prop_map(|number| json!(number)),
        2 => id().prop_map(|id| json!(id)),
        1 => id().prop_map(|id| json!(id.to_string().to_uppercase())),
        1 => Just(json!("")),
    ]
    .boxed()
}

/// Sort orders.
pub fn order() -> BoxedStrategy<Json> {
    let names = [
        "id",
        "content",
        "date_created",
        "date_updated",
        "guest",
        "year(date_created)",
        "user_created",
        "user_updated.id",
        "user_created.first_name",
        "user_updated.email_notifications",
        "user_created.last_access",
        "user_created.role.name",
    ];
    let name = (any::<bool>(), select(names.to_vec()));
    let name = name.prop_map(|(down, name)| format!("{}{name}", if down { "-" } else { "" }));
    vec(name, 0..3).prop_map(|names| json!(names)).boxed()
}

/// Tests of an author.
fn author() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        4 => at(&["first_name", "last_name"], text_test()),
        1 => at(&["id", "role"], uuid_test()),
        2 => at(&["email_notifications"], boolean_test()),
        2 => at(&["last_access"], date_test()),
        1 => date_part("last_access"),
        1 => at(&["role"], at(&["name"], text_test())),
        4 => at(&["policies"], access_list()),
    ];
    grouped(leaf.boxed())
}

/// Tests of a to-many relation.
fn access_list() -> BoxedStrategy<Json> {
    let access = grouped(
        prop_oneof![
            4 => at(&["sort"], number_test()),
            1 => at(&["user", "role"], switch(&["_null", "_nnull"])),
            1 => at(&["policy"], at(&["admin_access"], boolean_test())),
            1 => Just(json!({})),
        ]
        .boxed(),
    );
    let one = prop_oneof![
        2 => access.clone().prop_map(|access| json!({"_some": access})),
        2 => access.clone().prop_map(|access| json!({"_none": access})),
        2 => access,
        1 => switch(&["_null", "_nnull"]),
        1 => at(&["id", "policy"], switch(&["_null", "_nnull"])),
    ];
    prop_oneof![
        4 => one.clone(),
        1 => (select(vec!["_and", "_or"]), vec(one, 0..3))
            .prop_map(|(group, parts)| json!({group: parts})),
    ]
    .boxed()
}

/// Applies a test to one of these fields.
fn at(names: &[&'static str], asked: impl Strategy<Value = Json> + 'static) -> BoxedStrategy<Json> {
    (select(names.to_vec()), asked).prop_map(|(name, asked)| json!({name: asked})).boxed()
}

/// Groups of tests: nested ones, empty ones, and several tests in one object.
fn grouped(leaf: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 1..4).prop_map(|parts| json!({"_or": parts})),
            1 => vec(inner.clone(), 0..3).prop_map(|parts| json!({"_and": parts})),
            1 => vec(inner, 0..3).prop_map(|parts| merged(&parts)),
            1 => select(vec![json!({"_and": []}), json!({"_or": []})]),
        ]
    })
    .boxed()
}

/// Merges objects. The last of several values of a name wins.
fn merged(parts: &[Json]) -> Json {
    let parts = parts.iter().filter_map(Json::as_object).flatten();
    parts.map(|(key, part)| (key.clone(), part.clone())).collect()
}

/// Several tests of one field: alone, in one object or in groups.
fn tests(one: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    prop_oneof![
        6 => one.clone(),
        1 => vec(one.clone(), 0..3).prop_map(|parts| merged(&parts)),
        1 => (select(vec!["_and", "_or"]), vec(one, 0..3))
            .prop_map(|(group, parts)| json!({group: parts})),
    ]
    .boxed()
}

fn text_test() -> BoxedStrategy<Json> {
    let texts = || text().prop_map(Json::String).boxed();
    tests(
        prop_oneof![
            6 => one_of(&TEXT, texts()),
            2 => one_of(&EQUAL, or_null(texts())),
            2 => lists(or_null(texts())),
            2 => switch(&["_null", "_nnull", "_empty", "_nempty"]),
        ]
        .boxed(),
    )
}

fn number_test() -> BoxedStrategy<Json> {
    let numbers = || {
        (number(), select(vec!["number", "text", "blanks", "fraction"])).prop_map(
            |(number, form)| match form {
                "number" => json!(number),
                "text" => json!(number.to_string()),
                "blanks" => json!(format!(" {number} ")),
                // A number that a float cannot represent would become another one.
                _ if number.abs() > 1 << 50 => json!(number),
                _ => json!(format!("{number}.0")),
            },
        )
    };
    ordered(numbers().boxed())
}

fn date_test() -> BoxedStrategy<Json> {
    ordered(date().boxed())
}

/// Tests of fields with an order.
fn ordered(values: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    tests(
        prop_oneof![
            6 => one_of(&ORDER, values.clone()),
            1 => one_of(&EQUAL, Just(Json::Null).boxed()),
            3 => one_of(&["_between", "_nbetween"], vec(values.clone(), 2).prop_map(Json::Array).boxed()),
            2 => lists(or_null(values)),
            1 => switch(&["_null", "_nnull"]),
        ]
        .boxed(),
    )
}

fn uuid_test() -> BoxedStrategy<Json> {
    let ids = prop_oneof![
        6 => id().prop_map(|id| json!(id)),
        1 => id().prop_map(|id| json!(id.to_string().to_uppercase())),
        1 => Just(json!("$CURRENT_USER")),
    ]
    .boxed();
    tests(
        prop_oneof![
            3 => one_of(&EQUAL, or_null(ids.clone())),
            3 => lists(or_null(ids)),
            1 => switch(&["_null", "_nnull"]),
        ]
        .boxed(),
    )
}

fn boolean_test() -> BoxedStrategy<Json> {
    let flags = select(vec![json!(true), json!(false), json!("true"), json!("0"), json!(1)]);
    let flags = or_null(flags.boxed());
    tests(
        prop_oneof![
            3 => one_of(&EQUAL, flags.clone()),
            1 => lists(flags),
            1 => switch(&["_null", "_nnull"]),
        ]
        .boxed(),
    )
}

/// A test of a part of a date, near the range of that part.
fn date_part(field: &'static str) -> BoxedStrategy<Json> {
    let numbers = prop_oneof![3 => 0..62_i64, 2 => 1960..2062_i64];
    let asked = prop_oneof![
        4 => one_of(&ORDER, numbers.clone().prop_map(|number| json!(number)).boxed()),
        1 => one_of(
            &["_between", "_nbetween", "_in", "_nin"],
            vec(numbers, 2).prop_map(|numbers| json!(numbers)).boxed(),
        ),
        1 => switch(&["_null", "_nnull"]),
    ];
    (select(PARTS.to_vec()), asked)
        .prop_map(move |(part, asked)| json!({format!("{part}({field})"): asked}))
        .boxed()
}

/// One of these operators with such a value.
fn one_of(operators: &[&'static str], values: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    (select(operators.to_vec()), values)
        .prop_map(|(operator, value)| json!({operator: value}))
        .boxed()
}

/// `_in` or `_nin` with a list of such values, with one alone, or with texts separated by commas.
fn lists(values: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    let list = prop_oneof![
        6 => vec(values.clone(), 1..5).prop_map(Json::Array),
        1 => vec(values, 1..4).prop_map(|values| {
            let texts: Vec<String> = values.iter().map(plain).collect();
            json!(texts.join(","))
        }),
    ];
    one_of(&["_in", "_nin"], list.boxed())
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Such a value, or occasionally null or the text "null".
fn or_null(values: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    prop_oneof![8 => values, 1 => Just(Json::Null), 1 => Just(json!("null"))].boxed()
}

fn switch(operators: &[&'static str]) -> BoxedStrategy<Json> {
    one_of(operators, any::<bool>().prop_map(Json::Bool).boxed())
}
