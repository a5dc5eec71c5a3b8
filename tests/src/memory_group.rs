//! A memory cgroup with a limit, in either version of cgroups.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// How long its last process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands until the value is dropped, which is to be after the processes in it have ended.
#[derive(Debug)]
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// A group `zonemeter-lab-NAME` whose processes may take so many bytes, the kernel's for them
    /// included. Needs root.
    pub fn new(name: &str, bytes: u64) -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("zonemeter-lab-{name}");
        let controllers = root.join("cgroup.subtree_control");
        let (folder, limit) = match controllers.exists() {
            true => {
                fs::write(&controllers, "+memory").context("the memory controller")?;
                (root.join(name), "memory.max")
            }
            false => (root.join("memory").join(name), "memory.limit_in_bytes"),
        };
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let group = Self(folder);
        let file = group.0.join(limit);
        fs::write(&file, bytes.to_string()).with_context(|| file.display().to_string())?;
        Ok(group)
    }

    /// What starts a program inside: its words go after these. `first` is a shell command that
    /// comes before it, such as `ulimit -n 1000`.
    pub fn wrapper(&self, first: &str) -> [String; 4] {
        let script = format!("echo $$ > \"$0/cgroup.procs\" && {first} && exec \"$@\"");
        let folder = self.0.display().to_string();
        ["sh".to_owned(), "-c".to_owned(), script, folder]
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
