//! Parses JSON to a checked, bounded [`Query`].
//!
//! The JSON may have typed values or the texts of a query string, in any mixture. Invalid parts are
//! errors. Nothing is ignored, except parameters that Directus does not know either.

mod aggregation;
mod condition;
mod deep;
mod fields;
mod filter;
mod json;
mod operand;
mod operator;
mod parser;
mod query;
mod relations;
mod select;
mod sort;

pub use operator::names as operators;
pub use query::Query;
