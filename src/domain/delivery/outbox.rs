//! The bounded send queue of one connection: encoded frames on their way to the writer of the
//! socket. There is one writer at a time, a task of the connection or a pool for many connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

/// The memory that a queued frame takes beside its bytes: its entry in the queue and the overhead
/// of its allocation. For small frames this is the larger part.
pub(in crate::domain) const FRAME_OVERHEAD: usize = 64;

/// The maximum number of waiting frames that the next of their kind makes obsolete. Most clients
/// that send a few pings at once expect an answer to each.
const LATEST_MAX: usize = 64;

/// A bounded queue of encoded frames. When it is full the connection is closed: [`Outbox::push`]
/// drops the frame and marks the queue as [`Closing::SlowConsumer`]; producers never wait. The
/// queue is full once the unsent bytes, plus 64 for each frame, have reached the limit, so it may
/// hold one frame more than the limit.
pub struct Outbox {
    state: Mutex<State>,
    bytes_max: usize,
    /// The bytes that are buffered for this connection elsewhere.
    held: AtomicUsize,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    /// The index of the latest frame that the next of its kind may replace.
    latest: Option<usize>,
    /// The number of waiting frames of that kind.
    latest_count: usize,
    /// The index of the frame with a full state.
    whole: Option<usize>,
    /// Frames taken out that the socket has not accepted yet; boxed, since most sockets accept all.
    begun: Option<Box<InFlight>>,
    closing: Option<Closing>,
    /// Wakes the writer at the next frame or at closing, once and only if the writer has asked.
    writer: Option<Waker>,
}

/// Frames that are written in chunks, as the socket accepts them.
#[derive(Default)]
struct InFlight {
    frames: VecDeque<Bytes>,
    /// The bytes of all frames, including the chunk being written, and the bytes of that chunk.
    bytes: usize,
    chunk_bytes: usize,
}

/// The effect of the next frame of the same kind on a queued frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stays queued.
    Plain,
    /// It is replaced, if many wait.
    Latest,
    /// It is replaced.
    Whole,
}

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The client reads more slowly than its events arrive.
    SlowConsumer,
    /// The service is shutting down or restarting.
    Restart,
    /// Closed by the protocol: after the queued frames, without a reason.
    Done,
}

/// The frames of one connection that have yet to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::domain) struct Unsent {
    /// Whether its socket is blocked.
    pub(in crate::domain) is_stuck: bool,
    /// The number of bytes.
    pub(in crate::domain) bytes: usize,
    /// The number of bytes that are released anyway, since the connection is closing.
    pub(in crate::domain) going: usize,
}

/// The queued frames, in order, and whether the connection is to be closed after them.
#[derive(Debug)]
pub struct Batch {
    /// The frames; may be empty if the connection is to be closed.
    pub frames: Vec<Bytes>,
    /// Set when nothing comes after these frames.
    pub closing: Option<Closing>,
}

/// Bytes that are buffered for a connection, until this is dropped.
pub(in crate::domain) struct Reservation {
    outbox: Arc<Outbox>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.outbox.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl State {
    /// Closes the connection as a slow consumer, unless it is already closing.
    fn give_up(&mut self) {
        self.closing.get_or_insert(Closing::SlowConsumer);
        self.frames = Vec::new();
        self.bytes = 0;
        self.latest = None;
        self.latest_count = 0;
        self.whole = None;
        if let Some(begun) = &mut self.begun {
            begun.frames = VecDeque::new();
            begun.bytes = begun.chunk_bytes;
        }
    }
}

impl Outbox {
    /// Creates an empty outbox for at most `bytes_max` unsent bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { state: Mutex::default(), bytes_max, held })
    }

    /// Queues an encoded frame. Returns false and drops the frame if the connection is closing or
    /// the limit is reached; the latter also closes the connection.
    pub fn push(&self, frame: Bytes) -> bool {
        self.add(frame, Kind::Plain)
    }

    /// Queues a frame that makes the previous one of its kind obsolete, as the answer to a ping
    /// does. If 64 of them wait, or half the limit is used, the frame replaces the latest of them.
    /// Otherwise as [`Outbox::push`].
    pub fn push_latest(&self, frame: Bytes) -> bool {
        self.add(frame, Kind::Latest)
    }

    /// Queues a frame with a full state. The frame replaces a queued one with an earlier state.
    /// Otherwise as [`Outbox::push`].
    pub fn push_whole(&self, frame: Bytes) -> bool {
        self.add(frame, Kind::Whole)
    }

