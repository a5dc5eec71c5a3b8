//! Network namespaces: entering one from a thread and starting a process in one.
//!
//! Only the network namespace changes. Mounts stay as they are, so that `/sys/fs/bpf` and the
//! files of the lab are the same everywhere (`ip netns exec` would mount a fresh `/sys`).

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::tool;

/// Where iproute2 keeps named namespaces.
const DIRECTORY: &str = "/run/netns";

/// A named network namespace. Cheap to clone: clones share one open handle.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    handle: Arc<OwnedFd>,
    inode: u64,
}

impl Namespace {
    /// Opens the namespace that `ip netns add NAME` made.
    pub fn open(name: &str) -> Result<Self> {
        let path = path_of(name);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let inode = file.metadata()?.ino();
        let handle = Arc::new(OwnedFd::from(file));
        Ok(Self {
            name: name.to_owned(),
            handle,
            inode,
        })
    }

    /// The name under which `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside the namespace and waits for its result. Sockets that it
    /// opens stay in the namespace wherever they are used later.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let handle = &self.handle;
        thread::scope(|scope| {
            let inside = scope.spawn(move || enter(handle).map(|()| work()));
            match inside.join() {
                Ok(result) => result.with_context(|| format!("enter namespace {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts `work` on a thread of its own inside the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> thread::JoinHandle<Result<T>> {
        let inside = self.clone();
        thread::spawn(move || {
            enter(&inside.handle).with_context(|| format!("enter namespace {}", inside.name))?;
            work()
        })
    }

    /// A command whose process runs in the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let handle = Arc::clone(&self.handle);
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes one system call on an open handle and
        // touches no lock and no heap.
        unsafe { command.pre_exec(move || enter(&handle)) };
        command
    }

    /// Sets kernel parameters below `/proc/sys/net`, which belong to the calling thread's
    /// namespace.
    pub fn sysctl(&self, settings: &[(String, &str)]) -> Result<()> {
        self.run(|| {
            for (name, value) in settings {
                let path = Path::new("/proc/sys/net").join(name);
                fs::write(&path, value)
                    .with_context(|| format!("write {value} to {}", path.display()))?;
            }
            Ok(())
        })?
    }

    /// Feeds `lines` to `ip -batch` inside the namespace. A batch has one family, so lines that
    /// start with `-6` go to a second process after all others.
    pub(crate) fn ip(&self, lines: &[String]) -> Result<()> {
        let of_v6 = |line: &&String| line.starts_with("-6 ");
        let v4: String = lines
            .iter()
            .filter(|line| !of_v6(line))
            .map(|l| format!("{l}\n"))
            .collect();
        let v6: String = lines
            .iter()
            .filter(of_v6)
            .map(|l| format!("{}\n", &l[3..]))
            .collect();
        for (arguments, batch) in [(&["-batch", "-"][..], v4), (&["-6", "-batch", "-"], v6)] {
            if !batch.is_empty() {
                tool::feed(self.command("ip").args(arguments), &batch)
                    .with_context(|| format!("in namespace {}", self.name))?;
            }
        }
        Ok(())
    }

    /// Waits until every link that is set up can carry packets. The kernel opens a link's queue in
    /// a work item some time after the other end came up, and drops what is sent before.
    pub(crate) fn wait_for_links(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let listing = tool::output(self.command("ip").args(["-o", "link", "show", "up"]))?;
            let waiting = listing
                .lines()
                .find(|line| !line.contains(" state UP ") && !line.contains(" lo: "));
            let Some(link) = waiting else { return Ok(()) };
            ensure!(
                Instant::now() < deadline,
                "namespace {}: no carrier: {link}",
                self.name
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The processes that live in the namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("list /proc")? {
            let entry = entry?;
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            // A process may end between the listing and this look at it.
            if fs::metadata(entry.path().join("ns/net")).is_ok_and(|meta| meta.ino() == self.inode)
            {
                found.push(pid);
            }
        }
        Ok(found)
    }
}

/// Names of the namespaces on this machine that start with `prefix`, sorted.
pub(crate) fn named(prefix: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    match fs::read_dir(DIRECTORY) {
        Ok(entries) => {
            for entry in entries {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("list {DIRECTORY}")),
    }
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    Ok(names)
}

fn path_of(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn enter(handle: &OwnedFd) -> io::Result<()> {
    // SAFETY: setns takes no pointers; the descriptor is open for as long as `handle` lives.
    let result = unsafe { libc::setns(handle.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
