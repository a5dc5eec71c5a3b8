//! The two sets of maps and the loss-free drain.
//!
//! Programs write to the set that the lowest bit of the epoch names. A drain raises the epoch,
//! waits one grace period, so that no program run can still hold the old set, and reads the old
//! set at rest. What it read is deleted only by [`Sets::clear`]: a process that dies between the
//! two leaves the numbers where its successor finds them.

use std::{collections::BTreeSet, io, net::IpAddr, time::Instant};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData};
use zonemeter_common::{Control, FlowKey4, FlowKey6, InterfaceCounters, InterfaceKey};

use super::{batch::BatchMap, grace};
use crate::model::traffic::{Count, Direction, Drain, Flow, InterfaceCount};

/// The maps of one set.
pub(super) struct Set {
    pub(super) flows4: BatchMap<FlowKey4, Count>,
    pub(super) flows6: BatchMap<FlowKey6, Count>,
    pub(super) interfaces: BatchMap<InterfaceKey, InterfaceCounters>,
}

/// Both sets and which of them is written to.
pub(super) struct Sets {
    control: Array<MapData, Control>,
    sets: [Set; 2],
    epoch: u64,
    /// Since when programs have been writing to the active set.
    since: Instant,
    /// What the last drain read and `clear` has not deleted yet.
    uncleared: Option<Uncleared>,
    /// Interfaces that are gone, and the epoch whose drain brings their last flows.
    leaving: Vec<(u32, u64)>,
}

/// Keys that were read and are to be deleted or set to zero.
#[derive(Default)]
struct Uncleared {
    flows4: Vec<FlowKey4>,
    flows6: Vec<FlowKey6>,
    interfaces: Vec<InterfaceKey>,
}

impl Sets {
    pub(super) fn new(
        control: Array<MapData, Control>,
        sets: [Set; 2],
        now: Instant,
    ) -> Result<Self> {
        let epoch = control.get(&0, 0)?.epoch;
        Ok(Self {
            control,
            sets,
            epoch,
            since: now,
            uncleared: None,
            leaving: Vec::new(),
        })
    }

    /// Makes room for the counters of an interface in both sets, before programs run on it.
    pub(super) fn register(&self, index: u32) -> Result<()> {
        for set in &self.sets {
            set.interfaces
                .fill(&[InterfaceKey { index }], InterfaceCounters::default())
                .with_context(|| format!("no room in the interface map for interface {index}"))?;
        }
        Ok(())
    }

    /// Takes back what [`Self::register`] did.
    pub(super) fn unregister(&self, index: u32) -> Result<()> {
        for set in &self.sets {
            set.interfaces
                .delete(&[InterfaceKey { index }])
                .with_context(|| format!("interface {index} is not in the interface map"))?;
        }
        Ok(())
    }

    /// No program runs on this interface any more; the drain of the active set is its last.
    pub(super) fn leave(&mut self, index: u32) {
        self.leaving.push((index, self.epoch));
    }

    /// Flips, waits, reads. Called again without [`Self::clear`] it reads the same set again.
    pub(super) fn drain(&mut self) -> Result<Drain> {
        let from = self.since;
        if self.uncleared.is_none() {
            self.flip()?;
        }
        let until = Instant::now();
        let (drain, keys) = self
            .read_idle(from, until)
            .context("reading the drained maps")?;
        self.since = until;
        self.uncleared = Some(keys);
        Ok(drain)
    }

    fn flip(&mut self) -> Result<()> {
        let next = Control {
            epoch: self.epoch + 1,
        };
        self.control
            .set(0, next, 0)
            .context("flipping the map sets")?;
        self.epoch = next.epoch;
        // Marks the set as not cleared yet, should the wait or the reading fail.
        self.uncleared = Some(Uncleared::default());
        grace::wait().context("waiting for program runs to end (membarrier)")
    }

    fn idle(&self) -> &Set {
        &self.sets[1 - Control { epoch: self.epoch }.active_set()]
    }

    fn read_idle(&self, from: Instant, until: Instant) -> io::Result<(Drain, Uncleared)> {
        let set = self.idle();
        let mut keys = Uncleared::default();
        let mut drain = Drain {
            epoch: self.epoch - 1,
            from,
            until,
            flows: Vec::new(),
            interfaces: Vec::new(),
        };
        set.flows4.read(|key, counts| {
            keys.flows4.push(key);
            drain.flows.extend(flow4(&key, counts));
        })?;
        set.flows6.read(|key, counts| {
            keys.flows6.push(key);
            drain.flows.extend(flow6(&key, counts));
        })?;
        set.interfaces.read(|key, counters| {
            keys.interfaces.push(key);
            drain.interfaces.extend(interface_counts(key, counters));
        })?;
        Ok((drain, keys))
    }

    /// Deletes what the last drain read; returns the interfaces that are done with.
    pub(super) fn clear(&mut self) -> Result<Vec<u32>> {
        let Some(keys) = self.uncleared.take() else {
            return Ok(Vec::new());
        };
        let set = self.idle();
        set.flows4
            .delete(&keys.flows4)
            .context("clearing the IPv4 flows")?;
        set.flows6
            .delete(&keys.flows6)
            .context("clearing the IPv6 flows")?;
        set.interfaces
            .fill(&keys.interfaces, InterfaceCounters::default())
            .context("clearing the interface counters")?;
        self.forget_left()
    }

    fn forget_left(&mut self) -> Result<Vec<u32>> {
        let drained = self.epoch - 1;
        let (done, leaving) = self
            .leaving
            .drain(..)
            .partition(|(_, last)| *last <= drained);
        self.leaving = leaving;
        let done: BTreeSet<u32> = Vec::into_iter(done).map(|(index, _)| index).collect();
        done.iter().try_for_each(|index| self.unregister(*index))?;
        Ok(done.into_iter().collect())
    }
}

macro_rules! flow_of {
    ($name:ident, $key:ident) => {
        /// `None` for a direction code that no program writes.
        fn $name(key: &$key, counts: &[Count]) -> Option<Flow> {
            Some(Flow {
                interface: key.interface,
                direction: Direction::from_code(key.direction)?,
                local: IpAddr::from(key.local),
                peer: IpAddr::from(key.peer),
                protocol: key.protocol,
                local_port: u16::from_be_bytes(key.local_port),
                peer_port: u16::from_be_bytes(key.peer_port),
                count: counts.iter().copied().sum(),
            })
        }
    };
}

flow_of!(flow4, FlowKey4);
flow_of!(flow6, FlowKey6);

/// Both directions of one interface, summed over CPUs; silent directions are left out.
fn interface_counts(
    key: InterfaceKey,
    counters: &[InterfaceCounters],
) -> impl Iterator<Item = InterfaceCount> {
    Direction::ALL.into_iter().filter_map(move |direction| {
        let seen: Count = counters.iter().map(|cpu| cpu.seen(direction)).sum();
        let overflow = counters.iter().map(|cpu| cpu.overflow(direction)).sum();
        (!seen.is_zero()).then_some(InterfaceCount {
            interface: key.index,
            direction,
            seen,
            overflow,
        })
    })
}
