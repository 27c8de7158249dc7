//! Tokens of links in mails. A token authorizes one action on one account, once, until it expires.
//!
//! Tokens are JSON Web Tokens with a signing key of their own, derived from `SECRET`, so that an
//! access token is never valid as a link token, nor the reverse. Each token names its purpose and
//! contains a digest of the account's address and password at the time of issue. Once either
//! changes, the token is invalid. The server does not store tokens.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use url::Url;
use url::form_urlencoded;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::Secret;
use crate::domain::auth::mac::MacKey;
use crate::domain::auth::token_signer::{ISSUER, TokenSigner};
use crate::domain::{Error, Forbidden};
use crate::model::schema::users;
use crate::model::{MailKind, Row};

/// The maximum length of a token: several times the length of an issued one.
const TOKEN_BYTES_MAX: usize = 2048;
/// The parameter of a URL that contains the token.
const TOKEN: &str = "token";

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// The account.
    id: Uuid,
    /// The purpose.
    scope: String,
    /// A digest of the account's address and password at the time of issue.
    hash: String,
    iat: i64,
    exp: i64,
    iss: String,
}

/// Issues and verifies tokens.
pub struct ActionTokens {
    signer: TokenSigner,
    digests: MacKey,
}

/// A verified token.
#[derive(Debug)]
pub struct ActionToken {
    /// The account.
    pub user: Uuid,
    hash: String,
}

impl ActionTokens {
    /// Derives the keys from the secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let secret = secret.0.as_bytes();
        let key = MacKey::new(secret, b"chinwag links in mails").sign(b"signature");
        Self {
            signer: TokenSigner::new(&key),
            digests: MacKey::new(secret, b"chinwag accounts that links are for"),
        }
    }

    /// Issues a token for the current state of an account.
    #[must_use]
    pub fn issue(
        &self,
        kind: MailKind,
        id: Uuid,
        user: &Row,
        from: Timestamp,
        until: Timestamp,
    ) -> String {
        let claims = Claims {
            id,
            scope: kind.scope().to_owned(),
            hash: self.digest(user),
            iat: from.seconds(),
            exp: until.seconds(),
            iss: ISSUER.to_owned(),
        };
        self.signer.sign(&claims)
    }

    /// Verifies a token. [`ActionTokens::is_current`] checks whether the account is unchanged.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if it was not issued here, [`Error::Forbidden`] if it has another
    /// purpose, [`Error::TokenExpired`].
    pub fn verify(
        &self,
        kind: MailKind,
        token: &str,
        now: Timestamp,
    ) -> Result<ActionToken, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::InvalidToken);
        }
        let claims: Claims = self.signer.verify(token).ok_or(Error::InvalidToken)?;
        if claims.scope != kind.scope() {
            return Err(Error::Forbidden(Forbidden::Action));
        }
        if now.seconds() >= claims.exp {
            return Err(Error::TokenExpired);
        }
        Ok(ActionToken { user: claims.id, hash: claims.hash })
    }

    /// Returns whether the account still has the address and password of the token.
    #[must_use]
    pub fn is_current(&self, opened: &ActionToken, user: &Row) -> bool {
        self.digest(user).as_bytes().ct_eq(opened.hash.as_bytes()).into()
    }

    fn digest(&self, user: &Row) -> String {
        let mut message = Vec::new();
        for column in [&users::email, &users::password] {
            let text = user.get(column).unwrap_or_default();
            message.extend(text.len().to_be_bytes());
            message.extend(text.as_bytes());
        }
        BASE64URL_NOPAD.encode(&self.digests.sign(&message)[..16])
    }
}

/// Returns the URL of a page with a token. It replaces all `token` parameters in the query and the
/// fragment of the URL. `None` if `page` is not an absolute URL.
#[must_use]
pub(super) fn address(page: &str, token: &str) -> Option<String> {
    let mut url = Url::parse(page).ok()?;
    let query = url.query().map(without_token).filter(|query| !query.is_empty());
    url.set_query(query.as_deref());
    // Pages that route by the fragment read parameters from it.
    let fragment = url.fragment().map(|fragment| match fragment.split_once('?') {
        Some((path, query)) => match without_token(query) {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        },
        None => without_token(fragment),
    });
    url.set_fragment(fragment.as_deref());
    url.query_pairs_mut().append_pair(TOKEN, token);
    Some(url.into())
}

