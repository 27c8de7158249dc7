//! Access tokens and session tokens: JSON Web Tokens that name a session.
//!
//! They are signed with `SECRET` (`token_signer`). Claims grant no permissions: session and account
//! are looked up on every use (`recognise`). Times are compared with the service's clock, without
//! leeway.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::dangerous;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::Secret;
use crate::domain::Error;
use crate::domain::auth::token_signer::{ISSUER, TokenSigner};
use crate::model::Actor;

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub id: Uuid,
    /// The account's role.
    pub role: Option<Uuid>,
    /// Whether the account may use an administration app. Informational for clients.
    pub app_access: bool,
    /// Whether the account has all permissions. Informational for clients.
    pub admin_access: bool,
    /// The session.
    pub session: Uuid,
    /// The generation of a session token within its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Time of issue, in Unix seconds.
    pub iat: i64,
    /// Time of expiry, in Unix seconds.
    pub exp: i64,
    /// Start of validity, in Unix seconds. Never set here, but checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    /// The issuer.
    iss: String,
}

impl Claims {
    /// Creates the claims of a token for a session of `user`, valid for `lifetime` from the second
    /// of `at` on.
    #[must_use]
    pub fn new(
        user: Uuid,
        actor: &Actor,
        session: Uuid,
        generation: Option<i64>,
        at: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let iat = at.seconds();
        let lifetime = i64::try_from(whole_seconds(lifetime).as_secs()).unwrap_or(i64::MAX);
        Self {
            id: user,
            role: actor.role,
            app_access: actor.app,
            admin_access: actor.admin,
            session,
            generation,
            iat,
            exp: iat.saturating_add(lifetime),
            nbf: None,
            iss: ISSUER.to_owned(),
        }
    }

    /// Returns when the token expires.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.exp.saturating_mul(1000))
    }

    /// Returns whether the token has expired. The time of expiry itself counts as expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires()
    }
}

/// Maximum number of cached tokens: some megabytes at most.
const KNOWN_MAX: usize = 10_000;

/// Issues and verifies access tokens.
pub struct AccessTokens {
    signer: TokenSigner,
    /// Claims of verified tokens, by token digest: clients send the same token repeatedly. The
    /// tokens themselves are not stored, and comparing digests leaks nothing through timing.
    known: Cache<[u8; 32], Arc<Claims>>,
}

