//! Outgoing email: to a mail server, a program, a file or the log.
//!
//! This module sends one message at a time. `domain::mails` is responsible for the content, the
//! recipient and the handling of failures. Nothing is logged here, except by the `log` transport:
//! responses of mail servers often contain the recipient's address.

mod transport;

pub use transport::Mailer;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use uuid::Uuid;

use crate::clock::Timestamp;

/// An email to send.
#[derive(Clone)]
pub struct Email {
    /// The local part of the `Message-ID`. It identifies duplicates: a message is sent again if
    /// the outcome of the first attempt is unknown.
    pub id: Uuid,
    /// The `Date` of the message.
    pub at: Timestamp,
    /// The sender's display name, used if the configured sender is an address without a name.
    pub sender: String,
    /// The recipient's address.
    pub to: String,
    /// The subject, in one line.
    pub subject: String,
    /// The body in plain text.
    pub text: String,
    /// The same body in HTML.
    pub html: String,
}

/// Why an email was not sent. The error texts contain neither addresses nor content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MailError {
    /// The message cannot be built, since an address is invalid.
    #[error("an address is not a valid email address")]
    Address,
    /// The mail server rejected the message permanently, with this status code.
    #[error("the mail server refused the email ({0})")]
    Refused(String),
    /// A temporary failure: a later attempt may succeed.
    #[error("{0}")]
    Passing(String),
}

/// Builds the MIME message.
///
/// # Errors
/// [`MailError::Address`] if an address is invalid.
fn compose(email: &Email, from: &str) -> Result<Message, MailError> {
    let mut from: Mailbox = from.parse().map_err(|_| MailError::Address)?;
    if from.name.is_none() && !email.sender.is_empty() {
        from.name = Some(email.sender.clone());
    }
    let to = email.to.parse().map_err(|_| MailError::Address)?;
    let id = format!("<{}@{}>", email.id, from.email.domain());
    let date = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(email.at.millis()).unwrap_or_default());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(email.subject.as_str())
        .date(date)
        .message_id(Some(id))
        // Suppresses automatic replies such as vacation notices (RFC 3834).
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(email.text.clone(), email.html.clone()))
        .map_err(|_| MailError::Address)
}

#[cfg(test)]
pub(crate) fn example() -> Email {
    Email {
        id: Uuid::from_u128(7),
        at: Timestamp::from_millis(1_769_860_800_000),
        sender: "Our chat".to_owned(),
        to: "alice@example.com".to_owned(),
        subject: "Grüße\r\nBcc: everybody@example.com".to_owned(),
        text: "plain".to_owned(),
        html: "<p>rich</p>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_text_and_html_and_resists_header_injection() {
        let message = compose(&example(), "no-reply@example.com").unwrap();

        let wire = String::from_utf8(message.formatted()).unwrap();
        assert!(wire.contains("From: \"Our chat\" <no-reply@example.com>\r\n"), "{wire}");
        assert!(wire.contains("Auto-Submitted: auto-generated\r\n"), "{wire}");
        assert!(wire.contains("Date: Sat, 31 Jan 2026 12:00:00"), "{wire}");
        assert!(wire.contains("00000000-0000-0000-0000-000000000007@example.com>"), "{wire}");
        assert!(wire.contains("text/plain") && wire.contains("text/html"), "{wire}");
        assert!(!wire.contains("\r\nBcc"), "{wire}");
    }

    #[test]
    fn a_sender_name_in_the_settings_is_kept() {
        let message = compose(&example(), "Somebody <no-reply@example.com>").unwrap();

        let wire = String::from_utf8(message.formatted()).unwrap();
        assert!(wire.contains("From: Somebody <no-reply@example.com>\r\n"), "{wire}");
    }

    #[test]
    fn an_invalid_recipient_is_an_error() {
        for to in ["", "alice", "alice@", "a@b\r\nBcc: c@d"] {
            let email = Email { to: to.to_owned(), ..example() };
            assert_eq!(compose(&email, "a@example.com").err(), Some(MailError::Address), "{to}");
        }
    }
}
