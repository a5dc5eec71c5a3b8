//! Others on the hooks: stays in front of them, and shows where it cannot.

use std::time::Instant;

use zonemeter_attach::{attachments::Counting, hooks::watch::HookEvent, links::LinkEvent};
use zonemeter_datapath::object::Role;
use zonemeter_model::{condition::Status, traffic::Missed};

use super::Attacher;

/// Interfaces that `/readyz` names.
const NAMED: usize = 5;

/// What to say where nothing that was asked for is there.
pub(crate) fn matches_none(asked_for: &str) -> String {
    format!(
        "--interface {asked_for} matches no interface: right on a node whose pods are all of the \
         host's network, else give the names of the host's end of the pods' veths (`ip link`)"
    )
}

impl Attacher {
    /// Somebody may have come first, or have made room.
    pub(super) fn look(&mut self, disturbed: HookEvent) {
        if let HookEvent::Qdisc(index) = disturbed
            && self.attachments.has_failed(index)
        {
            match self.links.one(index) {
                Ok(Some(link)) => self.follow(LinkEvent::Appeared(link)),
                // Its end will be told.
                Ok(None) => {}
                // It is tried again when its pause is over.
                Err(error) => tracing::warn!(index, "asking for an interface: {error}"),
            }
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
        if !lines.is_empty() {
            self.all_counted.in_part(lines.join("; "));
            return;
        }
        let finds_none = self.attachments.count(Role::Pod) == 0 && !self.asked_for.is_empty();
        self.all_counted.report(match finds_none {
            true => Status::InPart(matches_none(&self.asked_for)),
            false => Status::Holds,
        });
    }
}
