//! Fuzz targets for the frame parser and the message parsers. The results are compared with a
//! simple reference implementation.
//!
//! Under `cargo test` each target runs for a few seconds, starting with its corpus (`__fuzz__`).
//! `ARCHITECTURE.md` describes longer, coverage-guided runs.

mod frames;
mod messages;
mod reference;

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::domain::memory::budget;
use crate::transport::ws::socket::{Socket, SocketLimits};
use crate::transport::ws::write_half::WriteHalf;
use crate::transport::ws::writer_pool::WriterPool;

/// How long each target runs as a test.
const TEST_TIME: Duration = Duration::from_secs(3);

/// Returns the end of the client and the socket of a new connection that the pool writes.
///
/// A socket pair of the system takes the place of a TCP connection, so that many runs do not use up
/// the ports.
pub(super) async fn connected(
    frame_bytes_max: usize,
    pool: &WriterPool,
    tasks: &TaskTracker,
) -> (tokio::net::UnixStream, Socket) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let far = tokio::net::TcpStream::from_std(TcpStream::from(OwnedFd::from(far))).unwrap();
    let (read, write) = far.into_split();
    let limits = SocketLimits {
        frame_bytes_max,
        parts_per_second: u32::MAX,
        outbox_bytes_max: 1 << 16,
        memory: budget(1 << 20),
    };
    let socket = Socket::open(read, WriteHalf::new(write), pool, &limits, tasks).await;
    (tokio::net::UnixStream::from_std(near).unwrap(), socket)
}
