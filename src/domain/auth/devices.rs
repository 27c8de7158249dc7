//! The sessions of an account, for its owner or an administrator to list and end.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::auth::Auth;
use crate::domain::auth::sessions;
use crate::domain::auth::sessions::Session;
use crate::domain::{Error, Forbidden};
use crate::model::schema;
use crate::model::schema::SESSIONS;
use crate::model::{Actor, Key, Row, SessionMode, Value};
use crate::query::{Filter, Test};
use crate::store::Mutation;

/// A signed-in client of an account. Its tokens are not included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The key of the session.
    pub id: Uuid,
    /// How its tokens are delivered.
    pub mode: SessionMode,
    /// The address that its tokens were last renewed from.
    pub ip: Option<String>,
    /// The user agent of the client that renewed them.
    pub user_agent: Option<String>,
    /// When the session began.
    pub date_created: Timestamp,
    /// When its tokens were last renewed.
    pub date_renewed: Timestamp,
    /// When the session ends unless its tokens are renewed.
    pub expires: Timestamp,
}

impl Auth {
    /// Returns the sessions of an account that have not expired, oldest first.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn devices(&self, user: Uuid) -> Result<Vec<Device>, Error> {
        let now = self.clock.now();
        let rows = self.store.read_sessions(user).await?;
        let devices: Result<Vec<Device>, Error> = rows.iter().map(Device::read).collect();
        Ok(devices?.into_iter().filter(|device| now < device.expires).collect())
    }

    /// Ends one session of an account, including its open sockets.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the account has no such session.
    pub async fn end_device(&self, actor: &Actor, user: Uuid, session: Uuid) -> Result<(), Error> {
        let row = self.store.find(&SESSIONS, Key::Uuid(session)).await?;
        if row.is_none_or(|row| row.get(&schema::sessions::user) != Some(user)) {
            return Err(Error::Forbidden(Forbidden::Item));
        }
        let op = sessions::end(vec![Key::Uuid(session)]);
        self.committer.commit_ops(actor.user, vec![op]).await
    }

    /// Ends all sessions of an account, except one.
    ///
    /// # Errors
    /// Only when the store fails.
    pub async fn end_devices(
        &self,
        actor: &Actor,
        user: Uuid,
        except: Option<Uuid>,
    ) -> Result<(), Error> {
        let mut filter = Filter::equals(&schema::sessions::user, user);
        if let Some(kept) = except {
            filter = filter.and(Filter::Field(SESSIONS.key(), Test::Neq(Value::Uuid(kept))));
        }
        let op = Mutation::DeleteWhere { collection: &SESSIONS, filter };
        self.committer.commit_ops(actor.user, vec![op]).await
    }
}

impl Device {
    fn read(row: &Row) -> Result<Self, Error> {
        let session = Session::read(row)?;
        let text = |column| row.get(column).map(str::to_owned);
        Ok(Self {
            id: session.id,
            mode: session.mode,
            ip: text(&schema::sessions::ip),
            user_agent: text(&schema::sessions::user_agent),
            date_created: session.date_created,
            date_renewed: session.date_rotated,
            expires: session.expires,
        })
    }
}
