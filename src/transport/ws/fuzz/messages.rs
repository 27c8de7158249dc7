//! Fuzzes the message parsers of both protocols, including queries.

use bolero::TypeGenerator;
use bolero::check;
use serde_json::{Map, Value as Json};

use crate::text::json;
use crate::text::json::Unfit;
use crate::transport::lone_surrogates;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::frames as directus;
use crate::transport::ws::fuzz::TEST_TIME;
use crate::transport::ws::topics::frames as topics;

/// Maximum nesting.
const DEPTH_MAX: usize = 32;

/// Tokens of messages: known words, punctuation and separators.
const WORDS: [&str; 64] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "1.0",
    "\"\"",
    "\"type\"",
    "\"auth\"",
    "\"items\"",
    "\"subscribe\"",
    "\"unsubscribe\"",
    "\"ping\"",
    "\"pong\"",
    "\"publish\"",
    "ping",
    "\"uid\"",
    "\"collection\"",
    "\"messages\"",
    "\"directus_users\"",
    "\"action\"",
    "\"create\"",
    "\"read\"",
    "\"update\"",
    "\"delete\"",
    "\"event\"",
    "\"item\"",
    "\"id\"",
    "\"ids\"",
    "\"data\"",
    "\"query\"",
    "\"fields\"",
    "\"filter\"",
    "\"_and\"",
    "\"_eq\"",
    "\"sort\"",
    "\"limit\"",
    "\"since\"",
    "\"recover\"",
    "\"idempotency_key\"",
    "\"access_token\"",
    "\"refresh_token\"",
    "\"email\"",
    "\"password\"",
    "\"otp\"",
    "\"topic\"",
    "\"chat\"",
    "\"session\"",
    "\"payload\"",
    "\"text\"",
    "\"__proto__\"",
    "\"constructor\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "18446744073709551616",
    " ",
];

/// Valid and invalid values of fields.
const VALUES: [&str; 16] = [
    "null",
    "true",
    "0",
    "-1.5",
    "\"\"",
    "\"a\"",
    "{}",
    "[]",
    "[1,\"b\"]",
    "{\"a\":null}",
    "\"messages\"",
    "\"create\"",
    "\"read\"",
    "\"chat\"",
    "{\"text\":\"a\"}",
    "\"0123456789abcdef\"",
];

/// A part of a text.
#[derive(Debug, Clone, TypeGenerator)]
enum Token {
    Word(u8),
    Bytes(Vec<u8>),
    Text(String),
    Deep(u8),
    /// A complete field, which makes some objects valid.
    Field(u8, u8),
    Type(u8),
}

impl Token {
    fn bytes(&self) -> Vec<u8> {
        let word = |index: u8| WORDS[usize::from(index) % WORDS.len()];
        let name = |index: u8| WORDS[15 + usize::from(index) % 46];
        match self {
            Self::Word(index) => word(*index).into(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Text(text) => Json::from(text.as_str()).to_string().into_bytes(),
            Self::Deep(depth) => b"[".repeat(usize::from(*depth)),
            Self::Field(key, value) => {
                let value = VALUES[usize::from(*value) % VALUES.len()];
                format!("{}:{value},", name(*key)).into_bytes()
            }
            Self::Type(kind) => format!("\"type\":{},", WORDS[16 + usize::from(kind % 7)]).into(),
        }
    }
}

/// Concatenates all tokens, or with `is_object` the fields among them as an object.
fn compose(tokens: &[Token], is_object: bool) -> Vec<u8> {
    let is_field = |token: &&Token| matches!(token, Token::Field(..) | Token::Type(_));
    let taken = tokens.iter().filter(|token| !is_object || is_field(token));
    let inner: Vec<u8> = taken.flat_map(Token::bytes).collect();
    if is_object { [b"{", &inner[..], b"\"x\":0}"].concat() } else { inner }
}

/// Returns the payload of a complete text frame, and checks its length.
fn payload(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0], 0x81, "a complete text frame");
    match frame[1] {
        126 => {
            let length = u16::from_be_bytes([frame[2], frame[3]]);
            assert_eq!(frame.len(), 4 + usize::from(length));
            &frame[4..]
        }
        127 => {
            let (length, payload) = frame[2..].split_first_chunk().unwrap();
            assert_eq!(payload.len() as u64, u64::from_be_bytes(*length));
            payload
        }
        length => {
            assert_eq!(frame.len(), 2 + usize::from(length));
            &frame[2..]
        }
    }
}

fn hold(text: &[u8]) {
    let json = lone_surrogates::from_slice::<Map<String, Json>>(text).ok();
    hold_directus(text, json.as_ref());
    hold_topics(text, json.as_ref());
}

fn hold_directus(text: &[u8], json: Option<&Map<String, Json>>) {
    let is_shallow = !matches!(json::check(text, DEPTH_MAX), Err(Unfit::Deep(_)));
    match directus::Frame::parse(text, DEPTH_MAX) {
        Ok(frame) => {
            let json = json.expect("frames are JSON objects");
            assert!(is_shallow);
            // Other frames have no response.
            if !matches!(frame, directus::Frame::Pong | directus::Frame::Other) {
                let uid = frame.uid();
                let pong: Json = serde_json::from_slice(payload(&answers::pong(uid))).unwrap();
                assert_eq!(pong.get("uid"), json.get("uid"), "the uid is echoed verbatim");
            }
        }
        Err(invalid) => {
            let answer: Json =
                serde_json::from_slice(payload(&answers::invalid(&invalid))).unwrap();
            assert_eq!(answer["status"], "error");
            assert!(answer["error"]["message"].is_string());
            // Only the `uid` is echoed, so the response is short.
            assert!(answer.to_string().len() < 4096, "{answer}");
        }
    }
}

fn hold_topics(text: &[u8], json: Option<&Map<String, Json>>) {
    match topics::Frame::parse(text, DEPTH_MAX) {
        None => {}
        Some(topics::Frame::Ping) => assert_eq!(text, b"ping"),
        Some(topics::Frame::Publish(said)) => {
            let json = json.expect("frames are JSON objects");
            assert_eq!(json["type"], "publish");
            assert_eq!(json["topic"], "chat");
            assert_eq!(json["payload"]["text"], said.as_str());
        }
        Some(_) => {
            let json = json.expect("frames are JSON objects");
            assert!(json["type"] == "subscribe" || json["type"] == "unsubscribe");
            assert!(json["topic"].is_string());
        }
    }
}

#[test]
fn messages_of_every_kind() {
    check!(name = "messages")
        .with_type::<(Vec<Token>, bool)>()
        .with_test_time(TEST_TIME)
        .for_each(|(tokens, is_object)| hold(&compose(tokens, *is_object)));
}

#[test]
fn texts_of_every_kind() {
    check!(name = "texts").with_test_time(TEST_TIME).for_each(hold);
}
