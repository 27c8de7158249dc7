//! Threads for long work that lets everything else go first.
//!
//! Each is made for one piece of work: a thread that has given way once cannot be put first again. How
//! much work there may be is decided by others.

use std::io;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::thread;

use tokio::sync::oneshot;

/// How much these threads give way to all others: with all cores busy one gets a tenth of the time
/// of another. So a flood of sign-ins costs those who chat little, and who signs in while many chat
/// is not kept waiting for good.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Does work on a thread of its own, whether or not its result is waited for.
///
/// # Errors
/// When the system gives no thread.
pub(in crate::domain) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("background".to_owned()).spawn(move || {
        give_way();
        // It fails only when the result is not waited for any more.
        let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(work)));
    })?;
    Ok(receiver)
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
}
