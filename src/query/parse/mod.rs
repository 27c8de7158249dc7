//! Parses JSON to a checked, bounded [`Query`].
//!
//! The JSON may have typed values or the texts of a query string, in any mixture. Invalid parts are
//! errors. Nothing is ignored, except parameters that Directus does not know either.

mod budget;
mod condition;
mod fields;
mod filter;
mod names;
mod number;
mod operand;
mod operator;
mod page;
mod query;
mod relations;
mod shape;
mod sort;
mod totals;
mod unfold;
mod value;

pub use operator::names as operators;
pub use query::Query;
