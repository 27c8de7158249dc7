//! The address that a request comes from.
//!
//! `X-Forwarded-For` is what anybody can write. It counts only as far as proxies that the settings
//! trust have written it (`IP_TRUST_PROXY`). What follows from an address is decided by others.

use std::net::IpAddr;
use std::sync::Once;

use poem::Request;

use crate::config::TrustProxy;

/// Returns the address that a request comes from: that of its connection, or what the proxies that
/// are trusted say. `None` if the connection has none.
#[must_use]
pub fn of(request: &Request, trust: &TrustProxy) -> Option<IpAddr> {
    let connection = request.remote_addr().as_socket_addr()?.ip();
    let forwarded = request.headers().get_all("x-forwarded-for");
    // Each proxy adds whom it heard at the end, so the nearest comes last.
    let named =
        forwarded.iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(",");
    if !named.is_empty() && *trust == TrustProxy::Nobody && is_near(connection) {
        warn_of_a_proxy();
    }
    Some(nearest_stranger(connection, named.rsplit(','), trust))
}

/// Returns whether an address is of this machine or a network of its own, where proxies are.
const fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Says once that there seems to be a proxy: if so, all clients count as one address.
fn warn_of_a_proxy() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "requests come with X-Forwarded-For and IP_TRUST_PROXY is false: if that is a proxy of \
             yours, name it there, or all clients count as one address and wait for each other"
        );
    });
}

/// Walks away from this service, past proxies that are trusted, to the first that is not. What no
/// address is ends the walk where it is.
fn nearest_stranger<'a>(
    connection: IpAddr,
    named: impl Iterator<Item = &'a str>,
    trust: &TrustProxy,
) -> IpAddr {
    let mut address = connection;
    for (steps, name) in named.enumerate() {
        if !trust.trusts(address, steps) {
            break;
        }
        let Ok(next) = name.trim().parse() else { break };
        address = next;
    }
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_counts_as_far_as_proxies_are_trusted() {
        let networks =
            |text: &str| TrustProxy::Networks(vec![text.parse().expect("it is a network")]);
        for (connection, named, trust, expected) in [
            ("10.0.0.1", "", TrustProxy::Everybody, "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1", TrustProxy::Nobody, "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Everybody, "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(1), "2.2.2.2"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(2), "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(9), "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1,2.2.2.2,10.9.9.9", networks("10.0.0.0/8"), "2.2.2.2"),
            ("9.9.9.9", "1.1.1.1", networks("10.0.0.0/8"), "9.9.9.9"),
            ("10.0.0.1", "1.1.1.1, nonsense", TrustProxy::Everybody, "10.0.0.1"),
            ("::ffff:10.0.0.1", "::ffff:1.1.1.1", networks("10.0.0.0/8"), "1.1.1.1"),
        ] {
            let found = nearest_stranger(
                connection.parse().expect("it is an address"),
                named.rsplit(','),
                &trust,
            );

            assert_eq!(found.to_string(), expected, "{connection} {named} {trust:?}");
        }
    }
}
