//! The node's own bytes: who on the node a cgroup is, and what waits for a name.
//!
//! A drain of the uplinks is added as a whole, so that its classes and its series always agree. It
//! waits as a whole, too: for this node's zone up to [`Timeouts::pod`], for the name of a cgroup or
//! the owner of a peer's address up to [`Timeouts::peer`]. What was given up is not waited for again
//! within [`GIVEN_UP_FOR`].

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use zonemeter_model::{
    cgroup::{Member, UNKNOWN},
    cluster::{Name, Pod, Workload},
    snapshot::{HostKind, HostParty},
    traffic::{CgroupChange, Count, Direction, HostDrain, HostFlow},
};
use zonemeter_naming::{
    book::Entry,
    held::{Awaited, TimedFlow},
    resolve::{Names, Peer},
};

use super::pending::{GIVEN_UP_FOR, Timeouts};

/// How long a cgroup that is gone keeps its name: its sockets may live on.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(300);
/// More names than this are not given up one by one.
const MOST_GIVEN_UP: usize = 4096;
/// Drains that wait, at most.
const MOST_WAITING: usize = 64;

/// Who is who on this node.
#[derive(Debug)]
pub(crate) struct Hosts {
    cgroups: HashMap<u64, Cgroup>,
    /// Pods of this node by uid.
    pods: HashMap<Arc<str>, Arc<Entry<Pod>>>,
    waiting: VecDeque<WaitingDrain>,
    given_up: HashMap<Unnamed, Instant>,
    timeouts: Timeouts,
    host_pods_changed: bool,
}

#[derive(Debug)]
struct Cgroup {
    member: Member,
    path: Arc<str>,
    since: Instant,
    /// Once known. A pod's stays when the pod is gone.
    party: Option<HostParty>,
    gone_at: Option<Instant>,
}

/// A cgroup, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CgroupOwner<'a> {
    pub(crate) id: u64,
    pub(crate) path: &'a Arc<str>,
    pub(crate) since: Instant,
    pub(crate) party: &'a HostParty,
}

/// A drain that is not added yet.
#[derive(Debug)]
pub(crate) struct WaitingDrain {
    pub(crate) drain: HostDrain,
    from: Instant,
    until: Instant,
}

/// What may yet become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unnamed {
    Cgroup(u64),
    Other(Awaited),
}

