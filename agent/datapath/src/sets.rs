//! The two sets of maps and the loss-free drain.
//!
//! Programs write to the set that the lowest bit of the epoch names. A drain raises the epoch,
//! waits one grace period, so that no program run can still hold the old set, and reads the old
//! set at rest. What it read is deleted only by [`Sets::clear`]: a process that dies between the
//! two leaves the numbers where its successor finds them.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData, PerCpuArray};
use zonemeter_common::{
    Class, Control, FlowKey4, FlowKey6, HostKey4, HostKey6, Totals,
    conntrack::Tracked,
    table::{Entry, Share},
};
use zonemeter_model::traffic::{Count, Direction, Drain, Flow, HostDrain, HostFlow, Overflow};

use super::{
    batch::BatchMap, conntrack::captured::captured, conntrack::table::LookupKey, flows::Flows,
    grace, maps::Written, tables::Tables, translate::CapturedConnections,
};

/// Epochs begin here, so that the one before is a number of its own, too: drains are told apart by
/// epoch, over restarts.
const FIRST_EPOCH: u64 = 2;

/// The maps of one set.
pub(super) struct Set {
    pub(super) flows4: BatchMap<FlowKey4, Entry>,
    pub(super) flows6: BatchMap<FlowKey6, Entry>,
    pub(super) shares: BatchMap<u32, Share>,
    pub(super) host4: BatchMap<HostKey4, Count>,
    pub(super) host6: BatchMap<HostKey6, Count>,
    pub(super) tracked4: BatchMap<FlowKey4, Tracked>,
    pub(super) tracked6: BatchMap<FlowKey6, Tracked>,
}

/// One drain: what the account gets, and what the programs captured about its flows.
pub(super) struct Drained {
    pub(super) drain: Drain,
    pub(super) captured: CapturedConnections,
}

/// Both sets and which of them is written to.
pub(super) struct Sets {
    control: Array<MapData, Control>,
    /// Everything that came in by uplinks: not a part of the sets, because it has to be read before
    /// the switch. What has come in is received by somebody a moment later; so read, what is not
    /// received is never taken for more than it is.
    received: PerCpuArray<MapData, Count>,
    tables: Tables,
    sets: [Set; 2],
    state: Control,
    /// Since when programs have been writing to the active set.
    since: Instant,
    /// What the last drain read and `clear` has not deleted yet.
    uncleared: Option<Uncleared>,
    /// Interfaces that are gone, and the epoch whose drain brings their last flows.
    leaving: Vec<(u32, u64)>,
}

/// Keys that were read and are to be deleted.
#[derive(Default)]
struct Uncleared {
    flows4: Vec<FlowKey4>,
    flows6: Vec<FlowKey6>,
    shares: Vec<u32>,
    host4: Vec<HostKey4>,
    host6: Vec<HostKey6>,
    tracked4: Vec<FlowKey4>,
    tracked6: Vec<FlowKey6>,
}

impl Sets {
    /// Adopts what an earlier process left: its last drain may not have been cleared, so that the
    /// first drain reads the idle set once more instead of switching.
    pub(super) fn new(written: Written, now: Instant) -> Result<Self> {
        let Written {
            mut control,
            received,
            tables,
            sets,
            ..
        } = written;
        let mut state = control.get(&0, 0)?;
        let adopted = state.instance != 0;
        if !adopted {
            state.instance = RandomState::new().hash_one(now) | 1;
            state.epoch = FIRST_EPOCH;
            control.set(0, state, 0)?;
        }
        Ok(Self {
            control,
            received,
            tables,
            sets,
            state,
            since: now,
            uncleared: adopted.then(Uncleared::default),
            leaving: Vec::new(),
        })
    }

    /// Reads both sets of maps that no program writes to any more, the older one first.
    pub(super) fn read_leftovers(written: Written, now: Instant) -> Result<[Drained; 2]> {
        let mut sets = Self::new(written, now)?;
        grace::wait().context("waiting for program runs to end (membarrier)")?;
        let mut drained = [1, 0].map(|ago| sets.drained(sets.state.epoch.saturating_sub(ago), now));
        // Nothing comes in any more: the epoch that was under way ends here.
        let [_, before] = sets.state.received;
        drained[1].drain.host.received = less(sets.received()?, before);
        for one in &mut drained {
            sets.read_idle(one)
                .context("reading the maps of an earlier process")?;
            sets.state.epoch += 1;
        }
        Ok(drained)
    }

    /// True where a drain has begun that is not cleared yet.
    pub(super) fn is_uncleared(&self) -> bool {
        self.uncleared.is_some()
    }

