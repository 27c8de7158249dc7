//! Mail on its way out: a letter to a mail server, a program, a file or the log.
//!
//! It knows one letter at a time. What is in it, to whom it goes and what happens if it cannot be
//! sent is left to `domain::mails`. Nothing here is logged (but by the transport `log`, which is made
//! for that): answers of mail servers like to repeat the address.

mod road;

pub use road::Mailer;

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::MultiPart;
use lettre::message::header::HeaderName;
use lettre::message::header::HeaderValue;
use uuid::Uuid;

use crate::clock::Timestamp;

/// What is to be sent.
#[derive(Clone)]
pub struct Letter {
    /// Its key: a letter that is sent twice, since nobody knows whether the first try arrived, is
    /// recognised by it.
    pub id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// The name that it is from, where the settings name an address alone.
    pub sender: String,
    /// The address it is for.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The same in plain text …
    pub text: String,
    /// … and in HTML.
    pub html: String,
}

/// Why a letter has not left. The words tell neither address nor content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MailError {
    /// It makes no letter: an address is none.
    #[error("an address is none that mail can be sent to")]
    Address,
    /// The mail server refused it for good, with this code.
    #[error("the mail server refused it ({0})")]
    Refused(String),
    /// It may work another time.
    #[error("{0}")]
    Passing(String),
}

/// Returns the letter as it goes over the wire.
///
/// # Errors
/// [`MailError::Address`] if one of the addresses is none.
fn compose(letter: &Letter, from: &str) -> Result<Message, MailError> {
    let mut from: Mailbox = from.parse().map_err(|_| MailError::Address)?;
    if from.name.is_none() && !letter.sender.is_empty() {
        from.name = Some(letter.sender.clone());
    }
    let to = letter.to.parse().map_err(|_| MailError::Address)?;
    let id = format!("<{}@{}>", letter.id, from.email.domain());
    let date = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(letter.at.millis()).unwrap_or_default());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(letter.subject.as_str())
        .date(date)
        .message_id(Some(id))
        // So that nobody's holiday notice answers it (RFC 3834).
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
        .map_err(|_| MailError::Address)
}

#[cfg(test)]
pub(crate) fn example() -> Letter {
    Letter {
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
    fn a_letter_has_both_forms_and_cannot_be_bent_by_its_subject() {
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
    fn a_name_in_the_settings_stays() {
        let message = compose(&example(), "Somebody <no-reply@example.com>").unwrap();

        let wire = String::from_utf8(message.formatted()).unwrap();
        assert!(wire.contains("From: Somebody <no-reply@example.com>\r\n"), "{wire}");
    }

    #[test]
    fn what_is_no_address_makes_no_letter() {
        for to in ["", "alice", "alice@", "a@b\r\nBcc: c@d"] {
            let letter = Letter { to: to.to_owned(), ..example() };
            assert_eq!(compose(&letter, "a@example.com").err(), Some(MailError::Address), "{to}");
        }
    }
}
