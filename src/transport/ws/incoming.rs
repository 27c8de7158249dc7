//! Where in a client's frames the bytes are that come from it: how many frames they hold that are no
//! whole message, when a message has to have come, how much memory it takes until then, and when one is
//! going to be too large.
//!
//! The codec parses the frames, and knows none of that: what it passes over it does not tell, and it is
//! told its limits once. This looks at headers alone, and at nothing else: whether they are as they
//! should be is for the codec to say.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::arrival;

/// The longest header, without its mask.
const HEAD_MAX: usize = 10;
/// How many bytes a mask has.
const MASK: u64 = 4;

/// The frames of one client, as they come.
#[derive(Debug)]
pub struct Incoming {
    head: [u8; HEAD_MAX],
    /// How many bytes of the next frame's head are there.
    head_bytes: usize,
    /// How many bytes of a frame are still to come whose head was complete.
    missing: u64,
    /// What that frame is.
    frame: Frame,
    /// Whether a message has begun that has not come to its end.
    is_open: bool,
    /// The size of the message that is coming, as far as heads have announced it.
    message_bytes: u64,
    /// How much of that was in frames that have come to their end.
    gathered: u64,
    /// The largest frame that was a piece of a message: the codec keeps its memory.
    largest_piece: u64,
    /// When the message or frame began that has not come to its end.
    begun: Option<Instant>,
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// It belongs to no message.
    Control,
    /// It is a message.
    Whole,
    /// It is a piece of a message, and not the last.
    Piece,
    /// It is the last piece of a message.
    LastPiece,
}

impl Incoming {
    /// Returns the state before the first byte.
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

    /// Takes in what was read, and returns how many frames have begun in it that are no whole message:
    /// pings, pongs, and pieces of messages.
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

    /// Returns whether the message that is coming, or one before it that came with it, is larger.
    pub const fn is_over(&self, bytes_max: usize) -> bool {
        self.message_bytes > bytes_max as u64
    }

    /// Returns when more has to have come of what has begun; `None` if nothing has.
    pub fn due(&self) -> Option<Instant> {
        Some(self.begun? + arrival::allowed(if self.is_open { self.received() } else { 0 }))
    }

    /// Puts off when what has begun has to have come: for so long nobody has looked.
    pub fn put_off(&mut self, by: Duration) {
        self.begun = self.begun.map(|begun| begun + by);
    }

    /// Returns how many bytes the codec keeps: what has come of a message, and of one in pieces twice what
    /// has been put together, in memory that grows twofold. The memory of its largest piece stays.
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

    /// Returns how many bytes have come of the message.
    fn received(&self) -> u64 {
        let missing = if self.frame == Frame::Control { 0 } else { self.missing };
        self.message_bytes.saturating_sub(missing).max(self.gathered)
    }

    const fn is_between_messages(&self) -> bool {
        self.head_bytes == 0 && self.missing == 0 && !self.is_open
    }

    /// Returns how long the payload is of the frame whose head is there, once that is complete.
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

    /// Notes the frame whose head is complete.
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

    /// Notes that the frame has come to its end.
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
    fn control_frames_and_pieces_are_counted_and_whole_messages_are_not() {
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
    fn a_message_is_too_large_as_soon_as_its_heads_say_so() {
        let now = Instant::now();
        for (frames, is_over) in [
            (vec![frame(TEXT, 1000)], false),
            (vec![frame(TEXT, 1001)], true),
            (vec![frame(BEGINNING, 600), frame(LAST_PIECE, 400)], false),
            (vec![frame(BEGINNING, 600), frame(PING, 125), frame(PIECE, 401)], true),
            (vec![frame(TEXT, 1000), frame(TEXT, 1000)], false),
        ] {
            let mut incoming = Incoming::new();
            // What the last announces has yet to come.
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
    fn a_message_that_drips_is_due_however_it_drips_and_one_that_is_large_and_steady_is_not() {
        let start = Instant::now();
        let second = |count: u64| start + Duration::from_secs(count);
        let mut steady = Incoming::new();
        let large = frame(TEXT, 200_000);
        for (at, part) in large.chunks(8192).enumerate() {
            steady.take(part, second(at as u64));
            assert!(steady.due().is_none_or(|due| due > second(at as u64)), "{at}");
        }

        // A byte now and then, an endless row of pieces or of pings earns no time.
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
        // Nor does what came at once keep the rest from being due.
        let mut withheld = Incoming::new();
        let message = frame(TEXT, 1 << 20);
        withheld.take(&message[..message.len() - 1], start);
        assert!(withheld.due().unwrap() <= second(46));
    }

    #[test]
    fn the_time_of_a_message_begins_with_it_and_stands_still_while_nobody_reads() {
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
    fn what_the_codec_keeps_is_known() {
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
