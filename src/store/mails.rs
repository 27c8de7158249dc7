//! Reads of the mail queue. It is written with [`Store::write`], like other collections.

use sqlx::Row as _;

use crate::clock::Timestamp;
use crate::model::schema::MAILS;
use crate::model::schema::mails;
use crate::model::{Row, Value};
use crate::query::{Filter, Select, Sort, Test};
use crate::store::read;
use crate::store::{Store, StoreError};

impl Store {
    /// Returns the mails that are due, longest waiting first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_mails(&self, now: Timestamp, limit: u64) -> Result<Vec<Row>, StoreError> {
        let next = mails::date_next.field();
        let select = Select {
            filter: Filter::Field(next, Test::Lte(Value::Timestamp(now))),
            sort: vec![Sort { path: Vec::new(), field: next, part: None, descending: false }],
            limit: Some(limit),
            ..Select::default()
        };
        let mut connection = self.reserved().acquire().await?;
        read::read(&mut connection, &MAILS, &select).await
    }

    /// Returns the number of mails to be sent, and the time of the next attempt.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_mails(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let row = sqlx::query(
            "select count(*), min(date_next) from chinwag_mails where date_next is not null",
        )
        .fetch_one(self.reserved())
        .await?;
        let waiting = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        let next = row.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_millis);
        Ok((waiting, next))
    }
}
