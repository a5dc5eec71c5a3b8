//! What the path of a cgroup says of whose it is: a pod's, by the rules of the kubelet, or a unit's,
//! by those of systemd.
//!
//! | driver | a pod's cgroup |
//! |---|---|
//! | systemd | `kubepods.slice/[kubepods-<qos>.slice/]kubepods[-<qos>]-pod<uid, - as _>.slice` |
//! | cgroupfs | `kubepods/[<qos>/]pod<uid>` |
//!
//! (kubelet, `pkg/kubelet/cm/cgroup_manager_linux.go` and `pod_container_manager_linux.go`.) The
//! container's own cgroup is below, and may have others below it. With `--cgroup-root` all of it is
//! below another cgroup.

use std::{collections::BTreeSet, iter::successors, sync::Arc};

/// What all host processes whose cgroup nobody saw share.
pub const UNKNOWN: &str = "unknown";

/// Whose a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// A pod's: its uid, or for a static pod the hash of its configuration.
    Pod(Arc<str>),
    /// A unit's of systemd, or where there is none the cgroup's own name.
    Unit(Arc<str>),
}

impl Member {
    /// Whose the cgroup at this path below the root is: the pod, else the deepest service or scope.
    /// A user's sessions are one.
    pub fn of(path: &str) -> Self {
        let mut parts = path.split('/');
        if let Some(uid) = below_kubepods(path).find_map(pod_uid) {
            return Self::Pod(uid);
        }
        if parts.next() == Some("user.slice") {
            return Self::Unit("user.slice".into());
        }
        let named = |suffixes: &[&str]| {
            let ends = |part: &&str| suffixes.iter().any(|suffix| part.ends_with(suffix));
            path.rsplit('/').find(ends)
        };
        let unit = named(&[".service", ".scope"]).or_else(|| named(&[".slice"]));
        Self::Unit(unit.unwrap_or(path).into())
    }
}

/// True for the cgroup below which the kubelet puts all pods.
pub fn is_kubepods(name: &str) -> bool {
    name == "kubepods" || name.strip_suffix("kubepods.slice").is_some_and(is_prefix)
}

/// `kubelet-kubepods.slice` below `--cgroup-root /kubelet`.
fn is_prefix(before: &str) -> bool {
    before.is_empty() || before.ends_with('-')
}

/// The parts of a path below the cgroup of all pods; none for any other path.
fn below_kubepods(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .skip_while(|part| !is_kubepods(part))
        .skip(1)
}

/// The cgroups above that of all pods, where the path leads there.
fn above_kubepods(path: &str) -> impl Iterator<Item = &str> {
    let parent = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.len());
    let all = successors(Some(path.len()), move |length| parent(&path[..*length]));
    let mut all = all.map(|length| &path[..length]);
    let leads_there = all
        .by_ref()
        .any(|path| is_kubepods(path.rsplit('/').next().unwrap_or(path)));
    all.filter(move |_| leads_there)
}

/// The uid in the name of a pod's cgroup.
pub fn pod_uid(name: &str) -> Option<Arc<str>> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => name.strip_prefix("pod")?.to_owned(),
    };
    (!uid.is_empty()).then(|| uid.into())
}

/// Of these paths those that a program is linked to: every cgroup at the top but that of the pods,
/// and the cgroup of each pod of the host's network. One that has the pods' below it is passed over
/// in favour of what is beside the pods there. None is below another: programs of both would run,
/// and count twice.
pub fn to_link<'a>(paths: &[&'a str], is_on_host_network: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let above_pods: BTreeSet<&str> = paths.iter().flat_map(|path| above_kubepods(path)).collect();
    let holds_pods = |path: &str| above_pods.contains(path);
    let is_wanted = |path: &str| {
        if path.split('/').any(is_kubepods) {
            let name = path.rsplit('/').next().unwrap_or(path);
            let is_below = below_kubepods(path).next().is_some();
            let uid = pod_uid(name).filter(|_| is_below);
            return uid.is_some_and(|uid| is_on_host_network(&uid));
        }
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        !holds_pods(path) && parent.is_none_or(holds_pods)
    };
    paths
        .iter()
        .copied()
        .filter(|path| is_wanted(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0d9a1f7c-00b1-4c5e-8f00-00000000000a";

    #[test]
    fn pods_are_known_by_either_driver() {
        let uid = UID.replace('-', "_");
        for path in [
            format!("kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice"),
            format!("kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-0a1b.scope"),
            format!("kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-0a1b.scope/init.scope"),
            format!("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid}.slice"),
            format!("kubepods/burstable/pod{UID}/0a1b"),
            format!("kubepods/pod{UID}"),
        ] {
            assert_eq!(Member::of(&path), Member::Pod(UID.into()), "{path}");
        }
        let hash = "kubepods/pod7b8c2f60f5dfc5b0f3a8e0a2a9c1d2e3";
        let expected = Member::Pod("7b8c2f60f5dfc5b0f3a8e0a2a9c1d2e3".into());
        assert_eq!(Member::of(hash), expected);
    }

    #[test]
    fn units_are_the_deepest_service_or_scope() {
        for (path, unit) in [
            ("system.slice/containerd.service", "containerd.service"),
            ("runtime.slice/kubelet.service", "kubelet.service"),
            ("system.slice/docker.service/init", "docker.service"),
            ("system.slice/x.service/y.scope", "y.scope"),
            ("init.scope", "init.scope"),
            ("system.slice", "system.slice"),
            ("user.slice/user-1000.slice/session-1.scope", "user.slice"),
            ("podruntime/runtime", "podruntime/runtime"),
            (
                "kubepods.slice/kubepods-burstable.slice",
                "kubepods-burstable.slice",
            ),
            ("machine.slice/libpod-pod0a.scope", "libpod-pod0a.scope"),
            // Not below a --cgroup-root: the name only ends so.
            (
                "notkubepods.slice/notkubepods-pod0a.slice",
                "notkubepods-pod0a.slice",
            ),
        ] {
            assert_eq!(Member::of(path), Member::Unit(unit.into()), "{path}");
        }
    }

    #[test]
    fn top_level_cgroups_and_pods_of_the_host_network_are_linked() {
        let host = format!("kubepods/burstable/pod{UID}");
        let container = format!("{host}/0a1b");
        let paths = [
            "init.scope",
            "kubepods",
            "kubepods/burstable",
            &host,
            &container,
            "kubepods/podffff",
            "system.slice",
            "system.slice/kubelet.service",
        ];
        let expected = ["init.scope", host.as_str(), "system.slice"];
        assert_eq!(to_link(&paths, |uid| uid == UID), expected);
    }

    #[test]
    fn what_is_beside_the_pods_is_linked_where_they_are_not_at_the_top() {
        let paths = [
            "kubelet.slice",
            "kubelet.slice/kubelet-kubepods.slice",
            "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podab.slice",
            "kubelet.slice/kubelet.service",
            "system.slice",
        ];
        let expected = ["kubelet.slice/kubelet.service", "system.slice"];
        assert_eq!(to_link(&paths, |_| false), expected);
    }
}
