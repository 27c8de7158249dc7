//! A pool of threads that write many connections. Each thread takes all connections that have
//! queued frames since its last pass and writes the frames of each in one call (`coalesce`).
//!
//! The send system call is nearly the whole cost of a delivery, so the saving is in fewer calls:
//! under load many frames share one call, and no task is woken per connection. If a socket is
//! blocked, the remaining bytes are left to a task, `writer`, which waits for the socket until
//! everything is written. Meanwhile the thread skips that connection. It sleeps when it has no work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::admission::Progress;
use crate::domain::delivery::{Closing, Outbox};
use crate::transport::ws::coalesce;
use crate::transport::ws::coalesce::COALESCED_MAX;
use crate::transport::ws::liveness::Liveness;
use crate::transport::ws::write_half::WriteHalf;
use crate::transport::ws::writer;
use crate::transport::ws::writer::Writer;

/// A pool of writer threads.
pub struct WriterPool {
    shards: Vec<Arc<Shard>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
    /// Cancelled when any of the threads has ended.
    ended: CancellationToken,
    progress: Arc<Progress>,
}

/// The queue of one thread.
struct Shard {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// The runtime for the tasks that wait for blocked sockets.
    runtime: Handle,
    number: usize,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Queue {
    /// Contains a connection at most twice: once added by its send queue, once by a task that
    /// returned it.
    entries: Vec<Arc<Entry>>,
    asleep: bool,
    stopped: bool,
}

/// A connection that is written by the pool.
struct Entry {
    write_half: WriteHalf,
    outbox: Arc<Outbox>,
    liveness: Liveness,
    shard: Arc<Shard>,
    tasks: TaskTracker,
    /// Whether a task is writing because the socket was blocked.
    blocked: AtomicBool,
    /// Reports the end, with the write half unless writing has failed. `None` once it was reported;
    /// nothing is written after that.
    ended: Mutex<Option<oneshot::Sender<WriteHalf>>>,
}

/// Handle of a connection in the pool. Dropping it closes the connection.
pub struct WriterHandle {
    outbox: Arc<Outbox>,
    /// `None` once the last frame was written or writing has failed.
    ended: Option<oneshot::Receiver<WriteHalf>>,
    /// The write half after the last frame.
    write_half: Option<WriteHalf>,
}

impl WriterPool {
    /// Starts the threads, at least one. Must be called within a runtime.
    ///
    /// # Errors
    /// Fails if the system cannot create a thread.
    pub fn start(threads: usize) -> io::Result<Arc<Self>> {
        let threads = threads.max(1);
        let (runtime, progress) = (Handle::current(), Arc::new(Progress::new(threads)));
        let pool = Arc::new(Self {
            shards: (0..threads)
                .map(|number| Shard::new(runtime.clone(), number, Arc::clone(&progress)))
                .collect(),
            threads: Mutex::default(),
            next: AtomicUsize::new(0),
            ended: CancellationToken::new(),
            progress,
        });
        for shard in &pool.shards {
            let (running, ended) = (Arc::clone(shard), pool.ended.clone().drop_guard());
            let thread = std::thread::Builder::new().name("writer-pool".to_owned());
            let thread = thread.spawn(move || {
                let _ended = ended;
                running.run();
            })?;
            pool.threads.lock().push(thread);
        }
        Ok(pool)
    }

    /// Adds a connection to the pool.
    pub fn add(
        &self,
        write_half: WriteHalf,
        outbox: &Arc<Outbox>,
        liveness: &Liveness,
        tasks: &TaskTracker,
    ) -> WriterHandle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let shard = &self.shards[turn % self.shards.len()];
        let (report, ended) = oneshot::channel();
        let entry = Arc::new(Entry {
            write_half,
            outbox: Arc::clone(outbox),
            liveness: liveness.clone(),
            shard: Arc::clone(shard),
            tasks: tasks.clone(),
            blocked: AtomicBool::new(false),
            ended: Mutex::new(Some(report)),
        });
        shard.add(entry);
        WriterHandle { outbox: Arc::clone(outbox), ended: Some(ended), write_half: None }
    }

    /// Returns the progress of the threads.
    #[must_use]
    pub const fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Waits until a thread has ended without [`WriterPool::stop`]. The sockets of that thread are
    /// no longer written.
    pub async fn failed(&self) {
        self.ended.cancelled().await;
    }

