//! Recovery codes: one-time passwords that replace a lost second factor.
//!
//! Codes are random and too long to guess, so a plain digest is safe to store. Each is valid once.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Number of codes in a set.
const CODES: usize = 10;
/// Number of random bytes in a code: 16 characters of base32.
const CODE_BYTES: usize = 10;
/// Number of characters in a group.
const GROUP: usize = 4;

/// Generates a set of codes in readable form: `ABCD-EFGH-IJKL-MNOP`.
///
/// # Panics
/// If the operating system provides no random numbers.
#[must_use]
pub fn fresh() -> Vec<String> {
    let one = || {
        let mut bytes = [0; CODE_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
        let text = BASE32_NOPAD.encode(&bytes);
        let groups: Vec<&str> =
            (0..text.len()).step_by(GROUP).map(|at| &text[at..at + GROUP]).collect();
        groups.join("-")
    };
    (0..CODES).map(|_| one()).collect()
}

/// Returns the stored form of an account's codes: their digests.
#[must_use]
pub fn stored(account: Uuid, codes: &[String]) -> String {
    codes.iter().map(|code| digest(account, code)).collect::<Vec<_>>().join(" ")
}

/// Returns the stored form without this code, or `None` if the code is not in it.
#[must_use]
pub fn without(account: Uuid, stored: &str, code: &str) -> Option<String> {
    let used = digest(account, code);
    let left: Vec<&str> = stored.split(' ').filter(|digest| *digest != used).collect();
    let left = left.join(" ");
    (left != stored).then_some(left)
}

/// Returns the number of codes that are left.
#[must_use]
pub fn count(stored: &str) -> usize {
    stored.split_whitespace().count()
}

fn digest(account: Uuid, code: &str) -> String {
    let code: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let digest = Sha256::new().chain_update(account.as_bytes()).chain_update(code.as_bytes());
    HEXLOWER.encode(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(7);

    #[test]
    fn each_code_works_once_in_any_spelling() {
        let codes = fresh();
        let all = stored(ACCOUNT, &codes);
        assert_eq!((codes.len(), count(&all)), (10, 10));
        assert_eq!(codes[0].len(), 19);

        let written = codes[3].to_lowercase().replace('-', " ");
        let left = without(ACCOUNT, &all, &written).unwrap();

        assert_eq!(count(&left), 9);
        assert_eq!(without(ACCOUNT, &left, &codes[3]), None);
        assert!(without(ACCOUNT, &left, &codes[4]).is_some());
        assert!(!codes.iter().any(|code| all.contains(code.as_str())));
    }

    #[test]
    fn foreign_and_invalid_codes_are_refused() {
        let codes = fresh();
        let all = stored(ACCOUNT, &codes);

        for wrong in ["", "AAAA-AAAA-AAAA-AAAA", "123456"] {
            assert_eq!(without(ACCOUNT, &all, wrong), None, "{wrong}");
            assert_eq!(without(ACCOUNT, "", wrong), None, "{wrong}");
        }
        assert_eq!(without(Uuid::from_u128(8), &all, &codes[0]), None);
    }

    #[test]
    fn using_the_last_code_leaves_none() {
        let codes = vec!["ABCD-EFGH-IJKL-MNOP".to_owned()];

        let left = without(ACCOUNT, &stored(ACCOUNT, &codes), &codes[0]).unwrap();

        assert_eq!(count(&left), 0);
    }
}
