//! Refresh tokens: derived from the session, never stored.
//!
//! A token is 48 bytes, as 64 characters of base64url: the session's id (16), the generation (8)
//! and a MAC over both and the session's secret seed (24), under a key derived from `SECRET`. The
//! server can therefore issue the same token again. Two tabs that refresh at the same time must get
//! the same successor, which a store of hashes could not return to the second one. Neither the
//! database nor `SECRET` alone suffices to forge a token.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::config::Secret;
use crate::domain::auth::mac::MacKey;

/// Number of bytes of the MAC in a token.
const MAC_BYTES: usize = 24;
/// Length of a token in bytes.
const TOKEN_BYTES: usize = 16 + 8 + MAC_BYTES;
/// The purpose of the key.
const PURPOSE: &[u8] = b"chinwag refresh token";

/// Issues and verifies refresh tokens.
pub struct RefreshTokens {
    key: MacKey,
}

/// A parsed token that is not verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The session that the token claims.
    pub session: Uuid,
    /// The generation that the token claims.
    pub generation: i64,
    mac: [u8; MAC_BYTES],
}

impl Claimed {
    /// Parses a token; `None` if its format is wrong.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().ok()?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, mac) = rest.split_first_chunk::<8>()?;
        Some(Self {
            session: Uuid::from_bytes(*session),
            generation: i64::from_be_bytes(*generation),
            mac: mac.try_into().ok()?,
        })
    }
}

impl RefreshTokens {
    /// Creates an issuer of tokens under this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { key: MacKey::new(secret.0.as_bytes(), PURPOSE) }
    }

    /// Returns the session's token of this generation. The result is always the same.
    #[must_use]
    pub fn make(&self, session: Uuid, seed: &str, generation: i64) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.extend_from_slice(session.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(&self.mac(session, seed, generation));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Returns whether the token was issued here for the session with this seed.
    #[must_use]
    pub fn is_genuine(&self, token: &Claimed, seed: &str) -> bool {
        let mac = self.mac(token.session, seed, token.generation);
        mac.ct_eq(&token.mac).into()
    }

    fn mac(&self, session: Uuid, seed: &str, generation: i64) -> [u8; MAC_BYTES] {
        let message = [session.as_bytes(), &generation.to_be_bytes()[..], seed.as_bytes()].concat();
        let mac = self.key.sign(&message);
        *mac.first_chunk().expect("a MAC of 32 bytes has 24")
    }
}

/// Generates a seed for a session.
///
/// # Panics
/// If the operating system provides no random numbers.
#[must_use]
pub fn fresh_seed() -> String {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the operating system provides random numbers");
    BASE64URL_NOPAD.encode(&seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Uuid = Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888);
    const SEED: &str = "s8aQmVnGCkc5xWqVqsUeF3xXYyYpQOTHk1Yy2o0uZtM";

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(&Secret("a secret of at least thirty-two characters".to_owned()))
    }

    #[test]
    fn tokens_are_deterministic_and_have_64_characters() {
        let token = tokens().make(SESSION, SEED, 7);

        assert_eq!(token.len(), 64);
        assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        assert_eq!(token, tokens().make(SESSION, SEED, 7));
        assert_ne!(token, tokens().make(SESSION, SEED, 8));
    }

    #[test]
    fn a_token_carries_its_session_and_generation() {
        let claimed = Claimed::parse(&tokens().make(SESSION, SEED, 7)).unwrap();

        assert_eq!((claimed.session, claimed.generation), (SESSION, 7));
        assert!(tokens().is_genuine(&claimed, SEED));
    }

    #[test]
    fn a_change_of_any_character_is_detected() {
        let token = tokens().make(SESSION, SEED, 7);

        for at in 0..token.len() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            let claimed = Claimed::parse(&changed).unwrap();
            assert!(!tokens().is_genuine(&claimed, SEED), "at {at}");
        }
    }

    #[test]
    fn a_genuine_token_needs_both_secret_and_seed() {
        let claimed = Claimed::parse(&tokens().make(SESSION, SEED, 7)).unwrap();
        let elsewhere = RefreshTokens::new(&Secret("another secret".to_owned()));

        assert!(!elsewhere.is_genuine(&claimed, SEED));
        assert!(!tokens().is_genuine(&claimed, &fresh_seed()));
    }

    #[test]
    fn malformed_tokens_are_not_parsed() {
        let token = tokens().make(SESSION, SEED, 7);

        for text in ["", "abc", &token[..63], &format!("{token}A"), &"é".repeat(32)] {
            assert_eq!(Claimed::parse(text), None, "{text}");
        }
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(fresh_seed(), fresh_seed());
        assert_eq!(fresh_seed().len(), 43);
    }
}
