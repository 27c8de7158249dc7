//! Close codes, and error responses to upgrades, as extensions: AsyncAPI has no element for them.

use serde_json::Value as Json;
use serde_json::json;

use crate::transport::ws::encode;

/// Code, reason in the close frame, meaning.
pub(super) const CLOSES: [(Option<u16>, &str, &str); 9] = [
    (
        None,
        "",
        "A close frame without a code: the sign-in failed or timed out, or the connection missed a \
         heartbeat. WebSocket APIs report 1005.",
    ),
    (Some(encode::PROTOCOL_ERROR), "", "The client sent an invalid frame."),
    (Some(encode::INVALID_TEXT), "", "A text message is not valid UTF-8."),
    (Some(encode::TOO_BIG), "", "A message exceeds `WEBSOCKETS_FRAME_SIZE_MAX`."),
    (Some(encode::INTERNAL_ERROR), "", "An internal error occurred on this connection: reconnect."),
    (Some(encode::RESTART), "restarting", "The server stops or restarts: reconnect."),
    (
        Some(encode::TRY_AGAIN),
        encode::SENDS_SLOWLY,
        "The rest of a message did not arrive in time: reconnect.",
    ),
    (
        Some(encode::TRY_AGAIN),
        encode::SENDS_MUCH,
        "The pending messages, requests and responses of the account or address use more memory \
         than its share of `ANSWERS_SIZE_MAX`: reconnect, and send less at once.",
    ),
    (
        Some(encode::TRY_AGAIN),
        encode::READS_SLOWLY,
        "The unread data of this connection exceeds `WEBSOCKETS_OUTBOX_SIZE_MAX`, or that of all \
         connections exceeds `WEBSOCKETS_OUTBOXES_SIZE_MAX` and this one has the most: reconnect.",
    ),
];

/// Status, meaning.
const REFUSALS: [(u16, &str); 5] = [
    (400, "The handshake is invalid (RFC 6455, section 4)."),
    (401, "The token in the URL or the cookie is invalid, or a token is required (`strict`)."),
    (
        403,
        "The connection limit `WEBSOCKETS_REST_CONN_LIMIT` is reached, or a page of another origin \
         sent a cookie.",
    ),
    (
        404,
        "The request is not a WebSocket upgrade, or the endpoint is disabled \
         (`WEBSOCKETS_ENABLED`, `TOPICS_ENABLED`).",
    ),
    (503, "Too many connections arrived at once, or the server stops: see `Retry-After`."),
];

/// Returns the close codes.
pub(super) fn closes() -> Json {
    CLOSES
        .iter()
        .map(|(code, reason, meaning)| json!({"code": code, "reason": reason, "meaning": meaning}))
        .collect()
}

/// Returns the error statuses.
pub(super) fn refusals() -> Json {
    REFUSALS.iter().map(|(status, meaning)| json!({"status": status, "meaning": meaning})).collect()
}
