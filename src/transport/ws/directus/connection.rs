//! Handles the frames of one connection: each becomes one domain call, and its result one frame.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::domain::Error;
use crate::domain::auth::{ClientInfo, Credential, Identity, Login};
use crate::domain::delivery::ByteBudget;
use crate::domain::items::{Answer, Which};
use crate::domain::memory::Reservation;
use crate::domain::quota::Owner;
use crate::domain::subscriptions;
use crate::domain::subscriptions::typing::Watch;
use crate::domain::subscriptions::{FrameEncoder, Peer};
use crate::model::collection::{CollectionKind, Exposure};
use crate::model::schema;
use crate::model::{Actor, Collection, SessionMode};
use crate::transport::ws::context::Context;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::auth::Credentials;
use crate::transport::ws::directus::auth_state::Fallback;
use crate::transport::ws::directus::frames::{Items, ItemsAction, Subscribe, Typing};
use crate::transport::ws::directus::items;
use crate::transport::ws::directus::uid::Uid;

/// The state that the frames of one connection act on.
pub struct Connection {
    /// State shared by all connections.
    pub context: Arc<Context>,
    /// The handle of the connection in the hub.
    pub peer: Peer,
    /// Address and user agent of the client.
    pub client: ClientInfo,
    /// Budget of responses that the client has not read yet.
    pub budget: ByteBudget,
    /// The subscription to typing notifications, if there is one.
    pub typing: Mutex<Option<Watch>>,
}

/// A successful sign-in.
#[derive(Debug)]
pub struct Granted {
    /// The signed-in identity. It expires where Directus ends the connection with the token.
    pub identity: Identity,
    /// The refresh token for the next sign-in.
    pub refresh_token: Option<String>,
    /// Whether this connection created or refreshed the session, so that a sign-out may end it.
    pub owns_session: bool,
}

impl Connection {
    /// Returns the owner that is charged for the memory of messages.
    pub fn owner(&self) -> Owner {
        Owner::of_either(self.peer.actor().user, self.client.ip)
    }

    /// Returns an empty reservation, for a message or its parsed content.
    pub fn reservation(&self) -> Reservation {
        Reservation::new(&self.context.services.memory, self.owner())
    }

    /// Verifies credentials.
    ///
    /// After a sign-in with a password or a refresh token, the connection stays signed in as long
    /// as the session lives. The access token of such a sign-in never leaves the server, so the
    /// client could not know when to renew it.
    ///
    /// # Errors
    /// The errors of [`crate::domain::auth::Auth`] for the credentials.
    pub async fn check(&self, credentials: Credentials) -> Result<Granted, Error> {
        let auth = &self.context.services.auth;
        let signed_in = match credentials {
            Credentials::AccessToken(token) => {
                let identity = auth.recognise(&token, self.client.ip).await?;
                return Ok(Granted { identity, refresh_token: None, owns_session: false });
            }
            Credentials::RefreshToken(token) => {
                auth.refresh(&token, SessionMode::Json, &self.client).await?
            }
            Credentials::Password { email, password, otp } => {
                let login = Login { email: &email, password: &password, otp: otp.as_deref() };
                auth.login(login, SessionMode::Json, &self.client).await?
            }
        };
        Ok(Granted {
            identity: Identity { expires: None, ..signed_in.identity },
            refresh_token: signed_in.refresh_token,
            owns_session: true,
        })
    }

