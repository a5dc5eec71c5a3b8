//! Interfaces that an earlier process counted and this one does not.

use anyhow::{Context as _, Result};

use super::{Attachments, Direction, tc};
use crate::{
    hooks::qdisc::{self, Qdisc},
    links,
};

impl Attachments {
    /// Takes our filters off every interface to which nothing is attached. Unlike links they have no
    /// pin by which they would be found.
    pub(super) fn clear_others(&mut self) -> Result<()> {
        let qdiscs = qdisc::all(&mut self.route).context("listing qdiscs")?;
        for (index, qdisc) in qdiscs {
            if self.attached.contains_key(&index) {
                continue;
            }
            // Gone since.
            let Ok(link) = links::ask(&mut self.route, index) else {
                continue;
            };
            let directions: &[Direction] = match qdisc {
                Qdisc::Clsact => &Direction::ALL,
                Qdisc::Ingress => &[Direction::Transmit],
            };
            let mut removed = 0;
            for direction in directions {
                removed += tc::remove(&mut self.route, &link, *direction, &self.identity)?;
            }
            if removed > 0 {
                tracing::info!(
                    interface = &*link.name,
                    "filters of an earlier agent are taken off: it is not counted any more"
                );
            }
        }
        Ok(())
    }
}
