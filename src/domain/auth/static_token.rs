//! Static tokens: secrets an administrator gives an account, kept as digests only.
//!
//! They are random and long, so a plain hash is enough: there is nothing to guess one from.

use data_encoding::HEXLOWER;
use sha2::Digest;
use sha2::Sha256;

/// Returns what is stored instead of a static token: its SHA-256 in hexadecimal.
#[must_use]
pub fn digest(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_lower_case() {
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
    }
}
