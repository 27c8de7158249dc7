//! Decodes the results of aggregate functions.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::model::{Collection, Value};
use crate::query::{Aggregation, Operation, Term};
use crate::store::StoreError;
use crate::store::rows;

/// One value of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateValue {
    /// The value of a field, or a count.
    Value(Value),
    /// A sum or an average.
    Real(f64),
}

/// Decodes a row of the statement of `compile::totals`.
pub(super) fn decode(
    collection: &'static Collection,
    totals: &Aggregation,
    row: &SqliteRow,
) -> Result<Vec<AggregateValue>, StoreError> {
    let groups = totals.groups.iter().map(|(_, term)| (Operation::Min, Some(*term)));
    let sums = totals.totals.iter().map(|total| (total.operation, total.of));
    let asked = groups.chain(sums).enumerate();
    asked
        .map(|(place, (operation, of))| match (operation, of) {
            (
                Operation::Sum | Operation::SumDistinct | Operation::Avg | Operation::AvgDistinct,
                _,
            ) => {
                let real = row.try_get::<Option<f64>, _>(place)?;
                Ok(real.map_or(AggregateValue::Value(Value::Null), AggregateValue::Real))
            }
            (Operation::Min | Operation::Max, Some(Term { field, part: None })) => {
                rows::decode_value(collection, field, row, place).map(AggregateValue::Value)
            }
            _ => {
                let number = row.try_get::<Option<i64>, _>(place)?;
                Ok(AggregateValue::Value(number.map_or(Value::Null, Value::Integer)))
            }
        })
        .collect()
}
