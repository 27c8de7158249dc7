//! Idempotent creates, by a key that the client chooses.

use data_encoding::HEXLOWER;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::domain::Error;
use crate::model::{Actor, Collection, Kind};
use crate::store::IdempotencyKey;

/// The maximum length of a key in bytes.
const KEY_BYTES_MAX: usize = 255;
/// The minimum length of a key without a sign-in, in bytes. All visitors share one key space: their
/// addresses change when they move to another network, which is when requests are repeated. The key
/// must therefore be too long for two visitors to choose the same one.
const PUBLIC_KEY_BYTES_MIN: usize = 16;

/// Returns the idempotency key of a create without its `roots`, which the caller adds. The key
/// belongs to the actor's account: another account may use the same one.
///
/// # Errors
/// [`Error::InvalidPayload`] if the key is too long, empty, or too short for a visitor.
pub(super) fn key(
    actor: &Actor,
    collection: &'static Collection,
    payload: &Json,
    key: String,
) -> Result<IdempotencyKey, Error> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::payload(format!(
            "the idempotency key must have 1 to {KEY_BYTES_MAX} characters"
        )));
    }
    if actor.user.is_none() && key.len() < PUBLIC_KEY_BYTES_MIN {
        return Err(Error::payload(format!(
            "without a sign-in the idempotency key must have at least {PUBLIC_KEY_BYTES_MIN} \
             characters: use a random one, such as a UUID"
        )));
    }
    let digest = digest(collection, payload);
    Ok(IdempotencyKey { owner: actor.user, key, digest, collection, roots: Vec::new() })
}

/// Returns a digest of the request. Secrets are left out: guessing a password from this digest
/// would be cheaper than from the password's hash.
fn digest(collection: &'static Collection, payload: &Json) -> String {
    let mut text = collection.name.to_owned();
    write(&without_secrets(collection, payload), &mut text);
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// Returns the payload for items of a collection and behind its relations, without secrets.
fn without_secrets(collection: &'static Collection, sent: &Json) -> Json {
    let open = |(name, value): (&String, &Json)| {
        let value = match collection.field(name) {
            Some(field) if matches!(field.kind, Kind::Secret) => return None,
            Some(field) => match field.leads_to() {
                Some(other) => without_secrets(other, value),
                None => value.clone(),
            },
            // The items that a list creates and updates are of the same collection.
            None if value.is_array() => without_secrets(collection, value),
            None => value.clone(),
        };
        Some((name.clone(), value))
    };
    match sent {
        Json::Object(fields) => Json::Object(fields.iter().filter_map(open).collect()),
        Json::Array(items) => items.iter().map(|it| without_secrets(collection, it)).collect(),
        plain => plain.clone(),
    }
}

/// Writes canonical JSON: the order of keys makes no difference.
fn write(value: &Json, text: &mut String) {
    match value {
        Json::Array(values) => {
            text.push('[');
            for value in values {
                write(value, text);
                text.push(',');
            }
            text.push(']');
        }
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                write(&Json::from(name.as_str()), text);
                write(value, text);
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::schema::{MESSAGES, ROLES, USERS};

    fn of(payload: &Json) -> String {
        digest(&MESSAGES, payload)
    }

    #[test]
    fn the_digest_ignores_key_order() {
        assert_eq!(of(&json!({"a": 1, "b": [{"c": 2, "d": 3}]})), {
            of(&json!({"b": [{"d": 3, "c": 2}], "a": 1}))
        });
    }

    #[test]
    fn different_payloads_have_different_digests() {
        let payloads = [
            json!({"content": "a"}),
            json!([{"content": "a"}]),
            json!([{"content": "a"}, {}]),
            json!([["content", "a"]]),
            json!({"content": "1"}),
            json!({"content": 1}),
            json!({"content": null}),
            json!({}),
            json!(null),
        ];
        let digests: std::collections::HashSet<String> = payloads.iter().map(of).collect();

        assert_eq!(digests.len(), payloads.len());
        assert_ne!(digest(&USERS, &json!({})), of(&json!({})));
    }

    #[test]
    fn the_digest_omits_passwords() {
        let user = json!({"email": "a@b.c", "password": "secret"});

        assert_eq!(digest(&USERS, &user), digest(&USERS, &json!({"email": "a@b.c"})));
        for with in [
            |user: Json| json!({"users": [user]}),
            |user: Json| json!({"users": {"create": [user]}}),
            |user: Json| json!({"users": [{"role": {"users": [user]}}]}),
        ] {
            let plain = with(json!({"email": "a@b.c"}));
            assert_eq!(digest(&ROLES, &with(user.clone())), digest(&ROLES, &plain));
            assert_ne!(digest(&ROLES, &plain), digest(&ROLES, &with(json!({"email": "b@b.c"}))));
        }
    }

    #[test]
    fn key_length_is_limited_and_visitors_need_long_keys() {
        let asked =
            |actor: &Actor, key: &str| super::key(actor, &MESSAGES, &json!({}), key.to_owned());
        let visitor = Actor::denied();
        let alice = Actor { user: Some(Uuid::from_u128(7)), ..Actor::denied() };

        assert!(asked(&alice, "1").is_ok());
        for (actor, key) in [
            (&alice, ""),
            (&alice, &"x".repeat(256)),
            (&visitor, "1"),
            (&visitor, "123456789012345"),
        ] {
            assert!(matches!(asked(actor, key), Err(Error::InvalidPayload(_))), "{key}");
        }
        assert!(asked(&visitor, "1234567890123456").is_ok());
    }
}
