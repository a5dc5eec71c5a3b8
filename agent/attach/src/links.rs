//! Follows the pod veths and the uplinks of the node as they come and go, and the routes that lead
//! to the former.
//!
//! Subscribe first, then list, then act: the other way round an interface that comes in between
//! would be missed. A list is made again every [`RELIST`], in case the kernel dropped a message.

mod routes;
mod uplinks;
mod veths;

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, channel::mpsc::UnboundedReceiver};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, Stats64},
    route::RouteMessage,
};
use netlink_sys::SocketAddr;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::{task::JoinHandle, time::Interval};
use zonemeter_common::{Count, Direction};
use zonemeter_datapath::object::Role;
use zonemeter_model::traffic::Interface;

pub use self::{routes::HostRoute, veths::InterfaceNames};
use self::{uplinks::Uplinks, veths::Veths};
use super::hooks::netlink::Route;

/// How often all links are listed, whatever messages came.
const RELIST: Duration = Duration::from_secs(30);
/// What a veth's own counters include and layer 3 does not.
const ETHERNET_BYTES: u64 = 14;

/// A host-side veth of a pod, or an uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is counted as.
    pub role: Role,
    /// Index in this network namespace.
    pub index: u32,
    /// Interface name.
    pub name: Arc<str>,
    /// The kernel's id for the network namespace of the other end (IFLA_LINK_NETNSID): the same
    /// for all veths of a pod. `None` where the other end is in this namespace or unknown.
    pub peer_namespace: Option<i32>,
    /// A network card, real or emulated: Ethernet, and made by no command.
    pub is_physical: bool,
    /// Its Ethernet address; all 0 where it has none.
    pub address: [u8; 6],
    /// The interface below this VLAN or macvlan: it carries every frame, too.
    pub below: Option<u32>,
    /// What the interface's own counters say, by [`Direction`] code, less Ethernet headers.
    pub carried: [Count; 2],
}

impl Link {
    /// As far as it is known before it is attached to.
    pub fn announced(&self) -> Interface {
        Interface {
            index: self.index,
            name: Arc::clone(&self.name),
            peer_namespace: self.peer_namespace,
            before_attach: [Count::ZERO; 2],
            lacks: None,
        }
    }
}

/// What happened to the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Exactly these exist, and at least these routes lead to them.
    Listed(Vec<Link>, Vec<HostRoute>),
    /// This one appeared or changed.
    Appeared(Link),
    /// The one with this index is gone. What it had carried, by [`Direction`] code, where it is one
    /// that counted.
    Gone(u32, Option<[Count; 2]>),
    /// A route that leads to one of them was made.
    Routed(HostRoute),
    /// A route that led to one of them was removed.
    Unrouted(HostRoute),
}

/// A subscription to the links of this network namespace.
pub struct Links {
    veths: Veths,
    uplinks: Uplinks,
    lists: Route,
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    relist: Interval,
    connection: JoinHandle<()>,
}

impl Links {
    /// Subscribes; the first [`Self::next`] lists.
    pub fn subscribe(names: InterfaceNames) -> Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ];
        let (connection, _, messages) = new_multicast_connection(&groups)
            .context("subscribing to link messages (rtnetlink)")?;
        let connection = tokio::spawn(connection);
        Ok(Self {
            uplinks: Uplinks::new(names.uplinks()),
            veths: Veths::new(names),
            lists: Route::open().context("listing links (rtnetlink)")?,
            messages,
            relist: tokio::time::interval(RELIST),
            connection,
        })
    }

    /// The next event. Safe to drop half-way.
    ///
    /// # Errors
    /// When the netlink socket is lost.
    pub async fn next(&mut self) -> Result<LinkEvent> {
        loop {
            tokio::select! {
                message = self.messages.next() => {
                    let Some((message, _)) = message else {
                        bail!("the rtnetlink connection ended");
                    };
                    if let Some(event) = self.event(message.payload) {
                        return Ok(event);
                    }
                }
                _ = self.relist.tick() => return self.list_all(),
            }
        }
    }

    fn event(&mut self, payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
        match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => {
                self.appeared(link(&message)?).map(LinkEvent::Appeared)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
                let gone = link(&message)?;
                let counted = self.veths.gone(gone.index);
                self.uplinks.gone(gone.index);
                Some(LinkEvent::Gone(gone.index, counted.then_some(gone.carried)))
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(message)) => {
                self.route(&message).map(LinkEvent::Routed)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(message)) => {
                self.route(&message).map(LinkEvent::Unrouted)
            }
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("the kernel dropped link messages: listing all links again");
                self.relist.reset_immediately();
                None
            }
            _ => None,
        }
    }

    fn appeared(&mut self, link: Link) -> Option<Link> {
        let counts = self.veths.appeared(&link);
        if self.veths.has_passed_over(&link) {
            // Another veth of this pod came before this one told that it is a pod's.
            self.relist.reset_immediately();
        }
        match counts {
            true => Some(link),
            false => self.uplinks.appeared(link),
        }
    }

    fn route(&self, message: &RouteMessage) -> Option<HostRoute> {
        routes::host_route(message).filter(|route| self.veths.counts(route.interface))
    }

    /// At once, on a socket that gets no messages beside: it cannot be given up half-way, nor
    /// lose an answer to an overrun.
    fn list_all(&mut self) -> Result<LinkEvent> {
        let links = self.list()?;
        let mut routes = routes::list(&mut self.lists)?;
        routes.retain(|route| self.veths.counts(route.interface));
        Ok(LinkEvent::Listed(links, routes))
    }

    /// All links that count, as they are now.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&mut self) -> Result<Vec<Link>> {
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.lists.list(question).context("listing links")?;
        let links = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => link(message),
            _ => None,
        });
        let links: Vec<Link> = links.collect();
        let mut counted = self.veths.listed(links.iter().cloned());
        let is_pods = |link: &Link| counted.iter().any(|pods| pods.index == link.index);
        let others: Vec<Link> = links.into_iter().filter(|link| !is_pods(link)).collect();
        counted.extend(self.uplinks.listed(others));
        Ok(counted)
    }

    /// One link as it is now; `None` when it is gone.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn one(&mut self, index: u32) -> io::Result<Option<Link>> {
        ask(&mut self.lists, index)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The host's receive side is the pod's transmit side.
