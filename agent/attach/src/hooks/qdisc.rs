//! What filters hang on: an interface has clsact, or `ingress`, or neither. They bar each other.

use std::{collections::BTreeMap, io};

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcHandle, TcMessage},
};

use super::{filter::kind, netlink::Route};

/// A qdisc with filters for a whole interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qdisc {
    /// Filters in both directions.
    Clsact,
    /// Filters from the pod only: the bandwidth plugin adds it. The kernel would take a filter
    /// for the other direction too, and run it on packets from the pod.
    Ingress,
}

/// The one of this interface.
pub(crate) fn of(route: &mut Route, interface: u32) -> io::Result<Option<Qdisc>> {
    Ok(all(route)?.remove(&interface))
}

/// Those of all interfaces; the kernel lists no fewer.
pub(crate) fn all(route: &mut Route) -> io::Result<BTreeMap<u32, Qdisc>> {
    let mut question = TcMessage::default();
    question.header.parent = TcHandle::INGRESS;
    let all = route.list(RouteNetlinkMessage::GetQueueDiscipline(question))?;
    Ok(all.iter().filter_map(read).collect())
}

fn read(message: &RouteNetlinkMessage) -> Option<(u32, Qdisc)> {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = message else {
        return None;
    };
    let qdisc = match kind(message)? {
        "clsact" => Qdisc::Clsact,
        "ingress" => Qdisc::Ingress,
        _ => return None,
    };
    Some((u32::try_from(message.header.index).ok()?, qdisc))
}
