//! Why the kernel refuses, from its error number and what is there.

use super::{
    facts::{Facts, Limit, OLDEST, version},
    memory::Plan,
};

/// One line without its subject: the reason and the remedy.
pub(super) fn reason(errno: i32, facts: &Facts, plan: &Plan) -> String {
    match errno {
        libc::EMFILE => format!(
            "too many open files: RLIMIT_NOFILE is {}: raise it (ulimit -n, LimitNOFILE of the \
             container runtime)",
            facts.files
        ),
        libc::ENFILE => "too many open files on this node: raise fs.file-max".to_owned(),
        libc::ENOMEM | libc::E2BIG => memory(facts, plan),
        _ if version(&facts.release).is_some_and(|version| version < OLDEST) => format!(
            "Linux {} is older than {}.{}: choose a node image with a newer kernel",
            facts.release, OLDEST.0, OLDEST.1
        ),
        libc::EPERM | libc::EACCES => permission(errno, facts, plan),
        libc::ENOSYS if facts.seccomp => seccomp("ENOSYS"),
        libc::ENOSYS => "this kernel has no bpf(2): CONFIG_BPF_SYSCALL is off".to_owned(),
        _ => format!(
            "{}: Linux {} refuses it",
            std::io::Error::from_raw_os_error(errno),
            facts.release
        ),
    }
}

/// What the maps need and certainly do not get; `None` where they may get it.
pub(super) fn too_much(facts: &Facts, plan: &Plan) -> Option<String> {
    let total = plan.demand.total();
    match (&facts.locked, &facts.cgroup) {
        (Some(limit), _) if facts.locks_memory() && *limit < total => Some(locked(facts, plan)),
        (_, Some(limit)) if limit.size < total => Some(memory(facts, plan)),
        _ => None,
    }
}

fn memory(facts: &Facts, plan: &Plan) -> String {
    let there = match (&facts.cgroup, facts.available) {
        (Some(Limit { size, file }), _) => {
            format!(
                "the memory cgroup allows {} ({})",
                size.rounded(),
                file.display()
            )
        }
        (None, Some(available)) => format!(
            "no memory cgroup limits it, and {} are available on this node",
            available.rounded()
        ),
        (None, None) => "no memory cgroup limits it".to_owned(),
    };
    format!(
        "not enough memory: {plan}; {there}: {}, or raise the container's memory limit",
        plan.remedy()
    )
}

fn locked(facts: &Facts, plan: &Plan) -> String {
    let limit = facts
        .locked
        .map_or("unlimited".to_owned(), |limit| limit.to_string());
    format!(
        "RLIMIT_MEMLOCK is {limit}, and maps count against it on Linux {}: {plan}: add \
         CAP_SYS_RESOURCE to the agent's capabilities, or raise the limit (LimitMEMLOCK=infinity \
         of the container runtime, ulimit -l)",
        facts.release
    )
}

fn permission(errno: i32, facts: &Facts, plan: &Plan) -> String {
    let name = if errno == libc::EPERM {
        "EPERM"
    } else {
        "EACCES"
    };
    if !facts.missing.is_empty() {
        return capabilities(facts);
    }
    if !facts.initial_user_namespace {
        return "not permitted: the capabilities are those of a user namespace, and bpf(2) asks \
                for those of the node: run without one (hostUsers: true, a rootful runtime)"
            .to_owned();
    }
    if facts.seccomp && facts.probe.is_none_or(|answer| answer != libc::EBADF) {
        return seccomp(name);
    }
    if errno == libc::EPERM && facts.locks_memory() && facts.locked.is_some() {
        return locked(facts, plan);
    }
    if let Some(level) = &facts.lockdown {
        return format!(
            "not permitted ({name}) with all capabilities: kernel lockdown is {level}: boot with \
             lockdown=integrity or none"
        );
    }
    format!(
        "not permitted ({name}) with all capabilities: a security module (SELinux, AppArmor, BPF \
         LSM) refuses bpf(2): see the node's audit log"
    )
}

fn capabilities(facts: &Facts) -> String {
    let missing = facts.missing.join(", ");
    let disabled = match facts.unprivileged_bpf_disabled {
        Some(value) if facts.missing.contains(&"CAP_BPF") => {
            format!(" (kernel.unprivileged_bpf_disabled is {value})")
        }
        _ => String::new(),
    };
    let remedy = match facts.bounded && facts.user != 0 {
        true => format!(
            "user {} got none of the added ones: run as user 0 (runAsUser: 0)",
            facts.user
        ),
        false => "run as root, or add them to securityContext.capabilities.add".to_owned(),
    };
    format!("not permitted: without {missing}{disabled}: {remedy}")
}

fn seccomp(answer: &str) -> String {
    format!(
        "not permitted ({answer}) with all capabilities: the seccomp profile refuses bpf(2): \
         the default profiles of podman, CRI-O and containerd before 1.6.9 want CAP_SYS_ADMIN for \
         it: use RuntimeDefault of a newer containerd, or a seccompProfile that allows bpf and \
         membarrier"
    )
}