impl AccessTokens {
    /// Creates an issuer of tokens under this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { signer: TokenSigner::new(secret.0.as_bytes()), known: Cache::new(KNOWN_MAX) }
    }

    /// Signs a token with these claims.
    #[must_use]
    pub fn make(&self, claims: &Claims) -> String {
        self.signer.sign(claims)
    }

    /// Verifies a token and returns its claims. The caller must check the expiry.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if the token was not issued here, lacks a claim or is not valid yet.
    pub fn open(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, Error> {
        let claims: Claims = self.signer.verify(token).ok_or(Error::InvalidToken)?;
        if claims.nbf.is_some_and(|nbf| now.seconds() < nbf) {
            return Err(Error::InvalidToken);
        }
        let claims = Arc::new(claims);
        self.known.insert(digest(token), Arc::clone(&claims));
        Ok(claims)
    }

    /// Returns the cached claims of a token verified before. The caller must check the expiry.
    #[must_use]
    pub fn recall(&self, token: &str) -> Option<Arc<Claims>> {
        self.known.get(&digest(token))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Returns whether a token claims to be issued here. The claim is not verified.
#[must_use]
pub fn claims_to_be_ours(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Issuer {
        iss: Json,
    }
    dangerous::insecure_decode_claims::<Issuer>(token).is_ok_and(|claims| claims.iss == ISSUER)
}

/// Rounds up to whole seconds, the resolution of times in tokens.
#[must_use]
pub fn whole_seconds(time: Duration) -> Duration {
    let part = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(part))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::json;

    use super::*;
    use crate::signatures;

    const SECRET: &str = "a secret of at least thirty-two characters";
    const NOW: Timestamp = Timestamp::from_millis(1_795_303_007_250);

    fn tokens(secret: &str) -> AccessTokens {
        AccessTokens::new(&Secret(secret.to_owned()))
    }

    fn claims() -> Claims {
        let actor = Actor { role: Some(Uuid::from_u128(3)), admin: true, ..Actor::denied() };
        let ttl = Duration::from_mins(15);
        Claims::new(Uuid::from_u128(1), &actor, Uuid::from_u128(2), None, NOW, ttl)
    }

    /// Returns the claims as JSON, for tests to modify.
    fn bendable() -> Json {
        serde_json::to_value(claims()).unwrap()
    }

    fn signed(claims: &Json, algorithm: Algorithm, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        signatures::encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    #[track_caller]
    fn assert_invalid(token: &str) {
        assert!(claims_to_be_ours(token));
        assert!(matches!(tokens(SECRET).open(token, NOW), Err(Error::InvalidToken)));
    }

    #[test]
    fn only_verified_tokens_are_recalled_from_the_cache() {
        let (tokens, other) = (tokens(SECRET), tokens("another secret of thirty-two characters"));
        let token = tokens.make(&claims());

        assert_eq!(tokens.recall(&token), None);
        assert!(other.open(&token, NOW).is_err());
        assert_eq!(other.recall(&token), None);
        tokens.open(&token, NOW).unwrap();
        assert_eq!(*tokens.recall(&token).unwrap(), claims());
        assert_eq!(tokens.recall(&token[..token.len() - 1]), None);
    }

    #[test]
    fn a_token_round_trips_its_claims() {
        let token = tokens(SECRET).make(&claims());

        assert!(claims_to_be_ours(&token));
        assert_eq!(*tokens(SECRET).open(&token, NOW).unwrap(), claims());
        assert_eq!(
            bendable(),
            json!({
                "id": "00000000-0000-0000-0000-000000000001",
                "role": "00000000-0000-0000-0000-000000000003",
                "app_access": false,
                "admin_access": true,
                "session": "00000000-0000-0000-0000-000000000002",
                "iat": 1_795_303_007,
                "exp": 1_795_303_907,
                "iss": "directus",
            }),
        );
    }

    #[test]
    fn a_session_token_carries_its_generation() {
        let token = tokens(SECRET).make(&Claims { generation: Some(4), ..claims() });

        assert_eq!(tokens(SECRET).open(&token, NOW).unwrap().generation, Some(4));
    }

    #[test]
    fn a_token_expires_at_its_exp_claim() {
        assert!(!claims().is_expired(Timestamp::from_millis(1_795_303_906_999)));
        assert!(claims().is_expired(Timestamp::from_millis(1_795_303_907_000)));
    }

    #[test]
    fn an_expired_token_can_still_be_opened() {
        let late = NOW.plus(Duration::from_secs(100_000));
        let token = tokens(SECRET).make(&claims());

        assert!(tokens(SECRET).open(&token, late).unwrap().is_expired(late));
    }

    #[test]
    fn lifetimes_are_rounded_up_to_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(whole_seconds(Duration::from_secs(2)), Duration::from_secs(2));
        assert_eq!(whole_seconds(Duration::from_millis(2001)), Duration::from_secs(3));
    }

    #[test]
    fn a_changed_payload_or_signature_is_refused() {
        let token = tokens(SECRET).make(&claims());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let mut richer = bendable();
        richer["id"] = json!(Uuid::from_u128(9));
        let richer = BASE64URL_NOPAD.encode(richer.to_string().as_bytes());

        assert_invalid(&format!("{header}.{richer}.{signature}"));
        assert_invalid(&format!("{message}."));
        assert_invalid(&format!("{message}.{}", "A".repeat(43)));
    }

    #[test]
    fn another_secret_or_algorithm_is_refused() {
        assert_invalid(&signed(&bendable(), Algorithm::HS256, "another secret"));
        assert_invalid(&signed(&bendable(), Algorithm::HS384, SECRET));
        assert_invalid(&signed(&bendable(), Algorithm::HS512, SECRET));
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let payload = BASE64URL_NOPAD.encode(bendable().to_string().as_bytes());

        for algorithm in ["none", "None", "NONE", ""] {
            let header = json!({"typ": "JWT", "alg": algorithm}).to_string();
            let header = BASE64URL_NOPAD.encode(header.as_bytes());
            assert_invalid(&format!("{header}.{payload}."));
        }
    }

    #[test]
    fn a_token_without_a_claim_is_refused() {
        for claim in ["id", "session", "exp", "iat"] {
            let mut bent = bendable();
            bent.as_object_mut().unwrap().remove(claim);
            assert_invalid(&signed(&bent, Algorithm::HS256, SECRET));
        }
    }

    #[test]
    fn a_token_with_a_claim_of_the_wrong_type_is_refused() {
        for (claim, value) in [
            ("session", json!("no uuid")),
            ("session", json!(null)),
            ("exp", json!("1795303907")),
            ("exp", json!(null)),
            ("generation", json!("1")),
            ("aud", json!("somebody else")),
        ] {
            let mut bent = bendable();
            bent[claim] = value;
            assert_invalid(&signed(&bent, Algorithm::HS256, SECRET));
        }
    }

    #[test]
    fn a_token_that_is_not_yet_valid_is_refused() {
        let mut bent = bendable();
        bent["nbf"] = json!(NOW.seconds() + 1);
        let token = signed(&bent, Algorithm::HS256, SECRET);

        assert_invalid(&token);
        assert!(tokens(SECRET).open(&token, NOW.plus(Duration::from_secs(1))).is_ok());
    }

    #[test]
    fn foreign_and_malformed_tokens_are_not_ours() {
        for issuer in [json!("somebody else"), json!(["directus"]), json!(null)] {
            let mut bent = bendable();
            bent["iss"] = issuer;
            let token = signed(&bent, Algorithm::HS256, SECRET);
            assert!(!claims_to_be_ours(&token));
            assert!(tokens(SECRET).open(&token, NOW).is_err());
        }
        for text in ["", "a-static-token", "a.b", "a.b.c", "..", "a.e30.c"] {
            assert!(!claims_to_be_ours(text), "{text}");
        }
    }
}
