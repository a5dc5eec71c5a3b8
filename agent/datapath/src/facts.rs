//! What this process and its kernel are, as far as it decides what the kernel permits.

use std::{fs, io, path::PathBuf};

use aya_obj::generated::bpf_cmd;

use super::{memory::Size, syscall};

/// The oldest kernel whose verifier and helpers the programs are made for.
pub const OLDEST: (u32, u32) = (5, 10);
/// Since then maps count against the memory cgroup and no longer against `RLIMIT_MEMLOCK`.
pub(super) const CHARGED_TO_CGROUP: (u32, u32) = (5, 11);

/// Numbers of `include/uapi/linux/capability.h`.
const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// The facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// As `uname -r` has it.
    pub release: String,
    /// Needed capabilities that are not effective.
    pub missing: Vec<&'static str>,
    /// Those are in the bounding set all the same.
    pub bounded: bool,
    /// Effective user.
    pub user: u32,
    /// A seccomp filter is in force.
    pub seccomp: bool,
    /// What the kernel answers to a call of bpf(2) that asks for nothing.
    pub probe: Option<i32>,
    /// Capabilities count outside of this process's user namespace, too.
    pub initial_user_namespace: bool,
    /// `kernel.unprivileged_bpf_disabled`
    pub unprivileged_bpf_disabled: Option<u32>,
    /// The level of `lockdown`, but for `none`.
    pub lockdown: Option<String>,
    /// `RLIMIT_MEMLOCK`; `None` is unlimited.
    pub locked: Option<Size>,
    /// `RLIMIT_NOFILE`
    pub files: u64,
    /// The lowest limit of the memory cgroups that the process is in.
    pub cgroup: Option<Limit>,
    /// `MemAvailable`
    pub available: Option<Size>,
}

/// A limit, and the file that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub size: Size,
    /// Where it is set.
    pub file: PathBuf,
}

impl Facts {
    /// Those of this process, now.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let missing = missing(bits(&status, "CapEff:").unwrap_or(0));
        let bound = self::missing(bits(&status, "CapBnd:").unwrap_or(0));
        Self {
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            bounded: missing.iter().all(|one| !bound.contains(one)),
            missing,
            // SAFETY: takes no pointers.
            user: unsafe { libc::geteuid() },
            seccomp: field(&status, "Seccomp:") == Some("2"),
            probe: probe(),
            initial_user_namespace: is_initial(&text("/proc/self/uid_map")),
            unprivileged_bpf_disabled: text("/proc/sys/kernel/unprivileged_bpf_disabled")
                .trim()
                .parse()
                .ok(),
            lockdown: lockdown(&text("/sys/kernel/security/lockdown")),
            locked: limit(libc::RLIMIT_MEMLOCK).map(Size),
            files: limit(libc::RLIMIT_NOFILE).unwrap_or(u64::MAX),
            cgroup: cgroup(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo")),
            available: available(&text("/proc/meminfo")),
        }
    }

    /// Whether maps count against `RLIMIT_MEMLOCK`.
    pub fn locks_memory(&self) -> bool {
        version(&self.release).is_some_and(|version| version < CHARGED_TO_CGROUP)
    }
}

/// True on a kernel with PREEMPT_RT, where bottom halves are threads.
pub(super) fn is_preemptible() -> bool {
    fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1")
}

/// `6.1.0-50-cloud-amd64` is (6, 1).
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

/// A set of capabilities out of `/proc/self/status`.
pub fn bits(status: &str, name: &str) -> Option<u64> {
    u64::from_str_radix(field(status, name)?, 16).ok()
}

/// The needed capabilities that are not in the set. CAP_SYS_ADMIN includes the two that were split
/// off it (capabilities(7)).
pub fn missing(set: u64) -> Vec<&'static str> {
    let has = |bit: u32| set & 1 << bit != 0;
    [
        ("CAP_BPF", has(BPF) || has(SYS_ADMIN)),
        ("CAP_NET_ADMIN", has(NET_ADMIN)),
        ("CAP_PERFMON", has(PERFMON) || has(SYS_ADMIN)),
    ]
    .into_iter()
    .filter_map(|(name, has)| (!has).then_some(name))
    .collect()
}

