//! Encodes frames from the server: the order of their keys, and the fields they omit.
//!
//! Items are written as the JSON they already are, without building a tree.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::domain::Error;
use crate::domain::items::{Counts, JsonText};
use crate::domain::subscriptions::Notification;
use crate::transport::error;
use crate::transport::error::codes;
use crate::transport::ws::directus::auth_state::Reason;
use crate::transport::ws::directus::backlog::Refused;
use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::frames::Frame;
use crate::transport::ws::directus::uid::Uid;
use crate::transport::ws::encode::TextFrame;

/// Capacity for the part of a frame around its items.
const AROUND: usize = 128;

/// Returns a ping, as the heartbeat sends it.
#[must_use]
pub fn ping() -> Bytes {
    begin(r#"{"type":"ping""#, 0).end()
}

/// Returns the answer to a ping.
#[must_use]
pub fn pong(uid: Option<&Uid>) -> Bytes {
    begin(r#"{"type":"pong""#, 0).end_with(uid)
}

/// Returns the response to a successful sign-in.
#[must_use]
pub fn signed_in(uid: Option<&Uid>, refresh_token: Option<&str>) -> Bytes {
    let mut frame = begin(r#"{"type":"auth","status":"ok""#, 0);
    frame.field("uid", uid).field("refresh_token", refresh_token);
    frame.end()
}

/// Returns the error frame for a failed or expired sign-in.
#[must_use]
pub fn not_signed_in(reason: Reason, uid: Option<&Uid>) -> Bytes {
    let (code, message, uid) = match reason {
        Reason::Handshake => (codes::AUTH_FAILED.name, "Authentication handshake failed.", None),
        Reason::Failed => (codes::AUTH_FAILED.name, "Authentication failed.", uid),
        Reason::Expired => (codes::TOKEN_EXPIRED.name, "Token expired.", None),
        Reason::TimedOut => (codes::AUTH_TIMEOUT.name, "Authentication timed out.", None),
    };
    refused("auth", code, message, uid)
}

/// Returns the response to an `items` frame that reads or writes items.
#[must_use]
pub fn items(data: &JsonText, counts: Option<Counts>, uid: Option<&Uid>) -> Bytes {
    let mut frame = begin(r#"{"type":"items","data":"#, data.get().len());
    frame.raw(data.get()).counts(counts);
    frame.end_with(uid)
}

/// Returns the response to an `items` frame that deletes: the key, or the list of keys.
#[must_use]
pub fn deleted<K: Serialize + ?Sized>(keys: &K, uid: Option<&Uid>) -> Bytes {
    let mut frame = begin(r#"{"type":"items""#, 0);
    frame.field("data", Some(keys));
    frame.end_with(uid)
}

/// Returns the response to an `unsubscribe` frame.
#[must_use]
pub fn unsubscribed(uid: Option<&Uid>) -> Bytes {
    begin(r#"{"type":"subscription","event":"unsubscribe""#, 0).end_with(uid)
}

/// Returns a typing notification. `names` is a JSON list.
#[must_use]
pub fn typing(names: &str, uid: Option<&str>) -> Bytes {
    let mut frame = begin(r#"{"type":"typing","data":"#, names.len());
    frame.raw(names);
    frame.end_with(uid)
}

/// Returns a notification of a subscription.
#[must_use]
pub fn notification(uid: Option<&str>, notification: &Notification<'_>) -> Bytes {
    let capacity = notification.data.map_or(0, |data| data.get().len());
    let mut frame = begin(r#"{"type":"subscription""#, capacity);
    frame.field("event", Some(notification.event));
    if let Some(data) = notification.data {
        frame.raw(r#","data":"#).raw(data.get());
    }
    frame.field("truncated", notification.truncated.then_some(&true));
    frame.counts(notification.counts);
    frame.field("uid", uid).field("cursor", notification.cursor);
    frame.field("recovered", notification.recovered.as_ref());
    frame.field("replayed", notification.replayed.then_some(&true));
    frame.end()
}

/// Returns the error frame of a running subscription. Its type is not `subscribe`, which would end
/// every subscription of the client.
#[must_use]
pub fn subscription_failed(uid: Option<&str>, error: &Error) -> Bytes {
    let mut frame = begin(r#"{"type":"subscription","event":"error","status":"error""#, 0);
    let (code, message) = words(error);
    frame.error(code, &message);
    frame.end_with(uid)
}

/// Returns the response to a malformed frame.
#[must_use]
pub fn invalid(invalid: &Invalid) -> Bytes {
    refused(invalid.area, codes::INVALID_PAYLOAD.name, &invalid.message, invalid.uid.as_ref())
}

/// Returns the response to a frame with an unknown or inaccessible collection.
#[must_use]
pub fn invalid_collection(area: &'static str, uid: Option<&Uid>) -> Bytes {
    let message = "The provided collection does not exists or is not accessible.";
    refused(area, codes::INVALID_COLLECTION.name, message, uid)
}

/// Returns the response to a frame that failed in the domain. Of several violations only the first
/// is reported. Storage failures are logged.
#[must_use]
pub fn failed(area: &'static str, error: &Error, uid: Option<&Uid>) -> Bytes {
    let (code, message) = words(error);
    refused(area, code, &message, uid)
}

/// Returns the response to a rate-limited frame, which was not handled.
#[must_use]
pub fn too_fast(frame: &Result<Frame, Refused>, wait: Duration) -> Bytes {
    let uid = match frame {
        Ok(frame) => frame.uid(),
        Err(Refused::Invalid(invalid)) => invalid.uid.as_ref(),
        Err(Refused::NoMemory(_)) => None,
    };
    let message = format!("Too many messages, retry after {}ms.", wait.as_millis().max(1));
    refused("server", codes::REQUESTS_EXCEEDED.name, &message, uid)
}

fn refused(area: &str, code: &str, message: &str, uid: Option<&Uid>) -> Bytes {
    let mut frame = begin("{", message.len());
    frame.raw(r#""type":""#).raw(area).raw(r#"","status":"error""#).error(code, message);
    frame.end_with(uid)
}

fn words(error: &Error) -> (&'static str, String) {
    error::wire(error).into_iter().next().map_or_else(
        || (codes::INTERNAL_SERVER_ERROR.name, "An unexpected error occurred.".to_owned()),
        |wire| (wire.code, wire.message),
    )
}

/// An unfinished response: an object that is not closed yet.
struct Answer(TextFrame);

fn begin(start: &str, capacity: usize) -> Answer {
    let mut frame = TextFrame::with_capacity(capacity + AROUND);
    frame.push(start);
    Answer(frame)
}

impl Answer {
    fn raw(&mut self, json: &str) -> &mut Self {
        self.0.push(json);
        self
    }

    /// Adds a field if there is a value. Names are constants and need no escapes.
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: Option<&T>) -> &mut Self {
        if let Some(value) = value {
            self.raw(",\"").raw(name).raw("\":");
            self.0.push_json(value);
        }
        self
    }

    fn counts(&mut self, counts: Option<Counts>) -> &mut Self {
        #[derive(Serialize)]
        struct Meta {
            #[serde(skip_serializing_if = "Option::is_none")]
            total_count: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            filter_count: Option<u64>,
        }
        let meta = counts
            .map(|Counts { total, filter }| Meta { total_count: total, filter_count: filter });
        self.field("meta", meta.as_ref())
    }

    fn error(&mut self, code: &str, message: &str) -> &mut Self {
        self.raw(r#","error":{"code":""#).raw(code).raw("\"");
        self.field("message", Some(message)).raw("}")
    }

    fn end_with<U: Serialize + ?Sized>(mut self, uid: Option<&U>) -> Bytes {
        self.field("uid", uid);
        self.end()
    }

    fn end(mut self) -> Bytes {
        self.raw("}");
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::domain::Violation;
    use crate::transport::asyncapi;

    use super::*;

    /// Returns the payload of a short frame.
    fn text(frame: &Bytes) -> &str {
        let start = if frame[1] < 126 { 2 } else { 4 };
        std::str::from_utf8(&frame[start..]).unwrap()
    }

    fn raw(json: &str) -> JsonText {
        JsonText::from(&serde_json::from_str::<serde_json::Value>(json).unwrap())
    }

    #[test]
    fn a_pong_echoes_the_uid() {
        assert_eq!(text(&ping()), r#"{"type":"ping"}"#);
        assert_eq!(text(&pong(None)), r#"{"type":"pong"}"#);
        assert_eq!(text(&pong(Some(&Uid::Number(0.into())))), r#"{"type":"pong","uid":0}"#);
    }

    #[test]
    fn the_keys_of_a_sign_in_response_are_in_order() {
        let uid = Uid::Text("abc".into());

        assert_eq!(
            text(&signed_in(Some(&uid), Some("pftp"))),
            r#"{"type":"auth","status":"ok","uid":"abc","refresh_token":"pftp"}"#
        );
        assert_eq!(text(&signed_in(None, None)), r#"{"type":"auth","status":"ok"}"#);
    }

    #[test]
    fn only_a_failure_on_an_open_connection_has_the_uid() {
        let uid = Uid::Text("p1".into());

        assert_eq!(
            text(&not_signed_in(Reason::Failed, Some(&uid))),
            "{\"type\":\"auth\",\"status\":\"error\",\"error\":{\"code\":\"AUTH_FAILED\",\
             \"message\":\"Authentication failed.\"},\"uid\":\"p1\"}"
        );
        assert_eq!(
            text(&not_signed_in(Reason::Handshake, Some(&uid))),
            "{\"type\":\"auth\",\"status\":\"error\",\"error\":{\"code\":\"AUTH_FAILED\",\
             \"message\":\"Authentication handshake failed.\"}}"
        );
        assert_eq!(
            text(&not_signed_in(Reason::Expired, None)),
            "{\"type\":\"auth\",\"status\":\"error\",\"error\":{\"code\":\"TOKEN_EXPIRED\",\
             \"message\":\"Token expired.\"}}"
        );
        assert_eq!(
            text(&not_signed_in(Reason::TimedOut, None)),
            "{\"type\":\"auth\",\"status\":\"error\",\"error\":{\"code\":\"AUTH_TIMEOUT\",\
             \"message\":\"Authentication timed out.\"}}"
        );
    }

    #[test]
    fn an_items_frame_has_data_counts_and_uid() {
        let data = raw(r#"[{"id":1}]"#);
        let counts = Counts { total: Some(17), filter: None };
        let uid = Uid::Number(9.into());

        assert_eq!(
            text(&items(&data, Some(counts), Some(&uid))),
            r#"{"type":"items","data":[{"id":1}],"meta":{"total_count":17},"uid":9}"#
        );
        assert_eq!(text(&items(&data, None, None)), r#"{"type":"items","data":[{"id":1}]}"#);
    }

    #[test]
    fn a_deletion_frame_has_the_deleted_keys() {
        let uid = Uid::Text("del".into());

        assert_eq!(text(&deleted(&3_i64, Some(&uid))), r#"{"type":"items","data":3,"uid":"del"}"#);
        assert_eq!(text(&deleted(&[4_i64, 5][..], None)), r#"{"type":"items","data":[4,5]}"#);
    }

    #[test]
    fn a_notification_has_event_data_counts_and_uid() {
        let data = raw(r#"[{"id":1}]"#);
        let all = Notification {
            event: "create",
            data: Some(&data),
            counts: Some(Counts { total: Some(2), filter: Some(1) }),
            cursor: None,
            truncated: false,
            recovered: None,
            replayed: false,
        };
        let missed = Notification { cursor: Some("AAA"), counts: None, replayed: true, ..all };

        assert_eq!(
            text(&notification(Some("a\"b"), &all)),
            "{\"type\":\"subscription\",\"event\":\"create\",\"data\":[{\"id\":1}],\
             \"meta\":{\"total_count\":2,\"filter_count\":1},\"uid\":\"a\\\"b\"}"
        );
        assert_eq!(
            text(&notification(Some("s"), &missed)),
            "{\"type\":\"subscription\",\"event\":\"create\",\"data\":[{\"id\":1}],\
             \"uid\":\"s\",\"cursor\":\"AAA\",\"replayed\":true}"
        );
        assert_eq!(
            text(&notification(None, &Notification::init(None, None))),
            r#"{"type":"subscription","event":"init"}"#
        );
        assert_eq!(
            text(&notification(Some("s"), &Notification::init(Some("AAA"), Some(false)))),
            "{\"type\":\"subscription\",\"event\":\"init\",\"uid\":\"s\",\"cursor\":\"AAA\",\
             \"recovered\":false}"
        );
    }

    #[test]
    fn a_subscription_error_has_the_type_subscription() {
        let frame = subscription_failed(Some("s"), &Error::InvalidQuery("no".into()));

        assert_eq!(
            text(&frame),
            "{\"type\":\"subscription\",\"event\":\"error\",\"status\":\"error\",\"error\":\
             {\"code\":\"INVALID_QUERY\",\"message\":\"Invalid query. no.\"},\"uid\":\"s\"}"
        );
    }

    #[test]
    fn the_fields_of_every_frame_are_documented() {
        let document = serde_json::from_str::<serde_json::Value>(&asyncapi::document()).unwrap();
        let (data, uid) = (raw(r#"[{"id":1}]"#), Some(&Uid::Text("u".into())));
        let counts = Some(Counts { total: Some(2), filter: Some(1) });
        let cursor = Some("AAA");
        let init = Notification {
            counts,
            data: Some(&data),
            truncated: true,
            ..Notification::init(cursor, Some(true))
        };
        let event = Notification {
            event: "update",
            truncated: false,
            recovered: None,
            replayed: true,
            ..init
        };
        for (name, frame) in [
            ("signedIn", signed_in(uid, Some("r"))),
            ("notSignedIn", not_signed_in(Reason::Failed, uid)),
            ("items", items(&data, counts, uid)),
            ("refused", invalid_collection("items", uid)),
            ("subscriptionInit", notification(Some("u"), &init)),
            ("subscriptionEvent", notification(Some("u"), &event)),
            (
                "subscriptionError",
                subscription_failed(Some("u"), &Error::InvalidQuery("no.".into())),
            ),
            ("subscriptionEnded", unsubscribed(uid)),
            ("typists", typing("[]", Some("u"))),
            ("pong", pong(uid)),
            ("heartbeat", ping()),
        ] {
            let frame: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(text(&frame)).unwrap();
            let payload = &document["components"]["messages"][name]["payload"];
            let documented = payload["properties"].as_object().unwrap().keys();

            assert_eq!(frame.keys().collect::<BTreeSet<_>>(), documented.collect(), "{name}");
        }
    }

    #[test]
    fn only_the_first_violation_is_reported() {
        let violation = |field: &str| Violation {
            field: field.to_owned(),
            kind: "required",
            details: Vec::new(),
        };
        let error = Error::FailedValidation(vec![violation("content"), violation("id")]);

        let frame = failed("items", &error, Some(&Uid::Number(1.into())));

        assert!(text(&frame).contains("FAILED_VALIDATION"));
        assert!(text(&frame).contains("content"));
        assert!(text(&frame).ends_with(r#","uid":1}"#));
    }

    #[test]
    fn errors_name_their_area() {
        let uid = Uid::Text("x".into());

        assert_eq!(
            text(&invalid_collection("subscribe", Some(&uid))),
            "{\"type\":\"subscribe\",\"status\":\"error\",\"error\":{\"code\":\
             \"INVALID_COLLECTION\",\"message\":\"The provided collection does not exists or is \
             not accessible.\"},\"uid\":\"x\"}"
        );
        let nonsense = Invalid { area: "server", message: "a \"b\"".to_owned(), uid: None };
        assert_eq!(
            text(&invalid(&nonsense)),
            "{\"type\":\"server\",\"status\":\"error\",\"error\":{\"code\":\"INVALID_PAYLOAD\",\
             \"message\":\"a \\\"b\\\"\"}}"
        );
    }
}
