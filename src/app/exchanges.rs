//! The requests of one connection that are being answered, as far as the time of a connection depends
//! on them: while there are none it may wait for the next one, but not for ever.
//!
//! Whoever answers requests counts them here; whoever reads and ends the connection asks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
    /// Whether several requests may be on their way at once, with other things between them.
    multiplexed: AtomicBool,
    /// Whether a part of a request was left unread, after which no other request can follow.
    unread: AtomicBool,
    /// The upgrade that the request with the unread part asked for.
    refused: Mutex<Option<OnUpgrade>>,
    /// Whether the connection has become a socket.
    upgraded: AtomicBool,
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

    /// Notes that several requests may come at once.
    pub(super) fn multiplex(&self) {
        self.0.multiplexed.store(true, Ordering::Relaxed);
    }

    /// Returns whether several requests may come at once.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.0.multiplexed.load(Ordering::Relaxed)
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

impl Drop for Exchange {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.answered.fetch_add(1, Ordering::Relaxed);
        inner.running.fetch_sub(1, Ordering::Relaxed);
    }
}
