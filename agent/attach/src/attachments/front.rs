//! Stays in front: looks who comes first on the hooks, and puts our programs there again.
//!
//! Neither clsact nor TCX can move a program in one step, and the same program cannot be on a
//! hook twice. So ours is **taken away and then added in front**. Where the other one ends the
//! walk, as a policy does, ours was not reached before, and nothing is lost between the two
//! calls. Where it passes packets on (`TCX_NEXT`, `TC_ACT_UNSPEC`), which nobody can tell from
//! outside, ours was reached and misses what comes between them. The other order would count
//! such packets twice: less than the truth, for the time of two calls, is the better fault, and
//! the interface's own counter bounds it.

use std::{io, mem, time::Instant};

use anyhow::{Context as _, Result};
use zonemeter_datapath::syscall;
use zonemeter_model::traffic::{AttachMode, Count, Direction, Missed};

use super::{Attached, AttachedProgram, Attachments, Link, Role, barred_by_ingress, hook, tc};
use crate::hooks::{
    Place, chain,
    filter::{self, Filter},
    watch::HookEvent,
};

/// What came of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookChanges {
    /// Programs that are in front again.
    pub moved: u64,
    /// Programs that could not be put there.
    pub failed: u64,
    /// Bytes that passed uncounted while a program was off its hook, by [`Missed`] code.
    pub missed: [u64; Missed::ALL.len()],
}

/// Our program is off its hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detached {
    /// What the interface had carried when it went, or when that was seen.
    carried: Count,
    why: Missed,
}

impl Attachments {
    /// Looks at the hooks that may have changed.
    pub fn look(&mut self, disturbed: HookEvent, now: Instant) -> HookChanges {
        let indices = match disturbed {
            HookEvent::Filters(index) | HookEvent::Qdisc(index) => vec![index],
            HookEvent::All => self.indices(),
            HookEvent::Busy => {
                let attached = self.attached.iter();
                let named = attached.map(|(index, attached)| (*index, &*attached.link.name));
                self.rounds.due(named)
            }
        };
        let mut looked = HookChanges::default();
        for index in indices {
            let Some(mut attached) = self.attached.remove(&index) else {
                continue;
            };
            self.look_at(&mut attached, now, &mut looked);
            self.attached.insert(index, attached);
        }
        looked
    }

    /// One line for each interface on which somebody came first when it was last looked at.
    pub fn shadowed(&self) -> Vec<String> {
        let shadowed = |one: &Attached| {
            let ahead = one.hooks.iter().find_map(|hook| hook.ahead.as_ref())?;
            Some(format!("{}: {}", one.link.name, hidden_by(ahead)))
        };
        self.attached.values().filter_map(shadowed).collect()
    }

    fn look_at(&mut self, attached: &mut Attached, now: Instant, looked: &mut HookChanges) {
        for direction in Direction::ALL {
            if attached.hooks[direction as usize].barred {
                continue;
            }
            match self.keep_first(attached, direction, now, looked) {
                Ok(()) => {}
                // Its end will be told apart.
                Err(_) if !is_there(&attached.link) => {}
                Err(error) => {
                    looked.failed += 1;
                    let interface = &*attached.link.name;
                    tracing::error!(
                        interface,
                        ?direction,
                        "cannot re-attach at the head of the hook: {error:#}"
                    );
                }
            }
        }
    }

    fn keep_first(
        &mut self,
        attached: &mut Attached,
        direction: Direction,
        now: Instant,
        looked: &mut HookChanges,
    ) -> Result<()> {
        let place = self.place(&attached.link, direction)?;
        if place == Place::Missing {
            self.goes_off(attached, direction, Missed::Detached)?;
        }
        let hook = &mut attached.hooks[direction as usize];
        if place == Place::First {
            hook.tries.in_front();
        }
        let (ahead, why) = match place {
            Place::First => (None, None),
            Place::AlwaysBehind(who) => (Some(who), None),
            Place::Behind(who) if hook.tries.take(now) => (None, Some(format!("{who} came first"))),
            Place::Missing if hook.tries.take(now) => (None, Some("it was taken away".to_owned())),
            Place::Behind(who) => (Some(who), None),
            Place::Missing => (Some("whoever takes ours away".to_owned()), None),
        };
        let before = mem::replace(&mut hook.ahead, ahead);
        attached.say_change(direction, before.is_some());
        let Some(why) = why else {
            return Ok(());
        };
        self.put_in_front(attached, direction, looked)?;
        looked.moved += 1;
        let interface = &*attached.link.name;
        tracing::warn!(
            interface,
            ?direction,
            "re-attached at the head of the hook: {why}"
        );
        Ok(())
    }

