//! The client address of a request.
//!
//! Any client can send `X-Forwarded-For`. Only entries written by trusted proxies
//! (`IP_TRUST_PROXY`) count.

use std::net::IpAddr;
use std::sync::Once;

use poem::Request;

use crate::config::TrustProxy;

/// Returns the client address: the one of the connection, or the one that trusted proxies report.
/// `None` if the connection has no IP address.
#[must_use]
pub fn of(request: &Request, trust: &TrustProxy) -> Option<IpAddr> {
    let connection = request.remote_addr().as_socket_addr()?.ip();
    let forwarded = request.headers().get_all("x-forwarded-for");
    // Each proxy appends the address of its peer, so the nearest one is last.
    let named =
        forwarded.iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(",");
    if !named.is_empty() && *trust == TrustProxy::None && is_near(connection) {
        warn_of_a_proxy();
    }
    Some(nearest_stranger(connection, named.rsplit(','), trust))
}

/// Returns whether an address is local or private, as those of proxies usually are.
const fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Warns once that there seems to be an untrusted proxy, which makes all clients share one address.
fn warn_of_a_proxy() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "requests have an X-Forwarded-For header, but IP_TRUST_PROXY is false: if they come \
             from your proxy, name it in IP_TRUST_PROXY, or all clients count as one address and \
             share its limits"
        );
    });
}

/// Walks from the connection towards the client, past trusted proxies, to the first untrusted
/// address. An entry that is not an address ends the walk.
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
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let networks =
            |text: &str| TrustProxy::Networks(vec![text.parse().expect("a valid network")]);
        for (connection, named, trust, expected) in [
            ("10.0.0.1", "", TrustProxy::All, "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1", TrustProxy::None, "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::All, "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(1), "2.2.2.2"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(2), "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 2.2.2.2", TrustProxy::Hops(9), "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1,2.2.2.2,10.9.9.9", networks("10.0.0.0/8"), "2.2.2.2"),
            ("9.9.9.9", "1.1.1.1", networks("10.0.0.0/8"), "9.9.9.9"),
            ("10.0.0.1", "1.1.1.1, nonsense", TrustProxy::All, "10.0.0.1"),
            ("::ffff:10.0.0.1", "::ffff:1.1.1.1", networks("10.0.0.0/8"), "1.1.1.1"),
        ] {
            let found = nearest_stranger(
                connection.parse().expect("a valid address"),
                named.rsplit(','),
                &trust,
            );

            assert_eq!(found.to_string(), expected, "{connection} {named} {trust:?}");
        }
    }
}