impl Hosts {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        Self {
            cgroups: HashMap::new(),
            pods: HashMap::new(),
            waiting: VecDeque::new(),
            given_up: HashMap::new(),
            timeouts,
            host_pods_changed: false,
        }
    }

    /// A cgroup came or went.
    pub(crate) fn apply(&mut self, change: CgroupChange, now: Instant) {
        match change {
            CgroupChange::Present(id, path) => {
                let member = Member::of(&path);
                let party = self.party_of(&member);
                self.given_up.remove(&Unnamed::Cgroup(id));
                let cgroup = Cgroup {
                    member,
                    path,
                    since: now,
                    party,
                    gone_at: None,
                };
                self.cgroups.insert(id, cgroup);
            }
            CgroupChange::Gone(id) => {
                if let Some(cgroup) = self.cgroups.get_mut(&id) {
                    cgroup.gone_at = Some(now);
                }
            }
        }
    }

    /// A pod of this node exists with these contents.
    pub(crate) fn learn(&mut self, pod: &Arc<Entry<Pod>>) {
        let uid: Arc<str> = pod.object.uid.to_string().into();
        self.host_pods_changed |= pod.object.host_network;
        for cgroup in self.cgroups.values_mut() {
            if matches!(&cgroup.member, Member::Pod(of) if *of == uid) {
                cgroup.party = Some(of_pod(&pod.object));
            }
        }
        self.pods.insert(uid, Arc::clone(pod));
    }

    /// A pod is gone, or no longer of this node.
    pub(crate) fn forget(&mut self, pod: &Entry<Pod>) {
        let uid = pod.object.uid.to_string();
        let is_this = |known: &Arc<Entry<Pod>>| known.object.name == pod.object.name;
        if self.pods.get(&*uid).is_some_and(is_this) {
            self.pods.remove(&*uid);
            self.host_pods_changed |= pod.object.host_network;
        }
    }

    /// Uids of the pods of the host's network, if they have changed since this was asked last.
    pub(crate) fn changed_host_pods(&mut self) -> Option<impl Iterator<Item = &Arc<str>>> {
        let pods = self.pods.iter();
        let pods = pods.filter(|(_, pod)| pod.object.host_network);
        std::mem::take(&mut self.host_pods_changed).then(|| pods.map(|(uid, _)| uid))
    }

    /// Who the socket's cgroup is.
    pub(crate) fn party(&self, cgroup: u64) -> HostParty {
        match cgroup {
            0 => kernel(),
            _ => self.known(cgroup).cloned().unwrap_or_else(unknown),
        }
    }

    fn known(&self, cgroup: u64) -> Option<&HostParty> {
        self.cgroups.get(&cgroup)?.party.as_ref()
    }

    fn party_of(&self, member: &Member) -> Option<HostParty> {
        match member {
            Member::Unit(name) => Some(unit(Arc::clone(name))),
            Member::Pod(uid) => Some(of_pod(&self.pods.get(uid)?.object)),
        }
    }

    /// The cgroups that are there with whose they are, as said of each: in the order of the paths.
    pub(crate) fn present(&self) -> Vec<CgroupOwner<'_>> {
        let present = self.cgroups.iter().filter_map(|(id, one)| {
            one.gone_at.is_none().then_some(())?;
            Some(CgroupOwner {
                id: *id,
                path: &one.path,
                since: one.since,
                party: one.party.as_ref()?,
            })
        });
        let mut present: Vec<_> = present.collect();
        present.sort_by_key(|one| one.path);
        present
    }

    /// True while the last drain's flows are held back.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those who may send more.
    pub(crate) fn living(&self) -> HashSet<HostParty> {
        let present = self.cgroups.values().filter(|one| one.gone_at.is_none());
        let mut living: HashSet<HostParty> = present.filter_map(|one| one.party.clone()).collect();
        living.extend(self.pods.values().map(|pod| of_pod(&pod.object)));
        living.extend([kernel(), unknown()]);
        living
    }

    /// Puts what passed the uplinks behind what waits already.
    pub(crate) fn hold(&mut self, drain: HostDrain, from: Instant, until: Instant) {
        if !drain.is_empty() {
            self.waiting.push_back(WaitingDrain { drain, from, until });
        }
    }

    /// What need not wait any longer, the oldest first.
    pub(crate) fn ready(&mut self, names: &Names, now: Instant) -> Option<WaitingDrain> {
        let first = self.waiting.front()?;
        let waited = now.saturating_duration_since(first.until);
        let is_late = self.waiting.len() > MOST_WAITING;
        if names.book.node(&names.home).is_none() && waited < self.timeouts.pod && !is_late {
            return None;
        }
        let flows = first.drain.flows.iter();
        let unnamed = flows.filter_map(|flow| self.unnamed(names, first, flow));
        let unnamed: HashSet<Unnamed> = unnamed.collect();
        if !unnamed.is_empty() {
            if waited < self.timeouts.peer && !is_late {
                return None;
            }
            if self.given_up.len() + unnamed.len() > MOST_GIVEN_UP {
                self.given_up.clear();
            }
            self.given_up
                .extend(unnamed.into_iter().map(|one| (one, now)));
        }
        self.waiting.pop_front()
    }

    /// What of the flow's ends may yet become known. The kernel answers whoever asks: that is not
    /// worth waiting for.
    fn unnamed(&self, names: &Names, of: &WaitingDrain, flow: &HostFlow) -> Option<Unnamed> {
        if flow.cgroup == 0 {
            return None;
        }
        let local = Unnamed::Cgroup(flow.cgroup);
        if self.known(flow.cgroup).is_none() && !self.given_up.contains_key(&local) {
            return Some(local);
        }
        let held = of.held(flow);
        let meant = names.meant(held.flow.peer, held.from, held.until);
        let peer = Unnamed::Other(Awaited::Peer(meant));
        let may_be = of.peer(names, flow).may_be_pod();
        (may_be && !self.given_up.contains_key(&peer)).then_some(peer)
    }

    /// What waits, all together, for the next process.
    pub(crate) fn kept(&self) -> HostDrain {
        let mut kept = HostDrain::default();
        for WaitingDrain { drain, .. } in &self.waiting {
            add(&mut kept.sent, &drain.sent);
            add(&mut kept.unplaced, &drain.unplaced);
            kept.received += drain.received;
            kept.received_by_pods += drain.received_by_pods;
            kept.received_by_sockets += drain.received_by_sockets;
            kept.flows.extend(drain.flows.iter().cloned());
        }
        kept
    }

    /// Where the oldest interval of what waits begins.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.from)
    }

    /// Forgets cgroups that have been gone for long, and what was given up long ago.
    pub(crate) fn prune(&mut self, now: Instant) {
        let is_over = |since, most| now.saturating_duration_since(since) >= most;
        self.cgroups
            .retain(|_, one| one.gone_at.is_none_or(|gone| !is_over(gone, KEPT_FOR)));
        self.given_up
            .retain(|_, since| !is_over(*since, GIVEN_UP_FOR));
    }
}

