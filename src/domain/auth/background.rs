//! Threads for long work that lets everything else go first.
//!
//! They are a runtime's of their own, which runs nothing else: a thread that has given way once
//! cannot be put first again. How much work there may be is decided by others.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How much these threads give way to all others: with all cores busy one gets a tenth of the time
/// of another. So a flood of sign-ins costs those who chat little, and who signs in while many chat
/// is not kept waiting for good.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// After how long without work a thread ends. The allocator then gives its memory back.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// A bounded number of threads. Dropped, it lets what they are doing go on, and does not wait.
pub(in crate::domain) struct Background {
    /// Always there but while being dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// Returns threads, none of which is started before it is needed.
    pub(in crate::domain) fn new(threads: usize) -> Self {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads.max(1))
            .thread_keep_alive(KEEP_ALIVE)
            .thread_name("background")
            .on_thread_start(give_way)
            .build()
            .expect("a runtime without timers and sockets asks nothing of the system");
        Self { runtime: Some(runtime) }
    }

    /// Does work on one of the threads, as soon as one is free.
    pub(in crate::domain) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let runtime = self.runtime.as_ref().expect("it is not being dropped");
        runtime.spawn_blocking(work)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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
        let background = Background::new(1);

        assert_eq!(background.spawn(priority).await.unwrap(), (here + NICE).min(19));
        assert_eq!(tokio::task::spawn_blocking(priority).await.unwrap(), here);
        assert_eq!(priority(), here);
    }
}
