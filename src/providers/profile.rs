//! A user's profile: a JSON object of claims, looked up by names from the settings.

use serde_json::{Map, Value as Json};

/// The claims of a token or of a profile response.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile(Map<String, Json>);

impl Profile {
    /// Creates a profile from claims.
    #[must_use]
    pub const fn new(claims: Map<String, Json>) -> Self {
        Self(claims)
    }

    /// Adds missing claims. Existing claims are kept, since they may be better proven.
    pub(super) fn supplement(&mut self, more: Map<String, Json>) {
        for (name, value) in more {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Returns a claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// Returns a claim as text; `None` if it is absent, empty or of another type. `key` is a claim
    /// name or else a dot-separated path into nested objects. Numbers are converted to text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let mut found = self.0.get(key);
        if found.is_none() {
            let mut parts = key.split('.');
            found = parts.next().and_then(|first| self.0.get(first));
            for part in parts {
                found = found.and_then(|value| value.get(part));
            }
        }
        match found? {
            Json::String(text) if !text.is_empty() => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Returns whether the provider has verified the address; `None` if the claim is absent.
    #[must_use]
    pub fn email_verified(&self) -> Option<bool> {
        match self.0.get("email_verified")? {
            Json::Bool(verified) => Some(*verified),
            // Some providers send a string.
            Json::String(text) => Some(text == "true"),
            _ => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(json: Json) -> Profile {
        match json {
            Json::Object(claims) => Profile::new(claims),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_dotted_key_is_a_name_first_and_then_a_path() {
        let profile =
            profile(json!({"id": 7, "a": {"b": "deep"}, "x.y": "flat", "x": {"y": "no"}}));

        assert_eq!(profile.text("id").as_deref(), Some("7"));
        assert_eq!(profile.text("a.b").as_deref(), Some("deep"));
        assert_eq!(profile.text("x.y").as_deref(), Some("flat"));
        for nothing in ["", "a", "a.c", "a.b.c", "id.x", "z"] {
            assert_eq!(profile.text(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn verified_claims_are_not_overwritten() {
        let mut known = profile(json!({"sub": "1"}));

        known.supplement(profile(json!({"sub": "2", "email": "a@b.c"})).0);

        assert_eq!(known, profile(json!({"sub": "1", "email": "a@b.c"})));
    }

    #[test]
    fn an_address_is_verified_only_if_the_claim_is_true() {
        for (claim, verified) in [
            (json!({}), None),
            (json!({"email_verified": true}), Some(true)),
            (json!({"email_verified": "true"}), Some(true)),
            (json!({"email_verified": false}), Some(false)),
            (json!({"email_verified": "yes"}), Some(false)),
            (json!({"email_verified": 1}), Some(false)),
        ] {
            assert_eq!(profile(claim.clone()).email_verified(), verified, "{claim}");
        }
    }
}
