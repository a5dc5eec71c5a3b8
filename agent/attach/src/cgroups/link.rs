//! Links the program that counts what the node's own sockets receive to cgroups, and keeps each link
//! pinned, so that it outlives the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow};
use aya_obj::generated::{bpf_attach_type, bpf_cmd};

use zonemeter_datapath::{
    pins::Pins,
    syscall::{self, descriptor},
};

/// The program and the cgroups that it is linked to.
pub struct Linker {
    /// Or why there is none.
    program: Result<OwnedFd>,
    pins: Option<Arc<Pins>>,
    linked: BTreeMap<u64, OwnedFd>,
    /// Those that it could not be linked to, and why.
    failed: BTreeMap<u64, String>,
    /// Pins of an earlier process were looked through.
    swept: bool,
}

impl Linker {
    pub(crate) fn new(program: Result<OwnedFd>, pins: Option<Arc<Pins>>) -> Self {
        Self {
            program,
            pins,
            linked: BTreeMap::new(),
            failed: BTreeMap::new(),
            swept: false,
        }
    }

    /// Cgroups that are linked.
    pub fn linked(&self) -> usize {
        self.linked.len()
    }

    /// One line for each cgroup that cannot be linked.
    pub fn failed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.failed.values().map(String::as_str)
    }

    /// From now on exactly these are linked, as far as the kernel lets them: ids and folders.
    pub(super) fn set(&mut self, wanted: &BTreeMap<u64, &Path>) {
        let gone: Vec<u64> = self
            .linked
            .keys()
            .filter(|id| !wanted.contains_key(id))
            .copied()
            .collect();
        gone.into_iter().for_each(|id| self.unlink(id));
        self.failed.retain(|id, _| wanted.contains_key(id));
        for (id, folder) in wanted {
            if self.linked.contains_key(id) {
                continue;
            }
            match self.link(*id, folder) {
                Ok(link) => {
                    self.failed.remove(id);
                    self.linked.insert(*id, link);
                    tracing::debug!(cgroup = id, "linked to {}", folder.display());
                }
                // Gone before it was linked to: its end will be told.
                Err(_) if !folder.exists() => {}
                Err(error) => self.fails(*id, &format!("{}: {error:#}", folder.display())),
            }
        }
        if !std::mem::replace(&mut self.swept, true) {
            self.sweep();
        }
    }

    /// Pins again what is not pinned any more.
    pub(super) fn keep_pinned(&self) {
        let Some(pins) = self.pins.as_ref().filter(|pins| pins.are_usable()) else {
            return;
        };
        for (id, link) in &self.linked {
            let path = pins.cgroup(*id);
            if !path.exists()
                && let Err(error) = syscall::pin(link, &path)
            {
                tracing::warn!("pinning {}: {error}", path.display());
            }
        }
    }

    fn fails(&mut self, id: u64, why: &str) {
        if self.failed.insert(id, why.to_owned()).as_deref() != Some(why) {
            tracing::warn!("what its sockets receive is not told apart: {why}");
        }
    }

    /// In place of the link that an earlier process pinned, or a new one.
    fn link(&self, id: u64, folder: &Path) -> Result<OwnedFd> {
        let program = self
            .program
            .as_ref()
            .map_err(|error| anyhow!("{error:#}"))?;
        let pins = self.pins.as_ref().filter(|pins| pins.are_usable());
        let pin = pins.map(|pins| pins.cgroup(id));
        if let Some(link) = pin.as_deref().and_then(|pin| syscall::open(pin).ok()) {
            match syscall::update(&link, std::os::fd::AsFd::as_fd(program)) {
                Ok(()) => return Ok(link),
                // A link whose cgroup is gone; ids are not used twice, so this cannot be.
                Err(error) => tracing::debug!(cgroup = id, "its pinned link: {error}"),
            }
        }
        let cgroup = File::open(folder)?;
        let link = create(program, &cgroup).context("linking")?;
        if let Some(pin) = pin {
            syscall::remove(&pin)?;
            syscall::pin(&link, &pin).with_context(|| format!("pinning {}", pin.display()))?;
        }
        Ok(link)
    }

    fn unlink(&mut self, id: u64) {
        let Some(link) = self.linked.remove(&id) else {
            return;
        };
        // It has gone with its cgroup, where that is why.
        let _ = syscall::detach(&link);
        if let Some(pins) = &self.pins
            && let Err(error) = syscall::remove(&pins.cgroup(id))
        {
            tracing::warn!("{error:#}");
        }
    }

    /// Removes links of cgroups that went while no agent ran, or are not to be linked any more.
    fn sweep(&self) {
        let Some(pins) = &self.pins else { return };
        let swept = pins.linked_cgroups().and_then(|pinned| {
            let linked: BTreeSet<u64> = self.linked.keys().copied().collect();
            let mut gone = pinned.into_iter().filter(|id| !linked.contains(id));
            gone.try_for_each(|id| syscall::remove(&pins.cgroup(id)))
        });
        if let Err(error) = swept {
            tracing::warn!("links of cgroups that are gone: {error:#}");
        }
    }
}

/// Flags stay 0: a link never keeps others' programs off a cgroup, nor off those below it.
fn create(program: &OwnedFd, cgroup: &File) -> io::Result<OwnedFd> {
    let mut attr = syscall::attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.__bindgen_anon_2.target_fd = cgroup.as_raw_fd() as u32;
    attr.link_create.attach_type = bpf_attach_type::BPF_CGROUP_INET_INGRESS as u32;
    // SAFETY: no pointers.
    unsafe { descriptor(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}