    /// Our program goes off the hook now, or has gone.
    fn goes_off(
        &mut self,
        attached: &mut Attached,
        direction: Direction,
        why: Missed,
    ) -> Result<()> {
        if attached.hooks[direction as usize].off.is_none() {
            let carried = self.carried(&attached.link, direction)?;
            attached.hooks[direction as usize].off = Some(Detached { carried, why });
        }
        Ok(())
    }

    fn place(&mut self, link: &Link, direction: Direction) -> Result<Place> {
        let interface = link.index;
        let chain = match self.has_tcx {
            true => chain::programs(interface, direction).context("asking for TCX programs")?,
            false => Vec::new(),
        };
        if self.mode == AttachMode::Tcx {
            let own = self.numbers[usize::from(link.role == Role::Uplink)][direction as usize];
            return Ok(chain::place(&chain, own, &mut self.agents));
        }
        let filters = filter::list(&mut self.route, interface, direction);
        let own = |filter: &Filter| self.identity.owns(filter);
        Ok(
            match filter::place(&filters.context("asking for filters")?, own) {
                Place::First => chain::above(&chain, &mut self.agents).unwrap_or(Place::First),
                place => place,
            },
        )
    }

    fn put_in_front(
        &mut self,
        attached: &mut Attached,
        direction: Direction,
        looked: &mut HookChanges,
    ) -> Result<()> {
        self.goes_off(attached, direction, Missed::Reattach)?;
        let Attached { link, hooks } = attached;
        match hooks[direction as usize].program.take() {
            Some(AttachedProgram::Tcx(placed)) => {
                // At once, before the new one comes; fails where another took it off.
                let _ = syscall::detach(&placed);
                if let Some(pins) = &self.pins {
                    syscall::remove(&pins.link(link.index, direction))?;
                }
            }
            Some(AttachedProgram::Filter) => {
                tc::remove(&mut self.route, link, direction, &self.identity)?;
            }
            None => {}
        }
        if self.prepare(link)?.bars(direction) {
            hooks[direction as usize].barred = true;
            anyhow::bail!("{}", barred_by_ingress(link, hook(direction).name));
        }
        let carried = self.carried(link, direction)?;
        let (program, _) = self.attach_one(link, direction)?;
        let hook = &mut hooks[direction as usize];
        hook.program = Some(program);
        // What an uplink carries is no pod's to miss.
        if let Some(off) = hook.off.take().filter(|_| link.role == Role::Pod) {
            let missed = carried.bytes.saturating_sub(off.carried.bytes);
            looked.missed[off.why as usize] += missed;
        }
        Ok(())
    }
}

impl Attached {
    /// One line when somebody begins to run first, and one when that is over.
    fn say_change(&self, direction: Direction, before: bool) {
        let interface = &*self.link.name;
        match (&self.hooks[direction as usize].ahead, before) {
            (Some(who), false) => {
                tracing::warn!(interface, ?direction, "shadowed: {}", hidden_by(who))
            }
            (None, true) => tracing::info!(interface, ?direction, "no longer shadowed"),
            (Some(_), true) | (None, false) => {}
        }
    }
}

fn hidden_by(who: &str) -> String {
    format!("{who} runs first: packets that it drops or accepts are not counted")
}

/// True while the interface with this index is there.
pub(super) fn is_there(link: &Link) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: there is room for a name.
    let found = unsafe { libc::if_indextoname(link.index, name.as_mut_ptr()) };
    // Other errors, such as a limit of open files, say nothing about the interface.
    !found.is_null() || io::Error::last_os_error().raw_os_error() != Some(libc::ENXIO)
}
