//! A token issuer: an application whose tokens are accepted as access tokens (`AUTH_JWT_…`), with
//! the location of its keys and the required claims.
//!
//! Accounts are identified and admitted as with providers.

use std::time::Duration;

use url::Url;

use crate::config::parse::accept;
use crate::config::parse::text;
use crate::config::providers::endpoint;
use crate::config::providers::placeholder;
use crate::config::providers::provider_name;
use crate::config::providers::role;
use crate::config::reader::Reader;
use crate::config::table::Section;
use crate::config::{Admission, ClaimKeys};
use crate::text::names;

settings! {
    /// An issuer of tokens that are accepted as access tokens.
    pub struct IssuerConfig {
        /// The URL of the public keys.
        keys_url: Url = group(placeholder) {
            /// The URL of the public keys (JSON Web Key Set) of an application that issues tokens.
            /// Its tokens are accepted as access tokens once the issuer and the audience are set,
            /// too.
            url = optional("AUTH_JWT_JWKS_URL", endpoint);
        };
        /// The exact value of the claim iss in such tokens.
        issuer: String = setting("AUTH_JWT_ISSUER", "", issuer);
        /// The accepted audiences, separated by commas; aud has to contain one of them.
        audience: Vec<String> = setting("AUTH_JWT_AUDIENCE", "", list);
        /// The accepted signatures: some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384,
        /// EdDSA.
        algorithms: Vec<String> = setting("AUTH_JWT_ALGORITHMS", "RS256,ES256", algorithms);
        /// The provider of accounts from such tokens. If `AUTH_PROVIDERS` contains it, they share
        /// its accounts.
        provider: String = setting("AUTH_JWT_PROVIDER", "jwt", provider_name);
        /// The names of the claims.
        keys: ClaimKeys = fields(ClaimKeys) {
            /// The claim with the address of new accounts.
            email = setting("AUTH_JWT_EMAIL_KEY", "email", text);
            /// The claim that identifies a user in such tokens.
            identifier = setting("AUTH_JWT_IDENTIFIER_KEY", "sub", text);
            /// The claim with the first name of new accounts.
            first_name = setting("AUTH_JWT_FIRST_NAME_KEY", "given_name", text_or_none);
            /// The claim with the last name of new accounts.
            last_name = setting("AUTH_JWT_LAST_NAME_KEY", "family_name", text_or_none);
        };
        /// Admission of new accounts.
        admission: Admission = fields(Admission) {
            /// Whether unknown users with such tokens get an account.
            register = setting("AUTH_JWT_ALLOW_PUBLIC_REGISTRATION", "false", boolean);
            /// Whether `email_verified` has to be true for a new account.
            verified_email = setting("AUTH_JWT_REQUIRE_VERIFIED_EMAIL", "false", boolean);
            /// The key of the role of new accounts.
            role = optional("AUTH_JWT_DEFAULT_ROLE_ID", role);
            sync = computed(false);
        };
        /// The timeout for fetching the public keys (plain: milliseconds).
        timeout: Duration = setting("AUTH_JWT_TIMEOUT", "10s", milliseconds(10));
    }
}

/// An issuer is optional: all of its required settings are set, or none.
impl Section for Option<IssuerConfig> {
    fn read(from: &mut Reader) -> Self {
        let required = ["AUTH_JWT_JWKS_URL", "AUTH_JWT_ISSUER", "AUTH_JWT_AUDIENCE"];
        let set = required.into_iter().filter(|name| from.value(name).is_some()).count();
        if set != 0 && set != required.len() {
            // Without the audience, tokens for other applications of the issuer would be accepted.
            let should = "set together with AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE";
            from.report("AUTH_JWT_JWKS_URL", should);
        }
        let issuer = IssuerConfig::read(from);
        (set == required.len()).then_some(issuer)
    }
}

fn issuer(value: &str) -> Result<String, String> {
    let should = "the name of another issuer: directus is the name of this service";
    accept(value, value != "directus", should).and_then(|value| text(&value))
}

fn list(value: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = names(value).map(str::to_owned).collect();
    if parts.is_empty() && !value.is_empty() {
        return Err("values separated by commas".to_owned());
    }
    Ok(parts)
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
    use crate::config::{Config, InvalidSettings};

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
