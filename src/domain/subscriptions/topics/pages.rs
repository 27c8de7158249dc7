//! Pages of topics that reconnect: a page made with nuxt-ws subscribes once, when it is loaded, and
//! not again after a reconnect.
//!
//! A page is identified by the account or address, the browser and the origin of its connection,
//! and stored only as a MAC over these. Its subscription to `chat` is kept among the positions, so
//! it survives a restart, and has their limits and their expiry.

use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

use crate::domain::auth::ClientInfo;
use crate::domain::auth::mac::MacKey;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::recovery::{Recovery, RecoveryKey};
use crate::domain::subscriptions::topics::subscriber::Topic;
use crate::model::Actor;
use crate::model::network;

/// The purpose of the key.
const PURPOSE: &[u8] = b"chinwag page of topics";

/// The pages that are subscribed to `chat`.
pub(super) struct Pages {
    key: MacKey,
    recovery: Arc<Recovery>,
}

/// The name of a page, the same on each of its connections.
#[derive(Debug, Clone)]
pub struct Page(Arc<str>);

impl Pages {
    /// Creates the pages for the database with this seed.
    pub(super) fn new(seed: &str, recovery: Arc<Recovery>) -> Self {
        Self { key: MacKey::new(seed.as_bytes(), PURPOSE), recovery }
    }

    /// Returns the name of the page that a browser has open, if the client is one.
    pub(super) fn name(&self, client: &ClientInfo, origin: Option<&str>) -> Option<Page> {
        name(&self.key, client, origin)
    }

    /// Returns whether a page has subscribed and not unsubscribed since.
    pub(super) fn has(&self, page: &Page, actor: &Actor) -> bool {
        key(page, actor).is_some_and(|key| self.recovery.position(&key).is_some())
    }

    /// Stores that a page is subscribed.
    pub(super) fn add(&self, page: &Page, actor: &Actor) {
        if let Some(key) = key(page, actor) {
            self.recovery.store_page(key, Owner::of(actor));
        }
    }

    /// Removes the subscription of a page.
    pub(super) fn remove(&self, page: &Page, actor: &Actor) {
        if let Some(key) = key(page, actor) {
            self.recovery.drop_page(&key);
        }
    }
}

fn key(page: &Page, actor: &Actor) -> Option<RecoveryKey> {
    RecoveryKey::of(actor.user, &page.0, Some(Topic::Chat.name()))
}

/// Returns the name of the page that a browser has open; `None` if the client is no browser, since
/// browsers always send the origin of their page.
fn name(key: &MacKey, client: &ClientInfo, origin: Option<&str>) -> Option<Page> {
    let browser = client.user_agent.as_deref()?;
    let address = client.ip.map(network).as_ref().map(IpAddr::to_string);
    let parts = [address.as_deref().unwrap_or_default(), origin?, browser];
    let mac = key.sign(parts.join("\n").as_bytes());
    Some(Page(format!("page {}", BASE64URL_NOPAD.encode(&mac)).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_names_differ_by_network_browser_and_origin() {
        let key = MacKey::new(b"seed", PURPOSE);
        let of = |ip: &str, browser: &str, page: &str| {
            let client = ClientInfo::new(Some(ip.parse().unwrap()), Some(browser));
            name(&key, &client, Some(page)).unwrap().0
        };

        let one = of("2001:db8::1", "Firefox", "https://chat.example.com");
        assert_eq!(one, of("2001:db8::2", "Firefox", "https://chat.example.com"));
        for other in [
            of("2001:db8:0:1::1", "Firefox", "https://chat.example.com"),
            of("2001:db8::1", "Chrome", "https://chat.example.com"),
            of("2001:db8::1", "Firefox", "https://example.com"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_non_browser_client_has_no_page() {
        let key = MacKey::new(b"seed", PURPOSE);
        let (named, nameless) = (ClientInfo::new(None, Some("curl")), ClientInfo::new(None, None));

        assert!(name(&key, &named, None).is_none());
        assert!(name(&key, &nameless, Some("https://example.com")).is_none());
    }
}