/// What a program that the verifier refuses lacks, besides a change of its code.
pub(super) fn of_verifier(facts: &Facts) -> String {
    match facts.missing.is_empty() {
        false => format!(": {}", capabilities(facts)),
        true => facts.lockdown.as_ref().map_or(String::new(), |level| {
            format!(": kernel lockdown is {level}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::memory::{DEFAULT_BUDGET, Machine, Size};

    fn plan() -> Plan {
        let machine = Machine {
            cpus: 2,
            cpu_numbers: 2,
            is_preemptible: false,
            page: 4096,
        };
        Plan::new(DEFAULT_BUDGET, None, machine).unwrap()
    }

    fn good() -> Facts {
        Facts {
            release: "6.1.0".to_owned(),
            probe: Some(libc::EBADF),
            initial_user_namespace: true,
            files: 1024,
            ..Facts::default()
        }
    }

    #[test]
    fn each_refusal_is_named_by_what_is_missing() {
        let old = |release: &str| Facts {
            release: release.to_owned(),
            ..good()
        };
        let limit = Limit {
            size: Size(32 << 20),
            file: PathBuf::from("/cg/memory.max"),
        };
        let cgroup = Facts {
            cgroup: Some(limit),
            ..good()
        };
        let denied = Facts {
            seccomp: true,
            probe: Some(libc::EPERM),
            ..good()
        };
        let profile = Facts {
            seccomp: true,
            ..good()
        };
        let no_bpf = Facts {
            missing: vec!["CAP_BPF"],
            unprivileged_bpf_disabled: Some(2),
            ..denied.clone()
        };
        let bounded = Facts {
            bounded: true,
            user: 65534,
            ..no_bpf.clone()
        };
        let rootless = Facts {
            initial_user_namespace: false,
            ..denied.clone()
        };
        let locked = Facts {
            locked: Some(Size(64 << 10)),
            ..old("5.10.0")
        };
        let locked_new = Facts {
            locked: Some(Size(64 << 10)),
            ..good()
        };
        let lockdown = Facts {
            lockdown: Some("confidentiality".to_owned()),
            ..good()
        };
        let cases: [(i32, Facts, &[&str]); 15] = [
            (libc::EMFILE, good(), &["RLIMIT_NOFILE is 1024"]),
            (libc::ENFILE, good(), &["fs.file-max"]),
            (
                libc::ENOMEM,
                good(),
                &["memory", "--map-memory 64MiB", "no memory cgroup"],
            ),
            (
                libc::ENOMEM,
                cgroup,
                &["32.0 MiB", "/cg/memory.max", "--map-memory"],
            ),
            (
                libc::EINVAL,
                old("5.4.0"),
                &["Linux 5.4.0 is older than 5.10"],
            ),
            (libc::EPERM, old("5.4.0"), &["older than 5.10"]),
            (
                libc::EINVAL,
                good(),
                &["Invalid argument", "Linux 6.1.0 refuses"],
            ),
            (
                libc::EPERM,
                no_bpf,
                &["without CAP_BPF", "disabled is 2", "capabilities.add"],
            ),
            (
                libc::EPERM,
                bounded,
                &["without CAP_BPF", "user 65534", "runAsUser: 0"],
            ),
            (libc::EPERM, rootless, &["user namespace"]),
            (
                libc::EPERM,
                denied.clone(),
                &["seccomp profile", "podman", "RuntimeDefault"],
            ),
            (libc::ENOSYS, denied, &["seccomp profile"]),
            (
                libc::EPERM,
                locked,
                &[
                    "RLIMIT_MEMLOCK is 64KiB",
                    "CAP_SYS_RESOURCE",
                    "LimitMEMLOCK",
                ],
            ),
            (libc::EPERM, lockdown, &["lockdown is confidentiality"]),
            (libc::EACCES, profile, &["security module", "EACCES"]),
        ];
        for (errno, facts, words) in cases {
            let said = reason(errno, &facts, &plan());
            for word in words {
                assert!(said.contains(word), "{word:?} is not in: {said}");
            }
            assert_eq!(
                said.contains("older than 5.10"),
                facts.release == "5.4.0",
                "{said}"
            );
            assert_eq!(
                said.contains("without CAP_"),
                !facts.missing.is_empty(),
                "{said}"
            );
        }
        let said = reason(libc::EPERM, &locked_new, &plan());
        assert!(
            said.contains("security module") && !said.contains("MEMLOCK"),
            "{said}"
        );
    }

    #[test]
    fn what_certainly_does_not_fit_is_known_before() {
        let limit = |mebibytes: u64| Facts {
            cgroup: Some(Limit {
                size: Size(mebibytes << 20),
                file: PathBuf::from("/cg/memory.max"),
            }),
            ..good()
        };
        assert_eq!(too_much(&limit(256), &plan()), None);
        assert!(too_much(&limit(32), &plan()).unwrap().contains("32.0 MiB"));
        let locked = |release: &str| Facts {
            release: release.to_owned(),
            locked: Some(Size(64 << 10)),
            ..good()
        };
        assert!(
            too_much(&locked("5.10.0"), &plan())
                .unwrap()
                .contains("RLIMIT_MEMLOCK")
        );
        assert_eq!(too_much(&locked("5.15.0"), &plan()), None);
        assert_eq!(too_much(&good(), &plan()), None);
    }
}
