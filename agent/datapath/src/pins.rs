//! What outlives the process: maps and links pinned to a bpf file system, and the lock by which
//! only one agent uses them.
//!
//! | path below `--pin-dir` | what |
//! |---|---|
//! | `v<layout>/maps/<name>` | maps of the two sets and their control |
//! | `v<layout>/links/<interface index>-<transmit or receive>` | TCX links |
//! | `v<layout>/cgroups/<cgroup id>` | links on cgroups of the node |
//! | `v<layout>/leftover-<n>/<name>` | maps of another size, until what they hold is in the totals |
//!
//! The lock is on the directory itself: a bpf file system holds no plain files.

mod keep;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use anyhow::{Context as _, Result, bail};
use aya::maps::MapInfo;
use zonemeter_common::names;
use zonemeter_model::{snapshot::direction_name, traffic::Direction};

use super::{memory::Capacity, syscall};

/// `BPF_FS_MAGIC` (`include/uapi/linux/magic.h`).
const BPF_FS: libc::c_long = 0xcafe_4a11;

/// The pin directory, locked by this process.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    held: Mutex<OpenPins>,
    /// Nothing can be pinned, as far as is known.
    lost: AtomicBool,
}

/// What is open.
#[derive(Debug)]
struct OpenPins {
    /// The directory, with the lock for as long as it is open.
    lock: File,
    /// Every map of this process and where it is pinned.
    maps: Vec<(PathBuf, OwnedFd)>,
}

/// The folders of a layout.
const FOLDERS: [&str; 3] = ["maps", "links", CGROUPS];
const CGROUPS: &str = "cgroups";
/// How the name of a folder with maps that were set aside begins.
const LEFTOVER: &str = "leftover-";
/// What was pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Links of programs.
    pub links: usize,
    /// Maps.
    pub maps: usize,
}

/// The directory is in use.
#[derive(Debug)]
pub struct InUse;

impl Pins {
    /// Opens the directory, makes it if it is not there, and takes its lock. [`InUse`] where
    /// another agent has it.
    ///
    /// # Errors
    /// When the path is not on a bpf file system, or cannot be written.
    pub fn lock(root: &Path) -> Result<Result<Self, InUse>> {
        let lock = open(root)?;
        if !try_lock(&lock).with_context(|| refusal(root))? {
            return Ok(Err(InUse));
        }
        let pins = Self {
            root: root.to_owned(),
            held: Mutex::new(OpenPins {
                lock,
                maps: Vec::new(),
            }),
            lost: AtomicBool::new(false),
        };
        for folder in FOLDERS.map(|name| pins.folder(name)) {
            fs::create_dir_all(&folder).with_context(|| refusal(&folder))?;
        }
        Ok(Ok(pins))
    }

    /// Whether an agent uses the directory now.
    pub fn in_use(root: &Path) -> bool {
        File::open(root).is_ok_and(|lock| try_lock(&lock).is_ok_and(|free| !free))
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Numbers of the control maps that are pinned here, of every layout and of maps that were set
    /// aside: by them the filters are known that count into maps of this directory.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn control_maps(&self) -> Result<BTreeSet<u32>> {
        let mut numbers = BTreeSet::new();
        for (layout, _) in self.layouts()? {
            for entry in fs::read_dir(&layout).with_context(|| refusal(&layout))? {
                let path = entry.with_context(|| refusal(&layout))?.path();
                // No map where the folder is of another kind, or its process died early.
                let map = MapInfo::from_pin(path.join(file_name(names::MAP_CONTROL)));
                numbers.extend(map.map(|map| map.id()));
            }
        }
        Ok(numbers)
    }