    /// Tells this set of maps from any other, over restarts.
    pub(super) fn instance(&self) -> u64 {
        self.state.instance
    }

    /// No program runs on this interface any more; the drain of the active set is its last.
    pub(super) fn leave(&mut self, index: u32) {
        self.leaving.push((index, self.state.epoch));
    }

    /// Flips, waits, reads. Called again without [`Self::clear`] it reads the same set again.
    pub(super) fn drain(&mut self) -> Result<Drained> {
        if self.uncleared.is_none() {
            let received = self.received()?;
            if received != self.state.received[1] {
                // Until whoever they are for has them.
                grace::wait().context("waiting for packets to be received (membarrier)")?;
            }
            self.switch(received)?;
        }
        grace::wait().context("waiting for program runs to end (membarrier)")?;
        let until = Instant::now();
        let mut drained = self.drained(self.state.epoch.saturating_sub(1), until);
        let keys = self
            .read_idle(&mut drained)
            .context("reading the drained maps")?;
        self.since = until;
        self.uncleared = Some(keys);
        Ok(drained)
    }

    /// From here on the old set is not cleared, should the wait or the reading fail.
    fn switch(&mut self, received: Count) -> Result<()> {
        let next = Control {
            epoch: self.state.epoch + 1,
            received: [self.state.received[1], received],
            ..self.state
        };
        self.control
            .set(0, next, 0)
            .context("switching the map sets")?;
        self.state = next;
        self.uncleared = Some(Uncleared::default());
        Ok(())
    }

    fn drained(&self, epoch: u64, until: Instant) -> Drained {
        let drain = Drain {
            instance: self.instance(),
            epoch,
            from: self.since,
            until,
            flows: Vec::new(),
            seen: [Count::ZERO; 2],
            overflow: Vec::new(),
            unplaced: [Count::ZERO; 2],
            host: HostDrain {
                received: less(self.state.received[1], self.state.received[0]),
                ..HostDrain::default()
            },
        };
        Drained {
            drain,
            captured: CapturedConnections::new(),
        }
    }

    /// Everything that has come in by uplinks so far.
    fn received(&self) -> Result<Count> {
        let by_cpu = self.received.get(&0, 0);
        let by_cpu = by_cpu.context("reading what came in by uplinks")?;
        Ok(by_cpu.iter().copied().sum())
    }

    fn idle(&self) -> &Set {
        &self.sets[self.idle_number()]
    }

    fn idle_number(&self) -> usize {
        1 - self.state.active_set()
    }

    fn read_idle(&self, drained: &mut Drained) -> io::Result<Uncleared> {
        let (set, number) = (self.idle(), self.idle_number());
        let mut keys = Uncleared::default();
        let Drained { drain, captured } = drained;
        let mut flows = Flows::with_room(self.tables.taken(number));
        self.tables.read4(number, |slot| flows.slot4(slot));
        self.tables.read6(number, |slot| flows.slot6(slot));
        set.flows4.read(|key, entry| {
            keys.flows4.push(key);
            flows.entry4(&key, entry);
        })?;
        set.flows6.read(|key, entry| {
            keys.flows6.push(key);
            flows.entry6(&key, entry);
        })?;
        drain.flows = flows.into_flows();
        set.shares.read(|interface, share| {
            keys.shares.push(interface);
            drain.overflow.extend(overflow(interface, share));
        })?;
        set.host4.read(|key, count| {
            keys.host4.push(key);
            drain.host.flows.extend(host4(&key, *count));
        })?;
        set.host6.read(|key, count| {
            keys.host6.push(key);
            drain.host.flows.extend(host6(&key, *count));
        })?;
        set.tracked4.read(|key, tracked| {
            keys.tracked4.push(key);
            keep(captured, lookup_key4(&key), tracked);
        })?;
        set.tracked6.read(|key, tracked| {
            keys.tracked6.push(key);
            keep(captured, lookup_key6(&key), tracked);
        })?;
        self.tables.totals(number, |cpu| add_totals(drain, cpu));
        Ok(keys)
    }

