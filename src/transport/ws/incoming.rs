//! Tracks frame boundaries in the input of a client: the number of control frames and fragments,
//! the time limit of a message, the memory an incomplete message takes, and whether a message is
//! going to exceed the maximum size.
//!
//! The codec parses the frames but reports none of this: control frames and fragments are invisible
//! above it, and its limits cannot change. This module reads headers only and does not validate
//! them; validation is left to the codec.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::arrival;

/// Length of the longest header, without its mask.
const HEAD_MAX: usize = 10;
/// Length of a mask in bytes.
const MASK: u64 = 4;

/// The parser state of one client.
#[derive(Debug)]
pub struct Incoming {
    head: [u8; HEAD_MAX],
    /// Number of header bytes of the next frame that have arrived.
    head_bytes: usize,
    /// Number of bytes of the current frame that have not arrived.
    missing: u64,
    /// Kind of the current frame.
    frame: Frame,
    /// Whether a message is incomplete.
    is_open: bool,
    /// Size of the current message as announced by its headers so far.
    message_bytes: u64,
    /// The part of `message_bytes` that belongs to complete frames.
    gathered: u64,
    /// Size of the largest fragment so far: the codec keeps a buffer of that size.
    largest_piece: u64,
    /// When the incomplete message or frame began.
    begun: Option<Instant>,
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// A control frame.
    Control,
    /// An unfragmented message.
    Whole,
    /// A fragment that is not the last.
    Piece,
    /// The last fragment of a message.
    LastPiece,
}

impl Incoming {
    /// Creates the state before the first byte.
    pub const fn new() -> Self {
        Self {
            head: [0; HEAD_MAX],
            head_bytes: 0,
            missing: 0,
            frame: Frame::Control,
            is_open: false,
            message_bytes: 0,
            gathered: 0,
            largest_piece: 0,
            begun: None,
        }
    }

