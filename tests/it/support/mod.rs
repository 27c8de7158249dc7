//! What the tests are written with: a server, its users, and clients for both ways in.

mod client;
mod panics;
mod post;
mod raw;
pub mod secrets;
mod server;
mod socket;
mod totp;
mod users;
pub mod wire;

use std::time::Duration;

pub use client::Answer;
pub use client::Client;
pub use client::http;
pub use post::Post;
pub use raw::RawSocket;
pub use raw::masked;
pub use server::ADMIN;
pub use server::TestServer;
pub use socket::Socket;
pub use socket::error;
pub use totp::code;
pub use users::Permission;
pub use users::User;

/// How long anything may take that is waited for. Nothing takes it unless the test fails.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for something under the deadline.
///
/// # Panics
/// If it does not happen in time.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it happens before the deadline")
}
