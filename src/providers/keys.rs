//! Tokens that an application issues itself, and the set of public keys to verify them with.
//!
//! A token selects its key by `kid` only: `jku`, `x5u`, `jwk` and `x5c` are ignored. Only the
//! configured algorithms are accepted, all of them asymmetric. The caller checks the validity
//! period of a token.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use url::Url;

use crate::clock::Clock;
use crate::config::IssuerConfig;
use crate::providers::fetched::{CachedVersion, Fetched, Wanted};
use crate::providers::{Http, Network, Profile, ProviderError};
use crate::signatures;

/// Maximum number of keys read from a set.
const KEYS_MAX: usize = 64;
/// Minimum length of an RSA modulus: 2048 bits.
const RSA_BYTES_MIN: usize = 256;

/// Why a token was not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The token is invalid. Another attempt will not succeed.
    Refused,
    /// The key set is currently unavailable.
    Unavailable(&'static str),
}

/// The key set of one issuer.
pub struct KeySet {
    url: Url,
    issuer: String,
    audience: Vec<String>,
    algorithms: Vec<Algorithm>,
    http: Http,
    keys: Fetched<Vec<Key>>,
}

/// One key, for one family of algorithms.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// The header of a token.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that the verifier has to support. None is supported.
    crit: Option<Json>,
}

impl KeySet {
    /// Creates the configured key set. It is not fetched yet.
    #[must_use]
    pub fn new(config: &IssuerConfig, network: &Network, clock: &Clock) -> Self {
        Self {
            url: config.keys_url.clone(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            algorithms: config.algorithms.iter().filter_map(|name| name.parse().ok()).collect(),
            http: Http::new(network, config.timeout),
            keys: Fetched::new(clock.clone()),
        }
    }

    /// Returns whether the token's `iss` claim names this issuer. The claim is unverified.
    #[must_use]
    pub fn is_named_by(&self, token: &str) -> bool {
        let mut parts = token.split('.');
        let (Some(_), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        part::<Map<String, Json>>(claims)
            .is_some_and(|claims| claims.get("iss").and_then(Json::as_str) == Some(&self.issuer))
    }

    /// Returns the version of the key set, which is fetched only if the cached one is not fresh. A
    /// token that was verified with another version has to be verified again.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`].
    pub async fn version(&self) -> Result<u64, TokenError> {
        Ok(self.version_of(Wanted::Any).await?.number)
    }

    /// Verifies the signature, issuer and audience of a token. Returns its claims and the version
    /// of the key set. An unknown key may be new, so the set is fetched again, at a limited rate.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn open(&self, token: &str) -> Result<(Profile, u64), TokenError> {
        let header = token.split('.').next().and_then(part::<Header>);
        let header = header.filter(|header| header.crit.is_none()).ok_or(TokenError::Refused)?;
        let algorithm = header.alg.parse().ok();
        let algorithm = algorithm.filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm: Algorithm = algorithm.ok_or(TokenError::Refused)?;
        let mut version = self.version_of(Wanted::Any).await?;
        if find(&version.value, header.kid.as_deref(), algorithm).is_none() {
            version = self.version_of(Wanted::After(version.number)).await?;
        }
        let key = find(&version.value, header.kid.as_deref(), algorithm);
        let key = key.ok_or(TokenError::Refused)?;
        let opened = signatures::decode(token, &key.decoding, &self.validation(algorithm));
        let claims = opened.map_err(|_| TokenError::Refused)?.claims;
        Ok((Profile::new(claims), version.number))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library reads the system time; the caller uses the `Clock` instead.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }

    async fn version_of(&self, wanted: Wanted) -> Result<Arc<CachedVersion<Vec<Key>>>, TokenError> {
        let fetch = || {
            let (http, url) = (self.http.clone(), self.url.clone());
            async move { read(&http.json(&url, None).await?) }
        };
        self.keys.get(wanted, &self.http, fetch).await.map_err(|error| match error {
            ProviderError::Unavailable(reason) | ProviderError::Unproven(reason) => {
                TokenError::Unavailable(reason)
            }
            ProviderError::Code => TokenError::Unavailable("the response is invalid"),
        })
    }
}

/// Decodes a part of an unverified token.
fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()
}

