//! The accounts of the connections: the given account, or accounts created for the run.

use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use crate::Outcome;
use crate::directus::answer;
use crate::http::request;
use crate::target::Target;

/// The access tokens of the accounts, at least one.
pub struct Accounts {
    tokens: Vec<Arc<str>>,
}

impl Accounts {
    /// Creates `count` accounts with a role, or uses the given account if `count` is 0. Creating
    /// accounts requires administrator rights. They are not deleted: use a separate database.
    pub async fn prepare(target: &Target, count: usize, role: &str) -> Outcome<Self> {
        let own = target.token().await?;
        if count == 0 {
            return Ok(Self { tokens: vec![own] });
        }
        let path = format!("/roles?fields=id&filter%5Bname%5D%5B_eq%5D={role}");
        let asked = request("GET", &path, &target.address, Some(&own), None);
        let roles = answer(target, &asked).await?;
        let role =
            roles["data"][0]["id"].as_str().ok_or_else(|| format!("there is no role {role}"))?;
        // Static tokens need no passwords, and thus no expensive hashes.
        let tokens: Vec<String> =
            (0..count).map(|place| format!("load-{:08x}-{place:08}", std::process::id())).collect();
        let users: Vec<Json> = tokens
            .iter()
            .map(|token| json!({"first_name": "Load", "role": role, "token": token}))
            .collect();
        let body = Json::from(users).to_string();
        answer(target, &request("POST", "/users", &target.address, Some(&own), Some(&body)))
            .await?;
        Ok(Self { tokens: tokens.into_iter().map(Into::into).collect() })
    }

    /// Returns the number of accounts.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the token at `place`, modulo the number of accounts.
    pub fn token(&self, place: usize) -> &Arc<str> {
        &self.tokens[place % self.tokens.len()]
    }
}
