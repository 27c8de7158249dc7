//! Signals to the process: stop, or replace itself.

use std::io;

use tokio::signal::unix::signal;
use tokio::signal::unix::{Signal, SignalKind};

/// The action after running work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process ends (`SIGTERM`, `SIGINT`).
    Stop,
    /// The installed program takes over the process and the socket (`SIGHUP`).
    Restart,
}

/// The signals that this process handles.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Installs the handlers. From then on none of these signals terminates the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn mind() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::Stop,
            _ = self.interrupt.recv() => Ending::Stop,
            _ = self.hangup.recv() => Ending::Restart,
        }
    }

    /// Waits during shutdown for a request to stop at once. A stop during a restart turns it into a
    /// graceful stop; a restart request is ignored.
    pub async fn hurry(&mut self, ending: &mut Ending) {
        loop {
            match (self.next().await, *ending) {
                (Ending::Stop, Ending::Stop) => return,
                (Ending::Stop, Ending::Restart) => *ending = Ending::Stop,
                (Ending::Restart, _) => {}
            }
        }
    }
}
