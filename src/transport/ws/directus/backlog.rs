//! Frames that have come and cannot be handled yet: bounded in number and in bytes.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::frames::Frame;

/// A frame whose turn it is, and about how many bytes it takes while it is under way.
pub type Next = (Result<Frame, Invalid>, usize);

/// What an item that is to be created takes beside its text: half a kilobyte, however short it is.
const ITEM_OVERHEAD: usize = 512;

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
    frames_max: usize,
    bytes_max: usize,
    depth_max: usize,
}

impl Backlog {
    /// Returns an empty backlog that is full with so many frames, or so many bytes. The JSON of a
    /// frame may nest so deep.
    #[must_use]
    pub const fn new(frames_max: usize, bytes_max: usize, depth_max: usize) -> Self {
        Self { first: None, others: VecDeque::new(), bytes: 0, frames_max, bytes_max, depth_max }
    }

    /// Returns whether another frame may be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.others.len() < self.frames_max && self.bytes < self.bytes_max
    }

    /// Adds a frame.
    pub fn push(&mut self, text: Bytes) {
        self.bytes += text.len();
        self.others.push_back(text);
    }

    /// Takes out the first frame.
    pub fn take(&mut self) -> Option<Next> {
        if let Some(first) = self.first.take() {
            return Some(*first);
        }
        let text = self.others.pop_front()?;
        self.bytes -= text.len();
        if self.others.is_empty() {
            // Most connections are idle most of the time.
            self.others = VecDeque::new();
        }
        let frame = Frame::parse(&text, self.depth_max);
        let items = match &frame {
            Ok(frame @ Frame::Items(_)) => frame.changes(),
            _ => 0,
        };
        Some((frame, text.len() + items * ITEM_OVERHEAD))
    }

    /// Puts the frame that was just taken out back in its place.
    pub fn put_back(&mut self, first: Next) {
        self.first = Some(Box::new(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Bytes {
        Bytes::from_static(br#"{"type":"ping"}"#)
    }

    #[test]
    fn frames_come_out_in_order() {
        let mut backlog = Backlog::new(10, 1000, 32);
        backlog.push(ping());
        backlog.push(Bytes::from_static(b"nonsense"));

        assert_eq!(backlog.take(), Some((Ok(Frame::Ping(None)), ping().len())));
        assert!(matches!(backlog.take(), Some((Err(_), 8))));
        assert_eq!(backlog.take(), None);
    }

    #[test]
    fn a_frame_that_was_put_back_is_still_the_first() {
        let mut backlog = Backlog::new(10, 1000, 32);
        backlog.push(ping());
        backlog.push(Bytes::from_static(b"nonsense"));

        let first = backlog.take().unwrap();
        backlog.put_back(first);

        assert_eq!(backlog.take(), Some((Ok(Frame::Ping(None)), ping().len())));
    }

    #[test]
    fn items_count_for_what_they_take() {
        let mut backlog = Backlog::new(10, 1000, 32);
        let text = br#"{"type":"items","action":"create","collection":"messages","data":[{},{}]}"#;
        backlog.push(Bytes::from_static(text));

        let (_, bytes) = backlog.take().unwrap();

        assert_eq!(bytes, text.len() + 2 * ITEM_OVERHEAD);
    }

    #[test]
    fn it_is_full_by_number_or_by_size_until_something_is_taken() {
        for mut backlog in [Backlog::new(2, 1000, 32), Backlog::new(10, 2 * ping().len(), 32)] {
            backlog.push(ping());
            assert!(backlog.has_room());
            backlog.push(ping());
            assert!(!backlog.has_room());

            backlog.take();

            assert!(backlog.has_room());
        }
    }
}
