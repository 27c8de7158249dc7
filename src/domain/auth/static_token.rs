//! Static tokens: secrets that an administrator gives to an account, stored as digests only.
//!
//! They are random and too long to guess, so a plain hash is safe to store.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Returns the stored form of a static token: its SHA-256 in hexadecimal.
#[must_use]
pub fn digest(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_lowercase_hex() {
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
    }
}
