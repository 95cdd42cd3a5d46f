//! Who has not shown yet that he belongs here, and how many of those there may be.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a connection is taken for: a stranger's, until a request on it shows a good ticket, a session or an enrolled key. Every
/// request has it among its extensions. A stranger's connection is kept for seconds only, and there may be few of them: whoever
/// answers requests says when somebody has shown that he belongs here.
#[derive(Clone, Debug)]
pub struct Standing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: AtomicBool,
    /// Places among the strangers of its network and of the listener.
    places: Mutex<Option<[OwnedSemaphorePermit; 2]>>,
}

impl Standing {
    /// A stranger, as soon as there is room for one more of his network and in all.
    pub(crate) async fn stranger(network: Arc<Semaphore>, all: Arc<Semaphore>) -> Option<Self> {
        // His own network first: who waits for that takes nobody's place.
        let network = network.acquire_owned().await.ok()?;
        let all = all.acquire_owned().await.ok()?;
        Some(Self(Arc::new(Inner {
            known: AtomicBool::new(false),
            places: Mutex::new(Some([network, all])),
        })))
    }

    /// No stranger any more: makes room for others.
    pub fn known(&self) {
        if !self.0.known.swap(true, Ordering::SeqCst) {
            drop(
                self.0
                    .places
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            );
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.known.load(Ordering::SeqCst)
    }
}

/// What counts as one address: of IPv6 the network of 64 bits that one site or machine has to itself.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_with_many_addresses_is_one() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(network(address), expected.parse::<IpAddr>().unwrap());
        }
    }

    #[tokio::test]
    async fn who_is_known_or_gone_makes_room() {
        let (network, all) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(2)));
        let stranger = || Standing::stranger(Arc::clone(&network), Arc::clone(&all));
        let first = stranger().await.unwrap();
        assert_eq!((network.available_permits(), all.available_permits()), (0, 1));
        first.known();
        first.known();
        assert_eq!((network.available_permits(), all.available_permits()), (1, 2));
        let second = stranger().await.unwrap();
        assert!(first.is_known() && !second.is_known());
        drop(second);
        assert_eq!((network.available_permits(), all.available_permits()), (1, 2));
    }
}
