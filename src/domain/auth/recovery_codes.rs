//! Recovery codes: single passwords for whoever has lost the device of the second factor.
//!
//! Random and long enough that a plain digest of each is enough to store: there is nothing to guess
//! one from. Each is good once.

use data_encoding::BASE32_NOPAD;
use data_encoding::HEXLOWER;
use sha2::Digest;
use sha2::Sha256;
use uuid::Uuid;

/// How many are made at once.
const CODES: usize = 10;
/// How many random bytes one has: 16 characters of base32.
const CODE_BYTES: usize = 10;
/// How many characters of a code stand together.
const GROUP: usize = 4;

/// Returns a fresh set, as people write them down: `ABCD-EFGH-IJKL-MNOP`.
///
/// # Panics
/// If the operating system has no random numbers to give.
#[must_use]
pub fn fresh() -> Vec<String> {
    let one = || {
        let mut bytes = [0; CODE_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        let text = BASE32_NOPAD.encode(&bytes);
        let groups: Vec<&str> =
            (0..text.len()).step_by(GROUP).map(|at| &text[at..at + GROUP]).collect();
        groups.join("-")
    };
    (0..CODES).map(|_| one()).collect()
}

/// Returns what is stored of a set of codes of an account.
#[must_use]
pub fn stored(account: Uuid, codes: &[String]) -> String {
    codes.iter().map(|code| digest(account, code)).collect::<Vec<_>>().join(" ")
}

/// Returns what is left to store once this code is used, or `None` if it is none of those stored.
#[must_use]
pub fn without(account: Uuid, stored: &str, code: &str) -> Option<String> {
    let used = digest(account, code);
    let left: Vec<&str> = stored.split(' ').filter(|digest| *digest != used).collect();
    let left = left.join(" ");
    (left != stored).then_some(left)
}

/// Returns how many are left.
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
    fn each_code_is_good_once_however_it_is_written() {
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
    fn what_is_no_code_of_the_account_changes_nothing() {
        let codes = fresh();
        let all = stored(ACCOUNT, &codes);

        for wrong in ["", "AAAA-AAAA-AAAA-AAAA", "123456"] {
            assert_eq!(without(ACCOUNT, &all, wrong), None, "{wrong}");
            assert_eq!(without(ACCOUNT, "", wrong), None, "{wrong}");
        }
        assert_eq!(without(Uuid::from_u128(8), &all, &codes[0]), None);
    }

    #[test]
    fn the_last_code_leaves_nothing() {
        let codes = vec!["ABCD-EFGH-IJKL-MNOP".to_owned()];

        let left = without(ACCOUNT, &stored(ACCOUNT, &codes), &codes[0]).unwrap();

        assert_eq!(count(&left), 0);
    }
}
