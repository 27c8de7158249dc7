//! Signatures of JSON Web Tokens, computed by ring, which TLS needs anyway. The cryptography crates
//! that jsonwebtoken can use are an older generation of those that openidconnect depends on.
//!
//! Signs with shared secrets only: this service signs nothing with a private key. The caller
//! restricts the algorithm of a token (`jsonwebtoken::Validation`).

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Header, TokenData,
    Validation,
};
use ring::hmac;
use ring::signature as public;
use serde::Serialize;
use serde::de::DeserializeOwned;

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // These functions extract key components, which nothing here needs.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Encodes and signs a token.
///
/// # Errors
/// If the claims cannot be serialized, or the key does not fit the algorithm of the header.
#[expect(clippy::disallowed_methods, reason = "this is its only caller")]
pub fn encode<T: Serialize>(header: &Header, claims: &T, key: &EncodingKey) -> Result<String> {
    install();
    jsonwebtoken::encode(header, claims, key)
}

/// Decodes a token and validates its signature and claims.
///
/// # Errors
/// If the token is malformed, or its signature or claims are invalid.
#[expect(clippy::disallowed_methods, reason = "this is its only caller")]
pub fn decode<T: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<TokenData<T>> {
    install();
    jsonwebtoken::decode(token, key, validation)
}

/// Installs ring as the process-wide crypto provider of jsonwebtoken.
fn install() {
    // An error means that it is already installed.
    let _ = RING.install_default();
}

/// A shared secret, for one algorithm.
struct Shared {
    algorithm: Algorithm,
    key: hmac::Key,
}

/// A public key, for one algorithm.
struct Public {
    algorithm: Algorithm,
    key: DecodingKey,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of jsonwebtoken")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match key.family() {
        AlgorithmFamily::Hmac => Ok(Box::new(Shared::new(*algorithm, key.as_bytes())?)),
        _ => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of jsonwebtoken")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match key.family() {
        AlgorithmFamily::Hmac => Ok(Box::new(Shared::new(*algorithm, key.try_get_as_bytes()?)?)),
        family if family == family_of(*algorithm) => {
            Ok(Box::new(Public { algorithm: *algorithm, key: key.clone() }))
        }
        _ => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

const fn family_of(algorithm: Algorithm) -> AlgorithmFamily {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => AlgorithmFamily::Hmac,
        Algorithm::ES256 | Algorithm::ES384 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
        _ => AlgorithmFamily::Rsa,
    }
}

impl Shared {
    fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self> {
        let hash = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return Err(ErrorKind::InvalidKeyFormat.into()),
        };
        Ok(Self { algorithm, key: hmac::Key::new(hash, secret) })
    }
}

impl signature::Signer<Vec<u8>> for Shared {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl JwtSigner for Shared {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for Shared {
    fn verify(&self, message: &[u8], mac: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        hmac::verify(&self.key, message, mac).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Shared {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for Public {
    fn verify(
        &self,
        message: &[u8],
        signed: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let rsa: &public::RsaParameters = match self.algorithm {
            Algorithm::RS256 => &public::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &public::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &public::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &public::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &public::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &public::RSA_PSS_2048_8192_SHA512,
            Algorithm::ES256 => {
                return self.check(&public::ECDSA_P256_SHA256_FIXED, message, signed);
            }
            Algorithm::ES384 => {
                return self.check(&public::ECDSA_P384_SHA384_FIXED, message, signed);
            }
            Algorithm::EdDSA => return self.check(&public::ED25519, message, signed),
            _ => return Err(signature::Error::new()),
        };
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                // ring rejects leading zeros, which some issuers write.
                let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
                public::RsaPublicKeyComponents { n, e }
                    .verify(rsa, message, signed)
                    .map_err(|_| signature::Error::new())
            }
            DecodingKeyKind::SecretOrDer(_) => self.check(rsa, message, signed),
        }
    }
}

impl Public {
    fn check(
        &self,
        algorithm: &'static dyn public::VerificationAlgorithm,
        message: &[u8],
        signed: &[u8],
    ) -> std::result::Result<(), signature::Error> {
        let key = self.key.try_get_as_bytes().map_err(|_| signature::Error::new())?;
        let key = public::UnparsedPublicKey::new(algorithm, key);
        key.verify(message, signed).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::jwk::Jwk;
    use serde_json::Value as Json;

    use super::*;

    /// Keys, and signatures of `{"sub":"ada"}` made by OpenSSL. The shared key is
    /// `a secret that is shared`.
    const VECTORS: &str = include_str!("vectors.json");

    struct Vector {
        algorithm: Algorithm,
        key: DecodingKey,
        token: String,
    }

    fn vectors() -> Vec<Vector> {
        let known: Json = serde_json::from_str(VECTORS).unwrap();
        let signatures = known["signatures"].as_object().unwrap().iter();
        let vectors = signatures.map(|(name, signed)| {
            let key = &known["keys"][signed["key"].as_str().unwrap()];
            let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
            let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
            let (header, claims) =
                (part(&format!("{{\"alg\":\"{name}\"}}")), part("{\"sub\":\"ada\"}"));
            Vector {
                algorithm: name.parse().unwrap(),
                key: DecodingKey::from_jwk(&jwk).unwrap(),
                token: format!("{header}.{claims}.{}", signed["signature"].as_str().unwrap()),
            }
        });
        vectors.collect()
    }

    fn opened(vector: &Vector, token: &str) -> Result<TokenData<Json>> {
        let mut validation = Validation::new(vector.algorithm);
        validation.set_required_spec_claims::<&str>(&[]);
        validation.validate_exp = false;
        decode(token, &vector.key, &validation)
    }

    #[test]
    fn signatures_of_every_algorithm_are_verified() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 12);
        for vector in &vectors {
            let name = vector.algorithm;
            assert_eq!(opened(vector, &vector.token).unwrap().claims["sub"], "ada", "{name:?}");
            let (rest, signature) = vector.token.rsplit_once('.').unwrap();
            let mut other = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
            other[7] ^= 1;
            for signature in [BASE64URL_NOPAD.encode(&other), String::new(), "AAAA".to_owned()] {
                assert!(opened(vector, &format!("{rest}.{signature}")).is_err(), "{name:?}");
            }
            let claims = BASE64URL_NOPAD.encode(b"{\"sub\":\"bob\"}");
            let header = rest.split_once('.').unwrap().0;
            let bent = format!("{header}.{claims}.{signature}");
            assert!(opened(vector, &bent).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_key_verifies_only_algorithms_of_its_family() {
        let vectors = vectors();
        for (vector, other) in
            vectors.iter().flat_map(|one| vectors.iter().map(move |two| (one, two)))
        {
            if vector.key.family() != other.key.family() {
                assert!(verifier(&vector.algorithm, &other.key).is_err(), "{:?}", vector.algorithm);
            }
        }
    }

    #[test]
    fn tokens_are_signed_only_with_shared_secrets() {
        let secret = EncodingKey::from_secret(b"a secret that is shared");
        for vector in vectors() {
            let header = Header { typ: None, ..Header::new(vector.algorithm) };
            let token = encode(&header, &serde_json::json!({"sub": "ada"}), &secret);
            match family_of(vector.algorithm) {
                AlgorithmFamily::Hmac => assert_eq!(token.unwrap(), vector.token),
                _ => assert!(token.is_err(), "{:?}", vector.algorithm),
            }
        }
    }
}
