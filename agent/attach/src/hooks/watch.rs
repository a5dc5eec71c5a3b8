//! When to look at the hooks again.
//!
//! The kernel tells of every filter that comes or goes, and of no TCX program. So with clsact a
//! look follows each message, and with TCX there is one every second where packets pass: each
//! costs a call that takes the kernel's lock of all links. Whatever is missed otherwise, such as
//! messages that the kernel dropped, [`RARELY`] finds.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, channel::mpsc::UnboundedReceiver};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{RouteNetlinkMessage, tc::TcMessage};
use netlink_sys::SocketAddr;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::{
    task::JoinHandle,
    time::{Interval, MissedTickBehavior},
};
use zonemeter_model::traffic::AttachMode;

/// How often hooks that are in use are looked at with TCX.
const OFTEN: Duration = Duration::from_secs(1);
/// How often all hooks are looked at with clsact.
const RARELY: Duration = Duration::from_secs(10);

/// Where somebody may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// Among the filters of this interface.
    Filters(u32),
    /// What the filters of this interface hang on.
    Qdisc(u32),
    /// Anywhere.
    All,
    /// Anywhere, and it matters where packets pass.
    Busy,
}

/// A subscription to what happens on hooks.
pub struct Watch {
    ticks: Interval,
    messages: Option<Messages>,
}

struct Messages {
    received: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    connection: JoinHandle<()>,
}

impl Watch {
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is no netlink socket.
    pub fn open(mode: AttachMode) -> Result<Self> {
        let (every, messages) = match mode {
            AttachMode::Tcx => (OFTEN, None),
            AttachMode::Tc => (RARELY, Some(Messages::subscribe()?)),
        };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { ticks, messages })
    }

    /// The next reason to look. Safe to drop half-way.
    ///
    /// # Errors
    /// When the netlink socket is lost.
    pub async fn next(&mut self) -> Result<HookEvent> {
        let Some(messages) = &mut self.messages else {
            self.ticks.tick().await;
            return Ok(HookEvent::Busy);
        };
        tokio::select! {
            disturbed = messages.next() => disturbed,
            _ = self.ticks.tick() => Ok(HookEvent::All),
        }
    }
}

impl Messages {
    fn subscribe() -> Result<Self> {
        let (connection, _, received) = new_multicast_connection(&[MulticastGroup::Tc])
            .context("subscribing to filter messages (rtnetlink)")?;
        Ok(Self {
            received,
            connection: tokio::spawn(connection),
        })
    }

    async fn next(&mut self) -> Result<HookEvent> {
        loop {
            let Some((message, _)) = self.received.next().await else {
                bail!("the rtnetlink connection for filters ended");
            };
            if let Some(disturbed) = disturbed(&message.payload) {
                return Ok(disturbed);
            }
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn disturbed(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<HookEvent> {
    use RouteNetlinkMessage::{
        DelQueueDiscipline, DelTrafficFilter, NewQueueDiscipline, NewTrafficFilter,
    };
    match payload {
        NetlinkPayload::InnerMessage(NewTrafficFilter(message) | DelTrafficFilter(message)) => {
            interface(message).map(HookEvent::Filters)
        }
        NetlinkPayload::InnerMessage(NewQueueDiscipline(message) | DelQueueDiscipline(message)) => {
            interface(message).map(HookEvent::Qdisc)
        }
        NetlinkPayload::Overrun(_) => Some(HookEvent::All),
        _ => None,
    }
}

/// `None` for blocks of filters, which belong to no interface.
fn interface(message: &TcMessage) -> Option<u32> {
    u32::try_from(message.header.index).ok()
}
