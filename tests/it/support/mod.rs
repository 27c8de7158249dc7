//! Test support: a server, its users, and clients for REST and sockets.

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

pub use client::http;
pub use client::{Answer, Client};
pub use post::Post;
pub use raw::RawSocket;
pub use raw::masked;
pub use server::{ADMIN, TestServer};
pub use socket::Socket;
pub use socket::error;
pub use totp::code;
pub use users::{Permission, User};

/// Timeout of every wait. It is reached only by a failing test.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Awaits a future with the deadline.
///
/// # Panics
///
/// If it does not complete in time.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it happens before the deadline")
}
