//! Low-priority threads for long computations.
//!
//! They run no other work: a thread that has lowered its priority cannot raise it again. The
//! callers limit the concurrency. There may be a thread or two above that limit, until they have
//! been idle for long enough.

use std::io;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use flume::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

/// The niceness of these threads: with all cores busy, one gets a tenth of the time of a normal
/// thread. So a flood of sign-ins costs chat clients little, and a sign-in under heavy chat load
/// still completes.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Idle time after which a thread ends. The allocator releases memory that has been free for a
/// second, and does so when a thread ends. Without an idle time, a thread would keep the memory of
/// its last hash.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

type Work = Box<dyn FnOnce() + Send>;

/// Rendezvous channel to idle threads. It buffers no work: an idle thread takes it, or a new thread
/// is started.
static IDLE: LazyLock<(Sender<Work>, Receiver<Work>)> = LazyLock::new(|| flume::bounded(0));

/// Runs work on a background thread at once, even if its result is not awaited.
///
/// # Errors
/// If the system cannot start a thread.
pub(in crate::domain) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (sender, receiver) = oneshot::channel();
    let work: Work = Box::new(move || {
        // It fails only if the receiver was dropped.
        let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(work)));
    });
    match IDLE.0.try_send(work) {
        Ok(()) => {}
        Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => {
            thread::Builder::new().name("background".to_owned()).spawn(move || run(work))?;
        }
    }
    Ok(receiver)
}

/// Runs work until none has arrived for `KEEP_ALIVE`.
fn run(first: Work) {
    give_way();
    first();
    while let Ok(next) = IDLE.1.recv_timeout(KEEP_ALIVE) {
        next();
    }
}

/// Lowers the priority of this thread. Only on Linux: elsewhere, it applies to a whole process.
fn give_way() {
    // Without permission, the work runs at normal priority.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_background_threads_run_at_low_priority() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let here = priority();

        assert_eq!(spawn(priority).unwrap().await.unwrap().unwrap(), (here + NICE).min(19));
        assert_eq!(tokio::task::spawn_blocking(priority).await.unwrap(), here);
        assert_eq!(priority(), here);
    }

    #[tokio::test]
    async fn a_panic_propagates_to_the_caller() {
        let panicking = spawn(|| panic!("for the test")).unwrap();

        let cause = panicking.await.unwrap().unwrap_err();
        assert_eq!(cause.downcast_ref::<&str>(), Some(&"for the test"));
    }

    #[tokio::test]
    async fn concurrent_work_runs_on_separate_threads() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = spawn(move || held.recv()).unwrap();

        // On the thread of the first work, this would wait for ever.
        spawn(|| {}).unwrap().await.unwrap().unwrap();
        release.send(()).unwrap();
        first.await.unwrap().unwrap().unwrap();
    }
}
