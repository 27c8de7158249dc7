//! Tickets in the cookie of a browser during a sign-in with a provider. A ticket holds the values
//! to verify the callback with, encrypted under a key derived from `SECRET`. It is for one
//! provider, and valid once and for some minutes.
//!
//! Used tickets are remembered in memory. After a restart, replay is still prevented by the
//! provider, which accepts a code once.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::Secret;
use crate::domain::Error;
use crate::domain::auth::mac::MacKey;
use crate::domain::auth::providers::TICKET_LIFETIME;
use crate::domain::auth::sealing::Cipher;
use crate::model::id;
use crate::providers::Pending;

/// The purpose of the key. Without a dot, it is never the text of a JWT under the same secret.
const PURPOSE: &[u8] = b"chinwag sign-in with a provider";
/// Maximum length of a ticket in bytes.
const TICKET_BYTES_MAX: usize = 4096;
/// Maximum number of used tickets in memory. Further sign-ins are refused until some have expired.
const SPENT_MAX: usize = 100_000;

/// A pending sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    id: Uuid,
    /// State, nonce and PKCE verifier of the authorization request.
    pub pending: Pending,
    redirect: Option<String>,
    expires: i64,
}

impl Ticket {
    pub(super) fn new(pending: Pending, redirect: Option<&Url>, expires: Timestamp) -> Self {
        let redirect = redirect.map(Url::to_string);
        Self { id: id::fresh(), pending, redirect, expires: expires.millis() }
    }

    /// Returns the page to return to. It was validated before the ticket was made.
    pub(super) fn redirect(&self) -> Option<Url> {
        self.redirect.as_deref().and_then(|url| Url::parse(url).ok())
    }

    pub(super) const fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expires)
    }
}

/// Issues and redeems tickets.
pub(super) struct Tickets {
    cipher: Cipher,
    /// Used tickets, until they expire.
    spent: Mutex<HashMap<Uuid, Timestamp>>,
}

impl Tickets {
    pub(super) fn new(secret: &Secret) -> Self {
        let key = MacKey::new(secret.0.as_bytes(), PURPOSE).sign(b"tickets");
        Self { cipher: Cipher::new(key), spent: Mutex::default() }
    }

    /// Encrypts a ticket for the browser's cookie.
    ///
    /// # Panics
    /// If the operating system provides no random numbers.
    pub(super) fn seal(&self, provider: &str, ticket: &Ticket) -> String {
        let text = serde_json::to_vec(ticket).expect("texts can be serialized");
        self.cipher.seal(provider.as_bytes(), &text)
    }

    /// Decrypts a ticket that was issued here for this provider.
    pub(super) fn open(&self, provider: &str, text: &str) -> Option<Ticket> {
        if text.len() > TICKET_BYTES_MAX {
            return None;
        }
        let text = self.cipher.open(provider.as_bytes(), text)?;
        serde_json::from_slice(&text).ok()
    }

    /// Redeems a ticket. Returns `false` if it was redeemed before.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too many were redeemed recently.
    pub(super) fn spend(&self, ticket: &Ticket, now: Timestamp) -> Result<bool, Error> {
        let mut spent = self.spent.lock();
        if spent.len() >= SPENT_MAX {
            spent.retain(|_, expires| now < *expires);
        }
        if spent.len() >= SPENT_MAX {
            return Err(Error::TooBusy { retry_after: TICKET_LIFETIME / 10 });
        }
        Ok(spent.insert(ticket.id, ticket.expires()).is_none())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_303_007_250);

    fn tickets(secret: &str) -> Tickets {
        Tickets::new(&Secret(secret.to_owned()))
    }

    fn ticket() -> Ticket {
        let text = str::to_owned;
        let pending = Pending { state: text("s"), nonce: text("n"), verifier: text("a verifier") };
        let url = Url::parse("https://chat.example.com/").unwrap();
        Ticket::new(pending, Some(&url), NOW.plus(TICKET_LIFETIME))
    }

    #[test]
    fn a_ticket_is_encrypted_and_round_trips() {
        let (tickets, ticket) = (tickets("one"), ticket());

        let sealed = tickets.seal("google", &ticket);

        assert_eq!(tickets.open("google", &sealed), Some(ticket));
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).unwrap();
        assert!(!bytes.windows(10).any(|window| window == b"a verifier"));
    }

    #[test]
    fn foreign_and_tampered_tickets_are_refused() {
        let sealed = tickets("one").seal("google", &ticket());

        assert_eq!(tickets("two").open("google", &sealed), None);
        assert_eq!(tickets("one").open("github", &sealed), None);
        for at in 0..sealed.len() {
            let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
            assert_eq!(tickets("one").open("google", &changed), None, "at {at}");
        }
        for text in ["", "x", &"A".repeat(5000)] {
            assert_eq!(tickets("one").open("google", text), None);
        }
    }

    #[test]
    fn a_ticket_can_be_spent_once() {
        let (tickets, one, other) = (tickets("one"), ticket(), ticket());

        assert!(tickets.spend(&one, NOW).unwrap());
        assert!(!tickets.spend(&one, NOW).unwrap());
        assert!(tickets.spend(&other, NOW).unwrap());
    }

    #[test]
    fn expired_tickets_free_capacity() {
        let tickets = tickets("one");
        let expires = NOW.plus(TICKET_LIFETIME);
        for _ in 0..SPENT_MAX {
            tickets.spent.lock().insert(id::fresh(), expires);
        }

        assert!(matches!(tickets.spend(&ticket(), NOW), Err(Error::TooBusy { .. })));
        assert!(tickets.spend(&ticket(), expires).unwrap());
        assert_eq!(tickets.spent.lock().len(), 1);
    }
}
