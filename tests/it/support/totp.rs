//! An authenticator app, implemented independently of the service.

use chinwag::clock::Timestamp;
use data_encoding::BASE32_NOPAD;
use ring::hmac;

use crate::support::{TestServer, User};

/// Returns the code of RFC 6238 for a base32 secret, `steps` time steps away from the instant.
pub fn code(secret: &str, at: Timestamp, steps: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let digest = hmac::sign(&key, &(at.seconds() / 30 + steps).to_be_bytes());
    let digest = digest.as_ref();
    let at = usize::from(digest[19] & 15);
    let cut = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap());
    format!("{:06}", (cut & 0x7fff_ffff) % 1_000_000)
}

impl User {
    /// Sets up a second factor for the account and returns its secret.
    pub async fn enable_factor(&self, server: &TestServer) -> String {
        let password = serde_json::json!({"password": self.password});
        let made = self.post("/users/me/tfa/generate", &password).await.ok();
        let secret = made["secret"].as_str().unwrap().to_owned();
        let otp = code(&secret, server.clock.now(), 0);
        let proof = serde_json::json!({"secret": secret, "otp": otp});
        self.post("/users/me/tfa/enable", &proof).await.nothing();
        secret
    }
}
