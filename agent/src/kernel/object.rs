//! Loads the kernel object: programs, maps and the globals they are compiled against.

use std::{borrow::Cow, io, path::Path};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, PerCpuArray},
    programs::{ProgramError, SchedClassifier},
};
use zonemeter_common::{Control, Count, Direction, conntrack::ConntrackOffsets, names};

use super::{
    Settings,
    attach::Mode,
    batch::BatchMap,
    conntrack::{addresses::Addresses, offsets},
    sets::Set,
    translate::Methods,
    warnings::Warnings,
};

/// The object file that `build.rs` compiled from `agent-ebpf`.
static BYTES: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/zonemeter-kernel"));

/// Programs that the verifier accepted, and their maps.
pub struct Object {
    pub(super) programs: Programs,
    pub(super) mode: Mode,
    pub(super) maps: Maps,
}

impl Object {
    /// How its programs will be attached.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// Every map, by what it is for.
pub(super) struct Maps {
    pub(super) control: Array<MapData, Control>,
    pub(super) sets: [Set; 2],
    pub(super) skipped: PerCpuArray<MapData, Count>,
    pub(super) addresses: Addresses,
}

/// Loads everything into the kernel. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and a tokio
/// runtime for the returned [`Warnings`].
///
/// # Errors
/// One line that names what the kernel refused and what it takes.
pub fn load(settings: &Settings) -> Result<(Object, Warnings)> {
    let bytes = match Path::new(offsets::VMLINUX).exists() {
        true => Cow::Borrowed(BYTES),
        false => Cow::Owned(without_types(BYTES)),
    };
    load_bytes(settings, &bytes)
}

/// As on a kernel without type information.
#[cfg(test)]
pub(super) fn load_without_types(settings: &Settings) -> Result<(Object, Warnings)> {
    load_bytes(settings, &without_types(BYTES))
}

fn load_bytes(settings: &Settings, bytes: &[u8]) -> Result<(Object, Warnings)> {
    let mode = Mode::choose(settings.mode)?;
    let mut ebpf =
        create(settings, bytes).map_err(|error| explain("creating the maps", error.into()))?;
    let warnings = Warnings::new(&mut ebpf)?;
    let maps = maps(&mut ebpf)?;
    let programs = Programs::load(ebpf)?;
    Ok((
        Object {
            programs,
            mode,
            maps,
        },
        warnings,
    ))
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

/// The two programs, loaded.
pub(super) struct Programs(Ebpf);

impl Programs {
    fn load(mut ebpf: Ebpf) -> Result<Self> {
        for direction in Direction::ALL {
            let name = name(direction);
            program(&mut ebpf, direction)?
                .load()
                .map_err(|error| explain(&format!("loading {name}"), error.into()))?;
        }
        Ok(Self(ebpf))
    }

    /// The program that counts in this direction.
    pub(super) fn get(&mut self, direction: Direction) -> Result<&mut SchedClassifier> {
        program(&mut self.0, direction)
    }
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Transmit => names::PROGRAM_TRANSMIT,
        Direction::Receive => names::PROGRAM_RECEIVE,
    }
}

fn program(ebpf: &mut Ebpf, direction: Direction) -> Result<&mut SchedClassifier> {
    let name = name(direction);
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the object file has no program {name}"))?;
    Ok(program.try_into()?)
}

/// Says in one line what the kernel refused. `EPERM` is a missing capability; a program that the
/// verifier refuses comes with its log, whose last lines say why.
fn explain(what: &str, error: anyhow::Error) -> anyhow::Error {
    tracing::debug!("{what}: {error:?}");
    if let Some(ProgramError::LoadError { verifier_log, .. }) = error.downcast_ref() {
        if let Some(reason) = verdict(&verifier_log.to_string()) {
            return anyhow!("{what}: this kernel's verifier refuses the program: {reason}");
        }
    }
    let cause = error.root_cause();
    match cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error)
    {
        Some(libc::EPERM) => anyhow!(
            "{what}: not permitted: run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
        ),
        _ => anyhow!("{what}: {cause}: Linux 5.10 or newer with BPF is needed"),
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

fn create(settings: &Settings, bytes: &[u8]) -> Result<Ebpf, aya::EbpfError> {
    let fold = u32::from(settings.fold_ports);
    let conntrack = conntrack_offsets(settings.methods);
    let mut loader = EbpfLoader::new();
    loader
        .override_global(names::GLOBAL_CONNTRACK, &conntrack, true)
        .override_global(names::GLOBAL_FOLD_PORTS, &fold, true)
        .override_global(
            names::GLOBAL_EPHEMERAL_PORTS,
            &settings.ephemeral_ports,
            true,
        );
    let per_flow = [
        names::MAP_FLOWS4,
        names::MAP_FLOWS6,
        names::MAP_TRACKED4,
        names::MAP_TRACKED6,
    ];
    for name in per_flow.into_iter().flatten() {
        loader.map_max_entries(name, settings.max_flows);
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

fn maps(ebpf: &mut Ebpf) -> Result<Maps> {
    let cpus = nr_cpus()?;
    Ok(Maps {
        control: take(ebpf, names::MAP_CONTROL)?.try_into()?,
        sets: [set(ebpf, 0, cpus)?, set(ebpf, 1, cpus)?],
        skipped: take(ebpf, names::MAP_SKIPPED)?.try_into()?,
        addresses: Addresses {
            ipv4: take(ebpf, names::MAP_TRANSLATED4)?.try_into()?,
            ipv6: take(ebpf, names::MAP_TRANSLATED6)?.try_into()?,
            filter: take(ebpf, names::MAP_FILTER)?.try_into()?,
        },
    })
}

/// The number of possible CPUs: how many values a per-CPU map has for each key.
pub(super) fn nr_cpus() -> Result<usize> {
    aya::util::nr_cpus()
        .map_err(|(file, error)| anyhow!("number of possible CPUs ({file}): {error}"))
}

fn set(ebpf: &mut Ebpf, number: usize, cpus: usize) -> Result<Set> {
    Ok(Set {
        flows4: BatchMap::new(per_cpu_hash(ebpf, names::MAP_FLOWS4[number])?, cpus),
        flows6: BatchMap::new(per_cpu_hash(ebpf, names::MAP_FLOWS6[number])?, cpus),
        totals: take(ebpf, names::MAP_TOTALS[number])?.try_into()?,
        tracked4: BatchMap::new(hash(ebpf, names::MAP_TRACKED4[number])?, 1),
        tracked6: BatchMap::new(hash(ebpf, names::MAP_TRACKED6[number])?, 1),
    })
}

fn per_cpu_hash(ebpf: &mut Ebpf, name: &str) -> Result<MapData> {
    match take(ebpf, name)? {
        Map::PerCpuHashMap(data) => Ok(data),
        other => Err(anyhow!(
            "map {name} is not a per-CPU hash map but {other:?}"
        )),
    }
}

fn hash(ebpf: &mut Ebpf, name: &str) -> Result<MapData> {
    match take(ebpf, name)? {
        Map::HashMap(data) => Ok(data),
        other => Err(anyhow!("map {name} is not a hash map but {other:?}")),
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("the object file has no map {name}"))
}
