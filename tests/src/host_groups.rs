//! Cgroups of version 2 that stand in for those of a node: a tree below the machine's own root.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Where version 2 is mounted: alone, or beside version 1.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// How long the last process of a group may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tree. It is removed when the value is dropped.
#[derive(Debug)]
pub struct HostGroups(PathBuf);

/// This process is in another group until the value is dropped.
struct Inside {
    back: PathBuf,
}

impl HostGroups {
    /// A tree for the lab of this name, without what a killed run left of it. Needs root.
    pub fn new(name: &str) -> Result<Self> {
        let is_root = |root: &&&str| Path::new(root).join("cgroup.procs").exists();
        let root = ROOTS.iter().find(is_root);
        let root = Path::new(root.context("no cgroup v2 is mounted on this machine")?);
        let groups = Self(root.join(format!("zonemeter-lab-{name}")));
        remove_tree(&groups.0)?;
        fs::create_dir(&groups.0).with_context(|| groups.0.display().to_string())?;
        Ok(groups)
    }

    /// What `--cgroup-dir` is given.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// Makes the group at `path` below the tree's root, and those above it. Returns its id.
    pub fn add(&self, path: &str) -> Result<u64> {
        let folder = self.0.join(path);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(fs::metadata(&folder)?.ino())
    }

    /// Removes the group at `path` with all below it.
    pub fn remove(&self, path: &str) -> Result<()> {
        remove_tree(&self.0.join(path))
    }

    /// The file of the group at `path` whose writers move into it.
    pub fn processes(&self, path: &str) -> PathBuf {
        self.0.join(path).join("cgroup.procs")
    }

    /// Leaves the tree standing. [`HostGroups::new`] of the same name takes it up again.
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Does `work` with this process in the group at `path`. Sockets that it makes, and processes
    /// that it starts, are of that group for good. All threads of this process are in it meanwhile.
    pub fn inside<T>(&self, path: &str, work: impl FnOnce() -> T) -> Result<T> {
        let _inside = Inside { back: own_group()? };
        join(&self.0.join(path))?;
        Ok(work())
    }
}

impl Drop for HostGroups {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while remove_tree(&self.0).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Fails only where the machine's own group has gone.
        let _ = join(&self.back);
    }
}

fn join(group: &Path) -> Result<()> {
    let file = group.join("cgroup.procs");
    fs::write(&file, process::id().to_string()).with_context(|| file.display().to_string())
}

/// The line of version 2 begins with `0::`.
fn own_group() -> Result<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.context("this process has no cgroup of version 2")?;
    for root in ROOTS {
        let group = Path::new(root).join(path);
        if group.join("cgroup.procs").exists() {
            return Ok(group);
        }
    }
    bail!("the cgroup {path} of this process is not there")
}

/// From the leaves on: a folder of a cgroup has files that cannot be removed.
fn remove_tree(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder).with_context(|| folder.display().to_string())
}
