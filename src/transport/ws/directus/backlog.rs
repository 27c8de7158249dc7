//! Pending frames of a connection, limited in number, bytes, and memory.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::Error;
use crate::domain::memory::{FREE, Reservation};
use crate::text::json;
use crate::text::json::Unfit;
use crate::transport::json_size;
use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::frames::Frame;

/// The next frame to handle.
#[derive(Debug)]
pub struct Next {
    /// The parsed frame, or the reason to reject it.
    pub frame: Result<Frame, Refused>,
    /// Approximate size of the frame while it is handled, in bytes.
    pub bytes: usize,
    /// The reservation for its parsed content. Boxed, since most frames are small and have none.
    pub memory: Option<Box<Reservation>>,
}

/// Reasons to reject a frame.
#[derive(Debug)]
pub enum Refused {
    /// The frame is malformed.
    Invalid(Invalid),
    /// The memory quota has no room for the parsed content.
    NoMemory(Error),
}

/// Overhead of an item to create: half a kilobyte, however short the item is.
const ITEM_OVERHEAD: usize = 512;
/// Overhead of a pending frame.
const FRAME_OVERHEAD: usize = 64;

/// Pending frames in the order of their arrival. While the backlog is full, the socket is not read,
/// so a client that sends faster than it is answered delays only itself.
#[derive(Debug)]
pub struct Backlog {
    /// The first frame, if it was parsed and has to wait. Boxed, since most connections are idle.
    first: Option<Box<Next>>,
    /// The other frames, unparsed: a parsed frame may take many times as much memory.
    others: VecDeque<Bytes>,
    bytes: usize,
    /// Size of the pending frames without a reservation of their own, overhead included.
    small_bytes: usize,
    /// The reservation for those frames. Boxed, since most connections are idle.
    memory: Option<Box<Reservation>>,
    /// Whether the reservation failed for the last frame. It is queued anyway, but no more frames
    /// are read.
    is_crowded: bool,
    frames_max: usize,
    bytes_max: usize,
    depth_max: usize,
}

impl Backlog {
    /// Creates an empty backlog. It is full at `frames_max` frames or `bytes_max` bytes.
    /// `depth_max` limits the nesting of the JSON.
    #[must_use]
    pub const fn new(frames_max: usize, bytes_max: usize, depth_max: usize) -> Self {
        Self {
            first: None,
            others: VecDeque::new(),
            bytes: 0,
            small_bytes: 0,
            memory: None,
            is_crowded: false,
            frames_max,
            bytes_max,
            depth_max,
        }
    }

    /// Returns whether another frame may be read.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.others.len() < self.frames_max && self.bytes < self.bytes_max && !self.is_crowded
    }

    /// Adds a frame. A large one has a reservation already. Small ones share the reservation that
    /// `nothing` creates.
    pub fn push(&mut self, text: Bytes, nothing: impl FnOnce() -> Reservation) {
        self.bytes += text.len();
        self.small_bytes += small(&text);
        self.others.push_back(text);
        if self.small_bytes > FREE {
            let memory = self.memory.get_or_insert_with(|| Box::new(nothing()));
            self.is_crowded = memory.resize(self.small_bytes).is_err();
        }
    }

    /// Removes and parses the first frame. `nothing` creates the reservation of its content.
    pub fn take(&mut self, nothing: impl FnOnce() -> Reservation) -> Option<Next> {
        if let Some(first) = self.first.take() {
            return Some(*first);
        }
        let text = self.others.pop_front()?;
        self.bytes -= text.len();
        self.small_bytes -= small(&text);
        if self.others.is_empty() {
            // Frees the memory, since most connections are idle most of the time.
            self.others = VecDeque::new();
            self.memory = None;
            self.is_crowded = false;
        } else if let Some(memory) = &mut self.memory {
            self.is_crowded = memory.resize(self.small_bytes).is_err();
        }
        Some(self.read(&text, nothing))
    }

    /// Puts back the frame that was just taken.
    pub fn put_back(&mut self, first: Next) {
        self.first = Some(Box::new(first));
    }

    fn read(&self, text: &[u8], nothing: impl FnOnce() -> Reservation) -> Next {
        let tree = json_size::of_tree(text);
        let mut memory = None;
        // A frame that is nested too deep is refused before it is parsed, and needs no memory.
        let is_deep = || matches!(json::check(text, self.depth_max), Err(Unfit::Deep(_)));
        if tree > FREE && !is_deep() {
            let mut reservation = nothing();
            if let Err(error) = reservation.resize(tree) {
                return Next { frame: Err(Refused::NoMemory(error)), bytes: 0, memory };
            }
            memory = Some(Box::new(reservation));
        }
        let frame = Frame::parse(text, self.depth_max).map_err(Refused::Invalid);
        let items = match &frame {
            Ok(frame @ Frame::Items(_)) => frame.changes(),
            _ => 0,
        };
        Next { frame, bytes: text.len() + items * ITEM_OVERHEAD, memory }
    }
}

