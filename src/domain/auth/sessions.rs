//! Sessions as rows of `directus_sessions`, and which of them have to go.
//!
//! A session is one sign-in and the chain of tokens that came out of it. Rows change only by
//! rotation (`refresh`); when an account's address, password or status changes, `items` ends them.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::auth::Mode;
use crate::domain::auth::Origin;
use crate::domain::auth::refresh_token;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::id;
use crate::model::schema::SESSIONS;
use crate::query::Filter;
use crate::query::Test;
use crate::store::Guard;
use crate::store::Op;
use crate::store::StoreError;

/// The generation of a session's first token.
const FIRST: i64 = 1;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The key.
    pub id: Uuid,
    /// The account.
    pub user: Uuid,
    /// How its tokens travel.
    pub mode: Mode,
    /// What its refresh tokens are made from.
    pub seed: Arc<str>,
    /// The generation of the newest token issued.
    pub generation: i64,
    /// When it began.
    pub date_created: Timestamp,
    /// When that token was issued.
    pub date_rotated: Timestamp,
    /// When the session ends if no token is used.
    pub expires: Timestamp,
}

/// How long a session lives.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// After each use of its tokens.
    pub idle: Duration,
    /// From its beginning on, however much it is used.
    pub absolute: Duration,
}

impl Lifetime {
    /// Returns when a session ends that began at `begun` and was used at `used`.
    fn end(self, begun: Timestamp, used: Timestamp) -> Timestamp {
        used.plus(self.idle).min(begun.plus(self.absolute))
    }
}

impl Session {
    /// Returns a new session of an account.
    #[must_use]
    pub fn begin(user: Uuid, mode: Mode, now: Timestamp, lifetime: Lifetime) -> Self {
        Self {
            id: id::fresh(),
            user,
            mode,
            seed: Arc::from(refresh_token::fresh_seed()),
            generation: FIRST,
            date_created: now,
            date_rotated: now,
            expires: lifetime.end(now, now),
        }
    }

    /// Returns the session after the successor of its newest token was issued.
    #[must_use]
    pub fn rotated(&self, now: Timestamp, lifetime: Lifetime) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            date_rotated: now,
            expires: lifetime.end(self.date_created, now),
            ..self.clone()
        }
    }

    /// Returns the session that a row holds.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] for a row this service did not write.
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: part(row, "id", Value::as_uuid)?,
            user: part(row, "user", Value::as_uuid)?,
            mode: part(row, "mode", |mode| mode.as_text().and_then(Mode::find))?,
            seed: part(row, "seed", |seed| match seed {
                Value::Text(seed) => Some(Arc::clone(seed)),
                _ => None,
            })?,
            generation: part(row, "generation", Value::as_integer)?,
            date_created: part(row, "date_created", Value::as_timestamp)?,
            date_rotated: part(row, "date_rotated", Value::as_timestamp)?,
            expires: part(row, "expires", Value::as_timestamp)?,
        })
    }

    /// Returns whether the session has ended by itself.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// Returns how long ago the newest token was issued.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        self.date_rotated.until(now)
    }

    /// Returns the change that stores a session just begun.
    #[must_use]
    pub fn create(&self, origin: &Origin) -> Op {
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::text);
        let row = Row::empty(&SESSIONS)
            .with("id", Value::Uuid(self.id))
            .with("user", Value::Uuid(self.user))
            .with("mode", Value::text(self.mode.name()))
            .with("seed", Value::Text(Arc::clone(&self.seed)))
            .with("generation", Value::Integer(self.generation))
            .with("date_created", Value::Timestamp(self.date_created))
            .with("date_rotated", Value::Timestamp(self.date_rotated))
            .with("expires", Value::Timestamp(self.expires))
            .with("ip", text(origin.ip.map(|ip| ip.to_string()).as_deref()))
            .with("user_agent", text(origin.user_agent.as_deref()));
        Op::Create { collection: &SESSIONS, rows: vec![row] }
    }

    /// Returns the change that stores a rotation, refused if the newest token stored is not the one
    /// that was used.
    #[must_use]
    pub fn rotate(&self, used: i64) -> Op {
        let generation = SESSIONS.require("generation");
        Op::Update {
            collection: &SESSIONS,
            keys: vec![Key::Uuid(self.id)],
            set: vec![
                (generation, Value::Integer(self.generation)),
                (SESSIONS.require("date_rotated"), Value::Timestamp(self.date_rotated)),
                (SESSIONS.require("expires"), Value::Timestamp(self.expires)),
            ],
            guard: Guard::Every(Filter::Field(generation, Test::Eq(Value::Integer(used)))),
        }
    }
}

