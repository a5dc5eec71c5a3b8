//! Follows the pod veths of the node as they come and go.
//!
//! Subscribe first, then list, then act: the other way round an interface that comes in between
//! would be missed. A list is made again every [`RELIST`], in case the kernel dropped a message.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, channel::mpsc::UnboundedReceiver};
use glob::Pattern;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, Stats64},
};
use netlink_sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::{task::JoinHandle, time::Interval};
use zonemeter_common::{Count, Direction};

/// How often all links are listed, whatever messages came.
const RELIST: Duration = Duration::from_secs(30);
/// What a veth's own counters include and layer 3 does not.
const ETHERNET_BYTES: u64 = 14;

/// A host-side veth of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index in this network namespace.
    pub index: u32,
    /// Interface name.
    pub name: Arc<str>,
    /// What the interface's own counters say, by [`Direction`] code, less Ethernet headers.
    pub carried: [Count; 2],
}

/// What happened to the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Exactly these exist.
    Listed(Vec<Link>),
    /// This one appeared or changed.
    Appeared(Link),
    /// The one with this index is gone.
    Gone(u32),
}

/// Matches the interfaces to count on.
#[derive(Clone, Debug)]
pub struct Names(Vec<Pattern>);

impl Names {
    /// An interface counts if it matches any of these.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

/// A subscription to the links of this network namespace.
pub struct Links {
    names: Names,
    handle: Handle,
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    relist: Interval,
    connection: JoinHandle<()>,
}

impl Links {
    /// Subscribes; the first [`Self::next`] lists.
    pub fn subscribe(names: Names) -> Result<Self> {
        let (connection, handle, messages) = new_multicast_connection(&[MulticastGroup::Link])
            .context("subscribing to link messages (rtnetlink)")?;
        let connection = tokio::spawn(connection);
        Ok(Self {
            names,
            handle,
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
                _ = self.relist.tick() => return self.list().await.map(LinkEvent::Listed),
            }
        }
    }

    fn event(&mut self, payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
        match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => {
                self.link(&message).map(LinkEvent::Appeared)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
                Some(LinkEvent::Gone(message.header.index))
            }
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("the kernel dropped link messages: listing all links again");
                self.relist.reset_immediately();
                None
            }
            _ => None,
        }
    }

    /// All matching links, as they are now.
    pub async fn list(&self) -> Result<Vec<Link>> {
        let messages: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .context("listing links")?;
        Ok(messages
            .iter()
            .filter_map(|message| self.link(message))
            .collect())
    }

    /// One link as it is now; `None` when it is gone.
    pub async fn one(&self, index: u32) -> Option<Link> {
        let request = self.handle.link().get().match_index(index);
        let message = request.execute().try_next().await.ok().flatten()?;
        self.link(&message)
    }

    fn link(&self, message: &LinkMessage) -> Option<Link> {
        let name = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.as_str()),
                _ => None,
            })?;
        let carried = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Stats64(stats) => Some(carried(stats)),
                _ => None,
            });
        self.names.matches(name).then(|| Link {
            index: message.header.index,
            name: Arc::from(name),
            carried: carried.unwrap_or_default(),
        })
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
