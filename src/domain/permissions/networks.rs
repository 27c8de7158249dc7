//! `ip_access` of a policy: the addresses at which the policy applies.
//!
//! As in Directus: single addresses, networks (`10.0.0.0/8`) and ranges (`10.0.0.1-10.0.0.9`).

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value as Json;

use crate::model::Row;
use crate::model::schema::policies;
use crate::text;

/// Addresses at which a policy applies.
#[derive(Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Debug, PartialEq, Eq)]
enum Network {
    Net(IpNet),
    Range(IpAddr, IpAddr),
}

impl Networks {
    /// Reads the addresses of a policy; `None` if it applies everywhere. An invalid entry matches
    /// no address.
    pub(super) fn of(policy: &Row) -> Option<Self> {
        let entries = policy.get(&policies::ip_access).map_or_else(Vec::new, entries);
        let networks =
            || entries.iter().filter_map(|entry| Network::read(entry.as_str()?)).collect();
        (!entries.is_empty()).then(|| Self(networks()))
    }

    /// Returns the first invalid entry of a list, as it was written.
    #[must_use]
    pub fn nonsense(json: &Json) -> Option<Json> {
        let makes_sense =
            |entry: &Json| entry.as_str().is_some_and(|text| Network::read(text).is_some());
        entries(json).into_iter().find(|entry| !makes_sense(entry))
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| match network {
            Network::Net(net) => net.contains(&address),
            Network::Range(first, last) => {
                first.is_ipv4() == address.is_ipv4() && (*first..=*last).contains(&address)
            }
        })
    }
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let address = |text: &str| text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first)?, address(last)?);
            let makes_sense = first.is_ipv4() == last.is_ipv4() && first <= last;
            return makes_sense.then_some(Self::Range(first, last));
        }
        let net = text.trim().parse().ok().or_else(|| address(text).map(IpNet::from));
        net.map(Self::Net)
    }
}

/// Returns the entries of a list, which may also be written as comma-separated text.
fn entries(json: &Json) -> Vec<Json> {
    match json {
        Json::Null => Vec::new(),
        Json::Array(entries) => entries.clone(),
        Json::String(text) => text::names(text).map(Json::from).collect(),
        other => vec![other.clone()],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::Value;
    use crate::model::schema::POLICIES;

    fn networks(json: Json) -> Option<Networks> {
        let value = if json.is_null() { Value::Null } else { Value::Json(Arc::new(json)) };
        Networks::of(&Row::empty(&POLICIES).with(&policies::ip_access, value))
    }

    #[test]
    fn a_policy_applies_within_its_networks() {
        for (list, within, without) in [
            (json!(["10.0.0.1"]), vec!["10.0.0.1", "::ffff:10.0.0.1"], vec!["10.0.0.2", "::1"]),
            (json!("10.0.0.1, 10.0.0.3"), vec!["10.0.0.3"], vec!["10.0.0.2"]),
            (
                json!(["10.0.0.0/8", "fd00::/8"]),
                vec!["10.9.9.9", "fd00::1"],
                vec!["11.0.0.1", "fe80::1"],
            ),
            (
                json!(["10.0.0.5-10.0.0.9"]),
                vec!["10.0.0.5", "10.0.0.9"],
                vec!["10.0.0.4", "10.0.0.10"],
            ),
            (json!(["::1-::5"]), vec!["::3"], vec!["::6", "0.0.0.2"]),
            // An invalid entry was meant as a restriction, so it must not lift one.
            (json!(["nonsense"]), vec![], vec!["10.0.0.1"]),
            (json!([5, "10.0.0.1"]), vec!["10.0.0.1"], vec!["0.0.0.5"]),
            (json!({"a": 1}), vec![], vec!["10.0.0.1"]),
        ] {
            let networks = networks(list.clone()).expect("the list restricts access");
            for (texts, expected) in [(within, true), (without, false)] {
                for text in texts {
                    let address = text.parse().expect("a valid address");
                    assert_eq!(networks.contain(address), expected, "{list} {text}");
                }
            }
        }
    }

    #[test]
    fn an_empty_list_allows_every_address() {
        for list in [json!(null), json!([]), json!(""), json!(" , ")] {
            assert_eq!(networks(list.clone()), None, "{list}");
        }
    }

    #[test]
    fn invalid_networks_are_found() {
        for (list, expected) in [
            (json!(["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.2", "::1"]), None),
            (json!(["10.0.0.1", "10.0.0.0/33"]), Some(json!("10.0.0.0/33"))),
            (json!("10.0.0.1, here"), Some(json!("here"))),
            (json!(["10.0.0.9-10.0.0.1"]), Some(json!("10.0.0.9-10.0.0.1"))),
            (json!(["10.0.0.1-::1"]), Some(json!("10.0.0.1-::1"))),
            (json!([5]), Some(json!(5))),
        ] {
            assert_eq!(Networks::nonsense(&list), expected, "{list}");
        }
    }
}
