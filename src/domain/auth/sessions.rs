//! Sessions as rows of `directus_sessions`, and their expiry.
//!
//! A session is one sign-in and the chain of tokens issued for it. Its row changes only by rotation
//! (`refresh`). `items` ends the sessions of an account when its email address, password or status
//! changes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::auth::ClientInfo;
use crate::domain::auth::refresh_token;
use crate::model::column::Cell;
use crate::model::id;
use crate::model::network;
use crate::model::schema::SESSIONS;
use crate::model::schema::sessions as columns;
use crate::model::{Column, Field, Key, Row, SessionMode, Value};
use crate::query::{Filter, Test};
use crate::store::{Mutation, Precondition, StoreError};

/// The generation of a session's first token.
const FIRST: i64 = 1;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The key.
    pub id: Uuid,
    /// The account.
    pub user: Uuid,
    /// How its tokens are delivered.
    pub mode: SessionMode,
    /// The seed of its refresh tokens.
    pub seed: Arc<str>,
    /// The generation of the newest token issued.
    pub generation: i64,
    /// When it began.
    pub date_created: Timestamp,
    /// When that token was issued.
    pub date_rotated: Timestamp,
    /// The client that it was issued to.
    pub client: ClientInfo,
    /// When the session ends if no token is used.
    pub expires: Timestamp,
}

/// The lifetime of a session.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// After the last use of its tokens.
    pub idle: Duration,
    /// After its start, regardless of use.
    pub absolute: Duration,
}

impl Lifetime {
    /// Returns the end of a session that began at `begun` and was last used at `used`.
    fn end(self, begun: Timestamp, used: Timestamp) -> Timestamp {
        used.plus(self.idle).min(begun.plus(self.absolute))
    }
}

impl Session {
    /// Returns a new session of an account.
    #[must_use]
    pub fn begin(
        user: Uuid,
        mode: SessionMode,
        client: ClientInfo,
        now: Timestamp,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            id: id::fresh(),
            user,
            mode,
            seed: Arc::from(refresh_token::fresh_seed()),
            generation: FIRST,
            date_created: now,
            date_rotated: now,
            client,
            expires: lifetime.end(now, now),
        }
    }

    /// Returns the session after the successor of its newest token was issued to `client`.
    #[must_use]
    pub fn rotated(&self, client: ClientInfo, now: Timestamp, lifetime: Lifetime) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            date_rotated: now,
            client,
            expires: lifetime.end(self.date_created, now),
            ..self.clone()
        }
    }

    /// Reads a session from its row.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] for a row that this service did not write.
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        let Value::Text(seed) = &row[columns::seed.field()] else {
            return Err(inconsistent(&columns::seed));
        };
        Ok(Self {
            id: require(row, &columns::id)?,
            user: require(row, &columns::user)?,
            mode: require(row, &columns::mode)?,
            seed: Arc::clone(seed),
            generation: require(row, &columns::generation)?,
            date_created: require(row, &columns::date_created)?,
            date_rotated: require(row, &columns::date_rotated)?,
            client: ClientInfo {
                ip: row.get(&columns::ip).and_then(|ip| ip.parse().ok()),
                user_agent: row.get(&columns::user_agent).map(str::to_owned),
            },
            expires: require(row, &columns::expires)?,
        })
    }

    /// Returns whether the session has expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// Returns whether the newest token was issued to this client, judging by user agent and
    /// network: a device changes its address within its network, while a copied token is used from
    /// another one.
    #[must_use]
    pub fn was_rotated_for(&self, client: &ClientInfo) -> bool {
        self.client.user_agent == client.user_agent
            && self.client.ip.map(block) == client.ip.map(block)
    }

    /// Returns how long ago the newest token was issued.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        self.date_rotated.until(now)
    }

    /// Returns the change that inserts a new session.
    #[must_use]
    pub fn create(&self) -> Mutation {
        let row = Row::empty(&SESSIONS)
            .with(&columns::id, self.id)
            .with(&columns::user, self.user)
            .with(&columns::mode, self.mode)
            .with(&columns::seed, Arc::clone(&self.seed))
            .with(&columns::generation, self.generation)
            .with(&columns::date_created, self.date_created)
            .with(&columns::date_rotated, self.date_rotated)
            .with(&columns::expires, self.expires)
            .with(&columns::ip, self.client.ip.map(|ip| ip.to_string()))
            .with(&columns::user_agent, self.client.user_agent.as_deref());
        Mutation::create(row)
    }

    /// Returns the change that stores a rotation. Its precondition refuses it if the newest stored
    /// token is not `used`.
    #[must_use]
    pub fn rotate(&self, used: i64) -> Mutation {
        let set = vec![
            columns::generation.to(self.generation),
            columns::date_rotated.to(self.date_rotated),
            columns::expires.to(self.expires),
            columns::ip.to(self.client.ip.map(|ip| ip.to_string())),
            columns::user_agent.to(self.client.user_agent.as_deref()),
        ];
        let is_newest = Filter::equals(&columns::generation, used);
        Mutation::update(&SESSIONS, self.id, set, Precondition::All(is_newest))
    }
}

/// Returns the change that ends sessions. Missing sessions are ignored.
#[must_use]
pub fn end(keys: Vec<Key>) -> Mutation {
    Mutation::delete(&SESSIONS, keys, Precondition::None)
}

/// Returns the change that ends all sessions of an account.
#[must_use]
pub fn end_all(user: impl Into<Key>) -> Mutation {
    let filter = Filter::equals(&columns::user, user.into());
    Mutation::DeleteWhere { collection: &SESSIONS, filter }
}