/// Returns the parameters without the token, as they were written.
fn without_token(parameters: &str) -> String {
    let is_other = |parameter: &&str| {
        form_urlencoded::parse(parameter.as_bytes()).all(|(name, _)| name != TOKEN)
    };
    parameters.split('&').filter(is_other).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    use super::*;
    use crate::model::schema::USERS;
    use crate::signatures;

    const NOON: Timestamp = Timestamp::from_millis(1_769_860_800_000);
    const ID: Uuid = Uuid::from_u128(7);

    fn tokens(secret: &str) -> ActionTokens {
        ActionTokens::new(&Secret(secret.to_owned()))
    }

    fn user(email: &str, password: &str) -> Row {
        let row = Row::empty(&USERS).with(&users::email, email);
        row.with(&users::password, password)
    }

    fn token() -> String {
        let until = NOON.plus(Duration::from_mins(1));
        tokens("one").issue(MailKind::Reset, ID, &user("a@b.c", "old"), NOON, until)
    }

    #[test]
    fn a_link_contains_exactly_one_token() {
        for (page, link) in [
            ("https://a.example/reset", "https://a.example/reset?token=new"),
            ("https://a.example/reset?", "https://a.example/reset?token=new"),
            ("https://a.example/reset?token=x", "https://a.example/reset?token=new"),
            ("https://a.example/reset?token", "https://a.example/reset?token=new"),
            ("https://a.example/reset?token=x&token=y", "https://a.example/reset?token=new"),
            ("https://a.example/reset?%74oken=x", "https://a.example/reset?token=new"),
            ("https://a.example/?a=%20+b&token=x&c", "https://a.example/?a=%20+b&c&token=new"),
            (
                "https://a.example/?Token=x&token[]=y",
                "https://a.example/?Token=x&token[]=y&token=new",
            ),
            ("https://a.example/#/reset", "https://a.example/?token=new#/reset"),
            ("https://a.example/#/reset?token=x", "https://a.example/?token=new#/reset"),
            ("https://a.example/#/r?a=1&tok%65n=x", "https://a.example/?token=new#/r?a=1"),
            ("https://a.example/?token=x#token=y&a=1", "https://a.example/?token=new#a=1"),
        ] {
            assert_eq!(address(page, "new").as_deref(), Some(link), "{page}");
        }
        assert_eq!(address("/reset", "new"), None);
    }

    #[test]
    fn a_token_names_its_account_until_it_expires() {
        let later = NOON.plus(Duration::from_secs(59));
        let opened = tokens("one").verify(MailKind::Reset, &token(), later).unwrap();

        assert_eq!(opened.user, ID);
        assert!(tokens("one").is_current(&opened, &user("a@b.c", "old")));
        let expired =
            tokens("one").verify(MailKind::Reset, &token(), NOON.plus(Duration::from_mins(1)));
        assert!(matches!(expired, Err(Error::TokenExpired)));
    }

    #[test]
    fn a_changed_address_or_password_invalidates_the_token() {
        let opened = tokens("one").verify(MailKind::Reset, &token(), NOON).unwrap();

        for (email, password) in [("a@b.c", "new"), ("x@b.c", "old"), ("a@b.cold", ""), ("", "")] {
            assert!(!tokens("one").is_current(&opened, &user(email, password)), "{email}");
        }
    }

    #[test]
    fn tokens_of_another_kind_or_secret_are_refused() {
        let forbidden = tokens("one").verify(MailKind::Invitation, &token(), NOON);
        assert!(matches!(forbidden, Err(Error::Forbidden(_))), "{forbidden:?}");
        for (tokens, token) in [
            (tokens("two"), token()),
            (tokens("one"), format!("{}x", token())),
            (tokens("one"), token().replacen('.', "x.", 1)),
            (tokens("one"), "made-up".to_owned()),
            (tokens("one"), String::new()),
            (tokens("one"), "a".repeat(100_000)),
        ] {
            let opened = tokens.verify(MailKind::Reset, &token, NOON);
            assert!(matches!(opened, Err(Error::InvalidToken)), "{opened:?}");
        }
    }

    #[test]
    fn access_token_keys_and_other_algorithms_are_refused() {
        let claims = serde_json::json!({
            "id": ID, "scope": "password-reset", "hash": "", "iat": 0, "exp": i64::MAX, "iss": ISSUER,
        });
        for (algorithm, key) in [(Algorithm::HS256, "one"), (Algorithm::HS512, "one")] {
            let key = EncodingKey::from_secret(key.as_bytes());
            let token = signatures::encode(&Header::new(algorithm), &claims, &key).unwrap();
            let opened = tokens("one").verify(MailKind::Reset, &token, NOON);
            assert!(matches!(opened, Err(Error::InvalidToken)), "{opened:?}");
        }
        let none = format!(
            "{}.{}.",
            BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#),
            BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
        );
        assert!(matches!(
            tokens("one").verify(MailKind::Reset, &none, NOON),
            Err(Error::InvalidToken)
        ));
    }
}