    /// Stops the threads and waits for them. Frames that are still queued are not written.
    pub fn stop(&self) {
        for shard in &self.shards {
            shard.queue.lock().stopped = true;
            shard.filled.notify_one();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a socket writer thread had failed");
            }
        }
    }
}

impl WriterHandle {
    /// Waits until the last frame was written or writing has failed. Cancel safe.
    pub async fn end(&mut self) {
        if let Some(ended) = &mut self.ended {
            self.write_half = ended.await.ok();
            self.ended = None;
        }
    }

    /// Takes the write half after the end, or `None` if the client did not take all frames.
    pub const fn take_write_half(&mut self) -> Option<WriteHalf> {
        self.write_half.take()
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        writer::close_after_panic(&self.outbox);
        // The send queue holds a waker for the connection, and the connection holds the send queue.
        // Closing the queue breaks that cycle.
        self.outbox.close(Closing::Done);
    }
}

impl Shard {
    fn new(runtime: Handle, number: usize, progress: Arc<Progress>) -> Arc<Self> {
        let (queue, filled) = (Mutex::default(), Condvar::new());
        Arc::new(Self { queue, filled, runtime, number, progress })
    }

    fn add(&self, entry: Arc<Entry>) {
        let mut queue = self.queue.lock();
        queue.entries.push(entry);
        if std::mem::take(&mut queue.asleep) {
            self.progress.wake(self.number);
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Waits for connections with queued frames and swaps their list with an empty one. Returns the
    /// last event whose frames are among them, or `None` when the pool is stopped.
    fn wait(&self, entries: &mut Vec<Arc<Entry>>) -> Option<i64> {
        let mut queue = self.queue.lock();
        while queue.entries.is_empty() && !queue.stopped {
            queue.asleep = true;
            self.progress.sleep(self.number);
            self.filled.wait(&mut queue);
        }
        if std::mem::take(&mut queue.asleep) {
            self.progress.wake(self.number);
        }
        let delivered = self.progress.delivered();
        std::mem::swap(&mut queue.entries, entries);
        (!queue.stopped).then_some(delivered)
    }

    fn run(&self) {
        let mut entries = Vec::new();
        let mut scratch = Vec::with_capacity(COALESCED_MAX);
        while let Some(delivered) = self.wait(&mut entries) {
            let (begun, count) = (Instant::now(), entries.len());
            for entry in entries.drain(..) {
                entry.write(&mut scratch);
            }
            self.progress.write(self.number, delivered, count, begun.elapsed());
        }
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        let shard = Arc::clone(&self.shard);
        shard.add(self);
    }
}

impl Entry {
    /// Writes the queued frames as far as the socket takes them without blocking.
    fn write(self: Arc<Self>, scratch: &mut Vec<u8>) {
        if self.blocked.load(Ordering::Acquire) || self.ended.lock().is_none() {
            return;
        }
        let batch = self.outbox.drain(Waker::from(Arc::clone(&self)));
        let (mut frames, is_last) = writer::finish(batch);
        match coalesce::write_now(&self.write_half, &mut frames, scratch) {
            Ok(_) if !frames.is_empty() => {
                self.blocked.store(true, Ordering::Release);
                let tasks = self.tasks.clone();
                let runtime = self.shard.runtime.clone();
                tasks.spawn_on(self.write_blocking(frames, is_last), &runtime);
            }
            Ok(_) if is_last => self.end(true),
            Ok(_) => {}
            Err(_) => self.end(false),
        }
    }

    /// Writes these frames and all that are queued meanwhile, waiting for the socket, then returns
    /// the connection to the pool.
    async fn write_blocking(self: Arc<Self>, frames: Vec<Bytes>, is_last: bool) {
        let mut writer = Writer::new(&self.outbox, &self.liveness, self.write_half.clone());
        match writer.write(frames, is_last).await {
            Ok(true) => self.end(true),
            Ok(false) => {
                self.blocked.store(false, Ordering::Release);
                self.wake();
            }
            Err(_) => self.end(false),
        }
    }

    /// Reports the end, with the write half if it is still usable.
    fn end(&self, usable: bool) {
        if let Some(report) = self.ended.lock().take()
            && usable
        {
            // The receiver is gone if the connection was dropped.
            let _ = report.send(self.write_half.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use crate::transport::ws::encode;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Returns both ends of a connection; the pool writes the far end.
    async fn connected() -> (TcpStream, WriteHalf) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (_, write) = far.into_split();
        (near, WriteHalf::new(write))
    }

    async fn read(near: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        tokio::time::timeout(SOON, near.read_exact(&mut bytes)).await.unwrap().unwrap();
        bytes
    }

    #[tokio::test]
    async fn frames_are_written_in_order_and_the_close_frame_last() {
        let pool = WriterPool::start(2).unwrap();
        let (mut near, write_half) = connected().await;
        let outbox = Outbox::new(1000);
        outbox.push(Bytes::from_static(b"before"));
        let mut handle = pool.add(write_half, &outbox, &Liveness::default(), &TaskTracker::new());

        assert_eq!(read(&mut near, 6).await, b"before");
        outbox.push(Bytes::from_static(b"later"));
        assert_eq!(read(&mut near, 5).await, b"later");
        outbox.push(Bytes::from_static(b"last"));
        outbox.close(Closing::Restart);

        handle.end().await;
        assert!(handle.take_write_half().is_some());
        assert!(!outbox.push(Bytes::from_static(b"too late")));
        drop(handle);
        pool.stop();
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        let close_frame = encode::close(Some(encode::RESTART), "restarting");
        assert_eq!(rest, [b"last".as_slice(), &close_frame].concat());
    }

    #[tokio::test]
    async fn a_full_socket_returns_to_the_pool_once_writable() {
        let pool = WriterPool::start(1).unwrap();
        let (mut near, write_half) = connected().await;
        let outbox = Outbox::new(usize::MAX);
        let tasks = TaskTracker::new();
        let _handle = pool.add(write_half, &outbox, &Liveness::default(), &tasks);
        let frame = Bytes::from(vec![b'x'; 100_000]);

        // More than a socket buffer holds.
        let mut sent = 0;
        while tasks.is_empty() {
            outbox.push(frame.clone());
            sent += frame.len();
            tokio::task::yield_now().await;
        }
        outbox.push(Bytes::from_static(b"behind it"));
        let received = read(&mut near, sent + 9).await;

        assert!(received.ends_with(b"xbehind it"));
        tasks.close();
        tokio::time::timeout(SOON, tasks.wait()).await.unwrap();
        outbox.push(Bytes::from_static(b"by the pool"));
        assert_eq!(read(&mut near, 11).await, b"by the pool");
        assert!(tasks.is_empty());
        pool.stop();
    }

    #[tokio::test]
    async fn a_disconnect_ends_only_its_own_entry() {
        let pool = WriterPool::start(1).unwrap();
        let (near, write_half) = connected().await;
        let (mut other, other_half) = connected().await;
        let (outbox, other_outbox) = (Outbox::new(1 << 20), Outbox::new(1 << 20));
        let tasks = TaskTracker::new();
        let mut handle = pool.add(write_half, &outbox, &Liveness::default(), &tasks);
        let _other = pool.add(other_half, &other_outbox, &Liveness::default(), &tasks);

        drop(near);
        let ended = async {
            loop {
                outbox.push(Bytes::from_static(b"is anybody there"));
                tokio::select! {
                    () = handle.end() => break handle.take_write_half(),
                    () = tokio::task::yield_now() => {}
                }
            }
        };

        assert!(tokio::time::timeout(SOON, ended).await.unwrap().is_none());
        other_outbox.push(Bytes::from_static(b"still here"));
        assert_eq!(read(&mut other, 10).await, b"still here");
        pool.stop();
    }

    #[tokio::test]
    async fn a_dropped_handle_releases_the_connection() {
        let pool = WriterPool::start(1).unwrap();
        let (mut near, write_half) = connected().await;
        let outbox = Outbox::new(1000);

        drop(pool.add(write_half, &outbox, &Liveness::default(), &TaskTracker::new()));

        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, encode::close(None, ""));
        pool.stop();
        assert_eq!(Arc::strong_count(&outbox), 1);
    }

    #[tokio::test]
    async fn a_handle_dropped_by_a_panic_sends_an_internal_error() {
        let pool = WriterPool::start(1).unwrap();
        let (mut near, write_half) = connected().await;
        let outbox = Outbox::new(1000);
        let handle = pool.add(write_half, &outbox, &Liveness::default(), &TaskTracker::new());

        let panicked = tokio::spawn(async move {
            let _handle = handle;
            panic!("for the test");
        });

        assert!(panicked.await.is_err());
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, encode::close(Some(encode::INTERNAL_ERROR), ""));
        pool.stop();
    }
}
