//! One connection's bounded queue of encoded frames, between whoever has something to say and
//! whoever writes the socket: one at a time, a task of its own or a sweep over many.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
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
    /// The bytes of what is held back for it elsewhere.
    held: AtomicUsize,
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
    /// What was taken out and the socket has not taken yet; boxed, since most sockets take all.
    begun: Option<Box<Begun>>,
    closing: Option<Closing>,
    /// Who is to be told of the next frame or of the end; told once, and only if it has asked.
    writer: Option<Waker>,
}

/// What is written piece by piece, as the socket takes it.
#[derive(Default)]
struct Begun {
    frames: VecDeque<Bytes>,
    /// How many bytes there are, with the piece that is being written, and how many that piece has.
    bytes: usize,
    piece_bytes: usize,
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

/// What of one connection has yet to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unsent {
    /// Whether its socket takes no more at the moment.
    pub(super) is_stuck: bool,
    /// How many bytes there are.
    pub(super) bytes: usize,
    /// How many of them go by themselves, since the connection is being closed.
    pub(super) going: usize,
}

/// All that waits to be written, in order, and whether the connection is to be closed after it.
#[derive(Debug)]
pub struct Batch {
    /// The frames; may be empty if the connection is to be closed.
    pub frames: Vec<Bytes>,
    /// Set when nothing comes after these frames.
    pub closing: Option<Closing>,
}

impl State {
    /// Closes the connection as one that reads too slowly, unless it is closed anyhow.
    fn give_up(&mut self) {
        self.closing.get_or_insert(Closing::SlowConsumer);
        self.frames = Vec::new();
        self.bytes = 0;
        self.latest = None;
        self.latest_count = 0;
        self.whole = None;
        if let Some(begun) = &mut self.begun {
            begun.frames = VecDeque::new();
            begun.bytes = begun.piece_bytes;
        }
    }
}

impl Outbox {
    /// Returns an empty outbox that holds at most `bytes_max` unsent bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { state: Mutex::default(), bytes_max, held })
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

    /// Takes room for what is held back for this connection elsewhere. Returns false if there is none:
    /// as much may be held back as may wait.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= self.bytes_max;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives back what [`Outbox::hold`] took.
    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns what has yet to be written, or is held back.
    pub(super) fn unsent(&self) -> Unsent {
        let state = self.state.lock();
        let begun = state.begun.as_ref().map_or(0, |begun| begun.bytes);
        let bytes = state.bytes + begun + self.held.load(Ordering::Relaxed);
        let going = if state.closing.is_some() { bytes } else { 0 };
        Unsent { is_stuck: begun > 0, bytes, going }
    }

    /// Closes the connection as one that reads too slowly, and lets go of what waits for it. Returns how
    /// many bytes go once the piece is written, or given up, that is being written.
    pub(super) fn give_up(&self) -> usize {
        let mut state = self.state.lock();
        state.give_up();
        let piece = state.begun.as_ref().map_or(0, |begun| begun.piece_bytes);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        piece
    }

    /// Keeps what was taken out and is written piece by piece, as the socket takes it: so that it is
    /// known how much that is, and can be let go of.
    pub fn begin(&self, frames: Vec<Bytes>) {
        let bytes = frames.iter().map(|frame| frame.len() + FRAME_OVERHEAD).sum();
        let begun = Begun { frames: frames.into(), bytes, piece_bytes: 0 };
        self.state.lock().begun = Some(Box::new(begun));
    }

    /// Takes the next piece of what has begun to be written, about so many bytes of whole frames; `None`
    /// if there is none.
    #[must_use]
    pub fn next_piece(&self, about: usize) -> Option<Vec<Bytes>> {
        let mut state = self.state.lock();
        let begun = state.begun.as_mut()?;
        begun.bytes -= begun.piece_bytes;
        begun.piece_bytes = 0;
        let mut piece = Vec::new();
        while begun.piece_bytes < about
            && let Some(frame) = begun.frames.pop_front()
        {
            begun.piece_bytes += frame.len() + FRAME_OVERHEAD;
            piece.push(frame);
        }
        if piece.is_empty() {
            state.begun = None;
            return None;
        }
        Some(piece)
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
    async fn what_has_begun_comes_in_pieces_and_can_be_let_go_of() {
        let outbox = Outbox::new(1000);
        let frames = |count: usize| vec![Bytes::from_static(b"12345678"); count];
        let each = 8 + FRAME_OVERHEAD;

        outbox.begin(frames(5));
        outbox.push(Bytes::from_static(b"12345678"));
        assert!(outbox.hold(100));
        assert!(!outbox.hold(901));
        assert_eq!(outbox.unsent(), Unsent { is_stuck: true, bytes: 6 * each + 100, going: 0 });
        assert_eq!(outbox.next_piece(each + 1), Some(frames(2)));
        assert_eq!(outbox.next_piece(1), Some(frames(1)));
        assert_eq!(outbox.unsent().bytes, 4 * each + 100);
        outbox.release(100);

        assert_eq!(outbox.give_up(), each);

        assert_eq!(outbox.unsent(), Unsent { is_stuck: true, bytes: each, going: each });
        assert_eq!(outbox.next_piece(1), None);
        assert_eq!(outbox.unsent(), Unsent { is_stuck: false, bytes: 0, going: 0 });
        let batch = outbox.take().await;
        assert_eq!((batch.frames.len(), batch.closing), (0, Some(Closing::SlowConsumer)));
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
