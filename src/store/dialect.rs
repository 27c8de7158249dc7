//! SQL that depends on the engine: text search, parts of dates, and JSON unpacked into rows.

use std::borrow::Cow;
use std::ffi::CStr;

use chinwag_sql_function::TextFunction;
use chinwag_sql_function::register;
use sea_query::{Expr, ExprTrait, Func};
use serde_json::Value as Json;

use crate::model::Collection;
use crate::query::{DatePart, TextPosition};
use crate::store::StoreError;
use crate::text::fold;

/// The SQL function that this program adds: `fold(text)`.
struct Fold;

impl TextFunction for Fold {
    const NAME: &'static CStr = c"fold";

    fn call(text: &str) -> Cow<'_, str> {
        fold(text)
    }
}

/// Adds `fold(text)`, which equals [`fold`], to each connection that is opened from now on.
///
/// # Errors
/// When the program is out of memory.
pub(super) fn add_functions() -> Result<(), StoreError> {
    Ok(register::<Fold>()?)
}

/// Returns the expression that is true if `column` contains `text` at this position. Texts are
/// compared by bytes or, with `ignore_case`, by folds; `%` and `_` are ordinary characters.
pub(super) fn holds(column: Expr, position: TextPosition, text: &str, ignore_case: bool) -> Expr {
    let (column, text) = if ignore_case {
        (Func::cust("fold").arg(column).into(), fold(text).into_owned())
    } else {
        (column, text.to_owned())
    };
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    match position {
        TextPosition::Anywhere => Expr::from(Func::cust("instr").arg(column).arg(text)).gt(0),
        TextPosition::Start => {
            Expr::from(Func::cust("substr").arg(column).arg(1).arg(length)).eq(text)
        }
        TextPosition::End => Expr::from(Func::cust("substr").arg(column).arg(-length)).eq(text),
    }
}

/// Returns the statement that finds the accounts by the fold of their address, given as an SQL
/// expression. One index has the folds of all ASCII addresses, the other one those of the rest.
pub(super) fn with_address(fold: &str) -> String {
    format!(
        "select id from directus_users where lower(email) = {fold} \
         union all select id from directus_users indexed by directus_users_email_beyond_ascii \
         where email glob '*[^ -~]*' and fold(email) = {fold}"
    )
}

/// Returns the expression for a part of the date in `column`, which contains milliseconds; null
/// outside the calendar. Equals [`DatePart::of`].
pub(super) fn date_part(column: Expr, part: DatePart) -> Expr {
    let format = match part {
        DatePart::Year => "%Y",
        DatePart::Month => "%m",
        DatePart::Week => "%W",
        DatePart::Day => "%d",
        DatePart::Weekday => "%w",
        DatePart::Hour => "%H",
        DatePart::Minute => "%M",
        DatePart::Second => "%S",
    };
    // An integer division truncates towards zero, which is up before 1970.
    let millis = column.clone().modulo(1000).add(1000).modulo(1000);
    let seconds = column.sub(millis).div(1000);
    let text = Func::cust("strftime").arg(format).arg(seconds).arg("unixepoch");
    Func::cast_as(text, "integer").into()
}

/// Returns the expression as a floating-point number, so that sums do not overflow.
pub(super) fn real(expression: Expr) -> Expr {
    Func::cast_as(expression, "real").into()
}

/// Returns the expression that is true if the value of `column` is in a JSON list. The list is one
/// parameter, regardless of its length.
pub(super) fn is_in(column: Expr, list: &Json) -> Expr {
    let values = Expr::val(list.to_string());
    Expr::cust_with_exprs("? in (select value from json_each(?))", [column, values])
}

/// Returns the statement that inserts the rows of a JSON list of lists, each in the order of the
/// collection's columns.
pub(super) fn insert(collection: &'static Collection) -> String {
    let names: Vec<String> =
        collection.columns().map(|field| format!("\"{}\"", field.name)).collect();
    let values: Vec<String> = (0..names.len()).map(|place| format!("value ->> {place}")).collect();
    format!(
        "insert into {} ({}) select {} from jsonb_each(?)",
        collection.name,
        names.join(", "),
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use sea_query::{Query, SqliteQueryBuilder};
    use sea_query_sqlx::SqlxBinder;
    use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

    use super::*;
    use crate::clock::Timestamp;

    /// Milliseconds from year 0 to 9999.
    const CALENDAR: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

    #[tokio::test]
    async fn sql_folds_texts_like_memory_and_keeps_other_values() {
        add_functions().unwrap();
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();

        for text in ["", "Abc", "ÜBER Straße", "Привет", "a\u{301}", "a\0B", "\u{1F600}İ"]
        {
            let row = sqlx::query("select fold(?)").bind(text).fetch_one(&mut connection).await;
            assert_eq!(row.unwrap().get::<String, _>(0), fold(text), "{text:?}");
        }
        let row = sqlx::query("select fold(null) is null, fold(12) = 12, fold(x'41') = x'41'");
        let row = row.fetch_one(&mut connection).await.unwrap();
        assert!((0..3).all(|place| row.get::<bool, _>(place)));
    }

    #[tokio::test]
    async fn date_parts_agree_in_sql_and_in_memory() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let step = 86_399_999 * 1_361;
        let mut instants: Vec<i64> = CALENDAR.step_by(step).collect();
        instants.extend([*CALENDAR.start(), *CALENDAR.end(), -1, 0, 999, -1000, -1001]);
        // Every day around some new years, at its last millisecond.
        instants.extend((20_000..22_000).map(|day| day * 86_400_000 - 1));
        instants.push(*CALENDAR.start() - 1);

        for millis in instants {
            let parts = DatePart::ALL.map(|part| date_part(Expr::val(millis), part));
            let (sql, values) = Query::select().exprs(parts).build_sqlx(SqliteQueryBuilder);
            let query = sqlx::query_with(AssertSqlSafe(sql), values);
            let row = query.fetch_one(&mut connection).await.unwrap();

            for (place, part) in DatePart::ALL.into_iter().enumerate() {
                let found: Option<i64> = row.try_get(place).unwrap();
                assert_eq!(found, part.of(Timestamp::from_millis(millis)), "{part:?} {millis}");
            }
        }
    }
}
