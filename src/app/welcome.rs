//! The startup banner: URLs and sign-in data.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Config;
use crate::domain::accounts::bootstrap::{Bootstrapped, DEMO_LOGINS};

/// The banner printed when the service is ready.
pub struct Welcome<'a> {
    base: String,
    front_end: bool,
    socket: bool,
    demo: bool,
    first: &'a Bootstrapped,
}

impl<'a> Welcome<'a> {
    /// Creates the banner of a service listening on this address.
    pub fn new(config: &Config, address: SocketAddr, first: &'a Bootstrapped) -> Self {
        let base = match config.server.public_url.as_str() {
            "/" => format!("http://{}", reachable(address)),
            known => known.to_owned(),
        };
        let front_end = config.server.public_dir.is_some();
        let socket = config.websockets.enabled;
        Self { base, front_end, socket, demo: config.bootstrap.demo, first }
    }
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, front_end, socket, demo, first } = self;
        writeln!(f, "chinwag {} is ready", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  {:<9} {base}/", if *front_end { "page" } else { "chat" })?;
        writeln!(f, "  API docs  {base}/docs")?;
        writeln!(f, "  REST      {base}/items/messages")?;
        if *socket {
            writeln!(f, "  socket    {}/websocket", base.replacen("http", "ws", 1))?;
        }
        writeln!(f, "  health    {base}/server/health")?;
        if *demo {
            for (_, email, password) in DEMO_LOGINS {
                writeln!(f, "  sign in   {email} / {password}")?;
            }
        }
        if let Some((email, password)) = &first.admin {
            writeln!(f, "  admin     {email} / {password}")?;
            writeln!(f, "            created now and shown only once: save this password")?;
        }
        Ok(())
    }
}

/// Returns an address that reaches a socket listening on this one from the same machine.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_lists_all_urls_and_accounts() {
        let mut config = Config::for_tests();
        config.bootstrap.demo = true;
        let admin = Some(("admin@example.com".to_owned(), "generated".to_owned()));
        let first = Bootstrapped { admin, public_user: None };

        let told = Welcome::new(&config, "0.0.0.0:8055".parse().unwrap(), &first).to_string();

        let (_, told) = told.split_once('\n').unwrap();
        let [(_, alice, alices), (_, bob, bobs)] = DEMO_LOGINS;
        assert_eq!(
            told,
            format!(
                "  chat      http://127.0.0.1:8055/\n  \
                 API docs  http://127.0.0.1:8055/docs\n  \
                 REST      http://127.0.0.1:8055/items/messages\n  \
                 socket    ws://127.0.0.1:8055/websocket\n  \
                 health    http://127.0.0.1:8055/server/health\n  \
                 sign in   {alice} / {alices}\n  \
                 sign in   {bob} / {bobs}\n  \
                 admin     admin@example.com / generated\n            \
                 created now and shown only once: save this password\n"
            )
        );
    }

    #[test]
    fn the_public_url_is_preferred() {
        let mut config = Config::for_tests();
        config.server.public_url = "https://chat.example.com".to_owned();
        let first = Bootstrapped::default();

        let told = Welcome::new(&config, "[::1]:80".parse().unwrap(), &first).to_string();

        assert!(told.contains("  socket    wss://chat.example.com/websocket\n"), "{told}");
        assert!(!told.contains("admin") && !told.contains("sign in"), "{told}");
    }

    #[test]
    fn a_disabled_socket_is_not_listed() {
        let mut config = Config::for_tests();
        config.websockets.enabled = false;
        let first = Bootstrapped::default();

        let told = Welcome::new(&config, "[::1]:80".parse().unwrap(), &first).to_string();

        assert!(!told.contains("socket"), "{told}");
        assert!(told.contains("  REST      http://[::1]:80/items/messages\n"), "{told}");
    }
}
