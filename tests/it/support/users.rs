//! Accounts of tests: signed in, with exactly the permissions that a test names.

use std::ops::Deref;

use chinwag::domain::accounts::Created;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::server::ADMIN;
use crate::support::{Client, TestServer};

/// An account that is signed in over REST. Requests carry its access token.
pub struct User {
    /// The key of the account.
    pub id: String,
    /// The email address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The access token.
    pub token: String,
    /// The refresh token of the same sign-in.
    pub refresh_token: String,
    client: Client,
}

impl Deref for User {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl User {
    /// Signs in with an address and a password.
    pub async fn sign_in(client: &Client, id: &str, email: &str, password: &str) -> Self {
        let login = json!({"email": email, "password": password});
        let data = client.post("/auth/login", &login).await.ok();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        let token = text("access_token");
        Self {
            id: id.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            client: client.bearing(&token),
            refresh_token: text("refresh_token"),
            token,
        }
    }
}

/// A row of `directus_permissions`.
#[derive(Clone)]
pub struct Permission(Json);

impl Permission {
    /// Allows an action on all items and fields of a collection.
    pub fn to(action: &str, collection: &str) -> Self {
        Self(json!({"action": action, "collection": collection, "fields": ["*"]}))
    }

    /// Restricts it to these fields.
    pub fn fields(self, fields: &[&str]) -> Self {
        self.with("fields", json!(fields))
    }

    /// Restricts it to items that match this filter.
    pub fn on(self, filter: Json) -> Self {
        self.with("permissions", filter)
    }

    /// Requires payloads to match this filter.
    pub fn validation(self, filter: Json) -> Self {
        self.with("validation", filter)
    }

    /// Adds default values to payloads.
    pub fn presets(self, presets: Json) -> Self {
        self.with("presets", presets)
    }

    fn with(mut self, name: &str, value: Json) -> Self {
        self.0[name] = value;
        self
    }

    fn of(&self, policy: &Json) -> Json {
        self.clone().with("policy", policy.clone()).0
    }
}

impl TestServer {
    /// Returns the administrator.
    pub async fn admin(&self) -> User {
        let user = User::sign_in(&self.anonymous(), "", ADMIN.0, ADMIN.1).await;
        let me = user.get("/users/me").await.ok();
        User { id: me["id"].as_str().unwrap().to_owned(), ..user }
    }

    /// Returns an account that signed in before this server was restarted.
    pub fn signed_in_again(&self, user: &User) -> User {
        User {
            id: user.id.clone(),
            email: user.email.clone(),
            password: user.password.clone(),
            token: user.token.clone(),
            refresh_token: user.refresh_token.clone(),
            client: self.anonymous().bearing(&user.token),
        }
    }

    /// Creates an account with the Member role: may read and create messages, and change its own.
    pub async fn member(&self, name: &str) -> User {
        let (email, password) = (format!("{name}@example.com"), format!("{name}'s password"));
        let accounts = &self.app().services().accounts;
        let created = accounts.create(&email, Some(name), None, Some(&password)).await;
        let Created { id, .. } = created.unwrap();
        User::sign_in(&self.anonymous(), &id.to_string(), &email, &password).await
    }

    /// Creates an account with a role that has only these permissions.
    pub async fn user_with(&self, name: &str, permissions: &[Permission]) -> User {
        let admin = self.admin().await;
        let policy = admin.policy(name, permissions).await;
        let role = json!({"name": name, "policies": [{"policy": policy}]});
        let role = admin.post("/roles", &role).await.ok()["id"].clone();
        self.user(&admin, name, &role).await
    }

    /// Creates an account without a role, which has the permissions of the public.
    pub async fn user_without_role(&self, name: &str) -> User {
        self.user(&self.admin().await, name, &Json::Null).await
    }

    async fn user(&self, admin: &User, name: &str, role: &Json) -> User {
        let (email, password) = (format!("{name}@example.com"), format!("{name}'s password"));
        let account =
            json!({"email": email, "password": password, "first_name": name, "role": role});
        let id = admin.post("/users", &account).await.ok()["id"].clone();
        User::sign_in(&self.anonymous(), id.as_str().unwrap(), &email, &password).await
    }

    /// Adds permissions to the Public policy.
    pub async fn allow_public(&self, permissions: &[Permission]) {
        let admin = self.admin().await;
        let public = "/access?filter[role][_null]=true&filter[user][_null]=true&fields=policy";
        let policy = admin.get(public).await.ok()[0]["policy"].clone();
        admin.grant(&policy, permissions).await;
    }
}

impl User {
    /// Creates a policy as an administrator and returns its key.
    pub async fn policy(&self, name: &str, permissions: &[Permission]) -> Json {
        let policy = self.post("/policies", &json!({"name": name})).await.ok()["id"].clone();
        self.grant(&policy, permissions).await;
        policy
    }

    /// Adds permissions to a policy as an administrator and returns their keys.
    pub async fn grant(&self, policy: &Json, permissions: &[Permission]) -> Vec<Json> {
        let rows: Vec<Json> = permissions.iter().map(|permission| permission.of(policy)).collect();
        let made = self.post("/permissions", &json!(rows)).await.ok();
        made.as_array().unwrap().iter().map(|row| row["id"].clone()).collect()
    }
}
