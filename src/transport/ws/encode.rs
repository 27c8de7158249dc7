//! The bytes of the frames that the server sends: whole, unmasked, header included.
//!
//! A frame is made once, in one piece of memory, and is then shared by all who get it. Reading
//! frames is left to tungstenite.

use bytes::Bytes;
use serde::Serialize;

/// The longest header: two bytes, and eight for the length.
const HEADER_MAX: usize = 10;
/// What fits into a control frame.
const CONTROL_MAX: usize = 125;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// The client broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Text that is not UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// A message over the limit.
pub const TOO_BIG: u16 = 1009;
/// The service has failed.
pub const INTERNAL_ERROR: u16 = 1011;
/// The service restarts.
pub const RESTART: u16 = 1012;
/// Worth another try later.
pub const TRY_AGAIN: u16 = 1013;

/// Why a client is to try again: it takes too little of what is for it.
pub const READS_SLOWLY: &str = "reading too slowly";
/// A message of it did not come in time.
pub const SENDS_SLOWLY: &str = "sending too slowly";
/// Its messages, and others of its account or address, take too much memory.
pub const SENDS_MUCH: &str = "sending too much at once";

/// A text frame in the making: its payload is written behind the room for its header.
#[derive(Debug)]
pub struct TextFrame {
    bytes: Vec<u8>,
}

impl TextFrame {
    /// Returns an empty frame with room for `payload` bytes.
    #[must_use]
    pub fn with_capacity(payload: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_MAX + payload);
        bytes.resize(HEADER_MAX, 0);
        Self { bytes }
    }

    /// Adds text as it is.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds the JSON form of a value.
    ///
    /// # Panics
    /// If the value has no JSON form, as a map with keys that are no text has none.
    pub fn push_json<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Self {
        serde_json::to_writer(&mut self.bytes, value)
            .expect("texts and numbers have a JSON form, and memory takes all that is written");
        self
    }

    /// Returns the finished frame.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length = self.bytes.len() - HEADER_MAX;
        let (header, size) = header(TEXT, length);
        let start = HEADER_MAX - size;
        self.bytes[start..HEADER_MAX].copy_from_slice(&header[..size]);
        Bytes::from(self.bytes).slice(start..)
    }
}

/// Returns a ping that browsers answer by themselves and never show to a page.
#[must_use]
pub const fn ping() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// Returns a close frame; without a code clients report 1005.
#[must_use]
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else {
        return Bytes::from_static(&[CLOSE, 0]);
    };
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(CONTROL_MAX - 2)];
    let (header, size) = header(CLOSE, 2 + reason.len());
    let mut bytes = header[..size].to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(reason);
    Bytes::from(bytes)
}

/// Returns whether this is a close frame, after which nothing may be sent.
#[must_use]
pub fn is_close(frame: &[u8]) -> bool {
    frame.first() == Some(&CLOSE)
}

/// Returns whether this answers a ping of the protocol.
#[must_use]
pub fn is_pong(frame: &[u8]) -> bool {
    frame.first() == Some(&PONG)
}

/// Returns the header of a whole, unmasked frame, and how many of its bytes count.
fn header(kind: u8, length: usize) -> ([u8; HEADER_MAX], usize) {
    let mut header = [0; HEADER_MAX];
    header[0] = kind;
    let size = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if length <= CONTROL_MAX => {
            header[1] = short;
            2
        }
        (_, Ok(medium)) => {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            HEADER_MAX
        }
    };
    (header, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Bytes {
        let mut frame = TextFrame::with_capacity(length);
        frame.push(&"x".repeat(length));
        frame.finish()
    }

    #[test]
    fn short_lengths_take_one_byte() {
        assert_eq!(text(0)[..], [0x81, 0]);
        assert_eq!(text(125)[..3], [0x81, 125, b'x']);
        assert_eq!(text(125).len(), 2 + 125);
    }

    #[test]
    fn medium_lengths_take_two_more() {
        assert_eq!(text(126)[..5], [0x81, 126, 0, 126, b'x']);
        assert_eq!(text(126).len(), 4 + 126);
        assert_eq!(text(65_535)[..5], [0x81, 126, 0xff, 0xff, b'x']);
        assert_eq!(text(65_535).len(), 4 + 65_535);
    }

    #[test]
    fn long_lengths_take_eight_more() {
        assert_eq!(text(65_536)[..11], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0, b'x']);
        assert_eq!(text(65_536).len(), 10 + 65_536);
    }

    #[test]
    fn text_and_json_stand_in_order() {
        let mut frame = TextFrame::with_capacity(0);

        frame.push("[").push_json("a\"b").push("]");

        assert_eq!(frame.finish()[2..], *br#"["a\"b"]"#);
    }

    #[test]
    fn a_close_frame_without_a_code_is_empty() {
        assert_eq!(close(None, "not said")[..], [0x88, 0]);
    }

    #[test]
    fn a_close_frame_has_its_code_and_reason() {
        assert_eq!(close(Some(RESTART), "bye")[..], [0x88, 5, 0x03, 0xf4, b'b', b'y', b'e']);
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let frame = close(Some(TRY_AGAIN), &"ä".repeat(100));

        assert_eq!(frame[1], 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn only_close_frames_are_the_last_word() {
        assert!(is_close(&close(None, "")));
        assert!(!is_close(&ping()));
        assert!(!is_close(&text(3)));
        assert!(!is_close(&[]));
    }
}
