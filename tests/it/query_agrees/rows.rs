//! The rows of one case: messages, their authors, and the policies attached to these.

use std::collections::BTreeMap;
use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::model::AccountStatus;
use chinwag::model::schema::access;
use chinwag::model::schema::messages;
use chinwag::model::schema::policies;
use chinwag::model::schema::roles;
use chinwag::model::schema::users;
use chinwag::model::schema::{ACCESS, MESSAGES, POLICIES, ROLES, USERS};
use chinwag::model::{Key, Record, Related, Row, Value};
use chinwag::query::{Filter, Test};
use chinwag::store::{Mutation, Precondition};
use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::query_agrees::values::id;
use crate::query_agrees::values::instant;
use crate::query_agrees::values::number;
use crate::query_agrees::values::text;
use crate::support::User;

/// Largest number of authors.
const AUTHORS: usize = 4;

/// All rows of a case.
#[derive(Debug, Clone)]
pub struct Rows {
    messages: BTreeMap<i64, Message>,
    authors: Vec<Author>,
}

#[derive(Debug, Clone)]
struct Message {
    content: Option<String>,
    created: i64,
    updated: Option<i64>,
    guest: Option<Uuid>,
    author: Option<usize>,
    editor: Option<usize>,
}

#[derive(Debug, Clone)]
struct Author {
    first_name: Option<String>,
    last_name: Option<String>,
    notified: Option<bool>,
    accessed: Option<i64>,
    role: Option<usize>,
    access: Vec<(Option<i64>, usize)>,
}

/// Rows that exist before: roles and policies that authors may have.
pub struct Given {
    pub roles: Vec<Row>,
    pub policies: Vec<Row>,
}

impl Given {
    /// Reads them as an administrator, with the fields that filters use.
    pub async fn read(admin: &User) -> Self {
        let id = |row: &Json| Value::Uuid(row["id"].as_str().unwrap().parse().unwrap());
        let roles = admin.get("/roles?sort=name").await.ok();
        let policies = admin.get("/policies?sort=name").await.ok();
        let roles = roles.as_array().unwrap().iter().map(|row| {
            let name = Value::text(row["name"].as_str().unwrap());
            Row::empty(&ROLES).with(&roles::id, id(row)).with(&roles::name, name)
        });
        let policies = policies.as_array().unwrap().iter().map(|row| {
            let admin = Value::Boolean(row["admin_access"].as_bool().unwrap());
            Row::empty(&POLICIES).with(&policies::id, id(row)).with(&policies::admin_access, admin)
        });
        Self { roles: roles.collect(), policies: policies.collect() }
    }
}

pub fn rows() -> impl Strategy<Value = Rows> {
    let place = || option::weighted(0.8, 0..AUTHORS);
    let text = || option::weighted(0.9, text());
    let message = (text(), instant(), option::of(instant()), option::of(id()), place(), place())
        .prop_map(|(content, created, updated, guest, author, editor)| Message {
            content,
            created,
            updated,
            guest,
            author,
            editor,
        });
    let access = vec((option::weighted(0.8, number()), 0..2_usize), 0..3);
    let flag = option::of(any::<bool>());
    // These rows give no rights, as none of the authors can sign in.
    let author = (text(), text(), flag, option::of(instant()), option::of(0..2_usize), access)
        .prop_map(|(first_name, last_name, notified, accessed, role, access)| Author {
            first_name,
            last_name,
            notified,
            accessed,
            role,
            access,
        });
    let authors = vec(author, 0..=AUTHORS);
    (btree_map(number(), message, 1..28), authors)
        .prop_map(|(messages, authors)| Rows { messages, authors })
}

fn author_id(place: usize) -> Uuid {
    Uuid::from_u128((u128::try_from(place).unwrap() + 1) << 64 | 0xabc)
}

fn maybe(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| Value::text(text))
}

fn instant_or_null(at: Option<i64>) -> Value {
    at.map_or(Value::Null, |at| Value::Timestamp(Timestamp::from_millis(at)))
}

