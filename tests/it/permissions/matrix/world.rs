//! The accounts of the table, and its messages.

use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::messages;
use chinwag::model::{Key, Row};
use chinwag::store::{Mutation, Precondition, Write};
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Client, Permission, Socket, TestServer, User};

/// An account or visitor, at both entry points.
pub struct Person {
    pub name: &'static str,
    pub client: Client,
    pub socket: Socket,
    /// The author of its own messages, or none for visitors.
    author: Option<Uuid>,
}

pub struct World {
    pub server: TestServer,
    pub admin: User,
    pub people: Vec<Person>,
    bystander: Uuid,
    /// Receives every new message.
    witness: Socket,
}

impl World {
    pub async fn new() -> Self {
        let world = Box::pin(Self::without_public()).await;
        world.server.allow_public(&[Permission::to("read", "messages")]).await;
        world
    }

    /// The same without public permissions.
    pub async fn without_public() -> Self {
        let server = TestServer::start().await;
        let (admin, bystander) = (server.admin().await, server.member("bystander").await);
        let own = || json!({"user_created": {"_eq": "$CURRENT_USER"}});
        let three = ["read", "update", "delete"];
        let owner = three.map(|to| Permission::to(to, "messages").on(own()));
        let moderator = three.map(|to| Permission::to(to, "messages"));
        let mut people = vec![Person {
            name: "visitor",
            client: server.anonymous(),
            socket: Socket::connect(&server).await,
            author: None,
        }];
        for (name, user) in [
            ("roleless", server.user_without_role("roleless").await),
            ("owner", server.user_with("owner", &owner).await),
            ("member", server.member("member").await),
            ("moder", server.user_with("moder", &moderator).await),
            ("admin", server.admin().await),
            ("suspended", server.member("suspended").await),
        ] {
            let mut socket = Socket::signed_in(&server, &user).await;
            if name == "suspended" {
                let status = json!({"status": "suspended"});
                admin.patch(&format!("/users/{}", user.id), &status).await.ok();
                assert_eq!(socket.next().await["error"]["code"], "AUTH_FAILED");
            }
            let (client, author) = (user.bearing(&user.token), Some(user.id.parse().unwrap()));
            people.push(Person { name, client, socket, author });
        }
        let mut witness = Socket::signed_in(&server, &admin).await;
        witness.subscribe("w", json!({"event": "create"})).await;
        let bystander = bystander.id.parse().unwrap();
        Self { server, admin, people, bystander, witness }
    }

    /// Creates the messages for a line of the table: an own one, another account's, or both.
    pub async fn messages(&self, place: usize, whose: &str) -> Vec<i64> {
        let own = self.people[place].author;
        let mut ids = Vec::new();
        for (named, author) in [("own", own), ("other", Some(self.bystander))] {
            if whose == named || whose == "both" {
                ids.push(self.message(author).await);
            }
        }
        ids
    }

    /// Writes to the store, since the API does not allow choosing an author.
    async fn message(&self, author: Option<Uuid>) -> i64 {
        let row = Row::empty(&MESSAGES)
            .with(&messages::content, "before")
            .with(&messages::date_created, self.server.clock.now())
            .with(&messages::user_created, author);
        self.commit(Mutation::Create { collection: &MESSAGES, rows: vec![row] }).await.unwrap()
    }

    /// Updates a message as the service itself.
    pub async fn change(&self, id: i64) {
        let set = vec![messages::content.to("heard?")];
        let (keys, precondition) = (vec![Key::Integer(id)], Precondition::None);
        self.commit(Mutation::Update { collection: &MESSAGES, keys, set, precondition })
            .await
            .unwrap();
    }

    /// Deletes a message as the service itself.
    pub async fn remove(&self, id: i64) {
        let (keys, precondition) = (vec![Key::Integer(id)], Precondition::None);
        self.commit(Mutation::delete(&MESSAGES, keys, precondition)).await.unwrap();
    }

    async fn commit(&self, op: Mutation) -> Option<i64> {
        let write = Write { actor: None, at: self.server.clock.now(), ops: vec![op] };
        let events = self.server.app().services().committer.commit(write).await.unwrap();
        match events.first()?.changes.first()?.key {
            Key::Integer(id) => Some(id),
            Key::Uuid(_) => None,
        }
    }

    /// Waits until all events so far have been delivered. The hub delivers an event to all
    /// subscribers before the next one, so no earlier event can arrive after a message that is
    /// created now.
    pub async fn told(&mut self) {
        let marker = self.message(None).await;
        while self.witness.next().await["data"][0]["id"] != marker {}
    }

    /// Returns the contents of those of these messages that exist.
    pub async fn contents(&self, ids: &[i64]) -> Vec<(i64, String)> {
        let query = json!({"query": {"filter": {"id": {"_in": ids}}, "sort": ["id"]}});
        let found = self.admin.search("/items/messages", &query).await.ok();
        let rows = found.as_array().unwrap().iter();
        rows.map(|row| (row["id"].as_i64().unwrap(), text(&row["content"]))).collect()
    }
}

fn text(content: &Json) -> String {
    content.as_str().unwrap().to_owned()
}
