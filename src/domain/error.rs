//! The errors of the domain, in the caller's terms. `transport::error` maps them to responses.

use std::time::Duration;

use serde_json::Value as Json;

use crate::clock::{Clock, Timestamp};
use crate::model::{Collection, TooLong};
use crate::query::QueryError;
use crate::store::StoreError;

/// The reason why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong password, unknown or inactive account, unknown token. The cause is never disclosed.
    #[error("credentials refused")]
    InvalidCredentials,
    /// The one-time password is missing or wrong.
    #[error("one-time password refused")]
    InvalidOtp,
    /// A token issued by this service that has expired.
    #[error("token expired")]
    TokenExpired,
    /// A token that claims to be issued by this service and is not.
    #[error("token invalid")]
    InvalidToken,
    /// This sign-in method is refused: the address belongs to an account with another method, or
    /// the method is not available here.
    #[error("provider refused")]
    InvalidProvider,
    /// An external service that sign-in depends on gives no valid response.
    #[error("provider {0} does not respond correctly")]
    ProviderUnavailable(String),
    /// The payload is invalid; the reason is for the client.
    #[error("invalid payload: {0}")]
    InvalidPayload(String),
    /// The query is invalid; the reason is for the client.
    #[error("invalid query: {0}")]
    InvalidQuery(String),
    /// Forbidden or missing. The response never discloses which.
    #[error("forbidden")]
    Forbidden(Forbidden),
    /// Violated rules; at least one.
    #[error("validation failed")]
    FailedValidation(Vec<Violation>),
    /// A value that has to be unique is taken.
    #[error("value of {collection}.{field} is already taken")]
    RecordNotUnique {
        /// The collection.
        collection: &'static str,
        /// The field.
        field: &'static str,
        /// The value, as the client wrote it; masked for secrets.
        value: String,
    },
    /// A value has more characters than its field allows.
    #[error("value of {}.{} has more than {} characters", .0.collection, .0.field, .0.most)]
    ValueTooLong(TooLong),
    /// A relation names an item that does not exist.
    #[error("a relation of {collection} names an item that does not exist")]
    InvalidForeignKey {
        /// The collection.
        collection: &'static str,
        /// The field, where known.
        field: Option<&'static str>,
    },
    /// The request is valid and allowed, but cannot be carried out in this state; the reason is for
    /// the client.
    #[error("unprocessable: {0}")]
    Unprocessable(String),
    /// A limit is exceeded; the reason is for the client.
    #[error("limit exceeded: {0}")]
    LimitExceeded(String),
    /// The pending requests and responses of one account or address take too much memory.
    #[error("the memory quota of {share} bytes is exceeded")]
    ShareExceeded {
        /// The memory quota in bytes.
        share: usize,
        /// The time to wait before a retry.
        retry_after: Duration,
    },
    /// Too many attempts or requests: a rate limit is exceeded.
    #[error("too many requests")]
    RequestsExceeded(Exceeded),
    /// The service is overloaded; a later retry may succeed.
    #[error("too busy")]
    TooBusy {
        /// The time to wait before a retry.
        retry_after: Duration,
    },
    /// The system refuses a thread for an expensive operation; a later retry may succeed.
    #[error("the operating system cannot start a thread")]
    NoThread(#[source] std::io::Error),
    /// A query exceeds its time limit.
    #[error("the query takes longer than {allowed:?}")]
    TooCostly {
        /// The time limit.
        allowed: Duration,
    },
    /// The store is temporarily unavailable: it is locked, full, slow or stopping.
    #[error("the database does not respond")]
    Unavailable(#[source] StoreError),
    /// The store failed.
    #[error("the database failed")]
    Store(#[source] StoreError),
}

/// The exceeded limit and the time at which it resets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: u32,
    /// The time to wait before the next request.
    pub retry_after: Duration,
    /// The time at which the limit resets.
    pub reset: Timestamp,
    /// Advice for the client.
    pub reason: &'static str,
}

impl Exceeded {
    /// Returns the excess of a limit that resets in `retry_after`.
    #[must_use]
    pub fn new(limit: u32, retry_after: Duration, clock: &Clock, reason: &'static str) -> Self {
        Self { limit, retry_after, reset: clock.now().plus(retry_after), reason }
    }
}

/// The kind of access that was refused. The messages are in `transport::error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// An item: missing, of the wrong type, or hidden.
    Item,
    /// An action that is reserved for some callers, without further details.
    Action,
    /// A collection.
    Collection(String),
    /// Fields of a collection.
    Fields {
        /// The collection's name.
        collection: &'static str,
        /// The names, as the client wrote them.
        fields: Vec<String>,
        /// The relations that lead to the collection, joined by dots; empty at the top level.
        path: String,
    },
    /// Changing items outside the rules of the caller's permissions.
    Update {
        /// The collection's name.
        collection: &'static str,
        /// The fields to be changed.
        fields: Vec<String>,
    },
    /// Deleting items outside the rules of the caller's permissions.
    Delete {
        /// The collection's name.
        collection: &'static str,
    },
}