    fn add(&self, frame: Bytes, kind: Kind) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.closing.is_some() {
            return false;
        }
        let are_many = state.latest_count >= LATEST_MAX || state.bytes >= self.bytes_max / 2;
        let needless = match kind {
            Kind::Plain => None,
            Kind::Latest => state.latest.filter(|_| are_many),
            Kind::Whole => state.whole,
        };
        if let Some(place) = needless {
            state.bytes = state.bytes + frame.len() - state.frames[place].len();
            state.frames[place] = frame;
            return true;
        }
        // The frame that crosses the limit is still queued, or a large answer could never be sent.
        if state.bytes >= self.bytes_max {
            state.give_up();
        } else {
            match kind {
                Kind::Plain => {}
                Kind::Latest => {
                    state.latest = Some(state.frames.len());
                    state.latest_count += 1;
                }
                Kind::Whole => state.whole = Some(state.frames.len()),
            }
            state.bytes += frame.len() + FRAME_OVERHEAD;
            state.frames.push(frame);
        }
        let accepted = state.closing.is_none();
        let writer = state.writer.take();
        drop(guard);
        if let Some(writer) = writer {
            writer.wake();
        }
        accepted
    }

    /// Queues several frames, in order, until one is not accepted; as [`Outbox::push`].
    pub fn push_all(&self, frames: impl Iterator<Item = Bytes>) {
        for frame in frames {
            if !self.push(frame) {
                return;
            }
        }
    }

    /// Closes the connection after the queued frames. The first reason is kept.
    pub fn close(&self, closing: Closing) {
        let mut state = self.state.lock();
        state.closing.get_or_insert(closing);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Reserves bytes for a frame that is buffered for this connection elsewhere. Returns `None`
    /// beyond the limit, which is the same as for queued frames and counted separately.
    pub(in crate::domain) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let reservation = Reservation { outbox: Arc::clone(self), bytes };
        (before + bytes <= self.bytes_max).then_some(reservation)
    }

    /// Returns the unsent bytes, including those buffered elsewhere.
    pub(in crate::domain) fn unsent(&self) -> Unsent {
        let state = self.state.lock();
        let begun = state.begun.as_ref().map_or(0, |begun| begun.bytes);
        let bytes = state.bytes + begun + self.held.load(Ordering::Relaxed);
        let going = if state.closing.is_some() { bytes } else { 0 };
        Unsent { is_stuck: begun > 0, bytes, going }
    }

    /// Closes the connection as a slow consumer and drops its queued frames. Returns the bytes that
    /// are released only when the current chunk is written or given up.
    pub(in crate::domain) fn give_up(&self) -> usize {
        let mut state = self.state.lock();
        state.give_up();
        let chunk = state.begun.as_ref().map_or(0, |begun| begun.chunk_bytes);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        chunk
    }

    /// Keeps frames that were taken out and are written in chunks, as the socket accepts them, so
    /// that they are counted and can be dropped.
    pub fn begin(&self, frames: Vec<Bytes>) {
        let bytes = frames.iter().map(|frame| frame.len() + FRAME_OVERHEAD).sum();
        let begun = InFlight { frames: frames.into(), bytes, chunk_bytes: 0 };
        self.state.lock().begun = Some(Box::new(begun));
    }

    /// Takes the next chunk of the frames that are being written, about `about` bytes of whole
    /// frames; `None` if there is none.
    #[must_use]
    pub fn next_chunk(&self, about: usize) -> Option<Vec<Bytes>> {
        let mut state = self.state.lock();
        let begun = state.begun.as_mut()?;
        begun.bytes -= begun.chunk_bytes;
        begun.chunk_bytes = 0;
        let mut chunk = Vec::new();
        while begun.chunk_bytes < about
            && let Some(frame) = begun.frames.pop_front()
        {
            begun.chunk_bytes += frame.len() + FRAME_OVERHEAD;
            chunk.push(frame);
        }
        if chunk.is_empty() {
            state.begun = None;
            return None;
        }
        Some(chunk)
    }

    /// Returns whether half of the limit is used.
    pub(in crate::domain) fn is_crowded(&self) -> bool {
        self.state.lock().bytes >= self.bytes_max / 2
    }

    /// Returns whether the connection is to be closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.state.lock().closing.is_some()
    }

    /// Takes all queued frames, which may be none, and registers the waker of the writer in place
    /// of the previous one.
    #[must_use]
    pub fn drain(&self, writer: Waker) -> Batch {
        let mut state = self.state.lock();
        state.bytes = 0;
        state.latest = None;
        state.latest_count = 0;
        state.whole = None;
        // A closing connection has nothing to wait for, and the waker may own the outbox.
        state.writer = state.closing.is_none().then_some(writer);
        Batch { frames: std::mem::take(&mut state.frames), closing: state.closing }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn take(outbox: &Outbox) -> Batch {
        outbox.drain(Waker::noop().clone())
    }

    #[test]
    fn frames_are_taken_in_order_in_one_batch() {
        let outbox = Outbox::new(100);

        assert!(outbox.push(Bytes::from_static(b"a")));
        assert!(outbox.push(Bytes::from_static(b"b")));

        let batch = take(&outbox);
        assert_eq!(batch.frames, ["a", "b"]);
        assert_eq!(batch.closing, None);
    }

    #[test]
    fn a_newer_state_replaces_the_queued_one() {
        let outbox = Outbox::new(10 * FRAME_OVERHEAD);
        outbox.push(Bytes::from_static(b"a"));
        for number in 0..1000 {
            assert!(outbox.push_whole(Bytes::from(format!("state {number}"))));
        }
        outbox.push(Bytes::from_static(b"b"));

        assert_eq!(take(&outbox).frames, ["a", "state 999", "b"]);
        assert!(outbox.push_whole(Bytes::from_static(b"the next")));
        assert_eq!(take(&outbox).frames, ["the next"]);
    }

    #[test]
    fn a_full_outbox_closes_its_connection() {
        let outbox = Outbox::new(10 + FRAME_OVERHEAD);

        assert!(outbox.push(Bytes::from_static(b"12345678")));
        assert!(outbox.push(Bytes::from_static(b"9abc")));
        assert!(!outbox.push(Bytes::from_static(b"d")));

        let batch = take(&outbox);
        assert_eq!(batch.closing, Some(Closing::SlowConsumer));
        assert!(batch.frames.is_empty());
        assert!(!outbox.push(Bytes::from_static(b"x")));
    }

    #[test]
    fn small_frames_are_charged_their_overhead() {
        let outbox = Outbox::new(1 << 20);

        let held = (0..100_000).take_while(|_| outbox.push(Bytes::from_static(&[0x8a, 0]))).count();

        assert!((10_000..=1 << 14).contains(&held), "{held}");
        assert!(outbox.is_closing());
    }

    #[test]
    fn coalescing_replaces_the_last_frame_at_the_limit() {
        let outbox = Outbox::new(1 << 20);
        let most = u32::try_from(LATEST_MAX).unwrap();

        outbox.push(Bytes::from_static(b"first"));
        for number in 1..=100_000_u32 {
            assert!(outbox.push_latest(Bytes::from(number.to_string())));
        }
        outbox.push(Bytes::from_static(b"last"));
        outbox.push_latest(Bytes::from_static(b"the latest"));

        let kept = (1..most).map(|number| Bytes::from(number.to_string()));
        let expected: Vec<Bytes> = iter::once(Bytes::from_static(b"first"))
            .chain(kept)
            .chain([Bytes::from_static(b"the latest"), Bytes::from_static(b"last")])
            .collect();
        assert_eq!(take(&outbox).frames, expected);
        outbox.push_latest(Bytes::from_static(b"one more"));
        assert_eq!(take(&outbox).frames, ["one more"]);
    }

    #[test]
    fn taken_frames_no_longer_count() {
        let outbox = Outbox::new(FRAME_OVERHEAD);

        for _ in 0..5 {
            assert!(outbox.push(Bytes::from_static(b"12345678")));
            take(&outbox);
        }
    }

    #[test]
    fn an_empty_outbox_accepts_one_oversized_frame() {
        let outbox = Outbox::new(10);

        assert!(outbox.push(Bytes::from_static(b"larger than the bound")));

        assert_eq!(take(&outbox).frames.len(), 1);
    }

    #[test]
    fn a_batch_is_written_in_chunks_and_can_be_abandoned() {
        let outbox = Outbox::new(1000);
        let frames = |count: usize| vec![Bytes::from_static(b"12345678"); count];
        let each = 8 + FRAME_OVERHEAD;

        outbox.begin(frames(5));
        outbox.push(Bytes::from_static(b"12345678"));
        let reservation = outbox.reserve(100).unwrap();
        assert!(outbox.reserve(901).is_none());
        assert_eq!(outbox.unsent(), Unsent { is_stuck: true, bytes: 6 * each + 100, going: 0 });
        assert_eq!(outbox.next_chunk(each + 1), Some(frames(2)));
        assert_eq!(outbox.next_chunk(1), Some(frames(1)));
        assert_eq!(outbox.unsent().bytes, 4 * each + 100);
        drop(reservation);

        assert_eq!(outbox.give_up(), each);

        assert_eq!(outbox.unsent(), Unsent { is_stuck: true, bytes: each, going: each });
        assert_eq!(outbox.next_chunk(1), None);
        assert_eq!(outbox.unsent(), Unsent { is_stuck: false, bytes: 0, going: 0 });
        let batch = take(&outbox);
        assert_eq!((batch.frames.len(), batch.closing), (0, Some(Closing::SlowConsumer)));
    }

    #[test]
    fn closing_sends_queued_frames_first() {
        let outbox = Outbox::new(10);

        outbox.push(Bytes::from_static(b"bye"));
        outbox.close(Closing::Done);
        let batch = take(&outbox);
        assert_eq!(batch.frames, ["bye"]);
        assert_eq!(batch.closing, Some(Closing::Done));
    }
}
