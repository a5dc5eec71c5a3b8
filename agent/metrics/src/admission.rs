//! How many scrapes are answered at once, and how many may wait.
//!
//! Rendering takes processors and memory; a flood of requests gets neither. Whoever asks too
//! much is told to come again, and others still find a place: each peer address has a share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Peer;

/// Scrapes that are rendered at once: two Prometheus servers and a curious person.
const AT_ONCE: usize = 3;
/// Scrapes in flight, rendered or waiting.
const IN_FLIGHT: usize = 256;
/// Of these, scrapes of one peer address.
const OF_ONE_PEER: usize = 64;

/// The scrapes in flight. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Scrapes {
    rendering: Arc<Semaphore>,
    in_flight: Arc<Mutex<BTreeMap<Peer, usize>>>,
}

/// A scrape's place; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    scrapes: Scrapes,
    peer: Peer,
}

impl Default for Scrapes {
    fn default() -> Self {
        Self {
            rendering: Arc::new(Semaphore::new(AT_ONCE)),
            in_flight: Arc::default(),
        }
    }
}

impl Scrapes {
    /// A place for a scrape of this peer; `None` where there are too many.
    pub(super) fn enter(&self, peer: Peer) -> Option<Place> {
        let mut in_flight = self.in_flight();
        let all: usize = in_flight.values().sum();
        let of_peer = in_flight.get(&peer).copied().unwrap_or(0);
        if all >= IN_FLIGHT || of_peer >= OF_ONE_PEER {
            return None;
        }
        in_flight.insert(peer, of_peer + 1);
        drop(in_flight);
        Some(Place {
            scrapes: self.clone(),
            peer,
        })
    }

    /// Each change is made whole under the lock.
    fn in_flight(&self) -> MutexGuard<'_, BTreeMap<Peer, usize>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until this scrape may be rendered.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let rendering = Arc::clone(&self.scrapes.rendering);
        // Nobody closes the semaphore.
        rendering.acquire_owned().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut in_flight = self.scrapes.in_flight();
        if let Some(of_peer) = in_flight.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                in_flight.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_peer_has_a_share_and_all_together_have_a_bound() {
        let scrapes = Scrapes::default();
        let peer = |last| Peer(Some(IpAddr::from([10, 0, 0, last])));
        let mut places = Vec::new();
        for last in 0..4 {
            let of_one = (0..80).filter_map(|_| scrapes.enter(peer(last)));
            let before = places.len();
            places.extend(of_one);
            assert_eq!(places.len() - before, 64);
        }
        assert!(scrapes.enter(peer(9)).is_none());
        places.pop();
        assert!(scrapes.enter(peer(9)).is_some());
        drop(places);
        assert!(scrapes.in_flight().is_empty());
    }
}
