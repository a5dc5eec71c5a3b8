//! Others on the hooks: stays in front of them, and shows where it cannot.

use std::time::Instant;

use super::Attacher;
use crate::{
    kernel::{attach::Counting, hooks::watch::Disturbed, links::LinkEvent},
    model::traffic::Missed,
};

/// Interfaces that `/readyz` names.
const NAMED: usize = 5;

impl Attacher {
    /// Somebody may have come first, or have made room.
    pub(super) fn look(&mut self, disturbed: Disturbed) {
        if let Disturbed::Qdisc(index) = disturbed
            && self.attachments.has_failed(index)
            && let Some(link) = self.links.one(index)
        {
            self.follow(LinkEvent::Appeared(link));
        }
        let looked = self.attachments.look(disturbed, Instant::now());
        self.metrics.moved_to_front(looked.moved);
        self.metrics.attach_failed(looked.failed);
        for reason in Missed::ALL {
            self.metrics.missed(reason, looked.missed[reason as usize]);
        }
        self.show_hooks();
    }

    /// An interface that is counted in one direction only.
    pub(super) fn show_lack(&self, counting: &Counting) {
        if let Some(lacks) = &counting.lacks {
            self.metrics.attach_failed(1);
            tracing::error!("not counted: {lacks}");
        }
    }

    pub(super) fn show_hooks(&self) {
        let shadowed = self.attachments.shadowed();
        self.metrics.set_shadowed_interfaces(shadowed.len() as u64);
        let mut lines = self.attachments.uncounted();
        lines.extend(shadowed);
        let more = lines.len().saturating_sub(NAMED);
        lines.truncate(NAMED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        match lines.is_empty() {
            true => self.all_counted.met(),
            false => self.all_counted.missing(lines.join("; ")),
        }
    }
}
