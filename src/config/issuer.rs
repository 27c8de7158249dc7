//! A token issuer: an application whose tokens are accepted as access tokens (`AUTH_JWT_…`), with
//! the location of its keys and the required claims.
//!
//! Accounts are identified and admitted as with providers.

use std::time::Duration;

use url::Url;

use crate::config::Admission;
use crate::config::ClaimKeys;
use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::providers::TIMEOUT_MIN;
use crate::config::providers::endpoint;
use crate::config::providers::key;
use crate::config::providers::provider_name;
use crate::config::reader::Reader;
use crate::text;

/// An issuer of tokens that are accepted as access tokens.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// `AUTH_JWT_JWKS_URL`: the URL of the public keys.
    pub keys_url: Url,
    /// `AUTH_JWT_ISSUER`: the required value of `iss`.
    pub issuer: String,
    /// `AUTH_JWT_AUDIENCE`, separated by commas: `aud` has to contain one of them.
    pub audience: Vec<String>,
    /// `AUTH_JWT_ALGORITHMS`, default `RS256,ES256`.
    pub algorithms: Vec<String>,
    /// `AUTH_JWT_PROVIDER`, default `jwt`: the `provider` of such accounts.
    pub provider: String,
    /// `AUTH_JWT_…_KEY`.
    pub keys: ClaimKeys,
    /// Admission of new accounts.
    pub admission: Admission,
    /// `AUTH_JWT_TIMEOUT`, default `10s`: timeout for fetching the keys.
    pub timeout: Duration,
}

impl IssuerConfig {
    /// Reads the settings of the issuer; `None` if there is none, or if a required setting is
    /// missing, which is reported.
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let keys_url = from.find("AUTH_JWT_JWKS_URL", endpoint);
        let issuer = from.find("AUTH_JWT_ISSUER", issuer);
        let audience = from.find("AUTH_JWT_AUDIENCE", list);
        let text = |from: &mut Reader, name, default| from.read(name, default, parse::text);
        let algorithms = from.read("AUTH_JWT_ALGORITHMS", "RS256,ES256", algorithms);
        let provider = from.read("AUTH_JWT_PROVIDER", "jwt", provider_name);
        let keys = ClaimKeys {
            identifier: text(from, "AUTH_JWT_IDENTIFIER_KEY", "sub"),
            email: text(from, "AUTH_JWT_EMAIL_KEY", "email"),
            first_name: Some(text(from, "AUTH_JWT_FIRST_NAME_KEY", "given_name")),
            last_name: Some(text(from, "AUTH_JWT_LAST_NAME_KEY", "family_name")),
        };
        let admission = Admission {
            register: from.read("AUTH_JWT_ALLOW_PUBLIC_REGISTRATION", "false", parse::boolean),
            verified_email: from.read("AUTH_JWT_REQUIRE_VERIFIED_EMAIL", "false", parse::boolean),
            role: from.find("AUTH_JWT_DEFAULT_ROLE_ID", key),
            sync: false,
        };
        let timeout = parse::duration(DefaultUnit::Milliseconds, TIMEOUT_MIN);
        let timeout = from.read("AUTH_JWT_TIMEOUT", "10s", timeout);
        let set = [keys_url.is_some(), issuer.is_some(), audience.is_some()];
        if set.contains(&true) && set.contains(&false) {
            // Without the audience, tokens for other applications of the issuer would be accepted.
            from.report(
                "AUTH_JWT_JWKS_URL",
                None,
                "set together with AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE",
            );
        }
        Some(Self {
            keys_url: keys_url?,
            issuer: issuer?,
            audience: audience?,
            algorithms,
            provider,
            keys,
            admission,
            timeout,
        })
    }
}

fn issuer(value: &str) -> Result<String, String> {
    if value == "directus" {
        return Err("the name of another issuer: directus is the name of this service".to_owned());
    }
    parse::text(value)
}

fn list(value: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = text::names(value).map(str::to_owned).collect();
    if parts.is_empty() { Err("values separated by commas".to_owned()) } else { Ok(parts) }
}

/// Reads signature algorithms. Only asymmetric ones are allowed: with a shared key every verifier
/// could issue tokens, and a public key could be mistaken for the shared key.
fn algorithms(value: &str) -> Result<Vec<String>, String> {
    const KNOWN: [&str; 9] =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let algorithms = list(value)?;
    if algorithms.iter().all(|algorithm| KNOWN.contains(&algorithm.as_str())) {
        Ok(algorithms)
    } else {
        Err(format!("one or more of {}, separated by commas", KNOWN.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::InvalidSettings;

    fn read(texts: &[(&str, &str)]) -> Result<Option<IssuerConfig>, InvalidSettings> {
        let config = Config::from_texts(texts.iter().copied())?;
        Ok(config.providers.issuer)
    }

    #[test]
    fn an_issuer_needs_keys_a_name_and_an_audience() {
        let texts = [
            ("AUTH_JWT_JWKS_URL", "https://app.example.com/jwks"),
            ("AUTH_JWT_ISSUER", "https://app.example.com"),
            ("AUTH_JWT_AUDIENCE", "chat, other"),
        ];

        let issuer = read(&texts).unwrap().unwrap();
        assert_eq!(issuer.audience, ["chat", "other"]);
        assert_eq!(issuer.algorithms, ["RS256", "ES256"]);
        for missing in 0..texts.len() {
            let mut texts = texts.to_vec();
            texts.remove(missing);
            assert!(read(&texts).is_err(), "{texts:?}");
        }
        assert!(read(&[]).unwrap().is_none());
    }

    #[test]
    fn missing_and_invalid_settings_are_named() {
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[("AUTH_JWT_JWKS_URL", "https://app.example.com/jwks")], "AUTH_JWT_AUDIENCE"),
            (&[("AUTH_JWT_ISSUER", "directus")], "AUTH_JWT_ISSUER"),
            (&[("AUTH_JWT_ALGORITHMS", "RS256,HS256")], "AUTH_JWT_ALGORITHMS"),
            (&[("AUTH_JWT_ALGORITHMS", "none")], "AUTH_JWT_ALGORITHMS"),
            (&[("AUTH_JWT_PROVIDER", "default")], "AUTH_JWT_PROVIDER"),
        ];
        for (texts, name) in table {
            let wrong = read(texts).unwrap_err().to_string();
            assert!(wrong.contains(name), "{texts:?}: {wrong}");
        }
    }
}
