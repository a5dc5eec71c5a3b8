//! A disk without room.

use std::{fs, path::Path};

use zonemeter_lab::mount::Mount;

/// A file system that is full as soon as somebody wants.
pub(super) struct SmallDisk(Mount);

impl SmallDisk {
    /// Room for 1 MiB.
    pub(super) fn mount() -> Self {
        let words = &["-t", "tmpfs", "-o", "size=1m", "zonemeter-test"];
        Self(Mount::new(words).unwrap())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that is left.
    pub(super) fn fill(&self) {
        // It takes what there is room for, and then fails.
        let _ = fs::write(self.path().join("filler"), vec![0; 2 << 20]);
    }

    /// Gives it back.
    pub(super) fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}
