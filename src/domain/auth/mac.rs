//! HMAC-SHA256, by which this service recognises what it has made itself.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto;

/// A key for one purpose.
pub(in crate::domain) struct MacKey(EncodingKey);

impl MacKey {
    /// Returns the key that comes from a secret for a purpose. The purpose has no dot, so that it is
    /// never the text of a JWT under the same secret.
    pub(in crate::domain) fn new(secret: &[u8], purpose: &[u8]) -> Self {
        let key = Self(EncodingKey::from_secret(secret)).sign(purpose);
        Self(EncodingKey::from_secret(&key))
    }

    /// Returns the MAC of a message.
    pub(in crate::domain) fn sign(&self, message: &[u8]) -> [u8; 32] {
        let text = crypto::sign(message, &self.0, Algorithm::HS256)
            .expect("HMAC takes keys and messages of any length");
        BASE64URL_NOPAD
            .decode(text.as_bytes())
            .ok()
            .and_then(|mac| mac.try_into().ok())
            .expect("HMAC-SHA256 gives 32 bytes, signatures are written in base64url")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_the_one_of_rfc_4231() {
        let key = MacKey(EncodingKey::from_secret(b"Jefe"));

        let mac = key.sign(b"what do ya want for nothing?");

        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(data_encoding::HEXLOWER.encode(&mac), known);
    }
}
