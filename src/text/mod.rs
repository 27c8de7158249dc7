//! Rules about texts that every layer shares.

mod list;

pub use list::names;
pub use list::pieces;