    /// Changes the identity of the connection. Returns whether it still held afterwards; if not,
    /// the caller has to call [`Connection::fall_back`].
    ///
    /// Boxed, like similar futures: otherwise each idle connection would include its size.
    pub fn identify(&self, identity: Identity) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            self.peer.identify(identity.clone()).await;
            self.confirm(identity).await
        })
    }

    /// Returns whether the new identity of the connection still holds, see [`Peer::confirm`].
    pub fn confirm(&self, identity: Identity) -> BoxFuture<'_, bool> {
        Box::pin(self.peer.confirm(identity))
    }

    /// Falls back to the public or to no access after a token expiry, see [`Peer::expire`].
    pub async fn expire(&self, fallback: Fallback) {
        let identity = match fallback {
            Fallback::Denied => denied(),
            Fallback::Public => self.context.services.auth.public(self.client.ip),
        };
        Box::pin(self.peer.expire(identity.clone())).await;
        if fallback == Fallback::Public {
            self.confirm(identity).await;
        }
    }

    /// Falls back to the public or to no access.
    pub async fn fall_back(&self, fallback: Fallback) {
        match fallback {
            Fallback::Denied => Box::pin(self.peer.identify(denied())).await,
            Fallback::Public => {
                self.identify(self.context.services.auth.public(self.client.ip)).await;
            }
        }
    }

    /// Ends the session of an identity that signed out.
    pub async fn end_session(&self, identity: Identity) {
        if let Err(error) = self.context.services.auth.end(&identity).await {
            // A sign-out has no response. Building the error frame logs the error.
            drop(answers::failed("auth", &error, None));
        }
    }

    /// Handles an `items` frame, and returns the response.
    pub async fn items(&self, frame: Items) -> Bytes {
        let uid = frame.uid.clone();
        let answered = self.answer(frame, uid.as_ref()).await;
        answered.unwrap_or_else(|error| answers::failed("items", &error, uid.as_ref()))
    }

    async fn answer(&self, frame: Items, uid: Option<&Uid>) -> Result<Bytes, Error> {
        let found = schema::find(&frame.collection);
        let Some(collection) = found.filter(|found| found.exposure == Exposure::Items) else {
            return Ok(answers::invalid_collection("items", uid));
        };
        let actor = self.peer.acting().await?;
        let service = &self.context.services.items;
        let written = match frame.action {
            ItemsAction::Read => {
                let (which, query) = items::read(frame);
                let most = self.context.config.websockets.answer_bytes_max;
                let Answer { data, counts, .. } =
                    service.read_within(&actor, collection, which, &query, most).await?;
                return Ok(answers::items(&data, counts, uid));
            }
            ItemsAction::Delete => {
                let which = match items::delete(frame) {
                    Ok(which) => which,
                    Err(invalid) => return Ok(answers::invalid(&invalid)),
                };
                let one = matches!(which, Which::One(_));
                let keys = service.delete(&actor, collection, which).await?;
                return Ok(match keys.first() {
                    Some(key) if one => answers::deleted(key, uid),
                    _ => answers::deleted(&keys, uid),
                });
            }
            ItemsAction::Create => {
                let query = frame.query.unwrap_or_else(items::empty);
                match frame.idempotency_key {
                    Some(key) => {
                        service.create_once(&actor, collection, frame.data, &query, key).await?
                    }
                    None => service.create(&actor, collection, frame.data, &query).await?,
                }
            }
            ItemsAction::Update => {
                let (update, query) = items::update(frame)?;
                service.update(&actor, collection, update, &query).await?
            }
        };
        // As in Directus, it is an error if the caller may not read the written items, although they
        // were written.
        let Answer { data, counts, .. } = written.answer?;
        Ok(answers::items(&data, counts, uid))
    }

    /// Begins a subscription. Returns only a failure: the first notification is the response.
    pub async fn subscribe(&self, frame: Subscribe) -> Option<Bytes> {
        let Some(collection) =
            schema::find(&frame.collection).filter(|found| can_be_subscribed(found))
        else {
            return Some(answers::invalid_collection("subscribe", frame.uid.as_ref()));
        };
        let subscribe = subscriptions::Subscribe {
            collection,
            event: frame.event,
            item: frame.item,
            query: frame.query,
            encoder: FrameEncoder {
                uid: frame.uid.as_ref().map(|uid| uid.to_text().into()),
                cursors: self.context.config.websockets.cursors || frame.resume.is_asked(),
                notification: answers::notification,
                error: answers::subscription_failed,
            },
            resume: frame.resume,
            budget: self.budget.clone(),
        };
        let error = self.peer.subscribe(subscribe).await.err()?;
        Some(answers::failed("subscribe", &error, frame.uid.as_ref()))
    }

    /// Handles a `typing` frame. Returns a frame only on failure: a subscription is answered by its
    /// notifications, and an unsubscription by their end.
    pub async fn typing(&self, frame: Typing, uid: Option<&Uid>) -> Option<Bytes> {
        let done = match frame {
            Typing::Start => self.peer.start_typing(None).await,
            Typing::Stop => {
                self.peer.stop_typing();
                Ok(())
            }
            Typing::Subscribe => {
                let name = uid.map(Uid::to_text);
                let watch = self.peer.watch_typing(answers::typing, name).await;
                watch.map(|watch| *self.typing.lock() = Some(watch))
            }
            Typing::Unsubscribe => {
                self.typing.lock().take();
                Ok(())
            }
        };
        done.err().map(|error| answers::failed("typing", &error, uid))
    }

    /// Ends one subscription, or all of them without a `uid`, and returns the response.
    pub fn unsubscribe(&self, uid: Option<&Uid>) -> Bytes {
        self.peer.unsubscribe(uid.map(Uid::to_text).as_deref());
        answers::unsubscribed(uid)
    }
}

/// Returns whether a collection can be subscribed to. History collections cannot: their rows are
/// derived from the events of all other collections.
fn can_be_subscribed(collection: &Collection) -> bool {
    collection.exposure != Exposure::Internal && collection.kind != CollectionKind::History
}

/// Returns the identity of a connection that has to sign in first. It has no access.
#[must_use]
pub fn denied() -> Identity {
    Identity { actor: Arc::new(Actor::denied()), credential: Credential::Nothing, expires: None }
}