    fn held(&self) -> MutexGuard<'_, OpenPins> {
        // A panic elsewhere leaves it whole: each change is one assignment.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.folder("maps").join(file_name(name))
    }

    /// Where the link of a program on an interface is pinned.
    pub fn link(&self, interface: u32, direction: Direction) -> PathBuf {
        let direction = direction_name(direction);
        self.folder("links")
            .join(format!("{interface}-{direction}"))
    }

    /// Where the link of a cgroup is pinned.
    pub fn cgroup(&self, id: u64) -> PathBuf {
        self.folder(CGROUPS).join(id.to_string())
    }

    /// Cgroups that have a pinned link.
    pub fn linked_cgroups(&self) -> Result<Vec<u64>> {
        let folder = self.folder(CGROUPS);
        let mut cgroups = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| refusal(&folder))? {
            let name = entry.with_context(|| refusal(&folder))?.file_name();
            cgroups.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        Ok(cgroups)
    }

    /// Interfaces that have a pinned link.
    pub fn linked_interfaces(&self) -> Result<Vec<u32>> {
        let folder = self.folder("links");
        let mut interfaces = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| refusal(&folder))? {
            let name = entry?.file_name();
            let index: Option<u32> = name
                .to_str()
                .and_then(|name| name.split_once('-')?.0.parse().ok());
            interfaces.extend(index);
        }
        interfaces.dedup();
        Ok(interfaces)
    }

    /// Takes the pinned links of an interface off their hooks and removes them.
    pub fn unlink(&self, interface: u32) -> Result<()> {
        Direction::ALL
            .into_iter()
            .try_for_each(|direction| syscall::remove(&self.link(interface, direction)))
    }

    /// Sets the pinned maps aside if there are any and they do not fit `capacity`: aya would take
    /// over a map of another size without a word.
    pub(super) fn set_misfits_aside(&self, capacity: &Capacity) -> Result<()> {
        let maps = self.folder("maps");
        let pinned: Vec<&str> = map_names().filter(|name| self.map(name).exists()).collect();
        if pinned.len() < map_names().count() {
            // A process died while it made them, and nothing is in them.
            return pinned.iter().try_for_each(|name| remove(&self.map(name)));
        }
        for name in pinned {
            let wanted = capacity.entries(name);
            if wanted.is_some() && Some(MapInfo::from_pin(self.map(name))?.max_entries()) != wanted
            {
                let aside = self.unused_leftover();
                fs::rename(&maps, &aside).with_context(|| refusal(&aside))?;
                return fs::create_dir(&maps).with_context(|| refusal(&maps));
            }
        }
        Ok(())
    }

    /// Folders with maps that were set aside, by this process or by one that did not get to drain
    /// them.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let layout = self.root.join(layout_folder());
        let mut folders = Vec::new();
        for entry in fs::read_dir(&layout).with_context(|| refusal(&layout))? {
            let folder = entry?.path();
            if !is_leftover(&folder) {
                continue;
            }
            match map_names().all(|name| folder.join(file_name(name)).exists()) {
                true => folders.push(folder),
                // Its numbers are safe: a process died while it removed it.
                false => remove_leftover(&folder)?,
            }
        }
        Ok(folders)
    }

    fn unused_leftover(&self) -> PathBuf {
        let mut folders = (1..).map(|number| self.folder(&format!("{LEFTOVER}{number}")));
        // There is always one more number.
        folders.find(|folder| !folder.exists()).unwrap_or_default()
    }

    /// Links that programs of another layout left. They count into maps that this agent cannot
    /// read, so it takes their place; what they counted and nobody drained is lost, and said.
    pub(super) fn remove_other_layouts(&self) -> Result<()> {
        let others = self.layouts()?.into_iter();
        for (folder, layout) in others.filter(|(_, layout)| *layout != names::LAYOUT) {
            let version = match layout > names::LAYOUT {
                true => "a newer version (this is a downgrade)",
                false => "an older version",
            };
            tracing::warn!(
                layout,
                own = names::LAYOUT,
                "removing the programs of {version}: what they counted since their agent's last \
                 drain is lost"
            );
            fs::remove_dir_all(&folder).with_context(|| refusal(&folder))?;
        }
        Ok(())
    }

    /// Removes everything that agents pinned, of every layout: programs of links stop running,
    /// and what was not drained is gone. The directory itself goes unless somebody else keeps
    /// something there.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(self) -> Result<Pinned> {
        let mut pinned = Pinned::default();
        for (folder, _) in self.layouts()? {
            pinned.links += entries(&folder.join("links")) + entries(&folder.join(CGROUPS));
            pinned.maps += entries(&folder.join("maps"));
            fs::remove_dir_all(&folder).with_context(|| refusal(&folder))?;
        }
        match fs::remove_dir(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(error).with_context(|| refusal(&self.root))
            }
            Ok(()) | Err(_) => Ok(pinned),
        }
    }

    /// The folders of layouts, and their numbers.
    fn layouts(&self) -> Result<Vec<(PathBuf, u32)>> {
        let mut layouts = Vec::new();
        for entry in fs::read_dir(&self.root).with_context(|| refusal(&self.root))? {
            let entry = entry?;
            let name = entry.file_name();
            let layout = name.to_str().and_then(|name| name.strip_prefix('v'));
            let layout: Option<u32> = layout.and_then(|number| number.parse().ok());
            layouts.extend(layout.map(|layout| (entry.path(), layout)));
        }
        Ok(layouts)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(layout_folder()).join(name)
    }
}

