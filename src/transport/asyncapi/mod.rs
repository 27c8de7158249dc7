//! The description of both sockets: an AsyncAPI 3 document, and the page that is made of it.
//!
//! What frames look like is said in `directus` (with `items` and `subscriptions`) and `topics`, what
//! they share in `shapes`, how connections end in `closes`. Examples are not written here: they are the
//! frames of `conversations.json`, and a test holds these conversations with a running service.

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

/// What was said between clients and the service: a list of conversations, each of which has `title`,
/// `channel`, `with` (settings that a test knows by this name) and `steps`. A step has `send` or
/// `receive` with the name of a message and `frame`, and `by` where it is somebody else's
/// connection; or `rest`, what Bob sends otherwise; or `closed`, the code that a connection ends
/// with.
pub const CONVERSATIONS: &str = include_str!("conversations.json");
