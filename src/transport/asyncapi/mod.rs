//! The description of both WebSocket endpoints: an AsyncAPI 3 document, and a page generated from
//! it for readers.
//!
//! The document is data: `document.json` (endpoints, operations, close codes), `messages.json` (a
//! JSON Schema for each frame) and `schemas.json` (the parts that several frames share). The
//! examples are the frames of `conversations.json`, which a test replays with a running service.
//! Code adds the parts that the program knows: the fields of an item, and the error codes.

mod document;
mod page;
#[cfg(test)]
mod tests;

pub use document::document;
pub use page::STYLE;
pub use page::page;
