//! Keeps everything pinned, so that counting goes on without this process.

use std::path::PathBuf;

use anyhow::{Result, bail};
use zonemeter_datapath::pins::{InUse, Pins};

use super::{AttachedProgram, Attachments, Direction, OwnedFd};

/// Whether everything is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinState {
    /// As it was.
    Complete,
    /// So much was not, and is again.
    Repinned(usize),
    /// Nothing can be pinned: one line with the remedy.
    Lost(String),
}

impl Attachments {
    /// Looks whether everything is still pinned, and pins it again where it is not. Costs no call
    /// of bpf while all is well.
    ///
    /// # Errors
    /// When another agent uses the directory now: two would drain the same maps later.
    pub fn keep_pinned(&mut self) -> Result<PinState> {
        let Some(pins) = &self.pins else {
            return Ok(PinState::Complete);
        };
        Ok(match pins.keep(self.links(pins)) {
            Ok(Ok(0)) => PinState::Complete,
            Ok(Ok(again)) => PinState::Repinned(again),
            Ok(Err(InUse)) => bail!(
                "--pin-dir: {} was removed and another agent uses it now: this one ends, and what \
                 it did not drain is lost",
                pins.root().display()
            ),
            Err(error) => PinState::Lost(format!("{error:#}")),
        })
    }

    /// The links that are attached, and where they are to be pinned.
    fn links<'a>(&'a self, pins: &'a Pins) -> impl Iterator<Item = (PathBuf, &'a OwnedFd)> {
        self.attached.iter().flat_map(move |(index, attached)| {
            Direction::ALL.into_iter().filter_map(move |direction| {
                match &attached.hooks[direction as usize].program {
                    Some(AttachedProgram::Tcx(link)) => Some((pins.link(*index, direction), link)),
                    _ => None,
                }
            })
        })
    }
}
