//! Others on the hooks: stays in front of them, and shows where it cannot.

use std::time::Instant;

use super::Attacher;
use crate::kernel::{attach::Counting, hooks::watch::Disturbed, links::LinkEvent};

impl Attacher {
    /// Somebody may have come first, or have made room.
    pub(super) async fn look(&mut self, disturbed: Disturbed) {
        if let Disturbed::Qdisc(index) = disturbed
            && self.attachments.has_failed(index)
            && let Some(link) = self.links.one(index).await
        {
            self.follow(LinkEvent::Appeared(link)).await;
        }
        let looked = self.attachments.look(disturbed, Instant::now());
        self.metrics.moved_to_front(looked.moved);
        self.metrics.attach_failed(looked.failed);
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
        self.metrics
            .set_shadowed_interfaces(self.attachments.shadowed());
        match self.attachments.uncounted() {
            none if none.is_empty() => self.all_counted.met(),
            some => self.all_counted.missing(some.join("; ")),
        }
    }
}
