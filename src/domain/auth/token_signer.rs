//! Signs and verifies the JSON Web Tokens of this service.
//!
//! The algorithm is always HS256; a token's header cannot select another one. Times are left to the
//! callers, since the library reads the system clock instead of the service's.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::signatures;

/// The `iss` of tokens issued here. Directus uses the same name, and clients may check it.
pub(in crate::domain) const ISSUER: &str = "directus";

/// A key for tokens, whose claims have to contain `iss` and `exp`.
pub(in crate::domain) struct TokenSigner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl TokenSigner {
    pub(in crate::domain) fn new(key: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        validation.leeway = 0;
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let (encoding, decoding) = (EncodingKey::from_secret(key), DecodingKey::from_secret(key));
        Self { encoding, decoding, validation }
    }

    /// Returns a token with these claims.
    pub(in crate::domain) fn sign(&self, claims: &impl Serialize) -> String {
        signatures::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .expect("claims can be serialized, and HMAC accepts any key")
    }

    /// Returns the claims of a token that was signed with this key, whether or not it has expired.
    pub(in crate::domain) fn verify<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let verified = signatures::decode(token, &self.decoding, &self.validation);
        verified.ok().map(|token| token.claims)
    }
}
