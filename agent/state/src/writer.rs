//! Writes the totals after each drain.
//!
//! What was written survives the end of the process at once: it is in the kernel's page cache. Nothing
//! waits for the disk except a new file before it takes the old one's place, so that a loss of power
//! leaves one of the two. Appended steps may be lost then, and so are the kernel's maps.

use std::{
    fs::{self, File},
    io::Write as _,
};

use anyhow::{Context as _, Result};
use zonemeter_model::kept::Kept;

use super::{
    directory::StateDir,
    file::{self, Owner},
};

/// A file is begun anew when its steps have more bytes than twice its whole record and this.
const STEPS_AT_LEAST: u64 = 1 << 20;

/// Keeps totals in the state directory.
#[derive(Debug)]
pub struct Writer {
    directory: StateDir,
    owner: Owner,
    /// `None` at the start and after a failure: the next write is a whole record.
    open: Option<Open>,
}

/// The file as this process began it.
#[derive(Debug)]
struct Open {
    file: File,
    /// What it says.
    last: Kept,
    whole_bytes: u64,
    step_bytes: u64,
}

impl Writer {
    pub(super) fn new(directory: StateDir, owner: Owner) -> Self {
        Self {
            directory,
            owner,
            open: None,
        }
    }

    /// Keeps these totals; returns how many bytes were written for it.
    ///
    /// # Errors
    /// When they could not be written; the next call writes all of them.
    pub fn write(&mut self, kept: Kept) -> Result<u64> {
        match self.open.take() {
            Some(open) if !open.is_long() => self.append(open, kept),
            Some(_) | None => self.begin(kept),
        }
    }

    fn append(&mut self, mut open: Open, kept: Kept) -> Result<u64> {
        let step = file::step(&open.last, &kept)?;
        let path = self.directory.totals();
        open.file
            .write_all(&step)
            .with_context(|| path.display().to_string())?;
        open.step_bytes += step.len() as u64;
        open.last = kept;
        self.open = Some(open);
        Ok(step.len() as u64)
    }

    fn begin(&mut self, kept: Kept) -> Result<u64> {
        let whole = file::whole(&self.owner, &kept)?;
        let (new, path) = (self.directory.new_file(), self.directory.totals());
        let file = self.put(&whole).inspect_err(|_| {
            // A part of it is of no use and takes room where there may be none.
            let _ = fs::remove_file(&new);
        });
        let file = file.with_context(|| path.display().to_string())?;
        let bytes = whole.len() as u64;
        self.open = Some(Open {
            file,
            last: kept,
            whole_bytes: bytes,
            step_bytes: 0,
        });
        Ok(bytes)
    }

    /// Under another name until it is whole and on the disk.
    fn put(&self, whole: &[u8]) -> std::io::Result<File> {
        let new = self.directory.new_file();
        let mut file = File::create(&new)?;
        file.write_all(whole)?;
        file.sync_all()?;
        fs::rename(&new, self.directory.totals())?;
        self.directory.sync()?;
        Ok(file)
    }
}

impl Open {
    fn is_long(&self) -> bool {
        self.step_bytes > 2 * self.whole_bytes + STEPS_AT_LEAST
    }
}
