//! What a browser keeps while its owner is at a provider's page: what the sign-in will be recognised
//! by, encrypted under a key from `SECRET`, for one provider, good once and for some minutes.
//!
//! Which tickets came back is remembered in memory. After a restart there still is the provider, for
//! whom a code is good once.

use std::collections::HashMap;

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::KeyInit;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::aead::Payload;
use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::Secret;
use crate::domain::Error;
use crate::domain::auth::mac::MacKey;
use crate::domain::auth::providers::TICKET_LIFETIME;
use crate::model::id;
use crate::providers::Pending;

/// What the key is for. It has no dot, so it is never the text of a JWT under the same secret.
const PURPOSE: &[u8] = b"chinwag sign-in with a provider";
const NONCE_BYTES: usize = 12;
/// How long a ticket may be.
const TICKET_BYTES_MAX: usize = 4096;
/// How many tickets that came back are remembered; more sign-ins are refused until some have expired.
const SPENT_MAX: usize = 100_000;

/// One sign-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    id: Uuid,
    /// What the provider's answer has to fit.
    pub pending: Pending,
    redirect: Option<String>,
    expires: i64,
}

impl Ticket {
    pub(super) fn new(pending: Pending, redirect: Option<&Url>, expires: Timestamp) -> Self {
        let redirect = redirect.map(Url::to_string);
        Self { id: id::fresh(), pending, redirect, expires: expires.millis() }
    }

    /// Returns where its owner is sent on to. It was checked before the ticket was made.
    pub(super) fn redirect(&self) -> Option<Url> {
        self.redirect.as_deref().and_then(|url| Url::parse(url).ok())
    }

    pub(super) const fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expires)
    }
}

/// Makes tickets, and takes them back.
pub(super) struct Tickets {
    cipher: ChaCha20Poly1305,
    /// Those that came back, until they expire.
    spent: Mutex<HashMap<Uuid, Timestamp>>,
}

impl Tickets {
    pub(super) fn new(secret: &Secret) -> Self {
        let key = MacKey::new(secret.0.as_bytes(), PURPOSE).sign(b"tickets");
        let cipher = ChaCha20Poly1305::new(&key.into());
        Self { cipher, spent: Mutex::default() }
    }

    /// Returns a ticket as the browser keeps it.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give.
    pub(super) fn seal(&self, provider: &str, ticket: &Ticket) -> String {
        let text = serde_json::to_vec(ticket).expect("texts have a JSON form");
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system gives random numbers");
        let payload = Payload { msg: &text, aad: provider.as_bytes() };
        let sealed =
            self.cipher.encrypt(&nonce.into(), payload).expect("a short text can be encrypted");
        BASE64URL_NOPAD.encode(&[&nonce[..], &sealed].concat())
    }

    /// Returns a ticket that was made here for this provider.
    pub(super) fn open(&self, provider: &str, text: &str) -> Option<Ticket> {
        if text.len() > TICKET_BYTES_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: provider.as_bytes() };
        let text = self.cipher.decrypt(&(*nonce).into(), payload).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Takes a ticket back, and returns whether it is the first time.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too many came back lately.
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
    fn a_ticket_comes_back_as_it_was_and_shows_nothing() {
        let (tickets, ticket) = (tickets("one"), ticket());

        let sealed = tickets.seal("google", &ticket);

        assert_eq!(tickets.open("google", &sealed), Some(ticket));
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).unwrap();
        assert!(!bytes.windows(10).any(|window| window == b"a verifier"));
    }

    #[test]
    fn a_ticket_of_another_secret_or_provider_or_a_changed_one_is_none() {
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
    fn a_ticket_is_good_once() {
        let (tickets, one, other) = (tickets("one"), ticket(), ticket());

        assert!(tickets.spend(&one, NOW).unwrap());
        assert!(!tickets.spend(&one, NOW).unwrap());
        assert!(tickets.spend(&other, NOW).unwrap());
    }

    #[test]
    fn those_that_expired_make_room() {
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
