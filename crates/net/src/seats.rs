//! How many may be in at once, in total and from one address.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The seats of a listener.
#[derive(Default)]
pub struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// A seat; it is free again when this is dropped.
pub struct Seat {
    seats: Arc<Seats>,
    address: Option<IpAddr>,
}

impl Seats {
    /// A seat, if fewer than `limit` are taken.
    pub fn take(self: &Arc<Self>, limit: usize) -> Option<Seat> {
        let mut taken = self.taken.lock();
        if taken.total >= limit {
            return None;
        }
        taken.total += 1;
        Some(Seat {
            seats: Arc::clone(self),
            address: None,
        })
    }
}

impl Seat {
    /// Writes the guest's address on the seat; false if `limit` others from there are in already.
    pub fn name(&mut self, address: IpAddr, limit: usize) -> bool {
        let network = network(address);
        let mut taken = self.seats.taken.lock();
        let count = taken.addresses.entry(network).or_default();
        if *count >= limit {
            return false;
        }
        *count += 1;
        self.address = Some(network);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        taken.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = taken.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.addresses.remove(&address);
            }
        }
    }
}

/// What counts as one address: everybody has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_and_given_back() {
        let seats = Arc::new(Seats::default());
        let mut one = seats.take(2).unwrap();
        let mut two = seats.take(2).unwrap();
        assert!(seats.take(2).is_none());
        assert!(one.name("2001:db8::1".parse().unwrap(), 1));
        assert!(!two.name("2001:db8::2".parse().unwrap(), 1));
        assert!(two.name("2001:db8:0:1::2".parse().unwrap(), 1));
        drop(one);
        let mut three = seats.take(2).unwrap();
        assert!(three.name("2001:db8::3".parse().unwrap(), 1));
        drop((two, three));
        let taken = seats.taken.lock();
        assert_eq!((taken.total, taken.addresses.len()), (0, 0));
    }
}
