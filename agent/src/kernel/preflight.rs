//! What `zonemeter check` asks of the kernel, in the ways the agent would use it.

use std::{io, sync::Arc};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use futures::TryStreamExt as _;
use netlink_packet_route::tc::{
    TcAttribute, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};
use rtnetlink::Handle;

use super::{
    attach::{
        Mode,
        tc::{HANDLE, PRIORITY},
    },
    conntrack::offsets,
    grace,
};
use crate::model::traffic::Direction;

/// Waits for program runs to end, as every drain does.
///
/// # Errors
/// Where the kernel has no membarrier.
pub fn grace_period() -> io::Result<()> {
    grace::wait()
}

/// Looks for a packet's connection in the kernel's type information.
///
/// # Errors
/// Where the kernel does not describe itself, or its structures are other ones.
pub fn connections() -> Result<()> {
    offsets::find().map(|_| ())
}

/// Somebody else's program or filter on a hook that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Which hook, by what passes there.
    pub direction: Direction,
    /// How it is attached, and its name where that is known.
    pub what: String,
    /// It runs before this agent would, in the mode asked about: what it lets pass or drops for
    /// good is not counted.
    pub ahead: bool,
}

/// Who is on the hooks of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Everybody but this agent, sorted.
    pub neighbours: Vec<Neighbour>,
    /// The interface has an `ingress` qdisc, which bars clsact.
    pub ingress_qdisc: bool,
    /// What could not be told, and why.
    pub unknown: Option<String>,
}

/// Asks for the hooks of one interface after another.
pub struct Surveyor {
    handle: Handle,
    mode: Mode,
    has_tcx: bool,
    connection: tokio::task::JoinHandle<()>,
}

impl Surveyor {
    /// Opens a netlink socket. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is no socket, or the kernel does not tell its version.
    pub fn new(mode: Mode) -> Result<Self> {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("asking for filters (rtnetlink)")?;
        Ok(Self {
            handle,
            mode,
            has_tcx: Mode::best()? == Mode::Tcx,
            connection: tokio::spawn(connection),
        })
    }

    /// Who is on the hooks of this interface.
    ///
    /// # Errors
    /// When the kernel does not answer, for an interface that is gone.
    pub async fn hooks(&self, index: u32, name: &Arc<str>) -> Result<Hooks> {
        let mut hooks = Hooks {
            ingress_qdisc: self.has_ingress_qdisc(index).await?,
            ..Hooks::default()
        };
        for direction in Direction::ALL {
            if self.has_tcx {
                tcx(name, direction, &mut hooks)?;
            }
            let filters = self.filters(index, direction).await;
            let filters = filters.with_context(|| format!("reading the filters of {name}"))?;
            let own = |filter: &&Filter| {
                filter.priority == PRIORITY && filter.handle == u32::from(HANDLE)
            };
            hooks.neighbours.extend(
                filters
                    .iter()
                    .filter(|filter| !own(filter))
                    .map(|filter| filter.neighbour(direction, self.mode)),
            );
        }
        hooks.neighbours.sort();
        Ok(hooks)
    }

    async fn has_ingress_qdisc(&self, index: u32) -> Result<bool> {
        let request = self.handle.qdisc().get().index(index as i32).ingress();
        let all: Vec<TcMessage> = request.execute().try_collect().await?;
        let is = |message: &TcMessage| {
            message.header.index == index as i32 && kind(message) == Some("ingress")
        };
        Ok(all.iter().any(is))
    }

    async fn filters(&self, index: u32, direction: Direction) -> Result<Vec<Filter>> {
        let request = self.handle.traffic_filter(index as i32).get();
        let request = match direction {
            Direction::Transmit => request.ingress(),
            Direction::Receive => request.egress(),
        };
        let all: Vec<TcMessage> = request.execute().try_collect().await?;
        Ok(all.iter().filter_map(Filter::read).collect())
    }
}

impl Drop for Surveyor {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// TCX programs run in the order of the list; this agent puts itself first.
fn tcx(name: &str, direction: Direction, hooks: &mut Hooks) -> Result<()> {
    let hook = match direction {
        Direction::Transmit => TcAttachType::Ingress,
        Direction::Receive => TcAttachType::Egress,
    };
    match SchedClassifier::query_tcx(name, hook) {
        Ok((_, programs)) => {
            let names = programs
                .iter()
                .map(|program| program.name_as_str().unwrap_or("?"));
            let others = names.filter(|name| !name.starts_with("zonemeter_"));
            hooks.neighbours.extend(others.map(|name| Neighbour {
                direction,
                what: format!("tcx {name}"),
                ahead: false,
            }));
            Ok(())
        }
        Err(error) if is_not_permitted(&error) => {
            hooks.unknown = Some("naming TCX programs takes CAP_SYS_ADMIN".to_owned());
            Ok(())
        }
        Err(error) => Err(error).with_context(|| format!("reading the TCX programs of {name}")),
    }
}

fn is_not_permitted(error: &ProgramError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error() == Some(libc::EPERM);
        }
        cause = error.source();
    }
    false
}

/// A filter of clsact.
struct Filter {
    priority: u16,
    handle: u32,
    what: String,
}

impl Filter {
    /// `None` for the head of a list of filters, which has no handle.
    fn read(message: &TcMessage) -> Option<Self> {
        let TcHeader {
            handle: TcHandle { major, minor },
            info,
            ..
        } = message.header;
        let handle = u32::from(major) << 16 | u32::from(minor);
        // TC_H_MAJ of tcm_info is the priority (include/uapi/linux/rtnetlink.h, struct tcmsg).
        let priority = (info >> 16) as u16;
        let named = program(message)
            .map(|name| format!(" {name}"))
            .unwrap_or_default();
        let kind = kind(message).unwrap_or("?");
        (handle != 0).then(|| Self {
            priority,
            handle,
            what: format!("tc {kind}{named}, priority {priority}, handle {handle:#x}"),
        })
    }

    /// In its own priority this agent's filter is put in front; one of a lower number is before.
    fn neighbour(&self, direction: Direction, mode: Mode) -> Neighbour {
        Neighbour {
            direction,
            what: self.what.clone(),
            ahead: mode == Mode::Tc && self.priority < PRIORITY,
        }
    }
}

fn kind(message: &TcMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| {
        let TcAttribute::Kind(kind) = attribute else {
            return None;
        };
        Some(kind.as_str())
    })
}

fn program(message: &TcMessage) -> Option<&str> {
    let options = message.attributes.iter().filter_map(|attribute| {
        let TcAttribute::Options(options) = attribute else {
            return None;
        };
        Some(options)
    });
    options.flatten().find_map(|option| {
        let TcOption::Bpf(TcFilterBpfOption::ProgName(name)) = option else {
            return None;
        };
        Some(name.as_str())
    })
}
