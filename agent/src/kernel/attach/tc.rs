//! Filters of the clsact qdisc: every kernel, and before Linux 6.6 the only way.
//!
//! They outlive the process by themselves. A filter that an earlier process left is replaced in
//! place, never doubled.

use anyhow::{Context as _, Result, anyhow, bail};
use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
};

use super::{Link, hook};
use crate::{
    kernel::hooks::{
        filter,
        netlink::Route,
        qdisc::{self, Qdisc},
    },
    model::traffic::Direction,
};

/// The AWS network policy agent's own priority: a filter before or after it would hide one of
/// the two from the other.
pub(in crate::kernel) const PRIORITY: u16 = 1;
/// Any handle but 1, which the AWS network policy agent deletes whoever owns it.
pub(in crate::kernel) const HANDLE: TcHandle = TcHandle::new(0, 0x5a);

/// Adds our filter; true where it replaced one that was there.
pub(super) fn attach(
    program: &mut SchedClassifier,
    route: &mut Route,
    link: &Link,
    direction: Direction,
) -> Result<(SchedClassifierLink, bool)> {
    let hook = hook(direction);
    let options = TcAttachOptions::Netlink(NlOptions {
        priority: PRIORITY,
        handle: HANDLE,
        ..NlOptions::default()
    });
    match program.attach_with_options(&link.name, hook, options) {
        Ok(id) => Ok((program.take_link(id)?, false)),
        Err(error) if errno(&error) == Some(libc::EEXIST) => {
            if !has_own(route, link, direction)? {
                bail!("somebody else's filter has priority {PRIORITY} and our handle");
            }
            let id = program.attach_to_link(ours(link, hook)?)?;
            Ok((program.take_link(id)?, true))
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes the filter that an earlier process left; true where there was one.
pub(in crate::kernel) fn remove(
    route: &mut Route,
    link: &Link,
    direction: Direction,
) -> Result<bool> {
    if !has_own(route, link, direction)? {
        return Ok(false);
    }
    drop(ours(link, hook(direction))?);
    if has_own(route, link, direction)? {
        bail!("{}: our filter could not be removed", link.name);
    }
    Ok(true)
}

fn has_own(route: &mut Route, link: &Link, direction: Direction) -> Result<bool> {
    let filters = filter::list(route, link.index, direction);
    let filters = filters.with_context(|| format!("listing the filters of {}", link.name))?;
    Ok(filters.iter().any(|filter| filter.own))
}

/// Our filter, whether this process put it there or an earlier one. Dropped, it is removed.
fn ours(link: &Link, hook: TcAttachType) -> Result<SchedClassifierLink> {
    Ok(SchedClassifierLink::attached(
        &link.name, hook, PRIORITY, HANDLE, None,
    )?)
}

/// What the interface's filters hang on: what is there, or else clsact, where it may be added.
pub(super) fn prepare(route: &mut Route, link: &Link, may_add_clsact: bool) -> Result<Qdisc> {
    let name = &link.name;
    let mut found = || {
        let found = qdisc::of(route, link.index);
        found.with_context(|| format!("asking for the qdisc of {name}"))
    };
    if let Some(found) = found()? {
        return Ok(found);
    }
    if !may_add_clsact {
        bail!(
            "{name}: not counted: the CNI chains the bandwidth plugin, and once clsact is there \
             the plugin and the pod fail: TCX (Linux 6.6) keeps out of its way"
        );
    }
    add_clsact(name)?;
    // Somebody may have been faster.
    found()?.with_context(|| format!("{name}: the clsact qdisc went away"))
}

/// The qdisc may be there already, by the policy agent or by an earlier process of ours.
fn add_clsact(name: &str) -> Result<()> {
    match qdisc_add_clsact(name) {
        Ok(()) | Err(TcError::AlreadyAttached) => Ok(()),
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => Err(anyhow!("adding the clsact qdisc to {name}: {error}")),
    }
}

fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::TcError(TcError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    }
}
