//! The description of both WebSocket endpoints: an AsyncAPI 3 document, and a page generated from
//! it for readers.
//!
//! Frames are described in `directus` (with `items` and `subscriptions`) and `topics`, their common
//! schemas in `shapes`, and close codes in `closes`. The examples are the frames of
//! `conversations.json`; a test replays these conversations with a running service.

mod closes;
mod directus;
mod document;
mod items;
mod message;
mod names;
mod page;
mod shapes;
mod subscriptions;
mod topics;

pub use document::document;
pub use page::STYLE;
pub use page::page;

/// Recorded conversations between clients and the service: a list of objects with `title`,
/// `channel`, `with` (named settings of the test) and `steps`. A step has `send` or `receive` with
/// the name of a message and its `frame`, plus `by` if it is on the connection of another user; or
/// `rest`, a request that Bob sends; or `closed`, the close code of the connection.
pub const CONVERSATIONS: &str = include_str!("conversations.json");
