//! Takes filters of clsact away that no process owns any more. Those of others stay, other agents'
//! too, and so does the qdisc, on which others' filters hang.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
use zonemeter_model::traffic::Direction;

use super::{
    attachments::tc,
    hooks::{
        netlink::Route,
        qdisc::{self, Qdisc},
    },
    links::{self, Link},
};

/// Removes filters from every interface of this network namespace and returns how many there were:
/// those that count into the maps of these control maps, and those that agents without a pin
/// directory left when they were killed. Needs CAP_NET_ADMIN.
///
/// # Errors
/// When the kernel does not answer, or one stays.
pub fn filters(control_maps: &BTreeSet<u32>) -> Result<usize> {
    let mut route = Route::open().context("asking for filters (rtnetlink)")?;
    let qdiscs = qdisc::all(&mut route).context("listing qdiscs")?;
    let mut removed = 0;
    for link in links(&mut route).context("listing links")? {
        let directions: &[Direction] = match qdiscs.get(&link.index) {
            Some(Qdisc::Clsact) => &Direction::ALL,
            Some(Qdisc::Ingress) => &[Direction::Transmit],
            None => &[],
        };
        for direction in directions {
            removed += tc::remove_left(&mut route, &link, *direction, control_maps)?;
        }
    }
    Ok(removed)
}

fn links(route: &mut Route) -> Result<Vec<Link>> {
    let all = route.list(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    Ok(all.iter().filter_map(read).collect())
}

fn read(message: &RouteNetlinkMessage) -> Option<Link> {
    match message {
        RouteNetlinkMessage::NewLink(message) => links::link(message),
        _ => None,
    }
}
