//! RFC 6455 by section, following the cases of the Autobahn suite: bytes that a client sends, and
//! the expected replies. Every case runs on both sockets, with its bytes in one piece, in the
//! segment of the upgrade request, and one by one.
//!
//! `cases` covers frames on an open connection, `utf8` valid and invalid text, `handshake` the
//! opening handshake.

mod cases;
mod handshake;
mod utf8;

use serde_json::Value as Json;
use serde_json::json;

use crate::support::masked;
use crate::support::{RawSocket, TestServer};

/// The largest message, small enough to test the limit.
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Longer cases are sent in pieces of this size instead of byte by byte.
const CHOPPED: usize = 1000;

/// A case: section of the RFC, description, bytes to send, and expected replies.
struct Case {
    section: &'static str,
    what: String,
    sent: Vec<u8>,
    replies: Vec<Reply>,
}

/// An expected reply. Unless it is a close, the connection stays usable.
#[derive(Debug)]
enum Reply {
    /// The message was understood: its name is returned at `/websocket`, and nothing at `/_ws`.
    Named(String),
    /// The message was complete but not JSON: an error at `/websocket`, ignored at `/_ws`.
    Nonsense,
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// A close frame with this code, if any, and the end of the connection.
    Close(Option<u16>),
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// First fragments without the FIN bit, and continuation frames without and with it.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

/// Returns a message with a name, which the reply at `/websocket` repeats.
fn named(name: &str) -> Vec<u8> {
    json!({"type": "ping", "uid": name}).to_string().into_bytes()
}

fn case(
    section: &'static str,
    what: &str,
    sent: impl IntoIterator<Item = Vec<u8>>,
    replies: impl IntoIterator<Item = Reply>,
) -> Case {
    let sent = sent.into_iter().collect::<Vec<_>>().concat();
    Case { section, what: what.to_owned(), sent, replies: replies.into_iter().collect() }
}

/// How the bytes of a case are sent.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    AtOnce,
    WithTheUpgrade,
    Chopped,
}

const DELIVERIES: [Delivery; 3] = [Delivery::AtOnce, Delivery::WithTheUpgrade, Delivery::Chopped];

/// Runs one case and returns its failure, if any.
async fn run(server: &TestServer, path: &str, case: &Case, delivery: Delivery) -> Option<String> {
    let mut socket = match delivery {
        Delivery::WithTheUpgrade => RawSocket::upgrade(server, path, &case.sent).await,
        Delivery::AtOnce | Delivery::Chopped => RawSocket::connect_to(server, path).await,
    };
    match delivery {
        Delivery::WithTheUpgrade => {}
        Delivery::AtOnce => socket.try_send(&case.sent).await,
        Delivery::Chopped => {
            let size = if case.sent.len() > CHOPPED { CHOPPED } else { 1 };
            for piece in case.sent.chunks(size) {
                socket.try_send(piece).await;
            }
        }
    }
    for reply in &case.replies {
        let (fits, frame) = match reply {
            Reply::Named(_) | Reply::Nonsense if path == "/_ws" => continue,
            Reply::Close(code) => {
                let frame = next(&mut socket, path).await;
                let end = socket.frame().await;
                (is_close(frame.as_ref(), *code) && end.is_none(), frame)
            }
            other => {
                let frame = next(&mut socket, path).await;
                (frame.as_ref().is_some_and(|(head, payload)| fits(other, *head, payload)), frame)
            }
        };
        if !fits {
            return Some(format!("expected {reply:?}, got {frame:?}"));
        }
    }
    if matches!(case.replies.last(), Some(Reply::Close(_))) {
        return None;
    }
    // No other frame arrived, and the connection still works.
    socket.try_send(&masked(PING, b"still there?")).await;
    let frame = next(&mut socket, path).await;
    (frame != Some((PONG, b"still there?".to_vec())))
        .then(|| format!("expected an open connection, got {frame:?}"))
}

/// Returns the next frame. Skips topic states at `/_ws`, which are sent unasked.
async fn next(socket: &mut RawSocket, path: &str) -> Option<(u8, Vec<u8>)> {
    loop {
        let frame = socket.frame().await?;
        if path != "/_ws" || frame.0 != TEXT {
            return Some(frame);
        }
    }
}

fn fits(reply: &Reply, head: u8, payload: &[u8]) -> bool {
    let json = || serde_json::from_slice::<Json>(payload).unwrap_or_default();
    match reply {
        Reply::Named(name) => head == TEXT && json() == json!({"type": "pong", "uid": name}),
        Reply::Nonsense => head == TEXT && json()["error"]["code"] == "INVALID_PAYLOAD",
        Reply::Pong(expected) => head == PONG && payload == expected,
        Reply::Close(_) => false,
    }
}

fn is_close(frame: Option<&(u8, Vec<u8>)>, code: Option<u16>) -> bool {
    frame.is_some_and(|(head, payload)| {
        let said = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        *head == CLOSE && said == code
    })
}

/// Runs all cases on both sockets and in every delivery. A connection beside them must stay
/// unaffected by all cases.
async fn hold(cases: Vec<Case>) {
    let server = TestServer::with(|config| {
        config.websockets.frame_bytes_max = MESSAGE_BYTES_MAX;
        // All connections come from one address, without pauses.
        config.websockets.upgrades_per_second = 100_000;
        config.server.connections_per_address_max = None;
    })
    .await;
    let mut bystander = RawSocket::connect(&server).await;
    let mut wrong = Vec::new();
    for case in &cases {
        for path in ["/websocket", "/_ws"] {
            for delivery in DELIVERIES {
                if let Some(fault) = run(&server, path, case, delivery).await {
                    let Case { section, what, .. } = case;
                    wrong.push(format!("{section} {what}, {path}, {delivery:?}: {fault}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {} cases: {wrong:#?}", cases.len());
    bystander.send(&masked(PING, b"")).await;
    assert_eq!(bystander.frame().await, Some((PONG, Vec::new())));
    server.stop().await;
}
