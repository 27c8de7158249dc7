//! Threads for long work that lets everything else go first.
//!
//! They do nothing else: a thread that has given way once cannot be put first again. How much work there
//! may be at a time is decided by others; there may be a thread or two more, until they were idle for long
//! enough.

use std::io;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;
use flume::TrySendError;
use tokio::sync::oneshot;

/// How much these threads give way to all others: with all cores busy one gets a tenth of the time
/// of another. So a flood of sign-ins costs those who chat little, and who signs in while many chat
/// is not kept waiting for good.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// After how long without work a thread ends. The allocator gives back what has been free for a second,
/// and does so at the end of a thread: a thread that ended right after a hash would keep its memory.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

type Work = Box<dyn FnOnce() + Send>;

/// Where threads without work wait for it. It holds none: work is taken by a thread that waits, or gets
/// a new one.
static IDLE: LazyLock<(Sender<Work>, Receiver<Work>)> = LazyLock::new(|| flume::bounded(0));

/// Does work on such a thread, at once, whether or not its result is waited for.
///
/// # Errors
/// When the system gives no thread.
pub(in crate::domain) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (sender, receiver) = oneshot::channel();
    let work: Work = Box::new(move || {
        // It fails only when the result is not waited for any more.
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

/// Does work after work, until none has come for a while.
fn run(first: Work) {
    give_way();
    first();
    while let Ok(next) = IDLE.1.recv_timeout(KEEP_ALIVE) {
        next();
    }
}

/// Lets all other threads go before this one. Elsewhere than on Linux priorities are those of whole
/// processes, and nothing is done.
fn give_way() {
    // Where it is not allowed, the work is done like everything else.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_threads_give_way_and_no_others_do() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let here = priority();

        assert_eq!(spawn(priority).unwrap().await.unwrap().unwrap(), (here + NICE).min(19));
        assert_eq!(tokio::task::spawn_blocking(priority).await.unwrap(), here);
        assert_eq!(priority(), here);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let panicking = spawn(|| panic!("for the test")).unwrap();

        let cause = panicking.await.unwrap().unwrap_err();
        assert_eq!(cause.downcast_ref::<&str>(), Some(&"for the test"));
    }

    #[tokio::test]
    async fn work_is_done_at_once_while_other_work_goes_on() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = spawn(move || held.recv()).unwrap();

        // It would wait for ever on the thread of the first.
        spawn(|| {}).unwrap().await.unwrap().unwrap();
        release.send(()).unwrap();
        first.await.unwrap().unwrap().unwrap();
    }
}
