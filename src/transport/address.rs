//! The address that a request comes from.
//!
//! `X-Forwarded-For` is what anybody can write. It counts only as far as proxies that the settings
//! trust have written it (`IP_TRUST_PROXY`). What follows from an address is decided by others.

use std::net::IpAddr;

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
    Some(nearest_stranger(connection, named.rsplit(','), trust))
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
