//! The requests of one connection, as far as the time and the memory of a connection depend on them:
//! without a running request it may wait for the next one, but not for ever; and no response is made
//! while an earlier one has yet to be written.
//!
//! The server counts its requests here; the connection asks for them, and notes its writes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;

/// The requests of one connection; copies are of the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchanges(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: AtomicU32,
    /// How many have been answered, as far as the answer was handed on to be written.
    answered: AtomicU32,
    /// Whether anything was read since somebody asked.
    heard: AtomicBool,
    /// Whether bytes of a response were handed on and have not all been written.
    unwritten: AtomicBool,
    /// The task that waits until they are.
    waiting: AtomicWaker,
    /// Whether a part of a request was left unread, after which no other request can follow.
    unread: AtomicBool,
    /// The upgrade that the request with the unread part asked for.
    refused: Mutex<Option<OnUpgrade>>,
    /// Whether the connection has become a socket.
    upgraded: AtomicBool,
    /// Whether the client speaks HTTP/2, which this server does not.
    http_2: AtomicBool,
}

/// One request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Exchanges);

impl Exchanges {
    /// Notes a request whose head is there.
    pub(super) fn begin(&self) -> Exchange {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Exchange(self.clone())
    }

    /// Returns how many requests are being answered.
    pub(super) fn running(&self) -> u32 {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Returns how many requests have been answered, whereby numbers may come again.
    pub(super) fn answered(&self) -> u32 {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// Notes that something was read.
    pub(super) fn hear(&self) {
        self.0.heard.store(true, Ordering::Relaxed);
    }

    /// Notes that some of a response was handed on to be written.
    pub(super) fn hand_on(&self) {
        self.0.unwritten.store(true, Ordering::Relaxed);
    }

    /// Notes that all bytes that were handed on are written.
    pub(super) fn note_written(&self) {
        if self.0.unwritten.swap(false, Ordering::AcqRel) {
            self.0.waiting.wake();
        }
    }

    /// Waits until all bytes that were handed on are written.
    pub(super) fn poll_written(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_written() {
            return Poll::Ready(());
        }
        self.0.waiting.register(context.waker());
        if self.is_written() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns whether all bytes that were handed on are written.
    pub(super) fn is_written(&self) -> bool {
        !self.0.unwritten.load(Ordering::Acquire)
    }

    /// As [`Exchanges::poll_written`].
    pub(super) async fn written(&self) {
        poll_fn(|context| self.poll_written(context)).await;
    }

    /// Notes that a part of a request was left unread, and the upgrade that was refused to it.
    pub(super) fn leave_unread(&self, refused: Option<OnUpgrade>) {
        self.0.unread.store(true, Ordering::Relaxed);
        *self.0.refused.lock() = refused;
    }

    /// Closes a connection whose upgrade was refused. The HTTP of the library hands it over nevertheless, and
    /// does not close it by itself.
    pub(super) async fn close_refused(&self) {
        let refused = self.0.refused.lock().take();
        if let Some(refused) = refused
            && let Ok(connection) = refused.await
        {
            // It fails only when the client has gone.
            let _ = TokioIo::new(connection).shutdown().await;
        }
    }

    /// Returns whether a part of a request was left unread.
    pub(super) fn has_unread(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// Notes that no requests follow: what follows has times of its own.
    pub(super) fn upgrade(&self) {
        self.0.upgraded.store(true, Ordering::Relaxed);
    }

    /// Returns whether no requests follow.
    pub(super) fn is_upgraded(&self) -> bool {
        self.0.upgraded.load(Ordering::Relaxed)
    }

    /// Notes that the client speaks HTTP/2.
    pub(super) fn note_http_2(&self) {
        self.0.http_2.store(true, Ordering::Relaxed);
    }

    /// Returns whether the client speaks HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.0.http_2.load(Ordering::Relaxed)
    }

    /// Waits until nothing was read for so long and no request is being answered.
    pub(super) async fn quiet(&self, long: Duration) {
        loop {
            self.0.heard.store(false, Ordering::Relaxed);
            tokio::time::sleep(long).await;
            if self.running() == 0 && !self.0.heard.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl Exchange {
    /// Returns the requests that this is one of.
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