impl WaitingDrain {
    /// The flow as those of pods are resolved.
    pub(crate) fn held(&self, flow: &HostFlow) -> TimedFlow {
        TimedFlow::within(&flow.flow, self.from, self.until)
    }

    /// Who or what the flow's peer was.
    pub(crate) fn peer<'a>(&self, names: &'a Names, flow: &HostFlow) -> Peer<'a> {
        peer(names, &self.held(flow))
    }

    /// What the flows and what found no room among them have more or less of than the totals: none,
    /// but for a fault of the programs. By [`Direction`] code.
    pub(crate) fn missing(&self) -> [Count; 2] {
        let HostDrain {
            sent,
            received_by_sockets,
            unplaced,
            flows,
            ..
        } = &self.drain;
        let [_, _, host, kernel] = *sent;
        let mut totals = [host + kernel, *received_by_sockets];
        for direction in Direction::ALL {
            let index = direction as usize;
            let of_direction = flows.iter().filter(|one| one.flow.direction == direction);
            let placed: Count = of_direction.map(|one| one.flow.count).sum();
            totals[index] = less(totals[index], placed + unplaced[index]);
        }
        totals
    }
}

/// Who or what the peer of a flow of the node itself was.
pub(crate) fn peer<'a>(names: &'a Names, held: &TimedFlow) -> Peer<'a> {
    names.placed(names.peer(held.flow.peer, held.from, held.until))
}

fn less(count: Count, part: Count) -> Count {
    Count {
        bytes: count.bytes.saturating_sub(part.bytes),
        packets: count.packets.saturating_sub(part.packets),
    }
}

fn add(sums: &mut [Count], more: &[Count]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += *more;
    }
}

fn of_pod(pod: &Pod) -> HostParty {
    let Name { namespace, name } = &pod.name;
    HostParty {
        kind: HostKind::Pod,
        namespace: Arc::clone(namespace),
        pod: Arc::clone(name),
        workload: pod.workload.clone(),
    }
}

fn unit(name: Arc<str>) -> HostParty {
    HostParty {
        kind: HostKind::Unit,
        namespace: Arc::default(),
        pod: Arc::default(),
        workload: Workload {
            kind: "Unit".into(),
            name,
        },
    }
}

/// A cgroup that nobody saw.
pub(crate) fn unknown() -> HostParty {
    unit(UNKNOWN.into())
}

/// What the kernel sends by itself.
fn kernel() -> HostParty {
    HostParty {
        kind: HostKind::Kernel,
        workload: Workload {
            kind: Arc::default(),
            name: Arc::default(),
        },
        ..unknown()
    }
}
