//! The replicas that calls can go to now, and the choice between them.
use super::connection::{Connection, Place};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

/// What is known of the replicas of one service.
#[derive(Debug, Default)]
pub(super) struct Members {
    up: Vec<Arc<Connection>>,
    /// Addresses that the last attempt to connect to has failed, and why.
    down: BTreeMap<SocketAddr, io::ErrorKind>,
    /// How many addresses there are.
    pub(super) addresses: usize,
    /// Why the last look-up found none.
    pub(super) unresolved: Option<Arc<str>>,
}

impl Members {
    /// How many are connected.
    pub(super) fn connected(&self) -> usize {
        self.up.len()
    }

    /// A new connection. True if its address was down before.
    pub(super) fn joined(&mut self, connection: Arc<Connection>) -> bool {
        let was_down = self.down.remove(&connection.address).is_some();
        self.up.push(connection);
        was_down
    }

    /// No connection to `address` takes calls any longer.
    pub(super) fn left(&mut self, address: SocketAddr) {
        self.up.retain(|connection| connection.address != address);
    }

    /// `address` could not be connected to. True if that is new.
    pub(super) fn failed(&mut self, address: SocketAddr, why: io::ErrorKind) -> bool {
        self.down.insert(address, why).is_none()
    }

    /// `address` is one of the service's no longer.
    pub(super) fn removed(&mut self, address: SocketAddr) {
        self.left(address);
        self.down.remove(&address);
    }

    /// A place on the less busy of two connections that `random` names; on `but` only where there is no other. None where no
    /// connection takes calls.
    pub(super) fn pick(&self, random: u64, but: Option<&Arc<Connection>>) -> Option<Place> {
        let load = |other: bool, at: usize| {
            let connection = self.up.get(at)?;
            let wanted = other != but.is_some_and(|but| Arc::ptr_eq(but, connection));
            connection.load().filter(|_| wanted)
        };
        let count = self.up.len();
        let at = choose(count, random, |at| load(true, at)).or_else(|| choose(count, random, |at| load(false, at)))?;
        self.up.get(at).map(Place::take)
    }

    /// Why no call can be made, nor soon will be.
    pub(super) fn down(&self) -> Option<String> {
        if self.addresses == 0 {
            return self.unresolved.as_deref().map(str::to_owned);
        }
        let all_down = self.up.is_empty() && self.down.len() >= self.addresses;
        let (address, why) = self.down.first_key_value().filter(|_| all_down)?;
        Some(format!("{} of {} replicas are not reached: {address}: {why}", self.down.len(), self.addresses))
    }
}

/// The less busy of two of the `count` that `random` names. Where neither takes a call, the least busy of all.
fn choose(count: usize, random: u64, load: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let one = (random as u32 as usize).checked_rem(count)?;
    let other = (one + 1 + (random >> 32) as usize % (count - 1).max(1)) % count;
    let less_busy = |candidates: &mut dyn Iterator<Item = usize>| {
        let usable = candidates.filter_map(|at| Some((load(at)?, at)));
        usable.min_by_key(|(load, _)| *load).map(|(_, at)| at)
    };
    less_busy(&mut [one, other].into_iter()).or_else(|| less_busy(&mut (0..count)))
}

/// Numbers that spread choices and waits. They are not for secrets.
#[derive(Debug, Default)]
pub(super) struct Random(AtomicU64);

impl Random {
    /// The next number (SplitMix64).
    pub(super) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A factor from 0.9 to 1.1.
    pub(super) fn jitter(&self) -> f64 {
        0.9 + 0.2 * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_busy_of_two_and_never_one_that_takes_no_calls() {
        assert_eq!(choose(0, 7, |_| Some(0)), None);
        assert_eq!(choose(1, 7, |_| Some(9)), Some(0));
        assert_eq!(choose(3, 7, |_| None), None);
        let numbers = Random::default();
        for _ in 0..100 {
            let random = numbers.next();
            assert_eq!(choose(2, random, |at| Some([5, 4][at])), Some(1));
            assert_ne!(choose(3, random, Some), Some(2), "the busiest is never the less busy of two");
            assert_eq!(choose(4, random, |at| (at == 3).then_some(1_000)), Some(3));
        }
    }

    #[test]
    fn equals_have_equal_shares() {
        let random = Random::default();
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[choose(3, random.next(), |_| Some(0)).unwrap()] += 1;
        }
        // Six standard deviations of a share of a third.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 490), "{counts:?}");
    }
}
