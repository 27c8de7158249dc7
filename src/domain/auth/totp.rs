//! Time-based one-time passwords (RFC 6238): HMAC-SHA-1, six digits and a period of 30 seconds, the
//! defaults of every authenticator app.
//!
//! Pure. `second_factor` prevents the reuse of codes.

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;

/// Length of a time step, in seconds.
const PERIOD_SECONDS: i64 = 30;
/// Number of digits in a code.
const DIGITS: usize = 6;
/// Accepted steps before and after the current one: phone clocks are seldom exact.
const STEPS_AROUND: i64 = 1;
/// Length of a generated secret in bytes: as long as the hash (RFC 4226, section 4).
const SECRET_BYTES: usize = 20;
/// Minimum length of a secret in bytes (RFC 4226, R6 requires 128 bits, other services issue 80).
const SECRET_BYTES_MIN: usize = 10;

/// The secret shared with an authenticator app.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// Generates a secret.
    ///
    /// # Panics
    /// If the operating system provides no random numbers.
    #[must_use]
    pub fn fresh() -> Self {
        let mut bytes = vec![0; SECRET_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
        Self(bytes)
    }

    /// Parses a secret as users copy it: base32 in any case, with or without spaces and padding.
    /// `None` if it is invalid or too short.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '=')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
        (bytes.len() >= SECRET_BYTES_MIN).then_some(Self(bytes))
    }

    /// Returns the secret in base32, as apps accept it.
    #[must_use]
    pub fn to_text(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// Returns the `otpauth` URL for a QR code. `service` and `account` label the entry in the app.
    #[must_use]
    pub fn address(&self, service: &str, account: &str) -> String {
        let (service, account) = (percent_encoded(service), percent_encoded(account));
        let secret = self.to_text();
        format!(
            "otpauth://totp/{service}:{account}?secret={secret}&period={PERIOD_SECONDS}\
             &digits={DIGITS}&algorithm=SHA1&issuer={service}"
        )
    }

    /// Returns the time step of a code, or `None` if no step around `now` has this code. All steps
    /// are compared, in constant time.
    #[must_use]
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let current = step_at(now);
        let mut found = None;
        for step in (current - STEPS_AROUND)..=(current + STEPS_AROUND) {
            if bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes())) {
                found = Some(step);
            }
        }
        found
    }

    /// Returns the code of a time step.
    #[must_use]
    pub fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let digest = hmac::sign(&key, &step.to_be_bytes());
        let digest = digest.as_ref();
        let offset = usize::from(digest[19] & 15);
        let cut = digest[offset..].first_chunk().expect("an offset is at most 15 of 20 bytes");
        let number = (u32::from_be_bytes(*cut) & 0x7fff_ffff) % 10_u32.pow(6);
        format!("{number:0DIGITS$}")
    }
}

/// Returns the time step of an instant.
#[must_use]
pub const fn step_at(now: Timestamp) -> i64 {
    now.seconds().div_euclid(PERIOD_SECONDS)
}

/// Returns whether a text has the format of a code.
#[must_use]
pub fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Percent-encodes all characters that RFC 3986 reserves or excludes.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret(b"12345678901234567890".to_vec())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn codes_match_the_rfc_6238_vectors() {
        // The last six of the eight digits in its appendix B.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().code(step_at(at(seconds))), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_valid_one_step_early_and_one_step_late() {
        let code = secret().code(100);

        for (step, found) in [(98, None), (99, Some(100)), (100, Some(100)), (101, Some(100))] {
            assert_eq!(secret().step_of(&code, at(step * 30 + 29)), found, "{step}");
        }
        assert_eq!(secret().step_of(&code, at(102 * 30)), None);
        assert_eq!(secret().step_of("", at(3000)), None);
        assert_eq!(secret().step_of(&code[..5], at(3000)), None);
    }

    #[test]
    fn a_secret_parses_with_spaces_padding_and_lowercase() {
        let text = secret().to_text();
        assert_eq!(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");

        assert_eq!(Secret::parse("gezd gnbv gy3t qojq gezd gnbv gy3t qojq"), Some(secret()));
        assert_eq!(Secret::parse(&format!("{text}====")), Some(secret()));
        // 80 bits, as Directus makes them.
        assert!(Secret::parse("NVCVSMARG4FF2JI5".replace('1', "2").as_str()).is_some());
        for wrong in ["", "GEZDGNBV", "GEZDGNBVGY3TQOJ1", "é"] {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fresh_secrets_differ_and_have_160_bits() {
        assert_ne!(Secret::fresh(), Secret::fresh());
        assert_eq!(Secret::fresh().to_text().len(), 32);
    }

    #[test]
    fn the_otpauth_uri_names_the_service_and_the_account() {
        assert_eq!(
            secret().address("My chat", "p4@example.com"),
            "otpauth://totp/My%20chat:p4%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &period=30&digits=6&algorithm=SHA1&issuer=My%20chat"
        );
    }
}
