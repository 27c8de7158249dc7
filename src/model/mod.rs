//! The data model: collections, fields, values, rows, records, actors and events.
//!
//! Pure: no I/O, no wire formats, no SQL. All other modules build on it.

pub mod account;
pub mod action;
pub mod actor;
pub mod collection;
pub mod column;
pub mod event;
pub mod history;
pub mod id;
mod length;
pub(crate) mod named;
mod network;
pub mod record;
pub mod row;
pub mod schema;
pub mod value;

pub use account::{AccountStatus, MailKind, SessionMode};
pub use action::Action;
pub use actor::Actor;
pub use collection::{Collection, Field, Kind};
pub use column::{Column, IntoValue};
pub use event::{Change, Event, EventAction, Place};
pub use length::{Length, TooLong};
pub use network::network;
pub use record::{Record, Related};
pub use row::Row;
pub use value::{Key, Value};
