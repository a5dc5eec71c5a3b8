//! Host routes: to one address, straight out of an interface. The node has one to every pod, in
//! table main, or in a table of the pod's own with security groups for pods (100 + VLAN id).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use netlink_packet_route::{
    RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
};
use rtnetlink::RouteMessageBuilder;

use crate::hooks::netlink::Route;

/// A route to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRoute {
    /// Index of the interface that it leads to.
    pub interface: u32,
    /// Its only destination.
    pub address: IpAddr,
}

/// All of this network namespace, in every table.
pub(super) fn list(lists: &mut Route) -> Result<Vec<HostRoute>> {
    let both = [
        RouteMessageBuilder::<Ipv4Addr>::new().build(),
        RouteMessageBuilder::<Ipv6Addr>::new().build(),
    ];
    let mut found = Vec::new();
    for wanted in both {
        let answers = lists.list(RouteNetlinkMessage::GetRoute(wanted));
        for answer in answers.context("listing routes")? {
            if let RouteNetlinkMessage::NewRoute(message) = answer {
                found.extend(host_route(&message));
            }
        }
    }
    Ok(found)
}

/// `None` for any other route: of the node's own addresses, to a network, by way of a gateway.
pub(super) fn host_route(message: &RouteMessage) -> Option<HostRoute> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let (mut interface, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Destination(RouteAddress::Inet(v4)) => address = Some((*v4).into()),
            RouteAttribute::Destination(RouteAddress::Inet6(v6)) => address = Some((*v6).into()),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    let address: IpAddr = address?;
    let all_of_it = if address.is_ipv4() { 32 } else { 128 };
    let only_one = message.header.destination_prefix_length == all_of_it;
    only_one.then_some(HostRoute {
        interface: interface?,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, length: u8, more: Option<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.kind = RouteType::Unicast;
        message.header.destination_prefix_length = length;
        let destination: IpAddr = destination.parse().unwrap();
        message.attributes = vec![
            RouteAttribute::Destination(destination.into()),
            RouteAttribute::Oif(7),
        ];
        message.attributes.extend(more);
        message
    }

    #[test]
    fn a_route_to_one_address_tells_where_it_is() {
        for (address, length) in [("192.168.1.1", 32), ("fd00::1", 128)] {
            let found = host_route(&route(address, length, None));
            let expected = HostRoute {
                interface: 7,
                address: address.parse().unwrap(),
            };
            assert_eq!(found, Some(expected));
        }
    }

    #[test]
    fn other_routes_do_not() {
        let gateway = RouteAttribute::Gateway(IpAddr::from([192, 168, 0, 1]).into());
        let mut own = route("192.168.1.1", 32, None);
        own.header.kind = RouteType::Local;
        for other in [
            own,
            route("192.168.1.0", 24, None),
            route("fd00::", 64, None),
            route("192.168.1.1", 32, Some(gateway)),
        ] {
            assert_eq!(host_route(&other), None, "{other:?}");
        }
    }
}
