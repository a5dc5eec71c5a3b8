//! File systems of a test's own.

use std::{path::Path, process::Command, thread};

use anyhow::{Context, Result};

use crate::tool;

/// An empty folder and what is mounted on it; unmounted and removed at the end.
#[derive(Debug)]
pub struct Mount {
    folder: tempfile::TempDir,
    words: Vec<String>,
}

impl Mount {
    /// Mounts by `words`, the arguments of mount(8) without the folder.
    ///
    /// # Errors
    /// When there is no temporary folder, or what mount(8) says.
    pub fn new(words: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder to mount on")?;
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let mount = Self { folder, words };
        mount.mount()?;
        Ok(mount)
    }

    /// Mounts once more.
    ///
    /// # Errors
    /// What mount(8) says.
    pub fn mount(&self) -> Result<()> {
        tool::output(Command::new("mount").args(&self.words).arg(self.path())).map(drop)
    }

    /// Unmounts, also while it is in use.
    ///
    /// # Errors
    /// What umount(8) says.
    pub fn unmount(&self) -> Result<()> {
        tool::output(Command::new("umount").arg("--lazy").arg(self.path())).map(drop)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = self.unmount();
        assert!(unmounted.is_ok() || thread::panicking(), "{unmounted:?}");
    }
}
