//! Loads the kernel object: programs, maps and the globals they are compiled against.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::{
    Ebpf, EbpfLoader,
    programs::{CgroupSkb, ProgramError, SchedClassifier},
};
use zonemeter_common::{Constants, Direction, SEEDS, conntrack::ConntrackOffsets, names};

use super::{
    Settings,
    conntrack::offsets,
    explain,
    facts::Facts,
    maps::{Globals, Leftover, Maps},
    memory::Plan,
    pins::{self, Pins},
    translate::Methods,
    warnings::Warnings,
};

/// The object file that `build.rs` compiled from `agent-ebpf`.
pub(super) static BYTES: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/zonemeter-kernel"));

/// Programs that the verifier accepted, and their maps.
pub struct Object {
    pub(super) programs: Programs,
    /// Numbers of the control maps that earlier processes pinned.
    pub(super) inherited: BTreeSet<u32>,
    reads_connections: bool,
    pub(super) maps: Maps,
    /// Maps of earlier processes that no longer fit, to be drained once nothing writes to them.
    pub(super) leftovers: Vec<Leftover>,
    pub(super) pins: Option<Arc<Pins>>,
    /// The program for cgroups, or why this kernel does not have it.
    pub(super) host_program: Result<OwnedFd>,
}

impl Object {
    /// Whether its programs read the connection that a packet carries: asked for, and possible on
    /// this kernel.
    pub fn reads_connections(&self) -> bool {
        self.reads_connections
    }
}

/// Loads everything into the kernel. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and a tokio
/// runtime for the returned [`Warnings`].
///
/// # Errors
/// One line that names what the kernel refused and what it takes.
pub fn load(settings: &Settings, pins: Option<Arc<Pins>>) -> Result<(Object, Warnings)> {
    ensure!(
        !BYTES.is_empty(),
        "this executable was built without the kernel programs, with ZONEMETER_KERNEL_OBJECT=none"
    );
    let bytes = match Path::new(offsets::VMLINUX).exists() {
        true => Cow::Borrowed(BYTES),
        false => Cow::Owned(without_types(BYTES)),
    };
    load_bytes(settings, &bytes, pins)
}

/// As on a kernel without type information.
#[cfg(test)]
pub(super) fn load_without_types(settings: &Settings) -> Result<(Object, Warnings)> {
    load_bytes(settings, &without_types(BYTES), None)
}

fn load_bytes(
    settings: &Settings,
    bytes: &[u8],
    pins: Option<Arc<Pins>>,
) -> Result<(Object, Warnings)> {
    check_memory(&settings.plan)?;
    let (set_aside, inherited) = match &pins {
        Some(pins) => {
            let inherited = pins.control_maps()?;
            pins.remove_other_layouts()?;
            pins.set_misfits_aside(&settings.plan.capacity)?;
            (pins.leftovers()?, inherited)
        }
        None => (Vec::new(), BTreeSet::new()),
    };
    let conntrack = conntrack_offsets(settings.methods);
    let globals = Globals::read(pins.as_deref())?;
    let mut ebpf = create(settings, bytes, pins.as_deref(), &globals, &conntrack)
        .map_err(|error| explain("creating the maps", error.into(), &settings.plan))?;
    let warnings = Warnings::new(&mut ebpf)?;
    let maps = Maps::take(&mut ebpf)?;
    if let Some(pins) = &pins {
        pins.hold_maps()?;
    }
    let leftovers = set_aside.into_iter().map(Leftover::open);
    let leftovers = leftovers.collect::<Result<_>>()?;
    let mut programs = Programs::load(ebpf, &settings.plan)?;
    let host_program = programs.load_for_cgroups(&settings.plan);
    let object = Object {
        programs,
        inherited,
        reads_connections: conntrack != ConntrackOffsets::default(),
        maps,
        leftovers,
        pins,
        host_program,
    };
    Ok((object, warnings))
}

/// The object with its type information out of sight, for a kernel that has none of its own: by
/// types, the verifier looks at a function apart from its callers, and for that it must know the
/// kernel's type of a packet (`btf_get_prog_ctx_type` in `kernel/bpf/btf.c`). Without, it looks
/// at the function once for each caller, which is more work and needs nothing.
fn without_types(object: &[u8]) -> Vec<u8> {
    let mut bytes = object.to_vec();
    for name in [&b".BTF\0"[..], b".BTF.ext\0"] {
        while let Some(at) = bytes.windows(name.len()).position(|found| found == name) {
            bytes[at + 1] = b'-';
        }
    }
    bytes
}

