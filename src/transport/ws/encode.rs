//! Encodes frames from the server: complete, unmasked, header included.
//!
//! A frame is encoded once, into one allocation, which all of its recipients share. Decoding is
//! left to tungstenite.

use std::io::Write;

use bytes::Bytes;
use serde::Serialize;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest header: two bytes, and eight for the length.
const HEADER_MAX: usize = 10;
/// Maximum payload of a control frame.
const CONTROL_MAX: usize = 125;

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Close code: the client violated the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Close code: a text is not valid UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// Close code: a message exceeds the maximum size.
pub const TOO_BIG: u16 = 1009;
/// Close code: the service has failed.
pub const INTERNAL_ERROR: u16 = 1011;
/// Close code: the service restarts.
pub const RESTART: u16 = 1012;
/// Close code: the client may try again later.
pub const TRY_AGAIN: u16 = 1013;

/// Reason with [`TRY_AGAIN`]: the client reads its frames too slowly.
pub const READS_SLOWLY: &str = "reading too slowly";
/// Reason with [`TRY_AGAIN`]: a message did not arrive in time.
pub const SENDS_SLOWLY: &str = "sending too slowly";
/// Reason with [`TRY_AGAIN`]: the messages of the account or address take too much memory.
pub const SENDS_MUCH: &str = "sending too much at once";

/// An unfinished text frame. The payload is written behind space reserved for the header.
#[derive(Debug)]
pub struct TextFrame {
    bytes: Vec<u8>,
}

impl TextFrame {
    /// Creates an empty frame with capacity for `payload` bytes.
    #[must_use]
    pub fn with_capacity(payload: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_MAX + payload);
        bytes.resize(HEADER_MAX, 0);
        Self { bytes }
    }

    /// Appends text verbatim.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a value as JSON.
    ///
    /// # Panics
    /// If the value cannot be serialized, such as a map with keys that are not text.
    pub fn push_json<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Self {
        serde_json::to_writer(&mut self.bytes, value)
            .expect("texts and numbers can be serialized, and writes to memory do not fail");
        self
    }

    /// Returns the finished frame.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length = self.bytes.len() - HEADER_MAX;
        let header = header(OpCode::Data(Data::Text));
        let start = HEADER_MAX - header.len(length as u64);
        write_header(&header, length, &mut &mut self.bytes[start..HEADER_MAX]);
        Bytes::from(self.bytes).slice(start..)
    }
}

/// Returns a ping. Browsers answer it on their own and hide it from the page.
#[must_use]
pub const fn ping() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// Returns a close frame. Without a code, clients report 1005.
#[must_use]
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else {
        return Bytes::from_static(&[CLOSE, 0]);
    };
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(CONTROL_MAX - 2)];
    let mut bytes = Vec::with_capacity(HEADER_MAX + CONTROL_MAX);
    write_header(&header(OpCode::Control(Control::Close)), 2 + reason.len(), &mut bytes);
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(reason);
    Bytes::from(bytes)
}

/// Returns whether a frame is a close frame. No frame may be sent after it.
#[must_use]
pub fn is_close(frame: &[u8]) -> bool {
    frame.first() == Some(&CLOSE)
}

/// Returns whether a frame is a pong.
#[must_use]
pub fn is_pong(frame: &[u8]) -> bool {
    frame.first() == Some(&PONG)
}

/// Returns the header of a complete, unmasked frame.
fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

fn write_header(header: &FrameHeader, length: usize, output: &mut impl Write) {
    header.format(length as u64, output).expect("there is memory for the header");
}

#[cfg(test)]
mod tests {
    use crate::transport::asyncapi;

    use super::*;

    fn text(length: usize) -> Bytes {
        let mut frame = TextFrame::with_capacity(length);
        frame.push(&"x".repeat(length));
        frame.finish()
    }

    #[test]
    fn short_frames_have_a_7_bit_length() {
        assert_eq!(text(0)[..], [0x81, 0]);
        assert_eq!(text(125)[..3], [0x81, 125, b'x']);
        assert_eq!(text(125).len(), 2 + 125);
    }

    #[test]
    fn medium_frames_have_a_16_bit_length() {
        assert_eq!(text(126)[..5], [0x81, 126, 0, 126, b'x']);
        assert_eq!(text(126).len(), 4 + 126);
        assert_eq!(text(65_535)[..5], [0x81, 126, 0xff, 0xff, b'x']);
        assert_eq!(text(65_535).len(), 4 + 65_535);
    }

    #[test]
    fn long_frames_have_a_64_bit_length() {
        assert_eq!(text(65_536)[..11], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0, b'x']);
        assert_eq!(text(65_536).len(), 10 + 65_536);
    }

    #[test]
    fn text_and_json_keep_their_order() {
        let mut frame = TextFrame::with_capacity(0);

        frame.push("[").push_json("a\"b").push("]");

        assert_eq!(frame.finish()[2..], *br#"["a\"b"]"#);
    }

    #[test]
    fn a_close_frame_without_a_code_is_empty() {
        assert_eq!(close(None, "not said")[..], [0x88, 0]);
    }

    #[test]
    fn every_close_code_is_documented() {
        let document = serde_json::from_str::<serde_json::Value>(&asyncapi::document()).unwrap();
        let closes = [
            (None, ""),
            (Some(PROTOCOL_ERROR), ""),
            (Some(INVALID_TEXT), ""),
            (Some(TOO_BIG), ""),
            (Some(INTERNAL_ERROR), ""),
            (Some(RESTART), "restarting"),
            (Some(TRY_AGAIN), SENDS_SLOWLY),
            (Some(TRY_AGAIN), SENDS_MUCH),
            (Some(TRY_AGAIN), READS_SLOWLY),
        ];

        for (name, channel) in document["channels"].as_object().unwrap() {
            let documented = channel["x-close-codes"].as_array().unwrap();
            assert_eq!(documented.len(), closes.len(), "{name}");
            for (close, (code, reason)) in documented.iter().zip(closes) {
                assert_eq!((&close["code"], &close["reason"]), (&code.into(), &reason.into()));
            }
        }
    }

    #[test]
    fn a_close_frame_has_its_code_and_reason() {
        assert_eq!(close(Some(RESTART), "bye")[..], [0x88, 5, 0x03, 0xf4, b'b', b'y', b'e']);
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character_boundary() {
        let frame = close(Some(TRY_AGAIN), &"ä".repeat(100));

        assert_eq!(frame[1], 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn only_close_frames_are_recognized_as_such() {
        assert!(is_close(&close(None, "")));
        assert!(!is_close(&ping()));
        assert!(!is_close(&text(3)));
        assert!(!is_close(&[]));
    }
}
