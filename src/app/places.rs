//! Connection limits: global and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::network;

/// The connection slots of one server.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    max: usize,
    per_address_max: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Only addresses with open connections, and only if there is a limit per address.
    by_address: HashMap<IpAddr, usize>,
}

/// One connection slot, freed on drop.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<ConnectionSlots>,
    address: Option<IpAddr>,
}

/// No slot is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The global limit is reached.
    InAll,
    /// The limit of this address is reached.
    ForAddress,
}

impl ConnectionSlots {
    /// Creates a limiter with these limits.
    pub(super) fn new(max: usize, per_address_max: Option<usize>) -> Arc<Self> {
        Arc::new(Self { max, per_address_max, taken: Mutex::default() })
    }

    /// Takes a slot, counted for this address; `None` counts for the global limit only.
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Full> {
        let mut taken = self.taken.lock();
        if taken.all >= self.max {
            return Err(Full::InAll);
        }
        let address = self.per_address_max.and(address).map(network);
        if let (Some(address), Some(max)) = (address, self.per_address_max) {
            let of_address = taken.by_address.entry(address).or_default();
            if *of_address >= max {
                return Err(Full::ForAddress);
            }
            *of_address += 1;
        }
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(of_address) = taken.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it is what a place is taken with")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_dropped_slot_is_free_again() {
        let places = ConnectionSlots::new(2, None);
        let here = address("192.0.2.1");

        let first = places.take(here).unwrap();
        let _second = places.take(here).unwrap();
        assert_eq!(places.take(here).unwrap_err(), Full::InAll);
        drop(first);

        assert!(places.take(here).is_ok());
    }

    #[test]
    fn one_address_cannot_take_all_slots() {
        let places = ConnectionSlots::new(10, Some(1));
        let here = places.take(address("192.0.2.1")).unwrap();

        assert_eq!(places.take(address("192.0.2.1")).unwrap_err(), Full::ForAddress);
        assert_eq!(places.take(address("::ffff:192.0.2.1")).unwrap_err(), Full::ForAddress);
        let _there = places.take(address("192.0.2.2")).unwrap();
        drop(here);

        assert!(places.take(address("192.0.2.1")).is_ok());
        assert_eq!(places.taken.lock().by_address.len(), 1);
    }

    #[test]
    fn connections_of_proxies_have_no_address_limit() {
        let places = ConnectionSlots::new(3, Some(1));
        let _some = [places.take(None).unwrap(), places.take(None).unwrap()];

        assert!(places.take(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let places = ConnectionSlots::new(10, Some(1));
        let _here = places.take(address("2001:db8::1")).unwrap();

        assert_eq!(places.take(address("2001:db8::2")).unwrap_err(), Full::ForAddress);
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }
}