/// Returns the key with this `kid`. A token without a `kid` can only use the key of a set of one.
fn find<'a>(keys: &'a [Key], id: Option<&str>, algorithm: Algorithm) -> Option<&'a Key> {
    let fits = |key: &&Key| key.algorithms.contains(&algorithm);
    match (id, keys) {
        (Some(id), _) => keys.iter().filter(|key| key.id.as_deref() == Some(id)).find(fits),
        (None, [only]) => Some(only).filter(fits),
        (None, _) => None,
    }
}

/// Parses a key set, skipping keys for other uses and of unknown types. A set without a usable key
/// is an error.
fn read(set: &Json) -> Result<Vec<Key>, ProviderError> {
    let keys = set.get("keys").and_then(Json::as_array);
    let keys: Vec<Key> = keys.into_iter().flatten().take(KEYS_MAX).filter_map(read_key).collect();
    if keys.is_empty() {
        return Err(ProviderError::Unavailable("the key set has no key for checking signatures"));
    }
    Ok(keys)
}

fn read_key(key: &Json) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let signs = match &jwk.common.public_key_use {
        Some(used) => *used == PublicKeyUse::Signature,
        None => true,
    };
    let verifies = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = BASE64URL_NOPAD.decode(rsa.n.as_bytes()).unwrap_or_default();
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            let is_long = modulus.len() - zeros >= RSA_BYTES_MIN;
            let all = [
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ];
            if is_long { all.to_vec() } else { vec![] }
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => vec![],
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        // Includes symmetric keys: any reader of the key set could sign tokens with them.
        _ => vec![],
    };
    if let Some(name) = key.get("alg").and_then(Json::as_str) {
        let only: Option<Algorithm> = name.parse().ok();
        algorithms.retain(|algorithm| Some(*algorithm) == only);
    }
    if !signs || !verifies || algorithms.is_empty() {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: jwk.common.key_id, algorithms, decoding })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(bytes: usize) -> Json {
        json!({"kty": "RSA", "kid": "r", "e": "AQAB", "n": BASE64URL_NOPAD.encode(&vec![0xc5; bytes])})
    }

    fn with(mut key: Json, name: &str, value: Json) -> Json {
        key[name] = value;
        key
    }

    #[test]
    fn keys_of_other_uses_and_types_are_skipped() {
        let shared = json!({"kty": "oct", "kid": "o", "k": "c2VjcmV0", "alg": "HS256"});
        for key in [
            rsa(128),
            with(rsa(256), "use", json!("enc")),
            with(rsa(256), "alg", json!("RSA-OAEP")),
            with(rsa(256), "alg", json!("HS256")),
            with(rsa(256), "key_ops", json!(["encrypt"])),
            with(rsa(256), "kty", json!("martian")),
            shared,
            json!("no key"),
        ] {
            assert!(read(&json!({"keys": [key.clone()]})).is_err(), "{key}");
            let mixed = read(&json!({"keys": [key, rsa(256)]})).unwrap();
            assert_eq!(mixed.len(), 1);
        }
        for set in [json!({}), json!({"keys": []}), json!({"keys": 7}), json!([])] {
            assert!(read(&set).is_err(), "{set}");
        }
    }

    #[test]
    fn a_key_is_found_by_id_and_algorithm() {
        let one = read(&json!({"keys": [with(rsa(256), "alg", json!("RS256"))]})).unwrap();
        let two = read(&json!({"keys": [rsa(256), with(rsa(256), "kid", json!("s"))]})).unwrap();

        assert!(find(&one, Some("r"), Algorithm::RS256).is_some());
        assert!(find(&one, None, Algorithm::RS256).is_some());
        assert!(find(&one, Some("r"), Algorithm::PS256).is_none());
        assert!(find(&one, Some("R"), Algorithm::RS256).is_none());
        assert!(find(&one, Some("r"), Algorithm::ES256).is_none());
        assert!(find(&two, None, Algorithm::RS256).is_none());
        assert_eq!(find(&two, Some("s"), Algorithm::PS512).unwrap().id.as_deref(), Some("s"));
    }
}
