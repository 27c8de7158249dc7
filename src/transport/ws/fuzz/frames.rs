//! Fuzzes the frame parser: from the bytes of a connection to messages and automatic responses.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bolero::TypeGenerator;
use bolero::check;
use bolero::generator::produce;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

use crate::transport::ws::fuzz::TEST_TIME;
use crate::transport::ws::fuzz::connected;
use crate::transport::ws::fuzz::reference;
use crate::transport::ws::socket::SocketEvent;
use crate::transport::ws::writer_pool::WriterPool;

/// The longest message: short, so that the limit is met often.
const SIZE_MAX: usize = 300;
/// Maximum number of frames per run.
const PIECES_MAX: usize = 16;

/// A frame from a client, valid in most cases.
#[derive(Debug, Clone, TypeGenerator)]
struct Piece {
    kind: u8,
    is_last: bool,
    mask: [u8; 4],
    payload: Payload,
    oddity: u8,
    odd: [u8; 8],
}

#[derive(Debug, Clone, TypeGenerator)]
enum Payload {
    Empty,
    Bytes(Vec<u8>),
    Text(Vec<char>),
    /// Text that may be cut within a character.
    Cut(Vec<char>, u8),
    Long(u8, u8),
    Close(u16, Vec<char>),
    UsualClose(u8),
}

impl Payload {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Text(letters) => letters.iter().collect::<String>().into_bytes(),
            Self::Cut(letters, off) => {
                let mut bytes = letters.iter().collect::<String>().into_bytes();
                bytes.truncate(bytes.len().saturating_sub(usize::from(off % 4)));
                bytes
            }
            Self::Long(byte, length) => vec![byte & 0x7f; 2 * usize::from(*length)],
            Self::Close(code, reason) => {
                let reason: String = reason.iter().collect();
                [&code.to_be_bytes(), reason.as_bytes()].concat()
            }
            Self::UsualClose(code) => (1000 + u16::from(code % 16)).to_be_bytes().to_vec(),
        }
    }
}

impl Piece {
    /// Returns the bytes of the frame. `open` tells whether a message is incomplete, which most
    /// frames then continue.
    fn bytes(&self, open: &mut bool) -> Vec<u8> {
        let opcode = match self.kind {
            0..176 if *open => 0,
            0..128 => 1,
            128..176 => 2,
            176..224 => 9,
            224..240 => 10,
            240..248 => 8,
            // Out of order.
            248.. => u8::from(*open),
        };
        if opcode < 8 {
            *open = !self.is_last;
        }
        let mut head = opcode | if self.is_last || opcode >= 8 { 0x80 } else { 0 };
        let mut payload = self.payload.bytes();
        if opcode >= 8 {
            payload.truncate(125);
        } else if self.oddity >= 64 {
            // Short text, so that more frames follow it.
            let text = String::from_utf8_lossy(&payload);
            payload = text[..text.floor_char_boundary(SIZE_MAX / 4)].into();
        }
        let mut length = payload.len() as u64;
        let (mut form, mut mask_bit) = (0, 0x80);
        match self.oddity {
            0..4 => head ^= self.odd[0],
            4..6 => mask_bit = 0,
            6..9 => length = u64::from_be_bytes(self.odd) >> (self.odd[7] % 64),
            12..24 => form = 2,
            24..36 => form = 8,
            36..38 => return self.odd.to_vec(),
            _ => {}
        }
        let mut frame = vec![head];
        match u8::try_from(length) {
            Ok(short @ ..126) if form == 0 => frame.push(mask_bit | short),
            _ => match u16::try_from(length) {
                Ok(medium) if form < 8 => {
                    frame.push(mask_bit | 0x7e);
                    frame.extend(medium.to_be_bytes());
                }
                _ => {
                    frame.push(mask_bit | 0x7f);
                    frame.extend(length.to_be_bytes());
                }
            },
        }
        if mask_bit == 0 {
            frame.extend(payload);
        } else {
            frame.extend(self.mask);
            frame.extend(payload.iter().zip(self.mask.iter().cycle()).map(|(a, b)| a ^ b));
        }
        frame
    }
}

