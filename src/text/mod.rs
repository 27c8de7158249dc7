//! Text rules that all layers share.

mod fold;
pub mod json;
mod line;
mod list;
pub mod number;
mod visible;

pub use fold::fold;
pub use fold::stands_alone;
pub use line::one_line;
pub use list::names;
pub use list::pieces;
pub use visible::has_visible_text;
pub use visible::is_visible;
