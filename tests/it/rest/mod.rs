//! REST: one file per behaviour, as `src/transport/rest` is cut.

mod bodies;
mod credentials;
mod errors;
mod history;
mod idempotency;
mod items;
mod login;
mod many;
mod pages;
mod queries;
mod refresh;
mod revocation;
mod settings;
mod utils;
mod writes;
