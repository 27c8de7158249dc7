//! Who may do what: actor, collection and action to a [`Scope`], or Forbidden.
//!
//! Rights are rows. All of them are kept in memory, in a book that is replaced whole when one
//! changes; what a set of policies gives is compiled when it is first asked for. It knows nothing of
//! tokens or sessions (`auth`).

mod book;
mod compiled;
mod networks;
mod summary;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use networks::Networks;
use parking_lot::RwLock;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::permissions::book::Book;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::Row;
use crate::model::schema::ACCESS;
use crate::model::schema::PERMISSIONS;
use crate::model::schema::POLICIES;
use crate::model::schema::ROLES;
use crate::query::Environment;
use crate::query::Limits;
use crate::query::Scope;
use crate::store::Store;

/// How long a failed reading of rights waits before it is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The roles, policies and permissions in force.
pub struct Permissions {
    store: Arc<Store>,
    clock: Clock,
    limits: Limits,
    book: RwLock<Arc<Book>>,
    /// One refresh at a time: an older reading must not replace a newer one.
    refreshing: tokio::sync::Mutex<()>,
}

impl Permissions {
    /// Reads the rights that the store holds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<Store>, clock: Clock, limits: Limits) -> Result<Self, Error> {
        let book = RwLock::new(Arc::new(Book::read(&store).await?));
        Ok(Self { store, clock, limits, book, refreshing: tokio::sync::Mutex::default() })
    }

    /// Returns whether rights may change when items of this collection do.
    #[must_use]
    pub fn depend_on(collection: &'static Collection) -> bool {
        [&ROLES, &POLICIES, &ACCESS, &PERMISSIONS].contains(&collection)
    }

    /// Reads all rights anew, unless the event at this place is in them already; again and again
    /// until it succeeds, since a change that is committed holds. After the first failure nobody has
    /// any rights until then: those in memory may be too many.
    pub async fn refresh(&self, seq: i64) {
        let _one = self.refreshing.lock().await;
        if self.book.read().seq >= seq {
            return;
        }
        let mut wait = RETRY_FIRST;
        loop {
            match Book::read(&self.store).await {
                Ok(book) => {
                    *self.book.write() = Arc::new(book);
                    return;
                }
                Err(error) if error.is_closed() => return,
                Err(error) => {
                    tracing::error!(error = %error, "rights could not be read; nobody has any for now");
                    *self.book.write() = Arc::default();
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Returns the public at this address.
    #[must_use]
    pub fn public(&self, from: Option<IpAddr>) -> Arc<Actor> {
        Arc::new(self.book.read().actor(None, from))
    }

    /// Returns the actor that an account is, with the rights now in force at this address, recognised
    /// by this session.
    #[must_use]
    pub fn actor(&self, user: &Arc<Row>, session: Option<Uuid>, from: Option<IpAddr>) -> Actor {
        Actor { session, ..self.book.read().actor(Some(user), from) }
    }

    /// Returns what the actor may do in this way with items of the collection.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the collection, if nothing.
    pub fn scope(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        action: Action,
    ) -> Result<Scope, Error> {
        if actor.admin {
            return Ok(Scope::grant(collection, true, Vec::new()));
        }
        let environment = Environment::new(actor, self.clock.now());
        let book = Arc::clone(&self.book.read());
        let scope = book.scope(collection, action, &environment, &self.limits);
        scope.ok_or_else(|| Error::collection(collection.name))
    }

    /// Returns what the actor may do, as `GET /permissions/me` shows it.
    #[must_use]
    pub fn summary(&self, actor: &Actor) -> Json {
        summary::of(self, actor)
    }

    /// Returns the accounts and the roles that are administrators: directly, or by a policy of the
    /// role or of one of its ancestors.
    #[must_use]
    pub fn administrators(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        self.book.read().administrators()
    }
}
