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
use crate::domain::subscriptions::Peer;
use crate::domain::subscriptions::recovery::key::RecoveryKey;
use crate::domain::subscriptions::topics::Topic;
use crate::model::network;

/// The purpose of the key.
const PURPOSE: &[u8] = b"chinwag page of topics";

/// Derives the names of pages.
pub(in crate::domain::subscriptions) struct Pages {
    key: MacKey,
}

/// The name of a page, the same on each of its connections.
#[derive(Debug, Clone)]
pub struct Page(Arc<str>);

impl Pages {
    /// Creates the names for the database with this seed.
    pub(in crate::domain::subscriptions) fn new(seed: &str) -> Self {
        Self { key: MacKey::new(seed.as_bytes(), PURPOSE) }
    }

    /// Returns the name of the page that a browser has open; `None` if the client is no browser,
    /// since browsers always send the origin of their page.
    fn name(&self, client: &ClientInfo, page: Option<&str>) -> Option<Page> {
        let browser = client.user_agent.as_deref()?;
        let address = client.ip.map(network).as_ref().map(IpAddr::to_string);
        let parts = [address.as_deref().unwrap_or_default(), page?, browser];
        let mac = self.key.sign(parts.join("\n").as_bytes());
        Some(Page(format!("page {}", BASE64URL_NOPAD.encode(&mac)).into()))
    }
}

impl Peer {
    /// Returns the name of the page at the other end of the connection, from its client and the
    /// origin of the page.
    #[must_use]
    pub fn page(&self, client: &ClientInfo, origin: Option<&str>) -> Option<Page> {
        self.hub.pages.name(client, origin)
    }

    /// Returns whether a page has subscribed to `chat` and not unsubscribed since.
    #[must_use]
    pub fn has_followed(&self, page: &Page) -> bool {
        let name = self.name(page);
        name.is_some_and(|name| self.hub.positions.find(&name).is_some())
    }

    /// Stores that a page is subscribed to `chat`.
    pub fn remember_page(&self, page: &Page) {
        let Some(name) = self.name(page) else { return };
        let by = Owner::of(&self.actor());
        self.hub.positions.advance(name, self.hub.delivered(), by, self.hub.now());
    }

    /// Removes the subscription of a page to `chat`.
    pub fn forget_page(&self, page: &Page) {
        if let Some(name) = self.name(page) {
            self.hub.positions.drop_page(&name);
        }
    }

    fn name(&self, page: &Page) -> Option<RecoveryKey> {
        RecoveryKey::of(self.actor().user, &page.0, Some(Topic::Chat.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_names_differ_by_network_browser_and_origin() {
        let pages = Pages::new("seed");
        let name = |ip: &str, browser: &str, page: &str| {
            let client = ClientInfo::new(Some(ip.parse().unwrap()), Some(browser));
            pages.name(&client, Some(page)).unwrap().0
        };

        let one = name("2001:db8::1", "Firefox", "https://chat.example.com");
        assert_eq!(one, name("2001:db8::2", "Firefox", "https://chat.example.com"));
        for other in [
            name("2001:db8:0:1::1", "Firefox", "https://chat.example.com"),
            name("2001:db8::1", "Chrome", "https://chat.example.com"),
            name("2001:db8::1", "Firefox", "https://example.com"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_non_browser_client_has_no_page() {
        let pages = Pages::new("seed");
        let (named, nameless) = (ClientInfo::new(None, Some("curl")), ClientInfo::new(None, None));

        assert!(pages.name(&named, None).is_none());
        assert!(pages.name(&nameless, Some("https://example.com")).is_none());
    }
}
