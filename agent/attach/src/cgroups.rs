//! Follows the cgroups of the node, by which its own sockets are told apart: each by the inode of
//! its folder, which is what the programs see.
//!
//! All of them are watched and named. The program that counts what sockets receive is [linked](link)
//! to few: those at the top, and those of pods of the host's network.

mod inotify;
pub mod link;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io, mem,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};

use self::{
    inotify::{Event, Inotify},
    link::Linker,
};
use zonemeter_model::{cgroup::to_link, traffic::CgroupChange};

/// `CGROUP2_SUPER_MAGIC` (`include/uapi/linux/magic.h`).
const CGROUP2: libc::c_long = 0x6367_7270;

/// What cgroups this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2: the root of all.
    Unified(PathBuf),
    /// Version 2 beside version 1, as systemd mounts it: units are in it, the kubelet's pods are
    /// not.
    Hybrid(PathBuf),
    /// None of version 2 at this path.
    Legacy(PathBuf),
}

impl Hierarchy {
    /// Looks at `--cgroup-dir`.
    pub fn find(directory: &Path) -> Self {
        let beside = directory.join("unified");
        if is_cgroup2(directory) {
            Self::Unified(directory.to_owned())
        } else if is_cgroup2(&beside) {
            Self::Hybrid(beside)
        } else {
            Self::Legacy(directory.to_owned())
        }
    }

    /// The root of version 2.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Self::Unified(root) | Self::Hybrid(root) => Some(root),
            Self::Legacy(_) => None,
        }
    }
}

fn is_cgroup2(directory: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: all zeroes is a value of `statfs`, which is made of integers.
    let mut answer: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: a path that ends with a zero, and room for the answer.
    let known = unsafe { libc::statfs(path.as_ptr(), &mut answer) } == 0;
    known && answer.f_type as libc::c_long == CGROUP2
}

/// The cgroups of one hierarchy of version 2.
pub struct Cgroups {
    root: PathBuf,
    inotify: Inotify,
    /// By path below the root.
    known: BTreeMap<Arc<str>, WatchedCgroup>,
    /// Paths by watch; that of the root is empty.
    watched: HashMap<i32, Arc<str>>,
    /// Uids of the pods of the host's network.
    host_pods: Arc<BTreeSet<Arc<str>>>,
    linker: Linker,
    /// Whether anything is to be linked.
    links: bool,
    /// A folder that cannot be watched, and why.
    unwatched: Option<String>,
}

/// A cgroup.
#[derive(Clone, Copy, Debug)]
struct WatchedCgroup {
    id: u64,
    watch: Option<i32>,
}

impl Cgroups {
    /// Knows none yet: see [`Self::list`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is no inotify instance.
    pub fn new(root: PathBuf, linker: Linker) -> Result<Self> {
        Ok(Self {
            root,
            inotify: Inotify::open().context("watching cgroups (inotify)")?,
            known: BTreeMap::new(),
            watched: HashMap::new(),
            host_pods: Arc::default(),
            linker,
            links: false,
            unwatched: None,
        })
    }

    /// What is linked, and what cannot be.
    pub fn linker(&self) -> &Linker {
        &self.linker
    }

    /// A folder that cannot be watched: what happens in it is found by the next list.
    pub fn unwatched(&self) -> Option<&str> {
        self.unwatched.as_deref()
    }

    /// What happened to cgroups, once something has. Safe to drop half-way.
    ///
    /// # Errors
    /// When inotify cannot be read any more.
    pub async fn next(&mut self) -> Result<Vec<CgroupChange>> {
        let events = self.inotify.next().await.context("watching cgroups")?;
        let mut changes = Vec::new();
        for event in events {
            match event {
                Event::Made(watch, name) => {
                    if let Some(path) = self.path(watch, &name) {
                        self.appear(&path, &mut changes);
                    }
                }
                Event::Removed(watch, name) => {
                    if let Some(path) = self.path(watch, &name)
                        && !self.root.join(&*path).exists()
                    {
                        self.vanish(&path, &mut changes);
                    }
                }
                Event::Overflow => {
                    tracing::warn!("the kernel dropped messages about cgroups: listing all again");
                    self.look(&mut changes);
                }
            }
        }
        self.relink();
        Ok(changes)
    }

    /// Looks at all of them, whatever messages came; tries again what could not be linked, and pins
    /// what is not pinned any more.
    pub fn list(&mut self) -> Vec<CgroupChange> {
        let mut changes = Vec::new();
        self.look(&mut changes);
        self.relink();
        self.linker.keep_pinned();
        changes
    }

