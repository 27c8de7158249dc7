//! Where the engines differ: how text is searched and how JSON becomes rows.

use sea_query::Expr;
use sea_query::ExprTrait;
use sea_query::Func;
use serde_json::Value as Json;

use crate::model::Collection;
use crate::query::Place;

/// Returns the expression that is true where `column` holds `text` at this place. Letters are
/// compared by their bytes or, with `ignore_case`, ASCII letters without case; `%` and `_` are
/// ordinary characters.
pub(super) fn holds(column: Expr, place: Place, text: &str, ignore_case: bool) -> Expr {
    let (column, text) = if ignore_case {
        (Expr::from(Func::lower(column)), text.to_ascii_lowercase())
    } else {
        (column, text.to_owned())
    };
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    match place {
        Place::Anywhere => Expr::from(Func::cust("instr").arg(column).arg(text)).gt(0),
        Place::Start => Expr::from(Func::cust("substr").arg(column).arg(1).arg(length)).eq(text),
        Place::End => Expr::from(Func::cust("substr").arg(column).arg(-length)).eq(text),
    }
}

/// Returns the expression that is true where `column` is one of a JSON list. However long the list
/// is, it is one parameter.
pub(super) fn is_in(column: Expr, list: &Json) -> Expr {
    let values = Expr::val(list.to_string());
    Expr::cust_with_exprs("? in (select value from json_each(?))", [column, values])
}

/// Returns the statement that inserts the rows of a JSON list of lists, whose values are in the
/// order of the collection's columns.
pub(super) fn insert(collection: &'static Collection) -> String {
    let names: Vec<String> =
        collection.columns().map(|field| format!("\"{}\"", field.name)).collect();
    let values: Vec<String> = (0..names.len()).map(|place| format!("value ->> {place}")).collect();
    format!(
        "insert into {} ({}) select {} from json_each(?)",
        collection.name,
        names.join(", "),
        values.join(", ")
    )
}
