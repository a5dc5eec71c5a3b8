//! Stays in front: looks who comes first on the hooks, and puts our programs there again.
//!
//! Neither clsact nor TCX can move a program in one step, and the same program cannot be on a
//! hook twice. So ours is **taken away and then added in front**. Where the other one ends the
//! walk, as a policy does, ours was not reached before, and nothing is lost between the two
//! calls. Where it passes packets on (`TCX_NEXT`, `TC_ACT_UNSPEC`), which nobody can tell from
//! outside, ours was reached and misses what comes between them. The other order would count
//! such packets twice: less than the truth, for the time of two calls, is the better fault, and
//! the interface's own counter bounds it.

use std::{mem, time::Instant};

use anyhow::{Context as _, Result};

use super::{Attached, Attachments, Placed, barred_by_ingress, hook, is_there, tc, tcx};
use crate::{
    kernel::hooks::{Place, chain, filter, watch::Disturbed},
    model::traffic::{AttachMode, Direction},
};

/// What came of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Programs that are in front again.
    pub moved: u64,
    /// Programs that could not be put there.
    pub failed: u64,
}

impl Attachments {
    /// Looks at the hooks that may have changed.
    pub fn look(&mut self, disturbed: Disturbed, now: Instant) -> Looked {
        let indices = match disturbed {
            Disturbed::Filters(index) | Disturbed::Qdisc(index) => vec![index],
            Disturbed::All => self.indices(),
        };
        let mut looked = Looked::default();
        for index in indices {
            let Some(mut attached) = self.attached.remove(&index) else {
                continue;
            };
            self.look_at(&mut attached, now, &mut looked);
            self.attached.insert(index, attached);
        }
        looked
    }

    /// Interfaces on which somebody came first when they were last looked at.
    pub fn shadowed(&self) -> u64 {
        let shadowed = |one: &&Attached| one.hooks.iter().any(|hook| hook.ahead.is_some());
        self.attached.values().filter(shadowed).count() as u64
    }

    fn look_at(&mut self, attached: &mut Attached, now: Instant, looked: &mut Looked) {
        for direction in Direction::ALL {
            if attached.hooks[direction as usize].barred {
                continue;
            }
            match self.keep_first(attached, direction, now) {
                Ok(moved) => looked.moved += u64::from(moved),
                // Its end will be told apart.
                Err(_) if !is_there(&attached.link) => {}
                Err(error) => {
                    looked.failed += 1;
                    let interface = &*attached.link.name;
                    tracing::error!(interface, ?direction, "not in front: {error:#}");
                }
            }
        }
    }

    /// True where our program was put in front.
    fn keep_first(
        &mut self,
        attached: &mut Attached,
        direction: Direction,
        now: Instant,
    ) -> Result<bool> {
        let place = self.place(attached.link.index, direction)?;
        let hook = &mut attached.hooks[direction as usize];
        let (ahead, why) = match place {
            Place::First => (None, None),
            Place::Beneath(who) => (Some(who), None),
            Place::Behind(who) if hook.tries.take(now) => (None, Some(format!("{who} came first"))),
            Place::Missing if hook.tries.take(now) => (None, Some("it was taken away".to_owned())),
            Place::Behind(who) => (Some(who), None),
            Place::Missing => (Some("whoever takes ours away".to_owned()), None),
        };
        let before = mem::replace(&mut hook.ahead, ahead);
        attached.say_change(direction, before.is_some());
        let Some(why) = why else {
            return Ok(false);
        };
        self.put_in_front(attached, direction)?;
        let interface = &*attached.link.name;
        tracing::warn!(interface, ?direction, "put in front again: {why}");
        Ok(true)
    }

    fn place(&mut self, interface: u32, direction: Direction) -> Result<Place> {
        let chain = match self.has_tcx {
            true => chain::programs(interface, direction).context("asking for TCX programs")?,
            false => Vec::new(),
        };
        if self.mode == AttachMode::Tcx {
            return Ok(chain::place(&chain, self.programs.id(direction)?));
        }
        if let Some(above) = chain::above(&chain) {
            return Ok(above);
        }
        let filters = filter::list(&mut self.route, interface, direction);
        Ok(filter::place(&filters.context("asking for filters")?))
    }

    fn put_in_front(&mut self, attached: &mut Attached, direction: Direction) -> Result<()> {
        let Attached { link, hooks } = attached;
        match hooks[direction as usize].program.take() {
            Some(Placed::Tcx(placed)) => {
                // At once, before the new one comes; fails where another took it off.
                let _ = tcx::detach(&placed);
                if let Some(pins) = &self.pins {
                    tcx::remove(&pins.link(link.index, direction))?;
                }
            }
            Some(Placed::Filter) => {
                tc::remove(&mut self.route, link, direction)?;
            }
            None => {}
        }
        if self.prepare(link)?.bars(direction) {
            hooks[direction as usize].barred = true;
            anyhow::bail!("{}", barred_by_ingress(link, hook(direction)));
        }
        let (program, _) = self.attach_one(link, direction)?;
        hooks[direction as usize].program = Some(program);
        Ok(())
    }
}

impl Attached {
    /// One line when somebody begins to run first, and one when that is over.
    fn say_change(&self, direction: Direction, before: bool) {
        let interface = &*self.link.name;
        match (&self.hooks[direction as usize].ahead, before) {
            (Some(who), false) => tracing::warn!(
                interface,
                ?direction,
                "shadowed: {who} runs first, and what it decides for good is not counted"
            ),
            (None, true) => tracing::info!(interface, ?direction, "no longer shadowed"),
            (Some(_), true) | (None, false) => {}
        }
    }
}