/// A violated rule: `FAILED_VALIDATION`.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The field.
    pub field: String,
    /// The rule: `required`, `nnull`, `email`, `eq`, `contains`, …
    pub kind: &'static str,
    /// The values that the rule demands, under the rule's names for them (`valid`, `substring`, …).
    pub details: Vec<(&'static str, Json)>,
}

impl Violation {
    /// Creates a violation of the rule `kind` by the value of a field.
    #[must_use]
    pub fn new(field: &str, kind: &'static str, details: Vec<(&'static str, Json)>) -> Self {
        Self { field: field.to_owned(), kind, details }
    }
}

impl Error {
    /// Returns an `INVALID_PAYLOAD` with this reason.
    pub fn payload(reason: impl Into<String>) -> Self {
        Self::InvalidPayload(reason.into())
    }

    /// Returns the error for an idempotency key that was used for another request.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::Unprocessable(
            "this idempotency key was used for another request: use a new key for a new request"
                .to_owned(),
        )
    }

    /// Returns a `FORBIDDEN` that names the collection.
    pub fn collection(name: impl Into<String>) -> Self {
        Self::Forbidden(Forbidden::Collection(name.into()))
    }

    /// Returns a `FORBIDDEN` that names fields; `path` has the relations that lead to them.
    #[must_use]
    pub fn fields(collection: &Collection, fields: Vec<String>, path: &[&str]) -> Self {
        let (collection, path) = (collection.name, path.join("."));
        Self::Forbidden(Forbidden::Fields { collection, fields, path })
    }
}

impl From<TooLong> for Error {
    fn from(value: TooLong) -> Self {
        Self::ValueTooLong(value)
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(reason) => Self::InvalidQuery(reason),
            QueryError::UnknownFields { collection, fields, path } => {
                Self::Forbidden(Forbidden::Fields { collection: collection.name, fields, path })
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotUnique { collection, field, value } => {
                Self::RecordNotUnique { collection, field, value }
            }
            StoreError::NoSuchTarget { collection, field } => {
                Self::InvalidForeignKey { collection, field }
            }
            StoreError::Null { field, .. } => {
                Self::FailedValidation(vec![Violation::new(field, "nnull", Vec::new())])
            }
            StoreError::NoAdministrator => Self::Unprocessable(
                "this would remove the last active administrator: make another account an \
                 administrator first"
                    .to_owned(),
            ),
            StoreError::TooMuch { bytes_max } => Self::LimitExceeded(format!(
                "the items that one request changes may have at most {bytes_max} bytes in total, \
                 before and after the change: change fewer items at a time"
            )),
            StoreError::OutOfTime(allowed) => Self::TooCostly { allowed },
            StoreError::KeyReused => Self::key_reused(),
            StoreError::QueueFull | StoreError::Crowded | StoreError::NoRoom => {
                Self::TooBusy { retry_after: Duration::from_secs(1) }
            }
            StoreError::Refused => Self::Forbidden(Forbidden::Item),
            passing if passing.is_passing() => Self::Unavailable(passing),
            other => Self::Store(other),
        }
    }
}
