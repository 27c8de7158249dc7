//! Who the connections belong to: the one account that was named, or ordinary ones that are made
//! for the run.

use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use crate::Outcome;
use crate::directus::answer;
use crate::http::request;
use crate::target::Target;

/// The tokens of all accounts; there is at least one.
pub struct Accounts {
    tokens: Vec<Arc<str>>,
}

impl Accounts {
    /// Makes so many accounts with a role, or with 0 takes the one that was named. Making them
    /// takes the rights of an administrator. They stay: use a database of its own.
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
        // Tokens need no passwords, and so no costly hashes.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token of one, beginning again after the last.
    pub fn token(&self, place: usize) -> &Arc<str> {
        &self.tokens[place % self.tokens.len()]
    }
}
