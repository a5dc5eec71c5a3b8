//! Which connections a listener has, and which one goes when there are too many.
//!
//! Connections are shared among peers by address: past the limit, one of a peer that has the
//! most gives way, the one that has been idle for the longest. So a peer that opens thousands and
//! leaves them idle, or never reads its answers, closes its own.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The connections of one listener. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Connections(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    limit: usize,
    /// Counts accepts and ends of requests: the order in which connections became idle.
    turn: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    /// `None` for a Unix socket.
    peer: Option<IpAddr>,
    /// Requests whose answer is not yet written.
    busy: usize,
    idle_since: u64,
    close: Arc<Notify>,
}

/// A connection's place among the others; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Connections,
    id: u64,
    close: Arc<Notify>,
}

/// Says that a request is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    connections: Connections,
    id: u64,
}

/// What became of a connection that came.
#[derive(Debug)]
pub(super) enum Admission {
    /// There was room.
    Free(Slot),
    /// Another one was told to close for it.
    Instead(Slot),
    /// Every connection that could give way is answering a request, and this peer has most.
    Full,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Table {
            limit,
            turn: 0,
            open: BTreeMap::new(),
        })))
    }

    /// A connection of `peer` came.
    pub(super) fn admit(&self, peer: Option<IpAddr>) -> Admission {
        let mut table = self.table();
        if table.open.len() < table.limit {
            return Admission::Free(self.slot(&mut table, peer));
        }
        let Some(victim) = table.victim(peer) else {
            return Admission::Full;
        };
        table.close(victim);
        Admission::Instead(self.slot(&mut table, peer))
    }

    /// Descriptors have run out: one connection gives way. False where none is idle.
    pub(super) fn shed(&self) -> bool {
        let mut table = self.table();
        let idle = table.open.iter().filter(|(_, open)| open.busy == 0);
        let longest = idle.min_by_key(|(_, open)| open.idle_since);
        let victim = longest.map(|(id, _)| *id);
        victim.into_iter().for_each(|id| table.close(id));
        victim.is_some()
    }

    fn slot(&self, table: &mut Table, peer: Option<IpAddr>) -> Slot {
        table.turn += 1;
        let (id, close) = (table.turn, Arc::new(Notify::new()));
        let open = Open {
            peer,
            busy: 0,
            idle_since: id,
            close: Arc::clone(&close),
        };
        table.open.insert(id, open);
        Slot {
            connections: self.clone(),
            id,
            close,
        }
    }

    /// Each change is made whole under the lock.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Of the peers with most connections, counting the one that came: the connection that has
    /// been idle for the longest; where none is, the oldest, unless the peer that came has most
    /// itself.
    fn victim(&self, came: Option<IpAddr>) -> Option<u64> {
        let mut counts = BTreeMap::from([(came, 1usize)]);
        for open in self.open.values() {
            *counts.entry(open.peer).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let greedy = |open: &&Open| counts.get(&open.peer) == Some(&most);
        let of_greedy = self.open.iter().filter(|(_, open)| greedy(open));
        let idle = of_greedy.clone().filter(|(_, open)| open.busy == 0);
        let longest = idle.min_by_key(|(_, open)| open.idle_since);
        let oldest = || {
            of_greedy
                .clone()
                .next()
                .filter(|_| counts.get(&came) != Some(&most))
        };
        longest.or_else(oldest).map(|(id, _)| *id)
    }

    fn close(&mut self, id: u64) {
        if let Some(open) = self.open.remove(&id) {
            open.close.notify_one();
        }
    }
}

impl Slot {
    /// Ends when the connection has to give way.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        let table = self.connections.table();
        table.open.get(&self.id).is_some_and(|open| open.busy > 0)
    }

    /// A request came.
    pub(super) fn busy(&self) -> Busy {
        if let Some(open) = self.connections.table().open.get_mut(&self.id) {
            open.busy += 1;
        }
        Busy {
            connections: self.connections.clone(),
            id: self.id,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.id);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        table.turn += 1;
        let turn = table.turn;
        if let Some(open) = table.open.get_mut(&self.id) {
            open.busy -= 1;
            open.idle_since = turn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn admitted(connections: &Connections, peer: Option<IpAddr>) -> Slot {
        match connections.admit(peer) {
            Admission::Free(slot) | Admission::Instead(slot) => slot,
            Admission::Full => panic!("no room for {peer:?}"),
        }
    }

    fn is_told_to_close(slot: &Slot) -> bool {
        let mut closed = std::pin::pin!(slot.closed());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        closed.as_mut().poll(&mut context).is_ready()
    }

    /// One peer has 3 of 4 places; the other's newcomer gets one of those, the one idle longest.
    #[test]
    fn the_longest_idle_of_the_peer_with_most_gives_way() {
        let connections = Connections::new(4);
        let greedy: Vec<Slot> = (0..3).map(|_| admitted(&connections, peer(1))).collect();
        let quiet = admitted(&connections, peer(2));
        drop(greedy[0].busy());
        let new = connections.admit(peer(2));
        assert!(matches!(new, Admission::Instead(_)));
        let told: Vec<bool> = greedy.iter().map(is_told_to_close).collect();
        assert_eq!(told, [false, true, false]);
        assert!(!is_told_to_close(&quiet));
    }

    #[test]
    fn a_peer_that_has_most_and_waits_for_all_answers_is_refused() {
        let connections = Connections::new(2);
        let slots: Vec<Slot> = (0..2).map(|_| admitted(&connections, peer(1))).collect();
        let answering: Vec<Busy> = slots.iter().map(Slot::busy).collect();
        assert!(matches!(connections.admit(peer(1)), Admission::Full));
        // Another peer takes the place of its oldest.
        let other = admitted(&connections, peer(2));
        assert!(is_told_to_close(&slots[0]) && !is_told_to_close(&slots[1]));
        drop((answering, other));
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let connections = Connections::new(1);
        for _ in 0..3 {
            assert!(matches!(connections.admit(None), Admission::Free(_)));
        }
        let slot = admitted(&connections, None);
        assert!(connections.shed() && !connections.shed());
        assert!(is_told_to_close(&slot));
    }
}