    /// Processes the bytes of a read. Returns the number of control frames and fragments whose
    /// headers were completed by them.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) -> u32 {
        let mut parts = 0;
        let mut ended = self.is_between_messages();
        while let Some(byte) = bytes.first() {
            if self.missing > 0 {
                let skipped = usize::try_from(self.missing)
                    .map_or(bytes.len(), |missing| missing.min(bytes.len()));
                bytes = &bytes[skipped..];
                self.missing -= skipped as u64;
            } else {
                self.head[self.head_bytes] = *byte;
                self.head_bytes += 1;
                bytes = &bytes[1..];
                let Some(length) = self.length() else { continue };
                self.begin(length);
                parts += u32::from(self.frame != Frame::Whole);
                let mask = if self.head[1] & 0x80 == 0 { 0 } else { MASK };
                self.missing = length.saturating_add(mask);
                self.head_bytes = 0;
            }
            if self.missing == 0 {
                self.end();
            }
            ended |= self.is_between_messages();
        }
        if self.is_between_messages() {
            self.begun = None;
        } else if ended {
            self.begun = Some(now);
        }
        parts
    }

    /// Returns whether the current message, or an earlier one from the same read, exceeds a size.
    pub const fn is_over(&self, bytes_max: usize) -> bool {
        self.message_bytes > bytes_max as u64
    }

    /// Returns when more bytes of the incomplete message or frame are due, if there is one.
    pub fn due(&self) -> Option<Instant> {
        Some(self.begun? + arrival::allowed(if self.is_open { self.received() } else { 0 }))
    }

    /// Extends the time limit by a period without reads.
    pub fn put_off(&mut self, by: Duration) {
        self.begun = self.begun.map(|begun| begun + by);
    }

    /// Returns the size of the buffers of the codec: the received bytes of an unfragmented message.
    /// For a fragmented one, twice the assembled bytes, since that buffer doubles as it grows, plus
    /// the largest fragment, whose buffer stays allocated.
    pub fn kept(&self) -> usize {
        let kept = match self.frame {
            _ if !self.is_open => self.largest_piece,
            Frame::Whole => self.received(),
            _ => {
                let piece = self.received() - self.gathered;
                self.gathered.saturating_mul(2).saturating_add(piece.max(self.largest_piece))
            }
        };
        usize::try_from(kept).unwrap_or(usize::MAX)
    }

    /// Returns the number of received bytes of the current message.
    fn received(&self) -> u64 {
        let missing = if self.frame == Frame::Control { 0 } else { self.missing };
        self.message_bytes.saturating_sub(missing).max(self.gathered)
    }

    const fn is_between_messages(&self) -> bool {
        self.head_bytes == 0 && self.missing == 0 && !self.is_open
    }

    /// Returns the payload length of the current frame once its header is complete.
    fn length(&self) -> Option<u64> {
        let (head, there) = (&self.head, self.head_bytes);
        match head[1] & 0x7f {
            _ if there < 2 => None,
            126 if there < 4 => None,
            126 => Some(u64::from(u16::from_be_bytes([head[2], head[3]]))),
            127 if there < HEAD_MAX => None,
            127 => head[2..].try_into().ok().map(u64::from_be_bytes),
            length => Some(u64::from(length)),
        }
    }

    /// Starts the current frame, after its header is complete.
    fn begin(&mut self, length: u64) {
        let (is_last, kind) = (self.head[0] & 0x80 != 0, self.head[0] & 0x0f);
        self.frame = match (kind, is_last) {
            (8.., _) => Frame::Control,
            (_, false) => Frame::Piece,
            (0, true) => Frame::LastPiece,
            (_, true) => Frame::Whole,
        };
        match kind {
            8.. => return,
            0 => self.message_bytes = self.message_bytes.saturating_add(length),
            _ => (self.message_bytes, self.gathered) = (length, 0),
        }
        self.is_open = true;
    }

    /// Finishes the current frame.
    fn end(&mut self) {
        match self.frame {
            Frame::Control => return,
            Frame::Whole => self.is_open = false,
            Frame::Piece | Frame::LastPiece => {
                self.largest_piece = self.largest_piece.max(self.message_bytes - self.gathered);
                self.is_open = self.frame == Frame::Piece;
            }
        }
        self.gathered = self.message_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u8 = 0x81;
    const BEGINNING: u8 = 0x01;
    const PIECE: u8 = 0x00;
    const LAST_PIECE: u8 = 0x80;
    const PING: u8 = 0x89;

    /// Returns a frame as clients send it.
    fn frame(head: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![head];
        match length {
            0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            126..65536 => {
                frame.push(0xfe);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0xff);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.resize(frame.len() + 4 + length, 0x89);
        frame
    }

    #[test]
    fn only_control_frames_and_fragments_are_counted() {
        let frames = [
            frame(TEXT, 0),
            frame(PING, 0),
            frame(TEXT, 300),
            frame(PING, 125),
            frame(BEGINNING, 70_000),
            frame(PIECE, 0),
            frame(PING, 1),
            frame(LAST_PIECE, 5),
            frame(TEXT, 66_000),
        ]
        .concat();
        let now = Instant::now();

        for size in [1, 2, 3, 7, 1024, frames.len()] {
            let mut incoming = Incoming::new();
            let counted: u32 = frames.chunks(size).map(|part| incoming.take(part, now)).sum();

            assert_eq!(counted, 6, "in pieces of {size}");
            assert!(incoming.is_between_messages());
            assert_eq!(incoming.due(), None);
        }
    }

    #[test]
    fn an_oversized_message_is_detected_at_its_headers() {
        let now = Instant::now();
        for (frames, is_over) in [
            (vec![frame(TEXT, 1000)], false),
            (vec![frame(TEXT, 1001)], true),
            (vec![frame(BEGINNING, 600), frame(LAST_PIECE, 400)], false),
            (vec![frame(BEGINNING, 600), frame(PING, 125), frame(PIECE, 401)], true),
            (vec![frame(TEXT, 1000), frame(TEXT, 1000)], false),
        ] {
            let mut incoming = Incoming::new();
            // The payload that the last header announces has not arrived.
            let last = frames.last().unwrap().len() - frames.last().unwrap().len().min(300);
            let bytes = frames.concat();
            incoming.take(&bytes[..bytes.len() - last], now);

            assert_eq!(incoming.is_over(1000), is_over);
        }
        let mut endless = Incoming::new();
        endless.take(&[&[0x82, 0xff][..], &[0xff; 8], &[0; 4]].concat(), now);
        assert!(endless.is_over(usize::MAX - 1));
    }

    #[test]
    fn slow_messages_time_out_and_large_steady_ones_do_not() {
        let start = Instant::now();
        let second = |count: u64| start + Duration::from_secs(count);
        let mut steady = Incoming::new();
        let large = frame(TEXT, 200_000);
        for (at, part) in large.chunks(8192).enumerate() {
            steady.take(part, second(at as u64));
            assert!(steady.due().is_none_or(|due| due > second(at as u64)), "{at}");
        }

        // Single bytes, an endless series of fragments, or pings do not extend the time limit.
        let pieces = [frame(BEGINNING, 1), frame(PIECE, 0).repeat(1000)].concat();
        let pings = [frame(BEGINNING, 1), frame(PING, 125).repeat(1000)].concat();
        for bytes in [&large, &pieces, &pings] {
            let mut dripping = Incoming::new();
            for at in 0..10 {
                let at = usize::try_from(at).unwrap();
                dripping.take(&bytes[7 * at..7 * (at + 1)], second(at as u64));
            }
            assert_eq!(dripping.due(), Some(second(10)));
        }
        // Bytes that arrived at once do not postpone the rest indefinitely.
        let mut withheld = Incoming::new();
        let message = frame(TEXT, 1 << 20);
        withheld.take(&message[..message.len() - 1], start);
        assert!(withheld.due().unwrap() <= second(46));
    }

    #[test]
    fn the_timeout_starts_with_the_message_and_can_be_postponed() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let mut incoming = Incoming::new();
        let (first, second) = (frame(TEXT, 100), frame(TEXT, 100));

        incoming.take(&first[..50], start);
        incoming.take(&[&first[50..], &second[..50]].concat(), later);
        assert_eq!(incoming.due(), Some(later + Duration::from_secs(10)));

        incoming.put_off(Duration::from_secs(5));
        assert_eq!(incoming.due(), Some(later + Duration::from_secs(15)));
        incoming.take(&second[50..], later);
        assert_eq!(incoming.due(), None);
    }

    #[test]
    fn the_buffer_size_of_the_codec_is_tracked() {
        let now = Instant::now();
        let mut incoming = Incoming::new();
        let whole = frame(TEXT, 1000);
        let mask = usize::try_from(MASK).unwrap();

        incoming.take(&whole[..500], now);
        let kept = incoming.kept();
        assert!((500 - HEAD_MAX - mask..=500).contains(&kept), "{kept}");
        incoming.take(&whole[500..], now);
        assert_eq!(incoming.kept(), 0);

        incoming.take(&frame(BEGINNING, 1000), now);
        incoming.take(&frame(PING, 10), now);
        incoming.take(&frame(PIECE, 3000), now);
        assert_eq!(incoming.kept(), 2 * 4000 + 3000);
        incoming.take(&frame(LAST_PIECE, 10), now);
        assert_eq!(incoming.kept(), 3000);
    }
}
