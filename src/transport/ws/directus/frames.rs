//! Frames from clients: parses text into typed frames, or returns the reason for a rejection.
//!
//! Validates shapes only. Meaning and permissions are checked elsewhere.

use serde_json::Value as Json;

use crate::domain::realtime::Resume;
use crate::model::EventAction;
use crate::transport::ws::directus::auth::Auth;
use crate::transport::ws::directus::fields::Fields;
use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::fields::is_key;
use crate::transport::ws::directus::uid::Uid;

/// Maximum length of a `recover` name in bytes, and its description in errors.
const RECOVER_MAX: usize = 255;
const RECOVER_FORM: &str = "text of 1 to 255 bytes";

/// A frame of a known type and shape.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// `auth`.
    Auth(Auth, Option<Uid>),
    /// `items`.
    Items(Box<Items>),
    /// `subscribe`.
    Subscribe(Box<Subscribe>),
    /// `unsubscribe`: ends one subscription, or all of them without a `uid`.
    Unsubscribe(Option<Uid>),
    /// `typing`.
    Typing(Typing, Option<Uid>),
    /// `ping`.
    Ping(Option<Uid>),
    /// `pong`: acknowledges all frames sent before the ping.
    Pong,
    /// An unknown type, which is ignored.
    Other,
}

/// The action of a `typing` frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// Subscribes to typing notifications.
    Subscribe,
    /// Ends that subscription.
    Unsubscribe,
    /// Marks the caller as typing.
    Start,
    /// Clears that mark.
    Stop,
}

/// An `items` frame.
#[derive(Debug, PartialEq)]
pub struct Items {
    /// The action.
    pub action: ItemsAction,
    /// The name of the collection.
    pub collection: String,
    /// The key of one item, neither empty nor 0.
    pub id: Option<Json>,
    /// The keys of several items.
    pub ids: Option<Vec<Json>>,
    /// The values, or null.
    pub data: Json,
    /// The query, an object.
    pub query: Option<Json>,
    /// The idempotency key of a create; ignored for other actions.
    pub idempotency_key: Option<String>,
    /// The client's identifier of the request.
    pub uid: Option<Uid>,
}

/// The action of an `items` frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemsAction {
    /// Creates items.
    Create,
    /// Reads items.
    Read,
    /// Updates items.
    Update,
    /// Deletes items.
    Delete,
}

/// A `subscribe` frame.
#[derive(Debug, PartialEq)]
pub struct Subscribe {
    /// The name of the collection.
    pub collection: String,
    /// The event to subscribe to; `None` for all.
    pub event: Option<EventAction>,
    /// The key of a single item.
    pub item: Option<Json>,
    /// The query, an object or null.
    pub query: Json,
    /// The position to resume from.
    pub resume: Resume,
    /// The client's identifier of the subscription.
    pub uid: Option<Uid>,
}

impl Frame {
    /// Parses a frame. `depth_max` limits the nesting of its JSON.
    ///
    /// # Errors
    /// [`Invalid`], with a message for the client.
    pub fn parse(text: &[u8], depth_max: usize) -> Result<Self, Invalid> {
        let mut fields = Fields::parse(text, depth_max)?;
        let kind = fields.require_text("type")?;
        Ok(match kind.as_str() {
            "auth" => Self::Auth(Auth::read(&mut fields), fields.uid),
            "items" => Self::Items(Box::new(Items::read(fields)?)),
            "subscribe" => Self::Subscribe(Box::new(Subscribe::read(fields)?)),
            "unsubscribe" => Self::Unsubscribe(fields.uid),
            "typing" => {
                let typing = Typing::read(&mut fields)?;
                Self::Typing(typing, fields.uid)
            }
            "ping" => Self::Ping(fields.uid),
            "pong" => Self::Pong,
            _ => Self::Other,
        })
    }

