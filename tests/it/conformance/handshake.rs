//! Opening handshakes: accepted and refused requests (section 4.2).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::TestServer;
use crate::support::soon;

/// The lines of a valid request: the request line and the headers.
const GOOD: [&str; 6] = [
    "GET PATH HTTP/1.1",
    "Host: chat.example",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// Returns the valid request with one line replaced, or removed if `other` is empty.
fn with(line: usize, other: &str) -> Vec<String> {
    let mut lines: Vec<String> = GOOD.map(str::to_owned).into();
    other.clone_into(&mut lines[line]);
    lines.retain(|line| !line.is_empty());
    lines
}

/// Returns the valid request with an additional line.
fn and(line: &str) -> Vec<String> {
    GOOD.into_iter().chain([line]).map(str::to_owned).collect()
}

/// Sends a request in pieces of `piece` bytes, and returns the head of the response in lower case.
async fn answer(server: &TestServer, path: &str, lines: &[String], piece: usize) -> String {
    let mut stream = soon(TcpStream::connect(server.address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("{}\r\n\r\n", lines.join("\r\n")).replace("PATH", path);
    for bytes in request.as_bytes().chunks(piece) {
        soon(stream.write_all(bytes)).await.unwrap();
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test]
async fn section_4_2_1_opening_handshake() {
    let server = TestServer::start().await;
    let mut wrong = Vec::new();
    for (section, what, lines, status) in [
        ("4.2.1", "a good request", and(""), 101),
        ("4.2.1 (1)", "another method", with(0, "POST PATH HTTP/1.1"), 404),
        ("4.2.1 (1)", "HTTP/1.0", with(0, "GET PATH HTTP/1.0"), 400),
        ("4.2.1 (2)", "no host", with(1, ""), 400),
        ("4.2.1 (3)", "no upgrade", with(2, ""), 404),
        ("4.2.1 (3)", "an upgrade to something else", with(2, "Upgrade: h2c"), 404),
        ("4.2.1 (3)", "one of several", with(2, "Upgrade: h2c, WebSocket"), 101),
        ("4.2.1 (4)", "no connection", with(3, ""), 400),
        ("4.2.1 (4)", "a connection that stays", with(3, "Connection: keep-alive"), 400),
        ("4.2.1 (4)", "one word of several", with(3, "connection: keep-alive, upgrade"), 101),
        ("4.2.1 (5)", "no key", with(4, ""), 400),
        ("4.2.1 (5)", "an empty key", with(4, "Sec-WebSocket-Key:"), 400),
        ("4.2.1 (5)", "a key of 15 bytes", with(4, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400),
        ("4.2.1 (5)", "no base64", with(4, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400),
        ("4.2.1 (5)", "two keys", and("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="), 400),
        ("4.4", "no version", with(5, ""), 426),
        ("4.4", "an old version", with(5, "Sec-WebSocket-Version: 8"), 426),
        ("4.4", "a future version", with(5, "Sec-WebSocket-Version: 14"), 426),
        ("4.4", "a version in words", with(5, "Sec-WebSocket-Version: thirteen"), 426),
        ("4.2.1 (7)", "an origin", and("Origin: https://page.example"), 101),
        ("4.2.1 (8)", "a subprotocol", and("Sec-WebSocket-Protocol: chat, other"), 101),
        ("9.1", "extensions", and("Sec-WebSocket-Extensions: permessage-deflate"), 101),
    ] {
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        for path in ["/websocket", "/_ws"] {
            for piece in [1, usize::MAX] {
                let head = answer(&server, path, &lines, piece).await;
                let fits = head.split_whitespace().nth(1) == Some(&status.to_string())
                    && (status != 426 || head.contains("\r\nsec-websocket-version: 13\r\n"))
                    // The sample key of section 1.3. No extension is accepted: there is no support
                    // for any of them.
                    && (status != 101
                        || head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
                    && !head.contains("sec-websocket-extensions");
                if !fits {
                    wrong.push(format!("{section} {what}, {path}: expected {status}, got {head}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}
