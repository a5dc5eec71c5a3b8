//! Keeps everything pinned while the process runs: the directory may be removed, or its file
//! system unmounted, under it. Maps and links go on by their descriptors; without a pin they would
//! end with the process.

use std::{
    collections::BTreeSet,
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use anyhow::{Context as _, Result};

use super::{FOLDERS, InUse, Pins, map_names, open, refusal, try_lock};
use crate::syscall;

impl Pins {
    /// Opens the pinned maps, so that they can be pinned again.
    ///
    /// # Errors
    /// When one is not pinned.
    pub(crate) fn hold_maps(&self) -> Result<()> {
        let hold = |name| {
            let path = self.map(name);
            let map = syscall::open(&path).with_context(|| path.display().to_string())?;
            Ok((path, map))
        };
        let maps: Vec<_> = map_names().map(hold).collect::<Result<_>>()?;
        self.held().maps = maps;
        Ok(())
    }

    /// False while nothing can be pinned, as the last call of [`Self::keep`] found.
    pub fn are_usable(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    /// Pins what is not pinned any more, of the maps and of these links; how many that were.
    /// [`InUse`] where another agent has taken the directory meanwhile.
    ///
    /// # Errors
    /// When the directory is gone and cannot be made again.
    pub fn keep<'a>(
        &self,
        links: impl Iterator<Item = (PathBuf, &'a OwnedFd)>,
    ) -> Result<Result<usize, InUse>> {
        let kept = self.pin_again(links);
        self.lost.store(kept.is_err(), Ordering::Relaxed);
        kept
    }

    fn pin_again<'a>(
        &self,
        links: impl Iterator<Item = (PathBuf, &'a OwnedFd)>,
    ) -> Result<Result<usize, InUse>> {
        let mut held = self.held();
        if !is_there(&self.root, &held.lock) {
            let directory = open(&self.root)?;
            if !try_lock(&directory).with_context(|| refusal(&self.root))? {
                return Ok(Err(InUse));
            }
            held.lock = directory;
        }
        let mut there = BTreeSet::new();
        for folder in FOLDERS.map(|name| self.folder(name)) {
            fs::create_dir_all(&folder).with_context(|| refusal(&folder))?;
            for entry in fs::read_dir(&folder).with_context(|| refusal(&folder))? {
                there.insert(entry.with_context(|| refusal(&folder))?.path());
            }
        }
        let mut pinned = 0;
        let mut pin = |path: &Path, object| -> Result<()> {
            if !there.contains(path) {
                syscall::pin(object, path)
                    .with_context(|| format!("pinning {}", path.display()))?;
                pinned += 1;
            }
            Ok(())
        };
        let mut maps = held.maps.iter();
        maps.try_for_each(|(path, map)| pin(path, map))?;
        { links }.try_for_each(|(path, link)| pin(&path, link))?;
        Ok(Ok(pinned))
    }
}

/// True where the path still leads to the open directory.
fn is_there(root: &Path, directory: &fs::File) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (now, then) = (fs::metadata(root), directory.metadata());
    matches!((now.map(identity), then.map(identity)), (Ok(now), Ok(then)) if now == then)
}
