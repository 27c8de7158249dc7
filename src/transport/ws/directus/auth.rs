//! The `auth` frame: the credentials of a sign-in, or a sign-out.
//!
//! Validates shapes only, as `frames` does for all others. `sign_in` handles the result.

use serde_json::Value as Json;

use crate::transport::ws::directus::fields::Fields;

/// An `auth` frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Auth {
    /// A sign-in.
    SignIn(Credentials),
    /// A sign-out, in the form of the Directus tutorial.
    SignOut,
    /// Any other shape.
    Nothing,
}

/// Credentials of a client. They must not be logged.
#[derive(PartialEq, Eq)]
pub enum Credentials {
    /// An access token or a static token.
    AccessToken(String),
    /// A refresh token.
    RefreshToken(String),
    /// An email address and a password.
    Password {
        /// The email address.
        email: String,
        /// The password.
        password: String,
        /// A one-time password.
        otp: Option<String>,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Auth {
    /// Parses the frame. An unknown shape is ignored without an error.
    pub(super) fn read(fields: &mut Fields) -> Self {
        if let Some(Json::String(token)) = fields.take("access_token") {
            return Self::SignIn(Credentials::AccessToken(token));
        }
        if let Some(Json::String(token)) = fields.take("refresh_token") {
            return Self::SignIn(Credentials::RefreshToken(token));
        }
        match (fields.take("email"), fields.take("password"), fields.take("action")) {
            (Some(Json::String(email)), Some(Json::String(password)), _) if is_email(&email) => {
                let otp = match fields.take("otp") {
                    Some(Json::String(otp)) => Some(otp),
                    _ => None,
                };
                Self::SignIn(Credentials::Password { email, password, otp })
            }
            (None, None, Some(Json::String(action))) if action == "logout" => Self::SignOut,
            _ => Self::Nothing,
        }
    }
}

/// Returns whether a text looks like an email address: text, an @, text, and no whitespace.
fn is_email(text: &str) -> bool {
    !text.contains(char::is_whitespace)
        && text.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::transport::ws::directus::frames::Frame;

    use super::*;

    fn auth(text: &str) -> Auth {
        match Frame::parse(text.as_bytes(), 32) {
            Ok(Frame::Auth(auth, _)) => auth,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_strongest_credentials_take_precedence() {
        let all = r#"{"type":"auth","email":"a@b.c","password":"p","refresh_token":"r",
            "access_token":"t"}"#;
        let two = r#"{"type":"auth","email":"a@b.c","password":"p","refresh_token":"r"}"#;
        let one = r#"{"type":"auth","email":"a@b.c","password":"p","action":"logout"}"#;

        assert_eq!(auth(all), Auth::SignIn(Credentials::AccessToken("t".into())));
        assert_eq!(auth(two), Auth::SignIn(Credentials::RefreshToken("r".into())));
        let (email, password) = ("a@b.c".to_owned(), "p".to_owned());
        let password = Credentials::Password { email, password, otp: None };
        assert_eq!(auth(one), Auth::SignIn(password));
    }

    #[test]
    fn an_auth_frame_without_valid_credentials_is_ignored() {
        for text in [
            r#"{"type":"auth"}"#,
            r#"{"type":"auth","email":"alice","password":"p"}"#,
            r#"{"type":"auth","email":"a lice@b.c","password":"p"}"#,
            r#"{"type":"auth","email":"@b.c","password":"p"}"#,
            r#"{"type":"auth","email":"a@b.c"}"#,
            r#"{"type":"auth","access_token":5}"#,
            r#"{"type":"auth","action":"login"}"#,
            r#"{"type":"auth","email":"alice","action":"logout"}"#,
        ] {
            assert_eq!(auth(text), Auth::Nothing, "{text}");
        }
    }

    #[test]
    fn the_tutorials_logout_is_a_sign_out() {
        assert_eq!(auth(r#"{"type":"auth","action":"logout","uid":"3"}"#), Auth::SignOut);
    }

    #[test]
    fn debug_output_omits_credentials() {
        let frame = Frame::parse(br#"{"type":"auth","access_token":"geheim"}"#, 32);

        assert!(!format!("{frame:?}").contains("geheim"));
    }
}