    /// Deletes what the last drain read; returns the interfaces that are done with. Should it
    /// fail, the set stays uncleared: the next drain reads what is left of it under the same epoch
    /// and does not switch.
    pub(super) fn clear(&mut self) -> Result<Vec<u32>> {
        let Some(keys) = &self.uncleared else {
            return Ok(Vec::new());
        };
        let number = self.idle_number();
        let set = &self.sets[number];
        set.flows4
            .delete(&keys.flows4)
            .context("clearing the IPv4 flows")?;
        set.flows6
            .delete(&keys.flows6)
            .context("clearing the IPv6 flows")?;
        set.shares
            .delete(&keys.shares)
            .context("clearing the shares of interfaces")?;
        set.host4
            .delete(&keys.host4)
            .context("clearing the node's IPv4 flows")?;
        set.host6
            .delete(&keys.host6)
            .context("clearing the node's IPv6 flows")?;
        set.tracked4
            .delete(&keys.tracked4)
            .context("clearing the connections")?;
        set.tracked6
            .delete(&keys.tracked6)
            .context("clearing the connections")?;
        self.tables.clear(number);
        self.uncleared = None;
        Ok(self.forget_left())
    }

    /// As [`Tables::clear_in_part`], of the set at rest.
    #[cfg(test)]
    pub(super) fn clear_tables_in_part(&mut self, slots: usize) {
        self.tables.clear_in_part(self.idle_number(), slots);
    }

    /// Flows of the last drain that had an entry of a hash map.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let keys = self.uncleared.as_ref();
        keys.map_or(0, |keys| keys.flows4.len() + keys.flows6.len())
    }

    /// Takes a flow out of the set at rest behind the back of [`Self::clear`], which then fails.
    #[cfg(test)]
    pub(super) fn spoil_clearing(&mut self) -> Result<()> {
        let keys = self.uncleared.as_ref().context("nothing is drained")?;
        Ok(self.idle().flows4.delete(&keys.flows4[..1])?)
    }

    fn forget_left(&mut self) -> Vec<u32> {
        let drained = self.state.epoch.saturating_sub(1);
        let (done, leaving) = self
            .leaving
            .drain(..)
            .partition(|(_, last)| *last <= drained);
        self.leaving = leaving;
        Vec::into_iter(done).map(|(index, _)| index).collect()
    }
}

fn add_totals(drain: &mut Drain, cpu: &Totals) {
    for direction in Direction::ALL {
        drain.seen[direction as usize] += cpu.seen(direction);
        drain.unplaced[direction as usize] += cpu.unplaced(direction);
        drain.host.unplaced[direction as usize] += cpu.host_unplaced[direction as usize];
    }
    for class in Class::ALL {
        drain.host.sent[class as usize] += cpu.sent(class);
    }
    drain.host.received_by_pods += cpu.from_uplinks;
    drain.host.received_by_sockets += cpu.host_received;
}

/// The second is never more, but for a counter that another process has written.
fn less(count: Count, part: Count) -> Count {
    Count {
        bytes: count.bytes.saturating_sub(part.bytes),
        packets: count.packets.saturating_sub(part.packets),
    }
}

/// Keeps a connection that can be read. For any other flow the connection table is asked.
fn keep(captured: &mut CapturedConnections, key: LookupKey, tracked: &Tracked) {
    if let Some(connection) = self::captured(tracked) {
        captured.insert(key, connection);
    }
}

/// What found no room of an interface, by direction.
fn overflow(interface: u32, share: &Share) -> impl Iterator<Item = Overflow> {
    let counts = Direction::ALL.map(|direction| (direction, share.overflow[direction as usize]));
    let some = counts.into_iter().filter(|(_, count)| !count.is_zero());
    some.map(move |(direction, count)| Overflow {
        interface,
        direction,
        count,
    })
}

macro_rules! lookup_key_of {
    ($name:ident, $key:ident) => {
        fn $name(key: &$key) -> LookupKey {
            let port = u16::from_be_bytes;
            LookupKey {
                protocol: key.protocol,
                local: SocketAddr::new(key.local.into(), port(key.local_port)),
                peer: SocketAddr::new(key.peer.into(), port(key.peer_port)),
            }
        }
    };
}

lookup_key_of!(lookup_key4, FlowKey4);
lookup_key_of!(lookup_key6, FlowKey6);

macro_rules! host_of {
    ($name:ident, $key:ident) => {
        /// `None` for a direction code that no program writes.
        fn $name(key: &$key, count: Count) -> Option<HostFlow> {
            Some(HostFlow {
                cgroup: key.cgroup,
                flow: Flow {
                    interface: 0,
                    direction: Direction::from_code(key.direction)?,
                    local: IpAddr::from(key.local),
                    peer: IpAddr::from(key.peer),
                    protocol: key.protocol,
                    local_port: u16::from_be_bytes(key.local_port),
                    peer_port: u16::from_be_bytes(key.peer_port),
                    other_ports: false,
                    real_peer: None,
                    count,
                },
            })
        }
    };
}

host_of!(host4, HostKey4);
host_of!(host6, HostKey6);