/// What an interface is to the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The host's end of a pod's veth.
    Pod,
    /// Packets leave the node by it.
    Uplink,
    /// Its packets pass an uplink below it (VLAN), where they are counted.
    AboveUplink,
}

/// The programs of interfaces, loaded.
pub struct Programs(Ebpf);

impl Programs {
    fn load(mut ebpf: Ebpf, plan: &Plan) -> Result<Self> {
        for role in [Role::Pod, Role::Uplink] {
            for direction in Direction::ALL {
                let name = name(role, direction);
                program(&mut ebpf, role, direction)?
                    .load()
                    .map_err(|error| explain(&format!("loading {name}"), error.into(), plan))?;
            }
        }
        Ok(Self(ebpf))
    }

    /// The program for cgroups. The agent does without where the kernel refuses it.
    fn load_for_cgroups(&mut self, plan: &Plan) -> Result<OwnedFd> {
        let name = names::PROGRAM_HOST_RECEIVE;
        let program = self.0.program_mut(name);
        let program = program.with_context(|| format!("the object file has no program {name}"))?;
        let program: &mut CgroupSkb = program.try_into()?;
        program
            .load()
            .map_err(|error| explain(&format!("loading {name}"), error.into(), plan))?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }

    /// Runs the program for cgroups once on a crafted packet and returns its verdict.
    #[cfg(test)]
    pub(super) fn test_run_in_cgroup(&mut self, frame: &[u8], context: &[u8]) -> Result<i32> {
        use aya::{TestRun as _, TestRunOptions};
        let program = self.0.program_mut(names::PROGRAM_HOST_RECEIVE);
        let program: &mut CgroupSkb = program.context("no such program")?.try_into()?;
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context),
            ..TestRunOptions::new()
        };
        Ok(program.test_run(options)?.return_value as i32)
    }

    /// Runs the program of an interface once on a crafted frame and returns its verdict.
    #[cfg(test)]
    pub(super) fn test_run(
        &mut self,
        role: Role,
        direction: Direction,
        frame: &[u8],
        context: &[u8],
    ) -> Result<i32> {
        use aya::{TestRun as _, TestRunOptions};
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context),
            ..TestRunOptions::new()
        };
        Ok(self.get(role, direction)?.test_run(options)?.return_value as i32)
    }

    /// The program's descriptor.
    #[cfg(test)]
    pub(super) fn descriptor(&mut self, direction: Direction) -> Result<OwnedFd> {
        self.descriptor_of(Role::Pod, direction)
    }

    /// That of any interface.
    #[cfg(test)]
    pub(super) fn descriptor_of(&mut self, role: Role, direction: Direction) -> Result<OwnedFd> {
        let program = self.get(role, direction)?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }

    /// That of the program of cgroups.
    #[cfg(test)]
    pub(super) fn descriptor_in_cgroup(&mut self) -> Result<OwnedFd> {
        let program = self.0.program_mut(names::PROGRAM_HOST_RECEIVE);
        let program: &mut CgroupSkb = program.context("no such program")?.try_into()?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }

    /// The program for this hook of such an interface. [`Direction`] names the hook as it is for a
    /// pod: transmit is tc ingress, receive tc egress.
    ///
    /// # Errors
    /// When the object file has none.
    pub fn get(&mut self, role: Role, direction: Direction) -> Result<&mut SchedClassifier> {
        program(&mut self.0, role, direction)
    }

    /// Its name in the object file.
    pub fn name(&self, role: Role, direction: Direction) -> &'static str {
        name(role, direction)
    }

    /// The number by which the kernel lists it.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn number(&mut self, role: Role, direction: Direction) -> Result<u32> {
        Ok(self.get(role, direction)?.info()?.id())
    }
}

fn name(role: Role, direction: Direction) -> &'static str {
    match (role, direction) {
        (Role::Pod, Direction::Transmit) => names::PROGRAM_TRANSMIT,
        (Role::Pod, Direction::Receive) => names::PROGRAM_RECEIVE,
        (Role::Uplink | Role::AboveUplink, Direction::Transmit) => names::PROGRAM_UPLINK_RECEIVE,
        (Role::Uplink | Role::AboveUplink, Direction::Receive) => names::PROGRAM_UPLINK_TRANSMIT,
    }
}

