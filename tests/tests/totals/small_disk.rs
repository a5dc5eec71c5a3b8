//! A disk without room.

use std::{fs, path::Path, process::Command, thread};

/// A file system that is full as soon as somebody wants.
pub(super) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Room for 1 MiB.
    pub(super) fn mount() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "zonemeter-test"]);
        assert!(mount.arg(disk.path()).status().unwrap().success());
        disk
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

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let umount = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        assert!(umount.unwrap().success() || thread::panicking());
    }
}
