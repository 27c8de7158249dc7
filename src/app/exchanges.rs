//! The in-flight requests of one connection, which its timeouts and its memory depend on. Without a
//! running request the idle timeout applies, and no response is produced before the previous one
//! has been written.
//!
//! The server counts its requests here. The connection reads the counts and records its writes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;

/// The requests of one connection; clones share the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchanges(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: AtomicU32,
    /// Number of responses that have been handed over for writing.
    answered: AtomicU32,
    /// Whether anything was read since [`Exchanges::quiet`] last reset it.
    read: AtomicBool,
    /// Whether bytes of a response were handed over and have not all been written.
    unwritten: AtomicBool,
    /// The task waiting in [`Exchanges::poll_written`].
    waiting: AtomicWaker,
    /// Whether part of a request was left unread, after which no other request can follow.
    unread: AtomicBool,
    /// The upgrade requested by the request with the unread part.
    refused: Mutex<Option<OnUpgrade>>,
    /// Whether the connection has been upgraded to a WebSocket.
    upgraded: AtomicBool,
    /// Whether the client speaks HTTP/2, which this server does not support.
    http_2: AtomicBool,
}

/// One in-flight request; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Exchanges);

impl Exchanges {
    /// Records a request after its head has been received.
    pub(super) fn begin(&self) -> Exchange {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Exchange(self.clone())
    }

    /// Returns the number of in-flight requests.
    pub(super) fn running(&self) -> u32 {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Returns the number of requests answered (wraps around).
    pub(super) fn answered(&self) -> u32 {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// Records that something was read.
    pub(super) fn record_read(&self) {
        self.0.read.store(true, Ordering::Relaxed);
    }

    /// Records that part of a response was handed over for writing.
    pub(super) fn hand_on(&self) {
        self.0.unwritten.store(true, Ordering::Relaxed);
    }

    /// Records that all bytes handed over have been written.
    pub(super) fn note_written(&self) {
        if self.0.unwritten.swap(false, Ordering::AcqRel) {
            self.0.waiting.wake();
        }
    }

    /// Waits until all bytes handed over have been written.
    pub(super) fn poll_written(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_written() {
            return Poll::Ready(());
        }
        self.0.waiting.register(context.waker());
        if self.is_written() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns whether all bytes handed over have been written.
    pub(super) fn is_written(&self) -> bool {
        !self.0.unwritten.load(Ordering::Acquire)
    }

    /// As [`Exchanges::poll_written`].
    pub(super) async fn written(&self) {
        poll_fn(|context| self.poll_written(context)).await;
    }

    /// Records that part of a request was left unread, and its refused upgrade.
    pub(super) fn leave_unread(&self, refused: Option<OnUpgrade>) {
        self.0.unread.store(true, Ordering::Relaxed);
        *self.0.refused.lock() = refused;
    }

    /// Closes a connection after a refused upgrade. hyper hands the connection over nevertheless
    /// and does not close it.
    pub(super) async fn close_refused(&self) {
        let refused = self.0.refused.lock().take();
        if let Some(refused) = refused
            && let Ok(connection) = refused.await
        {
            // Fails only if the client has disconnected.
            let _ = TokioIo::new(connection).shutdown().await;
        }
    }

    /// Returns whether part of a request was left unread.
    pub(super) fn has_unread(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// Records the upgrade: no requests follow, and the socket has timeouts of its own.
    pub(super) fn upgrade(&self) {
        self.0.upgraded.store(true, Ordering::Relaxed);
    }

    /// Returns whether the connection has been upgraded.
    pub(super) fn is_upgraded(&self) -> bool {
        self.0.upgraded.load(Ordering::Relaxed)
    }

    /// Records that the client speaks HTTP/2.
    pub(super) fn note_http_2(&self) {
        self.0.http_2.store(true, Ordering::Relaxed);
    }

    /// Returns whether the client speaks HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.0.http_2.load(Ordering::Relaxed)
    }

    /// Waits until nothing has been read for a period of this length and no request is in flight.
    pub(super) async fn quiet(&self, long: Duration) {
        loop {
            self.0.read.store(false, Ordering::Relaxed);
            tokio::time::sleep(long).await;
            if self.running() == 0 && !self.0.read.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl Exchange {
    /// Returns the requests of the connection.
    pub(super) const fn exchanges(&self) -> &Exchanges {
        &self.0
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.answered.fetch_add(1, Ordering::Relaxed);
        inner.running.fetch_sub(1, Ordering::Relaxed);
    }
}