fn carried(stats: &Stats64) -> [Count; 2] {
    let layer3 = |bytes: u64, packets: u64| Count {
        bytes: bytes.saturating_sub(ETHERNET_BYTES * packets),
        packets,
    };
    let mut carried = [Count::ZERO; 2];
    carried[Direction::Transmit as usize] = layer3(stats.rx_bytes, stats.rx_packets);
    carried[Direction::Receive as usize] = layer3(stats.tx_bytes, stats.tx_packets);
    carried
}

/// One link as it is now; `None` when it is gone.
///
/// # Errors
/// When the kernel does not tell: that says nothing of the link.
pub(super) fn ask(route: &mut Route, index: u32) -> io::Result<Option<Link>> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    let answers = route.request(RouteNetlinkMessage::GetLink(question), 0);
    found(answers.map(|answers| {
        answers.iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => link(message),
            _ => None,
        })
    }))
}

/// The kernel answers `ENODEV` for an index that nothing has.
fn found(answer: io::Result<Option<Link>>) -> io::Result<Option<Link>> {
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        answer => answer,
    }
}

/// `None` for a message without a name, which is about something else than a link, and for one
/// about a port of a bridge: that a link leaves its bridge is told as the end of the port.
pub(super) fn link(message: &LinkMessage) -> Option<Link> {
    if message.header.interface_family == AddressFamily::Bridge {
        return None;
    }
    let mut name = None;
    let (mut peer_namespace, mut counts) = (None, [Count::ZERO; 2]);
    let (mut lower, mut kind, mut address) = (None, None, [0; 6]);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(Arc::from(text.as_str())),
            // -1: the kernel has no id for it (NETNSA_NSID_NOT_ASSIGNED).
            LinkAttribute::LinkNetNsId(id) => peer_namespace = Some(*id).filter(|id| *id >= 0),
            LinkAttribute::Address(bytes) => address = bytes[..].try_into().unwrap_or_default(),
            LinkAttribute::Link(index) => lower = Some(*index),
            LinkAttribute::LinkInfo(infos) => kind = infos.iter().find_map(info_kind),
            LinkAttribute::Stats64(stats) => counts = carried(stats),
            _ => {}
        }
    }
    let is_ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    Some(Link {
        role: Role::Pod,
        index: message.header.index,
        name: name?,
        peer_namespace,
        is_physical: is_ethernet && kind.is_none(),
        address,
        below: lower.filter(|_| peer_namespace.is_none() && kind.is_some_and(shares_frames)),
        carried: counts,
    })
}

/// True for a kind of interface that hands its frames to the one below it, as long as they are.
fn shares_frames(kind: &InfoKind) -> bool {
    matches!(kind, InfoKind::Vlan | InfoKind::MacVlan)
}

fn info_kind(info: &LinkInfo) -> Option<&InfoKind> {
    match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    }
}

#[cfg(test)]
impl Link {
    /// One that has carried nothing.
    pub(super) fn named(index: u32, name: &str) -> Self {
        Self {
            role: Role::Pod,
            index,
            name: name.into(),
            peer_namespace: None,
            is_physical: false,
            address: [0; 6],
            below: None,
            carried: [Count::ZERO; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_error_says_that_a_link_is_gone() {
        let answer = |code| found(Err(io::Error::from_raw_os_error(code)));
        assert_eq!(answer(libc::ENODEV).unwrap(), None);
        for code in [libc::ENOBUFS, libc::EINTR, libc::EPERM] {
            assert_eq!(answer(code).unwrap_err().raw_os_error(), Some(code));
        }
    }

    #[test]
    fn what_lies_above_another_interface_is_known_by_its_kind() {
        let above = |kind, elsewhere: Option<i32>| {
            let mut message = LinkMessage::default();
            message.header.index = 7;
            message.attributes = vec![
                LinkAttribute::IfName("vlan.eth.1".to_owned()),
                LinkAttribute::Link(2),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
            ];
            let elsewhere = elsewhere.map(LinkAttribute::LinkNetNsId);
            message.attributes.extend(elsewhere);
            link(&message).unwrap().below
        };
        assert_eq!(above(InfoKind::Vlan, None), Some(2));
        assert_eq!(above(InfoKind::MacVlan, None), Some(2));
        assert_eq!(above(InfoKind::Vlan, Some(3)), None, "of another namespace");
        assert_eq!(above(InfoKind::Veth, None), None, "its other end");
        assert_eq!(above(InfoKind::Vxlan, None), None, "its frames are wrapped");
    }
}
