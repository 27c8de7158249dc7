//! REST: one file per behaviour, divided like `src/transport/rest`.

mod answers;
mod attacks;
mod bodies;
mod credentials;
mod empty;
mod errors;
mod folds;
mod history;
mod idempotency;
mod items;
mod lengths;
mod login;
mod many;
mod nested;
mod pages;
mod passwords;
mod queries;
mod refresh;
mod revocation;
mod second_factor;
mod send_back;
mod sessions;
mod settings;
mod sign_in_table;
mod utils;
mod writes;
