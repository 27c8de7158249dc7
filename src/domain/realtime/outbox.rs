//! One connection's bounded queue of encoded frames, between whoever has something to say and
//! whoever writes the socket: one at a time, a task of its own or a sweep over many.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

/// What a frame takes beside its bytes while it waits: its place in the queue, and its memory's own
/// accounts. Small frames are mostly that.
pub(super) const FRAME_OVERHEAD: usize = 64;

/// How many frames of a kind that the next one makes needless may wait all the same. Most clients
/// that send a few pings at once expect an answer to each.
const LATEST_MAX: usize = 64;

/// A bounded queue of encoded frames. When it is full the connection is closed: [`Outbox::push`]
/// drops the frame and marks it [`Closing::SlowConsumer`]; nobody else waits. It is full once the
/// unsent bytes, 64 more counted for each frame, have reached the bound, so one frame more than the
/// bound may be held.
pub struct Outbox {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    /// Where among the frames the latest one is that the next of its kind may replace.
    latest: Option<usize>,
    /// How many of that kind wait.
    latest_count: usize,
    /// Where among the frames the one is that tells a whole state.
    whole: Option<usize>,
    closing: Option<Closing>,
    /// Who is to be told of the next frame or of the end; told once, and only if it has asked.
    writer: Option<Waker>,
}

/// What the next frame of its kind makes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// Needless, if there are many.
    Latest,
    /// Needless.
    Whole,
}

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The client reads more slowly than there is news for it.
    SlowConsumer,
    /// The service is shutting down or restarting.
    Restart,
    /// Said by the protocol: after what is queued, without a reason.
    Done,
}

/// All that waits to be written, in order, and whether the connection is to be closed after it.
#[derive(Debug)]
pub struct Batch {
    /// The frames; may be empty if the connection is to be closed.
    pub frames: Vec<Bytes>,
    /// Set when nothing comes after these frames.
    pub closing: Option<Closing>,
}

impl Outbox {
    /// Returns an empty outbox that holds at most `bytes_max` unsent bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), bytes_max })
    }

    /// Queues an encoded frame. Returns false, and drops it, if the connection is closing or its
    /// bound is reached; in the latter case it is closing from now on.
    pub fn push(&self, frame: Bytes) -> bool {
        self.add(frame, Kind::Plain)
    }

    /// Queues a frame that makes the one before of its kind needless, as the answer to a ping does: if
    /// 64 of them wait, or half of what may, this takes the place of the latest. Otherwise as
    /// [`Outbox::push`].
    pub fn push_latest(&self, frame: Bytes) -> bool {
        self.add(frame, Kind::Latest)
    }

    /// Queues a frame that tells the whole of a state: one that waits still, and tells what the state
    /// was before, makes its place for it. Otherwise as [`Outbox::push`].
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
        // The frame that crosses the bound still goes: a large answer would otherwise never get out.
        if state.bytes >= self.bytes_max {
            state.closing = Some(Closing::SlowConsumer);
            state.frames.clear();
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

    /// Asks for the connection to be closed after what is queued. The first reason stays.
    pub fn close(&self, closing: Closing) {
        let mut state = self.state.lock();
        state.closing.get_or_insert(closing);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Returns whether the connection is to be closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.state.lock().closing.is_some()
    }

    /// Takes all that is queued, which may be nothing, and lets what comes next wake this writer, in
    /// place of the one before.
    #[must_use]
    pub fn drain(&self, writer: Waker) -> Batch {
        let mut state = self.state.lock();
        state.bytes = 0;
        state.latest = None;
        state.latest_count = 0;
        state.whole = None;
        // Once it is closing there is nothing to wait for, and a writer may hold the outbox.
        state.writer = state.closing.is_none().then_some(writer);
        Batch { frames: std::mem::take(&mut state.frames), closing: state.closing }
    }

    /// Takes all that is queued, waiting until there is something or the connection is to be closed.
    /// One task at a time may ask.
    pub async fn take(&self) -> Batch {
        poll_fn(|context| {
            let batch = self.drain(context.waker().clone());
            if batch.frames.is_empty() && batch.closing.is_none() {
                return Poll::Pending;
            }
            Poll::Ready(batch)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order_in_one_batch() {
        let outbox = Outbox::new(100);

        assert!(outbox.push(Bytes::from_static(b"a")));
        assert!(outbox.push(Bytes::from_static(b"b")));

        let batch = outbox.take().await;
        assert_eq!(batch.frames, ["a", "b"]);
        assert_eq!(batch.closing, None);
    }

    #[tokio::test]
    async fn a_state_takes_the_place_of_the_one_before_until_that_was_taken() {
        let outbox = Outbox::new(10 * FRAME_OVERHEAD);
        outbox.push(Bytes::from_static(b"a"));
        for number in 0..1000 {
            assert!(outbox.push_whole(Bytes::from(format!("state {number}"))));
        }
        outbox.push(Bytes::from_static(b"b"));

        assert_eq!(outbox.take().await.frames, ["a", "state 999", "b"]);
        assert!(outbox.push_whole(Bytes::from_static(b"the next")));
        assert_eq!(outbox.take().await.frames, ["the next"]);
    }

    #[tokio::test]
    async fn a_full_outbox_closes_its_connection() {
        let outbox = Outbox::new(10 + FRAME_OVERHEAD);

        assert!(outbox.push(Bytes::from_static(b"12345678")));
        assert!(outbox.push(Bytes::from_static(b"9abc")));
        assert!(!outbox.push(Bytes::from_static(b"d")));

        let batch = outbox.take().await;
        assert_eq!(batch.closing, Some(Closing::SlowConsumer));
        assert!(batch.frames.is_empty());
        assert!(!outbox.push(Bytes::from_static(b"x")));
    }

    #[test]
    fn small_frames_count_for_what_they_take() {
        let outbox = Outbox::new(1 << 20);

        let held = (0..100_000).take_while(|_| outbox.push(Bytes::from_static(&[0x8a, 0]))).count();

        assert!((10_000..=1 << 14).contains(&held), "{held}");
        assert!(outbox.is_closing());
    }

    #[tokio::test]
    async fn the_latest_of_a_kind_takes_the_place_of_the_one_that_still_waits() {
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
        assert_eq!(outbox.take().await.frames, expected);
        outbox.push_latest(Bytes::from_static(b"one more"));
        assert_eq!(outbox.take().await.frames, ["one more"]);
    }

    #[tokio::test]
    async fn what_was_taken_no_longer_counts() {
        let outbox = Outbox::new(FRAME_OVERHEAD);

        for _ in 0..5 {
            assert!(outbox.push(Bytes::from_static(b"12345678")));
            outbox.take().await;
        }
    }

    #[tokio::test]
    async fn one_large_frame_goes_through_alone() {
        let outbox = Outbox::new(10);

        assert!(outbox.push(Bytes::from_static(b"larger than the bound")));

        assert_eq!(outbox.take().await.frames.len(), 1);
    }

    #[tokio::test]
    async fn closing_sends_what_was_queued_first() {
        let outbox = Outbox::new(10);

        outbox.push(Bytes::from_static(b"bye"));
        outbox.close(Closing::Done);

        let batch = outbox.take().await;
        assert_eq!(batch.frames, ["bye"]);
        assert_eq!(batch.closing, Some(Closing::Done));
    }
}