/// Returns the change that ends sessions; those that are gone already are passed over.
#[must_use]
pub fn end(keys: Vec<Key>) -> Op {
    Op::Delete { collection: &SESSIONS, keys, guard: Guard::Present }
}

/// Returns the change that ends the sessions that have ended by themselves: sockets that were signed
/// in by one notice it by the event.
#[must_use]
pub fn end_expired(now: Timestamp) -> Op {
    let expired = Test::Lte(Value::Timestamp(now));
    let filter = Filter::Field(SESSIONS.require("expires"), expired);
    Op::DeleteWhere { collection: &SESSIONS, filter }
}

fn part<T>(
    row: &Row,
    column: &'static str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, StoreError> {
    read(row.value(column)).ok_or(StoreError::Inconsistent { table: SESSIONS.name, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const WEEK: Duration = Duration::from_hours(168);
    const LIFETIME: Lifetime = Lifetime { idle: WEEK, absolute: Duration::from_hours(240) };

    fn row(of: Op) -> Row {
        match of {
            Op::Create { mut rows, .. } => rows.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_is_read_as_it_was_stored() {
        for mode in [Mode::Json, Mode::Cookie, Mode::Session] {
            let session = Session::begin(Uuid::from_u128(1), mode, NOW, LIFETIME);

            assert_eq!(Session::read(&row(session.create(&Origin::default()))).unwrap(), session);
        }
    }

    #[test]
    fn a_row_of_another_hand_is_an_error_that_names_the_column() {
        let session = Session::begin(Uuid::from_u128(1), Mode::Json, NOW, LIFETIME);
        let row = row(session.create(&Origin::default())).with("mode", Value::text("telepathy"));

        let error = Session::read(&row).unwrap_err();

        assert_eq!(error.to_string(), "inconsistent value in directus_sessions.mode");
    }

    #[test]
    fn a_long_user_agent_is_cut() {
        let session = Session::begin(Uuid::from_u128(1), Mode::Json, NOW, LIFETIME);
        let origin = Origin::new("::1".parse().ok(), Some(&"é".repeat(300)));

        let row = row(session.create(&origin));

        assert_eq!(row.value("ip").as_text(), Some("::1"));
        assert_eq!(row.value("user_agent").as_text(), Some("é".repeat(255).as_str()));
    }

    #[test]
    fn a_rotation_starts_the_lifetime_anew() {
        let session = Session::begin(Uuid::from_u128(1), Mode::Json, NOW, LIFETIME);
        let later = NOW.plus(Duration::from_mins(1));

        let rotated = session.rotated(later, LIFETIME);

        assert_eq!(rotated.generation, session.generation + 1);
        assert_eq!((rotated.date_rotated, rotated.expires), (later, later.plus(WEEK)));
        let late = NOW.plus(Duration::from_hours(100));
        let end = NOW.plus(Duration::from_hours(240));
        assert_eq!(session.rotated(late, LIFETIME).expires, end);
        assert_eq!((rotated.id, &rotated.seed), (session.id, &session.seed));
        assert!(!session.is_expired(NOW));
        assert!(session.is_expired(session.expires));
    }
}