    /// Returns the client's identifier of the request or subscription.
    #[must_use]
    pub const fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Items(items) => items.uid.as_ref(),
            Self::Subscribe(subscribe) => subscribe.uid.as_ref(),
            Self::Auth(_, uid)
            | Self::Unsubscribe(uid)
            | Self::Typing(_, uid)
            | Self::Ping(uid) => uid.as_ref(),
            Self::Pong | Self::Other => None,
        }
    }

    /// Returns whether the frame creates items.
    #[must_use]
    pub const fn is_create(&self) -> bool {
        match self {
            Self::Items(items) => matches!(items.action, ItemsAction::Create),
            _ => false,
        }
    }

    /// Returns the number of items listed to create, update or delete; 1 if the frame lists none.
    #[must_use]
    pub fn changes(&self) -> usize {
        let Self::Items(items) = self else { return 1 };
        let named = match items.action {
            ItemsAction::Read => None,
            ItemsAction::Create => items.data.as_array().map(Vec::len),
            ItemsAction::Update | ItemsAction::Delete => match (&items.id, &items.ids) {
                (Some(_), _) => None,
                (None, Some(ids)) => Some(ids.len()),
                (None, None) => items.data.as_array().map(Vec::len),
            },
        };
        named.unwrap_or(1).max(1)
    }

    /// Returns whether the frame changes nothing. It is pointless once the client is gone.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        match self {
            Self::Items(items) => matches!(items.action, ItemsAction::Read),
            Self::Subscribe(_) => true,
            _ => false,
        }
    }
}

impl Typing {
    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        fields.area = "typing";
        let action = fields.take("action").unwrap_or_default();
        match action.as_str() {
            None if action.is_null() => Ok(Self::Start),
            Some("start") => Ok(Self::Start),
            Some("stop") => Ok(Self::Stop),
            Some("subscribe") => Ok(Self::Subscribe),
            Some("unsubscribe") => Ok(Self::Unsubscribe),
            _ => {
                let known = "one of 'start', 'stop', 'subscribe', 'unsubscribe'";
                Err(fields.invalid(known, Some(&action), "action"))
            }
        }
    }
}

impl Items {
    fn read(mut fields: Fields) -> Result<Self, Invalid> {
        fields.area = "items";
        let collection = fields.require_text("collection")?;
        let action = match fields.require_text("action")?.as_str() {
            "create" => ItemsAction::Create,
            "read" => ItemsAction::Read,
            "update" => ItemsAction::Update,
            "delete" => ItemsAction::Delete,
            other => {
                let known = "one of 'create', 'read', 'update', 'delete'";
                return Err(fields.invalid(known, Some(&Json::from(other)), "action"));
            }
        };
        let id = fields.key("id")?.filter(|id| !is_falsy(id));
        let ids = match fields.take("ids") {
            None | Some(Json::Null) => None,
            Some(Json::Array(ids)) => match ids.iter().find(|id| !is_key(id)) {
                Some(odd) => return Err(fields.invalid("strings or numbers", Some(odd), "ids")),
                None => Some(ids),
            },
            Some(other) => return Err(fields.invalid("array", Some(&other), "ids")),
        };
        let data = fields.take("data").unwrap_or_default();
        let query = fields.query()?;
        let idempotency_key = fields.text("idempotency_key")?;
        Ok(Self { action, collection, id, ids, data, query, idempotency_key, uid: fields.uid })
    }
}

impl Subscribe {
    fn read(mut fields: Fields) -> Result<Self, Invalid> {
        fields.area = "subscribe";
        let collection = fields.require_text("collection")?;
        let event = match fields.take("event") {
            None | Some(Json::Null) => None,
            Some(other) => {
                let event = other.as_str().and_then(EventAction::find);
                let known = "one of 'create', 'update', 'delete'";
                Some(event.ok_or_else(|| fields.invalid(known, Some(&other), "event"))?)
            }
        };
        let item = fields.key("item")?;
        let query = fields.query()?.unwrap_or_default();
        let recover = fields.text("recover")?;
        if recover.as_ref().is_some_and(|name| name.is_empty() || name.len() > RECOVER_MAX) {
            return Err(fields.invalid(RECOVER_FORM, None, "recover"));
        }
        let resume = Resume::new(recover, fields.text("since")?);
        Ok(Self { collection, event, item, query, resume, uid: fields.uid })
    }
}

