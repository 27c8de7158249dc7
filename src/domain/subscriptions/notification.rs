//! Notifications of subscriptions, and their encoding as frames.

use bytes::Bytes;

use crate::domain::Error;
use crate::domain::items::{Counts, JsonText};
use crate::model::Event;

/// A notification of a subscription.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// `init`, `create`, `update` or `delete`.
    pub event: &'static str,
    /// Items, or keys for a delete: a list, or a single one if the subscription is for one item.
    /// `None` for an `init` without a snapshot.
    pub data: Option<&'a JsonText>,
    /// In an `init`, whether the list is incomplete: items are missing at its end or reduced to
    /// their keys, since the whole list would be too long.
    pub truncated: bool,
    /// The counts, if the query asks for them.
    pub counts: Option<Counts>,
    /// The cursor of the event, for clients that keep cursors; `None` for others.
    pub cursor: Option<&'a str>,
    /// In an `init`, whether missed events are replayed; `None` if the client did not ask for them.
    pub recovered: Option<bool>,
    /// Whether the event happened while the client was away.
    pub replayed: bool,
}

impl<'a> Notification<'a> {
    /// Creates the `init` notification that a subscription begins with.
    #[must_use]
    pub const fn init(cursor: Option<&'a str>, recovered: Option<bool>) -> Self {
        Self {
            event: "init",
            data: None,
            truncated: false,
            counts: None,
            cursor,
            recovered,
            replayed: false,
        }
    }

    /// Creates the notification of an event.
    pub(super) const fn event(
        event: &Event,
        data: &'a JsonText,
        counts: Option<Counts>,
        cursor: &'a str,
    ) -> Self {
        let begins = Self::init(Some(cursor), None);
        Self { event: event.action.name(), data: Some(data), counts, ..begins }
    }
}

/// Encodes notifications as frames that are ready to be written to a socket. Subscriptions of one
/// view with equal encoders share the frame.
#[derive(Debug, Clone)]
pub struct FrameEncoder {
    /// The client's name for the subscription, as sent in frames; unique on its connection: a
    /// second subscription of that name replaces the first. `None`: unnamed, beside any others.
    pub uid: Option<Box<str>>,
    /// Whether frames carry cursors.
    pub cursors: bool,
    /// Encodes a frame, header included.
    pub notification: fn(uid: Option<&str>, notification: &Notification<'_>) -> Bytes,
    /// Encodes the error that ends a running subscription.
    pub error: fn(uid: Option<&str>, error: &Error) -> Bytes,
}

impl FrameEncoder {
    /// Encodes a notification.
    #[must_use]
    pub fn encode(&self, notification: Notification<'_>) -> Bytes {
        let cursor = notification.cursor.filter(|_| self.cursors);
        (self.notification)(self.uid.as_deref(), &Notification { cursor, ..notification })
    }

    /// Encodes the error of a running subscription.
    #[must_use]
    pub fn encode_error(&self, error: &Error) -> Bytes {
        (self.error)(self.uid.as_deref(), error)
    }

    /// Returns the key of equal encoders.
    pub(super) fn key(&self) -> EncoderKey {
        let Self { uid, cursors, notification, .. } = self;
        EncoderKey { encode: *notification as usize, uid: uid.clone(), cursors: *cursors }
    }
}

/// Encoders are equal if they encode equal frames: the same protocol, the same name.
#[derive(PartialEq, Eq, Hash, Clone)]
pub(super) struct EncoderKey {
    encode: usize,
    uid: Option<Box<str>>,
    cursors: bool,
}
