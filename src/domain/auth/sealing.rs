//! Encryption at rest of secrets that must be readable again: the database alone reveals none.
//!
//! ChaCha20-Poly1305 under a key derived from `SECRET`, bound to the account, with a random nonce.
//! A value is `sealed:` followed by nonce, ciphertext and tag in base64url. A value without this
//! prefix is used as it is: rows imported from Directus hold their secret in plain text.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::config::Secret;
use crate::domain::auth::mac::MacKey;

/// The purpose of the key. Without a dot, it is never the text of a JWT under the same secret.
const PURPOSE: &[u8] = b"chinwag sealing of secrets at rest";
/// The prefix of a sealed value.
const PREFIX: &str = "sealed:";
/// Length of a nonce in bytes.
const NONCE_BYTES: usize = 12;

/// Encrypts and decrypts short texts, each bound to a context that it must be opened with.
pub(super) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(&key.into()))
    }

    /// Returns nonce, ciphertext and tag in base64url.
    pub(super) fn seal(&self, context: &[u8], text: &[u8]) -> String {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system provides random numbers");
        let payload = Payload { msg: text, aad: context };
        let sealed = self.0.encrypt(&nonce.into(), payload).expect("a short text can be encrypted");
        BASE64URL_NOPAD.encode(&[&nonce[..], &sealed].concat())
    }

    /// Returns the text; `None` for another key or context, and for a modified value.
    pub(super) fn open(&self, context: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: context };
        self.0.decrypt(&(*nonce).into(), payload).ok()
    }
}

/// Encrypts and decrypts secrets.
pub struct Sealing {
    cipher: Cipher,
}

impl Sealing {
    /// Creates the cipher under this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { cipher: Cipher::new(MacKey::raw(secret.0.as_bytes()).sign(PURPOSE)) }
    }

    /// Encrypts a text, bound to this account.
    ///
    /// # Panics
    /// If the operating system provides no random numbers.
    #[must_use]
    pub fn seal(&self, account: Uuid, text: &str) -> String {
        format!("{PREFIX}{}", self.cipher.seal(account.as_bytes(), text.as_bytes()))
    }

    /// Decrypts a stored text; `None` if it was sealed under another `SECRET`, for another account,
    /// or was modified.
    #[must_use]
    pub fn open(&self, account: Uuid, stored: &str) -> Option<String> {
        let Some(sealed) = stored.strip_prefix(PREFIX) else { return Some(stored.to_owned()) };
        String::from_utf8(self.cipher.open(account.as_bytes(), sealed)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(7);

    fn sealing(secret: &str) -> Sealing {
        Sealing::new(&Secret(secret.to_owned()))
    }

    #[test]
    fn a_sealed_secret_is_encrypted_and_can_be_opened() {
        let sealed = sealing("one").seal(ACCOUNT, "GEZDGNBVGY3TQOJQ");

        assert!(!sealed.contains("GEZDGNBVGY3TQOJQ"), "{sealed}");
        assert_eq!(sealing("one").open(ACCOUNT, &sealed).as_deref(), Some("GEZDGNBVGY3TQOJQ"));
        assert_ne!(sealed, sealing("one").seal(ACCOUNT, "GEZDGNBVGY3TQOJQ"));
    }

    #[test]
    fn opening_fails_for_a_wrong_secret_account_or_value() {
        let sealed = sealing("one").seal(ACCOUNT, "GEZDGNBVGY3TQOJQ");

        assert_eq!(sealing("two").open(ACCOUNT, &sealed), None);
        assert_eq!(sealing("one").open(Uuid::from_u128(8), &sealed), None);
        for at in PREFIX.len()..sealed.len() {
            let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
            assert_eq!(sealing("one").open(ACCOUNT, &changed), None, "at {at}");
        }
        assert_eq!(sealing("one").open(ACCOUNT, "sealed:"), None);
    }

    #[test]
    fn a_plaintext_secret_is_returned_unchanged() {
        assert_eq!(sealing("one").open(ACCOUNT, "NVCVSM").as_deref(), Some("NVCVSM"));
    }
}
