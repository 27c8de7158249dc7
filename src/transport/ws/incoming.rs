//! Where in a client's frames the bytes are that come from it: how many frames they hold that are no
//! whole message, when one has taken too long, and when one is going to be too large.
//!
//! The codec parses the frames, and knows neither: what it passes over it does not tell, and it is
//! told its limits once. This looks at headers alone, and at nothing else: whether they are as they
//! should be is for the codec to say.

use std::time::Duration;

use tokio::time::Instant;

/// The longest header, without its mask.
const HEAD_MAX: usize = 10;
/// How many bytes a mask has.
const MASK: u64 = 4;

/// How long a frame may take to arrive that is small, and how much longer for each of its bytes.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: u64 = 1024;

/// The frames of one client, as they come.
#[derive(Debug)]
pub struct Incoming {
    head: [u8; HEAD_MAX],
    /// How many bytes of the next frame's head are there.
    head_bytes: usize,
    /// How many bytes of a frame are still to come whose head was complete.
    missing: u64,
    /// The size of the message that is coming, as far as heads have announced it.
    message_bytes: u64,
    /// When the frame began that has not come to its end, and how many of its bytes came since.
    begun: Option<(Instant, u64)>,
}

impl Incoming {
    /// Returns the state before the first byte.
    pub const fn new() -> Self {
        Self { head: [0; HEAD_MAX], head_bytes: 0, missing: 0, message_bytes: 0, begun: None }
    }

    /// Takes in what was read, and returns how many frames have begun in it that are no whole message:
    /// pings, pongs, and pieces of messages.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) -> u32 {
        let (received, before) = (bytes.len() as u64, self.is_between_frames());
        let mut parts = 0;
        let mut ended = before;
        while let Some(byte) = bytes.first() {
            if self.missing > 0 {
                let skipped = usize::try_from(self.missing)
                    .map_or(bytes.len(), |missing| missing.min(bytes.len()));
                bytes = &bytes[skipped..];
                self.missing -= skipped as u64;
                ended |= self.missing == 0;
                continue;
            }
            self.head[self.head_bytes] = *byte;
            self.head_bytes += 1;
            bytes = &bytes[1..];
            if let Some(length) = self.length() {
                parts += u32::from(self.count(length));
                let mask = if self.head[1] & 0x80 == 0 { 0 } else { MASK };
                self.missing = length.saturating_add(mask);
                self.head_bytes = 0;
                ended |= self.missing == 0;
            }
        }
        self.begun = match self.begun {
            _ if self.is_between_frames() => None,
            Some((begun, so_far)) if !ended => Some((begun, so_far + received)),
            _ => Some((now, 0)),
        };
        parts
    }

    /// Returns whether the message that is coming, or one before it that came with it, is larger.
    pub const fn is_over(&self, bytes_max: usize) -> bool {
        self.message_bytes > bytes_max as u64
    }

    /// Returns whether a frame that has begun should have come to its end by now: it comes at less than
    /// a kilobyte a second, after half a minute.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.begun.is_some_and(|(begun, received)| {
            let earned = Duration::from_secs(received / BYTES_PER_SECOND);
            now.duration_since(begun) > ARRIVAL_MAX + earned
        })
    }

    const fn is_between_frames(&self) -> bool {
        self.head_bytes == 0 && self.missing == 0
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

    /// Notes the frame whose head is complete, and returns whether it is no whole message.
    fn count(&mut self, length: u64) -> bool {
        let (is_last, kind) = (self.head[0] & 0x80 != 0, self.head[0] & 0x0f);
        match kind {
            8.. => return true,
            0 => self.message_bytes = self.message_bytes.saturating_add(length),
            _ => self.message_bytes = length,
        }
        kind == 0 || !is_last
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
            assert!(incoming.is_between_frames());
            assert!(incoming.begun.is_none());
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
    fn a_frame_that_drips_is_overdue_and_one_that_is_large_and_steady_is_not() {
        let start = Instant::now();
        let second = |count: u64| start + Duration::from_secs(count);
        let mut dripping = Incoming::new();
        let mut steady = Incoming::new();
        let large = frame(TEXT, 200_000);

        for at in 0..=30 {
            dripping.take(&[TEXT, 0xfe, 0xff][..usize::from(at < 3)], second(at));
        }
        for (at, part) in large.chunks(2048).enumerate() {
            steady.take(part, second(at as u64));
            assert!(!steady.is_overdue(second(at as u64)), "{at}");
        }

        assert!(!dripping.is_overdue(second(30)));
        assert!(dripping.is_overdue(second(31)));
        assert!(!steady.is_overdue(second(1000)));
    }

    #[test]
    fn the_time_of_a_frame_begins_with_it() {
        let start = Instant::now();
        let later = start + Duration::from_secs(29);
        let mut incoming = Incoming::new();
        let (first, second) = (frame(TEXT, 100), frame(TEXT, 100));

        incoming.take(&first[..50], start);
        incoming.take(&[&first[50..], &second[..50]].concat(), later);

        assert!(!incoming.is_overdue(later + ARRIVAL_MAX));
        assert!(incoming.is_overdue(later + ARRIVAL_MAX + Duration::from_millis(1)));
    }
}
