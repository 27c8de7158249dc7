//! Rules about texts that every layer shares.

pub mod json;
mod list;
pub mod number;

pub use list::names;
pub use list::pieces;