/// Returns whether a key is falsy in JavaScript.
fn is_falsy(key: &Json) -> bool {
    match key {
        Json::String(text) => text.is_empty(),
        other => other.as_f64() == Some(0.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Frame, Invalid> {
        Frame::parse(text.as_bytes(), 32)
    }

    fn refusal(text: &str) -> (&'static str, String) {
        let invalid = parse(text).unwrap_err();
        (invalid.area, invalid.message)
    }

    fn items(text: &str) -> Items {
        match parse(text) {
            Ok(Frame::Items(items)) => *items,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn invalid_frames_are_rejected_with_area_and_reason() {
        let server = |message: &str| ("server", message.to_owned());
        let items = |message: &str| ("items", message.to_owned());
        let subscribe = |message: &str| ("subscribe", message.to_owned());
        let actions = "'create', 'read', 'update', 'delete'";
        for (text, refused) in [
            ("hello?", server("Unable to parse the incoming message.")),
            ("{\"type\":", server("Unable to parse the incoming message.")),
            ("", server("Unable to parse the incoming message.")),
            ("[]", server("Validation error: Expected object, received array")),
            ("null", server("Validation error: Expected object, received null")),
            ("12", server("Validation error: Expected object, received number")),
            (r#""text""#, server("Validation error: Expected object, received string")),
            (r#"{"a":1}"#, server("Validation error: Required, expected string at \"type\"")),
            (
                r#"{"type":5}"#,
                server("Validation error: Expected string, received number at \"type\""),
            ),
            (
                r#"{"type":"ping","uid":{"a":1}}"#,
                server("Validation error: Expected string or number, received object at \"uid\""),
            ),
            (
                r#"{"type":"ping","uid":null}"#,
                server("Validation error: Expected string or number, received null at \"uid\""),
            ),
            (
                r#"{"type":"items","action":"read"}"#,
                items("Validation error: Required, expected string at \"collection\""),
            ),
            (
                r#"{"type":"items","collection":"messages"}"#,
                items("Validation error: Required, expected string at \"action\""),
            ),
            (
                r#"{"type":"items","collection":"messages","action":"juggle"}"#,
                items(&format!(
                    "Validation error: Expected one of {actions}, received 'juggle' at \"action\""
                )),
            ),
            (
                r#"{"type":"items","collection":"messages","action":"read","ids":"x"}"#,
                items("Validation error: Expected array, received string at \"ids\""),
            ),
            (
                r#"{"type":"items","collection":"messages","action":"read","ids":[1,{}]}"#,
                items("Validation error: Expected strings or numbers, received object at \"ids\""),
            ),
            (
                r#"{"type":"items","collection":"messages","action":"read","query":"x"}"#,
                items("Validation error: Expected object, received string at \"query\""),
            ),
            (
                r#"{"type":"subscribe"}"#,
                subscribe("Validation error: Required, expected string at \"collection\""),
            ),
            (
                r#"{"type":"subscribe","collection":"messages","event":"sneeze"}"#,
                subscribe(
                    "Validation error: Expected one of 'create', 'update', 'delete', received \
                     'sneeze' at \"event\"",
                ),
            ),
            (
                r#"{"type":"subscribe","collection":"messages","item":[]}"#,
                subscribe(
                    "Validation error: Expected string or number, received array at \"item\"",
                ),
            ),
        ] {
            assert_eq!(refusal(text), refused, "{text}");
        }
    }

    #[test]
    fn an_error_has_the_uid_of_its_request() {
        let invalid = parse(r#"{"type":"items","uid":7}"#).unwrap_err();

        assert_eq!(invalid.uid, Some(Uid::Number(7.into())));
    }

    #[test]
    fn a_frame_that_is_nested_too_deeply_is_rejected() {
        let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(32), "]".repeat(32));

        assert_eq!(refusal(&deep).1, "Validation error: Nested deeper than 32 levels");
    }

    #[test]
    fn a_number_that_would_be_rounded_is_rejected_with_the_uid() {
        for number in ["123456789012345678901234567890", "1e400", "9007199254740993.0"] {
            let data = format!(r#""data":{{"content":{number}}}"#);
            let frame = format!(
                r#"{{"type":"items","collection":"messages","action":"create",{data},"uid":7}}"#
            );
            let invalid = parse(&frame).unwrap_err();

            let reason = format!("The number {number} would be rounded: send it as a string");
            assert_eq!(invalid.message, format!("Validation error: {reason}"));
            assert_eq!(invalid.uid, Some(Uid::Number(7.into())));
        }
        let frame = items(
            r#"{"type":"items","collection":"messages","action":"create",
                "data":{"content":9007199254740993}}"#,
        );
        assert_eq!(frame.data.to_string(), r#"{"content":9007199254740993}"#);
    }

    #[test]
    fn the_length_of_a_uid_is_limited() {
        let long = format!(r#"{{"type":"ping","uid":"{}"}}"#, "x".repeat(1025));

        assert_eq!(refusal(&long).1, "Validation error: Longer than 1024 bytes at \"uid\"");
        let long = format!(r#"{{"type":"ping","uid":1.{}}}"#, "0".repeat(1023));
        assert_eq!(refusal(&long).1, "Validation error: Longer than 1024 bytes at \"uid\"");
    }

    #[test]
    fn an_unknown_type_is_ignored_and_a_pong_is_recognized() {
        assert_eq!(parse(r#"{"type":"juggle","uid":"x"}"#), Ok(Frame::Other));
        assert_eq!(parse(r#"{"type":"pong"}"#), Ok(Frame::Pong));
    }

    #[test]
    fn a_uid_is_echoed_verbatim() {
        let long = "12345678901234567890.0e-0123456789";
        for uid in ["\"abc\"", "42", "0", "-1", "1.5", "\"\"", "1e2", "-0", "1.0", "1E+2", long] {
            let frame =
                parse(&format!(r#"{{"uid":7,"type":"ping","\u0075id":{uid},"x":"\ud800"}}"#));

            let Ok(Frame::Ping(Some(echo))) = frame else { panic!("{frame:?}") };
            assert_eq!(serde_json::to_string(&echo).unwrap(), uid);
        }
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        let frame = items(
            r#"{"type":"items","collection":"messages","action":"create",
                "data":{"content":"cut \ud83d"},"uid":"cut \ud83d"}"#,
        );

        assert_eq!(frame.data, json!({"content": "cut \u{fffd}"}));
        assert_eq!(frame.uid, Some(Uid::Text("cut \u{fffd}".to_owned())));
    }

    #[test]
    fn a_falsy_id_counts_as_none() {
        for id in ["0", "0.0", "\"\"", "null"] {
            let frame = items(&format!(
                r#"{{"type":"items","collection":"messages","action":"read","id":{id}}}"#
            ));

            assert_eq!(frame.id, None, "{id}");
        }
    }

    #[test]
    fn an_items_frame_keeps_all_fields() {
        let frame = items(
            r#"{"type":"items","collection":"messages","action":"update","id":3,"ids":["4"],
                "data":{"content":"x"},"query":{"fields":"*,a.b"},"uid":1}"#,
        );

        assert_eq!(frame.action, ItemsAction::Update);
        assert_eq!(frame.id, Some(json!(3)));
        assert_eq!(frame.ids, Some(vec![json!("4")]));
        assert_eq!(frame.data, json!({"content": "x"}));
        assert_eq!(frame.query, Some(json!({"fields": "*,a.b"})));
        assert_eq!(frame.uid, Some(Uid::Number(1.into())));
    }

    #[test]
    fn a_write_counts_its_items() {
        for (fields, changes) in [
            (r#""action":"create","data":{}"#, 1),
            (r#""action":"create","data":[]"#, 1),
            (r#""action":"create","data":[{},{},{}]"#, 3),
            (r#""action":"update","data":[{"id":1},{"id":2}]"#, 2),
            (r#""action":"update","ids":[1,2,3],"data":{}"#, 3),
            (r#""action":"update","id":1,"ids":[1,2,3],"data":{}"#, 1),
            (r#""action":"delete","ids":[1,2,3,4]"#, 4),
            (r#""action":"delete","query":{"limit":9}"#, 1),
            (r#""action":"read","ids":[1,2,3]"#, 1),
        ] {
            let text = format!(r#"{{"type":"items","collection":"messages",{fields}}}"#);
            assert_eq!(parse(&text).unwrap().changes(), changes, "{fields}");
        }
        assert_eq!(parse(r#"{"type":"ping"}"#).unwrap().changes(), 1);
    }

    #[test]
    fn prototype_keys_are_dropped_at_every_depth() {
        let frame = items(
            r#"{"type":"items","collection":"messages","action":"create","__proto__":{"a":1},
                "data":[{"content":"x","\u005f_proto__":{"admin":true}}]}"#,
        );

        assert_eq!(frame.data, json!([{"content": "x"}]));
    }
}
