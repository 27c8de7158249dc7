//! Unscoped reads for the domain itself: items by key, referring items, and accounts by address,
//! token or identity.
//!
//! Not for queries that clients compose: results include secrets. The reads use connections of
//! their own, so that a client that exhausts the read pool does not block authentication.

use sea_query::SqliteQueryBuilder;
use sea_query_sqlx::SqlxBinder;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::schema;
use crate::model::{Collection, Field, Key, Row, Value};
use crate::query::{Filter, Sort, Test};
use crate::store::compile;
use crate::store::dialect;
use crate::store::read::read;
use crate::store::{Select, Store, StoreError};
use crate::text::fold;

/// Maximum number of surplus sessions that one sign-in ends; the next sign-in ends more.
const STALE_MAX: u64 = 1_000;

impl Store {
    /// Returns the item with this key, secrets included, or `None`. For authentication and for
    /// following relations: the caller decides which fields are exposed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(
        &self,
        collection: &'static Collection,
        key: Key,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.find_many(collection, &[key]).await?.pop())
    }

    /// Returns the existing items with these keys, in no particular order. As [`Store::find`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_many(
        &self,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<Vec<Row>, StoreError> {
        self.where_field_leads(collection, collection.key(), keys).await
    }

    /// Returns all items of a small collection (roles, policies, …).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all(&self, collection: &'static Collection) -> Result<Vec<Row>, StoreError> {
        let mut connection = self.reserved().acquire().await?;
        read(&mut connection, collection, &Select::default()).await
    }

    /// Returns up to `most` items whose to-one relation `field` refers to one of these keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pointing(
        &self,
        collection: &'static Collection,
        field: &'static Field,
        keys: &[Key],
        most: Option<u64>,
    ) -> Result<Vec<Row>, StoreError> {
        let values = keys.iter().map(|key| Value::from(*key)).collect();
        let mut connection = self.reserved().acquire().await?;
        let filter = Filter::Field(field, Test::In(values));
        let select = Select { filter, limit: most, ..Select::default() };
        read(&mut connection, collection, &select).await
    }

    /// Returns the items in which the to-one relation `field` is null.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leading_nowhere(
        &self,
        collection: &'static Collection,
        field: &'static Field,
    ) -> Result<Vec<Row>, StoreError> {
        self.where_field(collection, field, Test::Null).await
    }

    /// Returns the number of items whose to-one relation `field` refers to this key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_pointing(
        &self,
        collection: &'static Collection,
        field: &'static Field,
        key: Key,
    ) -> Result<u64, StoreError> {
        let filter = Filter::Field(field, Test::Eq(Value::from(key)));
        let select = Select { filter, ..Select::default() };
        let statement = compile::count(collection, &select, None);
        let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
        let query = sqlx::query_with(AssertSqlSafe(sql), values);
        Ok(query.fetch_one(self.reserved()).await?.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Returns the account with this address, ignoring case. A database from an earlier version may
    /// contain several such accounts; an exact match takes precedence.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<Row>, StoreError> {
        let sql = format!(
            "select id from directus_users where id in ({}) \
             order by email = ?2 desc, lower(email) = lower(?2) desc, id limit 1",
            dialect::with_address("?1")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(fold(email).as_ref())
            .bind(email)
            .fetch_optional(self.reserved())
            .await?;
        let Some(row) = row else { return Ok(None) };
        match Uuid::try_parse(row.try_get(0)?) {
            Ok(id) => self.find(&schema::USERS, Key::Uuid(id)).await,
            Err(_) => Err(StoreError::Inconsistent { table: "directus_users", column: "id" }),
        }
    }

    /// Returns the account whose static token has this digest (hexadecimal SHA-256).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_user_by_token(&self, digest: &str) -> Result<Option<Row>, StoreError> {
        let test = Test::Eq(Value::text(digest));
        Ok(self.where_field(&schema::USERS, &schema::users::token, test).await?.pop())
    }

    /// Returns the account with this identifier at a provider, compared exactly.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_user_by_identity(
        &self,
        provider: &str,
        identifier: &str,
    ) -> Result<Option<Row>, StoreError> {
        let filter = Filter::equals(&schema::users::provider, provider)
            .and(Filter::equals(&schema::users::external_identifier, identifier));
        let mut connection = self.reserved().acquire().await?;
        let select = Select { filter, ..Select::default() };
        Ok(read(&mut connection, &schema::USERS, &select).await?.pop())
    }

    /// Returns the sessions of an account, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_sessions(&self, user: Uuid) -> Result<Vec<Row>, StoreError> {
        let created = schema::sessions::date_created.field();
        let mut connection = self.reserved().acquire().await?;
        let select = Select {
            filter: Filter::equals(&schema::sessions::user, user),
            sort: vec![Sort { path: Vec::new(), field: created, part: None, descending: false }],
            ..Select::default()
        };
        read(&mut connection, &schema::SESSIONS, &select).await
    }

    /// Returns the keys of an account's live sessions except the `but` most recently refreshed: at
    /// most `STALE_MAX` keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_stale_sessions(
        &self,
        user: Uuid,
        now: Timestamp,
        but: usize,
    ) -> Result<Vec<Key>, StoreError> {
        let refreshed = schema::sessions::date_rotated.field();
        let mut connection = self.reserved().acquire().await?;
        let select = Select {
            filter: Filter::And(vec![
                Filter::equals(&schema::sessions::user, user),
                Filter::Field(&schema::sessions::expires, Test::Gt(Value::Timestamp(now))),
            ]),
            sort: vec![Sort { path: Vec::new(), field: refreshed, part: None, descending: true }],
            offset: but as u64,
            limit: Some(STALE_MAX),
            ..Select::default()
        };
        let rows = read(&mut connection, &schema::SESSIONS, &select).await?;
        Ok(rows.iter().filter_map(Row::key).collect())
    }

    async fn where_field_leads(
        &self,
        collection: &'static Collection,
        field: &'static Field,
        keys: &[Key],
    ) -> Result<Vec<Row>, StoreError> {
        let values = keys.iter().map(|key| Value::from(*key)).collect();
        self.where_field(collection, field, Test::In(values)).await
    }

    async fn where_field(
        &self,
        collection: &'static Collection,
        field: &'static Field,
        test: Test,
    ) -> Result<Vec<Row>, StoreError> {
        let mut connection = self.reserved().acquire().await?;
        let select = Select { filter: Filter::Field(field, test), ..Select::default() };
        read(&mut connection, collection, &select).await
    }
}
