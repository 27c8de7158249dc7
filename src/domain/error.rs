//! All that can go wrong, in the caller's terms. `transport::error` turns it into wire shapes.

use std::time::Duration;

use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::model::TooLong;
use crate::query::QueryError;
use crate::store::StoreError;

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong password, unknown or inactive account, unknown token: never told which.
    #[error("credentials refused")]
    InvalidCredentials,
    /// The one-time password is missing or wrong.
    #[error("one-time password refused")]
    InvalidOtp,
    /// A token of ours that has expired.
    #[error("token expired")]
    TokenExpired,
    /// A token that claims to be ours and is not.
    #[error("token invalid")]
    InvalidToken,
    /// Not by this provider: the address belongs to an account that signs in another way, or nobody
    /// signs in so here.
    #[error("provider refused")]
    InvalidProvider,
    /// Somebody else, whom signing in depends on, does not answer as they should.
    #[error("provider {0} does not answer as it should")]
    ProviderUnavailable(String),
    /// The payload makes no sense; the reason is for the client.
    #[error("invalid payload: {0}")]
    InvalidPayload(String),
    /// The query makes no sense; the reason is for the client.
    #[error("invalid query: {0}")]
    InvalidQuery(String),
    /// Not allowed, or not there: never told which.
    #[error("forbidden")]
    Forbidden(Forbidden),
    /// Values that break rules; at least one.
    #[error("validation failed")]
    FailedValidation(Vec<Violation>),
    /// A value that has to be unique is taken.
    #[error("value of {collection}.{field} is taken")]
    RecordNotUnique {
        /// The collection.
        collection: &'static str,
        /// The field.
        field: &'static str,
        /// The value, as the client wrote it; masked for secrets.
        value: String,
    },
    /// A value has more characters than its field takes.
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
    /// Makes sense and is allowed, but cannot be done in this state; the reason is for the client.
    #[error("unprocessable: {0}")]
    Unprocessable(String),
    /// Too much of something that is bounded; the reason is for the client.
    #[error("limit exceeded: {0}")]
    LimitExceeded(String),
    /// The requests and responses under way of one account or address take too much memory.
    #[error("the share of {share} bytes is exceeded")]
    ShareExceeded {
        /// How many bytes they may take.
        share: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many attempts or requests of somebody.
    #[error("too many requests")]
    RequestsExceeded(Exceeded),
    /// Too much is waiting already; worth another try later.
    #[error("too busy")]
    TooBusy {
        /// After how long.
        retry_after: Duration,
    },
    /// The system gives no thread for costly work; worth another try later.
    #[error("the system refuses a thread")]
    NoThread(#[source] std::io::Error),
    /// A query that takes longer than it may.
    #[error("the query takes longer than {allowed:?}")]
    TooCostly {
        /// How long it may take.
        allowed: Duration,
    },
    /// The store does not answer now, and may later: it is locked, full, slow or stopping.
    #[error("storage does not answer")]
    Unavailable(#[source] StoreError),
    /// The store failed.
    #[error("storage failed")]
    Store(#[source] StoreError),
}

/// What was too many, and when it is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// How many there may be.
    pub limit: u32,
    /// How long to wait before the next.
    pub retry_after: Duration,
    /// When that is.
    pub reset: Timestamp,
    /// What can be done about it; for the client.
    pub reason: &'static str,
}

/// What exactly was refused. The words for each are in `transport::error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// An item: not there, of the wrong type, or hidden.
    Item,
    /// An action that only some may take, without more words.
    Action,
    /// A collection.
    Collection(String),
    /// Fields of a collection.
    Fields {
        /// The collection's name.
        collection: &'static str,
        /// The names, as written.
        fields: Vec<String>,
        /// The relations that led there, joined by dots; empty for the collection itself.
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

/// One broken rule: `FAILED_VALIDATION`.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The field.
    pub field: String,
    /// The rule: `required`, `nnull`, `email`, `eq`, `contains`, …
    pub kind: &'static str,
    /// What the rule demands, under the names that the rule has for it (`valid`, `substring`, …).
    pub details: Vec<(&'static str, Json)>,
}

impl Error {
    /// Returns an `INVALID_PAYLOAD` with this reason.
    pub fn payload(reason: impl Into<String>) -> Self {
        Self::InvalidPayload(reason.into())
    }

    /// Returns what an idempotency key is refused with that stands for something else.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::Unprocessable(
            "this idempotency key was used for something else before: use a new one for something \
             new"
            .to_owned(),
        )
    }

    /// Returns a `FORBIDDEN` that names the collection.
    pub fn collection(name: impl Into<String>) -> Self {
        Self::Forbidden(Forbidden::Collection(name.into()))
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
            StoreError::Null { field, .. } => Self::FailedValidation(vec![Violation {
                field: field.to_owned(),
                kind: "nnull",
                details: Vec::new(),
            }]),
            StoreError::NoAdministrator => Self::Unprocessable(
                "the last active administrator has to stay: make another one first".to_owned(),
            ),
            StoreError::TooMuch { bytes_max } => Self::LimitExceeded(format!(
                "the items that one request changes may have at most {bytes_max} bytes together, as \
                 they are and as they become: change fewer at a time"
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
