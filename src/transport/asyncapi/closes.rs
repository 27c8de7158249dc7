//! Close codes, and error responses to upgrades, as extensions: AsyncAPI has no element for them.

use serde_json::Value as Json;
use serde_json::json;

use crate::transport::ws::encode;

/// Code, reason in the close frame, meaning.
pub(super) const CLOSES: [(Option<u16>, &str, &str); 9] = [
    (
        None,
        "",
        "The protocol says so: signing in failed or took too long, or there was no sign of life. \
         Programs see 1005.",
    ),
    (Some(encode::PROTOCOL_ERROR), "", "A broken frame."),
    (Some(encode::INVALID_TEXT), "", "Text that is not UTF-8."),
    (Some(encode::TOO_BIG), "", "A message over `WEBSOCKETS_FRAME_SIZE_MAX`."),
    (Some(encode::INTERNAL_ERROR), "", "The server has failed on this connection: connect again."),
    (Some(encode::RESTART), "restarting", "The server stops or restarts: connect again."),
    (
        Some(encode::TRY_AGAIN),
        encode::SENDS_SLOWLY,
        "The rest of a message did not come in time: connect again.",
    ),
    (
        Some(encode::TRY_AGAIN),
        encode::SENDS_MUCH,
        "The messages, requests and responses under way of the account or address take more memory than \
         its share of `ANSWERS_SIZE_MAX`: connect again, and send less at once.",
    ),
    (
        Some(encode::TRY_AGAIN),
        encode::READS_SLOWLY,
        "More than `WEBSOCKETS_OUTBOX_SIZE_MAX` waited to be read, or more than \
         `WEBSOCKETS_OUTBOXES_SIZE_MAX` of all sockets and most of it of this one: connect again.",
    ),
];

/// Status, meaning.
const REFUSALS: [(u16, &str); 5] = [
    (400, "The handshake is none (RFC 6455, section 4)."),
    (401, "The token in the address or the cookie is no good, or one is needed (`strict`)."),
    (
        403,
        "There are `WEBSOCKETS_REST_CONN_LIMIT` connections, or a cookie comes from a page of another origin.",
    ),
    (
        404,
        "It is no request for a socket, or there is none (`WEBSOCKETS_ENABLED`, `TOPICS_ENABLED`).",
    ),
    (503, "Too many came at once, or the server stops: try again after `Retry-After`."),
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
