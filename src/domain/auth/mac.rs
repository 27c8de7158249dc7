//! HMAC-SHA256, to authenticate data that this service has issued.

use ring::hmac;

/// A key for one purpose.
pub(in crate::domain) struct MacKey(hmac::Key);

impl MacKey {
    /// Derives the key for a purpose from a secret. The purpose has no dot, so that it is never the
    /// text of a JWT under the same secret.
    pub(in crate::domain) fn new(secret: &[u8], purpose: &[u8]) -> Self {
        Self::raw(&Self::raw(secret).sign(purpose))
    }

    /// Returns the MAC of a message.
    pub(in crate::domain) fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mac = hmac::sign(&self.0, message);
        mac.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }

    /// Uses a secret itself as the key.
    pub(in crate::domain) fn raw(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_matches_the_rfc_4231_vector() {
        let key = MacKey::raw(b"Jefe");

        let mac = key.sign(b"what do ya want for nothing?");

        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(data_encoding::HEXLOWER.encode(&mac), known);
    }
}
