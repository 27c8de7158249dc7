//! Frames that have come and cannot be handled yet: bounded in number, in bytes, and in memory.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::Error;
use crate::domain::memory::FREE;
use crate::domain::memory::Reservation;
use crate::transport::json_size;
use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::frames::Frame;

/// A frame whose turn it is.
#[derive(Debug)]
pub struct Next {
    /// What it says.
    pub frame: Result<Frame, Refused>,
    /// About how many bytes it takes while it is under way.
    pub bytes: usize,
    /// What is reserved for that; boxed, since most frames are small.
    pub memory: Option<Box<Reservation>>,
}

/// Why a frame is not handled.
#[derive(Debug)]
pub enum Refused {
    /// It makes no sense.
    Invalid(Invalid),
    /// There is no memory for what it says.
    NoMemory(Error),
}

/// What an item that is to be created takes beside its text: half a kilobyte, however short it is.
const ITEM_OVERHEAD: usize = 512;
/// What a frame takes beside its bytes.
const FRAME_OVERHEAD: usize = 64;

/// Frames in the order in which they came. While it is full the socket is not read, so that a
/// client that says more than can be answered is held up by itself.
#[derive(Debug)]
pub struct Backlog {
    /// The first frame, once it has been looked at and has to wait; boxed, since most connections are
    /// idle.
    first: Option<Box<Next>>,
    /// The others, as they came: a parsed frame may take many times as much memory.
    others: VecDeque<Bytes>,
    bytes: usize,
    /// How much those take for which no memory was reserved when they came.
    small_bytes: usize,
    /// What is reserved for those; boxed, since most connections are idle.
    memory: Option<Box<Reservation>>,
    /// Whether there was no memory for the last frame: it is here all the same, and none is read after it.
    is_crowded: bool,
    frames_max: usize,
    bytes_max: usize,
    depth_max: usize,
}

impl Backlog {
    /// Returns an empty backlog that is full with so many frames, or so many bytes. The JSON of a
    /// frame may nest so deep.
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
    pub fn has_room(&self) -> bool {
        self.others.len() < self.frames_max && self.bytes < self.bytes_max && !self.is_crowded
    }

    /// Adds a frame. Its memory is reserved already if it is large; that of small ones is taken from what
    /// `nothing` returns.
    pub fn push(&mut self, text: Bytes, nothing: impl FnOnce() -> Reservation) {
        self.bytes += text.len();
        self.small_bytes += small(&text);
        self.others.push_back(text);
        if self.small_bytes > FREE {
            let memory = self.memory.get_or_insert_with(|| Box::new(nothing()));
            self.is_crowded = memory.resize(self.small_bytes).is_err();
        }
    }

    /// Takes out the first frame. The memory of what it says is taken from what `nothing` returns.
    pub fn take(&mut self, nothing: impl FnOnce() -> Reservation) -> Option<Next> {
        if let Some(first) = self.first.take() {
            return Some(*first);
        }
        let text = self.others.pop_front()?;
        self.bytes -= text.len();
        self.small_bytes -= small(&text);
        if self.others.is_empty() {
            // Most connections are idle most of the time.
            self.others = VecDeque::new();
            self.memory = None;
            self.is_crowded = false;
        } else if let Some(memory) = &mut self.memory {
            self.is_crowded = memory.resize(self.small_bytes).is_err();
        }
        Some(self.read(&text, nothing))
    }

    /// Puts the frame that was just taken out back in its place.
    pub fn put_back(&mut self, first: Next) {
        self.first = Some(Box::new(first));
    }

    fn read(&self, text: &[u8], nothing: impl FnOnce() -> Reservation) -> Next {
        let tree = json_size::of_tree(text);
        let mut memory = None;
        if tree > FREE {
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

/// Returns what a frame takes for which nothing was reserved when it came.
fn small(text: &Bytes) -> usize {
    if text.len() > FREE { 0 } else { text.len() + FRAME_OVERHEAD }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::domain::memory::VISITORS_SHARE;
    use crate::domain::memory::budget;
    use crate::domain::shares::Owner;
    use crate::domain::shares::Shares;

    use super::*;

    fn ping() -> Bytes {
        Bytes::from_static(br#"{"type":"ping"}"#)
    }

    fn nothing() -> Reservation {
        of(&budget(1 << 30))
    }

    fn of(shares: &Arc<Shares>) -> Reservation {
        Reservation::new(shares, Owner::Visitors(None))
    }

    fn is_ping(next: Option<Next>) -> bool {
        next.is_some_and(|next| {
            matches!(next.frame, Ok(Frame::Ping(None))) && next.bytes == ping().len()
        })
    }

    #[test]
    fn frames_come_out_in_order() {
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
    fn a_frame_that_was_put_back_is_still_the_first() {
        let mut backlog = Backlog::new(10, 1000, 32);
        backlog.push(ping(), nothing);
        backlog.push(Bytes::from_static(b"nonsense"), nothing);

        let first = backlog.take(nothing).unwrap();
        backlog.put_back(first);

        assert!(is_ping(backlog.take(nothing)));
    }

    #[test]
    fn items_count_for_what_they_take() {
        let mut backlog = Backlog::new(10, 1000, 32);
        let text = br#"{"type":"items","action":"create","collection":"messages","data":[{},{}]}"#;
        backlog.push(Bytes::from_static(text), nothing);

        let next = backlog.take(nothing).unwrap();

        assert_eq!(next.bytes, text.len() + 2 * ITEM_OVERHEAD);
    }

    #[test]
    fn it_is_full_by_number_or_by_size_until_something_is_taken() {
        for mut backlog in [Backlog::new(2, 1000, 32), Backlog::new(10, 2 * ping().len(), 32)] {
            backlog.push(ping(), nothing);
            assert!(backlog.has_room());
            backlog.push(ping(), nothing);
            assert!(!backlog.has_room());

            backlog.take(nothing);

            assert!(backlog.has_room());
        }
    }

    #[test]
    fn many_small_frames_are_not_read_without_memory_for_them() {
        let shares = budget(VISITORS_SHARE * (16 << 10));
        let mut others = of(&shares);
        others.resize(16 << 10).unwrap();
        let mut backlog = Backlog::new(1000, 1 << 20, 32);

        let mut frames = 0;
        while backlog.has_room() {
            backlog.push(ping(), || of(&shares));
            frames += 1;
        }
        assert!(frames * (ping().len() + FRAME_OVERHEAD) > FREE);
        drop(others);
        assert!(is_ping(backlog.take(|| of(&shares))));
        backlog.push(ping(), || of(&shares));
        assert!(backlog.has_room());
        assert_eq!(of(&shares).left(), 0);
        while backlog.take(|| of(&shares)).is_some() {}

        assert_eq!(of(&shares).left(), 16 << 10);
    }

    #[test]
    fn a_frame_with_more_values_than_there_is_memory_for_is_not_parsed() {
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
