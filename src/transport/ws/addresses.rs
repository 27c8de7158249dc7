//! Socket limits per address behind trusted proxies. All connections come from the proxies there,
//! and only the request head names the address of the client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::network;

/// The number of open sockets of each address.
#[derive(Debug)]
pub struct Addresses {
    max: usize,
    /// Contains only addresses with open sockets.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A slot of an address, released on drop.
#[derive(Debug)]
pub struct OfAddress {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// Allows `max` sockets for each IPv4 address and each IPv6 /64.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// Acquires a slot. Returns `None` if the address has none left.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<OfAddress> {
        let address = network(address);
        let mut taken = self.taken.lock();
        let of_address = taken.entry(address).or_default();
        if *of_address >= self.max {
            return None;
        }
        *of_address += 1;
        Some(OfAddress { addresses: Arc::clone(self), address })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut taken = self.addresses.taken.lock();
        if let Some(of_address) = taken.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_an_address_are_limited_and_released() {
        let addresses = Addresses::new(2);
        let take = |address: &str| addresses.take(address.parse().unwrap());

        let (one, two) = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_none());
        let other = take("192.0.2.1").unwrap();
        drop(one);
        let again = take("2001:db8::3");

        assert!(again.is_some());
        drop((two, other, again));
        assert!(addresses.taken.lock().is_empty());
    }
}