impl Rows {
    /// Returns the mutations that replace all rows of the database with these.
    pub fn ops(&self, given: &Given) -> Vec<Mutation> {
        let names: Vec<Uuid> = (0..AUTHORS).map(author_id).collect();
        let values = names.iter().map(|id| Value::Uuid(*id)).collect();
        let theirs = Filter::Field(&access::user, Test::In(values));
        let users = (0..self.authors.len()).map(|place| self.author(place, given)).collect();
        let access = (0..self.authors.len()).flat_map(|place| self.access(place, given)).collect();
        let messages = self.messages.keys().map(|id| self.message(*id)).collect();
        vec![
            Mutation::DeleteWhere { collection: &MESSAGES, filter: Filter::everything() },
            Mutation::DeleteWhere { collection: &ACCESS, filter: theirs },
            Mutation::delete(
                &USERS,
                names.into_iter().map(Key::Uuid).collect(),
                Precondition::None,
            ),
            Mutation::Create { collection: &USERS, rows: users },
            Mutation::Create { collection: &ACCESS, rows: access },
            Mutation::Create { collection: &MESSAGES, rows: messages },
        ]
    }

    /// Returns the messages, joined with all related rows that filters may use.
    pub fn records(&self, given: &Given) -> Vec<Record> {
        let behind = |place: Option<usize>| {
            let place = place.filter(|place| *place < self.authors.len())?;
            let author = self.author(place, given);
            let role =
                given.roles.iter().find(|role| role.get(&roles::id) == author.get(&users::role));
            let role = role.map(|role| Box::new(Record::from(role.clone())));
            let access = self.access(place, given).into_iter().map(|access| {
                let policy = given
                    .policies
                    .iter()
                    .find(|row| row.get(&policies::id) == access.get(&access::policy));
                let policy = Box::new(Record::from(policy.unwrap().clone()));
                let mut access = Record::from(access);
                access.attach(&access::policy, Related::One(Some(policy)));
                access
            });
            let mut record = Record::from(author);
            record.attach(&users::role, Related::One(role));
            record.attach(&users::policies, Related::Many(access.collect()));
            Some(Box::new(record))
        };
        let records = self.messages.iter().map(|(id, message)| {
            let mut record = Record::new(Arc::new(self.message(*id)));
            let author = Related::One(behind(message.author));
            record.attach(&messages::user_created, author);
            let editor = Related::One(behind(message.editor));
            record.attach(&messages::user_updated, editor);
            record
        });
        records.collect()
    }

    fn message(&self, id: i64) -> Row {
        let message = &self.messages[&id];
        let known =
            |place: Option<usize>| place.filter(|place| *place < self.authors.len()).map(author_id);
        Row::empty(&MESSAGES)
            .with(&messages::id, id)
            .with(&messages::content, maybe(message.content.as_ref()))
            .with(&messages::date_created, instant_or_null(Some(message.created)))
            .with(&messages::date_updated, instant_or_null(message.updated))
            .with(&messages::guest, message.guest)
            .with(&messages::user_created, known(message.author))
            .with(&messages::user_updated, known(message.editor))
    }

    fn author(&self, place: usize, given: &Given) -> Row {
        let author = &self.authors[place];
        let role = author.role.and_then(|role| given.roles[role].get(&roles::id));
        Row::empty(&USERS)
            .with(&users::id, author_id(place))
            .with(&users::status, AccountStatus::Active)
            .with(&users::provider, "default")
            .with(&users::first_name, maybe(author.first_name.as_ref()))
            .with(&users::last_name, maybe(author.last_name.as_ref()))
            .with(&users::email_notifications, author.notified)
            .with(&users::last_access, instant_or_null(author.accessed))
            .with(&users::role, role)
    }

    fn access(&self, place: usize, given: &Given) -> Vec<Row> {
        let list = self.authors[place].access.iter().enumerate();
        list.map(|(number, (sort, policy))| {
            let id = author_id(place).as_u128() + 1 + u128::try_from(number).unwrap();
            Row::empty(&ACCESS)
                .with(&access::id, Uuid::from_u128(id))
                .with(&access::user, author_id(place))
                .with(&access::policy, given.policies[*policy].get(&policies::id))
                .with(&access::sort, *sort)
        })
        .collect()
    }
}
