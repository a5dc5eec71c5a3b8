//! What the node's files tell: version, capabilities, the bpf file system, ports, the name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use zonemeter_datapath::{
    Settings,
    facts::{self, OLDEST},
    pins::Pins,
};

use super::report::Requirement;
use crate::{config::Config, listen};

pub(super) fn version() -> Requirement {
    let needed = format!("Linux {}.{} or newer", OLDEST.0, OLDEST.1);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let found = Requirement::ok("kernel", release.trim(), needed);
    match facts::version(&release) {
        Some(version) if version >= OLDEST => found,
        _ => found.unless("choose a node image with a newer kernel"),
    }
}

pub(super) fn capabilities() -> Requirement {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    of_status(&status)
}

fn of_status(status: &str) -> Requirement {
    let needed = "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    let effective = facts::bits(status, "CapEff:").unwrap_or(0);
    let missing = facts::missing(effective);
    if missing.is_empty() {
        return Requirement::ok("capabilities", "all that are needed", needed);
    }
    let missing = missing.join(", ");
    Requirement::ok("capabilities", format!("without {missing}"), needed).unless(format!(
        "run as root, or add {missing} to securityContext.capabilities.add"
    ))
}

pub(super) fn pins(settings: &Settings) -> Requirement {
    let Some(place) = &settings.pin_dir else {
        return Requirement::ok("bpf file system", "nothing is pinned", "none")
            .but("give --pin-dir, so that counting goes on while the agent restarts");
    };
    let needed = format!("a writable bpf file system at {}", place.display());
    match writable(place) {
        Ok(()) => Requirement::ok("bpf file system", "mounted and writable", needed),
        Err(error) => Requirement::ok("bpf file system", format!("{error:#}"), needed).unless(
            "mount it (mount -t bpf bpf /sys/fs/bpf), hand it to the container as a hostPath \
             volume, and let the agent's user own the folder; in a network namespace enter it by \
             nsenter --net, for `ip netns exec` mounts /sys anew",
        ),
    }
}

/// The nearest folder that exists, and the kind of its file system.
pub(crate) struct Found {
    pub(crate) folder: PathBuf,
    pub(crate) kind: String,
}

/// What file system a path lies in.
///
/// # Errors
/// When the kernel does not say what is mounted.
pub(crate) fn file_system(place: &Path) -> Result<Found> {
    let mut folders = place.ancestors();
    let folder = folders.find(|folder| folder.is_dir());
    let folder = folder.unwrap_or(Path::new("/")).to_owned();
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let kind = kind_of(&mounts, &folder).unwrap_or("unknown").to_owned();
    Ok(Found { folder, kind })
}

/// Makes a folder in the nearest folder that exists, and removes it.
fn writable(place: &Path) -> Result<()> {
    let Found {
        folder: existing,
        kind,
    } = file_system(place)?;
    anyhow::ensure!(kind == "bpf", "{} is {kind}", existing.display());
    // The bpf file system takes no dots in names.
    let probe: PathBuf = existing.join(format!("zonemeter_check_{}", std::process::id()));
    fs::create_dir(&probe).with_context(|| format!("{} is not writable", existing.display()))?;
    fs::remove_dir(&probe).with_context(|| probe.display().to_string())
}

/// The file system that `folder` lies in: of the mounts above it the longest, and of those at
/// one place the last.
fn kind_of<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    };
    mounts
        .lines()
        .filter_map(mount)
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind)
}

/// Whether the agent could listen; the one that runs here may be who does.
pub(super) fn listeners(config: &Config) -> Requirement {
    let debug = &config.debug_listen;
    let flags = [("--listen", &config.listen), ("--debug-listen", debug)];
    let needed = format!("{} and {debug} to listen on", config.listen);
    let taken = flags.map(|(flag, address)| listen::is_free(flag, address).err());
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    let taken: Vec<String> = taken.iter().map(|error| format!("{error:#}")).collect();
    let pins = config.kernel.pin_dir.as_deref();
    match (taken.is_empty(), pins.is_some_and(Pins::in_use)) {
        (true, _) => Requirement::ok("ports", "free", needed),
        (false, true) => Requirement::ok("ports", "taken while an agent runs here", needed),
        (false, false) => Requirement::ok("ports", "taken", needed).unless(taken.join("; ")),
    }
}

pub(super) fn ports(settings: &Settings) -> Requirement {
    let [low, high] = settings.ephemeral_ports;
    let found = format!("{low} to {high}");
    let requirement = Requirement::ok(
        "ephemeral ports",
        found,
        "a range above the ports of servers",
    );
    match low {
        0..1024 => requirement.but(
            "ports of well-known services would be folded: raise net.ipv4.ip_local_port_range, \
             or give --flow-ports full",
        ),
        _ => requirement,
    }
}

pub(super) fn nameless(error: &str) -> Requirement {
    let needed = "the name of this node's Node object";
    Requirement::ok("node name", "none", needed).unless(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::report::Status;

    #[test]
    fn missing_capabilities_are_named() {
        let status = |bits: u64| of_status(&format!("Name:\tx\nCapEff:\t{bits:016x}\n"));
        assert_eq!(status(1 << 12 | 1 << 38 | 1 << 39).status, Status::Ok);
        assert_eq!(status(1 << 12 | 1 << 21).status, Status::Ok);
        let poor = status(1 << 12);
        assert_eq!(poor.status, Status::Failed);
        assert_eq!(poor.found, "without CAP_BPF, CAP_PERFMON");
    }

    #[test]
    fn the_last_and_longest_mount_counts() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /sys/fs/bpf tmpfs rw 0 0\n\
                      bpf /sys/fs/bpf bpf rw 0 0\n";
        assert_eq!(kind_of(mounts, Path::new("/sys/fs/bpf")), Some("bpf"));
        assert_eq!(kind_of(mounts, Path::new("/sys")), Some("overlay"));
    }
}
