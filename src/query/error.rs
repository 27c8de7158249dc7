//! Errors of queries.

use crate::model::Collection;

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query is invalid: `INVALID_QUERY`, with this reason.
    #[error("{0}")]
    Invalid(String),
    /// The query names fields that do not exist. Clients get the same message as for unreadable
    /// fields, so that it does not reveal whether a field exists.
    #[error("unknown fields in {collection:?}: {fields:?}")]
    UnknownFields {
        /// The collection that lacks them.
        collection: &'static Collection,
        /// The names as written.
        fields: Vec<String>,
        /// The relations that lead there, joined by dots; empty for the collection itself.
        path: String,
    },
}

impl QueryError {
    /// Creates an `INVALID_QUERY` error with this reason.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}
