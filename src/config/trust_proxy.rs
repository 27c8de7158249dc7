//! Trusted proxies: the formats of `IP_TRUST_PROXY`, which are those of `trust proxy` in Express as
//! used by Directus.

use std::net::IpAddr;

use ipnet::IpNet;

/// The addresses that count as trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustProxy {
    /// None: the address of a request is that of its connection.
    None,
    /// All: the first entry of the header counts, which any client can forge.
    All,
    /// This number of hops, counted from this service.
    Hops(usize),
    /// Addresses within these networks.
    Networks(Vec<IpNet>),
}

impl TrustProxy {
    /// Returns whether the address at this number of hops from the service is a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr, steps: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Hops(hops) => steps < *hops,
            Self::Networks(networks) => {
                networks.iter().any(|network| network.contains(&address.to_canonical()))
            }
        }
    }
}

/// Reads the setting: `true`, `false`, a number of hops, or comma-separated addresses and networks.
pub fn trust_proxy(text: &str) -> Result<TrustProxy, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => return Ok(TrustProxy::All),
        "false" => return Ok(TrustProxy::None),
        _ => {}
    }
    if let Ok(hops) = text.parse() {
        return Ok(if hops == 0 { TrustProxy::None } else { TrustProxy::Hops(hops) });
    }
    let networks: Option<Vec<Vec<IpNet>>> =
        text.split(',').map(|name| named(name.trim())).collect();
    networks.map(|networks| TrustProxy::Networks(networks.concat())).ok_or_else(|| {
        "true, false, a number of hops, or a list of addresses, networks (10.0.0.0/8), loopback, \
         linklocal and uniquelocal"
            .to_owned()
    })
}

fn named(name: &str) -> Option<Vec<IpNet>> {
    let networks: &[&str] = match name.to_ascii_lowercase().as_str() {
        "loopback" => &["127.0.0.0/8", "::1/128"],
        "linklocal" => &["169.254.0.0/16", "fe80::/10"],
        "uniquelocal" => &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        _ => &[name],
    };
    networks.iter().map(|text| network(text)).collect()
}

/// Reads one address or network.
fn network(text: &str) -> Option<IpNet> {
    let address = |text: &str| text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical().into());
    text.parse().ok().or_else(|| address(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_of_trust_proxy_is_parsed() {
        let networks = |texts: &[&str]| {
            TrustProxy::Networks(texts.iter().map(|text| text.parse().unwrap()).collect())
        };
        for (text, expected) in [
            ("false", Some(TrustProxy::None)),
            ("0", Some(TrustProxy::None)),
            ("TRUE", Some(TrustProxy::All)),
            ("2", Some(TrustProxy::Hops(2))),
            ("10.1.2.3", Some(networks(&["10.1.2.3/32"]))),
            ("::ffff:10.1.2.3", Some(networks(&["10.1.2.3/32"]))),
            ("10.0.0.0/8, fd00::/8", Some(networks(&["10.0.0.0/8", "fd00::/8"]))),
            ("loopback", Some(networks(&["127.0.0.0/8", "::1/128"]))),
            ("-1", None),
            ("yes", None),
            ("10.0.0.0/33", None),
            ("10.0.0.1,", None),
        ] {
            assert_eq!(trust_proxy(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn trust_depends_on_address_and_hops() {
        let near = "10.0.0.1".parse().unwrap();
        for (text, steps, trusted) in [
            ("false", 0, false),
            ("true", 5, true),
            ("1", 0, true),
            ("1", 1, false),
            ("10.0.0.0/8", 3, true),
            ("10.0.0.2", 0, false),
        ] {
            assert_eq!(trust_proxy(text).unwrap().trusts(near, steps), trusted, "{text} {steps}");
        }
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(trust_proxy("10.0.0.1").unwrap().trusts(mapped, 0));
    }
}