/// Returns the size of a pending frame, or 0 if it has a reservation of its own.
fn small(text: &Bytes) -> usize {
    if text.len() > FREE { 0 } else { text.len() + FRAME_OVERHEAD }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::domain::memory::VISITORS_SHARE;
    use crate::domain::memory::budget;
    use crate::domain::quota::{Owner, Quota};

    use super::*;

    fn ping() -> Bytes {
        Bytes::from_static(br#"{"type":"ping"}"#)
    }

    fn nothing() -> Reservation {
        of(&budget(1 << 30))
    }

    fn of(shares: &Arc<Quota>) -> Reservation {
        Reservation::new(shares, Owner::Visitors(None))
    }

    fn is_ping(next: Option<Next>) -> bool {
        next.is_some_and(|next| {
            matches!(next.frame, Ok(Frame::Ping(None))) && next.bytes == ping().len()
        })
    }

    #[test]
    fn frames_are_returned_in_order() {
        let mut backlog = Backlog::new(10, 1000, 32);
        backlog.push(ping(), nothing);
        backlog.push(Bytes::from_static(b"nonsense"), nothing);

        assert!(is_ping(backlog.take(nothing)));
        assert!(matches!(
            backlog.take(nothing),
            Some(Next { frame: Err(Refused::Invalid(_)), bytes: 8, .. })
        ));
        assert!(backlog.take(nothing).is_none());
    }

    #[test]
    fn a_frame_that_is_put_back_stays_first() {
        let mut backlog = Backlog::new(10, 1000, 32);
        backlog.push(ping(), nothing);
        backlog.push(Bytes::from_static(b"nonsense"), nothing);

        let first = backlog.take(nothing).unwrap();
        backlog.put_back(first);

        assert!(is_ping(backlog.take(nothing)));
    }

    #[test]
    fn items_count_with_their_overhead() {
        let mut backlog = Backlog::new(10, 1000, 32);
        let text = br#"{"type":"items","action":"create","collection":"messages","data":[{},{}]}"#;
        backlog.push(Bytes::from_static(text), nothing);

        let next = backlog.take(nothing).unwrap();

        assert_eq!(next.bytes, text.len() + 2 * ITEM_OVERHEAD);
    }

    #[test]
    fn capacity_is_limited_by_count_and_by_size() {
        for mut backlog in [Backlog::new(2, 1000, 32), Backlog::new(10, 2 * ping().len(), 32)] {
            backlog.push(ping(), nothing);
            assert!(backlog.has_capacity());
            backlog.push(ping(), nothing);
            assert!(!backlog.has_capacity());

            backlog.take(nothing);

            assert!(backlog.has_capacity());
        }
    }

    #[test]
    fn small_frames_are_not_buffered_without_memory() {
        let shares = budget(VISITORS_SHARE * (16 << 10));
        let mut others = of(&shares);
        others.resize(16 << 10).unwrap();
        let mut backlog = Backlog::new(1000, 1 << 20, 32);

        let mut frames = 0;
        while backlog.has_capacity() {
            backlog.push(ping(), || of(&shares));
            frames += 1;
        }
        assert!(frames * (ping().len() + FRAME_OVERHEAD) > FREE);
        drop(others);
        assert!(is_ping(backlog.take(|| of(&shares))));
        backlog.push(ping(), || of(&shares));
        assert!(backlog.has_capacity());
        assert_eq!(of(&shares).left(), 0);
        while backlog.take(|| of(&shares)).is_some() {}

        assert_eq!(of(&shares).left(), 16 << 10);
    }

    #[test]
    fn a_frame_that_exceeds_the_memory_quota_is_not_parsed() {
        let shares = budget(VISITORS_SHARE << 20);
        let mut backlog = Backlog::new(10, 1 << 20, 32);
        let frame = |values| format!(r#"{{"type":"ping","more":[{}0]}}"#, "[0],".repeat(values));
        backlog.push(Bytes::from(frame(1000)), || of(&shares));
        backlog.push(Bytes::from(frame(3000)), || of(&shares));

        let small = backlog.take(|| of(&shares)).unwrap();
        assert!(matches!(small.frame, Ok(Frame::Ping(None))));
        assert!(of(&shares).left() < 1 << 20);
        drop(small);
        assert_eq!(of(&shares).left(), 1 << 20);
        let large = backlog.take(|| of(&shares)).unwrap();

        assert!(matches!(large.frame, Err(Refused::NoMemory(Error::ShareExceeded { .. }))));
    }
}