/// Asks for information on a descriptor that there is not: `EBADF` where bpf(2) may be called, what
/// a seccomp filter answers where not.
fn probe() -> Option<i32> {
    let mut attr = syscall::attr();
    attr.info.bpf_fd = u32::MAX;
    // SAFETY: no pointers: the descriptor is looked at first, and there is none of that number.
    let result = unsafe { syscall::bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) };
    result.err().as_ref().and_then(io::Error::raw_os_error)
}

/// The initial user namespace maps every id to itself (user_namespaces(7)).
fn is_initial(uid_map: &str) -> bool {
    let words: Vec<&str> = uid_map.split_whitespace().collect();
    words.is_empty() || words == ["0", "0", "4294967295"]
}

/// `none [integrity] confidentiality` is integrity.
fn lockdown(text: &str) -> Option<String> {
    let (_, level) = text.split_once('[')?;
    let (level, _) = level.split_once(']')?;
    (level != "none").then(|| level.to_owned())
}

fn limit(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: room for the answer.
    let result = unsafe { libc::getrlimit(which, &mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn available(meminfo: &str) -> Option<Size> {
    let kib: u64 = field(meminfo, "MemAvailable:")?.parse().ok()?;
    Some(Size(kib << 10))
}

/// Version 2 or the memory controller of version 1; the lowest limit on the way up to the mount.
fn cgroup(own: &str, mounts: &str) -> Option<Limit> {
    let mut limits = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(root), Some(point)) = (left.get(3), left.get(4)) else {
            continue;
        };
        let (controller, file) = match right[..] {
            ["cgroup2", ..] => ("", "memory.max"),
            ["cgroup", _, options] if options.split(',').any(|one| one == "memory") => {
                ("memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers
                .split(',')
                .any(|one| one == controller)
                .then_some(path)
        });
        // Where the mount shows another part of the tree, it shows the process's own group.
        let below = path.and_then(|path| path.strip_prefix(root)).unwrap_or("");
        let folder = PathBuf::from(point).join(below.trim_start_matches('/'));
        for folder in folder
            .ancestors()
            .take_while(|folder| folder.starts_with(point))
        {
            let file = folder.join(file);
            let text = fs::read_to_string(&file).unwrap_or_default();
            // What version 1 says for no limit is close to the largest number.
            let size = text.trim().parse().ok().filter(|size| *size < 1 << 60);
            limits.extend(size.map(|size| Limit {
                size: Size(size),
                file,
            }));
        }
    }
    limits.into_iter().min_by_key(|limit| limit.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let status = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t000000c000001000\n";
        assert_eq!(field(status, "Seccomp:"), Some("2"));
        assert_eq!(missing(bits(status, "CapEff:").unwrap()), [""; 0]);
        assert_eq!(missing(1 << 12 | 1 << 21), [""; 0]);
        assert_eq!(missing(1 << 12), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(
            lockdown("none [integrity] confidentiality\n").unwrap(),
            "integrity"
        );
        assert_eq!(lockdown("[none] integrity confidentiality\n"), None);
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("0 100000 65536\n"));
        assert!(version("5.9.16-amd64") < Some(OLDEST));
        assert_eq!(version("5.10.0-32-cloud-amd64\n"), Some((5, 10)));
        assert_eq!(version(""), None);
        let meminfo = "MemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(meminfo), Some(Size(2 << 20)));
    }

    #[test]
    fn the_lowest_limit_of_both_versions_counts() {
        let folder = tempfile::tempdir().unwrap();
        let point = folder.path().display();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/memory.max"), "268435456\n").unwrap();
        fs::write(folder.path().join("a/b/memory.max"), "max\n").unwrap();
        let mounts = format!("41 31 0:38 / {point} rw - cgroup2 cgroup2 rw\n");
        let found = cgroup("4:memory:/elsewhere\n0::/a/b\n", &mounts).unwrap();
        assert_eq!(found.size, Size(256 << 20));
        assert_eq!(found.file, folder.path().join("a/memory.max"));

        let limit = folder.path().join("a/b/memory.limit_in_bytes");
        fs::write(&limit, "134217728\n").unwrap();
        let mounts = format!("35 31 0:32 /a {point}/a rw - cgroup cgroup rw,memory\n");
        let found = cgroup("4:memory:/a/b\n0::/\n", &mounts).unwrap();
        assert_eq!((found.size, found.file), (Size(128 << 20), limit.clone()));
        fs::write(&limit, "9223372036854771712\n").unwrap();
        assert_eq!(cgroup("4:memory:/a/b\n", &mounts), None);
    }
}
