//! Attaching to an interface: both programs, or none.

use std::time::Instant;

use anyhow::{Context as _, Result};
use zonemeter_datapath::object::Role;
use zonemeter_model::traffic::{AttachMode, Count, Direction};

use super::{Attached, AttachedProgram, Attachments, Counting, Hook, NotCounted, TokenBucket};
use crate::{
    hooks::filter,
    links::{self, Link},
};

/// What an interface had carried at its turns, by [`Direction`] code, by its own counters.
#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    /// When our program began to count; zero where one of an earlier process was counting.
    since: [Option<Count>; 2],
    /// What programs of ours have counted that are off again.
    counted: [Count; 2],
}

impl Attachments {
    /// Attaches both programs, or none; the one from the pod where the other is barred.
    ///
    /// # Errors
    /// When the interface is gone, or the kernel refuses; the message names both. Then nothing of
    /// ours is on the interface, and nothing is pinned for it.
    pub fn attach(&mut self, link: &Link, now: Instant) -> Result<Counting, NotCounted> {
        if link.role == Role::AboveUplink {
            return self.uplinks.insert_above(link).map_err(|why| NotCounted {
                is_new: self
                    .failed
                    .insert(link, format!("{why:#}"), Default::default(), now),
                why,
            });
        }
        let mut attempt = Attempt {
            counted: self.failed.counted(link.index),
            ..Attempt::default()
        };
        match self.try_attach(link, now, &mut attempt) {
            Ok(attached) => {
                let lacks = attached.lacks();
                self.uplinks.attached(link);
                self.attached.insert(link.index, attached);
                self.failed.remove(link.index);
                Ok(Counting {
                    before_attach: attempt.uncounted(),
                    lacks,
                })
            }
            Err(why) => {
                let counted = self.give_up(link, &attempt);
                let is_new = self.failed.insert(link, format!("{why:#}"), counted, now);
                Err(NotCounted { why, is_new })
            }
        }
    }

    fn try_attach(&mut self, link: &Link, now: Instant, attempt: &mut Attempt) -> Result<Attached> {
        self.clear_other_mode(link, attempt)?;
        let room = self.prepare(link)?;
        let mut on = |direction| -> Result<Hook> {
            let barred = room.bars(direction);
            let program = match barred {
                true => None,
                false => Some(self.begin(link, direction, attempt)?),
            };
            Ok(Hook {
                program,
                barred,
                ahead: None,
                tries: TokenBucket::new(now),
                off: None,
            })
        };
        Ok(Attached {
            hooks: [on(Direction::ALL[0])?, on(Direction::ALL[1])?],
            link: link.clone(),
        })
    }

    /// The counters are read before the call: what comes after it is in the flows, and what passes
    /// between the two is less than what would be in both the other way round, as the kernel waits
    /// for running programs after it has attached.
    fn begin(
        &mut self,
        link: &Link,
        direction: Direction,
        attempt: &mut Attempt,
    ) -> Result<AttachedProgram> {
        let carried = self.carried(link, direction)?;
        let (program, adopted) = self.attach_one(link, direction)?;
        let since = if adopted { Count::ZERO } else { carried };
        attempt.since[direction as usize] = Some(since);
        Ok(program)
    }

    /// An earlier process may have counted here in the other mode: both at once would count
    /// every byte twice.
    fn clear_other_mode(&mut self, link: &Link, attempt: &mut Attempt) -> Result<()> {
        let other = match self.mode {
            AttachMode::Tcx => AttachMode::Tc,
            AttachMode::Tc => AttachMode::Tcx,
        };
        for direction in Direction::ALL {
            if self.is_on(link, direction, other)? {
                attempt.counted[direction as usize] = self.carried(link, direction)?;
            }
        }
        match (other, &self.pins) {
            (AttachMode::Tcx, Some(pins)) => pins.unlink(link.index),
            (AttachMode::Tcx, None) => Ok(()),
            (AttachMode::Tc, _) => self.remove_filters(link),
        }
    }

    /// True where a program of ours, or of an agent in whose place this one is, counts.
    fn is_on(&mut self, link: &Link, direction: Direction, mode: AttachMode) -> Result<bool> {
        if mode == AttachMode::Tcx {
            let path = self
                .pins
                .as_ref()
                .map(|pins| pins.link(link.index, direction));
            return Ok(path.is_some_and(|path| path.exists()));
        }
        let filters = filter::list(&mut self.route, link.index, direction);
        let filters = filters.with_context(|| format!("listing the filters of {}", link.name))?;
        Ok(filters.iter().any(|filter| self.identity.owns(filter)))
    }

    /// Takes off what is there after a failure; returns what all programs of ours have counted.
    fn give_up(&mut self, link: &Link, attempt: &Attempt) -> [Count; 2] {
        let since = Direction::ALL.map(|direction| {
            let left = |attached: &mut Self| attached.is_on(link, direction, attached.mode);
            attempt.since[direction as usize]
                .or_else(|| left(self).is_ok_and(|left| left).then_some(Count::ZERO))
        });
        self.take_off(link);
        let mut counted = attempt.counted;
        for direction in Direction::ALL {
            let Some(since) = since[direction as usize] else {
                continue;
            };
            let carried = self.carried(link, direction).unwrap_or_else(|error| {
                tracing::warn!("what was counted in a failed attempt is not known: {error:#}");
                Count::ZERO
            });
            counted[direction as usize] += less(carried, since);
        }
        counted
    }

    /// What the interface has carried in this direction so far, by its own counters.
    pub(super) fn carried(&mut self, link: &Link, direction: Direction) -> Result<Count> {
        let now = links::ask(&mut self.route, link.index);
        let now = now.with_context(|| format!("reading the counters of {}", link.name))?;
        let now = now.with_context(|| format!("{} is gone", link.name))?;
        Ok(now.carried[direction as usize])
    }
}

impl Attempt {
    /// What the interface carried and no program of ours counted.
    fn uncounted(&self) -> [Count; 2] {
        Direction::ALL.map(|direction| {
            let since = self.since[direction as usize].unwrap_or_default();
            less(since, self.counted[direction as usize])
        })
    }
}

fn less(count: Count, part: Count) -> Count {
    Count {
        bytes: count.bytes.saturating_sub(part.bytes),
        packets: count.packets.saturating_sub(part.packets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: u64) -> Count {
        Count { bytes, packets: 0 }
    }

    #[test]
    fn what_a_program_counted_was_not_before_it() {
        let attempt = Attempt {
            since: [Some(bytes(5000)), Some(bytes(700))],
            counted: [bytes(1000), bytes(0)],
        };
        assert_eq!(attempt.uncounted(), [bytes(4000), bytes(700)]);
        // The program of an earlier process was counting; the other direction is barred.
        let adopted = Attempt {
            since: [Some(Count::ZERO), None],
            counted: [bytes(0); 2],
        };
        assert_eq!(adopted.uncounted(), [Count::ZERO; 2]);
    }
}
