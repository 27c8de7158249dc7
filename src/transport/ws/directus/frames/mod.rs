//! Frames from clients: parses text into typed frames, or returns the reason for a rejection.
//!
//! Validates shapes only. Meaning and permissions are checked elsewhere.

#[cfg(test)]
mod tests;

use serde_json::Value as Json;

use crate::domain::subscriptions::Resume;
use crate::model::EventAction;
use crate::transport::ws::directus::auth::Auth;
use crate::transport::ws::directus::fields::is_key;
use crate::transport::ws::directus::fields::{Fields, Invalid};
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
        let actions = [
            ("start", Self::Start),
            ("stop", Self::Stop),
            ("subscribe", Self::Subscribe),
            ("unsubscribe", Self::Unsubscribe),
        ];
        match fields.take("action") {
            None | Some(Json::Null) => Ok(Self::Start),
            Some(action) => fields.choice(&actions, &action, "action"),
        }
    }
}

impl Items {
    fn read(mut fields: Fields) -> Result<Self, Invalid> {
        fields.area = "items";
        let collection = fields.require_text("collection")?;
        let action = Json::from(fields.require_text("action")?);
        let actions = [
            ("create", ItemsAction::Create),
            ("read", ItemsAction::Read),
            ("update", ItemsAction::Update),
            ("delete", ItemsAction::Delete),
        ];
        let action = fields.choice(&actions, &action, "action")?;
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
        let events = [EventAction::Create, EventAction::Update, EventAction::Delete];
        let event = match fields.take("event") {
            None | Some(Json::Null) => None,
            Some(event) => {
                let events = events.map(|event| (event.name(), event));
                Some(fields.choice(&events, &event, "event")?)
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