fn program(ebpf: &mut Ebpf, role: Role, direction: Direction) -> Result<&mut SchedClassifier> {
    let name = name(role, direction);
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the object file has no program {name}"))?;
    Ok(program.try_into()?)
}

/// Says in one line what the kernel refused, and why. A program that the verifier refuses comes
/// with its log, whose last lines say why.
fn explain(what: &str, error: anyhow::Error, plan: &Plan) -> anyhow::Error {
    tracing::debug!("{what}: {error:?}");
    let facts = Facts::read();
    if let Some(ProgramError::LoadError { verifier_log, .. }) = error.downcast_ref()
        && let Some(reason) = verdict(&verifier_log.to_string())
    {
        let lacks = explain::of_verifier(&facts);
        return anyhow!("{what}: this kernel's verifier refuses the program: {reason}{lacks}");
    }
    let cause = error.root_cause();
    match cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error)
    {
        Some(errno) => anyhow!("{what}: {}", explain::reason(errno, &facts, plan)),
        None => anyhow!("{what}: {cause}"),
    }
}

/// Raises the soft limit of locked memory as far as this process may: maps count against it on
/// kernels before 5.11. That it could not is seen when the limit is compared.
fn raise_locked_memory() {
    let set = |soft, hard| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        };
        // SAFETY: a whole limit, which the call only reads.
        unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) == 0 }
    };
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: room for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut now) } == 0;
    if !set(libc::RLIM_INFINITY, libc::RLIM_INFINITY) && known {
        set(now.rlim_max, now.rlim_max);
    }
}

/// Ends before the kernel is asked for more memory than it can give.
pub(super) fn check_memory(plan: &Plan) -> Result<()> {
    if Facts::read().locks_memory() {
        raise_locked_memory();
    }
    match explain::too_much(&Facts::read(), plan) {
        Some(reason) => Err(anyhow!("creating the maps: {reason}")),
        None => Ok(()),
    }
}

/// The last line of a verifier log before its statistics.
fn verdict(log: &str) -> Option<String> {
    let statistics = ["verification time", "stack depth", "processed"];
    let mut lines = log.lines().map(str::trim).rev();
    lines
        .find(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)))
        .map(str::to_owned)
}

fn create(
    settings: &Settings,
    bytes: &[u8],
    pins: Option<&Pins>,
    globals: &Globals,
    conntrack: &ConntrackOffsets,
) -> Result<Ebpf, aya::EbpfError> {
    let capacity = &settings.plan.capacity;
    let random = || RandomState::new().hash_one(Instant::now());
    let constants = Constants {
        slots: capacity.slots,
        buckets: capacity.buckets(),
        ephemeral_ports: settings.ephemeral_ports,
        fold_ports: settings.fold_ports.into(),
        // Others each time: a flow that is already there has two slots once.
        finish: [random(), random() | 1],
        seeds: [(); SEEDS].map(|()| [random() as u32, random() as u32]),
        kernel_cgroups: settings.has_cgroup2.into(),
        flow_entries: capacity.entries,
        conntrack: *conntrack,
    };
    let mut loader = EbpfLoader::new();
    loader
        .override_global(names::GLOBAL_CONSTANTS, &constants, true)
        .override_global(names::GLOBAL_CONTROL, &globals.control, true)
        .override_global(names::GLOBAL_UPLINKS, &globals.uplinks, true);
    for name in pins::map_names() {
        if let Some(entries) = capacity.entries(name) {
            loader.map_max_entries(name, entries);
        }
    }
    if let Some(pins) = pins {
        for name in pins::map_names() {
            loader.map_pin_path(name, pins.map(name));
        }
    }
    loader.load(bytes)
}

/// All 0 where the programs are not to read connections, or where the kernel does not say how.
fn conntrack_offsets(methods: Methods) -> ConntrackOffsets {
    if !methods.packet {
        return ConntrackOffsets::default();
    }
    offsets::find().unwrap_or_else(|error| {
        tracing::warn!("connections are not read from packets: {error:#}");
        ConntrackOffsets::default()
    })
}
