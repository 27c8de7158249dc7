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

pub use aggregation::Aggregation;
pub use aggregation::Operation;
pub use aggregation::Total;
pub use aggregation::TotalsKey;
pub use aggregation::TotalsSort;
pub use date_part::DatePart;
pub use environment::Environment;
pub use error::QueryError;
pub use fields::Expansion;
pub use fields::Fields;
pub use fields::Selection;
pub use filter::Filter;
pub use filter::Test;
pub use filter::TextPosition;
pub use index_keys::IndexKey;
pub use parse::Query;
pub use parse::operators;
pub use relations::Relations;
pub use scope::Rule;
pub use scope::RuleFields;
pub use scope::Scope;
pub use select::Export;
pub use select::Limits;
pub use select::Meta;
pub use select::Select;
pub use select::Sort;
pub use term::Name;
pub use term::Term;
