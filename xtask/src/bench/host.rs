//! The programs for the node's own bytes: on an uplink and on the ingress of a cgroup. An agent
//! attaches them; a program that does nothing is put behind each, so that both run for the same
//! packets and the kernel tells their times apart.

use std::{
    fs::File,
    net::SocketAddr,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use zonemeter_lab::{HostGroups, Lab, Namespace, Node, traffic};

use super::{
    hooks::{interface_index, tcx, to_cgroup},
    programs::{cost, empty_of_cgroup, of_agent},
    stats, yardstick,
};

pub(super) const UPLINK: &str = "eth0";
pub(super) const GROUP: &str = "system.slice/bench.service";
const PORT: u16 = 1_998;
const WARM_UP: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(150);

/// A hook, and nanoseconds of a run there, one value for each turn.
pub(super) struct OfHost {
    pub(super) hook: &'static str,
    pub(super) empty: Vec<f64>,
    pub(super) agent: Vec<f64>,
}

/// One TCP stream from a process of the node to a pod of another node, then one back.
pub(super) fn measure(
    lab: &Lab,
    groups: &HostGroups,
    agent: u32,
    duration: Duration,
) -> Result<Vec<OfHost>> {
    let (node, remote) = (lab.node(super::NODE)?, lab.pod("bench/remote")?);
    let (inside, outside) = (node.namespace(), remote.namespace());
    let uplink = |name| of_agent(agent, name);
    let [sent, received] = [
        uplink("zonemeter_uplink_tx")?,
        uplink("zonemeter_uplink_rx")?,
    ];
    let by_sockets = of_agent(agent, "zonemeter_host_rx")?;
    let empty = [yardstick::empty()?, yardstick::empty()?];
    let of_cgroup = empty_of_cgroup()?;
    let _links = behind(&node, groups, &empty, &of_cgroup)?;
    let to_remote = SocketAddr::new(remote.v4()?, PORT);
    let to_node = SocketAddr::new(node.address(), PORT);
    let mut all = stream(
        groups,
        (inside, outside, to_remote),
        duration,
        [("uplink, egress", &empty[1], &sent)],
    )?;
    all.extend(stream(
        groups,
        (outside, inside, to_node),
        duration,
        [
            ("uplink, ingress", &empty[0], &received),
            ("cgroup, ingress", &of_cgroup, &by_sockets),
        ],
    )?);
    Ok(all)
}

/// Programs that do nothing: on the uplink's ingress and egress, and on the cgroup's ingress.
fn behind(
    node: &Node,
    groups: &HostGroups,
    empty: &[OwnedFd; 2],
    of_cgroup: &OwnedFd,
) -> Result<[OwnedFd; 3]> {
    let [ingress, egress] = node.namespace().run(|| {
        let interface = interface_index(UPLINK)?;
        anyhow::Ok([tcx(&empty[0], interface, 0)?, tcx(&empty[1], interface, 1)?])
    })??;
    let folder = groups.directory().join(GROUP);
    let folder = File::open(&folder).with_context(|| folder.display().to_string())?;
    Ok([ingress, egress, to_cgroup(of_cgroup, &folder.into())?])
}

fn stream<const N: usize>(
    groups: &HostGroups,
    (from, to, server): (&Namespace, &Namespace, SocketAddr),
    duration: Duration,
    pairs: [(&'static str, &OwnedFd, &OwnedFd); N],
) -> Result<Vec<OfHost>> {
    let _statistics = stats::Enabled::switch_on()?;
    // Sockets belong to the group of the process that makes them.
    let load = groups.inside(GROUP, || {
        let load = traffic::tcp_flood(from, to, server, WARM_UP + duration);
        thread::sleep(WARM_UP);
        load
    })??;
    let mut all = pairs.map(|(hook, ..)| OfHost {
        hook,
        empty: Vec::new(),
        agent: Vec::new(),
    });
    let read = || -> Result<Vec<_>> {
        let each = pairs.iter();
        each.map(|(_, empty, agent)| Ok([cost(empty)?, cost(agent)?]))
            .collect()
    };
    let began = Instant::now();
    while began.elapsed() + TURN < duration {
        let before = read()?;
        thread::sleep(TURN);
        for ((one, before), after) in all.iter_mut().zip(before).zip(read()?) {
            one.empty.extend(after[0].per_run_since(before[0]));
            one.agent.extend(after[1].per_run_since(before[1]));
        }
    }
    load.finish()?;
    Ok(all.into())
}
