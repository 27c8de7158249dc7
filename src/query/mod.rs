//! The query language of Directus, to the extent that a chat needs it: parses JSON into a checked,
//! bounded `Query`, and evaluates filters in memory.
//!
//! Pure. It knows the schema, but neither permissions (`domain::permissions`) nor the origin of the
//! JSON (`transport`) nor SQL (`store::compile`).

pub mod aggregation;
pub mod cost;
pub mod date;
pub mod date_part;
pub mod date_shift;
pub mod environment;
pub mod error;
pub mod fields;
pub mod filter;
pub mod index_keys;
pub mod matches;
pub mod order;
pub mod parse;
pub mod profile;
pub mod relations;
pub mod scope;
pub mod search;
pub mod select;
pub mod term;

pub use aggregation::{Aggregation, Operation, Total, TotalsKey, TotalsSort};
pub use date_part::DatePart;
pub use environment::Environment;
pub use error::QueryError;
pub use fields::{Expansion, Fields, Selection};
pub use filter::{Filter, Test, TextPosition};
pub use index_keys::IndexKey;
pub use parse::Query;
pub use parse::operators;
pub use relations::Relations;
pub use scope::{Rule, RuleFields, Scope};
pub use select::{Export, Limits, Meta, Select, Sort};
pub use term::{Name, Term};
