//! Interfaces that an earlier process counted and this one does not.

use anyhow::{Context as _, Result};

use super::{Attachments, Direction, front::is_there, tc};
use crate::{
    hooks::qdisc::{self, Qdisc},
    links,
};

impl Attachments {
    /// Takes our filters off every interface to which nothing is attached. Unlike links they have no
    /// pin by which they would be found. Returns on how many interfaces that failed: they are tried
    /// again with the next list.
    pub(super) fn clear_others(&mut self) -> Result<u64> {
        let qdiscs = qdisc::all(&mut self.route).context("listing qdiscs")?;
        let mut failed = 0;
        for (index, qdisc) in qdiscs {
            if self.attached.contains_key(&index) {
                continue;
            }
            if let Err(error) = self.clear(index, qdisc) {
                failed += 1;
                tracing::warn!(
                    index,
                    "filters of an earlier agent, if there are any, go on counting: {error:#}"
                );
            }
        }
        Ok(failed)
    }

    fn clear(&mut self, index: u32, qdisc: Qdisc) -> Result<()> {
        let link = links::ask(&mut self.route, index).context("asking for the interface")?;
        // Gone since.
        let Some(link) = link else { return Ok(()) };
        let directions: &[Direction] = match qdisc {
            Qdisc::Clsact => &Direction::ALL,
            Qdisc::Ingress => &[Direction::Transmit],
        };
        let mut removed = 0;
        for direction in directions {
            match tc::remove(&mut self.route, &link, *direction, &self.identity) {
                Ok(filters) => removed += filters,
                Err(_) if !is_there(&link) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if removed > 0 {
            tracing::info!(
                interface = &*link.name,
                "filters of an earlier agent are taken off: it is not counted any more"
            );
        }
        Ok(())
    }
}