/// The messages received and the bytes sent by a connection.
#[derive(Debug)]
struct Talk {
    messages: Vec<Bytes>,
    sent: Vec<u8>,
}

/// Sends these bytes to a connection in chunks of a given size, and closes the sending side.
async fn talk(pool: &WriterPool, bytes: &[u8], piece: usize) -> Talk {
    let tasks = TaskTracker::new();
    let (mut near, mut socket) = connected(SIZE_MAX, pool, &tasks).await;
    let mut messages = Vec::new();
    let writing = async {
        for bytes in bytes.chunks(piece) {
            near.write_all(bytes).await.unwrap();
            tokio::task::yield_now().await;
        }
        near.shutdown().await.unwrap();
    };
    let reading = async {
        loop {
            match socket.next(true).await {
                SocketEvent::Frame(message) => messages.push(message),
                SocketEvent::Activity | SocketEvent::Pong => {}
                SocketEvent::Closed => break,
            }
        }
        socket.finish().await;
    };
    tokio::join!(writing, reading);
    tasks.close();
    tasks.wait().await;
    let mut sent = Vec::new();
    near.read_to_end(&mut sent).await.unwrap();
    Talk { messages, sent }
}

/// Splits bytes from a server into frames, which are short, complete, and unmasked.
fn frames(mut sent: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some(([head, length], rest)) = sent.split_first_chunk() {
        assert!(*length <= 125, "automatic responses are short control frames");
        let (payload, rest) = rest.split_at(usize::from(*length));
        frames.push((*head, payload));
        sent = rest;
    }
    assert!(sent.is_empty(), "a frame is incomplete");
    frames
}

/// Compares the result of a connection with the reference.
fn hold(service: &Service, bytes: &[u8], piece: usize) {
    let (runtime, pool) = &**service;
    let expected = reference::read(bytes, SIZE_MAX);
    let talk = runtime.block_on(talk(pool, bytes, piece));

    assert_eq!(talk.messages, expected.messages);
    let mut frames = frames(&talk.sent);
    let (head, payload) = frames.pop().expect("at least a close frame");
    assert_eq!(head, 0x88, "the last frame is a close frame");
    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
    assert!(expected.ends.contains(&code), "{code:?} is none of {:?}", expected.ends);
    assert!(std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok());
    let pongs: Vec<(u8, &[u8])> = expected.pongs.iter().map(|pong| (0x8a, &pong[..])).collect();
    assert_eq!(frames.last(), pongs.last());
    // Of several unanswered pings, only the latest needs an answer.
    let mut owed = pongs.iter();
    assert!(frames.iter().all(|frame| owed.any(|pong| pong == frame)), "{frames:?} of {pongs:?}");
}

/// A runtime, and a pool that writes its sockets.
type Service = AssertUnwindSafe<(Runtime, Arc<WriterPool>)>;

fn service() -> Service {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(async { WriterPool::start(1).unwrap() });
    AssertUnwindSafe((runtime, pool))
}

#[test]
fn frames_of_every_kind() {
    let service = service();
    check!(name = "frames")
        .with_generator((produce::<Vec<Piece>>().with().len(..PIECES_MAX), produce::<u8>()))
        .with_test_time(TEST_TIME)
        .for_each(|(pieces, size)| {
            let mut open = false;
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes(&mut open)).collect();
            hold(&service, &bytes, usize::from(*size).max(1));
        });
}

#[test]
fn bytes_of_every_kind() {
    let service = service();
    check!(name = "bytes").with_test_time(TEST_TIME).for_each(|bytes| {
        hold(&service, bytes, usize::MAX);
        hold(&service, bytes, 1);
    });
}