/// Returns the change that deletes expired sessions. Its event notifies the sockets that were
/// authenticated by one of them.
#[must_use]
pub fn end_expired(now: Timestamp) -> Mutation {
    let filter = Filter::Field(&columns::expires, Test::Lte(Value::Timestamp(now)));
    Mutation::DeleteWhere { collection: &SESSIONS, filter }
}

/// Returns the network of an address: the first 24 bits of IPv4, the first 64 of IPv6.
fn block(address: IpAddr) -> IpAddr {
    match network(address) {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        network @ IpAddr::V6(_) => network,
    }
}

fn require<'a, T: Cell + ?Sized>(
    row: &'a Row,
    column: &Column<T>,
) -> Result<T::Read<'a>, StoreError> {
    row.get(column).ok_or_else(|| inconsistent(column))
}

fn inconsistent(column: &Field) -> StoreError {
    StoreError::Inconsistent { table: SESSIONS.name, column: column.name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const WEEK: Duration = Duration::from_hours(168);
    const LIFETIME: Lifetime = Lifetime { idle: WEEK, absolute: Duration::from_hours(240) };

    fn client(ip: &str, user_agent: &str) -> ClientInfo {
        ClientInfo::new(ip.parse().ok(), Some(user_agent))
    }

    fn begun(client: ClientInfo) -> Session {
        Session::begin(Uuid::from_u128(1), SessionMode::Json, client, NOW, LIFETIME)
    }

    #[test]
    fn clients_are_matched_by_user_agent_and_address_block() {
        let nameless = |ip: &str| ClientInfo::new(ip.parse().ok(), None);
        for (issued, shown, is_same) in [
            (client("192.0.2.7", "A"), client("192.0.2.7", "A"), true),
            (client("192.0.2.7", "A"), client("192.0.2.200", "A"), true),
            (client("192.0.2.7", "A"), client("::ffff:192.0.2.8", "A"), true),
            (client("192.0.2.7", "A"), client("192.0.3.7", "A"), false),
            (client("192.0.2.7", "A"), client("192.0.2.7", "B"), false),
            (client("2001:db8:1:2::1", "A"), client("2001:db8:1:2:3::9", "A"), true),
            (client("2001:db8:1:2::1", "A"), client("2001:db8:1:3::1", "A"), false),
            (nameless("192.0.2.7"), nameless("192.0.2.7"), true),
            (nameless("192.0.2.7"), client("192.0.2.7", "A"), false),
            (ClientInfo::default(), ClientInfo::default(), true),
            (ClientInfo::default(), nameless("192.0.2.7"), false),
        ] {
            assert_eq!(
                begun(issued.clone()).was_rotated_for(&shown),
                is_same,
                "{issued:?} {shown:?}"
            );
        }
    }

    #[test]
    fn a_rotation_is_stored_with_its_client() {
        let session = begun(client("192.0.2.7", "A"));

        let rotated = session.rotated(client("198.51.100.1", "B"), NOW, LIFETIME);

        let Mutation::Update { set, .. } = rotated.rotate(session.generation) else {
            panic!("expected an update")
        };
        let stored = |name| set.iter().find(|(field, _)| field.name == name).unwrap().1.clone();
        assert_eq!(stored("ip"), Value::text("198.51.100.1"));
        assert_eq!(stored("user_agent"), Value::text("B"));
    }

    fn row(of: Mutation) -> Row {
        match of {
            Mutation::Create { mut rows, .. } => rows.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_round_trips_through_its_row() {
        for mode in [SessionMode::Json, SessionMode::Cookie, SessionMode::Session] {
            for client in [ClientInfo::default(), client("192.0.2.7", "Browser/1")] {
                let session = Session::begin(Uuid::from_u128(1), mode, client, NOW, LIFETIME);

                assert_eq!(Session::read(&row(session.create())).unwrap(), session);
            }
        }
    }

    #[test]
    fn an_inconsistent_row_is_an_error_that_names_the_column() {
        let row = row(begun(ClientInfo::default()).create())
            .with(&columns::mode, Value::text("telepathy"));

        let error = Session::read(&row).unwrap_err();

        assert_eq!(error.to_string(), "inconsistent value in directus_sessions.mode");
    }

    #[test]
    fn a_long_user_agent_is_truncated() {
        let row = row(begun(client("::1", &"é".repeat(300))).create());

        assert_eq!(row.get(&columns::ip), Some("::1"));
        assert_eq!(row.get(&columns::user_agent), Some("é".repeat(255).as_str()));
    }

    #[test]
    fn a_rotation_renews_the_idle_lifetime_up_to_the_maximum() {
        let session = begun(ClientInfo::default());
        let later = NOW.plus(Duration::from_mins(1));

        let rotated = session.rotated(ClientInfo::default(), later, LIFETIME);

        assert_eq!(rotated.generation, session.generation + 1);
        assert_eq!((rotated.date_rotated, rotated.expires), (later, later.plus(WEEK)));
        let late = NOW.plus(Duration::from_hours(100));
        let end = NOW.plus(Duration::from_hours(240));
        assert_eq!(session.rotated(ClientInfo::default(), late, LIFETIME).expires, end);
        assert_eq!((rotated.id, &rotated.seed), (session.id, &session.seed));
        assert!(!session.is_expired(NOW));
        assert!(session.is_expired(session.expires));
    }
}