fn is_leftover(folder: &Path) -> bool {
    let name = folder.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.starts_with(LEFTOVER))
}

/// Removes maps that were set aside and are drained; gone already is as good.
pub(super) fn remove_leftover(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| refusal(folder))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn layout_folder() -> String {
    format!("v{}", names::LAYOUT)
}

/// Every map that is pinned.
pub(super) fn map_names() -> impl Iterator<Item = &'static str> {
    let sets = [
        names::MAP_FLOWS4,
        names::MAP_FLOWS6,
        names::MAP_TRACKED4,
        names::MAP_TRACKED6,
        names::MAP_SHARES,
        names::MAP_HOST4,
        names::MAP_HOST6,
    ];
    let alone = [
        names::MAP_CONTROL,
        names::MAP_TABLES4,
        names::MAP_TABLES6,
        names::MAP_INDEX4,
        names::MAP_INDEX6,
        names::MAP_CLAIMS,
        names::MAP_TOTALS,
        names::MAP_USED,
        names::MAP_UPLINKS,
        names::MAP_UPLINK_RECEIVED,
    ];
    alone.into_iter().chain(sets.into_iter().flatten())
}

/// That of a map's pin: the bpf file system has no names with dots (`bpf_lookup` in `kernel/bpf/inode.c`).
pub(super) fn file_name(map: &str) -> &str {
    map.strip_prefix(names::SECTION).unwrap_or(map)
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

fn refusal(path: &Path) -> String {
    format!(
        "--pin-dir: {} cannot be used: mount a bpf file system there (mount -t bpf bpf \
         /sys/fs/bpf), make it writable, or give an empty --pin-dir",
        path.display()
    )
}

/// Opens the directory, and makes it if it is not there.
fn open(root: &Path) -> Result<File> {
    // What is not a bpf file system is left as it is.
    let there = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    let there = File::open(there).with_context(|| refusal(root))?;
    if !is_bpf_fs(&there).with_context(|| refusal(root))? {
        bail!("{}: not a bpf file system", refusal(root));
    }
    fs::create_dir_all(root).with_context(|| refusal(root))?;
    File::open(root).with_context(|| refusal(root))
}

fn is_bpf_fs(directory: &File) -> io::Result<bool> {
    // SAFETY: all zeroes is a value of `statfs`, which is made of integers.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor, and room for the answer.
    match unsafe { libc::fstatfs(directory.as_raw_fd(), &mut answer) } {
        0 => Ok(answer.f_type as libc::c_long == BPF_FS),
        _ => Err(io::Error::last_os_error()),
    }
}

fn try_lock(directory: &File) -> io::Result<bool> {
    // SAFETY: an open descriptor.
    if unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(false),
        _ => Err(error),
    }
}

/// Gone already is as good as removed.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| refusal(path)),
    }
}
