//! What the process is asked to do by signals: to stop, or to replace itself.

use std::io;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// What is to happen when the running work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process ends (`SIGTERM`, `SIGINT`).
    Stop,
    /// The program now installed takes over the process and the socket (`SIGHUP`).
    Restart,
}

/// The signals that this process minds.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Minds the signals from now on; none of them ends the process by itself any more.
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

    /// While work is being finished: waits until the process is asked to stop at once. Asked to stop
    /// on the way to a restart, it stops in good order instead; asked to restart, it goes on.
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
