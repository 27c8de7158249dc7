//! What can be wrong with a query.

use crate::model::Collection;

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query says something that has no meaning: `INVALID_QUERY`, with this reason.
    #[error("{0}")]
    Invalid(String),
    /// The query names fields that do not exist. Told to clients in the same words as fields that
    /// they may not read, so that nobody learns which it is.
    #[error("unknown fields in {collection:?}: {fields:?}")]
    UnknownFields {
        /// The collection in which they were looked for.
        collection: &'static Collection,
        /// Their names as they were written.
        fields: Vec<String>,
        /// The relations that led there, joined by dots; empty for the collection itself.
        path: String,
    },
}

impl QueryError {
    /// Returns an `INVALID_QUERY` with this reason.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}