    /// Links to cgroups, or to none.
    pub fn set_links(&mut self, links: bool) {
        self.links = links;
        self.relink();
    }

    /// These are the uids of the pods of the host's network, and for static ones the hashes of
    /// their configurations.
    pub fn set_host_pods(&mut self, host_pods: Arc<BTreeSet<Arc<str>>>) {
        self.host_pods = host_pods;
        self.relink();
    }

    fn look(&mut self, changes: &mut Vec<CgroupChange>) {
        self.unwatched = None;
        let paths: Vec<Arc<str>> = self.known.keys().cloned().collect();
        for path in paths {
            if !self.root.join(&*path).exists() {
                self.vanish(&path, changes);
            }
        }
        if let Some(watch) = self.watch("") {
            self.watched.insert(watch, "".into());
        }
        self.appear_below("", changes);
    }

    /// Watched first and read then: what comes in between is in both.
    fn appear(&mut self, path: &Arc<str>, changes: &mut Vec<CgroupChange>) {
        let watch = self.watch(path);
        let Ok(found) = fs::metadata(self.root.join(&**path)) else {
            // Where it was known, its end will be told.
            if let Some(watch) = watch.filter(|watch| !self.watched.contains_key(watch)) {
                self.inotify.unwatch(watch);
            }
            return;
        };
        let id = found.ino();
        if self.known.get(path).is_some_and(|known| known.id != id) {
            self.vanish(path, changes);
        }
        match self
            .known
            .insert(Arc::clone(path), WatchedCgroup { id, watch })
        {
            None => changes.push(CgroupChange::Present(id, Arc::clone(path))),
            Some(before) if before.watch != watch => self.unwatch(before.watch),
            Some(_) => {}
        }
        if let Some(watch) = watch {
            self.watched.insert(watch, Arc::clone(path));
        }
        self.appear_below(path, changes);
    }

    fn appear_below(&mut self, path: &str, changes: &mut Vec<CgroupChange>) {
        // Gone where it cannot be read.
        let Ok(entries) = fs::read_dir(self.root.join(path)) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && let Some(name) = entry.file_name().to_str()
            {
                self.appear(&below(path, name), changes);
            }
        }
    }

    /// With all that were below it.
    fn vanish(&mut self, path: &Arc<str>, changes: &mut Vec<CgroupChange>) {
        let prefix = format!("{path}/");
        let is_gone = |other: &&Arc<str>| *other == path || other.starts_with(&prefix);
        let after = self.known.range(Arc::clone(path)..).map(|(path, _)| path);
        let after = after.take_while(|other| other.starts_with(&**path));
        let gone: Vec<Arc<str>> = after.filter(is_gone).cloned().collect();
        for path in gone {
            let Some(WatchedCgroup { id, watch }) = self.known.remove(&path) else {
                continue;
            };
            self.unwatch(watch);
            changes.push(CgroupChange::Gone(id));
        }
    }

    fn watch(&mut self, path: &str) -> Option<i32> {
        let folder = self.root.join(path);
        match self.inotify.watch(&folder) {
            Ok(watch) => Some(watch),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let remedy = "raise fs.inotify.max_user_watches";
                let line = format!("{}: not watched: {error}: {remedy}", folder.display());
                self.unwatched.get_or_insert(line);
                None
            }
        }
    }

    /// One that was taken for a folder that is gone.
    fn unwatch(&mut self, watch: Option<i32>) {
        if let Some(watch) = watch {
            self.watched.remove(&watch);
            self.inotify.unwatch(watch);
        }
    }

    fn path(&self, watch: i32, name: &str) -> Option<Arc<str>> {
        Some(below(self.watched.get(&watch)?, name))
    }

    fn relink(&mut self) {
        let paths: Vec<&str> = self.known.keys().map(|path| &**path).collect();
        let wanted = match self.links {
            true => to_link(&paths, |uid| self.host_pods.contains(uid)),
            false => Vec::new(),
        };
        let wanted = wanted.into_iter().filter_map(|path| {
            let known = self.known.get(path)?;
            Some((known.id, self.root.join(path)))
        });
        let wanted: BTreeMap<u64, PathBuf> = wanted.collect();
        let wanted = wanted.iter().map(|(id, path)| (*id, path.as_path()));
        self.linker.set(&wanted.collect());
    }
}

fn below(path: &str, name: &str) -> Arc<str> {
    match path.is_empty() {
        true => name.into(),
        false => format!("{path}/{name}").into(),
    }
}
